"""The Procfile and .aptible.yml inside an image: what counts where the repository has none."""

from __future__ import annotations

from functools import partial

from enclave.aptible_yml import parse_aptible_yml
from enclave.errors import InvalidFile, OperationFailed
from enclave.procfile import parse_procfile
from enclave.pushed_config import ConfigFiles
from enclave.pushed_text import SIZE_LIMIT
from worker.runtime import Image
from worker.work import Work

PROCFILE = "/.aptible/Procfile"
APTIBLE_YML = "/.aptible/.aptible.yml"


def read_image_files(work: Work, image: Image, pushed: ConfigFiles) -> ConfigFiles | None:
    """Return the image's own files, checked; None if they cannot count (SPEC 4.2).

    An image that is live already is not looked into again. Raises ``OperationFailed`` with every
    problem's line, as a push would.
    """
    if pushed.procfile is not None and pushed.aptible_yml is not None:
        return None
    live = work.live.release
    if live is not None and live.image_id == image.id and live.image_files is not None:
        return live.image_files
    found = work.points.attempt(
        partial(
            work.runtime.files,
            image,
            (PROCFILE, APTIBLE_YML),
            limit=SIZE_LIMIT,
            name=work.placement.name(work.attempt, "files"),
            labels=work.placement.attempt(work.operation.id, work.lease.fence),
        ),
        undo=work.remove_own,
    )
    procfile, aptible_yml = found.get(PROCFILE), found.get(APTIBLE_YML)
    try:
        if procfile is not None:
            parse_procfile(procfile)
        if aptible_yml is not None:
            parse_aptible_yml(aptible_yml)
    except InvalidFile as error:
        lines = "\n".join(f"/.aptible/{line}" for line in error.lines())
        raise OperationFailed(f"A file inside the image is invalid.\n{lines}") from error
    return ConfigFiles(_text(procfile), _text(aptible_yml))


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode()
