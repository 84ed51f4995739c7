"""The tags by which an Engine knows which installation pulled an image."""

import pytest

from enclave.image import ImageReference
from worker.runtime.image_marks import Marks, marked_by_anyone

DIGEST = "sha256:" + "a" * 64
PINNED = f"registry.example.com:5000/team/app@{DIGEST}"
OURS, THEIRS = Marks("1a2b3c4d"), Marks("ffffffff")


def test_a_mark_is_a_tag_that_the_engine_takes() -> None:
    reference = ImageReference.parse(OURS.mark(PINNED))
    assert reference.path == "library/enclave-1a2b3c4d"


def test_each_pinned_reference_and_each_installation_has_its_own() -> None:
    marks = {OURS.mark(PINNED), THEIRS.mark(PINNED), OURS.mark(PINNED.replace("app", "other"))}
    assert len(marks) == 3


@pytest.mark.parametrize(
    ("shown", "meant"),
    [
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"team/app@{DIGEST}", f"docker.io/team/app@{DIGEST}"),
        (PINNED, PINNED),
    ],
)
def test_the_engines_short_form_is_the_same_reference(shown: str, meant: str) -> None:
    assert OURS.mark(shown) == OURS.mark(meant)
    assert OURS.held([OURS.mark(meant)], [shown]) == [meant]
    assert marked_by_anyone([THEIRS.mark(meant)], shown)


def test_what_is_held_is_what_is_marked_by_us() -> None:
    other = PINNED.replace("app", "other")
    tags = [OURS.mark(PINNED), THEIRS.mark(other), "registry.example.com:5000/team/app:1"]
    assert OURS.held(tags, [PINNED, other]) == [PINNED]
    assert THEIRS.held(tags, [PINNED, other]) == [other]
    assert OURS.held([], [PINNED]) == []


def test_a_mark_whose_reference_has_gone_is_held_by_its_own_name() -> None:
    mark = OURS.mark(PINNED)
    assert OURS.held([mark], []) == [mark]
    assert OURS.mark(mark) == mark


@pytest.mark.parametrize("tag", ["enclave-1a2b3c4d:latest", "enclave-1a2b3c4d:" + "g" * 32, "x"])
def test_a_tag_that_only_looks_like_one_is_none(tag: str) -> None:
    assert not OURS.is_ours(tag)
    assert not marked_by_anyone([tag], PINNED)


def test_an_image_that_was_built_here_is_marked_by_its_id() -> None:
    assert OURS.mark(DIGEST) != OURS.mark(PINNED)
