"""Reading objects that nobody vouches for, with a real git."""

import os
import resource
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from bare_repository import BareRepository
from dulwich.objects import Blob, Commit, Tag

from enclave.errors import AmbiguousCommitish, PushRefused
from hooks.git import Objects
from hooks.objects import ObjectInfo, ObjectReader


@pytest.fixture
def repository(tmp_path: Path) -> BareRepository:
    return BareRepository(tmp_path / "1.git")


def test_type_and_size_of_every_kind(repository: BareRepository) -> None:
    blob, tree = repository.blob(b"abc"), repository.tree({"a": b"abc"})
    commit = repository.commit(files={"a": b"abc"})
    tag = repository.tag(commit, Commit)
    with ObjectReader(repository.objects) as reader:
        assert reader.info(blob) == ObjectInfo(blob, "blob", 3)
        assert reader.info(tree) == ObjectInfo(tree, "tree", 29)
        found = reader.info(f"{tag}^{{commit}}")
        assert found is not None
        assert (found.id, found.type) == (commit, "commit")
        assert reader.info(f"{commit}^{{tree}}") == ObjectInfo(tree, "tree", 29)
        about_tag = reader.info(tag)
        assert about_tag is not None
        assert about_tag.type == "tag"


def test_contents_of_many_objects_one_after_another(repository: BareRepository) -> None:
    contents = [b"", b"\n", b"a\nb", b"\0" * 200_000, b"ab missing\n", os.urandom(70_000)]
    ids = [repository.blob(content) for content in contents]
    with ObjectReader(repository.objects) as reader:
        assert [reader.contents(each, limit=200_000) for each in ids] == contents


@pytest.mark.parametrize(
    "name", ["0" * 40, "f" * 40, "abcd", "x", "a b", "a b c", "é", "{}^{{commit}}"]
)
def test_what_is_missing(repository: BareRepository, name: str) -> None:
    name = name.format(repository.blob())
    with ObjectReader(repository.objects) as reader:
        assert reader.info(name) is None
        with pytest.raises(PushRefused, match="is missing"):
            reader.contents(name, limit=10)
        assert reader.info(repository.blob(b"there")) is not None


def test_a_tag_that_ends_in_a_blob_is_no_commit(repository: BareRepository) -> None:
    tag = repository.tag(repository.blob(), Blob)
    with ObjectReader(repository.objects) as reader:
        assert reader.info(f"{tag}^{{commit}}") is None
        assert reader.info(f"{repository.tag(tag, Tag)}^{{commit}}") is None


@pytest.mark.parametrize(("size", "taken"), [(9, True), (10, True), (11, False)])
def test_the_limit(repository: BareRepository, size: int, *, taken: bool) -> None:
    blob = repository.blob(b"x" * size)
    with ObjectReader(repository.objects) as reader:
        if taken:
            assert reader.contents(blob, limit=10) == b"x" * size
        else:
            with pytest.raises(PushRefused, match=r"has 11 bytes; the limit is 10"):
                reader.contents(blob, limit=10)


def test_the_size_is_known_before_a_byte_is_inflated(repository: BareRepository) -> None:
    huge = repository.lie(b"blob 900000000")  # git would die of its content
    with ObjectReader(repository.objects) as reader:
        assert reader.info(huge) == ObjectInfo(huge, "blob", 900_000_000)
        with pytest.raises(PushRefused, match="has 900000000 bytes"):
            reader.contents(huge, limit=1 << 20)
        assert reader.info(repository.blob()) is not None


def test_an_abbreviation_of_several(repository: BareRepository) -> None:
    seen: dict[str, str] = {}
    number = 0
    while True:
        number += 1
        blob = Blob.from_string(b"%d" % number)
        digits = blob.id.decode()
        if digits[:4] in seen:
            break
        seen[digits[:4]] = digits
        repository.add(blob)
    repository.add(blob)
    with ObjectReader(repository.objects) as reader:
        with pytest.raises(AmbiguousCommitish, match=digits[:4]):
            reader.info(digits[:4])
        assert reader.info(digits[:12]) == reader.info(digits)


