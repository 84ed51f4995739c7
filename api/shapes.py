"""What every answer looks like: the schemas of ``/docs``, which answers are checked against.

An answer with a field missing, or of another type, is an error of ours and becomes a 500: clients
never meet half a resource. A field that is not here passes all the same; a test names it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.hal_shapes import Linked, Links, Shape, Time, pages_of
from enclave.app import AppStatus
from enclave.endpoint import EndpointStatus
from enclave.operation import OperationStatus, OperationType
from enclave.people import Role
from enclave.webhook import DeliveryStatus


class Health(Shape):
    """The process and its store answer."""

    status: Literal["ok"]


class Root(Shape):
    """Where the collections are."""

    links: Annotated[
        Links,
        Linked(
            *("self", "accounts", "apps", "stacks", "organizations"),
            *("reauthenticate_organizations", "tokens"),
        ),
    ] = Field(alias="_links")


class Token(Shape):
    """A time of access, without its text. ``expires_at`` is in Unix seconds."""

    type_: Literal["token"] = Field(alias="_type")
    id: str
    name: str
    scope: str
    created_at: Time
    expires_at: int
    last_used_at: Time | None
    links: Annotated[Links, Linked("self", "user")] = Field(alias="_links")


class IssuedToken(Token):
    """A token as it is told once. ``expires_in`` is in seconds."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int


class User(Shape):
    """A person, or a robot."""

    type_: Literal["user"] = Field(alias="_type")
    id: int
    email: str
    name: str
    created_at: Time
    links: Annotated[Links, Linked("self", maybe=("ssh_keys", "tokens"))] = Field(alias="_links")


class SSHKey(Shape):
    """A public key to push with."""

    type_: Literal["ssh_key"] = Field(alias="_type")
    id: int
    name: str
    ssh_public_key: str
    public_key_fingerprint: str
    links: Annotated[Links, Linked("self", maybe=("user", "account"))] = Field(alias="_links")


class Organization(Shape):
    """An installation is one."""

    type_: Literal["organization"] = Field(alias="_type")
    id: int
    name: str
    links: Annotated[Links, Linked("self", "accounts")] = Field(alias="_links")


class Stack(Shape):
    """Where the containers run."""

    type_: Literal["stack"] = Field(alias="_type")
    id: int
    name: str
    region: str
    outbound_ip_addresses: list[str]
    ssh_portal_host: str
    ssh_portal_port: int
    ssh_host_rsa_public_key: str
    links: Annotated[Links, Linked("self")] = Field(alias="_links")


class Account(Shape):
    """An environment."""

    type_: Literal["account"] = Field(alias="_type")
    id: int
    handle: str
    type: str
    created_at: Time
    links: Annotated[
        Links,
        Linked(
            *("self", "apps", "certificates", "ssh_keys", "members", "activity"),
            *("stack", "organization"),
        ),
    ] = Field(alias="_links")


class Member(Shape):
    """Somebody who belongs to an environment."""

    type_: Literal["member"] = Field(alias="_type")
    id: int
    email: str
    role: Role
    created_at: Time
    links: Annotated[Links, Linked("self", "account")] = Field(alias="_links")


class Activity(Shape):
    """One change: who made it, with which token or key, and from where."""

    type_: Literal["activity"] = Field(alias="_type")
    id: str
    action: str
    about: str
    created_at: Time
    user_email: str
    proof: str
    remote_address: str
    user_agent: str
    links: Annotated[Links, Linked("self", maybe=("app", "operation"))] = Field(alias="_links")


class Operation(Shape):
    """One piece of queued work. ``git_ref`` is null when the app's commit stays as it is."""

    type_: Literal["operation"] = Field(alias="_type")
    id: int
    type: OperationType
    status: OperationStatus
    cancelled: bool
    git_ref: str | None
    created_at: Time
    updated_at: Time
    user_email: str
    links: Annotated[
        Links,
        Linked(
            *("self", "account", "resource", "logs", "events", "ssh_portal_connections"),
            maybe=("user",),
        ),
    ] = Field(alias="_links")


class SSHPortalConnection(Shape):
    """What opens one operation at the log portal, for five minutes."""

    type_: Literal["ssh_portal_connection"] = Field(alias="_type")
    ssh_user: str
    ssh_pty: bool
    ssh_certificate_body: str
    links: Annotated[Links, Linked("operation")] = Field(alias="_links")


class Service(Shape):
    """A process type of an app. ``command`` is null for the image's own."""

    type_: Literal["service"] = Field(alias="_type")
    id: int
    handle: str
    process_type: str
    command: str | None
    container_count: int
    container_memory_limit_mb: int
    instance_class: str
    stop_timeout: int | None
    docker_repo: str | None
    docker_ref: str | None
    created_at: Time
    links: Annotated[Links, Linked("self", "account", "app", "operations", "vhosts")] = Field(
        alias="_links"
    )


