"""The path of a git remote: an app's two names, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.errors import NotFound
from receiver.conversation import GitService
from receiver.paths import read_path

PUSH, FETCH = "git-receive-pack", "git-upload-pack"


@pytest.mark.parametrize(
    ("path", "environment", "app"),
    [
        ("prod/web.git", "prod", "web"),
        ("/prod/web.git", "prod", "web"),
        ("prod/web", "prod", "web"),
        ("/prod/web.git/", "prod", "web"),
        ("prod/web.git.git", "prod", "web.git"),
        ("prod.git/web.git", "prod.git", "web"),
        ("prod/.git", "prod", ".git"),
        ("prod/.git.git", "prod", ".git"),
        ("prod/git", "prod", "git"),
        ("../..", "..", ".."),  # handles, looked up in the store and never joined to a path
        ("./.", ".", "."),
        ("a" * 64 + "/" + "b" * 64 + ".git", "a" * 64, "b" * 64),
        ("0-_./_.-9", "0-_.", "_.-9"),
    ],
)
def test_two_names(path: str, environment: str, app: str) -> None:
    assert read_path(PUSH, path) == (GitService.RECEIVE_PACK, environment, app)
    assert read_path(FETCH, path) == (GitService.UPLOAD_PACK, environment, app)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//",
        "web.git",
        "/web.git",
        "/web",
        "prod/",
        "/prod/",
        "prod//web.git",
        "//prod/web.git",
        "prod/web.git//",
        "a/prod/web.git",
        "/srv/git/prod/web.git",
        "prod/web/.git",
        "prod/web.git/info/refs",
        "../prod/web.git",
        "prod/../web.git",
        "prod/web.git/..",
        "/../../etc/passwd",
        "~/web.git",
        "~git/web.git",
        "/~/prod/web.git",
        "prod/~web",
        "prod/web.git\n",
        "\nprod/web.git",
        "prod/we\nb.git",
        "prod/web.git\0",
        "prod\0/web.git",
        "prod/web.git\r",
        "prod/ web.git",
        "prod /web.git",
        "prod\\web.git",
        "Prod/web.git",
        "prod/WEB.git",
        "prod/web.GIT ",
        "prod/wéb.git",
        "prod/web\u2024git",
        "prod/\uff57eb.git",
        "prod\u2215web.git",
        "prod/\u0661.git",
        "prod%2fweb.git",
        "prod/%2e%2e",
        "prod/web;id",
        "prod/$(id)",
        "prod/`id`",
        "-prod/--upload-pack=x",
        "'prod/web.git'",
        "https://host/prod/web.git",
        "a" * 65 + "/web.git",
        "prod/" + "b" * 65,
        "prod/" + "b" * 65 + ".git",
    ],
)
def test_everything_else_is_an_app_that_is_not_there(path: str) -> None:
    with pytest.raises(NotFound, match=r"^Repository not found, or you may not use it\.$"):
        read_path(PUSH, path)


@pytest.mark.parametrize(
    "service",
    [
        "",
        "git-upload-archive",
        "git-shell",
        "GIT-RECEIVE-PACK",
        "git receive-pack",
        "scp",
        "git-receive-pack\n",
    ],
)
def test_other_services_are_not_served(service: str) -> None:
    with pytest.raises(NotFound, match="only git push, fetch and clone"):
        read_path(service, "prod/web.git")


@given(st.text(st.sampled_from("ab./~-_\n\0 A\\%é"), max_size=12))
def test_whatever_is_read_is_made_of_handles_alone(path: str) -> None:
    try:
        _, environment, app = read_path(PUSH, path)
    except NotFound:
        return
    assert path.strip("/").removesuffix(".git") in (f"{environment}/{app}", f"{environment}/")
    for name in (environment, app):
        assert name
        assert set(name) <= set("ab.-_")
