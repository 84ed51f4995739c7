"""The files of a commit that matter, read with a real git (SPEC 1, 2.5)."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from bare_repository import EXECUTABLE, FILE, FOLDER, LINK, SUBMODULE, BareRepository, Content

from enclave.errors import InvalidFiles, PushRefused
from enclave.pushed_config import PushedConfig
from hooks.objects import ObjectReader
from hooks.pushed_files import PushedFiles, read_pushed_files


@pytest.fixture
def repository(tmp_path: Path) -> BareRepository:
    return BareRepository(tmp_path / "1.git")


def read(repository: BareRepository, files: Mapping[str, Content]) -> PushedFiles:
    with ObjectReader(repository.objects) as reader:
        return read_pushed_files(reader, repository.commit(files=files))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, (None, None, False)),
        ({"README": b"\xff"}, (None, None, False)),
        ({"Procfile": b"web: a\n"}, ("web: a\n", None, False)),
        ({".aptible.yml": b"before_release: a\n"}, (None, "before_release: a\n", False)),
        ({"Procfile": b"web: a\r\n", ".aptible.yml": b""}, ("web: a\r\n", "", False)),
        ({"Procfile": "\ufeffweb: é".encode()}, ("web: é", None, False)),
        ({"Dockerfile": b""}, (None, None, True)),
        ({"procfile": b"!", "PROCFILE": b"!", "aptible.yml": b"{"}, (None, None, False)),
        ({"dockerfile": b"", "Dockerfile.dev": b""}, (None, None, False)),
    ],
)
def test_what_a_commit_says(
    repository: BareRepository,
    files: dict[str, Content],
    expected: tuple[str | None, str | None, bool],
) -> None:
    config = read(repository, files).config
    assert (config.procfile, config.aptible_yml, config.dockerfile) == expected
    assert len(config.commit) == 40


def test_only_the_root_folder_counts(repository: BareRepository) -> None:
    below = repository.tree({"Procfile": b"!", ".aptible.yml": b"{", "Dockerfile": b""})
    config = read(repository, {"app": (FOLDER, below)}).config
    assert config == PushedConfig(config.commit)


def test_an_executable_file_is_a_file(repository: BareRepository) -> None:
    procfile = repository.blob(b"web: a")
    assert read(repository, {"Procfile": (EXECUTABLE, procfile)}).config.procfile == "web: a"


@pytest.mark.parametrize("name", ["Procfile", ".aptible.yml"])
@pytest.mark.parametrize(
    ("mode", "complaint"),
    [(LINK, "a symbolic link"), (FOLDER, "not a file"), (SUBMODULE, "not a file")],
)
def test_what_stands_for_a_file_is_none(
    repository: BareRepository, name: str, mode: int, complaint: str
) -> None:
    content = repository.tree({}) if mode == FOLDER else repository.blob(b"web: a")
    with pytest.raises(InvalidFiles, match=f"^{name}: this is {complaint}"):
        read(repository, {name: (mode, content)})


def test_every_problem_of_every_file_is_told_at_once(repository: BareRepository) -> None:
    with pytest.raises(InvalidFiles) as refused:
        read(repository, {"Procfile": b"web\nweb:\n", ".aptible.yml": b"before_release: {}\n"})
    places = [line.split(": ")[0] for line in refused.value.lines()]
    assert places == ["Procfile:1:1", "Procfile:2:5", ".aptible.yml:1:17"]


@pytest.mark.parametrize("name", ["Procfile", ".aptible.yml"])
def test_64_kib_and_no_more(repository: BareRepository, name: str) -> None:
    line = b"web: " if name == "Procfile" else b"#"
    fits = line + b"x" * (64 * 1024 - len(line))
    read(repository, {name: fits})
    with pytest.raises(InvalidFiles, match=r"it has 65537 bytes; at most 65536"):
        read(repository, {name: fits + b"x"})


def test_a_huge_file_is_refused_unread(repository: BareRepository) -> None:
    huge = repository.lie(b"blob 900000000")
    with pytest.raises(InvalidFiles, match="900000000 bytes"):
        read(repository, {"Procfile": (FILE, huge)})


def test_a_huge_folder_is_refused(
    repository: BareRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hooks.pushed_files._MAX_TREE", 63)
    read(repository, {"a": b"", "b": b""})
    with pytest.raises(PushRefused, match="has 87 bytes; the limit is 63"):
        read(repository, {"a": b"", "b": b"", "c": b""})


def test_a_file_whose_object_is_missing(repository: BareRepository) -> None:
    with pytest.raises(PushRefused, match=f"Procfile: object {'1' * 40} is missing"):
        read(repository, {"Procfile": (FILE, "1" * 40)})


def test_a_commit_whose_folder_is_missing(repository: BareRepository) -> None:
    commit = repository.add(repository.unstored_commit([], "1" * 40))
    with ObjectReader(repository.objects) as reader, pytest.raises(PushRefused, match="is missing"):
        read_pushed_files(reader, commit)


def test_unknown_keys_are_a_warning(repository: BareRepository) -> None:
    files = read(repository, {".aptible.yml": b"befor_release: a\n"})
    (warning,) = files.warnings
    assert "befor_release" in warning
    assert files.config.aptible_yml == "befor_release: a\n"
