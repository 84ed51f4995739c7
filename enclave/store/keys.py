"""Every Redis key and its type. No other module spells one."""

from __future__ import annotations

_ROOT = "enclave"

USERS_BY_EMAIL = f"{_ROOT}:users:by-email"  # hash: email -> user id
KEYS_BY_FINGERPRINT = f"{_ROOT}:keys:by-fingerprint"  # hash: fingerprint -> key id
ENVIRONMENTS_BY_HANDLE = f"{_ROOT}:environments:by-handle"  # hash: handle -> environment id
ACTIVITY = f"{_ROOT}:activity"  # stream: what was changed, by whom
INSTALLATION = f"{_ROOT}:installation"  # string: this installation's name on its engines
DUE = f"{_ROOT}:due"
"""Sorted set: app id -> time (ms) when someone must have looked at its queue. Also the channel on
which reconcilers hear of a new one."""
ENDPOINT_HOSTS = f"{_ROOT}:endpoint-hosts"  # hash: host name -> endpoint id
UNTIDY = f"{_ROOT}:untidy"  # hash: app id -> fence under which containers may have been left behind
DEPROVISIONED = f"{_ROOT}:deprovisioned"
"""Set of ids of apps that are gone, and whose repositories are still to be removed."""
HOUSEKEEPER = f"{_ROOT}:housekeeper"  # string that expires: a housekeeper has just begun
COURIER = f"{_ROOT}:courier"  # string that expires: a courier has just begun
EXPIRED_RELEASES = f"{_ROOT}:expired-releases"
"""Sorted set: app id -> number up to which the app's releases keep no image."""
CALLS = f"{_ROOT}:calls"
"""Sorted set that expires: where attendants are wanted (host:port, and a word of its own) -> since
when (s). Also the channel that says so."""
SWEPT = f"{_ROOT}:swept"  # string that expires: a sweep of the Engine waits, or was just made
ROUTES = f"{_ROOT}:routes"
"""Hash: endpoint id -> wanted route (JSON). Also the channel that announces each new revision."""
ROUTE_REVISIONS = f"{_ROOT}:routes:revisions"
"""Sorted set: endpoint id, of removed ones too -> revision of its last change."""
ROUTE_HOSTS = f"{_ROOT}:routes:hosts"  # hash: host -> endpoint id that has it
ROUTES_APPLIED = f"{_ROOT}:routes:applied"  # string: the revision HAProxy agrees with
ROUTES_DRAINING = f"{_ROOT}:routes:draining"  # set of endpoint ids of which something drains
WEBHOOKS_DUE = f"{_ROOT}:webhooks:due"
"""Sorted set: webhook id -> time (ms) when someone must have looked at its deliveries. Also the
channel on which receivers hear that one comes earlier."""
ROUTES_UNSERVED = f"{_ROOT}:routes:unserved"
"""Hash: id of a wanted certificate that the router cannot serve -> why."""


def counter(kind: str) -> str:
    """String: the last id given to a user, key, environment, app, service, operation, certificate,
    member, webhook or delivery; the last revision of the routes."""
    return f"{_ROOT}:last:{kind}"


def user(user_id: int) -> str:
    """Hash: record (JSON), password (argon2)."""
    return f"{_ROOT}:user:{user_id}"


def user_keys(user_id: int) -> str:
    """Set of key ids."""
    return f"{_ROOT}:user:{user_id}:keys"


def user_environments(user_id: int) -> str:
    """Hash: environment id -> role, as older versions kept memberships; taken over, then gone."""
    return f"{_ROOT}:user:{user_id}:environments"


def ssh_key(key_id: int) -> str:
    """String: record (JSON)."""
    return f"{_ROOT}:key:{key_id}"


def user_tokens(user_id: int) -> str:
    """Sorted set: token id -> when it expires (s); also of some that have expired."""
    return f"{_ROOT}:user:{user_id}:tokens"


def token(token_id: str) -> str:
    """String that expires with the token: record (JSON)."""
    return f"{_ROOT}:access-token:{token_id}"


def token_use(token_id: str) -> str:
    """String that expires with the token: when it was last used (s)."""
    return f"{_ROOT}:access-token:{token_id}:used"


