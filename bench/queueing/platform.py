"""A whole Enclave of one worker, without a Docker Engine: nothing that is queued gets that far."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.installation import Installation

_NO_ENGINE = "unix:///nonexistent/docker.sock"


@contextmanager
def platform() -> Iterator[Installation]:
    """Bring it up; its directory and its processes are gone at the end."""
    installation = Installation(_NO_ENGINE, settings={"ENCLAVE_WORKERS": "1"})
    try:
        installation.start()
        yield installation
    finally:
        installation.stop()
        shutil.rmtree(installation.directory, ignore_errors=True)
