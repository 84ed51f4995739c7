"""The settings that certbot's deploy hook reads as root: words, and never commands."""

import os
import subprocess
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[1] / "deploy" / "certbot-hook"


def told(folder: Path, *lines: str, settings: str = "enclave.env", **inherited: str) -> list[str]:
    """Run the hook in a folder, with these settings; return what it would run, and with what."""
    command = folder / "the enclave"
    command.write_text(
        '#!/bin/sh\nprintf "%s\\n" "${ENCLAVE_REDIS_URL-unset}" "${ENCLAVE_DATA-unset}" '
        '"${LD_PRELOAD-unset}" "$*"\n'
    )
    command.chmod(0o755)
    (folder / "enclave.env").write_text("\n".join([f'ENCLAVE="{command}"', *lines, ""]))
    return subprocess.run(
        [str(HOOK), str(folder / settings)],
        env={"PATH": os.environ["PATH"], "RENEWED_LINEAGE": "/live/a b", **inherited},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout.splitlines()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("redis://127.0.0.1:6379/0?a=1&b=2", "redis://127.0.0.1:6379/0?a=1&b=2"),
        ("x$HOME", "x$HOME"),
        ("x$(touch ran)", "x$(touch ran)"),
        ("x`touch ran`", "x`touch ran`"),
        ("x; touch ran", "x; touch ran"),
        ("x & touch ran", "x & touch ran"),
        ("x # y", "x # y"),
        ("  two words  ", "two words"),
        ('"two  words "', "two  words "),
        (r'"a \"b\" \$c \n"', r'a "b" $c \n'),
        ("'a \\$b \"c\"'", 'a \\$b "c"'),
        (r"a\ b\\c", r"a b\c"),
        ('"$(touch ran)"', "$(touch ran)"),
        ("", ""),
    ],
    ids=repr,
)
def test_a_value_is_what_systemd_takes_it_for(tmp_path: Path, written: str, meant: str) -> None:
    lines = told(tmp_path, "ENCLAVE_REDIS_URL=old", f" ENCLAVE_REDIS_URL = {written}")
    assert lines[0] == meant
    assert lines[3] == "certificate add /live/a b/fullchain.pem /live/a b/privkey.pem"
    assert not (tmp_path / "ran").exists()


def test_only_our_own_are_taken_and_remarks_are_none(tmp_path: Path) -> None:
    lines = told(
        tmp_path,
        "# ENCLAVE_REDIS_URL=remark",
        "; ENCLAVE_REDIS_URL=remark",
        "LD_PRELOAD=/nowhere.so",
        "touch ran",
        "ENCLAVE_DATA=/srv/enclave",
        "XENCLAVE_DATA=no",
    )
    assert lines[:3] == ["unset", "/srv/enclave", "unset"]
    assert not (tmp_path / "ran").exists()


def test_without_the_file_what_is_inherited_counts(tmp_path: Path) -> None:
    told(tmp_path)  # which writes the command
    ours = {"ENCLAVE": str(tmp_path / "the enclave"), "ENCLAVE_DATA": "/elsewhere"}
    assert told(tmp_path, settings="none.env", **ours)[1] == "/elsewhere"
