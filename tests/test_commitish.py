"""What ``--git-commitish`` means, with a real Redis and a real git (SPEC 3.3)."""

import uuid
from pathlib import Path

import pytest
from bare_repository import BareRepository
from dulwich.objects import Blob, Commit

from enclave.app import App
from enclave.errors import AmbiguousCommitish, UnknownCommitish
from enclave.operation import ZERO_ID, RefUpdate
from enclave.pushed_config import PushedConfig
from enclave.store import Store
from enclave.store.pushes import PushRequest
from hooks.commitish import resolve


@pytest.fixture
def app(store: Store) -> App:
    return store.apps.create(store.apps.create_environment("prod"), "web")


@pytest.fixture
def repository(tmp_path: Path) -> BareRepository:
    return BareRepository(tmp_path / "1.git")


def keep(store: Store, app: App, ref: str, new: str, config: PushedConfig | None) -> None:
    """Store a ref as an accepted push does."""
    update = RefUpdate(ref, ZERO_ID, new, config)
    outcome = store.pushes.accept(PushRequest(uuid.uuid4().hex, app.id, False, (update,)))
    assert outcome.verdicts == {ref: "ok"}


A, B = PushedConfig("a" * 40, "web: a"), PushedConfig("b" * 40, "web: b")


class TestNames:
    @pytest.mark.parametrize("text", ["main", "refs/heads/main"])
    def test_a_branch(self, store: Store, app: App, tmp_path: Path, text: str) -> None:
        keep(store, app, "refs/heads/main", A.commit, A)
        assert resolve(store, tmp_path, app, text) == A

    @pytest.mark.parametrize("text", ["v1", "refs/tags/v1"])
    def test_a_tag_means_the_commit_behind_it(
        self, store: Store, app: App, tmp_path: Path, text: str
    ) -> None:
        keep(store, app, "refs/tags/v1", "c" * 40, A)
        assert resolve(store, tmp_path, app, text) == A

    def test_a_branch_and_a_tag_of_one_name_are_ambiguous(
        self, store: Store, app: App, tmp_path: Path
    ) -> None:
        keep(store, app, "refs/heads/v1", A.commit, A)
        keep(store, app, "refs/tags/v1", B.commit, B)
        with pytest.raises(AmbiguousCommitish, match="write refs/heads/v1 or refs/tags/v1"):
            resolve(store, tmp_path, app, "v1")
        assert resolve(store, tmp_path, app, "refs/heads/v1") == A
        assert resolve(store, tmp_path, app, "refs/tags/v1") == B

    def test_unless_they_mean_the_same_commit(self, store: Store, app: App, tmp_path: Path) -> None:
        keep(store, app, "refs/heads/v1", A.commit, A)
        keep(store, app, "refs/tags/v1", A.commit, A)
        assert resolve(store, tmp_path, app, "v1") == A

    def test_a_branch_whose_name_is_spelled_like_a_ref(
        self, store: Store, app: App, tmp_path: Path
    ) -> None:
        keep(store, app, "refs/heads/refs/heads/x", A.commit, A)
        assert resolve(store, tmp_path, app, "refs/heads/refs/heads/x") == A
        with pytest.raises(UnknownCommitish):
            resolve(store, tmp_path, app, "refs/heads/x")

    def test_a_branch_goes_before_a_commit_that_looks_the_same(
        self, store: Store, app: App, repository: BareRepository
    ) -> None:
        commit = repository.commit()
        keep(store, app, f"refs/heads/{commit[:7]}", A.commit, A)
        assert resolve(store, repository.path, app, commit[:7]) == A
        assert resolve(store, repository.path, app, commit).commit == commit

    def test_a_tag_of_no_commit_cannot_be_deployed(
        self, store: Store, app: App, repository: BareRepository
    ) -> None:
        keep(store, app, "refs/tags/v1", repository.blob(), None)
        with pytest.raises(UnknownCommitish):
            resolve(store, repository.path, app, "v1")

    def test_the_names_of_another_app_mean_nothing_here(
        self, store: Store, app: App, tmp_path: Path
    ) -> None:
        other = store.apps.create(store.apps.create_environment("other"), "web")
        keep(store, other, "refs/heads/main", A.commit, A)
        with pytest.raises(UnknownCommitish):
            resolve(store, tmp_path, app, "main")

    @pytest.mark.parametrize(
        "text",
        ["", "nothing", "refs/heads/nothing", "HEAD", "@", "main~1", "main^", "../x", "a\nb", "é"],
    )
    def test_anything_else_is_unknown_and_the_error_says_what_to_do(
        self, store: Store, app: App, repository: BareRepository, text: str
    ) -> None:
        keep(store, app, "refs/heads/main", A.commit, A)
        with pytest.raises(UnknownCommitish, match="push it first"):
            resolve(store, repository.path, app, text)


