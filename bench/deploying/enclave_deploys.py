"""Redeploys of one app by a whole installation, and where the time of each goes."""

from __future__ import annotations

import re
import secrets
import time
from collections import defaultdict
from dataclasses import dataclass, field
from time import perf_counter

from enclave.changes import Changes
from enclave.credentials import RegistryCredentials
from enclave.operation import OperationRequest, OperationStatus, OperationType, Source
from enclave.pushed_config import PushedConfig
from enclave.settings import Settings
from enclave.store import Store, keys, open_store
from enclave.store.logs import LogEntry
from testbed.installation import Installation
from testbed.processes import wait_until

_SECONDS = 60.0
_EMAIL = "bench@example.com"
_STEP = re.compile(r"INFO: (?P<mark>STARTING|COMPLETED \(.*?\)): (?P<step>\w+)")
_ENDED = {str(status) for status in OperationStatus if status.ended}


@dataclass(slots=True)
class Sample:
    """One redeploy, in seconds: until it runs, from there to its end, until the old are gone.

    ``steps`` are the log's, and ``else`` what lies between them, of the time until the end.
    """

    queued: float
    run: float
    tidied: float
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def whole(self) -> float:
        """From the moment it is asked for to its end in the store."""
        return self.queued + self.run


class EnclaveDeploys:
    """``services`` services of one app, a container each, of one image."""

    def __init__(
        self,
        installation: Installation,
        reference: str,
        credentials: RegistryCredentials,
        *,
        name: str,
        command: str,
        services: int,
    ) -> None:
        self._installation = installation
        self._redis = installation.redis()
        self._redis.config_set("notify-keyspace-events", "Kh")
        self._store = _open(installation)
        handle = f"{name}-environment"
        environment = self._store.apps.create_environment(handle)
        self._app = self._store.apps.create(environment, name)
        procfile = "".join(f"service{number}: {command}\n" for number in range(services))
        pushed = PushedConfig(secrets.token_hex(20), procfile)
        first = Changes(image=reference, credentials=credentials)
        self._deploy(first, source=Source.COMMIT, pushed=pushed)

    def redeploy(self) -> Sample:
        """Deploy the stored image again."""
        return self._deploy(Changes())

    def _deploy(
        self,
        changes: Changes,
        *,
        source: Source = Source.KEEP,
        pushed: PushedConfig | None = None,
    ) -> Sample:
        request = OperationRequest(
            self._app.id,
            OperationType.DEPLOY,
            user_id=1,
            user_email=_EMAIL,
            source=source,
            pushed=pushed,
        )
        with self._redis.pubsub() as told:  # type: ignore[no-untyped-call]
            told.psubscribe("__keyspace@0__:*operation*")
            told.get_message(timeout=_SECONDS)
            begin, asked = perf_counter(), time.time()
            number = self._store.operations.submit(request, changes).id
            record = keys.operation(number)
            running = 0.0
            while told.get_message(timeout=_SECONDS) is not None:
                status = self._redis.hget(record, "status")
                running = running or (perf_counter() if status != "queued" else 0.0)
                if status in _ENDED:
                    break
            ended = perf_counter()
        if status != OperationStatus.SUCCEEDED:
            raise RuntimeError(f"a deploy did not succeed: {self._redis.hgetall(record)}")
        self._wait_until_tidied(number)
        tidied = perf_counter() - ended
        steps = _steps(list(self._store.logs.so_far(number)), asked)
        return Sample(running - begin, ended - running, tidied, steps)

    def _wait_until_tidied(self, number: int) -> None:
        """Return when only the containers of this operation are left, and no job runs."""

        def tidied() -> bool:
            found = self._installation.containers(self._app.name, every=True)
            return {each["operation"] for each in found} == {str(number)} and not (
                self._installation.work_horses()
            )

        wait_until(tidied, seconds=_SECONDS, what="the old containers stayed")


def _steps(entries: list[LogEntry], asked: float) -> dict[str, float]:
    """Return how long each step of the log took; the store's clock has milliseconds."""
    seconds: dict[str, float] = defaultdict(float)
    before, within = asked, "else"
    for entry in entries:
        seconds[within] += entry.seconds - before
        before = entry.seconds
        if match := _STEP.match(entry.line):
            within = match["step"] if match["mark"] == "STARTING" else "else"
    return dict(seconds)


def _open(installation: Installation) -> Store:
    return open_store(Settings(data=installation.data, redis_url="", secret_keys=""))
