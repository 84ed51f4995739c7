"""Why a container could not be started, in words for the one who wrote its command."""

from __future__ import annotations

import re
from dataclasses import dataclass

from docker.errors import APIError

from worker.runtime.engine_connection import reason

NOT_FOUND = 127
NOT_EXECUTABLE = 126
OTHER = 125

# The words of Go's exec and of runc 1.1, after what containerd and runc put in front of them.
_NO_PROGRAM = re.compile(r'exec: "(?P<program>.*?)": executable file not found in \$PATH')
_NO_FILE = re.compile(r'exec: "(?P<program>.*?)": stat .*: no such file or directory')
_NO_PERMISSION = re.compile(r'exec: "(?P<program>.*?)": (?:permission denied|is a directory)')
_ADDRESS_TAKEN = re.compile(r"Address already in use$")  # libnetwork's words
_NO_USER = re.compile(r"unable to find (?P<what>user|group) (?P<name>\S+):")
_PROCESS = re.compile(r"^.*unable to start container process: ")
_PROGRAM_LIMIT = 80


@dataclass(frozen=True, slots=True)
class StartFailure:
    """A sentence, and the status with which a shell (and ``docker run``) would have ended.

    ``address_taken``: another container has its fixed address; one made anew could start.
    """

    status: int
    sentence: str
    address_taken: bool = False


def start_failure(error: APIError) -> StartFailure:
    """Read the Engine's refusal to start a container."""
    words = error.explanation or ""
    if match := _NO_PROGRAM.search(words):
        program = _short(match["program"])
        return StartFailure(NOT_FOUND, f"There is no program {program} on the PATH of the image.")
    if match := _NO_FILE.search(words):
        return StartFailure(NOT_FOUND, f"There is no {_short(match['program'])} in the image.")
    if match := _NO_PERMISSION.search(words):
        program = _short(match["program"])
        return StartFailure(
            NOT_EXECUTABLE,
            f"{program} in the image cannot be executed: it is a directory, or the image's user "
            "lacks the permission.",
        )
    if match := _NO_USER.search(words):
        return StartFailure(
            OTHER, f"The image runs as {match['what']} {match['name']}, which does not exist in it."
        )
    if _ADDRESS_TAKEN.search(words):
        return StartFailure(
            OTHER,
            "The container could not be started: another one has its address by now.",
            address_taken=True,
        )
    rest = _PROCESS.sub("", reason(error)).removesuffix(": unknown")
    return StartFailure(OTHER, f"The container could not be started: {rest}")


def _short(program: str) -> str:
    return program if len(program) <= _PROGRAM_LIMIT else program[: _PROGRAM_LIMIT - 1] + "…"
