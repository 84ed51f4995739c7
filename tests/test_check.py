"""The hooks' verdict on files, and on a working tree (SPEC 4.3, 5.1)."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.errors import InvalidAptibleYml, InvalidFiles, InvalidProcfile
from hooks.check import check_directory, check_files, not_a_file, refusal


@pytest.mark.parametrize(
    ("files", "warned"),
    [
        ({}, []),
        ({"Procfile": b"web: a"}, []),
        ({".aptible.yml": b"before_release: a"}, []),
        ({"Procfile": b"web: a", ".aptible.yml": b"x: 1\ny: 2\n"}, ["x", "y"]),
    ],
)
def test_good_files(files: dict[str, bytes], warned: list[str]) -> None:
    warnings = check_files(files)
    assert len(warnings) == len(warned)
    assert all(f"'{key}'" in warning for key, warning in zip(warned, warnings, strict=True))


@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        ({"Procfile": b""}, [InvalidProcfile]),
        ({".aptible.yml": b"{"}, [InvalidAptibleYml]),
        ({"Procfile": b"!", ".aptible.yml": b"{"}, [InvalidProcfile, InvalidAptibleYml]),
        ({"Procfile": b"web: a", ".aptible.yml": b"{"}, [InvalidAptibleYml]),
        (
            {"Procfile": not_a_file("Procfile", "a symbolic link"), ".aptible.yml": b"{"},
            [InvalidProcfile, InvalidAptibleYml],
        ),
        ({".aptible.yml": refusal(".aptible.yml", "too long")}, [InvalidAptibleYml]),
    ],
)
def test_all_bad_files_are_told_together(files: dict[str, bytes], kinds: list[type]) -> None:
    with pytest.raises(InvalidFiles) as refused:
        check_files(files)
    assert [type(each) for each in refused.value.files] == kinds


@given(st.dictionaries(st.sampled_from(["Procfile", ".aptible.yml"]), st.binary(max_size=60)))
def test_any_content_passes_or_is_refused_with_lines(files: dict[str, bytes]) -> None:
    try:
        check_files(files)
    except InvalidFiles as refused:
        assert refused.lines()
        assert all(line.startswith(tuple(files)) for line in refused.lines())


class TestWorkingTree:
    def test_without_any_file(self, tmp_path: Path) -> None:
        assert check_directory(tmp_path) == ()

    def test_it_gets_the_verdict_of_a_push(self, tmp_path: Path) -> None:
        (tmp_path / "Procfile").write_bytes(b"web: a\n")
        (tmp_path / ".aptible.yml").write_bytes(b"x: 1\n")
        (tmp_path / "Dockerfile").write_bytes(b"\xff")
        assert len(check_directory(tmp_path)) == 1
        (tmp_path / "Procfile").write_bytes(b"web\n")
        with pytest.raises(InvalidFiles, match=r"^Procfile:1:1: "):
            check_directory(tmp_path)

    @pytest.mark.parametrize("name", ["Procfile", ".aptible.yml"])
    @pytest.mark.parametrize("target", ["there", "nowhere"])
    def test_a_link_is_refused_wherever_it_leads(
        self, tmp_path: Path, name: str, target: str
    ) -> None:
        (tmp_path / "there").write_bytes(b"web: a\n")
        (tmp_path / name).symlink_to(target)
        with pytest.raises(
            InvalidFiles, match=f"^{name}: this is a symbolic link: commit the file"
        ):
            check_directory(tmp_path)

    @pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
    def test_so_is_what_is_no_file(self, tmp_path: Path, make: object) -> None:
        make(tmp_path / "Procfile")  # type: ignore[operator]
        with pytest.raises(InvalidFiles, match=r"^Procfile: this is not a file"):
            check_directory(tmp_path)

    def test_a_large_file_is_not_read_to_its_end(self, tmp_path: Path) -> None:
        with (tmp_path / "Procfile").open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(InvalidFiles, match="larger than 64 KiB"):
            check_directory(tmp_path)
