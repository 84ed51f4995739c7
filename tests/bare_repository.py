"""A bare repository as the receiver keeps it, and objects in it that no git would make."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from dulwich.object_store import DiskObjectStore
from dulwich.objects import Blob, Commit, ShaFile, Tag, Tree

from hooks.git import Objects
from receiver.repository import ensure_repository

FILE, EXECUTABLE, LINK, FOLDER, SUBMODULE = 0o100644, 0o100755, 0o120000, 0o040000, 0o160000
WHO = b"Ann <ann@example.com>"

Content = bytes | tuple[int, str]
"""A file's bytes, or a mode and an object's id."""


class BareRepository:
    """Objects are made one by one; refs are the store's business. Ids are 40 digits."""

    def __init__(self, path: Path, quarantine: Path | None = None) -> None:
        ensure_repository(path)
        self.path = path
        self.objects = Objects(path, quarantine)
        self._store = DiskObjectStore(quarantine or path / "objects")
        self._made = 0

    def add(self, made: ShaFile) -> str:
        """Store an object; return its id."""
        self._store.add_object(made)
        return made.id.decode()

    def blob(self, content: bytes = b"a") -> str:
        """Store a blob."""
        return self.add(Blob.from_string(content))

    def tree(self, files: Mapping[str, Content]) -> str:
        """Store a tree."""
        tree = Tree()
        for name, content in files.items():
            mode, blob = content if isinstance(content, tuple) else (FILE, self.blob(content))
            tree.add(name.encode(), mode, blob.encode())
        return self.add(tree)

    def commit(self, *parents: str, files: Mapping[str, Content] | None = None) -> str:
        """Store a commit; each is another one."""
        return self.add(self.unstored_commit(parents, self.tree(files or {})))

    def unstored_commit(self, parents: Sequence[str], tree: str) -> Commit:
        """Return a commit that is only made."""
        self._made += 1
        commit = Commit()
        commit.tree = tree.encode()
        commit.parents = [parent.encode() for parent in parents]
        commit.author = commit.committer = WHO
        commit.author_time = commit.commit_time = 1_700_000_000 + self._made
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = b"a change"
        return commit

    def tag(self, target: str, kind: type[ShaFile], name: str = "v1") -> str:
        """Store an annotated tag of an object."""
        tag = Tag()
        tag.name, tag.tagger, tag.message = name.encode(), WHO, b"a tag"
        tag.tag_time, tag.tag_timezone = 1_700_000_000, 0
        tag.object = (kind, target.encode())
        return self.add(tag)

    def lie(self, header: bytes, content: bytes = b"", *, cut: int = 0) -> str:
        """Store a loose object that is not what its header says, or lacks its last bytes.

        Returns the id it is found by.
        """
        self._made += 1
        object_id = f"ee{self._made:038x}"
        path = self.path / "objects" / object_id[:2] / object_id[2:]
        path.parent.mkdir(exist_ok=True)
        data = zlib.compress(header + b"\0" + content)
        path.write_bytes(data[: len(data) - cut])
        return object_id
