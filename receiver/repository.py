"""An app's repository: objects in a bare repository on disk, refs from the store."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import cast

from dulwich.object_store import DiskObjectStore
from dulwich.objects import ObjectID
from dulwich.refs import DictRefsContainer, Ref
from dulwich.repo import BaseRepo, Repo
from dulwich.server import Backend, BackendRepo

from enclave.files import sync
from receiver.owned_directory import owned_directory

HALF_MADE = ".new-"
"""In the name of a folder in which a repository is being made."""

VIEW = "view-"
"""The beginning of the name of a folder that shows a repository's refs to one fetch."""


class AppRepository(BaseRepo):
    """What dulwich's push handler asks for: the refs are those of the moment it was opened."""

    def __init__(self, path: Path, refs: dict[str, str]) -> None:
        known = {Ref(name.encode()): commit.encode() for name, commit in refs.items()}
        super().__init__(DiskObjectStore(path / "objects"), DictRefsContainer(known))

    def get_refs(self) -> dict[Ref, ObjectID]:
        """Return every ref with its id."""
        return self.refs.as_dict()


class OneRepository(Backend):
    """dulwich's way to a repository, for a conversation about one that is open already."""

    def __init__(self, repository: AppRepository) -> None:
        self._repository = repository

    def open_repository(self, path: str) -> BackendRepo:  # noqa: ARG002 -- dulwich's signature
        """Return the one (dulwich's ``BaseRepo`` misses its own protocol's types by a hair)."""
        return cast(BackendRepo, self._repository)


def ensure_repository(path: Path) -> None:
    """Make the bare repository unless it is there: whole or not at all, and on the disk then.

    Two at once do no harm.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with owned_directory(path.parent, f"{path.name}{HALF_MADE}") as beside:
        made = beside / path.name
        Repo.init_bare(made, mkdir=True).close()
        (made / "objects" / "pack").mkdir(parents=True, exist_ok=True)
        for folder in ("objects/pack", "objects", "."):  # dulwich syncs the files
            sync(made / folder)
        try:
            made.rename(path)
            sync(path.parent)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise  # otherwise somebody else was faster: a rename never replaces a full folder
