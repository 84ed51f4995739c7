"""Packs many packs of an app into few, beside pushes and fetches that go on.

Each push leaves a pack; after hundreds, every look-up goes through hundreds of indexes. Once there
are ``repack_packs`` of them, the newest and smallest are packed into one, together with the next
larger ones as long as that keeps each pack at least twice as large as all before it: so an object
is packed again about log2 N times, and log2 N packs are left (git-repack(1), ``--geometric``).
When that takes all of them in, the pack is ordered by what the refs reach, with a bitmap, which is
what makes a clone quick.

Nothing is dropped, reachable or not: what a push or a waiting deploy refers to stays, whatever the
refs say. That is checked, index against index, before a pack is removed.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from enclave.errors import EnclaveError
from enclave.files import sync
from enclave.settings import settings
from enclave.store import Store, open_store
from hooks.git import Objects, confine
from receiver.owned_directory import locked, owned_directory
from receiver.packs import PACK, holds_all, move_in, object_count, packs, remove
from receiver.view import view

logger = logging.getLogger(__name__)

REPACK = "repack-"
"""The beginning of the name of a folder in which a new pack is made."""

_FACTOR = 2
_HEAD = "refs/heads/master"  # a view has one; nobody reads it here
_SECONDS = 3600
_CPU_SECONDS = 1800
_ADDRESS_SPACE = 2 << 30
_UNFINISHED = "tmp_*"  # git makes its packs there before it gives them their names


class RepackFailed(EnclaveError):
    """Nothing was removed; the message has git's complaint."""

    code = "repack_failed"


def repack_app(app_id: int) -> None:
    """Do the RQ job: repack an app's repository, unless somebody is at it."""
    chosen = settings()
    store = open_store(chosen)
    store.repacks.begin(app_id)
    repository = chosen.repository(app_id)
    done = 0
    try:
        if repository.is_dir():
            done = repack(repository, _tips(store, app_id), spare=chosen.free_disk_bytes)
    finally:
        if not done:  # nothing to do, or it failed: no push asks again for a while
            store.repacks.rest(app_id)


def _tips(store: Store, app_id: int) -> dict[str, str]:
    """Return the refs, and a made-up one for each commit that waits to become one."""
    view_of_refs = store.pushes.view(app_id)
    waiting = {
        f"refs/waiting/{held.operation_id}": held.commit
        for ref in view_of_refs.reservations
        for held in view_of_refs.reserved(ref)
    }
    return view_of_refs.refs | waiting


def repack(repository: Path, tips: Mapping[str, str], *, spare: int = 0) -> int:
    """Pack what is to be packed; return how many packs became one. Raises ``RepackFailed``.

    ``spare`` bytes of the disk must stay free while both the old and the new are there.
    """
    store = repository / "objects"
    with locked(store) as ours:
        if not ours:
            return 0
        for left in (store / "pack").glob(_UNFINISHED):
            left.unlink(missing_ok=True)
        found = packs(store)
        chosen = roll_up({pack: object_count(pack) for pack in found})
        if len(chosen) < 2:
            return 0
        needed = sum(pack.stat().st_size for pack in chosen) + spare
        if shutil.disk_usage(store).free < needed:
            raise RepackFailed(f"the disk has less than {needed} bytes left")
        with owned_directory(store, REPACK) as folder, view(repository, tips, _HEAD) as objects:
            _pack(objects, folder, chosen, everything=len(chosen) == len(found))
            _check(folder, chosen)
            kept = {pack.name for pack in folder.glob(f"*{PACK}")}
            move_in(folder, store)
        for pack in chosen:
            if pack.name not in kept:
                remove(pack)
        sync(store / "pack")
    logger.info("%s: %d packs became one", repository.name, len(chosen))
    return len(chosen)


def roll_up(counts: Mapping[Path, int]) -> list[Path]:
    """Choose the packs to pack into one, by how many objects each holds; may be none.

    What is left, and the new pack, then form a progression: each at least twice the one before.
    """
    smallest_first = sorted(counts, key=lambda pack: counts[pack])
    sizes = [counts[pack] for pack in smallest_first]
    split = len(sizes)
    while split > 1 and sizes[split - 1] >= _FACTOR * sizes[split - 2]:
        split -= 1
    if split <= 1:
        return []
    while split < len(sizes) and sizes[split] < _FACTOR * sum(sizes[:split]):
        split += 1
    return smallest_first[:split]


def _pack(objects: Objects, folder: Path, chosen: Sequence[Path], *, everything: bool) -> None:
    """Make one pack of the chosen ones in ``folder`` (git-pack-objects(1)); git fsyncs it."""
    how = ["--all", "--keep-unreachable", "--write-bitmap-index"]
    child = subprocess.Popen(
        [
            *("nice", "-n", "10", "git", "pack-objects", "-q", "--delta-base-offset"),
            *(how if everything else ["--stdin-packs"]),
            str(folder / "pack"),
        ],
        env=objects.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    names = "" if everything else "".join(f"{pack.name}\n" for pack in chosen)
    try:
        confine(child, cpu_seconds=_CPU_SECONDS, address_space=_ADDRESS_SPACE, walks=True)
        _, errors = child.communicate(names.encode(), timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise RepackFailed(f"git took longer than {_SECONDS}s") from error
    finally:
        child.kill()
        child.communicate()
    if child.returncode != 0:
        raise RepackFailed(errors.decode("utf-8", "replace").strip() or "git was killed")


def _check(folder: Path, chosen: Sequence[Path]) -> None:
    """Raise ``RepackFailed`` unless the new pack has every object of the chosen ones."""
    made = list(folder.glob(f"*{PACK}"))
    if len(made) != 1:
        raise RepackFailed(f"git made {len(made)} packs")
    lacking = [pack.name for pack in chosen if not holds_all(made[0], pack)]
    if lacking:
        raise RepackFailed(f"the new pack lacks objects of {', '.join(lacking)}")
