"""The hooks' word on every ref of a push, with real objects and a real git (SPEC 2.4 to 2.9)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from bare_repository import BareRepository
from dulwich.objects import Blob, Commit, Tag, Tree
from hypothesis import given
from hypothesis import strategies as st

from enclave.app import App
from enclave.errors import PushRefused
from enclave.operation import ZERO_ID, RefUpdate
from enclave.store.pushes import RefsView, Reservation
from hooks.objects import ObjectReader
from hooks.pre_receive import Judgement, judge
from hooks.pushed_files import PushedFiles, read_pushed_files

MASTER = "refs/heads/master"
APP = App(7, 1, "prod", "web", "2026-01-01T00:00:00.000Z")
NOWHERE = "1" * 40


@pytest.fixture
def repository(tmp_path: Path) -> BareRepository:
    return BareRepository(tmp_path / "7.git")


def judged(
    repository: BareRepository,
    *commands: RefUpdate,
    refs: Mapping[str, str] | None = None,
    reserved: Mapping[str, Sequence[tuple[int, str]]] | None = None,
    has_image: bool = True,
    atomic: bool = False,
    app: App = APP,
) -> Judgement:
    view = RefsView(
        dict(refs or {}), {ref: json.dumps(held) for ref, held in (reserved or {}).items()}
    )
    with ObjectReader(repository.objects) as reader:
        return judge(
            app,
            commands,
            view=view,
            objects=repository.objects,
            reader=reader,
            has_image=has_image,
            atomic=atomic,
        )


def reasons(judgement: Judgement) -> dict[str, str]:
    return {ref: str(refusal) for ref, refusal in judgement.refused.items()}


def move(ref: str, new: str, old: str = ZERO_ID) -> RefUpdate:
    return RefUpdate(ref if ref.startswith("refs/") else f"refs/heads/{ref}", old, new)


class TestTheDeployBranch:
    def test_a_push_to_it_deploys(self, repository: BareRepository) -> None:
        commit = repository.commit(files={"Procfile": b"web: a"})
        judgement = judged(repository, move("master", commit))
        assert judgement.deploy is not None
        assert judgement.deploy.ref == MASTER
        assert judgement.deploy.config is not None
        assert judgement.deploy.config.commit == commit
        assert judgement.deploy.config.procfile == "web: a"
        assert (judgement.immediate, judgement.refused) == ([], {})

    def test_a_push_to_any_other_branch_only_moves_it(self, repository: BareRepository) -> None:
        commit = repository.commit(files={"Procfile": b"web: a"})
        for ref in ("main", "Master", "master2", "x/master", "refs/tags/master"):
            judgement = judged(repository, move(ref, commit), has_image=False)
            assert judgement.deploy is None
            (update,) = judgement.immediate
            assert update.config is not None
            assert update.config.commit == commit

    def test_another_branch_can_be_it(self, repository: BareRepository) -> None:
        app = App(7, 1, "prod", "web", APP.created_at, deploy_branch="main")
        commit = repository.commit()
        judgement = judged(repository, move("main", commit), move("master", commit), app=app)
        assert judgement.deploy is not None
        assert judgement.deploy.ref == "refs/heads/main"
        assert [update.ref for update in judgement.immediate] == [MASTER]

    def test_deleting_it_is_refused(self, repository: BareRepository) -> None:
        commit = repository.commit()
        judgement = judged(repository, move("master", ZERO_ID, commit), refs={MASTER: commit})
        assert reasons(judgement) == {MASTER: "master deploys this app and cannot be deleted"}

    @pytest.mark.parametrize("dockerfile", [False, True])
    def test_without_an_image_there_is_nothing_to_deploy(
        self, repository: BareRepository, *, dockerfile: bool
    ) -> None:
        commit = repository.commit(files={"Dockerfile": b"FROM x"} if dockerfile else {})
        judgement = judged(repository, move("master", commit), has_image=False)
        refusal = judgement.refused[MASTER]
        assert judgement.deploy is None
        assert any("--docker-image IMAGE" in line for line in refusal.details)
        assert ("no image and no Dockerfile" in str(refusal)) is not dockerfile

    def test_with_an_image_a_dockerfile_is_ignored(self, repository: BareRepository) -> None:
        commit = repository.commit(files={"Dockerfile": b"FROM x"})
        assert judged(repository, move("master", commit)).deploy is not None

    def test_a_force_push_deploys_like_any_other(self, repository: BareRepository) -> None:
        one, other = repository.commit(), repository.commit()
        judgement = judged(repository, move("master", other, one), refs={MASTER: one})
        assert judgement.deploy is not None

    @pytest.mark.parametrize("kind", ["blob", "tree", "tag"])
    def test_it_points_at_a_commit(self, repository: BareRepository, kind: str) -> None:
        made = {
            "blob": repository.blob(),
            "tree": repository.tree({}),
            "tag": repository.tag(repository.commit(), Commit),
        }
        judgement = judged(repository, move("master", made[kind]), move("a", made[kind]))
        said = f"a branch points at a commit, this is a {kind}"
        assert reasons(judgement) == {MASTER: said, "refs/heads/a": said}


class TestWhileItIsReserved:
    """SPEC 2.7."""

    def test_the_same_commit_attaches(self, repository: BareRepository) -> None:
        commit = repository.commit()
        command = move("master", commit)
        judgement = judged(repository, command, reserved={MASTER: [(41, commit)]})
        assert judgement.attach == Reservation(41, commit)
        assert judgement.attached == [command]
        assert (judgement.deploy, judgement.refused) == (None, {})

    def test_to_the_operation_that_deploys_it(self, repository: BareRepository) -> None:
        first = repository.commit()
        second = repository.commit(first)
        held = {MASTER: [(41, first), (42, second)]}
        for commit, operation in ((first, 41), (second, 42)):
            judgement = judged(repository, move("master", commit), reserved=held)
            assert judgement.attach == Reservation(operation, commit)

    @pytest.mark.parametrize("distance", [1, 3])
    def test_a_descendant_of_the_newest_queues(
        self, repository: BareRepository, distance: int
    ) -> None:
        running, newest = repository.commit(), repository.commit()
        tip = newest
        for _ in range(distance):
            tip = repository.commit(tip)
        judgement = judged(
            repository, move("master", tip), reserved={MASTER: [(41, running), (42, newest)]}
        )
        assert judgement.deploy is not None
        assert judgement.attach is None

    def test_a_merge_of_it_queues_too(self, repository: BareRepository) -> None:
        newest, other = repository.commit(), repository.commit()
        merge = repository.commit(other, newest)
        judgement = judged(repository, move("master", merge), reserved={MASTER: [(41, newest)]})
        assert judgement.deploy is not None

    def test_anything_else_is_refused_and_told_of_what(self, repository: BareRepository) -> None:
        base = repository.commit()
        first, sibling = repository.commit(base), repository.commit(base)
        newest = repository.commit(first)
        held = {MASTER: [(41, first), (42, newest)]}
        for commit in (sibling, base, repository.commit(first), repository.commit()):
            judgement = judged(
                repository, move("master", commit, base), refs={MASTER: base}, reserved=held
            )
            assert reasons(judgement) == {MASTER: f"deploy 42 of {newest[:8]} is under way"}
            assert "aptible operation:cancel 42" in judgement.refused[MASTER].details[0]

    def test_a_descendant_is_judged_like_any_other_commit(self, repository: BareRepository) -> None:
        newest = repository.commit()
        held = {MASTER: [(41, newest)]}
        bad = repository.commit(newest, files={"Procfile": b"!"})
        assert judged(repository, move("master", bad), reserved=held).refused
        plain = repository.commit(newest)
        assert judged(repository, move("master", plain), reserved=held, has_image=False).refused

    def test_deleting_it_is_refused_all_the_same(self, repository: BareRepository) -> None:
        commit = repository.commit()
        judgement = judged(
            repository,
            move("master", ZERO_ID, commit),
            refs={MASTER: commit},
            reserved={MASTER: [(41, commit)]},
        )
        assert list(judgement.refused) == [MASTER]
        assert judgement.attach is None

    def test_other_branches_move_as_ever(self, repository: BareRepository) -> None:
        commit = repository.commit()
        judgement = judged(repository, move("a", commit), reserved={MASTER: [(41, commit)]})
        assert [update.ref for update in judgement.immediate] == ["refs/heads/a"]

    def test_what_an_atomic_deploy_reserved_is_refused(self, repository: BareRepository) -> None:
        commit, other = repository.commit(), repository.commit()
        held = {MASTER: [(41, commit)], "refs/heads/a": [(41, commit)]}
        for command in (move("a", other), move("a", commit), move("a", ZERO_ID)):
            judgement = judged(repository, command, reserved=held)
            assert reasons(judgement) == {"refs/heads/a": "reserved by operation 41 until it ends"}


class TestOldValues:
    @pytest.mark.parametrize(
        ("stored", "old"), [(None, NOWHERE), (NOWHERE, ZERO_ID), (NOWHERE, "2" * 40)]
    )
    @pytest.mark.parametrize("branch", ["master", "a"])
    def test_a_client_that_did_not_see_what_is_stored_is_refused(
        self, repository: BareRepository, branch: str, stored: str | None, old: str
    ) -> None:
        ref = f"refs/heads/{branch}"
        judgement = judged(
            repository,
            move(ref, repository.commit(), old),
            refs={ref: stored} if stored else {},
        )
        assert reasons(judgement)[ref].startswith("stale info")


class TestNames:
    @pytest.mark.parametrize(
        "ref",
        [
            "refs/heads/a",
            "refs/heads/a/b",
            "refs/heads/é/😀",
            "refs/tags/v1.0",
            "refs/heads/heads/master",
            "refs/heads/refs/heads/master",
            "refs/heads/" + "a" * 39,
            "refs/heads/" + "g" * 40,
            "refs/heads/x" + "a" * 40,
            "refs/heads/" + "x" * (255 - 11),
        ],
    )
    def test_that_are_kept(self, repository: BareRepository, ref: str) -> None:
        judgement = judged(repository, move(ref, repository.commit()))
        assert [update.ref for update in judgement.immediate] == [ref]

    @pytest.mark.parametrize(
        ("ref", "said"),
        [
            ("refs/heads/" + "x" * (256 - 11), "longer than 255 bytes"),
            ("refs/heads/" + "é" * 123, "longer than 255 bytes"),
            ("refs/heads/a..b", "funny refname"),
            ("refs/heads/../../etc", "funny refname"),
            ("refs/heads/.a", "funny refname"),
            ("refs/heads/a.lock", "funny refname"),
            ("refs/heads/a/.b/c", "funny refname"),
            ("refs/heads/a//b", "funny refname"),
            ("refs/heads//a", "funny refname"),
            ("refs/heads/a/", "funny refname"),
            ("refs/heads/", "funny refname"),
            ("refs/heads/a b", "funny refname"),
            ("refs/heads/a\nb", "funny refname"),
            ("refs/heads/a\x7f", "funny refname"),
            ("refs/heads/a\x1b[31m", "funny refname"),
            ("refs/heads/a~1", "funny refname"),
            ("refs/heads/a^", "funny refname"),
            ("refs/heads/a:b", "funny refname"),
            ("refs/heads/a?*[", "funny refname"),
            ("refs/heads/a\\b", "funny refname"),
            ("refs/heads/a@{1}", "funny refname"),
            ("refs/heads/a.", "funny refname"),
            ("master", "funny refname"),
            ("", "funny refname"),
            ("/refs/heads/a", "funny refname"),
            ("HEAD", "funny refname"),
            ("refs/notes/a", "only branches"),
            ("refs/replace/" + "a" * 40, "only branches"),
            ("refs/remotes/origin/a", "only branches"),
            ("refs/heads", "only branches"),
            ("refs/headsx/a", "only branches"),
            ("x/refs/heads/a", "only branches"),
            ("refs/heads/HEAD", "taken for a commit"),
            ("refs/tags/HEAD", "taken for a commit"),
            ("refs/heads/" + "a" * 40, "taken for a commit"),
        ],
    )
    def test_that_are_not(self, repository: BareRepository, ref: str, said: str) -> None:
        judgement = judged(repository, RefUpdate(ref, ZERO_ID, repository.commit()))
        assert list(judgement.refused) == [ref]
        assert said in reasons(judgement)[ref]

    def test_of_a_ref_and_one_below_it_in_one_push_the_upper_one_is_kept(
        self, repository: BareRepository
    ) -> None:
        commit = repository.commit()
        for commands in (
            [move("a", commit), move("a/b", commit), move("ab/c", commit)],
            [move("a/b", commit), move("ab/c", commit), move("a", commit)],
        ):
            judgement = judged(repository, *commands)
            assert list(judgement.refused) == ["refs/heads/a/b"]
            assert len(judgement.immediate) == 2

    def test_of_the_same_ref_twice_neither_is_kept(self, repository: BareRepository) -> None:
        one, other = repository.commit(), repository.commit()
        commands = [
            move("refs/heads/a", one),
            move("refs/heads/b", one),
            move("refs/heads/a", other),
        ]
        judgement = judged(repository, *commands)
        assert reasons(judgement) == {"refs/heads/a": "the same ref twice in one push"}
        assert [update.ref for update in judgement.immediate] == ["refs/heads/b"]

    def test_one_may_go_where_the_other_comes(self, repository: BareRepository) -> None:
        commit = repository.commit()
        for gone, new in (("a", "a/b"), ("a/b", "a")):
            judgement = judged(
                repository,
                move(gone, ZERO_ID, commit),
                move(new, commit),
                refs={f"refs/heads/{gone}": commit},
            )
            assert judgement.refused == {}

    @given(st.text(st.characters(codec="utf-8"), max_size=20))
    def test_any_name_is_kept_or_refused_before_an_object_is_looked_at(self, name: str) -> None:
        ref = f"refs/heads/{name}"
        # No reader: a name that passes gets to its old value, which is wrong.
        judgement = judge(
            APP,
            [RefUpdate(ref, NOWHERE, NOWHERE)],
            view=RefsView({}, {}),
            objects=None,  # type: ignore[arg-type]
            reader=None,  # type: ignore[arg-type]
            has_image=True,
            atomic=False,
        )
        refused = reasons(judgement)[ref]
        bad = any(c in name for c in " ~^:?*[\\") or ".." in name or min(name, default="\0") < " "
        assert not (bad and refused.startswith("stale"))


class TestObjects:
    @pytest.mark.parametrize("ref", [MASTER, "refs/heads/a", "refs/tags/a"])
    def test_a_missing_tip_is_refused(self, repository: BareRepository, ref: str) -> None:
        judgement = judged(repository, move(ref, NOWHERE))
        assert reasons(judgement) == {ref: f"missing object {NOWHERE}"}

    def test_a_tag_of_a_tag_of_a_commit_has_the_commits_config(
        self, repository: BareRepository
    ) -> None:
        commit = repository.commit(files={"Procfile": b"web: a"})
        tag = repository.tag(repository.tag(commit, Commit), Tag, "v2")
        (update,) = judged(repository, move("refs/tags/v2", tag)).immediate
        assert update.new == tag
        assert update.config is not None
        assert (update.config.commit, update.config.procfile) == (commit, "web: a")

    def test_a_tag_may_point_at_anything_and_then_has_no_config(
        self, repository: BareRepository
    ) -> None:
        blob, tree = repository.blob(), repository.tree({})
        for target in (blob, tree, repository.tag(blob, Blob), repository.tag(tree, Tree)):
            (update,) = judged(repository, move("refs/tags/v1", target)).immediate
            assert (update.new, update.config) == (target, None)

    def test_deleting_needs_no_object(self, repository: BareRepository) -> None:
        refs = {"refs/heads/a": NOWHERE, "refs/tags/b": NOWHERE}
        commands = [move(ref, ZERO_ID, NOWHERE) for ref in refs]
        assert judged(repository, *commands, refs=refs).immediate == commands


class TestFiles:
    @pytest.mark.parametrize("ref", [MASTER, "refs/heads/a", "refs/tags/a"])
    def test_invalid_ones_are_refused_on_every_ref(
        self, repository: BareRepository, ref: str
    ) -> None:
        commit = repository.commit(files={"Procfile": b"web\n", ".aptible.yml": b"{"})
        judgement = judged(repository, move(ref, commit))
        refusal = judgement.refused[ref]
        assert str(refusal) == "invalid Procfile and .aptible.yml"
        assert refusal.details[0].startswith("Procfile:1:1: no colon")
        assert refusal.details[1].startswith(".aptible.yml:1:")

    def test_behind_an_annotated_tag_too(self, repository: BareRepository) -> None:
        tag = repository.tag(repository.commit(files={"Procfile": b"!"}), Commit)
        assert reasons(judged(repository, move("refs/tags/v1", tag))) == {
            "refs/tags/v1": "invalid Procfile"
        }

    def test_only_the_tip_is_judged(self, repository: BareRepository) -> None:
        bad = repository.commit(files={"Procfile": b"!"})
        assert judged(repository, move("master", repository.commit(bad))).deploy is not None

    @pytest.mark.parametrize("branch", ["master", "a"])
    def test_warnings_are_passed_on(self, repository: BareRepository, branch: str) -> None:
        commit = repository.commit(files={".aptible.yml": b"x: 1"})
        (warning,) = judged(repository, move(branch, commit)).warnings
        assert "'x'" in warning


class TestSeveralRefs:
    def test_each_is_judged_alone(self, repository: BareRepository) -> None:
        good, bad = repository.commit(), repository.commit(files={"Procfile": b"!"})
        judgement = judged(repository, move("a", bad), move("master", good), move("b", good))
        assert list(judgement.refused) == ["refs/heads/a"]
        assert [update.ref for update in judgement.immediate] == ["refs/heads/b"]
        assert judgement.deploy is not None

    def test_atomic_means_all(self, repository: BareRepository) -> None:
        good = repository.commit()
        judgement = judged(repository, move("b", good), move("master", good), atomic=True)
        assert judgement.refused == {}
        assert judgement.deploy is not None
        assert [update.ref for update in judgement.immediate] == ["refs/heads/b"]

    @pytest.mark.parametrize("bad_branch", ["a", "master"])
    def test_or_none(self, repository: BareRepository, bad_branch: str) -> None:
        good, bad = repository.commit(), repository.commit(files={"Procfile": b"!"})
        branches = ("a", "master", "b")
        commands = [move(each, bad if each == bad_branch else good) for each in branches]
        judgement = judged(repository, *commands, atomic=True)
        assert (judgement.immediate, judgement.deploy) == ([], None)
        refused = f"refs/heads/{bad_branch}"
        assert reasons(judgement) == {
            f"refs/heads/{each}": "invalid Procfile"
            if each == bad_branch
            else f"atomic push: {refused} was refused"
            for each in branches
        }

    def test_an_atomic_deploy_that_is_repeated_attaches_with_all_its_refs(
        self, repository: BareRepository
    ) -> None:
        commit, other = repository.commit(), repository.commit()
        held = {
            MASTER: [(41, commit)],
            "refs/heads/a": [(41, other)],
            "refs/heads/b": [(41, ZERO_ID)],
        }
        commands = [move("a", other), move("master", commit), move("b", ZERO_ID)]
        for atomic in (True, False):
            judgement = judged(repository, *commands, reserved=held, atomic=atomic)
            assert judgement.refused == {}
            assert {update.ref for update in judgement.attached} == set(held)
            assert judgement.immediate == []

    def test_with_another_value_for_one_of_them_it_is_refused(
        self, repository: BareRepository
    ) -> None:
        commit, other = repository.commit(), repository.commit()
        held = {MASTER: [(41, commit)], "refs/heads/a": [(41, other)]}
        judgement = judged(
            repository, move("a", commit), move("master", commit), reserved=held, atomic=True
        )
        assert set(judgement.refused) == set(held)
        assert (judgement.attach, judgement.attached) == (None, [])

    def test_no_ref_of_an_atomic_push_moves_before_the_deploy_it_attaches_to(
        self, repository: BareRepository
    ) -> None:
        commit = repository.commit()
        commands = [move("a", commit), move("master", commit)]
        held = {MASTER: [(41, commit)]}
        judgement = judged(repository, *commands, reserved=held, atomic=True)
        assert set(judgement.refused) == {MASTER, "refs/heads/a"}
        assert "deploy 41" in reasons(judgement)["refs/heads/a"]
        assert (judgement.immediate, judgement.attach, judgement.attached) == ([], None, [])
        alone = judged(repository, *commands, reserved=held)
        assert alone.attach == Reservation(41, commit)
        assert [update.ref for update in alone.immediate] == ["refs/heads/a"]


class TestManyRefsAtOneCommit:
    def test_its_files_are_read_once(
        self, repository: BareRepository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read: list[str] = []

        def counted(reader: ObjectReader, commit: str) -> PushedFiles:
            read.append(commit)
            return read_pushed_files(reader, commit)

        monkeypatch.setattr("hooks.pushed_files.read_pushed_files", counted)
        yml = b"after_deploy_sucess: notify\n"
        commit = repository.commit(files={"Procfile": b"web: a", ".aptible.yml": yml})
        judgement = judged(repository, *(move(f"topic-{n}", commit) for n in range(50)))
        assert len(judgement.immediate) == 50
        assert read == [commit]
        (warning,) = judgement.warnings
        assert "after_deploy_sucess" in warning

    def test_configs_of_more_than_8_mib_are_refused_as_a_whole(
        self, repository: BareRepository
    ) -> None:
        commit = repository.commit(files={"Procfile": b"web: " + b"a" * 60_000})
        moves = [move(f"topic-{n}", commit) for n in range(140)]
        assert len(judged(repository, *moves[:139]).immediate) == 139
        with pytest.raises(PushRefused, match="more than 8 MiB"):
            judged(repository, *moves)
