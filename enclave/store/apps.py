"""Environments and apps in Redis: records, state and sealed secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from enclave.activity import LOCAL, Actor
from enclave.app import App, AppSecrets, AppState, AppStatus, ServiceSettings
from enclave.clock import now_iso
from enclave.codec import decode, encode
from enclave.errors import Conflict, NotFound
from enclave.handles import check_handle
from enclave.people import Environment
from enclave.release import Release
from enclave.sealing import Sealer
from enclave.store import keys
from enclave.store.activity import Activities
from enclave.store.app_index import AppIndex
from enclave.store.database import Database, unavailable_when_lost


class Apps:
    """What exists, and what is live of it. Only a finished operation writes an app's state."""

    def __init__(self, database: Database, sealer: Sealer, activities: Activities) -> None:
        self._database, self._activities = database, activities
        self._redis = database.redis
        self._sealer = sealer
        self.index = AppIndex(database)

    def create_environment(self, handle: str, *, actor: Actor = LOCAL) -> Environment:
        """Create an environment. Raises ``InvalidHandle`` or ``Conflict``."""
        check_handle(handle)
        environment = Environment(self._database.next_id("environment"), handle, now_iso())
        made = self._activities.make(
            self._activities.entry(
                actor, "environment.create", handle, environment_id=environment.id
            ),
            [("SET", keys.environment(environment.id), encode(environment))],
            claim=(keys.ENVIRONMENTS_BY_HANDLE, handle, environment.id),
        )
        if not made:
            raise Conflict(f"an environment {handle} exists already")
        return environment

    def environment(self, environment_id: int) -> Environment:
        """Return an environment; raises ``NotFound``."""
        with unavailable_when_lost():
            record = self._redis.get(keys.environment(environment_id))
        if record is None:
            raise NotFound("there is no such environment")
        return decode(Environment, record)

    def environment_by_handle(self, handle: str) -> Environment:
        """Return the environment of that handle; raises ``NotFound``."""
        with unavailable_when_lost():
            environment_id = self._redis.hget(keys.ENVIRONMENTS_BY_HANDLE, handle)
        if environment_id is None:
            raise NotFound(f"there is no environment {handle}")
        return self.environment(int(environment_id))

    def create(self, environment: Environment, handle: str, *, actor: Actor = LOCAL) -> App:
        """Create an app, pending. Raises ``InvalidHandle`` or ``Conflict``."""
        check_handle(handle)
        app_id = self._database.next_id("app")
        record: list[str | int] = [
            *("handle", handle, "created_at", now_iso()),
            *("environment_id", environment.id, "environment", environment.handle),
        ]
        made = self._activities.make(
            self._activities.entry(actor, "app.create", handle, app_id=app_id),
            [
                ("HSET", keys.app(app_id), *record),
                ("ZADD", keys.environment_handles(environment.id), 0, handle),
            ],
            claim=(keys.environment_apps(environment.id), handle, app_id),
        )
        if not made:
            raise Conflict(f"an app {handle} exists already in {environment.handle}")
        return self.app(app_id)

    def app(self, app_id: int) -> App:
        """Return an app with its state; raises ``NotFound``."""
        with unavailable_when_lost():
            fields = self._redis.hgetall(keys.app(app_id))
        if not fields:
            raise NotFound("there is no such app")
        return _app(app_id, fields)

    def rename(self, app: App, handle: str, *, actor: Actor = LOCAL) -> App:
        """Give the app another handle, and with it another git remote; its containers keep theirs.

        Raises ``InvalidHandle``, ``Conflict``, or ``NotFound`` once it is deprovisioned.
        """
        check_handle(handle)
        entry = self._activities.entry(actor, "app.rename", handle, app_id=app.id)
        self.index.rename(app.environment_id, app.id, handle, entry)
        return self.app(app.id)

    def app_by_handle(self, environment: str, handle: str) -> App:
        """Return the app ``ENVIRONMENT/HANDLE``; raises ``NotFound``."""
        with unavailable_when_lost():
            found = self._redis.hget(keys.ENVIRONMENTS_BY_HANDLE, environment)
            apps = keys.environment_apps(int(found)) if found else None
            app_id = self._redis.hget(apps, handle) if apps else None
        if app_id is None:
            raise NotFound(f"there is no app {environment}/{handle}")
        return self.app(int(app_id))

    def page(
        self, environment_ids: Sequence[int], *, skip: int, size: int
    ) -> tuple[list[App], int]:
        """Return one page of the apps of these environments, and how many there are of all."""
        ids, total = self.index.page(environment_ids, skip=skip, size=size)
        return self.apps(ids), total

    def apps(self, ids: Sequence[int]) -> list[App]:
        """Return the apps of these ids, in their order; one that is no app is left out."""
        with unavailable_when_lost(), self._redis.pipeline(transaction=False) as pipe:
            for app_id in ids:
                pipe.hgetall(keys.app(app_id))
            records: list[dict[str, str]] = pipe.execute() if ids else []
        found = zip(ids, records, strict=True)
        return [_app(app_id, fields) for app_id, fields in found if fields]

    def provisioned(self) -> set[int]:
        """Return the ids of all apps that an operation has succeeded for, with three requests.

        They are found through their environments, so there is no second list to keep true.
        """
        with unavailable_when_lost(), self._redis.pipeline(transaction=False) as pipe:
            for environment_id in self._redis.hvals(keys.ENVIRONMENTS_BY_HANDLE):
                pipe.hvals(keys.environment_apps(int(environment_id)))
            ids = [app_id for environment in pipe.execute() for app_id in environment]
            for app_id in ids:
                pipe.hget(keys.app(int(app_id)), "status")
            statuses = pipe.execute()
        return {
            int(app_id)
            for app_id, status in zip(ids, statuses, strict=True)
            if status == AppStatus.PROVISIONED
        }

    def secrets(self, app_id: int) -> AppSecrets:
        """Return the app's configuration and registry credentials, opened."""
        with unavailable_when_lost():
            sealed = self._redis.hget(keys.app(app_id), "secrets")
        return decode(AppSecrets, self._sealer.open(sealed)) if sealed else AppSecrets()

    def deprovisioned(self) -> list[int]:
        """Return the apps that are gone, and whose repositories may still be there."""
        with unavailable_when_lost():
            return sorted(int(each) for each in self._redis.smembers(keys.DEPROVISIONED))

    def forget_repository(self, app_id: int) -> None:
        """Note that a deprovisioned app's repository is gone."""
        with unavailable_when_lost():
            self._redis.srem(keys.DEPROVISIONED, str(app_id))

    def service_settings(self, app_id: int) -> dict[str, ServiceSettings]:
        """Return what is set for the app's process types; those that are missing have defaults."""
        with unavailable_when_lost():
            records = self._redis.hgetall(keys.service_settings(app_id))
        return {name: decode(ServiceSettings, record) for name, record in records.items()}

    def set_service_settings(
        self,
        app_id: int,
        process_type: str,
        settings: ServiceSettings,
        *,
        actor: Actor = LOCAL,
    ) -> None:
        """Store what is set for a process type; it counts from its next containers on."""
        self._activities.make(
            self._activities.entry(actor, "service.configure", process_type, app_id=app_id),
            [("HSET", keys.service_settings(app_id), process_type, encode(settings))],
        )

    def releases(self, app_id: int) -> list[Release]:
        """Return the app's releases, newest first."""
        with unavailable_when_lost():
            records = self._redis.hvals(keys.releases(app_id))
        releases = [decode(Release, record) for record in records]
        return sorted(releases, key=lambda release: release.number, reverse=True)

    def release(self, app_id: int, number: int) -> Release:
        """Return one release; raises ``NotFound``."""
        with unavailable_when_lost():
            record = self._redis.hget(keys.releases(app_id), str(number))
        if record is None:
            raise NotFound(f"there is no release {number}")
        return decode(Release, record)

    def newest_release(self, app_id: int) -> int:
        """Return the number of the app's newest release, 0 for none: they have no gaps."""
        with unavailable_when_lost():
            return self._redis.hlen(keys.releases(app_id))

    def releases_between(self, app_id: int, first: int, last: int) -> list[Release]:
        """Return the releases with these numbers, both ends included, oldest first."""
        numbers = [str(number) for number in range(first, last + 1)]
        if not numbers:
            return []
        with unavailable_when_lost():
            records = self._redis.hmget(keys.releases(app_id), numbers)
        return [decode(Release, record) for record in records if record is not None]


def _app(app_id: int, fields: Mapping[str, str]) -> App:
    return App(
        id=app_id,
        environment_id=int(fields["environment_id"]),
        environment=fields["environment"],
        handle=fields["handle"],
        created_at=fields["created_at"],
        status=AppStatus(fields.get("status", AppStatus.PENDING)),
        deploy_branch=fields.get("deploy_branch", "master"),
        state=decode(AppState, fields["state"]) if "state" in fields else AppState(),
    )
