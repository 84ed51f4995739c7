"""Users' keys and roles."""

import subprocess
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.errors import InvalidInput
from enclave.people import Role, fingerprint, read_key

BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIPbn0ZFfTnbUSpDNWqy5XUZ2mBCsIwOeuRSNuGEmsyPK"


@pytest.mark.parametrize(
    "options", [("ed25519",), ("rsa", "-b", "1024"), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "521")]
)
def test_a_fingerprint_is_the_one_that_ssh_keygen_prints(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    path = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-N", "", "-C", "me at home", "-f", str(path), "-t", *options],
        check=True,
    )
    public = path.with_suffix(".pub")
    listed = subprocess.run(
        ["ssh-keygen", "-lf", str(public)], capture_output=True, text=True, check=True
    )
    expected = listed.stdout.split()[1]
    assert expected.startswith("SHA256:")
    line = public.read_text()
    kind, blob, *_ = line.split()
    for form in (line, f"{kind} {blob}", f"  {kind}\t{blob}  another comment\r\n"):
        assert fingerprint(form) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        BLOB,
        f"ssh-ed25519 {BLOB[:-1]}",
        f"ssh-ed25519 {BLOB[:40]}!{BLOB[40:]}",
        "ssh-ed25519 ключ",
        "ssh-ed25519 AAAA…",
        f"ssh-rsa {BLOB}",
        f"ключ {BLOB}",
        "ssh-ed25519 AAAA",
        f"ssh-ed25519 {b64encode(b'ssh-ed25519').decode()}",
        f"command=x ssh-ed25519 {BLOB}",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA",
    ],
)
def test_what_is_no_public_key_is_refused_with_an_example(line: str) -> None:
    with pytest.raises(InvalidInput, match="as in: ssh-ed25519 AAAA"):
        fingerprint(line)


@given(st.text())
def test_any_text_is_a_key_or_refused(text: str) -> None:
    for line in (text, f"ssh-ed25519 {text}", f"{text} {BLOB}"):
        try:
            assert fingerprint(line).startswith("SHA256:")
        except InvalidInput:
            continue


@pytest.mark.parametrize(
    ("role", "includes"),
    [
        (Role.READ, {Role.READ}),
        (Role.DEPLOY, {Role.READ, Role.DEPLOY}),
        (Role.ADMIN, {Role.READ, Role.DEPLOY, Role.ADMIN}),
    ],
)
def test_each_role_includes_the_ones_before(role: Role, includes: set[Role]) -> None:
    assert {other for other in Role if role.includes(other)} == includes


def test_a_comment_is_no_way_into_other_peoples_terminals() -> None:
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPbn0ZFfTnbUSpDNWqy5XUZ2mBCsIwOeuRSNuGEmsyPK"
    assert read_key(f"{line} \x1b]0;pwned\x07ok", number=1, name="").name == "]0;pwnedok"
    assert read_key(f"{line} \x1b", number=1, name="\x07").name == "key"
    assert len(read_key(f"{line} {'x' * 16_000}", number=1, name="").name) == 100
