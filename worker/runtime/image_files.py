"""Single files of an image, read without running it.

The Engine reads them out of a container that is never started. It resolves symbolic links inside
the container's own tree, whatever they say, and tells where the last one leads.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from docker.errors import APIError, NotFound

from enclave.errors import OperationFailed
from worker.runtime import ContainerSpec, Image
from worker.runtime.docker_containers import DockerContainers, gone
from worker.runtime.engine_connection import EngineConnection, raise_refusal

_NO_COMMAND = ("no-command",)  # never run; without any the Engine makes no container
_AROUND = 1 << 20  # bytes of an archive that are not the file: headers, extended attributes, end

# Go's os.FileMode, in which the Engine tells what a path is.
_LINK = 1 << 27
_KINDS = {
    1 << 31: "a directory",
    1 << 26: "a device",
    1 << 25: "a named pipe",
    1 << 24: "a socket",
    1 << 19: "no regular file",
}


@dataclass(frozen=True, slots=True)
class _Found:
    """What is at a path. ``leads_to`` is the end of a link, an absolute path in the image."""

    mode: int
    size: int
    leads_to: str
    archive: bytes


class ImageFiles:
    """Reads files out of the images of one Engine."""

    def __init__(self, engine: EngineConnection, containers: DockerContainers) -> None:
        self._engine = engine
        self._containers = containers

    def read(
        self,
        image: Image,
        paths: Sequence[str],
        *,
        limit: int,
        name: str,
        labels: Mapping[str, str],
    ) -> dict[str, bytes]:
        """See ``Runtime.files``."""
        spec = ContainerSpec(name, image.id, labels, command=_NO_COMMAND, entrypoint=())
        identifier = self._containers.create(spec)
        try:
            contents = {path: self._content(identifier, name, path, limit) for path in paths}
        finally:
            self._containers.remove(identifier)
        return {path: content for path, content in contents.items() if content is not None}

    def _content(self, identifier: str, name: str, path: str, limit: int) -> bytes | None:
        """Return what the file holds; None if nothing is there."""
        found = self._find(identifier, name, path, limit)
        if found is None:
            return None
        if found.mode & _LINK:
            end = found.leads_to
            found = self._find(identifier, name, end, limit)
            if found is None or found.mode & _LINK:
                raise OperationFailed(f"{path} in the image is a link to {end}, where nothing is.")
        for bit, kind in _KINDS.items():
            if found.mode & bit:
                raise OperationFailed(f"{path} in the image is {kind}, where a file should be.")
        if found.size > limit:
            raise OperationFailed(
                f"{path} in the image is too large: it has {found.size} bytes, and may have "
                f"{limit}."
            )
        return only_file(found.archive, path, limit=limit)

    def _find(self, identifier: str, name: str, path: str, limit: int) -> _Found | None:
        """Return what is at the path itself; links before its last part are followed."""
        with self._engine.asked_to(f"read {path} in the image") as api:
            try:
                with api.get(
                    f"{api.base_url}/v{api.api_version}/containers/{identifier}/archive",
                    params={"path": path},
                    headers={"Accept-Encoding": "identity"},
                    stream=True,
                    timeout=self._engine.timeout,
                ) as response:
                    raise_refusal(response)
                    stat = json.loads(
                        base64.b64decode(response.headers["X-Docker-Container-Path-Stat"])
                    )
                    regular = not stat["mode"] & (_LINK | sum(_KINDS))
                    wanted = regular and stat["size"] <= limit
                    # One read is all there is of a small file, and bounded whatever comes.
                    archive = response.raw.read(limit + _AROUND) if wanted else b""
            except NotFound as error:
                if "No such container" in (error.explanation or ""):
                    raise gone(name) from None
                return None
            except APIError as error:
                if (error.explanation or "").endswith("not a directory"):
                    return None
                if "too many links" in (error.explanation or ""):
                    raise OperationFailed(
                        f"{path} in the image is a symbolic link that leads in a circle."
                    ) from None
                raise
        return _Found(stat["mode"], stat["size"], stat["linkTarget"], archive)


def only_file(archive: bytes, path: str, *, limit: int) -> bytes:
    """Return the first file of a tar archive, which ``path`` names in sentences.

    Nothing is unpacked, and nothing larger than ``limit`` is made of it, whatever its headers
    promise. Raises ``OperationFailed``.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            member = tar.next()
            file = tar.extractfile(member) if member and member.isfile() else None
            if member and file and member.size <= limit:
                content = file.read()
                if len(content) == member.size:
                    return content
    except tarfile.TarError:
        pass
    raise OperationFailed(f"The Docker Engine could not give {path} in the image as a whole file.")
