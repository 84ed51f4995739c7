"""What is live of an app: the release that shall run when no operation does."""

from __future__ import annotations

from dataclasses import dataclass, field

from enclave.app import App, AppSecrets
from enclave.codec import decode
from enclave.release import Release
from enclave.store import Store


@dataclass(frozen=True, slots=True)
class Live:
    """The live release, None before the first, and the configuration it went live with."""

    release: Release | None = None
    configuration: dict[str, str] = field(default_factory=dict, repr=False)


def read_live(store: Store, app: App) -> Live:
    """Return what is live of ``app``."""
    number = app.state.release
    if number is None:
        return Live()
    release = store.apps.release(app.id, number)
    opened = store.sealer.open(release.sealed_configuration)
    return Live(release, decode(AppSecrets, opened).configuration)
