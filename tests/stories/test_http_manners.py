"""HTTP as proxies, browsers and old clients speak it to a git server (gitprotocol-http(5))."""

import gzip
import socket

import httpx
import pytest
from conftest import App
from dulwich.protocol import pkt_line

from testbed.person import Person

FLUSH = b"0000"


@pytest.fixture
def http(app: App) -> httpx.Client:
    """Somebody with a token."""
    return httpx.Client(
        base_url=f"{app.owner.url}/{app.name}.git/",
        auth=("x", app.owner.token()),
        trust_env=False,
        timeout=20,
    )


def _deletion(ref: str = "refs/heads/none") -> bytes:
    """A whole push that needs no pack: of a ref that is not there."""
    capabilities = "\0 report-status side-band-64k"
    return pkt_line(f"{'1' * 40} {'0' * 40} {ref}{capabilities}".encode()) + FLUSH


_PUSH = {"content-type": "application/x-git-receive-pack-request"}


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "identity"])
@pytest.mark.parametrize("chunked", [True, False])
def test_bodies_may_be_packed_and_come_in_chunks(
    coding: str, http: httpx.Client, *, chunked: bool
) -> None:
    body = _deletion() if coding == "identity" else gzip.compress(_deletion())
    content = iter([body[:7], body[7:]]) if chunked else body
    answer = http.post(
        "git-receive-pack", content=content, headers={**_PUSH, "content-encoding": coding}
    )
    assert answer.status_code == 200
    assert b"ng refs/heads/none stale info" in answer.content


def test_capabilities_that_nobody_knows_do_no_harm(http: httpx.Client) -> None:
    words = "\0 report-status frobnicate side-band-9k object-format=sha1 agent=x session-id=y"
    body = pkt_line(f"{'1' * 40} {'0' * 40} refs/heads/none{words}".encode()) + FLUSH
    answer = http.post("git-receive-pack", content=body, headers=_PUSH)
    assert b"ng refs/heads/none stale info" in answer.content
    other = body.replace(b"object-format=sha1", b"object-format=sha9")
    answer = http.post("git-receive-pack", content=other, headers=_PUSH)
    assert b"repositories here are of SHA-1 objects" in answer.content


def test_expect_100_continue(app: App) -> None:
    """curl sends it with what it takes for large; the answer comes before the body is asked for."""
    person = app.owner
    body = person.home / "body"
    body.write_bytes(_deletion())
    asked = person.run(
        *("curl", "-s", "-v", "-u", f"x:{person.token()}", "-H", "Expect: 100-continue"),
        *("-H", f"Content-Type: {_PUSH['content-type']}", "--data-binary", f"@{body}"),
        f"{person.url}/{app.name}.git/git-receive-pack",
    )
    assert "HTTP/1.1 100 Continue" in asked.stderr
    assert "stale info" in asked.stdout
    refused = person.run(
        *("curl", "-s", "-v", "-H", "Expect: 100-continue", "--data-binary", f"@{body}"),
        *("-H", f"Content-Type: {_PUSH['content-type']}"),
        f"{person.url}/{app.name}.git/git-receive-pack",
    )
    assert "100 Continue" not in refused.stderr
    assert "HTTP/1.1 401" in refused.stderr


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-git-upload-pack-request"},
        {},
        {**_PUSH, "content-encoding": "br"},
    ],
)
def test_another_type_or_coding_is_415(http: httpx.Client, headers: dict[str, str]) -> None:
    answer = http.post("git-receive-pack", content=_deletion(), headers=headers)
    assert answer.status_code == 415
    assert "must be" in answer.text


def test_head_and_options(http: httpx.Client) -> None:
    refs = "info/refs?service=git-receive-pack"
    head, got = http.head(refs), http.get(refs)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers["cache-control"] == got.headers["cache-control"]
    for path, methods in ((refs, "GET, HEAD, OPTIONS"), ("git-receive-pack", "POST, OPTIONS")):
        options = http.options(path)
        assert (options.status_code, options.headers["allow"]) == (200, methods)
        wrong = http.request("PUT", path)
        assert (wrong.status_code, wrong.headers["allow"]) == (405, methods)


