"""Who belongs to an environment, in Redis: by email, whether a user of that name exists or not.

So an environment's admin who adds somebody learns nothing about the installation's other users; who
comes later is a member from then on.
"""

from __future__ import annotations

import json
import uuid
from contextlib import suppress

from enclave.activity import LOCAL, Actor
from enclave.clock import now_iso
from enclave.codec import decode, encode
from enclave.errors import Conflict, NotFound
from enclave.people import Member, Role, checked_email
from enclave.store import keys
from enclave.store.activity import Activities, Entry
from enclave.store.database import Database, unavailable_when_lost

_GONE, _LAST_ADMIN = 0, -1
_DONE_SECONDS = 3600


class Members:
    """The members of each environment. Its last admin stays one."""

    def __init__(self, database: Database, activities: Activities) -> None:
        self._database, self._activities = database, activities
        self._redis = database.redis

    def of_environment(self, environment_id: int) -> list[Member]:
        """Return the members, oldest first."""
        with unavailable_when_lost():
            records = self._redis.hvals(keys.environment_members(environment_id))
        return sorted((decode(Member, each) for each in records), key=lambda member: member.id)

    def member(self, environment_id: int, member_id: int) -> Member:
        """Return a member by number; raises ``NotFound``."""
        for each in self.of_environment(environment_id):
            if each.id == member_id:
                return each
        raise NotFound("there is no such member")

    def role(self, environment_id: int, email: str) -> Role | None:
        """Return the role that whoever has this email has there, None for a stranger."""
        with unavailable_when_lost():
            record = self._redis.hget(keys.environment_members(environment_id), email)
        return decode(Member, record).role if record else None

    def environments_of(self, email: str) -> list[int]:
        """Return the ids of the environments of which that is a member, in order.

        They are found through the environments, so there is no second list to keep true.
        """
        with unavailable_when_lost(), self._redis.pipeline(transaction=False) as pipe:
            ids = sorted(int(each) for each in self._redis.hvals(keys.ENVIRONMENTS_BY_HANDLE))
            for environment_id in ids:
                pipe.hexists(keys.environment_members(environment_id), email)
            return [each for each, there in zip(ids, pipe.execute(), strict=True) if there]

    def add(self, environment_id: int, email: str, role: Role, *, actor: Actor = LOCAL) -> Member:
        """Make somebody a member. Raises ``InvalidInput``, or ``Conflict`` if they are."""
        email = checked_email(email)
        number = self._database.next_id("member")
        member = Member(number, environment_id, email, role, now_iso())
        made = self._activities.make(
            self._entry(actor, "member.add", member),
            [],
            claim=(keys.environment_members(environment_id), email, encode(member)),
        )
        if not made:
            raise Conflict(f"{email} is a member already")
        return member

    def change(self, member: Member, role: Role, *, actor: Actor = LOCAL) -> Member:
        """Give a member another role. Raises ``Conflict`` for the last admin."""
        changed = Member(member.id, member.environment_id, member.email, role, member.created_at)
        if role is not member.role:
            self._replace(member, changed, self._entry(actor, "member.change", changed))
        return changed

    def remove(self, member: Member, *, actor: Actor = LOCAL) -> None:
        """Take a member out. Raises ``Conflict`` for the last admin."""
        self._replace(member, None, self._entry(actor, "member.remove", member))

    def set(self, environment_id: int, email: str, role: Role, *, actor: Actor = LOCAL) -> Member:
        """Add a member, or give them another role; raises as ``add`` and ``change``."""
        email = checked_email(email)
        with unavailable_when_lost():
            known = self._redis.hget(keys.environment_members(environment_id), email)
        if known is None:
            return self.add(environment_id, email, role, actor=actor)
        return self.change(decode(Member, known), role, actor=actor)

    def take_over(self) -> None:
        """Take over the memberships of an older version, which kept them with each user.

        Who is a member already keeps the newer role. Several at once do no harm.
        """
        with unavailable_when_lost():
            users = self._redis.hgetall(keys.USERS_BY_EMAIL)
        for email, number in users.items():
            older = keys.user_environments(int(number))
            with unavailable_when_lost():
                roles = self._redis.hgetall(older)
            for environment_id, role in roles.items():
                with suppress(Conflict):
                    self.add(int(environment_id), email, Role(role))
            if roles:
                with unavailable_when_lost():
                    self._redis.delete(older)

    def check_admin_left(self, environment_id: int, *, without: str) -> None:
        """Raise ``Conflict`` if whoever has this email is the environment's last admin."""
        admins = [
            each.email for each in self.of_environment(environment_id) if each.role is Role.ADMIN
        ]
        if admins == [without]:
            raise _last_admin(without)

    def remove_email(self, environment_id: int, email: str, *, actor: Actor = LOCAL) -> None:
        """Take whoever has this email out; raises as ``remove``, and ``NotFound``."""
        email = checked_email(email)
        for member in self.of_environment(environment_id):
            if member.email == email:
                self.remove(member, actor=actor)
                return
        raise NotFound(f"{email} is no member there")

    def _replace(self, old: Member, new: Member | None, entry: Entry) -> None:
        payload = {
            "email": old.email,
            "old": encode(old),
            "new": encode(new) if new else "",
            "activity": entry,
            "seconds": _DONE_SECONDS,
        }
        script_keys = [
            keys.change(uuid.uuid4().hex),
            keys.environment_members(old.environment_id),
        ]
        answer = self._database.run("member", script_keys, [json.dumps(payload)])
        if answer == _GONE:
            raise Conflict(f"{old.email} was changed or removed meanwhile: look again")
        if answer == _LAST_ADMIN:
            raise _last_admin(old.email)

    def _entry(self, actor: Actor, action: str, member: Member) -> Entry:
        about = f"{member.email} ({member.role})"
        return self._activities.entry(actor, action, about, environment_id=member.environment_id)


def _last_admin(email: str) -> Conflict:
    return Conflict(f"{email} is the last admin of an environment: make somebody else admin first")
