"""The Engine's images: which digest a reference means, and having it here."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import requests
from docker.errors import APIError, ImageNotFound

from enclave.credentials import RegistryCredentials
from enclave.errors import ImageUnavailable, StepTimedOut
from enclave.image import ImageReference
from worker.runtime import Image
from worker.runtime.engine_connection import EngineConnection, timed_out
from worker.runtime.pull_progress import PullProgress
from worker.runtime.registry_errors import image_unavailable, no_answer
from worker.runtime.timed_stream import posted

_AGAIN = "Retrying in "  # how the Engine begins to say that a layer could not be had


class DockerImages:
    """Resolve, pull and inspect. Credentials go out with one request, and stay nowhere."""

    def __init__(self, engine: EngineConnection) -> None:
        self._engine = engine

    def resolve(self, reference: ImageReference, credentials: RegistryCredentials | None) -> str:
        """See ``Runtime.resolve``.

        A reference with a digest is asked for too: an image that somebody else's credentials
        brought here is not for everyone who knows its digest.
        """
        auth = _auth_config(reference, credentials)
        with self._engine.asked_to(f"resolve {reference}") as api:
            try:
                found = api.inspect_distribution(str(reference), auth_config=auth)  # type: ignore[no-untyped-call]
            except APIError as error:
                raise image_unavailable(reference, _words(error), credentials) from None
            except requests.RequestException as error:
                if not timed_out(error):
                    raise
                self._engine.check()
                raise no_answer(reference, self._engine.timeout) from None
        return str(found["Descriptor"]["digest"])

    def pull(
        self,
        reference: ImageReference,
        credentials: RegistryCredentials | None,
        *,
        progress: Callable[[str], None],
        summary: Callable[[str], None],
        seconds: float,
    ) -> Image:
        """See ``Runtime.pull``."""
        if reference.digest is None:
            raise ValueError(f"{reference} has no digest: resolve it first")
        _auth_config(reference, credentials)
        pinned = str(reference.pinned(reference.digest))
        if present := self.image(pinned):
            summary("The image is present already.")
            return present
        told = PullProgress()
        with closing(self._pull_events(reference, credentials, seconds)) as events:
            for event in events:
                if line := told.line(event):
                    progress(line)
        summary(told.summary())
        if image := self.image(pinned):
            return image
        raise ImageUnavailable(
            f"{pinned} was pulled, but somebody removed it from the Docker Engine at once."
        )

    def image(self, pinned_or_id: str) -> Image | None:
        """See ``Runtime.image``. An image that has no digest of a registry is pinned by its id."""
        with self._engine.asked_to(f"inspect the image {pinned_or_id}") as api:
            try:
                found = api.inspect_image(pinned_or_id)  # type: ignore[no-untyped-call]
            except ImageNotFound:
                return None
        pinned = pinned_or_id if "@" in pinned_or_id else next(iter(found["RepoDigests"] or ()), "")
        return _image(pinned or found["Id"], found)

    def _pull_events(
        self, reference: ImageReference, credentials: RegistryCredentials | None, seconds: float
    ) -> Generator[dict[str, Any], None, None]:
        """Yield the events of a pull. Closing the stream early has the Engine stop pulling.

        Not the SDK's ``pull``: it waits for a silent Engine without end.
        """
        header = json.dumps(_auth_config(reference, credentials)).encode()
        failing = set[str]()  # layers that the Engine waits to ask for again
        try:
            with (
                self._engine.asked_to(f"pull {reference}") as api,
                posted(
                    api,
                    "/images/create",
                    params={"fromImage": reference.repository, "tag": str(reference.digest)},
                    headers={"X-Registry-Auth": base64.urlsafe_b64encode(header).decode()},
                    ends=time.monotonic() + seconds,
                ) as response,
            ):
                # An event ends with CR LF, and requests sees an empty line if a chunk ends between.
                for line in filter(None, response.iter_lines()):
                    event = json.loads(line)
                    if message := event.get("error") or event.get("message"):
                        raise image_unavailable(reference, message, credentials)
                    if event.get("status", "").startswith(_AGAIN):
                        failing.add(event.get("id", ""))
                    else:
                        failing.discard(event.get("id", ""))
                    yield event
        except TimeoutError:
            self._engine.check()
            why = f"for {reference.domain} failed to deliver {len(failing)} layer(s) of it, "
            raise StepTimedOut(
                f"Pulling {reference} took longer than {seconds:g} s, {why if failing else ''}and "
                f"was stopped. Try again, or check the registry {reference.domain}."
            ) from None


def _auth_config(
    reference: ImageReference, credentials: RegistryCredentials | None
) -> dict[str, str]:
    """Return the Engine's ``AuthConfig``; empty, the SDK does not look into ~/.docker either."""
    if credentials is None:
        return {}
    if credentials.domain != reference.domain:
        raise ValueError(f"credentials for {credentials.domain} are not for {reference.domain}")
    return {
        "username": credentials.username,
        "password": credentials.password,
        "serveraddress": credentials.domain,
    }


def _words(error: APIError) -> str:
    return error.explanation or f"unexpected status {error.status_code}"


def _image(pinned: str, found: dict[str, Any]) -> Image:
    config = found["Config"] or {}
    ports = (port.partition("/") for port in config.get("ExposedPorts") or {})
    test = (config.get("Healthcheck") or {}).get("Test") or ["NONE"]
    return Image(
        pinned=pinned,
        id=found["Id"],
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        exposed_ports=tuple(sorted(int(n) for n, _, kind in ports if kind in {"", "tcp"})),
        has_healthcheck=test[0] != "NONE",
    )
