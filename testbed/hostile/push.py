"""One hostile push: what is sent, why it is hostile, and the verdict it deserves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dulwich.protocol import pkt_line

from testbed.hostile.packs import pack
from testbed.hostile.raw_objects import FILE, RawObject, blob, commit, tree

ZERO = "0" * 40
_CAPABILITIES = b"\0 report-status side-band-64k object-format=sha1 agent=hostile/1"


class Verdict(StrEnum):
    """On a push as a whole: accepted when every ref of it is stored."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    CHANCE = "one or the other"


@dataclass(frozen=True, slots=True)
class HostilePush:
    """``commands`` are (old, new, ref), ``pack`` is everything behind them.

    ``ours`` is a pattern for the reason that our receiver gives for each ref, None when it accepts
    them; ``c_git`` is what git-receive-pack says with every check it has (``fsckObjects``).
    ``because`` says why the two differ, where they do. ``harmless`` are refs that may be stored.
    ``costly`` is what C git takes to judge it, when that is too much to ask each time.
    """

    name: str
    hostile: str
    commands: tuple[tuple[str, str, bytes], ...]
    pack: bytes
    ours: str | None
    c_git: Verdict = Verdict.REFUSED
    because: str = ""
    harmless: frozenset[bytes] = frozenset()
    costly: str = ""

    @property
    def refs(self) -> frozenset[bytes]:
        """What the push would store or delete."""
        return frozenset(ref for _, _, ref in self.commands)

    @property
    def request(self) -> bytes:
        """The body of smart HTTP's request: commands and pack (gitprotocol-pack(5))."""
        lines = [f"{old} {new} ".encode() + ref for old, new, ref in self.commands]
        lines[0] += _CAPABILITIES
        return b"".join(map(pkt_line, [*lines, None])) + self.pack


def branch(name: str) -> bytes:
    """Return the branch that a kind pushes to: each has its own."""
    return b"refs/heads/" + name.encode()


def creating(
    name: str,
    hostile: str,
    tip: str,
    packed: bytes,
    *,
    ref: bytes | None = None,
    ours: str | None,
    c_git: Verdict = Verdict.REFUSED,
    because: str = "",
) -> HostilePush:
    """Return the push that creates one ref: the kind's own branch unless another is named."""
    commands = ((ZERO, tip, ref or branch(name)),)
    return HostilePush(name, hostile, commands, packed, ours, c_git, because)


@dataclass(frozen=True, slots=True)
class History:
    """One commit of one file. Kinds share no object, or one would fill the other's holes."""

    file: RawObject
    folder: RawObject
    tip: RawObject

    @classmethod
    def of(cls, name: str) -> History:
        """Make it for a kind."""
        file = blob(f"{name}\n".encode())
        folder = tree((FILE, b"file", file.id))
        return cls(file, folder, commit(folder.id))

    @property
    def objects(self) -> tuple[RawObject, RawObject, RawObject]:
        """All of it, in the order in which git packs."""
        return self.tip, self.folder, self.file

    @property
    def pack(self) -> bytes:
        """An honest pack of it."""
        return pack(*self.objects)
