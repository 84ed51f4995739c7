"""The installation's own certificates in the store."""

import pytest
from certificates import given_certificate

from enclave.errors import CertificateNotServed, InvalidCertificate, NotFound, StepTimedOut
from enclave.store import Store


def test_a_newer_one_for_the_same_names_takes_the_place_of_the_older(store: Store) -> None:
    """Once the router has it, and not before."""
    for names in (["a.example.com", "b.example.com"], ["a.example.com"], ["*.example.com"]):
        store.own_certificates.give(*given_certificate(*names))
    newest, revision = store.own_certificates.give(
        *given_certificate("b.example.com", "a.example.com")
    )
    assert revision == store.routes.changes().revision == 4
    assert numbers(store) == [newest.id, 3, 2, 1]
    store.routes.report(revision, frozenset(), {})
    store.own_certificates.settle(newest, revision, seconds=0)
    assert numbers(store) == [newest.id, 3, 2]
    assert store.routes.changes().revision == revision + 1
    with pytest.raises(NotFound):
        store.certificates.key_pair(1)


def test_one_that_the_router_cannot_serve_replaces_nothing(store: Store) -> None:
    store.own_certificates.give(*given_certificate("a.example.com"))
    given, revision = store.own_certificates.give(*given_certificate("a.example.com"))
    store.routes.report(revision, frozenset(), {given.id: "OpenSSL does not take it", 7: "gone"})
    with pytest.raises(CertificateNotServed, match="2 cannot be served: OpenSSL does not take it"):
        store.own_certificates.settle(given, revision, seconds=0)
    assert numbers(store) == [1]
    assert store.routes.changes().revision == revision + 1  # the router hears of that


def test_one_that_no_router_answers_for_replaces_nothing(store: Store) -> None:
    store.own_certificates.give(*given_certificate("a.example.com"))
    given, revision = store.own_certificates.give(*given_certificate("a.example.com"))
    with pytest.raises(StepTimedOut):
        store.own_certificates.settle(given, revision, seconds=0)
    assert numbers(store) == [1]


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
    assert store.activities.of_installation().count() == 0  # it was never there


def numbers(store: Store) -> list[int]:
    return [each.id for each in store.own_certificates.all()]
