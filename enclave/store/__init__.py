"""The one store: everything durable but git objects and containers, in one Redis database."""

from __future__ import annotations

import secrets

from enclave.app import App, AppState
from enclave.changes import projected_state
from enclave.sealing import Sealer
from enclave.settings import Settings
from enclave.store import keys
from enclave.store.activity import Activities
from enclave.store.apps import Apps
from enclave.store.calls import Calls
from enclave.store.certificates import Certificates
from enclave.store.database import Database, unavailable_when_lost
from enclave.store.deliveries import Deliveries
from enclave.store.deploy_keys import DeployKeys
from enclave.store.due import Due
from enclave.store.endpoints import Endpoints
from enclave.store.followers import Followers
from enclave.store.helper_credentials import HelperCredentials
from enclave.store.images import Images
from enclave.store.leases import Leases
from enclave.store.logs import Logs
from enclave.store.members import Members
from enclave.store.operations import Operations
from enclave.store.own_certificates import OwnCertificates
from enclave.store.people import People
from enclave.store.pushes import Pushes
from enclave.store.repacks import Repacks
from enclave.store.routes import Routes
from enclave.store.services import ServiceIds
from enclave.store.tokens import Tokens
from enclave.store.visits import Visits
from enclave.store.wakeups import Wakeups
from enclave.store.webhooks import Webhooks


class Store:
    """The door to the store. Safe to share between threads; connects on first use."""

    def __init__(
        self,
        url: str,
        sealer: Sealer,
        *,
        logs_kept: int = 50,
        activity_kept: int = 1000,
        domain: str = "localhost",
    ) -> None:
        self.database = Database(url)
        self.sealer = sealer
        self.activities = Activities(self.database, kept=activity_kept)
        self.members = Members(self.database, self.activities)
        self.people = People(self.database, self.activities, self.members)
        self.deploy_keys = DeployKeys(self.database, self.activities)
        self.tokens = Tokens(self.database, self.activities)
        self.apps = Apps(self.database, sealer, self.activities)
        self.wakeups = Wakeups(self.database)
        self.due = Due(self.database)
        self.deliveries = Deliveries(self.database)
        self.webhooks = Webhooks(self.database, sealer, self.activities)
        ends = (self.database, sealer, self.wakeups, self.deliveries)
        self.operations = Operations(*ends, self.activities, logs_kept=logs_kept)
        self.leases = Leases(*ends, logs_kept=logs_kept)
        self.pushes = Pushes(self.database, self.operations, self.wakeups, self.activities)
        self.logs = Logs(self.database)
        self.repacks = Repacks(self.database)
        self.images = Images(self.database)
        self.helper_credentials = HelperCredentials(self.database, sealer)
        self.routes = Routes(self.database)
        self.certificates = Certificates(self.database, sealer, self.activities)
        self.own_certificates = OwnCertificates(self.certificates, self.routes)
        self.service_ids = ServiceIds(self.database)
        self.endpoints = Endpoints(self.database, self.activities, domain)
        self.calls = Calls(self.database)
        self.followers = Followers(self.database)
        self.visits = Visits(self.database)

    def installation(self) -> str:
        """Return this installation's name, made on first use: what labels its containers."""
        with unavailable_when_lost():
            if known := self.database.redis.get(keys.INSTALLATION):
                return known  # a full store, or one that can only be read, tells it, too
            self.database.redis.set(keys.INSTALLATION, secrets.token_hex(4), nx=True)
            return self.database.redis.get(keys.INSTALLATION) or ""

    def projected(self, app: App) -> AppState:
        """Return the app as it will be if everything that waits or runs succeeds (SPEC 3.8)."""
        wishes = self.operations.wishes(app.id)
        return projected_state(self.apps.app(app.id).state, wishes)


def open_store(settings: Settings) -> Store:
    """Return the store that the settings name. Raises ``Misconfigured``."""
    sealer = Sealer.from_settings(settings.secret_keys, settings.data)
    return Store(
        settings.resolved_redis_url,
        sealer,
        logs_kept=settings.logs_kept,
        activity_kept=settings.activity_kept,
        domain=settings.domain,
    )
