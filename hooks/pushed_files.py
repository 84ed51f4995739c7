"""Reads the files of a commit that matter (SPEC 1), from objects nobody vouches for yet."""

from __future__ import annotations

import stat
from dataclasses import dataclass

from dulwich.objects import parse_tree

from enclave.errors import InvalidFile, PushRefused
from enclave.pushed_config import APTIBLE_YML, DOCKERFILE, PROCFILE, PushedConfig
from enclave.pushed_text import SIZE_LIMIT
from hooks.check import CHECKED, check_files, not_a_file, refusal
from hooks.objects import ObjectReader

_MAX_TREE = 16 << 20  # bytes; a root folder of some 400,000 entries
_ID_BYTES = 20


@dataclass(frozen=True, slots=True)
class PushedFiles:
    """A commit's config, and the warnings that the pusher should read (SPEC 5.1)."""

    config: PushedConfig
    warnings: tuple[str, ...]


def read_pushed_files(reader: ObjectReader, commit: str) -> PushedFiles:
    """Read and check the files in the root folder of a commit (40 digits).

    Raises ``InvalidFiles`` (every problem of every file, SPEC 2.5) or ``PushRefused``.
    """
    tree = reader.contents(f"{commit}^{{tree}}", limit=_MAX_TREE)
    entries = {name: (mode, blob) for name, mode, blob in parse_tree(tree, _ID_BYTES)}
    files: dict[str, bytes | InvalidFile] = {}
    for name in CHECKED:
        if name.encode() in entries:
            mode, blob = entries[name.encode()]
            files[name] = _read_file(reader, name, mode, blob.decode())
    warnings = check_files(files)
    config = PushedConfig(
        commit,
        procfile=_text(files.get(PROCFILE)),
        aptible_yml=_text(files.get(APTIBLE_YML)),
        dockerfile=DOCKERFILE.encode() in entries,
    )
    return PushedFiles(config, warnings)


def _read_file(reader: ObjectReader, name: str, mode: int, blob: str) -> bytes | InvalidFile:
    if not stat.S_ISREG(mode):
        return not_a_file(name, "a symbolic link" if stat.S_ISLNK(mode) else "not a file")
    info = reader.info(blob)
    if info is None:
        raise PushRefused(f"{name}: object {blob} is missing")
    if info.size > SIZE_LIMIT:
        return refusal(name, f"it has {info.size} bytes; at most {SIZE_LIMIT} (64 KiB) are taken")
    return reader.contents(blob, limit=SIZE_LIMIT)


def _text(content: bytes | InvalidFile | None) -> str | None:
    return content.decode("utf-8-sig") if isinstance(content, bytes) else None
