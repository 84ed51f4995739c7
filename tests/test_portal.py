"""The log portal's certificates, and what it does at the edges."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest
from api_app import ApiApp
from cryptography.fernet import Fernet

from enclave import portal as portal_module
from enclave.changes import Changes
from enclave.errors import InvalidInput, NotFound
from enclave.operation import Operation, OperationRequest, OperationStatus, OperationType
from enclave.people import Role, User
from enclave.portal import Visit, authority_key, certify
from enclave.sealing import Sealer
from enclave.settings import Settings
from enclave.store import Store
from receiver.attendants import Attendants
from receiver.places import Places
from receiver.portal import Portal
from testbed.processes import free_port

SEALER = Sealer([Fernet.generate_key().decode()])
VISIT = Visit(41, 7)


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
        assert "Principals: \n                operation-41-user-7\n" in shown
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
        "name", ["git", "operation-1", "operation-1-user-", "xoperation-1-user-1"]
    )
    def test_other_names_are_no_visits(self, name: str) -> None:
        with pytest.raises(NotFound):
            Visit.read(name)

    def test_a_name_is_read_as_it_was_written(self) -> None:
        assert Visit.read(VISIT.username) == VISIT


@dataclass(frozen=True)
class Site:
    """A portal on a port, over an app with one operation that has succeeded."""

    shop: ApiApp
    settings: Settings
    user: User
    operation: Operation

    def certified(self, visit: Visit) -> tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]:
        key = asyncssh.generate_private_key("ssh-ed25519")
        text = certify(self.shop.store.sealer, key.export_public_key().decode(), visit)
        return key, asyncssh.import_certificate(text)

    @asynccontextmanager
    async def portal(self) -> AsyncIterator[None]:
        store = self.shop.store
        places = Places(10, a_source=10, waiting=10, failures=1000, logins=1000)
        portal = Portal(store, self.settings, Attendants(store, self.settings), places)
        keys = [asyncssh.generate_private_key("ssh-rsa", key_size=2048)]
        acceptor = await portal.start(keys)
        try:
            yield
        finally:
            acceptor.close()

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
        shown = await site.visit(Visit(site.operation.id, site.user.id))
        assert shown.exit_status == 0
        assert "not kept any more" in str(shown.stdout)

    assert site.operation.status is OperationStatus.SUCCEEDED
    run(site, story())


def test_who_left_after_the_certificate_was_given_sees_nothing(site: Site) -> None:
    stranger = site.shop.store.people.create_user("gone@example.com", "correct horse")

    async def story() -> None:
        foreign = await site.visit(Visit(site.operation.id, stranger.id))
        unknown = await site.visit(Visit(999_999, stranger.id))
        assert foreign.exit_status == unknown.exit_status == 255
        assert foreign.stdout == unknown.stdout == ""
        assert foreign.stderr == unknown.stderr
        assert "no such" in str(foreign.stderr)

    run(site, story())


@pytest.mark.parametrize("why", ["late", "early", "other authority", "other name"])
def test_certificates_that_do_not_count(
    site: Site, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    visit = Visit(site.operation.id, site.user.id)
    name = None
    if why == "late":
        monkeypatch.setattr(portal_module, "CERTIFICATE_SECONDS", -10)
    elif why == "early":
        monkeypatch.setattr(portal_module, "_SLACK_SECONDS", -100)
    elif why == "other name":
        name = Visit(site.operation.id, site.user.id + 1).username

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
        assert connection["ssh_user"] == Visit(site.operation.id, site.user.id).username
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