class Configuration(Shape):
    """An app's environment variables."""

    type_: Literal["configuration"] = Field(alias="_type")
    id: int
    env: dict[str, str]
    links: Annotated[Links, Linked("self", "app")] = Field(alias="_links")


class Image(Shape):
    """What the live release runs."""

    type_: Literal["image"] = Field(alias="_type")
    id: int
    git_repo: str
    git_ref: str | None
    docker_repo: str
    docker_ref: str | None
    exposed_ports: list[int]
    created_at: Time
    links: Annotated[Links, Linked("self", "app")] = Field(alias="_links")


class EmbeddedInApp(BaseModel):
    """What an app always comes with."""

    services: list[Service]
    current_image: Image | None
    last_operation: Operation | None
    last_deploy_operation: Operation | None


class App(Shape):
    """One deployable thing."""

    type_: Literal["app"] = Field(alias="_type")
    id: int
    handle: str
    git_repo: str
    status: AppStatus
    deployment_method: Literal["docker_image", "git"]
    created_at: Time
    updated_at: Time
    embedded: EmbeddedInApp = Field(alias="_embedded")
    links: Annotated[
        Links,
        Linked(
            *("self", "account", "operations", "services", "configurations", "images"),
            *("releases", "vhosts", "webhooks", "log_events", "activity"),
            maybe=("current_configuration",),
        ),
    ] = Field(alias="_links")


class Vhost(Shape):
    """An endpoint."""

    type_: Literal["vhost"] = Field(alias="_type")
    id: int
    external_host: str
    virtual_domain: str
    status: EndpointStatus
    created_at: Time
    type: str
    platform: str
    process_type: str
    container_port: int | None
    load_balancing_algorithm_type: str
    shared: bool
    internal: bool
    ip_whitelist: list[str]
    default: bool
    acme: bool
    user_domain: str | None
    acme_dns_challenge_host: str | None
    acme_status: str | None
    current_setting: dict[str, Any] | None
    links: Annotated[
        Links, Linked("self", "app", "operations", maybe=("service", "certificate"))
    ] = Field(alias="_links")


class Certificate(Shape):
    """A certificate of a user; its key is never shown."""

    type_: Literal["certificate"] = Field(alias="_type")
    id: int
    common_name: str
    subject_alternative_names: list[str]
    issuer_common_name: str
    not_before: Time
    not_after: Time
    sha256_fingerprint: str
    created_at: Time
    links: Annotated[Links, Linked("self", "account")] = Field(alias="_links")


class WebhookDelivery(Shape):
    """How one message to a webhook went: the answer's code or a sentence, of the last try."""

    type_: Literal["webhook_delivery"] = Field(alias="_type")
    id: int
    status: DeliveryStatus
    attempts: int
    response_code: int | None
    error: str | None
    created_at: Time
    attempted_at: Time | None
    next_attempt_at: Time | None
    ended_at: Time | None
    links: Annotated[Links, Linked("operation")] = Field(alias="_links")


class EmbeddedInWebhook(BaseModel):
    """The newest first."""

    deliveries: list[WebhookDelivery]


class Webhook(Shape):
    """An address that is told of the ends of an app's operations."""

    type_: Literal["webhook"] = Field(alias="_type")
    id: int
    url: str
    active: bool
    created_at: Time
    embedded: EmbeddedInWebhook = Field(alias="_embedded")
    links: Annotated[Links, Linked("self", "app")] = Field(alias="_links")


class CreatedWebhook(Webhook):
    """A new one, with the secret that no other answer shows."""

    secret: str


class Release(Shape):
    """What one successful operation put live. ``id`` is the operation's."""

    type_: Literal["release"] = Field(alias="_type")
    id: int
    number: int
    status: str
    type: str
    created_at: Time
    user_email: str
    image: str | None
    docker_repo: str
    docker_ref: str | None
    digest: str | None
    git_ref: str | None
    links: Annotated[Links, Linked("self", "app", "operation")] = Field(alias="_links")


Accounts = pages_of("accounts", Account)
Activities = pages_of("activity", Activity)
Apps = pages_of("apps", App)
Certificates = pages_of("certificates", Certificate)
Configurations = pages_of("configurations", Configuration)
Images = pages_of("images", Image)
Members = pages_of("members", Member)
Operations = pages_of("operations", Operation)
Organizations = pages_of("organizations", Organization)
ReauthenticateOrganizations = pages_of("reauthenticate_organizations", Organization)
Releases = pages_of("releases", Release)
Services = pages_of("services", Service)
SSHPortalConnections = pages_of("ssh_portal_connections", SSHPortalConnection)
SSHKeys = pages_of("ssh_keys", SSHKey)
Stacks = pages_of("stacks", Stack)
Tokens = pages_of("tokens", Token)
Vhosts = pages_of("vhosts", Vhost)
Webhooks = pages_of("webhooks", Webhook)
