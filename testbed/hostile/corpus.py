"""The corpus itself: every kind by its name."""

from __future__ import annotations

from itertools import chain

from testbed.hostile import (
    bad_commits,
    bad_deltas,
    bad_packs,
    bad_refs,
    bad_special_files,
    bad_tags,
    bad_trees,
)
from testbed.hostile.push import HostilePush

_CHAPTERS = (
    *(bad_packs, bad_deltas, bad_trees, bad_commits, bad_tags, bad_special_files, bad_refs),
)


def read() -> dict[str, HostilePush]:
    """Make every kind; about a second's work. Raises ``ValueError`` when two have one name."""
    kinds: dict[str, HostilePush] = {}
    for kind in chain.from_iterable(chapter.kinds() for chapter in _CHAPTERS):
        if kind.name in kinds:
            raise ValueError(f"two kinds are called {kind.name}")
        kinds[kind.name] = kind
    return kinds