def test_a_line_break_cannot_smuggle_a_second_question(repository: BareRepository) -> None:
    blob = repository.blob()
    with ObjectReader(repository.objects) as reader:
        with pytest.raises(PushRefused, match="line break"):
            reader.info(f"{blob}\ninfo {blob}")
        assert reader.info(blob) == ObjectInfo(blob, "blob", 1)


def test_a_quarantine_is_seen_with_what_is_below_it_and_from_nowhere_else(
    repository: BareRepository, tmp_path: Path
) -> None:
    quarantine = tmp_path / "incoming"
    quarantine.mkdir()
    old = repository.blob(b"old")
    new = BareRepository(repository.path, quarantine).blob(b"new")
    with ObjectReader(Objects(repository.path, quarantine)) as reader:
        assert reader.info(old) is not None
        assert reader.contents(new, limit=3) == b"new"
    with ObjectReader(repository.objects) as reader:
        assert reader.info(new) is None


def test_nobodys_configuration_and_no_replacement_counts(
    repository: BareRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, other = repository.blob(b"real"), repository.blob(b"other")
    folder = repository.path / "refs" / "replace"
    folder.mkdir(parents=True)
    (folder / real).write_text(f"{other}\n")
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nonexistent")
    with ObjectReader(repository.objects) as reader:
        assert reader.contents(real, limit=10) == b"real"


class TestAChild:
    def test_that_was_killed(self, repository: BareRepository) -> None:
        blob = repository.blob()
        with ObjectReader(repository.objects) as reader:
            assert reader.info(blob) is not None
            reader._child.kill()
            reader._child.wait()
            for _ in range(2):
                with pytest.raises(PushRefused, match="could not read"):
                    reader.info(blob)

    def test_that_dies_of_a_corrupt_object_in_mid_answer(self, repository: BareRepository) -> None:
        corrupt = repository.lie(b"blob 100000", os.urandom(100_000), cut=50_000)
        with (
            ObjectReader(repository.objects) as reader,
            pytest.raises(PushRefused, match="could not read"),
        ):
            reader.contents(corrupt, limit=1 << 20)

    def test_that_would_need_too_much_memory(
        self, repository: BareRepository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hooks.objects._ADDRESS_SPACE", 64 << 20)
        tree = repository.lie(b"tree %d" % (80 << 20), bytes(80 << 20))
        with ObjectReader(repository.objects) as reader:
            info = reader.info(tree)
            assert info is not None
            assert info.size == 80 << 20
            with pytest.raises(PushRefused, match="could not read"):
                reader.contents(tree, limit=1 << 30)

    def test_that_does_not_answer(
        self, repository: BareRepository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hooks.objects._SECONDS", 0.05)
        with ObjectReader(repository.objects) as reader:
            os.kill(reader._child.pid, signal.SIGSTOP)
            with pytest.raises(PushRefused, match="could not read"):
                reader.info("0" * 40)

    def test_never_outlives_its_push(self, repository: BareRepository) -> None:
        with pytest.raises(ValueError, match="x"), ObjectReader(repository.objects) as reader:
            raise ValueError("x")
        assert reader._child.returncode == -signal.SIGKILL


def test_a_reader_among_more_than_a_thousand_open_files(repository: BareRepository) -> None:
    """select(2) would not take its descriptor."""
    commit = repository.commit()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(2000, min(hard, 4096)), hard))
    with ExitStack() as opened:
        for _ in range(1100):
            opened.enter_context(Path(os.devnull).open("rb"))
        with ObjectReader(repository.objects) as reader:
            assert reader.info(commit) is not None


def test_a_child_reads_packs_larger_than_its_memory(repository: BareRepository) -> None:
    """By small windows; git's own are of a gigabyte, and the reader has half of that."""
    asked = subprocess.run(
        ["git", "config", "--type=int", "core.packedGitWindowSize"],
        env=repository.objects.environment(),
        capture_output=True,
        check=True,
        timeout=10,
    )
    assert int(asked.stdout) <= 64 << 20
