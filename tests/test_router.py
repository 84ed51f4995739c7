"""What the router does not do before it knows what is wanted."""

from pathlib import Path

import pytest

from enclave.errors import RouterUnavailable
from enclave.settings import Settings
from enclave.store import Store
from router.files import MAIN
from router.router import Router


def test_before_it_has_read_what_is_wanted_it_takes_nothing_away(
    store: Store, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path)
    settings.haproxy.mkdir()
    router = Router(store, settings)

    router.tend()  # the store could not be asked yet

    assert not (settings.haproxy / MAIN).exists()
    router.read()
    with pytest.raises(RouterUnavailable):  # there is no HAProxy here
        router.tend()
    assert (settings.haproxy / MAIN).exists()