@pytest.mark.parametrize("path", ["info/refs", "HEAD", "objects/info/packs", "objects/ab/cd"])
def test_the_dumb_protocol_is_refused(path: str, app: App, http: httpx.Client) -> None:
    answer = http.get(path)
    assert answer.status_code == 403
    assert "Only smart HTTP is spoken here" in answer.text
    stranger = httpx.get(f"{http.base_url}{path}", trust_env=False)
    assert stranger.status_code == 401
    unknown = http.get(f"{app.owner.url}/{app.name}-none.git/{path}")
    assert unknown.status_code == 404


def test_a_dumb_client_hears_why(app: App) -> None:
    person = app.owner
    person.environment["GIT_SMART_HTTP"] = "0"
    try:
        listed = person.run("git", "ls-remote", person.http_remote(app.name))
    finally:
        del person.environment["GIT_SMART_HTTP"]
    assert listed.returncode == 128
    assert "Only smart HTTP is spoken here" in listed.stderr


def test_another_service_is_refused(http: httpx.Client) -> None:
    for answer in (
        http.get("info/refs?service=git-upload-archive"),
        http.post(
            "git-upload-archive",
            headers={"content-type": "application/x-git-upload-archive-request"},
        ),
    ):
        assert answer.status_code == 404
        assert "only git push, fetch and clone" in answer.text


def test_a_bearer_token_does_as_well(app: App, http: httpx.Client) -> None:
    person = app.owner
    header = f"http.extraHeader=Authorization: Bearer {person.token()}"
    listed = person.run("git", "-c", header, "ls-remote", f"{person.url}/{app.name}.git")
    assert listed.returncode == 0, listed.stderr
    asked = httpx.get(f"{http.base_url}info/refs?service=git-upload-pack", trust_env=False)
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith('Basic realm="Enclave')


def test_strangers_and_the_unknown_get_the_same_answer(app: App, http: httpx.Client) -> None:
    mallory = _stranger(app)
    answers = [
        mallory.get(f"{app.owner.url}/{name}.git/{path}")
        for name in (app.name, "stories/none", "none/none")
        for path in ("info/refs?service=git-receive-pack", "info/refs", "HEAD")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    heads = [{**answer.headers, "date": ""} for answer in answers]
    assert all(head == heads[0] for head in heads)
    assert http.get("info/refs?service=git-receive-pack").status_code == 200


def _stranger(app: App) -> httpx.Client:
    email = f"stranger-{app.handle}@example.com"
    person: Person = app.installation.person(email)
    person.log_in()
    return httpx.Client(auth=("x", person.token()), trust_env=False, timeout=20)


def test_git_s_own_protocol_is_answered_in_its_words(app: App) -> None:
    url = f"git://localhost:{app.installation.http_port}/{app.name}.git"
    listed = app.owner.run("git", "ls-remote", url)
    assert listed.returncode == 128
    assert "git:// is not spoken here: use the ssh:// or http:// address" in listed.stderr


def test_what_is_no_http_is_400_and_closed(app: App) -> None:
    with socket.create_connection(("127.0.0.1", app.installation.http_port), 10) as raw:
        raw.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        raw.settimeout(10)
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "body",
    [b"", b"00", b"zzzz", b"0000", b"\xff" * 100, pkt_line(b"nonsense") + FLUSH, b"fff0" + b"x"],
)
def test_a_body_that_is_no_push_gets_an_answer(body: bytes, http: httpx.Client) -> None:
    answer = http.post("git-receive-pack", content=body, headers=_PUSH)
    assert answer.status_code == 200
    assert b"internal error" not in answer.content
