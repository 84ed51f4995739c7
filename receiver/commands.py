"""Reads what a client wants to push: commands, capabilities, options (gitprotocol-pack(5))."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dulwich.objects import valid_hexsha
from dulwich.protocol import Protocol, extract_capabilities

from enclave.errors import PushRefused
from enclave.operation import RefUpdate

_MAX_LINE_BYTES = 4096
_MAX_DROPPED_BYTES = 64 << 20  # of the commands of a push that is refused already
_OBJECT_FORMAT = b"object-format="


@dataclass(frozen=True, slots=True)
class CommandLimits:
    """How much a client may say before its pack: counts, and bytes of all together."""

    commands: int
    command_bytes: int
    options: int
    option_bytes: int


@dataclass(frozen=True, slots=True)
class PushCommands:
    """What came before the pack. ``shallow``: the client lacks part of its own history."""

    commands: tuple[RefUpdate, ...]
    capabilities: frozenset[bytes]
    options: tuple[str, ...] = ()
    shallow: bool = False

    @property
    def has_pack(self) -> bool:
        """Whether a pack follows: git sends none when every command deletes."""
        return any(not command.deletes for command in self.commands)


def _nothing(_capabilities: frozenset[bytes]) -> None:
    """Nobody wants to know."""


class _Unread(PushRefused):
    """Refused, with more commands to come before the flush packet."""


def read_commands(
    protocol: Protocol,
    limits: CommandLimits,
    *,
    agreed: Callable[[frozenset[bytes]], None] = _nothing,
) -> PushCommands | None:
    """Read commands up to the flush packet, and push options if they were agreed on.

    None when the client wants nothing. ``agreed`` hears the capabilities as soon as they are
    known. Raises ``PushRefused`` for what breaks the protocol or the limits: the conversation
    cannot go on after that. The commands are read to their end all the same, within bounds: a
    client does not listen before it has sent them.
    """
    try:
        return _read(protocol, limits, agreed)
    except _Unread as unread:
        dropped = 0
        while dropped < _MAX_DROPPED_BYTES and (line := protocol.read_pkt_line()):
            dropped += len(line)
        raise PushRefused(str(unread)) from unread


def _read(
    protocol: Protocol, limits: CommandLimits, agreed: Callable[[frozenset[bytes]], None]
) -> PushCommands | None:
    commands: list[RefUpdate] = []
    capabilities: frozenset[bytes] = frozenset()
    shallow = size = 0
    line = protocol.read_pkt_line()
    while line:
        size += len(line)
        if len(line) > _MAX_LINE_BYTES:
            raise _Unread(f"a command is longer than {_MAX_LINE_BYTES} bytes")
        if line.startswith(b"shallow "):
            shallow += 1
        else:
            if not commands:
                line, words = _first_line(line)
                capabilities = frozenset(words)
                agreed(capabilities)
                _check_object_format(capabilities)
            commands.append(_command(line))
        if len(commands) > limits.commands:
            raise _Unread(f"more than {limits.commands} refs in one push: push them in parts")
        if shallow > limits.commands:
            raise _Unread("a shallow clone of too many parts: git fetch --unshallow first")
        if size > limits.command_bytes:
            raise _Unread(
                f"the refs of one push take more than {limits.command_bytes} bytes: "
                "push them in parts"
            )
        line = protocol.read_pkt_line()
    if not commands:
        return None
    options = _read_options(protocol, limits) if b"push-options" in capabilities else ()
    return PushCommands(tuple(commands), capabilities, options, shallow > 0)


def _first_line(line: bytes) -> tuple[bytes, list[bytes]]:
    if line.count(b"\0") != 1:
        raise _Unread("the first command names no capabilities")
    return extract_capabilities(line)


def _check_object_format(capabilities: frozenset[bytes]) -> None:
    asked = [word for word in capabilities if word.startswith(_OBJECT_FORMAT)]
    if any(word != _OBJECT_FORMAT + b"sha1" for word in asked):
        raise _Unread("repositories here are of SHA-1 objects (object-format=sha1)")


def _command(line: bytes) -> RefUpdate:
    words = line.rstrip(b"\n").split(b" ", 2)
    if len(words) != 3 or not (valid_hexsha(words[0]) and valid_hexsha(words[1])):
        raise _Unread("a command is not OLD NEW REF")
    if len(words[0]) != 40 or len(words[1]) != 40:
        raise _Unread("object ids have 40 digits here (object-format=sha1)")
    # A name that is not UTF-8 is the hooks' to refuse: until then it must come back as it came.
    name = words[2].decode("utf-8", "surrogateescape")
    return RefUpdate(name, words[0].decode().lower(), words[1].decode().lower())


def _read_options(protocol: Protocol, limits: CommandLimits) -> tuple[str, ...]:
    options: list[str] = []
    size = 0
    for line in protocol.read_pkt_seq():
        size += len(line)
        if len(options) == limits.options or size > limits.option_bytes:
            raise _Unread(
                f"at most {limits.options} push options of {limits.option_bytes} bytes together "
                "are taken"
            )
        options.append(line.rstrip(b"\n").decode("utf-8", "replace"))
    return tuple(options)
