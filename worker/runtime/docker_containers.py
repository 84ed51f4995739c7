"""One container at a time on the Docker Engine: the calls that ``DockerEngine``'s story is made of.

Everything takes the Engine's id; ``name`` is for sentences.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import requests
from docker import APIClient
from docker.errors import APIError, NotFound
from urllib3.exceptions import HTTPError

from enclave.errors import ContainerDied, OperationFailed
from worker.runtime import LABEL_APP, LABEL_INSTALLATION, Container, ContainerSpec
from worker.runtime.attached_output import frames
from worker.runtime.container_log import Entry, entries, since
from worker.runtime.container_options import create_options, needs_image
from worker.runtime.docker_images import DockerImages
from worker.runtime.engine_connection import EngineConnection, raise_refusal, timed_out
from worker.runtime.isolated_network import IsolatedNetwork
from worker.runtime.last_lines import MORE, last_lines
from worker.runtime.start_failures import StartFailure, start_failure

KILLED = 137  # 128 + SIGKILL
_SHORTEST_WAIT = 0.1  # seconds; a timeout of 0 is an error to urllib3
_LAST_LINES = 20
_READ_BYTES = 64 * 1024


class DockerContainers:
    """The containers of one Engine, all on one network."""

    def __init__(
        self, engine: EngineConnection, network: IsolatedNetwork, images: DockerImages
    ) -> None:
        self._engine = engine
        self._network = network
        self._images = images

    def create(self, spec: ContainerSpec, *, fixed_address: bool = False) -> str:
        """Create the container and return its id, in place of a dead attempt's of its name.

        Another worker may have chosen the same fixed address: then ``start`` says so.
        """
        image = self._images.image(spec.image_id) if needs_image(spec) else None
        hidden = spec.environment.values()
        with self._engine.asked_to(f"create the container {spec.name}", hidden=hidden) as api:
            self._network.ensure(api)
            with self._network.free_address(api) if fixed_address else nullcontext() as address:
                options = create_options(
                    spec,
                    network=self._network.name,
                    address=address,
                    api_version=api.api_version,
                    image=image,
                )
                try:
                    return str(api.create_container(**options)["Id"])
                except APIError as error:
                    if error.status_code != requests.codes.conflict:
                        raise
                self._clear(api, spec)
                return str(api.create_container(**options)["Id"])

    def _clear(self, api: APIClient, spec: ContainerSpec) -> None:
        """Remove the container that has the name of ``spec``, if it is this installation's."""
        try:
            found = api.inspect_container(spec.name)
        except NotFound:
            return
        labels, installation = found["Config"]["Labels"], spec.labels.get(LABEL_INSTALLATION)
        if LABEL_APP not in labels or labels.get(LABEL_INSTALLATION) != installation:
            raise OperationFailed(
                f"A container that is not of this installation has the name {spec.name}. Give it "
                f"another with `docker rename {spec.name} NAME`, or remove it."
            )
        self.remove(found["Id"])

    def start(self, identifier: str, name: str) -> StartFailure | None:
        """Start the container; running already is fine. Return why it cannot be started."""
        with self._engine.asked_to(f"start the container {name}") as api:
            try:
                api.start(identifier)
            except NotFound as error:
                if "No such container" in (error.explanation or ""):
                    raise gone(name) from None
                return start_failure(error)
            except APIError as error:
                return start_failure(error)
        return None

    def set_restart_policy(self, identifier: str, name: str, policy: dict[str, str]) -> None:
        """Say what the Engine does when the container dies. Raises ``ContainerDied`` if gone."""
        with self._engine.asked_to(f"set the restart policy of the container {name}") as api:
            try:
                api.update_container(identifier, restart_policy=policy)  # type: ignore[arg-type]  # the stub's names lack some
            except NotFound:
                raise gone(name) from None

    def inspect(self, identifier: str, name: str) -> Container:
        """Return the container as it is now. Raises ``ContainerDied`` if it is gone."""
        found = self.details(identifier, name)
        return Container(
            id=found["Id"],
            name=found["Name"].removeprefix("/"),
            labels=found["Config"]["Labels"],
            running=found["State"]["Status"] == "running",
            image_id=found["Image"],
            address=self._address(found),
            restarting=found["State"]["Status"] == "restarting",
        )

    def labelled(self, labels: Mapping[str, str]) -> list[Container]:
        """Return all that carry these labels, with one request however many there are."""
        wanted = [f"{name}={value}" for name, value in labels.items()]
        with self._engine.asked_to("list the containers") as api:
            found = api.containers(all=True, filters={"label": wanted})
        return [
            Container(
                id=each["Id"],
                name=each["Names"][0].removeprefix("/"),
                labels=each["Labels"],
                running=each["State"] == "running",
                image_id=each["ImageID"],
                address=self._address(each),
                restarting=each["State"] == "restarting",
            )
            for each in found
        ]

    def remove(self, identifier: str) -> None:
        """Kill and remove the container; return when it is gone and its name is free."""
        with self._engine.asked_to("remove a container") as api:
            try:
                api.remove_container(identifier, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != requests.codes.conflict:
                    raise
                self._await_removal(api, identifier)

    def _await_removal(self, api: APIClient, identifier: str) -> None:
        """Wait for a removal that somebody else began."""
        try:
            api.wait(identifier, condition="removed", timeout=self._engine.timeout)  # type: ignore[arg-type]  # requests takes floats
        except NotFound:
            return

    def exited(self, identifier: str, name: str, *, seconds: float) -> int | None:
        """Wait for the container's end, and return its exit status; None if it still runs.

        A container that was removed meanwhile was killed.
        """
        with self._engine.asked_to(f"wait for the container {name}") as api:
            try:
                ended = api.wait(identifier, timeout=max(seconds, _SHORTEST_WAIT))  # type: ignore[arg-type]  # requests takes floats
            except NotFound:
                return KILLED
            except requests.RequestException as error:
                if not timed_out(error):
                    raise
                return None
        return int(ended["StatusCode"])

    @contextmanager
    def attached(
        self, identifier: str, name: str, *, stdin: bool = False
    ) -> Iterator[requests.Response]:
        """Attach to a container that has not started; the answer is upgraded to its output.

        With ``stdin``, what is sent on it is its input. Not the SDK's ``attach``: it reads without
        a deadline.
        """
        with self._engine.asked_to(f"attach to the container {name}") as api:
            response = api.post(
                f"{api.base_url}/v{api.api_version}/containers/{identifier}/attach",
                params={"stream": "1", "stdout": "1", "stderr": "1", "stdin": str(int(stdin))},
                headers={"Connection": "Upgrade", "Upgrade": "tcp"},
                stream=True,
                timeout=self._engine.timeout,
            )
            raise_refusal(response)
        with response:
            yield response

    def resize(self, identifier: str, *, columns: int, rows: int) -> None:
        """Give its terminal another size; one that is gone needs none."""
        with self._engine.asked_to("resize a terminal") as api, suppress(NotFound):
            try:
                api.resize(identifier, height=rows, width=columns)
            except APIError as error:
                if error.status_code != requests.codes.conflict:  # it does not run (any more)
                    raise

    def signal(self, identifier: str, name: str) -> None:
        """Send its first process a signal, by the signal's name; one that is gone needs none."""
        with self._engine.asked_to("send a signal to a container") as api, suppress(NotFound):
            try:
                api.kill(identifier, signal=name)
            except APIError as error:
                if error.status_code != requests.codes.conflict:
                    raise

    def tail(self, identifier: str, name: str, *, lines: int) -> list[str]:
        """Return the last whole lines of its output; none if it is gone, or being removed.

        Not the SDK's ``logs``: it tells neither the two streams nor the parts of lines apart.
        """
        asked = lines + MORE
        with self._engine.asked_to(f"read the log of the container {name}") as api:
            response = api.get(
                f"{api.base_url}/v{api.api_version}/containers/{identifier}/logs",
                params={"stdout": "1", "stderr": "1", "tail": str(asked)},
                timeout=self._engine.timeout,
            )
            if not _has_log(response):
                return []
        found = list(frames(io.BytesIO(response.content).read))
        return last_lines(found, lines=lines, beginning=len(found) < asked)

    @contextmanager
    def log(
        self, identifier: str, name: str, *, since_time: str, last: int | None
    ) -> Iterator[Iterator[Entry] | None]:
        """Lend what the Engine has kept of its output, from ``since_time`` on, as it is read.

        ``last``: of these, the last so many entries. None if it is gone, or being removed.
        """
        asked = {"stdout": "1", "stderr": "1", "timestamps": "1"}
        asked |= {"since": since(since_time)} if since_time else {}
        asked |= {"tail": str(last)} if last is not None else {}
        with self._engine.asked_to(f"read the log of the container {name}") as api:
            response = api.get(
                f"{api.base_url}/v{api.api_version}/containers/{identifier}/logs",
                params=asked,
                timeout=self._engine.timeout,
                stream=True,
            )
            with response:
                has_log = _has_log(response)
                yield entries(frames(_reader(response))) if has_log else None

    def death(self, identifier: str, name: str) -> ContainerDied:
        """Return the error for a container that has died: how, and its last lines."""
        state = self.details(identifier, name)["State"]
        status = state["ExitCode"]
        how = "ran out of its memory and was killed" if state["OOMKilled"] else "ended"
        lines = self.tail(identifier, name, lines=_LAST_LINES)  # whole: secrets are masked later
        said = "\n".join(["Its last lines:", *lines]) if lines else "It printed nothing."
        return ContainerDied(f"The container {name} {how} with exit status {status}.\n{said}")

    def details(self, identifier: str, name: str) -> dict[str, Any]:
        """Return all that the Engine says of it. Raises ``ContainerDied`` if it is gone."""
        with self._engine.asked_to(f"inspect the container {name}") as api:
            try:
                return dict(api.inspect_container(identifier))
            except NotFound:
                raise gone(name) from None

    def _address(self, found: dict[str, Any]) -> str:
        network = found["NetworkSettings"]["Networks"].get(self._network.name) or {}
        return str(network.get("IPAddress") or "")


def _reader(response: requests.Response) -> Callable[[int], bytes]:
    """Return what reads a streamed body, and fails as requests does."""
    response.raw.auto_close = False  # else it is closed at its end, and cannot say so
    body = io.BufferedReader(response.raw, _READ_BYTES)

    def read(size: int) -> bytes:
        try:
            return body.read(size)
        except HTTPError as error:
            raise requests.ConnectionError(error) from error

    return read


def _has_log(response: requests.Response) -> bool:
    """Whether the answer is a container's log: false if it is gone, or being removed."""
    try:
        raise_refusal(response)
    except NotFound:
        return False
    except APIError as error:
        if "marked for removal" not in (error.explanation or ""):
            raise
        return False
    return True


def gone(name: str) -> ContainerDied:
    """Return the error for a container that somebody removed."""
    return ContainerDied(f"The container {name} is gone: somebody removed it.")
