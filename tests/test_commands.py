"""What a client says before the pack: bytes nobody vouches for (gitprotocol-pack(5))."""

import io
import itertools
from collections.abc import Iterable, Iterator

import pytest
from dulwich.errors import GitProtocolError, HangupException
from dulwich.protocol import Protocol, pkt_line

from enclave.errors import PushRefused
from enclave.operation import ZERO_ID, RefUpdate
from receiver.commands import CommandLimits, PushCommands, read_commands

A, B = "a" * 40, "b" * 40
MOST = 5
CAPABILITIES = b"\0 report-status side-band-64k push-options"


def command(ref: str = "refs/heads/a", old: str = ZERO_ID, new: str = A) -> bytes:
    return f"{old} {new} {ref}".encode()


LIMITS = CommandLimits(commands=MOST, command_bytes=8000, options=3, option_bytes=5000)


def read(*lines: bytes | None, limits: CommandLimits = LIMITS) -> PushCommands | None:
    data = io.BytesIO(b"".join(pkt_line(line) for line in lines))
    return read_commands(Protocol(data.read, write_nothing), limits)


def write_nothing(data: bytes) -> None:
    raise AssertionError(f"nothing may be said yet, not even {data!r}")


class Endless:
    """A client that never stops; fails the test once too much has been read of it."""

    def __init__(self, lines: Iterable[bytes], *, most_bytes: int) -> None:
        self._chunks = self._bytes(lines)
        self._left = most_bytes
        self._unread = b""

    def read(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._unread += next(self._chunks)
        self._left -= size
        assert self._left >= 0, "the limits let it read on"
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    @staticmethod
    def _bytes(lines: Iterable[bytes]) -> Iterator[bytes]:
        return (pkt_line(line) for line in lines)


class TestCommands:
    def test_nothing_wanted(self) -> None:
        assert read(None) is None

    def test_one_command_and_its_capabilities(self) -> None:
        push = read(command() + b"\0 report-status  atomic agent=git/2.39.5\n", None)
        assert push is not None
        assert push.commands == (RefUpdate("refs/heads/a", ZERO_ID, A),)
        assert {b"report-status", b"atomic", b"agent=git/2.39.5"} <= push.capabilities
        assert (push.options, push.shallow, push.has_pack) == ((), False, True)

    def test_several_commands_with_and_without_line_ends(self) -> None:
        push = read(
            command("a", A, B) + b"\0", command("b") + b"\n", command("c", A, ZERO_ID), None
        )
        assert push is not None
        assert push.commands == (
            RefUpdate("a", A, B),
            RefUpdate("b", ZERO_ID, A),
            RefUpdate("c", A, ZERO_ID),
        )

    def test_only_deletions_come_without_a_pack(self) -> None:
        push = read(command("a", A, ZERO_ID) + b"\0", command("b", A, ZERO_ID), None)
        assert push is not None
        assert not push.has_pack

    def test_names_are_kept_as_they_are_for_the_hooks_to_judge(self) -> None:
        for name in ("refs/heads/é b", "../x", "a\x01b", "a\nb"):
            push = read(command(name) + b"\0", None)
            assert push is not None
            assert push.commands[0].ref == name

    def test_ids_become_lower_case(self) -> None:
        push = read(command(new="A" * 40) + b"\0", None)
        assert push is not None
        assert push.commands[0].new == A

    @pytest.mark.parametrize("at", [0, 1])
    def test_shallow_lines_are_noticed(self, at: int) -> None:
        lines = [command() + b"\0"]
        lines.insert(at, b"shallow " + A.encode())
        push = read(*lines, None)
        assert push is not None
        assert push.shallow

    @pytest.mark.parametrize(
        "lines",
        [
            [command()],
            [command() + b"\0a\0b"],
            [b"\0"],
            [b"\0report-status"],
            [f"{A} {B}".encode() + b"\0"],
            [f"{A} refs/heads/a".encode() + b"\0"],
            [f"{A[1:]} {B} refs/heads/a".encode() + b"\0"],
            [f"{A}0 {B} refs/heads/a".encode() + b"\0"],
            [f"{'x' * 40} {B} refs/heads/a".encode() + b"\0"],
            [f"{A * 2} {B * 2}".encode()[:129] + b" refs/heads/a\0"],
            [f"{'a' * 64} {'b' * 64} refs/heads/a".encode() + b"\0 object-format=sha256"],
            ["é".encode() * 20 + f" {B} refs/heads/a".encode() + b"\0"],
            [b"push-cert\0 report-status"],
            [b"want " + A.encode() + b"\0"],
            [command("x" * 5000) + b"\0"],
            [command() + b"\0" + b"x " * 5000],
            [b"shallow " + b"a" * 5000],
        ],
    )
    def test_what_breaks_the_protocol_is_refused(self, lines: list[bytes]) -> None:
        with pytest.raises(PushRefused) as refused:
            read(*lines, None)
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) < 200

    @pytest.mark.parametrize(
        "data", [b"", b"00", b"zzzz", b"0003", b"-001", b"0032abc", b"\xff" * 4]
    )
    def test_what_is_no_packet_ends_the_conversation(self, data: bytes) -> None:
        with pytest.raises((GitProtocolError, HangupException)):
            read_commands(Protocol(io.BytesIO(data).read, write_nothing), LIMITS)

    def test_a_client_that_hangs_up_in_mid_list_wanted_nothing(self) -> None:
        with pytest.raises(HangupException):
            read(command() + b"\0")

    def test_what_follows_is_left_for_the_pack(self) -> None:
        data = io.BytesIO(pkt_line(command() + b"\0") + pkt_line(None) + b"PACK")
        read_commands(Protocol(data.read, write_nothing), LIMITS)
        assert data.read() == b"PACK"


