"""What receivers that were killed left on the disk, and its removal.

Temporary folders are owned (``receiver/owned_directory.py``): one whose owner lives stays. A pack
without its index is what a kill between the two renames of ``receiver/packs.py`` leaves; nobody
reads it, and it cannot be owned, so it goes once it is older than any push may be. The same goes
for an index without its pack.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from enclave.settings import Settings
from enclave.store import Store
from receiver.owned_directory import locked
from receiver.owned_directory import sweep as sweep_unowned
from receiver.packs import counts
from receiver.quarantine import INCOMING
from receiver.repacking import REPACK
from receiver.repository import HALF_MADE, VIEW

_OLD_SECONDS = 24 * 3600


def sweep(repositories: Path) -> int:
    """Remove what nobody will finish, in every repository; return how many things."""
    patterns = (
        *(f"*.git/objects/{INCOMING}*", f"*.git/objects/{REPACK}*"),
        *(f"*{HALF_MADE}*", f"*.git/{VIEW}*"),
    )
    folders = sum(sweep_unowned(repositories, pattern) for pattern in patterns)
    return folders + sum(map(_remove_orphans, repositories.glob("*.git/objects/pack")))


def remove_deprovisioned(store: Store, settings: Settings) -> int:
    """Remove the repositories of apps that were deprovisioned; return how many."""
    gone = store.apps.deprovisioned()
    for app_id in gone:
        shutil.rmtree(settings.repository(app_id), ignore_errors=True)
        if not settings.repository(app_id).exists():
            store.apps.forget_repository(app_id)
    return len(gone)


def _remove_orphans(folder: Path) -> int:
    """Remove the files of packs that do not count, while nobody moves one in."""
    with locked(folder) as alone:
        return sum(map(_remove_orphan, folder.glob("*.*"))) if alone else 0


def _remove_orphan(file: Path) -> bool:
    """Remove a file of a pack that does not count, if it is old; it may be gone meanwhile."""
    try:
        orphan = not counts(file)
        old = time.time() - file.stat().st_mtime > _OLD_SECONDS
    except FileNotFoundError:
        return False
    if orphan and old:
        file.unlink(missing_ok=True)
    return orphan and old
