"""HAProxy's directory: a configuration in it is whole, or it is the one before."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from enclave.errors import RouterRefused
from router.configuration import Configuration

MAIN = "haproxy.cfg"
_CHECK_SECONDS = 60.0
_TOLD_CHARACTERS = 1000

Stamp = tuple[int, int, int]


class ConfigurationFiles:
    """The files that HAProxy reads when it starts or is reloaded. All are private (mode 600)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written: Configuration | None = None
        self._stamps: dict[str, Stamp | None] = {}

    def are_untouched(self) -> bool:
        """Whether the files are those last written. Costs a stat(2) of each."""
        return self._written is not None and all(
            self._stamp(name) == stamp for name, stamp in self._stamps.items()
        )

    def write(self, configuration: Configuration) -> None:
        """Make the files be these. The main one is replaced last, and at once.

        A new structure is shown to HAProxy first: raises ``RouterRefused`` if it cannot be read,
        and the files are then as they were.
        """
        if self._written == configuration and self.are_untouched():
            return
        known = self._written is not None and self._written.structure == configuration.structure
        for name, text in configuration.others.items():
            if self._read(name) != text:
                self._replace(name, text)
        if self._read(MAIN) != configuration.main:
            self._replace(MAIN, configuration.main, check=not known)
        self._drop_others(configuration)
        self._written = configuration
        self._stamps = {name: self._stamp(name) for name in (MAIN, *configuration.others)}

    def _replace(self, name: str, text: str, *, check: bool = False) -> None:
        descriptor, aside = tempfile.mkstemp(prefix=f".{name}.", dir=self._directory)  # mode 600
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            if check:
                _check(Path(aside))
            Path(aside).replace(self._directory / name)
        finally:
            Path(aside).unlink(missing_ok=True)

    def _drop_others(self, configuration: Configuration) -> None:
        """Remove what older configurations named, and what a killed router left unfinished."""
        for pattern in ("*-*.map", "certificates-*.list", ".*.map.*", ".*.list.*", ".*.cfg.*"):
            for path in self._directory.glob(pattern):
                if path.name not in configuration.others:
                    path.unlink(missing_ok=True)

    def _read(self, name: str) -> str | None:
        try:
            return (self._directory / name).read_text()
        except (FileNotFoundError, UnicodeDecodeError):
            return None

    def _stamp(self, name: str) -> Stamp | None:
        try:
            status = (self._directory / name).stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size


def _check(path: Path) -> None:
    """Raise ``RouterRefused`` with HAProxy's words unless it can read the file."""
    command = ["haproxy", "-c", "-f", str(path)]
    try:
        checked = subprocess.run(
            command, capture_output=True, text=True, timeout=_CHECK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RouterRefused(f"haproxy could not check its configuration: {error}") from error
    if checked.returncode != 0:
        words = checked.stderr[-_TOLD_CHARACTERS:].strip()
        raise RouterRefused(f"HAProxy would not take its new configuration: {words}")
