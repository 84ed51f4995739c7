"""The log portal's certificates, and what it does at the edges."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import asyncssh
import pytest
from api_app import ApiApp
from cryptography.fernet import Fernet

from api import ssh_portal_connections
from enclave import portal as portal_module
from enclave.changes import Changes
from enclave.errors import InvalidInput, NotFound
from enclave.operation import Operation, OperationRequest, OperationStatus, OperationType
from enclave.people import Role, User
from enclave.portal import Visit, authority_key, certify
from enclave.sealing import Sealer
from enclave.settings import Settings
from enclave.store import Store
from enclave.tokens import issue_token
from receiver import portal as receiver_portal
from receiver.attendants import Attendants
from receiver.places import Places
from receiver.portal import Portal
from testbed.processes import free_port
from worker.attendant.line import Line

SEALER = Sealer([Fernet.generate_key().decode()])
VISIT = Visit(41, "0123456789abcdef" * 2)


def public_line(kind: str = "ssh-ed25519", **options: int) -> str:
    return asyncssh.generate_private_key(kind, **options).export_public_key().decode()


def keygen(certificate: str, tmp_path: Path) -> str:
    path = tmp_path / "key-cert.pub"
    path.write_text(certificate)
    listed = ["ssh-keygen", "-L", "-f", str(path)]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout


class TestCertificates:
    @pytest.mark.parametrize("kind", ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"])
    def test_openssh_reads_them(self, tmp_path: Path, kind: str) -> None:
        shown = keygen(certify(SEALER, public_line(kind), VISIT), tmp_path)
        assert f"{kind}-cert-v01@openssh.com user certificate" in shown
        assert f"Principals: \n                {VISIT.username}\n" in shown
        assert "permit-pty" in shown
        assert "forwarding" not in shown
        fingerprint = asyncssh.import_public_key(authority_key(SEALER)).get_fingerprint()
        assert fingerprint in shown

    @pytest.mark.parametrize(
        "line",
        ["", "no key", "ssh-rsa AAAA", "ssh-ed25519 " + "A" * 68, "\N{SNOWMAN}", "x" * 100_000],
    )
    def test_what_is_no_key_is_refused(self, line: str) -> None:
        with pytest.raises(InvalidInput, match=r"\.pub"):
            certify(SEALER, line, VISIT)

    def test_short_rsa_keys_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="2048"):
            certify(SEALER, public_line("ssh-rsa", key_size=1024), VISIT)

    @pytest.mark.parametrize(
        "name", ["git", "operation-1", "operation-1-token-", f"x{VISIT.username}"]
    )
    def test_other_names_are_no_visits(self, name: str) -> None:
        with pytest.raises(NotFound):
            Visit.read(name)

    def test_a_name_is_read_as_it_was_written(self) -> None:
        assert Visit.read(VISIT.username) == VISIT


class Vanishing:
    """An attendant that says something, and is then killed."""

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        line = {"service": "web", "index": 1, "time": "t", "line": "its last"}
        process.stdout.write(json.dumps(line).encode() + b"\n")
        await process.stdout.drain()
        await asyncio.sleep(0.2)
        process.channel.get_connection().abort()


@dataclass(frozen=True)
class Site:
    """A portal on a port, over an app with one operation that has succeeded."""

    shop: ApiApp
    settings: Settings
    user: User
    operation: Operation

    def of(self, operation_id: int, user: User) -> Visit:
        """Return the visit that the user gets with a token of theirs."""
        issued = issue_token(self.shop.store, user, url="http://x", seconds=600)
        return Visit(operation_id, issued.record.id)

    def certified(self, visit: Visit) -> tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]:
        key = asyncssh.generate_private_key("ssh-ed25519")
        text = certify(self.shop.store.sealer, key.export_public_key().decode(), visit)
        return key, asyncssh.import_certificate(text)

    @asynccontextmanager
    async def portal(self) -> AsyncIterator[None]:
        """A portal whose calls are answered by attendants that vanish."""
        store = self.shop.store
        places = Places(10, a_source=10, waiting=10, failures=1000, logins=1000)
        attendants = Attendants(store, self.settings)
        await attendants.start()
        portal = Portal(store, self.settings, attendants, places)
        keys = [asyncssh.generate_private_key("ssh-rsa", key_size=2048)]
        acceptor = await portal.start(keys)
        answering = asyncio.create_task(self._answer(Line(store, cast(Any, Vanishing()))))
        try:
            yield
        finally:
            answering.cancel()
            acceptor.close()
            attendants.close()

    async def _answer(self, line: Line) -> None:
        async for address in self.shop.store.calls.heard():
            await line.dial(address)

    def recorded(self, kind: OperationType) -> Operation:
        request = OperationRequest(self.shop.app.id, kind, self.user.id, self.user.email)
        return self.shop.store.operations.record(request, Changes(command="true"))

    async def visit(self, visit: Visit, *, name: str | None = None) -> asyncssh.SSHCompletedProcess:
        key, certificate = self.certified(visit)
        async with (
            asyncio.timeout(20),
            asyncssh.connect(
                "127.0.0.1",
                self.settings.portal_port,
                config=None,
                username=name or visit.username,
                client_keys=[(key, certificate)],
                known_hosts=None,
                agent_path=None,
            ) as connection,
        ):
            return await connection.run(stdin=asyncssh.DEVNULL)


@pytest.fixture
def site(store: Store, tmp_path: Path) -> Site:
    shop = ApiApp(store, tmp_path)
    user = store.people.create_user("visitor@example.com", "correct horse")
    store.people.set_role(user, shop.environment.id, Role.READ)
    request = OperationRequest(shop.app.id, OperationType.RESTART, user.id, user.email)
    operation = store.operations.record(request, Changes())
    settings = Settings(data=tmp_path, portal_port=free_port(), keepalive_seconds=0.1)
    return Site(shop, settings, user, operation)


def run(site: Site, story: Coroutine[object, object, None]) -> None:
    async def within() -> None:
        async with site.portal():
            await story

    asyncio.run(within())


def test_a_log_that_is_gone_says_so_and_ends_as_the_operation_did(site: Site) -> None:
    async def story() -> None:
        shown = await site.visit(site.of(site.operation.id, site.user))
        assert shown.exit_status == 0
        assert "not kept any more" in str(shown.stdout)

    assert site.operation.status is OperationStatus.SUCCEEDED
    run(site, story())


def test_who_left_after_the_certificate_was_given_sees_nothing(site: Site) -> None:
    stranger = site.shop.store.people.create_user("gone@example.com", "correct horse")

    async def story() -> None:
        foreign = await site.visit(site.of(site.operation.id, stranger))
        unknown = await site.visit(site.of(999_999, stranger))
        assert foreign.exit_status == unknown.exit_status == 255
        assert foreign.stdout == unknown.stdout == ""
        assert foreign.stderr == unknown.stderr
        assert "no such" in str(foreign.stderr)

    run(site, story())


def test_a_token_that_ended_opens_nothing(site: Site) -> None:
    store = site.shop.store
    revoked, replaced = (site.of(site.operation.id, site.user) for _ in range(2))

    async def story() -> None:
        store.tokens.revoke(store.tokens.find(revoked.token_id))
        shown = await site.visit(revoked)
        assert (shown.exit_status, shown.stdout) == (255, "")
        assert "aptible login" in str(shown.stderr)
        store.people.set_password(site.user, "battery staple")
        assert (await site.visit(replaced)).exit_status == 255

    run(site, story())


@pytest.mark.parametrize("why", ["role", "token"])
def test_who_may_stay_no_longer_is_sent_away(
    site: Site, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(receiver_portal, "PERMITTED_SECONDS", 0.05)
    store = site.shop.store
    request = OperationRequest(site.shop.app.id, OperationType.DEPLOY, site.user.id, "x")
    waiting = store.operations.submit(request, Changes())  # for a worker that never comes
    visit = site.of(waiting.id, site.user)

    async def story() -> None:
        showing = asyncio.create_task(site.visit(visit))
        await asyncio.sleep(0.3)
        assert not showing.done()
        if why == "token":
            store.tokens.revoke(store.tokens.find(visit.token_id))
        else:
            store.members.add(site.shop.environment.id, "another@example.com", Role.ADMIN)
            store.members.remove_email(site.shop.environment.id, site.user.email)
        shown = await showing
        assert shown.exit_status == 255
        assert shown.stderr.startswith("ERROR: ")

    run(site, story())


def test_who_has_a_lesser_role_by_now_or_never_asked_gets_no_terminal(site: Site) -> None:
    shop = site.shop
    other = shop.store.people.create_user("other@example.com", "correct horse")
    shop.store.people.set_role(other, shop.environment.id, Role.ADMIN)
    terminal = site.recorded(OperationType.EXECUTE)

    async def story() -> None:
        demoted = await site.visit(site.of(terminal.id, site.user))
        assert demoted.exit_status == 255
        assert "needs the role deploy" in str(demoted.stderr)
        stranger = await site.visit(site.of(terminal.id, other))
        assert stranger.exit_status == 255
        assert "who asked for it" in str(stranger.stderr)

    run(site, story())


@pytest.mark.parametrize("kind", [OperationType.EXECUTE, OperationType.LOGS])
def test_who_visits_an_attendant_that_is_killed_is_told(site: Site, kind: OperationType) -> None:
    site.shop.store.people.set_role(site.user, site.shop.environment.id, Role.DEPLOY)
    operation = site.recorded(kind)

    async def story() -> None:
        shown = await site.visit(site.of(operation.id, site.user))
        assert "its last" in str(shown.stdout)
        assert shown.exit_status != 0
        if kind is OperationType.EXECUTE:
            assert "Connect again" in str(shown.stderr)

    run(site, story())


@pytest.mark.parametrize("why", ["late", "early", "other authority", "other name"])
def test_certificates_that_do_not_count(
    site: Site, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    visit = site.of(site.operation.id, site.user)
    name = None
    if why == "late":
        monkeypatch.setattr(portal_module, "CERTIFICATE_SECONDS", -10)
    elif why == "early":
        monkeypatch.setattr(portal_module, "_SLACK_SECONDS", -100)
    elif why == "other name":
        name = site.of(site.operation.id, site.user).username

    async def story() -> None:
        if why == "other authority":
            monkeypatch.setattr(site.shop.store, "sealer", SEALER)
        with pytest.raises(asyncssh.PermissionDenied):
            await site.visit(visit, name=name)

    run(site, story())


class TestTheApi:
    def test_it_gives_a_certificate_for_the_caller(self, site: Site) -> None:
        client = site.shop.client(site.user)
        links = client.get(f"/operations/{site.operation.id}").json()["_links"]
        collection = client.get(links["ssh_portal_connections"]["href"]).json()
        assert collection["_embedded"] == {"ssh_portal_connections": []}
        target = collection["_links"]["self"]["href"]
        created = client.post(target, json={"ssh_public_key": public_line("ssh-rsa")})
        assert created.status_code == 201
        connection = created.json()
        assert connection["_type"] == "ssh_portal_connection"
        visit = Visit.read(connection["ssh_user"])
        assert visit.operation_id == site.operation.id
        assert site.shop.store.tokens.find(visit.token_id).user_id == site.user.id
        assert connection["ssh_pty"] is False
        kind = connection["ssh_certificate_body"].split()[0]
        assert kind == "ssh-rsa-cert-v01@openssh.com"

    def test_what_is_no_key_is_refused(self, site: Site) -> None:
        address = f"/operations/{site.operation.id}/ssh_portal_connections"
        refused = site.shop.client(site.user).post(address, json={"ssh_public_key": "none"})
        assert refused.status_code == 422

    def test_a_terminal_is_its_owners(self, site: Site) -> None:
        shop, key = site.shop, {"ssh_public_key": public_line()}
        other = shop.person(Role.DEPLOY)
        request = OperationRequest(shop.app.id, OperationType.EXECUTE, site.user.id, "x")
        terminal = shop.store.operations.record(request, Changes(command="sh"))
        address = f"/operations/{terminal.id}/ssh_portal_connections"
        assert other.post(address, json=key).status_code == 403
        owner = shop.client(site.user)
        assert owner.post(address, json=key).status_code == 403  # whose role is read by now
        shop.store.people.set_role(site.user, shop.environment.id, Role.DEPLOY)
        created = owner.post(address, json=key)
        assert created.status_code == 201
        assert created.json()["ssh_pty"] is True

    def test_what_is_an_hour_old_is_visited_no_more(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        operation = site.recorded(OperationType.LOGS)
        client, key = site.shop.client(site.user), {"ssh_public_key": public_line()}
        address = f"/operations/{operation.id}/ssh_portal_connections"
        assert client.post(address, json=key).status_code == 201
        monkeypatch.setattr(ssh_portal_connections, "_VISITED_SECONDS", -1)
        assert client.post(address, json=key).status_code == 409
        log = f"/operations/{site.operation.id}/ssh_portal_connections"
        assert client.post(log, json=key).status_code == 201  # a log can be read for good

    def test_looking_at_containers_leaves_nothing_for_good(self, site: Site) -> None:
        store, app = site.shop.store, site.shop.app
        looked = site.recorded(OperationType.LOGS)
        terminal = site.recorded(OperationType.EXECUTE)
        told = [each.action for each in store.activities.of_app(app.id).newest(10)]
        assert "operation.execute" in told
        assert "operation.logs" not in told  # nothing was changed
        listed = [each.id for each in store.operations.operations(app.id, newest=10)]
        assert listed == [terminal.id, site.operation.id]
        seconds = store.database.raw.ttl(f"enclave:operation:{looked.id}")
        assert 0 < seconds <= 86400
        assert store.database.raw.ttl(f"enclave:operation:{terminal.id}") == -1

    def test_the_command_is_sealed(self, site: Site) -> None:
        request = OperationRequest(site.shop.app.id, OperationType.EXECUTE, site.user.id, "x")
        store = site.shop.store
        operation = store.operations.record(request, Changes(command="echo hush-hush"))
        raw = store.database.raw.hgetall(f"enclave:operation:{operation.id}")
        assert b"hush" not in b"".join([*raw.keys(), *raw.values()])
        assert store.operations.changes(operation.id).command == "echo hush-hush"

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"type": "execute"}, "which command"),
            ({"type": "execute", "command": "  "}, "which command"),
            ({"type": "execute", "command": "a\0b"}, "NUL"),
            ({"type": "execute", "command": "ls"}, "never deployed"),
            ({"type": "logs"}, "never deployed"),
        ],
    )
    def test_what_cannot_be_visited_makes_no_operation(
        self, site: Site, body: dict[str, str], words: str
    ) -> None:
        refused = site.shop.admin.post(f"{site.shop.path}/operations", json=body)
        assert refused.status_code == 422
        assert words in refused.json()["message"]
        assert site.shop.store.operations.count(site.shop.app.id) == 1
