"""The rules that pushed files must keep (SPEC 4.3, 5.1): for a push, and for a working tree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from enclave.aptible_yml import parse_aptible_yml
from enclave.errors import InvalidAptibleYml, InvalidFile, InvalidFiles, InvalidProcfile, Problem
from enclave.procfile import parse_procfile
from enclave.pushed_config import APTIBLE_YML, PROCFILE
from enclave.pushed_text import SIZE_LIMIT

_REFUSALS: dict[str, type[InvalidFile]] = {
    PROCFILE: InvalidProcfile,
    APTIBLE_YML: InvalidAptibleYml,
}
CHECKED = tuple(_REFUSALS)
"""The names of the files that are read; a Dockerfile only has to be there."""


def check_files(files: Mapping[str, bytes | InvalidFile]) -> tuple[str, ...]:
    """Check the contents of the files that are there; return the warnings.

    A file that could not even be read stands as the error that says why. Raises ``InvalidFiles``
    with every problem of every file.
    """
    refused: list[InvalidFile] = []
    warnings: tuple[str, ...] = ()
    for name, content in files.items():
        if isinstance(content, InvalidFile):
            refused.append(content)
            continue
        try:
            if name == PROCFILE:
                parse_procfile(content)
            else:
                warnings += parse_aptible_yml(content).warnings
        except InvalidFile as error:
            refused.append(error)
    if refused:
        raise InvalidFiles(tuple(refused))
    return warnings


def check_directory(directory: Path) -> tuple[str, ...]:
    """Give the hooks' verdict on a working tree: return the warnings, or raise ``InvalidFiles``."""
    files: dict[str, bytes | InvalidFile] = {}
    for name in CHECKED:
        path = directory / name
        if path.is_symlink() or (path.exists() and not path.is_file()):
            files[name] = not_a_file(name, "a symbolic link" if path.is_symlink() else "not a file")
        elif path.exists():
            with path.open("rb") as file:
                files[name] = file.read(SIZE_LIMIT + 1)
    return check_files(files)


def not_a_file(name: str, kind: str) -> InvalidFile:
    """Return the error for a name that stands for something else than a file."""
    return refusal(name, f"this is {kind}: commit the file itself")


def refusal(name: str, message: str) -> InvalidFile:
    """Return the error that refuses a file as a whole."""
    return _REFUSALS[name](name, (Problem(message),))
