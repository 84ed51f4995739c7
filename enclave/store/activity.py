"""The activity in Redis: each change leaves an entry in the very transaction that makes it.

An entry stands in the stream of the installation, in its environment's, and in its app's. Each
stream keeps its newest entries.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence

from enclave.activity import Activity, Actor, trimmed
from enclave.errors import NotFound
from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost

_ENTRY_ID = re.compile(r"[0-9]{1,18}-[0-9]{1,18}", re.ASCII)
_ALL_KEPT = 10  # times as many entries as one app's are kept of all together
_DONE_SECONDS = 3600
_ABOUT_CHARACTERS = 500

Entry = dict[str, object]
"""What a script's ``record`` writes down (``scripts/activity.lua``)."""

Command = Sequence[str | int]
"""A Redis command: its name, and its arguments."""


class Activities:
    """Writes entries together with what they are about, and knows where they are kept."""

    def __init__(self, database: Database, *, kept: int) -> None:
        self._database, self._kept = database, kept

    def entry(
        self,
        actor: Actor,
        action: str,
        about: str | int = "",
        *,
        environment_id: int | None = None,
        app_id: int | None = None,
    ) -> Entry:
        """Return what a script is to record. An app's environment the script looks up itself."""
        streams = [[keys.ACTIVITY, self._kept * _ALL_KEPT]]
        if environment_id is not None:
            streams.append([keys.environment_activity(environment_id), self._kept])
        if app_id is not None:
            streams.append([keys.app_activity(app_id), self._kept])
        return {
            "action": action,
            "about": trimmed(str(about), _ABOUT_CHARACTERS),
            "fields": [
                *("by", actor.email, "proof", actor.proof),
                *("source", actor.source, "agent", actor.agent),
                *("app", "" if app_id is None else str(app_id)),
            ],
            "streams": streams,
            "kept": self._kept,
            "app": "" if app_id is None else keys.app(app_id),
            "before": keys.environment_prefix(),
            "behind": keys.environment_activity(0).removeprefix(keys.environment(0)),
        }

    def make(
        self, entry: Entry, commands: Sequence[Command], *, claim: Command | None = None
    ) -> bool:
        """Run ``commands`` and record the entry, as one transaction; return whether that was done.

        ``claim`` is a hash, a name and a number: nothing is done when the name is somebody else's.
        Raises ``StoreRefused`` when the store takes nothing new.
        """
        return self._change("make", entry, commands, {"claim": _words(claim)} if claim else {})

    def take_away(
        self, entry: Entry, commands: Sequence[Command], *, guard: Command | None = None
    ) -> bool:
        """Like ``make``, for what frees room: a full store lets it happen.

        ``guard`` is a hash, a name and a value: nothing is done when the value is another one.
        """
        return self._change("take_away", entry, commands, {"guard": _words(guard)} if guard else {})

    def _change(
        self, script: str, entry: Entry, commands: Sequence[Command], condition: Entry
    ) -> bool:
        payload = {
            **condition,
            "commands": [_words(command) for command in commands],
            "activity": entry,
            "seconds": _DONE_SECONDS,
        }
        done = keys.change(uuid.uuid4().hex)
        return self._database.run(script, [done], [json.dumps(payload)]) == 1

    def of_installation(self) -> Kept:
        """Return what is kept of all changes."""
        return Kept(self._database, keys.ACTIVITY)

    def of_environment(self, environment_id: int) -> Kept:
        """Return what is kept of the changes of an environment and of its apps."""
        return Kept(self._database, keys.environment_activity(environment_id))

    def of_app(self, app_id: int) -> Kept:
        """Return what is kept of the changes of an app."""
        return Kept(self._database, keys.app_activity(app_id))


class Kept:
    """One stream of changes, to read."""

    def __init__(self, database: Database, stream: str) -> None:
        self._redis, self._stream = database.redis, stream

    def count(self) -> int:
        """Return how many there are."""
        with unavailable_when_lost():
            return self._redis.xlen(self._stream)

    def entry(self, entry_id: str) -> Activity:
        """Return one of them; raises ``NotFound``."""
        if not _ENTRY_ID.fullmatch(entry_id):
            raise NotFound("there is no such entry")
        with unavailable_when_lost():
            found = self._redis.xrevrange(self._stream, entry_id, entry_id, count=1)
        if not found:
            raise NotFound("there is no such entry, or it is not kept any more")
        return _activity(*found[0])

    def newest(self, most: int, *, skip: int = 0) -> list[Activity]:
        """Return the ``most`` newest, newest first, without the first ``skip``."""
        if skip >= self.count():
            return []
        with unavailable_when_lost():
            entries = self._redis.xrevrange(self._stream, count=skip + most)
        return [_activity(entry_id, fields) for entry_id, fields in entries[skip:]]


def _words(words: Command) -> list[str]:
    return [str(word) for word in words]


def _activity(entry_id: str, fields: Mapping[str, str]) -> Activity:
    actor = Actor(fields["by"], fields["proof"], fields["source"], fields["agent"])
    app_id = int(fields["app"]) if fields["app"] else None
    return Activity(entry_id, fields["action"], fields["about"], actor, app_id)
