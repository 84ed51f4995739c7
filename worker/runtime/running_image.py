"""The last look before a release counts: do its containers run, and run its image?"""

from __future__ import annotations

from collections.abc import Iterable

from enclave.errors import ContainerDied, OperationFailed
from worker.runtime import Container


def check_running_image(containers: Iterable[Container], image_id: str) -> None:
    """Return if each of these runs exactly that image (SPEC 6.2); asks nobody.

    ``containers`` as ``Runtime.containers`` has just listed them, which is one request for all.
    Raises ``ContainerDied`` for one that does not run, ``OperationFailed`` for another image.
    """
    for container in containers:
        if not container.running:
            raise ContainerDied(f"The container {container.name} no longer runs.")
        if container.image_id != image_id:
            raise OperationFailed(
                f"The container {container.name} runs the image {container.image_id}, which is not "
                f"the release's: {image_id}."
            )
