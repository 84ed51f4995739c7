"""Git objects written as they stand: no tool of git's would make some of these (gitformat-pack(5)).

Nothing is checked here. Ids are 40 hexadecimal digits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

FILE, LINK, FOLDER = b"100644", b"120000", b"40000"
"""The modes of a tree's entries, as they are written in it."""

WHO = b"Eve <eve@example.com> 1700000000 +0000"


class Kind(IntEnum):
    """What an entry of a pack can be; 0 and 5 are nothing."""

    NOTHING = 0
    COMMIT = 1
    TREE = 2
    BLOB = 3
    TAG = 4
    RESERVED = 5
    OFS_DELTA = 6
    REF_DELTA = 7


@dataclass(frozen=True, slots=True)
class RawObject:
    """An object's kind and content, whatever that is."""

    kind: Kind
    content: bytes

    @property
    def id(self) -> str:
        """What git would call it."""
        header = b"%s %d\0" % (self.kind.name.lower().encode(), len(self.content))
        return hashlib.sha1(header + self.content, usedforsecurity=False).hexdigest()


Entry = tuple[bytes, bytes, str]
"""Of a tree: mode, name, id."""


def blob(content: bytes) -> RawObject:
    """Return a file's content."""
    return RawObject(Kind.BLOB, content)


def tree(*entries: Entry) -> RawObject:
    """Return a tree of these entries, in this order."""
    return RawObject(
        Kind.TREE,
        b"".join(
            b"%s %s\0" % (mode, name) + bytes.fromhex(target) for mode, name, target in entries
        ),
    )


def commit(
    tree_id: str,
    *parents: str,
    author: bytes = WHO,
    committer: bytes = WHO,
    message: bytes = b"hostile\n",
) -> RawObject:
    """Return a commit whose lines are all there."""
    lines = [b"tree " + tree_id.encode(), *(b"parent " + parent.encode() for parent in parents)]
    lines += [b"author " + author, b"committer " + committer, b"", message]
    return RawObject(Kind.COMMIT, b"\n".join(lines))


def tag(target: str, kind: bytes, *, name: bytes = b"v1", tagger: bytes = WHO) -> RawObject:
    """Return an annotated tag whose lines are all there."""
    lines = (b"object " + target.encode(), b"type " + kind, b"tag " + name, b"tagger " + tagger)
    return RawObject(Kind.TAG, b"\n".join(lines) + b"\n\nhostile\n")
