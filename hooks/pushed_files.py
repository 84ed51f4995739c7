"""Reads the files of a commit that matter (SPEC 1), from objects nobody vouches for yet."""

from __future__ import annotations

import stat
from dataclasses import dataclass

from dulwich.errors import ObjectFormatException
from dulwich.objects import parse_tree

from enclave.errors import InvalidFile, InvalidFiles, PushRefused
from enclave.pushed_config import APTIBLE_YML, DOCKERFILE, PROCFILE, PushedConfig
from enclave.pushed_text import SIZE_LIMIT
from hooks.check import CHECKED, check_files, not_a_file, refusal
from hooks.objects import ObjectReader

_MAX_TREE = 16 << 20  # bytes; a root folder of some 400,000 entries
_ID_BYTES = 20
MAX_CONFIGS = 8 << 20  # characters, over all refs of a push


@dataclass(frozen=True, slots=True)
class PushedFiles:
    """A commit's config, and the warnings that the pusher should read (SPEC 5.1)."""

    config: PushedConfig
    warnings: tuple[str, ...]

    @property
    def size(self) -> int:
        """What is stored of it for each ref, in characters."""
        return len(self.config.procfile or "") + len(self.config.aptible_yml or "")


class PushedCommits:
    """The files of one push's commits: each is read once, however many refs point at it."""

    def __init__(self, reader: ObjectReader) -> None:
        self.reader = reader
        self._read: dict[str, PushedFiles | InvalidFiles] = {}
        self._size = 0

    def files(self, commit: str) -> PushedFiles:
        """Do as ``read_pushed_files`` does, for one ref."""
        if commit not in self._read:
            try:
                self._read[commit] = read_pushed_files(self.reader, commit)
            except InvalidFiles as error:
                self._read[commit] = error
        files = self._read[commit]
        if isinstance(files, InvalidFiles):
            raise files
        self._size += files.size
        return files

    def check_size(self) -> None:
        """Raise ``PushRefused`` when the refs' configs together are more than a push may store."""
        if self._size > MAX_CONFIGS:
            raise PushRefused(
                f"the {PROCFILE}s and {APTIBLE_YML}s of this push come to more than "
                f"{MAX_CONFIGS >> 20} MiB, counted once a ref: push fewer refs at a time"
            )


def read_pushed_files(reader: ObjectReader, commit: str) -> PushedFiles:
    """Read and check the files in the root folder of a commit (40 digits).

    Raises ``InvalidFiles`` (every problem of every file, SPEC 2.5) or ``PushRefused``.
    """
    tree = reader.contents(f"{commit}^{{tree}}", limit=_MAX_TREE)
    try:
        entries = {name: (mode, blob) for name, mode, blob in parse_tree(tree, _ID_BYTES)}
    except ObjectFormatException as error:  # git reads some that dulwich does not
        raise PushRefused(f"the root folder of {commit[:8]} cannot be read: {error}") from error
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