def login_failures(email: str) -> str:
    """String that expires: how often a password was wrong lately."""
    return f"{_ROOT}:login-failures:{email}"


def environment(environment_id: int) -> str:
    """String: record (JSON)."""
    return f"{_ROOT}:environment:{environment_id}"


def environment_prefix() -> str:
    """What stands before an environment's id in its key."""
    return environment(0)[:-1]


def environment_activity(environment_id: int) -> str:
    """Stream: what was changed in the environment, its apps included, by whom."""
    return f"{environment(environment_id)}:activity"


def environment_members(environment_id: int) -> str:
    """Hash: email -> member (JSON)."""
    return f"{environment(environment_id)}:members"


def environment_keys(environment_id: int) -> str:
    """Set of the ids of the environment's deploy keys."""
    return f"{environment(environment_id)}:keys"


def environment_apps(environment_id: int) -> str:
    """Hash: handle -> app id."""
    return f"{_ROOT}:environment:{environment_id}:apps"


def environment_handles(environment_id: int) -> str:
    """Sorted set: the handles of the environment's apps, all of score 0: in order."""
    return f"{_ROOT}:environment:{environment_id}:handles"


def environment_certificates(environment_id: int) -> str:
    """Set of certificate ids; environment 0 is the installation itself."""
    return f"{_ROOT}:environment:{environment_id}:certificates"


def certificate(certificate_id: int) -> str:
    """Hash: record (JSON), sealed (chain and key)."""
    return f"{_ROOT}:certificate:{certificate_id}"


def app(app_id: int) -> str:
    """Hash: handle, environment_id, created_at, deploy_branch, status, state, sealed secrets,
    last_deploy (operation id)."""
    return f"{_ROOT}:app:{app_id}"


def app_activity(app_id: int) -> str:
    """Stream: what was changed of the app, by whom."""
    return f"{_ROOT}:app:{app_id}:activity"


def refs(app_id: int) -> str:
    """Hash: full ref name -> 40-digit object id."""
    return f"{_ROOT}:app:{app_id}:refs"


def ref_configs(app_id: int) -> str:
    """Hash: full ref name -> pushed config (JSON)."""
    return f"{_ROOT}:app:{app_id}:ref-configs"


def ref_directories(app_id: int) -> str:
    """Hash: directory of refs (``refs/heads/a``) -> how many refs are below it."""
    return f"{_ROOT}:app:{app_id}:ref-directories"


def reservations(app_id: int) -> str:
    """Hash: full ref name -> JSON list of [operation id, commit], in the order of the queue."""
    return f"{_ROOT}:app:{app_id}:reservations"


def queue(app_id: int) -> str:
    """List of operation ids; the head is the running one or the next."""
    return f"{_ROOT}:app:{app_id}:queue"


def lease(app_id: int) -> str:
    """Hash: holder (token), operation, fence, mode, expires (ms), batch (the last, of its log)."""
    return f"{_ROOT}:app:{app_id}:lease"


def fence(app_id: int) -> str:
    """String: the number of the newest lease; a lease with an older one is lost."""
    return f"{_ROOT}:app:{app_id}:fence"


def app_operations(app_id: int) -> str:
    """Sorted set of all operation ids of the app."""
    return f"{_ROOT}:app:{app_id}:operations"


def kept_logs(app_id: int) -> str:
    """List of the ended operations whose logs are kept, oldest first."""
    return f"{_ROOT}:app:{app_id}:kept-logs"


def service_ids(app_id: int) -> str:
    """Hash: process type -> service id, kept when the process type goes."""
    return f"{_ROOT}:app:{app_id}:service-ids"


def service_settings(app_id: int) -> str:
    """Hash: process type -> settings (JSON), kept when the process type goes."""
    return f"{_ROOT}:app:{app_id}:service-settings"


def endpoint(endpoint_id: int) -> str:
    """Hash: endpoint (JSON), status."""
    return f"{_ROOT}:endpoint:{endpoint_id}"


def app_endpoints(app_id: int) -> str:
    """Set of the ids of the app's endpoints, provisioned or not."""
    return f"{_ROOT}:app:{app_id}:endpoints"


