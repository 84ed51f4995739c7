"""Every hostile push of the corpus gets the verdict it deserves, and a report (invariant 2).

C git with every check it has is asked the same: what it refuses, we refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from conftest import App

from testbed.hostile import corpus
from testbed.hostile.answer import Answer, read_answer
from testbed.hostile.c_git import CGit
from testbed.hostile.push import ZERO, HostilePush, Verdict
from testbed.hostile.seed import REF, SEED, TIP

KINDS = corpus.read()
_PACKS = 10  # of the 20 after which a repository is packed anew


@dataclass(frozen=True, slots=True)
class Ours:
    """The receiver, over HTTP, and a repository of its that many kinds are pushed to in turn."""

    client: httpx.Client
    objects: Path

    def answer(self, push: HostilePush) -> Answer:
        answer = self.client.post(
            "/git-receive-pack",
            content=push.request,
            headers={"content-type": "application/x-git-receive-pack-request"},
        )
        assert answer.status_code == 200, answer.text
        return read_answer(answer.content, push.refs)

    def refs(self) -> dict[bytes, str]:
        """What it advertises."""
        listed = self.client.get("/info/refs", params={"service": "git-upload-pack"})
        assert listed.status_code == 200, listed.text
        lines = [line[4:] for line in listed.content.replace(b"0000", b"", 1).split(b"\n")]
        pairs = [line.partition(b"\0")[0].partition(b" ") for line in lines if b" refs/" in line]
        return {ref: commit.decode() for commit, _, ref in pairs}

    def files(self) -> set[Path]:
        """Every pack and quarantine, and whatever else lies there."""
        return set(self.objects.rglob("*"))

    def delete(self, refs: frozenset[bytes]) -> None:
        """Remove what was rightly stored; later kinds begin as this one did."""
        stored = self.refs()
        commands = tuple((stored[ref], ZERO, ref) for ref in sorted(refs & stored.keys()))
        if commands:
            push = HostilePush("cleaning up", "", commands, b"", ours=None)
            assert self.answer(push).stored == push.refs


@pytest.fixture(scope="module")
def opened() -> Iterator[list[Ours]]:
    """The repositories used so far, the latest last."""
    opened: list[Ours] = []
    yield opened
    for each in opened:
        each.client.close()


@pytest.fixture
def ours(opened: list[Ours], new_app: Callable[[], App]) -> Ours:
    """A repository that holds the seed, and too few packs to be repacked while one counts them."""
    if not opened or len(list(opened[-1].objects.glob("pack/*.pack"))) > _PACKS:
        opened.append(_open(new_app()))
        assert opened[-1].answer(SEED).stored == {REF}
    return opened[-1]


def _open(app: App) -> Ours:
    number = app.installation.app_id(app.name)
    client = httpx.Client(
        base_url=f"{app.installation.url}/{app.name}.git",
        auth=("anyone", app.owner.token()),
        timeout=30,
        trust_env=False,
    )
    return Ours(client, app.installation.data / "repositories" / f"{number}.git" / "objects")


@pytest.fixture(scope="module")
def c_git(tmp_path_factory: pytest.TempPathFactory) -> CGit:
    return CGit(tmp_path_factory.mktemp("c-git"), SEED)


@pytest.mark.parametrize("name", KINDS)
def test_a_hostile_push(name: str, ours: Ours, c_git: CGit) -> None:
    push = KINDS[name]
    before = ours.files()

    answer = ours.answer(push)

    stored = answer.stored
    ours.delete(stored)
    assert ours.refs() == {REF: TIP.id}
    assert stored or ours.files() == before, answer
    assert list(ours.objects.glob("incoming-*")) == []
    _is_a_whole_report(answer, push)
    _is_the_verdict_deserved(answer, push)
    if not push.costly:
        _is_no_weaker_than(read_answer(c_git.answer(push), push.refs), answer, push)


def _is_a_whole_report(answer: Answer, push: HostilePush) -> None:
    assert answer.fatal is None, answer
    assert answer.unpack is not None, answer
    assert {ref for ref, _ in answer.refs} == push.refs, answer
    assert "internal error" not in str(answer)


def _is_the_verdict_deserved(answer: Answer, push: HostilePush) -> None:
    assert answer.stored == (push.refs if push.ours is None else push.harmless), answer
    for _, reason in answer.refs:
        assert reason is None or re.search(push.ours or "", reason), answer


def _is_no_weaker_than(theirs: Answer, answer: Answer, push: HostilePush) -> None:
    """Whatever C git refuses, we refuse; and the corpus knows what C git does."""
    assert answer.stored <= theirs.stored or push.c_git is Verdict.CHANCE, theirs
    if push.c_git is not Verdict.CHANCE:
        said = Verdict.ACCEPTED if theirs.stored == push.refs else Verdict.REFUSED
        assert said is push.c_git, theirs


def test_the_corpus_says_why_wherever_ours_differs_from_c_git() -> None:
    for push in KINDS.values():
        ours = Verdict.ACCEPTED if push.ours is None else Verdict.REFUSED
        assert (push.c_git is ours) == (not push.because), push.name
