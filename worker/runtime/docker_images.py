"""The Engine's images: which digest a reference means, having it here, and letting it go."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Generator
from contextlib import closing
from http import HTTPStatus
from typing import Any

import requests
from docker.errors import APIError, ImageNotFound

from enclave.credentials import RegistryCredentials
from enclave.errors import ImageUnavailable, StepTimedOut
from enclave.image import ImageReference
from worker.runtime import Image
from worker.runtime.engine_connection import EngineConnection, timed_out
from worker.runtime.engine_disk import EngineDisk
from worker.runtime.image_marks import Marks, marked_by_anyone
from worker.runtime.pull_progress import PullProgress
from worker.runtime.registry_errors import image_unavailable, no_answer
from worker.runtime.timed_stream import posted

_AGAIN = "Retrying in "  # how the Engine begins to say that a layer could not be had


class DockerImages:
    """Resolve, pull, inspect, remove. Credentials go out with one request, and stay nowhere."""

    def __init__(self, engine: EngineConnection, marks: Marks, disk: EngineDisk) -> None:
        self._engine, self._marks, self._disk = engine, marks, disk

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
        if found := self._inspect(pinned):
            if marked_by_anyone(found["RepoTags"] or (), pinned):
                self._mark(pinned)
            summary("The image is present already.")
            return _image(pinned, found)
        self._disk.check(reference)
        told = PullProgress()
        with closing(self._pull_events(reference, credentials, seconds)) as events:
            for event in events:
                if line := told.line(event):
                    progress(line)
                    self._disk.check(reference, told.coming)
        self._mark(pinned)  # killed before this, it stays for good: nobody knows whose it is
        summary(told.summary())
        if image := self.image(pinned):
            return image
        raise ImageUnavailable(_gone(pinned))

    def image(self, pinned_or_id: str) -> Image | None:
        """See ``Runtime.image``. An image that has no digest of a registry is pinned by its id."""
        found = self._inspect(pinned_or_id)
        if found is None:
            return None
        pinned = pinned_or_id if "@" in pinned_or_id else next(iter(found["RepoDigests"] or ()), "")
        return _image(pinned or found["Id"], found)

    def pulled(self) -> list[str]:
        """See ``Runtime.pulled``."""
        with self._engine.asked_to("list its images") as api:
            found = api.images()  # not by a filter: what it does not match is left out of names
        names = ((each["RepoTags"] or (), each["RepoDigests"] or ()) for each in found)
        return sorted({held for tags, digests in names for held in self._marks.held(tags, digests)})

    def remove(self, pinned: str) -> bool:
        """See ``Runtime.remove_image``.

        Names are taken away, never by force; the Engine removes an image that has none left. The
        mark goes last: whoever dies in between has left it for the next to find.
        """
        mark = self._marks.mark(pinned)
        found = self._inspect(mark)
        if found is None:
            return True
        tags = found["RepoTags"] or ()
        if not all(map(self._marks.is_ours, tags)):  # somebody may count on its digest, too
            return self._untag(mark)
        if len(tags) == 1 and self._is_used(found["Id"]):
            return False
        return (pinned == mark or self._untag(pinned)) and self._untag(mark)

    def _inspect(self, name: str) -> dict[str, Any] | None:
        with self._engine.asked_to(f"inspect the image {name}") as api:
            try:
                found: dict[str, Any] = api.inspect_image(name)  # type: ignore[no-untyped-call]
            except ImageNotFound:
                return None
        return found

    def _mark(self, pinned: str) -> None:
        repository, _, tag = self._marks.mark(pinned).rpartition(":")
        with self._engine.asked_to(f"tag the image {pinned}") as api:
            try:
                api.tag(pinned, repository, tag)
            except ImageNotFound:
                raise ImageUnavailable(_gone(pinned)) from None

    def _is_used(self, image_id: str) -> bool:
        """Tell whether a container of anybody's, running or not, was made from the image."""
        with self._engine.asked_to("list containers") as api:
            return bool(api.containers(all=True, filters={"ancestor": image_id}))

    def _untag(self, name: str) -> bool:
        """Take a name away; False when it is the image's last, and a container needs the image."""
        with self._engine.asked_to(f"remove the image {name}") as api:
            try:
                api.remove_image(name, force=False, noprune=True)
            except ImageNotFound:
                return True
            except APIError as error:
                if error.status_code != HTTPStatus.CONFLICT:
                    raise
                return False
        return True

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
    if credentials.is_identity_token:
        return {"identitytoken": credentials.password, "serveraddress": credentials.domain}
    return {
        "username": credentials.username,
        "password": credentials.password,
        "serveraddress": credentials.domain,
    }


def _gone(pinned: str) -> str:
    return f"{pinned} was pulled, but somebody removed it from the Docker Engine at once."


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
