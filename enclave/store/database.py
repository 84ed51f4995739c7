"""The connection to Redis: deadlines, patience while it restarts, and our scripts.

Every script of ours can safely be run again with the same arguments: that is what makes the
client's own retries safe, and what answers "did it hold?" after a lost connection (DESIGN 3.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import cast

import redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.commands.core import Script
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError
from redis.retry import Retry

from enclave.errors import StoreRefused, StoreUnavailable
from enclave.store import keys
from enclave.store.text_redis import TextRedis

_ANSWER_SECONDS = 10.0  # appendfsync always on a slow disk
BLOCK_SECONDS = 5.0
"""A blocking read waits no longer: past the answer's deadline it would look like a lost Redis."""

_MAX_CONNECTIONS = 10_000  # redis-py refuses the 101st by default, and every follower holds one
_BACKOFF = ExponentialBackoff(cap=1.0, base=0.05)
_ATTEMPTS = (
    9  # about six seconds: a Redis that is being restarted by its supervisor is back by then
)

_UNNAMED = None  # else redis-py reads its own package's metadata at each connection (2 ms)

_TAKES_IN = frozenset({"accept_push", "create_webhook", "submit", "make"})
_READS = frozenset({"view"})
_ALONE = frozenset(
    {
        *(
            "count_failure",
            "create_webhook",
            "follow",
            "hold_image",
            "index_apps",
            "make",
            "member",
        ),
        *("postpone", "rename_app", "stop_listening", "take_away"),
    }
)
_RECORDS = frozenset(
    {
        *("accept_push", "cancel", "make", "member"),
        *("rename_app", "submit", "take_away"),
        *("create_webhook", "change_webhook", "remove_webhook"),
    }
)
_TEXTS = {"make": "change", "take_away": "change"}
"""Scripts that differ in nothing but whether a full Redis refuses them."""
_OF_A_WEBHOOK = frozenset(
    {"change_webhook", "remove_webhook", "settle_delivery", "take_delivery", "wake_webhook"}
)

Word = str | bytes | int


class Database:
    """One Redis database: ``redis`` for plain commands (text in and out), ``run`` for scripts.

    ``raw`` speaks bytes, for RQ. Both are safe to share between threads, and connect lazily.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        patience = Retry(_BACKOFF, _ATTEMPTS)
        self.redis = cast(
            TextRedis,
            redis.Redis.from_url(
                url,
                decode_responses=True,
                socket_timeout=_ANSWER_SECONDS,
                retry=patience,
                max_connections=_MAX_CONNECTIONS,
                driver_info=_UNNAMED,
            ),
        )
        self.raw: redis.Redis = redis.Redis.from_url(
            url,
            socket_timeout=_ANSWER_SECONDS,
            retry=patience,
            max_connections=_MAX_CONNECTIONS,
            driver_info=_UNNAMED,
        )
        self._scripts: dict[str, Script] = {}

    def run(self, script: str, script_keys: Sequence[str], arguments: Sequence[Word]) -> object:
        """Run ``scripts/SCRIPT.lua`` as one transaction; raises ``StoreUnavailable``."""
        if script not in self._scripts:
            self._scripts[script] = self.redis.register_script(_source(script))
        with unavailable_when_lost():
            return self._scripts[script](keys=script_keys, args=arguments)

    def next_id(self, kind: str) -> int:
        """Return a number that no other user, key, app, … of this kind has or had."""
        with unavailable_when_lost():
            return int(self.redis.incr(keys.counter(kind)))

    def answers(self, *, seconds: float) -> bool:
        """Whether Redis answers now, within ``seconds`` and at the first try."""
        impatient = redis.Redis.from_url(
            self.url,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
            driver_info=_UNNAMED,
        )
        with impatient as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False

    def claim(self, index: str, name: str, number: int) -> bool:
        """Enter ``name`` in a hash of names unless another holds it; return whether it is ours.

        Reading back makes it safe to ask again: a retry after a lost answer finds our own number.
        """
        with unavailable_when_lost():
            if self.redis.hsetnx(index, name, str(number)):
                return True
            return self.redis.hget(index, name) == str(number)

    def asynchronous(self) -> AsyncRedis:
        """Return a client of the same database for asyncio, text in and out."""
        client: AsyncRedis = AsyncRedis.from_url(
            self.url,
            decode_responses=True,
            socket_timeout=_ANSWER_SECONDS,
            retry=AsyncRetry(_BACKOFF, _ATTEMPTS),
            driver_info=_UNNAMED,
        )
        return client


def connection_of_worker(url: str) -> redis.Redis:
    """Return a client for a worker of RQ, which has its own deadlines and its own patience."""
    return redis.Redis.from_url(url, driver_info=_UNNAMED)


@contextmanager
def unavailable_when_lost() -> Iterator[None]:
    """Turn every failure of Redis into ``StoreUnavailable``, whose text holds no data.

    ``StoreRefused`` when Redis itself said that it took nothing: it is full, or may only be read.
    """
    try:
        yield
    except (OutOfMemoryError, ReadOnlyError) as error:
        what = "is full" if isinstance(error, OutOfMemoryError) else "can only be read"
        raise StoreRefused(f"the store (Redis) {what} and takes nothing new") from error
    except RedisError as error:
        reason = str(error).split("\n", 1)[0][:200]
        raise StoreUnavailable(f"the store (Redis) does not answer: {reason}") from error


def _source(script: str) -> str:
    """Return the text of a script. Only what takes new work in is refused by a full Redis: what has
    been accepted goes on and ends. One that may only be read answers what reads.
    """
    folder = files("enclave.store") / "scripts"
    flags = "" if script in _TAKES_IN else " flags=allow-oom"
    flags += ",no-writes" if script in _READS else ""
    shared = "webhook" if script in _OF_A_WEBHOOK else "prelude"
    parts = [] if script in _ALONE else ["commands", shared]
    parts += ["activity"] if script in _RECORDS else []
    parts += [_TEXTS.get(script, script)]
    texts = [(folder / f"{name}.lua").read_text("utf-8") for name in parts]
    return "\n".join([f"#!lua{flags}", *texts])


def app_keys(app_id: int) -> list[str]:
    """Return the keys of an app in the order that ``scripts/prelude.lua`` names them."""
    return [
        keys.refs(app_id),
        keys.ref_configs(app_id),
        keys.ref_directories(app_id),
        keys.reservations(app_id),
        keys.queue(app_id),
        keys.lease(app_id),
        keys.fence(app_id),
        keys.app(app_id),
        keys.app_operations(app_id),
        keys.releases(app_id),
        keys.DUE,
        keys.UNTIDY,
        keys.kept_logs(app_id),
    ]
