"""What an operation will make run, as data: pure, no clock, no network (SPEC 4, DESIGN 5)."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from enclave.app import CONTAINER_SIZE_MB, App, AppState, Service
from enclave.errors import InvalidCommand, OperationFailed
from enclave.pushed_config import ConfigFiles
from enclave.release import Attempt, Release, ReleasedService
from worker.runtime import (
    LABEL_APP,
    LABEL_FENCE,
    LABEL_INDEX,
    LABEL_INSTALLATION,
    LABEL_NAME,
    LABEL_OPERATION,
    LABEL_RELEASE,
    LABEL_SERVICE,
    LABEL_STOP_SECONDS,
    LABEL_VISIT,
    LABEL_VISITED_APP,
    ContainerSpec,
    Image,
)

DEFAULT_SERVICE = "cmd"


@dataclass(frozen=True, slots=True)
class Plan:
    """The services of the new release, and the commands that run before it."""

    services: tuple[ReleasedService, ...]
    before: tuple[str, ...]

    def without_before(self) -> Plan:
        """Return the same, without the commands."""
        return replace(self, before=())


def plan_deploy(
    state: AppState,
    image: Image,
    files: ConfigFiles,
    *,
    count_of_new: int | None = None,
    size_of_new: int | None = None,
) -> Plan:
    """Return what a deploy of ``image`` with these files means.

    ``state`` is the app as the operation wants it; its services still hold the counts and sizes
    that are live. ``count_of_new`` and ``size_of_new`` are for services that are new (SPEC 4.5).
    Raises ``OperationFailed`` or ``InvalidCommand``.
    """
    procfile = files.read_procfile()
    if procfile is not None:
        commands: dict[str, str | None] = {
            process.name: process.command for process in procfile.processes
        }
    elif image.command or image.entrypoint:
        commands = {DEFAULT_SERVICE: None}
    else:
        raise OperationFailed(
            "There is nothing to run: the image has neither CMD nor ENTRYPOINT, and there is no "
            "Procfile. Build the image with a CMD; or push a Procfile to a branch (git push "
            "aptible master:BRANCH) and deploy both together (aptible deploy --git-commitish "
            "BRANCH --docker-image IMAGE)."
        )
    services = tuple(
        with_size(
            ReleasedService(
                name,
                command,
                None if command is None else arguments(command, image),
                1 if count_of_new is None else count_of_new,
                size_of_new or CONTAINER_SIZE_MB,
            ),
            state.service(name),
        )
        for name, command in commands.items()
    )
    before = files.read_aptible_yml().before_release
    for command in before:
        arguments(command, image)  # one that cannot be split is refused before anything runs
    return Plan(services, tuple(before))


def with_size(service: ReleasedService, live: Service | None) -> ReleasedService:
    """Return a service with the count and size it has, if it is not new (SPEC 4.5)."""
    if live is None:
        return service
    return replace(service, container_count=live.container_count, memory_mb=live.memory_mb)


def arguments(command: str, image: Image) -> tuple[str, ...]:
    """Return the argument vector for a command of the Procfile or .aptible.yml (SPEC 4.4).

    An image without ENTRYPOINT gets ``/bin/sh -c COMMAND``; one with an ENTRYPOINT gets the words
    of the command as its arguments: split by shell rules, no shell. Raises ``InvalidCommand``.
    """
    if not image.entrypoint:
        return ("/bin/sh", "-c", command)
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise InvalidCommand(
            f"The image has an ENTRYPOINT, so this command is split into words, which fails "
            f"({error}): {command}"
        ) from error


def live_services(services: tuple[ReleasedService, ...]) -> tuple[Service, ...]:
    """Return a release's services as the app's state keeps them."""
    return tuple(
        Service(s.process_type, s.command, s.container_count, s.memory_mb) for s in services
    )


@dataclass(frozen=True, slots=True)
class Placement:
    """Whose containers these are: what names and labels are made of."""

    installation: str
    app: App

    def labels(self) -> dict[str, str]:
        """Return the labels that every container of the app carries."""
        return {LABEL_INSTALLATION: self.installation, LABEL_APP: str(self.app.id)}

    def attempt(self, operation_id: int, fence: str) -> dict[str, str]:
        """Return the labels of every container made by one operation under one lease."""
        return {**self.labels(), LABEL_OPERATION: str(operation_id), LABEL_FENCE: fence}

    def visits(self) -> dict[str, str]:
        """Return the labels of all containers of terminals of the app."""
        return {LABEL_VISIT: self.installation, LABEL_VISITED_APP: str(self.app.id)}

    def readable(self) -> dict[str, str]:
        """Return the label for people: ``docker ps`` shows it, nothing depends on it."""
        return {LABEL_NAME: self.app.name}

    def service_containers(
        self, release: Release, configuration: Mapping[str, str]
    ) -> list[ContainerSpec]:
        """Return every container of a release, service by service."""
        return [
            self._container(release, configuration, service, index)
            for service in release.services
            for index in range(1, service.container_count + 1)
        ]

    def _container(
        self,
        release: Release,
        configuration: Mapping[str, str],
        service: ReleasedService,
        index: int,
    ) -> ContainerSpec:
        made = release.made(service)
        stop = {} if service.stop_seconds is None else {LABEL_STOP_SECONDS: service.stop_seconds}
        return ContainerSpec(
            name=self.name(made, f"{service.process_type}.{index}"),
            image_id=release.image_id,
            labels={
                **self.attempt(made.operation_id, made.fence),
                **self.readable(),
                LABEL_RELEASE: str(made.number),
                LABEL_SERVICE: service.process_type,
                LABEL_INDEX: str(index),
                **{name: str(seconds) for name, seconds in stop.items()},
            },
            command=service.arguments,
            environment=environment(
                configuration,
                commit=release.pushed.commit if release.pushed else None,
                process_type=service.process_type,
                index=index,
                count=service.container_count,
                memory_mb=service.memory_mb,
            ),
            memory_mb=service.memory_mb,
        )

    def command_container(
        self,
        attempt: Attempt,
        release: Release,
        configuration: Mapping[str, str],
        command: tuple[str, ...],
        what: str,
    ) -> ContainerSpec:
        """Return the container in which ``attempt`` runs a command with a release's image.

        ``what`` tells the containers of one attempt apart: ``before_release.2``.
        """
        return ContainerSpec(
            name=self.name(attempt, what),
            image_id=release.image_id,
            labels={**self.attempt(attempt.operation_id, attempt.fence), **self.readable()},
            command=command,
            environment=environment(
                configuration,
                commit=release.pushed.commit if release.pushed else None,
                process_type=what.partition(".")[0],
                index=1,
                count=1,
                memory_mb=CONTAINER_SIZE_MB,
            ),
            memory_mb=CONTAINER_SIZE_MB,
        )

    def visit_container(
        self,
        operation_id: int,
        release: Release,
        configuration: Mapping[str, str],
        command: str,
        *,
        visit: str,
        terminal: bool,
    ) -> ContainerSpec:
        """Return a container of an execute: a shell runs the command, whatever the ENTRYPOINT.

        It is no release's: nothing that looks after releases knows its labels. ``visit`` tells it
        from others of the same operation.
        """
        return ContainerSpec(
            name=f"enclave.app{self.app.id}.execute.op{operation_id}.{visit}.{self.installation}",
            image_id=release.image_id,
            labels={
                **self.readable(),
                **self.visits(),
                LABEL_OPERATION: str(operation_id),
            },
            entrypoint=("/bin/sh",),
            command=("-c", command),
            environment=environment(
                configuration,
                commit=release.pushed.commit if release.pushed else None,
                process_type="execute",
                index=1,
                count=1,
                memory_mb=CONTAINER_SIZE_MB,
            ),
            memory_mb=CONTAINER_SIZE_MB,
            stdin=True,
            terminal=terminal,
        )

    def name(self, made: Attempt, what: str) -> str:
        """Return a name that is unique on the Engine: enclave.app12.web.1.op7.f9.INSTALLATION.

        Made of numbers, not handles: every container can look up every other's name in Docker's
        DNS, and nobody may learn from it which apps exist (invariant 7). The label has the handle.
        """
        attempt = f"op{made.operation_id}.f{made.fence}"
        return f"enclave.app{self.app.id}.{what}.{attempt}.{self.installation}"


def environment(
    configuration: Mapping[str, str],
    *,
    commit: str | None,
    process_type: str,
    index: int,
    count: int,
    memory_mb: int,
) -> dict[str, str]:
    """Return a container's environment on top of its image's (SPEC 4.6); later wins."""
    ours = {
        "APTIBLE_PROCESS_TYPE": process_type,
        "APTIBLE_PROCESS_INDEX": str(index),
        "APTIBLE_PROCESS_CONTAINER_COUNT": str(count),
        "APTIBLE_CONTAINER_SIZE": str(memory_mb),
        "APTIBLE_LAYER": "app",
    }
    if commit is not None:
        ours["APTIBLE_GIT_REF"] = commit
    return {**configuration, **ours}
