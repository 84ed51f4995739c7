"""Finds the pushed commit that ``--git-commitish`` means (SPEC 3.3)."""

from __future__ import annotations

import re
from pathlib import Path

from enclave.app import App
from enclave.errors import AmbiguousCommitish, InvalidFiles, PushRefused, UnknownCommitish
from enclave.pushed_config import PushedConfig
from enclave.store import Store
from hooks.git import Objects
from hooks.objects import ObjectReader
from hooks.pushed_files import read_pushed_files

_COMMIT_ID = re.compile(r"[0-9a-f]{4,40}")


def resolve(store: Store, repository: Path, app: App, text: str) -> PushedConfig:
    """Return the config of a branch, a tag, or a full or abbreviated commit id pushed before.

    A ref's name goes before a commit id that looks the same, as in git. Raises
    ``UnknownCommitish`` or ``AmbiguousCommitish``.
    """
    candidates = (
        (text,) if text.startswith("refs/") else (f"refs/heads/{text}", f"refs/tags/{text}")
    )
    found = {ref: store.pushes.config(app.id, ref) for ref in candidates}
    configs = {config.commit: config for config in found.values() if config is not None}
    if len(configs) > 1:
        raise AmbiguousCommitish(
            f"{text} is both a branch and a tag: write refs/heads/{text} or refs/tags/{text}"
        )
    if configs:
        return next(iter(configs.values()))
    if _COMMIT_ID.fullmatch(text.lower()) and repository.is_dir():
        return _resolve_id(repository, app, text.lower())
    raise UnknownCommitish(_unknown(app, text))


def _resolve_id(repository: Path, app: App, text: str) -> PushedConfig:
    with ObjectReader(Objects(repository)) as reader:
        try:
            info = reader.info(f"{text}^{{commit}}")
            if info is None:
                reader.info(text)  # of several commits, git says "missing" to the question before
        except AmbiguousCommitish as error:
            raise AmbiguousCommitish(
                f"more than one pushed object begins with {text}: write more of its digits"
            ) from error
        if info is None:
            raise UnknownCommitish(_unknown(app, text))
        try:
            return read_pushed_files(reader, info.id).config
        except (InvalidFiles, PushRefused) as error:
            raise UnknownCommitish(
                f"commit {info.id[:8]} cannot be deployed, its files would be refused:\n{error}"
            ) from error


def _unknown(app: App, text: str) -> str:
    return (
        f"{text!r} is no branch, tag or commit that was pushed to {app.name}: "
        f"push it first (git push aptible {text}), or check the name"
    )
