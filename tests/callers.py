"""Two environments that know nothing of each other, and everyone who may ask for things in one."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import httpx
from api_app import ROOT, ApiApp
from certificates import given_certificate
from fastapi.testclient import TestClient

from enclave.app import App
from enclave.changes import Changes
from enclave.operation import OperationRequest, OperationType
from enclave.people import Role, User
from enclave.principal import Principal
from enclave.store import Store
from enclave.tokens import issue_token, verify_token

UNKNOWN_ID = 987_654_321
CALLERS = ("stranger", "reader", "deployer", "admin", "looking", "for this app", "for another app")
"""Members by their role, and three tokens of the admin's with scopes: ``read``, ``app:N`` twice."""

Ids = dict[str, str | int]


@dataclass(frozen=True)
class Caller:
    """A user with a token of some scope; ``own`` are their key, and another token."""

    user: User
    text: str
    client: TestClient
    principal: Principal
    own: Ids


class World:
    """``prod/web`` and ``prod/other``, whose people are the callers; ``theirs/web`` of others."""

    def __init__(self, store: Store, data: Path) -> None:
        store.database.raw.flushall()
        self.store = store
        self.here = ApiApp(store, data)
        self.here.put_live()
        self.other = store.apps.create(self.here.environment, "other")
        self.owner = store.people.create_user("owner@theirs.example", "correct horse")
        self.callers = dict(self._callers())
        self.ids = self._ids(self.here.app, 0)
        joined = store.members.add(self.here.environment.id, "joined@example.com", Role.READ)
        self.ids["member_id"] = joined.id
        self.foreign = {**self._their_ids(), **self._own(self.owner, 7)}
        self.unknown: Ids = dict.fromkeys(self.foreign, UNKNOWN_ID)
        self.unknown |= {"handle": "unheard-of", "environment": "unheard-of"}

    def ask(
        self, caller: str, method: str, path: str, ids: Ids, body: object = None
    ) -> httpx.Response:
        """Ask as one of the callers, with each ``{name}`` of the path replaced."""
        return self.callers[caller].client.request(method, path.format(**ids), json=body)

    def ids_for(self, caller: str) -> Ids:
        """Return everything's number in the callers' environment, and the caller's own things."""
        return {**self.ids, **self.callers[caller].own}

    def _callers(self) -> list[tuple[str, Caller]]:
        store, environment = self.store, self.here.environment
        admin = store.people.user_by_email("admin@example.com")
        users = [store.people.create_user("stranger@example.com", "correct horse")]
        for role in (Role.READ, Role.DEPLOY):
            users.append(store.people.create_user(f"{role}@example.com", "correct horse"))
            store.people.set_role(users[-1], environment.id, role)
        users += [admin] * 4
        scopes = ["manage"] * 4 + ["read", f"app:{self.here.app.id}", f"app:{self.other.id}"]
        made: dict[int, Ids] = {}
        callers = []
        for name, user, scope in zip(CALLERS, users, scopes, strict=True):
            if user.id not in made:
                made[user.id] = self._own(user, len(made))
            text = issue_token(store, user, url=ROOT, seconds=600, scope=scope).access_token
            headers = {"Authorization": f"Bearer {text}"}
            client = TestClient(
                self.here.api, base_url=ROOT, headers=headers, raise_server_exceptions=False
            )
            caller = Caller(user, text, client, verify_token(store, text), made[user.id])
            callers.append((name, caller))
        return callers

    def _own(self, user: User, number: int) -> Ids:
        """Give a user a key and a token besides the one they ask with."""
        key = self.store.people.add_key(user, public_key(number))
        token = issue_token(self.store, user, url=ROOT, seconds=600).record
        return {"user_id": user.id, "key_id": key.id, "token_id": token.id}

    def _their_ids(self) -> Ids:
        theirs = self.store.apps.create_environment("theirs")
        self.store.people.set_role(self.owner, theirs.id, Role.ADMIN)
        here = self.here
        here.created, created = self.store.apps.create(theirs, "web"), here.created
        try:
            here.put_live()
            admins = self.store.members.of_environment(theirs.id)
            return {**self._ids(here.app, 1), "member_id": admins[0].id}
        finally:
            here.created = created

    def _ids(self, app: App, number: int) -> Ids:
        """Return a number of everything that an app and its environment have."""
        store, environment = self.store, app.environment_id
        release = store.apps.release(app.id, 1)
        endpoint = store.endpoints.create(app.id, "web", default=True)
        chain, key = given_certificate(f"www{number}.example.com")
        queued = OperationRequest(app.id, OperationType.RESTART, 1, "admin@example.com")
        return {
            "app_id": app.id,
            "handle": app.handle,
            "environment": app.environment,
            "account_id": environment,
            "entry_id": store.activities.of_app(app.id).newest(1)[0].id,
            "environment_entry_id": store.activities.of_environment(environment).newest(1)[0].id,
            "configuration_id": app.id,
            "image_id": app.id,
            "number": release.number,
            "release_id": release.operation_id,
            "operation_id": release.operation_id,
            "queued_id": store.operations.submit(queued, Changes()).id,
            "service_id": store.service_ids.number(app.id, "web"),
            "vhost_id": endpoint.id,
            "webhook_id": store.webhooks.create(app.id, "https://x.example/", "s" * 16).id,
            "certificate_id": store.certificates.add(environment, chain, key).id,
        }


def public_key(number: int) -> str:
    """Return another Ed25519 key (RFC 8709) for each number up to 255."""
    fields = (b"ssh-ed25519", bytes([number]) * 32)
    blob = b"".join(len(field).to_bytes(4) + field for field in fields)
    return f"ssh-ed25519 {b64encode(blob).decode()} key-{number}"
