"""What one commit says: its Procfile, its .aptible.yml, whether it has a Dockerfile (SPEC 1);
and the same two files from wherever a release takes them (SPEC 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from enclave.aptible_yml import PATH as APTIBLE_YML
from enclave.aptible_yml import AptibleYml, parse_aptible_yml
from enclave.procfile import PATH as PROCFILE
from enclave.procfile import Procfile, parse_procfile

__all__ = ["APTIBLE_YML", "DOCKERFILE", "PROCFILE", "ConfigFiles", "PushedConfig"]


DOCKERFILE = "Dockerfile"


@dataclass(frozen=True, slots=True)
class ConfigFiles:
    """A Procfile and an .aptible.yml, as text that has passed our rules; None: there is none."""

    procfile: str | None = None
    aptible_yml: str | None = None

    def read_procfile(self) -> Procfile | None:
        """Parse the Procfile again; it passed once, so errors mean that our rules changed."""
        return None if self.procfile is None else parse_procfile(self.procfile.encode())

    def read_aptible_yml(self) -> AptibleYml:
        """Parse the .aptible.yml again; without one there are no commands."""
        return parse_aptible_yml((self.aptible_yml or "").encode())

    def over(self, other: ConfigFiles) -> ConfigFiles:
        """Return these files, and the other's where there is none of these (SPEC 4.2)."""
        return ConfigFiles(
            other.procfile if self.procfile is None else self.procfile,
            other.aptible_yml if self.aptible_yml is None else self.aptible_yml,
        )


@dataclass(frozen=True, slots=True)
class PushedConfig:
    """The files of one commit, as text that has passed the hooks; None where there is none.

    ``commit`` is the 40-digit id. It is stored per ref and copied into every operation that uses
    it, so that no worker reads the git repository.
    """

    commit: str
    procfile: str | None = None
    aptible_yml: str | None = None
    dockerfile: bool = False

    @property
    def files(self) -> ConfigFiles:
        """The two files."""
        return ConfigFiles(self.procfile, self.aptible_yml)