class TestIds:
    @pytest.mark.parametrize("digits", [40, 39, 12, 7, 4])
    def test_a_full_or_abbreviated_id(
        self, store: Store, app: App, repository: BareRepository, digits: int
    ) -> None:
        commit = repository.commit(files={"Procfile": b"web: a", "Dockerfile": b""})
        expected = PushedConfig(commit, "web: a", dockerfile=True)
        assert resolve(store, repository.path, app, commit[:digits]) == expected
        assert resolve(store, repository.path, app, commit[:digits].upper()) == expected

    @pytest.mark.parametrize("digits", [3, 1])
    def test_too_short_a_one_is_unknown(
        self, store: Store, app: App, repository: BareRepository, digits: int
    ) -> None:
        commit = repository.commit()
        with pytest.raises(UnknownCommitish):
            resolve(store, repository.path, app, commit[:digits])

    @pytest.mark.parametrize("text", ["1" * 40, "1" * 41, "1111", "g" * 40])
    def test_one_that_was_never_pushed(
        self, store: Store, app: App, repository: BareRepository, text: str
    ) -> None:
        repository.commit()
        with pytest.raises(UnknownCommitish, match="no branch, tag or commit"):
            resolve(store, repository.path, app, text)

    def test_before_the_first_push_there_is_no_repository(
        self, store: Store, app: App, tmp_path: Path
    ) -> None:
        with pytest.raises(UnknownCommitish):
            resolve(store, tmp_path / "none.git", app, "1" * 40)

    def test_an_abbreviation_of_several_commits(
        self, store: Store, app: App, repository: BareRepository
    ) -> None:
        one, other = _two_that_begin_alike(repository)
        with pytest.raises(AmbiguousCommitish, match=f"begins with {one[:4]}: write more"):
            resolve(store, repository.path, app, one[:4])
        assert resolve(store, repository.path, app, one).commit == one
        assert resolve(store, repository.path, app, other).commit == other

    def test_a_blob_that_begins_alike_is_in_nobodys_way(
        self, store: Store, app: App, repository: BareRepository
    ) -> None:
        commit = repository.commit()
        number = 0
        while not (blob := Blob.from_string(b"%d" % number)).id.startswith(commit[:4].encode()):
            number += 1
        repository.add(blob)
        assert resolve(store, repository.path, app, commit[:4]).commit == commit

    def test_of_an_annotated_tag_means_its_commit(
        self, store: Store, app: App, repository: BareRepository
    ) -> None:
        commit = repository.commit()
        tag = repository.tag(commit, Commit)
        assert resolve(store, repository.path, app, tag).commit == commit

    @pytest.mark.parametrize("kind", ["blob", "tree"])
    def test_of_something_else_is_unknown(
        self, store: Store, app: App, repository: BareRepository, kind: str
    ) -> None:
        other = repository.blob() if kind == "blob" else repository.tree({})
        with pytest.raises(UnknownCommitish):
            resolve(store, repository.path, app, other)

    def test_of_a_commit_whose_files_would_be_refused(
        self, store: Store, app: App, repository: BareRepository
    ) -> None:
        bad = repository.commit(files={"Procfile": b"web\n"})
        with pytest.raises(
            UnknownCommitish, match=r"(?s)cannot be deployed.*Procfile:1:1: no colon"
        ):
            resolve(store, repository.path, app, bad)


def _two_that_begin_alike(repository: BareRepository) -> tuple[str, str]:
    tree, seen = repository.tree({}), {}
    while True:
        commit = repository.unstored_commit([], tree)
        other = seen.setdefault(commit.id[:4], commit)
        if other is not commit:
            return repository.add(other), repository.add(commit)
