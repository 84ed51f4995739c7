"""A Redis that is full: it takes nothing new."""

from collections.abc import Iterator
from contextlib import contextmanager

from enclave.store import Store


@contextmanager
def full(store: Store) -> Iterator[None]:
    """Within the block, the Redis of ``store`` has more than it may."""
    store.database.raw.config_set("maxmemory", 1)
    try:
        yield
    finally:
        store.database.raw.config_set("maxmemory", 0)