class TestOptions:
    def test_they_are_read_when_they_were_agreed_on(self) -> None:
        push = read(command() + CAPABILITIES, None, b"a=1\n", "é".encode(), b"\xff", None)
        assert push is not None
        assert push.options == ("a=1", "é", "\ufffd")

    def test_none_is_no_option(self) -> None:
        push = read(command() + CAPABILITIES, None, None)
        assert push is not None
        assert push.options == ()

    def test_up_to_the_limit(self) -> None:
        options = [b"x" * 2000, b"y" * 2000, b"z" * 1000]
        push = read(command() + CAPABILITIES, None, *options, None)
        assert push is not None
        assert len(push.options) == LIMITS.options

    @pytest.mark.parametrize("options", [[b"x"] * 4, [b"x" * 2500, b"x" * 2501]])
    def test_more_are_refused(self, options: list[bytes]) -> None:
        with pytest.raises(PushRefused, match="at most 3 push options of 5000 bytes together"):
            read(command() + CAPABILITIES, None, *options, None)


class TestLimits:
    def test_as_many_commands_as_the_limit_allows(self) -> None:
        lines = [command(str(number)) for number in range(MOST)]
        push = read(lines[0] + b"\0", *lines[1:], None)
        assert push is not None
        assert len(push.commands) == MOST

    def test_their_bytes_count_together(self) -> None:
        lines = [command("x" * 1950 + str(number)) for number in range(MOST)]
        lines[0] += CAPABILITIES
        with pytest.raises(PushRefused, match="take more than 8000 bytes: push them in parts"):
            read(*lines, None)

    @pytest.mark.parametrize(
        "lines",
        [
            itertools.chain(
                [command("first") + b"\0"], (command(str(n)) for n in itertools.count())
            ),
            itertools.repeat(b"shallow " + A.encode()),
            itertools.chain([command() + b"\0"], itertools.repeat(b"shallow " + A.encode())),
            itertools.chain([command() + CAPABILITIES, b""], itertools.repeat(b"x" * 60)),
            itertools.chain([command() + CAPABILITIES, b""], itertools.repeat(b"x" * 60_000)),
            itertools.repeat(b"shallow " + b"a" * 60_000),
            itertools.chain([command() + b"\0"], itertools.repeat(command("x" * 60_000))),
        ],
        ids=[
            "commands",
            "shallow",
            "shallow after",
            "options",
            "long",
            "long shallow",
            "long names",
        ],
    )
    def test_an_endless_list_is_not_read_to_its_end(
        self, lines: Iterable[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("receiver.commands._MAX_DROPPED_BYTES", 1)
        client = Endless(lines, most_bytes=140_000)
        with pytest.raises(PushRefused):
            read_commands(Protocol(client.read, write_nothing), LIMITS)

    def test_refused_commands_are_read_to_the_flush_packet(self) -> None:
        lines = [command(f"refs/heads/{n}") for n in range(MOST + 100)]
        lines[0] += CAPABILITIES
        data = io.BytesIO(b"".join(pkt_line(line) for line in [*lines, None]) + b"PACK")
        agreed: list[frozenset[bytes]] = []
        with pytest.raises(PushRefused, match="push them in parts"):
            read_commands(Protocol(data.read, write_nothing), LIMITS, agreed=agreed.append)
        assert data.read() == b"PACK"
        assert len(agreed) == 1
