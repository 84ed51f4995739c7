"""The installation's own certificates in the store."""

import pytest
from certificates import given_certificate

from enclave.errors import InvalidCertificate, NotFound
from enclave.store import Store


def test_a_newer_one_for_the_same_names_takes_the_place_of_the_older(store: Store) -> None:
    for names in (["a.example.com", "b.example.com"], ["a.example.com"], ["*.example.com"]):
        store.own_certificates.give(*given_certificate(*names))
    newest, revision = store.own_certificates.give(
        *given_certificate("b.example.com", "a.example.com")
    )
    assert [each.id for each in store.own_certificates.all()] == [newest.id, 3, 2]
    assert revision == 4
    assert store.routes.changes().revision == revision
    with pytest.raises(NotFound):
        store.certificates.key_pair(1)


def test_one_that_is_removed_is_gone_and_no_environments_can_be(store: Store) -> None:
    environment = store.apps.create_environment("prod")
    given = store.certificates.add(environment.id, *given_certificate("www.example.com"))
    own, first = store.own_certificates.give(*given_certificate("www.example.com"))
    with pytest.raises(NotFound, match=f"no certificate {given.id}"):
        store.own_certificates.remove(given.id)
    assert store.own_certificates.remove(own.id) == first + 1
    assert store.own_certificates.all() == []
    assert store.certificates.of_environment(environment.id) == [given]


@pytest.mark.parametrize("name", ["a b", "x.pem\ny", "*", "a.*.example.com", "-", "a,b"], ids=repr)
def test_what_is_no_host_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidCertificate, match="no host"):
        store.own_certificates.give(*given_certificate("www.example.com", name))
    assert store.own_certificates.all() == []
