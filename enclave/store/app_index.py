"""Which apps an environment has, by handle: read page by page, however many apps there are."""

from __future__ import annotations

import json
from collections.abc import Sequence

from enclave.errors import Conflict, NotFound
from enclave.store import keys
from enclave.store.activity import Entry
from enclave.store.database import Database, unavailable_when_lost


class AppIndex:
    """Handles and ids. No question here takes longer because there are more apps.

    The hash of an environment says which apps there are; a sorted set beside it holds their handles
    in order. A process killed between writing the two leaves counts that differ: the next reader
    makes the sorted set anew from the hash.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis

    def rename(self, environment_id: int, app_id: int, handle: str, entry: Entry) -> None:
        """Give the app another handle. Raises ``Conflict``, ``NotFound`` once it is deprovisioned.

        Asked again after a lost answer, it finds the handle its own.
        """
        answer = self._database.run(
            "rename_app",
            [
                keys.environment_apps(environment_id),
                keys.environment_handles(environment_id),
                keys.app(app_id),
            ],
            [app_id, handle, json.dumps(entry)],
        )
        if answer == "taken":
            raise Conflict(f"an app {handle} exists already in this environment")
        if answer == "gone":
            raise NotFound("the app is deprovisioned")

    def page(
        self, environment_ids: Sequence[int], *, skip: int, size: int
    ) -> tuple[list[int], int]:
        """Return the ids of a page of all apps of these environments, and how many apps there are.

        Environments come in the order given, the apps of each by handle.
        """
        counts = self._counts(environment_ids)
        ranges = []
        first, last = skip, skip + size
        for environment_id, count in zip(environment_ids, counts, strict=True):
            if first < count and last > 0:
                ranges.append((environment_id, max(first, 0), min(last, count) - 1))
            first, last = first - count, last - count
        return self._ids(ranges), sum(counts)

    def named(self, environment_ids: Sequence[int], handle: str) -> list[int]:
        """Return the ids of the apps of that handle, at most one of each environment."""
        with unavailable_when_lost(), self._redis.pipeline(transaction=False) as pipe:
            for environment_id in environment_ids:
                pipe.hget(keys.environment_apps(environment_id), handle)
            found: list[str | None] = pipe.execute() if environment_ids else []
        return [int(app_id) for app_id in found if app_id is not None]

    def _counts(self, environment_ids: Sequence[int]) -> list[int]:
        with unavailable_when_lost(), self._redis.pipeline(transaction=False) as pipe:
            for environment_id in environment_ids:
                pipe.hlen(keys.environment_apps(environment_id))
                pipe.zcard(keys.environment_handles(environment_id))
            answers: list[int] = pipe.execute() if environment_ids else []
        counts = list(zip(answers[::2], answers[1::2], strict=True))
        for environment_id, (apps, handles) in zip(environment_ids, counts, strict=True):
            if apps != handles:
                self._make_anew(environment_id)
        return [apps for apps, _ in counts]

    def _make_anew(self, environment_id: int) -> None:
        index = [keys.environment_apps(environment_id), keys.environment_handles(environment_id)]
        self._database.run("index_apps", index, [])

    def _ids(self, ranges: Sequence[tuple[int, int, int]]) -> list[int]:
        with unavailable_when_lost(), self._redis.pipeline(transaction=False) as pipe:
            for environment_id, first, last in ranges:
                pipe.zrange(keys.environment_handles(environment_id), first, last)
            pages: list[list[str]] = pipe.execute() if ranges else []
            for (environment_id, _, _), handles in zip(ranges, pages, strict=True):
                if handles:
                    pipe.hmget(keys.environment_apps(environment_id), handles)
            found: list[list[str | None]] = pipe.execute() if any(pages) else []
        # An app that went between the two questions has no id any more.
        return [int(app_id) for page in found for app_id in page if app_id is not None]
