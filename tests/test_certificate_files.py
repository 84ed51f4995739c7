"""Certificates as files: HAProxy sees only those that OpenSSL takes; of others is told why."""

import ssl
from pathlib import Path

import pytest
from certificates import Issued
from cryptography.hazmat.primitives.asymmetric import rsa

from enclave.certificate import KeyPair
from enclave.errors import NotFound
from enclave.store.certificates import Certificates
from router.certificates import CertificateFiles

GOOD = Issued("a.example.com")
WEAK = Issued("b.example.com", key=rsa.generate_private_key(65537, 1024))
PAIRS = {1: KeyPair(GOOD.pem, GOOD.key_pem()), 2: KeyPair(WEAK.pem, WEAK.key_pem())}
WANTED = frozenset({1, 2, 3})


class StoredCertificates(Certificates):
    """Two that are kept, one of which is older than the rule that refuses it."""

    def __init__(self) -> None:
        """Need no database."""

    def key_pair(self, certificate_id: int) -> KeyPair:
        if certificate_id not in PAIRS:
            raise NotFound("there is no such certificate")
        return PAIRS[certificate_id]


def files_in(directory: Path) -> CertificateFiles:
    return CertificateFiles(directory, "apps.example.com", StoredCertificates())


def test_what_cannot_be_served_has_no_file_and_a_reason(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    for _ in range(2):  # asked again, it is remembered
        assert files.bring(WANTED) == {1}
        refused = files.refused(WANTED)
        assert refused.keys() == {2, 3}
        assert "OpenSSL does not take it" in refused[2]
        assert refused[3] == "there is no such certificate"
    assert [path.name for path in (tmp_path / "certificates").iterdir()] == ["1.pem"]
    assert files.refused(frozenset({1, 3})).keys() == {3}


def test_a_file_that_was_there_before_is_looked_at_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one that a newer OpenSSL refuses, or that nobody had looked at, would stop HAProxy."""
    assert files_in(tmp_path).bring(frozenset({1})) == {1}
    context = ssl.SSLContext

    def stricter(protocol: int) -> ssl.SSLContext:
        made = context(protocol)
        made.set_ciphers("DEFAULT@SECLEVEL=4")  # 192 bits: not P-256
        return made

    monkeypatch.setattr("router.certificates.ssl.SSLContext", stricter)
    files = files_in(tmp_path)
    assert files.bring(frozenset({1})) == frozenset()
    assert files.refused(frozenset({1})).keys() == {1}
    assert list((tmp_path / "certificates").iterdir()) == []


def test_what_is_wanted_no_more_is_forgotten_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number may come back, for another one: an older copy of the store was put in place."""
    files = files_in(tmp_path)
    files.bring(WANTED)
    files.drop_others(frozenset())
    assert files.refused(WANTED) == {}
    assert list((tmp_path / "certificates").iterdir()) == []
    monkeypatch.setitem(PAIRS, 3, PAIRS[1])
    assert files.bring(WANTED) == {1, 3}
