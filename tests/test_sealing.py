"""Secrets at rest (invariant 6)."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from enclave.errors import Misconfigured
from enclave.sealing import Sealer

OLD, NEW, FOREIGN = (Fernet.generate_key().decode() for _ in range(3))


@given(st.text(st.characters(codec="utf-8")))
def test_what_is_sealed_opens_again(text: str) -> None:
    sealer = Sealer([NEW])
    sealed = sealer.seal(text)
    assert sealed.isascii()
    assert sealer.open(sealed) == text
    assert sealer.seal(text) != sealed


def test_nothing_shows_through() -> None:
    assert "hunter2hunter2" not in Sealer([NEW]).seal("hunter2hunter2" * 10)


def test_keys_rotate() -> None:
    before, both, after = Sealer([OLD]), Sealer([NEW, OLD]), Sealer([NEW])
    assert both.open(before.seal("a")) == "a"
    assert after.open(both.seal("a")) == "a"
    with pytest.raises(Misconfigured, match="removed too early"):
        after.open(before.seal("a"))


@pytest.mark.parametrize("sealed", ["", "x", "gAAAAA", Sealer([FOREIGN]).seal("a")], ids=range(4))
def test_what_another_sealed_does_not_open(sealed: str) -> None:
    with pytest.raises(Misconfigured, match="none of ENCLAVE_SECRET_KEYS"):
        Sealer([NEW, OLD]).open(sealed)


def test_what_was_tampered_with_does_not_open() -> None:
    sealed = Sealer([NEW]).seal("a" * 40)
    changed = "A" if sealed[60] != "A" else "B"
    with pytest.raises(Misconfigured):
        Sealer([NEW]).open(sealed[:60] + changed + sealed[61:])


@pytest.mark.parametrize("keys", [["x"], ["é" * 43], [NEW[:-1]], [NEW, "x"]])
def test_what_is_no_key_is_named_without_being_shown(keys: list[str]) -> None:
    with pytest.raises(Misconfigured, match="not a Fernet key") as refused:
        Sealer(keys)
    assert not any(len(key) > 1 and key in str(refused.value) for key in keys)


def test_no_key_at_all() -> None:
    with pytest.raises(Misconfigured, match="set ENCLAVE_SECRET_KEYS"):
        Sealer([])


class TestFromSettings:
    def test_a_key_is_made_once_and_for_its_owner_only(self, tmp_path: Path) -> None:
        sealed = Sealer.from_settings("", tmp_path / "data").seal("a")
        path = tmp_path / "data" / "secret.keys"
        assert path.stat().st_mode & 0o777 == 0o600
        content = path.read_bytes()
        assert Sealer.from_settings("", tmp_path / "data").open(sealed) == "a"
        assert path.read_bytes() == content

    def test_the_file_may_hold_older_keys_below(self, tmp_path: Path) -> None:
        (tmp_path / "secret.keys").write_text(f"{NEW}\n{OLD}\n")
        sealer = Sealer.from_settings("", tmp_path)
        assert sealer.open(Sealer([OLD]).seal("a")) == "a"
        assert Sealer([NEW]).open(sealer.seal("a")) == "a"

    def test_keys_that_are_given_leave_the_disk_alone(self, tmp_path: Path) -> None:
        sealer = Sealer.from_settings(f" {NEW} , {OLD},", tmp_path)
        assert sealer.open(Sealer([OLD]).seal("a")) == "a"
        assert Sealer([NEW]).open(sealer.seal("a")) == "a"
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("keys", [",", " , "])
    def test_keys_that_are_none(self, tmp_path: Path, keys: str) -> None:
        with pytest.raises(Misconfigured, match="no secret key"):
            Sealer.from_settings(keys, tmp_path)


def test_derived_keys_are_the_newest_keys_and_the_purposes() -> None:
    derived = Sealer([NEW, OLD]).derive("tokens")
    assert len(derived) == 32
    assert derived == Sealer([NEW]).derive("tokens")
    assert derived != Sealer([OLD]).derive("tokens")
    assert derived != Sealer([NEW]).derive("other")
