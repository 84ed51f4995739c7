"""What an installation asks its Redis, as Redis's MONITOR tells it."""

from __future__ import annotations

import threading
import uuid

import redis

from testbed.installation import Installation
from testbed.processes import wait_until

_ANSWER_SECONDS = 10.0
_REST_SECONDS = 60.0
_DUE = ("enclave:due", "enclave:webhooks:due")
"""The channels on which receivers hear that there is something to look at."""

_SIGNS_OF_LIFE = (
    *("HSET rq:worker:", "EXPIRE rq:worker:"),  # its record, which expires if it does not
    "BLMOVE rq:queue:",  # it goes on waiting for a job
)


def wait_until_idle(installation: Installation) -> None:
    """Return when the workers wait for a job, the receivers for something due, and nobody has asked
    Redis anything for a second.
    """

    def idle() -> bool:
        parts = ("worker", "housekeeper", "courier")
        workers = [pid for part in parts for pid in installation.pids(part)]
        with installation.redis() as client:
            others = [each for each in client.client_list() if each["cmd"] != "client|list"]
            listening = [count for _, count in client.pubsub_numsub(*_DUE)]
        return (
            sum(each["cmd"] == "blmove" for each in others) == len(workers)
            and listening == [len(installation.pids("receiver"))] * len(_DUE)
            and all(int(each["idle"]) >= 1 for each in others)
        )

    wait_until(idle, seconds=_REST_SECONDS, what="Redis was never left alone")


def commands_during(seconds: float, installation: Installation) -> list[str]:
    """Return the commands that its Redis runs within ``seconds``, but for our own."""
    end = uuid.uuid4().hex
    address = str(installation.redis_socket)
    patience = seconds + _ANSWER_SECONDS
    commands: list[str] = []
    with (
        redis.Redis(unix_socket_path=address, single_connection_client=True) as marker,
        redis.Redis(unix_socket_path=address, socket_timeout=patience) as watcher,
        watcher.monitor() as monitor,
    ):
        timer = threading.Timer(seconds, marker.echo, [end])
        timer.start()
        try:
            while end not in (command := str(monitor.next_command()["command"])):
                commands.append(command)
        finally:
            timer.cancel()
            timer.join()
    return commands


def is_heartbeat(command: str) -> bool:
    """Whether a worker of RQ says that it lives and waits, which it does every few minutes."""
    return command.startswith(_SIGNS_OF_LIFE)
