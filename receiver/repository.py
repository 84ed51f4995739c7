"""An app's repository: objects in a bare repository on disk, refs from the store."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import cast

from dulwich.object_store import DiskObjectStore
from dulwich.objects import ObjectID
from dulwich.refs import SYMREF, DictRefsContainer, Ref
from dulwich.repo import BaseRepo, Repo
from dulwich.server import Backend, BackendRepo

from enclave.app import App


class AppRepository(BaseRepo):
    """What dulwich's handlers ask for: the refs are those of the moment it was opened.

    ``HEAD`` means the deploy branch, once that exists: what a clone checks out.
    """

    def __init__(self, path: Path, app: App, refs: dict[str, str]) -> None:
        known = {Ref(name.encode()): commit.encode() for name, commit in refs.items()}
        if app.deploy_ref in refs:
            known[Ref(b"HEAD")] = SYMREF + app.deploy_ref.encode()
        super().__init__(DiskObjectStore(path / "objects"), DictRefsContainer(known))

    def get_refs(self) -> dict[Ref, ObjectID]:
        """Return every ref with its id, ``HEAD`` too."""
        return self.refs.as_dict()


class OneRepository(Backend):
    """dulwich's way to a repository, for a conversation about one that is open already."""

    def __init__(self, repository: AppRepository) -> None:
        self._repository = repository

    def open_repository(self, path: str) -> BackendRepo:  # noqa: ARG002 -- dulwich's signature
        """Return the one (dulwich's ``BaseRepo`` misses its own protocol's types by a hair)."""
        return cast(BackendRepo, self._repository)


def ensure_repository(path: Path) -> None:
    """Make the bare repository unless it is there; two at once do no harm."""
    if (path / "HEAD").exists():
        return
    path.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # somebody else makes it at this moment
        Repo.init_bare(path).close()
    (path / "objects" / "pack").mkdir(parents=True, exist_ok=True)
