"""Several servers take the same burst of pushes, in turns."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from itertools import count
from statistics import median

from bench.pushing.burst import Burst, run_at_once
from bench.pushing.client import Client, check, discard, push_command
from bench.pushing.raw_push import raw_push
from bench.pushing.repositories import Load
from bench.pushing.servers import BRANCH, Server, Target, Transport

_LIGHT_SECONDS = 120


class Kind(Enum):
    """Where the pushes go, and who pushes."""

    APPS = "git, each to an app of its own"
    BRANCHES = "git, each to a branch of its own of one app"
    LIGHT = "two prepared HTTP requests, each to an app of its own"


@dataclass(frozen=True, slots=True)
class Contestant:
    """One side. The same server may stand on several."""

    title: str
    over: Transport
    server: Server
    kind: Kind = Kind.APPS


@dataclass(frozen=True, slots=True)
class Standing:
    """What a contestant did: medians of its rounds."""

    rate: float
    client_cpu_seconds: float

    @classmethod
    def of(cls, bursts: Sequence[Burst]) -> Standing:
        """Take the medians: pushes a second, and processor seconds that one client used."""
        cpu = median(burst.client_cpu_seconds / burst.clients for burst in bursts)
        return cls(median(burst.rate for burst in bursts), cpu)


class Contest:
    """One load for each client, so that no two packs are the same."""

    def __init__(self, client: Client, loads: Sequence[Load]) -> None:
        self._client, self._loads = client, loads
        self._numbers = count(1)

    def hold(self, contestants: Sequence[Contestant], rounds: int) -> dict[Contestant, Standing]:
        """Let all take part in every round, each time another one first; the first is not counted.

        Raises ``RuntimeError`` when a push fails, or is not there afterwards.
        """
        bursts: dict[Contestant, list[Burst]] = {contestant: [] for contestant in contestants}
        for number in range(rounds + 1):
            first = number % len(contestants)
            for contestant in [*contestants[first:], *contestants[:first]]:
                burst = self._burst(contestant)
                print(
                    f"{number}: {contestant.title}, {contestant.over}: {burst.rate:.1f}/s",
                    file=sys.stderr,
                )
                if number:
                    bursts[contestant].append(burst)
        return {contestant: Standing.of(of_it) for contestant, of_it in bursts.items()}

    def _burst(self, contestant: Contestant) -> Burst:
        server = contestant.server
        if contestant.kind is Kind.BRANCHES:
            targets = [self._new_target(server)] * len(self._loads)
            branches = [f"{BRANCH}-{number}" for number in range(len(self._loads))]
        else:
            targets = [self._new_target(server) for _ in self._loads]
            branches = [BRANCH] * len(self._loads)
        places = list(zip(self._loads, targets, branches, strict=True))
        if contestant.kind is Kind.LIGHT:
            pushes = [
                raw_push(load, load.commits[-1], target.urls[Transport.HTTP], branch)
                for load, target, branch in places
            ]
            burst = _call_at_once([push.send for push in pushes])
        else:
            over = contestant.over
            burst = run_at_once(
                [
                    push_command(load, load.commits[-1], target.urls[over], branch)
                    for load, target, branch in places
                ],
                environment=self._client.person.environment,
                directory=self._client.person.home,
            )
        for load, target, branch in places:
            check(server, target, load.commits[-1], branch)
        for target in targets:
            discard(target)
        return burst

    def _new_target(self, server: Server) -> Target:
        target = server.new_target(f"burst-{next(self._numbers)}")
        server.make_repository(target)
        return target


def _call_at_once(calls: Sequence[Callable[[], None]]) -> Burst:
    """Call all in threads that one barrier releases. Raises what the first failing call raised."""
    barrier = threading.Barrier(len(calls) + 1)

    def wait_and_call(call: Callable[[], None]) -> None:
        barrier.wait(_LIGHT_SECONDS)
        call()

    with ThreadPoolExecutor(len(calls)) as threads:
        running = [threads.submit(wait_and_call, call) for call in calls]
        os.sync()
        cpu = time.process_time()
        barrier.wait(_LIGHT_SECONDS)
        begin = time.perf_counter()
        for call in running:
            call.result(_LIGHT_SECONDS)
        seconds = time.perf_counter() - begin
    return Burst(len(calls), seconds, time.process_time() - cpu)
