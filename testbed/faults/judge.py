"""After the chaos: was anything lost, done twice, or told that is not so?"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import docker
import redis
import requests

from testbed.faults.cells import Told
from testbed.faults.crowd import Crowd
from testbed.faults.platform import ShakyPlatform
from testbed.faults.state import app_state
from testbed.faults.trial import SETTLED_SECONDS


@dataclass(slots=True)
class Verdict:
    """What was seen in all, and every problem."""

    told: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    settled_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return what was seen, for people."""
        told = ", ".join(f"{count} {word}" for word, count in sorted(self.told.items()))
        ended = ", ".join(f"{count} {word}" for word, count in sorted(self.ended.items()))
        problems = f"**{len(self.problems)} problems**" if self.problems else "nothing"
        settled = f"{self.settled_seconds:.1f} s"
        return [
            f"Pushes and deploys were told: {told}. Operations: {ended}. Commands that ran, as "
            f"counted outside: {self.commands}. All had come to rest {settled} after the last "
            f"victim was back. Lost, done twice, or told otherwise than it was: {problems}."
        ]


def judge(platform: ShakyPlatform, crowd: Crowd, *, back: float) -> Verdict:
    """Wait until everything has come to rest, and look at it. ``back`` is on the monotonic clock.

    The wait counts from the end of the crowd, whose last clients may have waited for their deploys.
    """
    verdict = Verdict()
    _come_to_rest(platform, crowd, verdict, back)
    for app in crowd.pushed_apps:
        _judge_pushes(platform, crowd, app, verdict)
    _judge_deploys(platform, crowd, verdict)
    verdict.problems += [f"a client hung: {said}" for said in crowd.hung]
    return verdict


def _come_to_rest(platform: ShakyPlatform, crowd: Crowd, verdict: Verdict, back: float) -> None:
    deadline = time.monotonic() + SETTLED_SECONDS
    problems = ["nothing could be read"]
    while problems and time.monotonic() < deadline:
        try:
            states = {app: app_state(platform.installation, app) for app in crowd.apps}
            problems = [
                f"{app}: {problem}"
                for app, state in states.items()
                for problem in state.under_way + state.not_whole
            ]
        except (redis.RedisError, docker.errors.DockerException, requests.RequestException):
            problems = ["the store or the Engine does not answer"]
        time.sleep(0.05)
    verdict.problems += problems
    verdict.settled_seconds = time.monotonic() - back


def _operations(platform: ShakyPlatform, app: str) -> list[dict[str, Any]]:
    """Return the app's operations in the order they ended, which is that of its queue."""
    found = []
    with platform.installation.redis() as client:
        for number in platform.installation.operations(app):
            record: dict[str, Any] = dict(client.hgetall(f"enclave:operation:{number}"))
            found.append({**record, "id": number, "request": json.loads(record["request"])})
    return sorted(found, key=lambda each: str(each.get("ended_at", "~")))


def _judge_pushes(platform: ShakyPlatform, crowd: Crowd, app: str, verdict: Verdict) -> None:
    operations = _operations(platform, app)
    verdict.ended.update(each["status"] for each in operations)
    by_commit: dict[str, list[dict[str, Any]]] = {}
    for each in operations:
        commit = (each["request"].get("pushed") or {}).get("commit")
        by_commit.setdefault(str(commit), []).append(each)
    succeeded = [each for each in operations if each["status"] == "succeeded"]
    state = app_state(platform.installation, app)
    last = (succeeded[-1]["request"].get("pushed") or {}).get("commit") if succeeded else None
    if state.ref != last:
        verdict.problems.append(f"{app}: master is {state.ref}, last deployed was {last}")
    if state.release != len(succeeded):
        verdict.problems.append(f"{app}: release {state.release} after {len(succeeded)} successes")

    stored = platform.installation.refs(app)
    staged: list[str] = []
    for number, asked in enumerate(crowd.told[app], 1):
        verdict.told[f"{asked.told}"] += 1
        tries = by_commit.get(asked.what, [])
        done = [each for each in tries if each["status"] == "succeeded"]
        if asked.branch != "master":
            staged = [asked.what] if asked.told is Told.OK else [*staged, asked.what]
        elif asked.told is Told.OK and len(done) != 1:
            verdict.problems.append(f"{app}: {asked.what} was told ok, and succeeded {len(done)}x")
        elif asked.told is Told.NG and done:
            verdict.problems.append(f"{app}: {asked.what} was told ng, and succeeded")
        elif asked.told is Told.NG and "deploy failed" in asked.said and not tries:
            verdict.problems.append(f"{app}: {asked.what} failed without an operation")
        ran = crowd.witness.seen[f"/{app}/{number}"]
        verdict.commands += ran
        if ran > len(tries) or ran < len(done):
            verdict.problems.append(
                f"{app}: the command of {asked.what} ran {ran}x in {len(tries)} operations"
            )
    if staged and stored.get("refs/heads/staging") not in staged:
        verdict.problems.append(f"{app}: staging is not one of {len(staged)} last pushed")


def _judge_deploys(platform: ShakyPlatform, crowd: Crowd, verdict: Verdict) -> None:
    app = crowd.deployed_app
    operations = {each["id"]: each for each in _operations(platform, app)}
    verdict.ended.update(each["status"] for each in operations.values())
    for asked in crowd.told[app]:
        verdict.told[f"{asked.told}"] += 1
        status = operations[asked.what]["status"] if asked.what in operations else "not there"
        if asked.told is Told.OK and status != "succeeded":
            verdict.problems.append(f"{app}: operation {asked.what} was told ok, and is {status}")
        if asked.told is Told.NG and status != "failed":
            verdict.problems.append(f"{app}: operation {asked.what} was told ng, and is {status}")
    count = sum(each["status"] == "succeeded" for each in operations.values())
    release = app_state(platform.installation, app).release
    if release != count:
        verdict.problems.append(f"{app}: release {release} after {count} successes")
