"""Numbers of services: the API names a service by one, an app's state by its process type."""

from __future__ import annotations

import json

from enclave.errors import NotFound
from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost


class ServiceIds:
    """Gives every process type of an app a number when it is first asked for, and for good.

    Numbers made of a place in the list would name another service after a Procfile has changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis

    def number(self, app_id: int, process_type: str) -> int:
        """Return the id of the app's service of that type."""
        index = keys.service_ids(app_id)
        with unavailable_when_lost():
            known = self._redis.hget(index, process_type)
            if known is not None:
                return int(known)
            number = self._database.next_id("service")
            self._redis.set(keys.service(number), json.dumps([app_id, process_type]))
            if self._database.claim(index, process_type, number):
                return number
            self._redis.delete(keys.service(number))  # someone else was first
            return int(self._redis.hget(index, process_type) or 0)

    def find(self, number: int) -> tuple[int, str]:
        """Return app id and process type of a service; raises ``NotFound``."""
        with unavailable_when_lost():
            record = self._redis.get(keys.service(number))
        if record is None:
            raise NotFound("there is no such service")
        app_id, process_type = json.loads(record)
        return int(app_id), str(process_type)