def service(service_id: int) -> str:
    """String: app id and process type (JSON)."""
    return f"{_ROOT}:service:{service_id}"


def visited(operation_id: int) -> str:
    """String that expires: somebody's terminal of this execute is open."""
    return f"{_ROOT}:operation:{operation_id}:visited"


def followers(app_id: int) -> str:
    """Sorted set that expires: who looks at what the app's containers print -> until when (s)."""
    return f"{_ROOT}:app:{app_id}:followers"


def releases(app_id: int) -> str:
    """Hash: number -> release (JSON)."""
    return f"{_ROOT}:app:{app_id}:releases"


def held_images(app_id: int) -> str:
    """Hash: operation id -> the pinned image it needs, or needed, before there is a release."""
    return f"{_ROOT}:app:{app_id}:held-images"


def image_apps(pinned: str) -> str:
    """Set of the apps that have held the image since it was pulled."""
    return f"{_ROOT}:image:{pinned}:apps"


def image_removal(pinned: str) -> str:
    """String that expires: somebody is about to remove the image, nobody may begin to use it."""
    return f"{_ROOT}:image:{pinned}:removal"


def helper_credentials(helper: str, domain: str) -> str:
    """String that expires: sealed credentials that a credential helper gave for a registry."""
    return f"{_ROOT}:helper-credentials:{helper}:{domain}"


def operation(operation_id: int) -> str:
    """Hash: request, refs (JSON for the scripts), sealed changes, status, point, times, message."""
    return f"{_ROOT}:operation:{operation_id}"


def operation_log(operation_id: int) -> str:
    """Stream: entries with a ``line``, and one last entry with ``end`` (the final status)."""
    return f"{_ROOT}:operation:{operation_id}:log"


def operation_control(operation_id: int) -> str:
    """List that the running worker blocks on: ``cancel``, or ``end`` from itself."""
    return f"{_ROOT}:operation:{operation_id}:control"


def change(change_id: str) -> str:
    """String that expires: whether a change of records was made, so that asking again is safe."""
    return f"{_ROOT}:change:{change_id}"


def push(push_id: str) -> str:
    """String that expires: the outcome of a push's transaction, so that asking again is safe."""
    return f"{_ROOT}:push:{push_id}"


def app_webhooks(app_id: int) -> str:
    """Hash: webhook id -> ``1``, or ``0`` while it is not active."""
    return f"{_ROOT}:app:{app_id}:webhooks"


def webhook(webhook_id: int) -> str:
    """Hash: app, created_at, sealed (its URL), secret (sealed)."""
    return f"{webhook_prefix()}{webhook_id}"


def webhook_pending(webhook_id: int) -> str:
    """Sorted set: id of a delivery that has not ended -> time (ms) of its next try."""
    return f"{webhook(webhook_id)}:pending"


def webhook_ended(webhook_id: int) -> str:
    """List of the ended deliveries that are kept, oldest first."""
    return f"{webhook(webhook_id)}:ended"


def webhook_lease(webhook_id: int) -> str:
    """Hash: holder (token), delivery, expires (ms) of the try that is under way."""
    return f"{webhook(webhook_id)}:lease"


def webhook_prefix() -> str:
    """What stands before a webhook's id in its keys."""
    return f"{_ROOT}:webhook:"


def delivery(delivery_id: int) -> str:
    """Hash: webhook, operation, status, attempts, times, code, error."""
    return f"{delivery_prefix()}{delivery_id}"


def delivery_prefix() -> str:
    """What stands before a delivery's id in its key."""
    return f"{_ROOT}:delivery:"


def idempotency(user_id: int, key_digest: str) -> str:
    """String that expires: what the user asked with that key, and the operation made (JSON)."""
    return f"{_ROOT}:user:{user_id}:idempotency:{key_digest}"


def repack_asked(app_id: int) -> str:
    """String that expires: a repacking of the app's repository waits."""
    return f"{_ROOT}:app:{app_id}:repack-asked"


def operation_prefix() -> str:
    """What stands before an operation's id in its key."""
    return operation(0)[:-1]
