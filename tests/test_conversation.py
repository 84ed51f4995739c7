"""What a client is told that may not use an app, or that nobody can tell."""

import asyncio
import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from dulwich.protocol import pkt_line

from enclave.app import App
from enclave.errors import EnclaveError, Forbidden, NotFound, StoreUnavailable
from enclave.people import User
from enclave.principal import Principal
from enclave.settings import Settings
from enclave.store import Store
from receiver import conversation
from receiver.conversation import STORE_AWAY, Conversations, GitService, Request
from receiver.http import GitOverHTTP
from receiver.places import Places
from receiver.push import Push
from receiver.report import Report

_LOST = StoreUnavailable("Error 2 connecting to /srv/enclave/redis.sock. No such file.")


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (NotFound("no such app"), NotFound("Repository not found, or you may not use it.")),
        (Forbidden("not yours"), NotFound("Repository not found, or you may not use it.")),
        (_LOST, _LOST),
    ],
)
def test_only_who_may_not_is_told_that_there_is_nothing(
    raised: EnclaveError, told: EnclaveError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise raised

    monkeypatch.setattr(conversation, "permitted_app_by_name", refuse)
    conversations = Conversations(cast(Store, None), Settings())
    with pytest.raises(type(told)) as refused:
        conversations.admit(cast(Principal, None), "prod", "web", GitService.UPLOAD_PACK)
    assert str(refused.value) == str(told)


def test_over_http_a_store_that_is_away_is_a_503_without_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_arguments: object) -> None:
        raise _LOST

    monkeypatch.setattr("receiver.http.verify_token", away)
    store, settings = cast(Store, None), Settings()
    places = Places(1, a_source=1, waiting=1, failures=1, logins=1)
    application = GitOverHTTP(store, settings, Conversations(store, settings), places)
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    scope = {
        "method": "GET",
        "path": "/prod/web.git/info/refs",
        "query_string": b"service=git-upload-pack",
        "headers": [(b"authorization", b"Basic " + base64.b64encode(b"x:y"))],
    }
    asyncio.run(application(scope, receive, send))
    assert [message.get("status") for message in said] == [503, None]
    assert said[1]["body"] == f"{STORE_AWAY}\n".encode()


@pytest.mark.parametrize(
    ("raised", "committed", "told"),
    [
        (ValueError("a bug"), False, b"internal error"),
        (ValueError("a bug"), True, b"internal error"),
        (OSError("disk"), False, b"internal error"),
        (_LOST, False, b"try again in a minute"),
        (_LOST, True, b"not known"),
    ],
)
def test_what_breaks_a_push_is_a_verdict_until_refs_may_have_moved(
    raised: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    committed: bool,
    told: bytes,
) -> None:
    """After that it ends in the fatal side band, with neither ok nor ng."""

    def fail(_push: Push, _commands: object, report: Report) -> None:
        if committed:
            report.doubt()
        raise raised

    monkeypatch.setattr(Push, "_receive", fail)
    store = cast(Store, SimpleNamespace(pushes=SimpleNamespace(refs=lambda _app: {})))
    app = App(1, 1, "prod", "web", "2026-01-01T00:00:00Z")
    principal = Principal(User(1, "me@example.com", ""), "key SHA256:x")
    request = Request(GitService.RECEIVE_PACK, app, principal, stateless=True)
    wire = Conversations(store, Settings(data=tmp_path)).start(request)
    wire.transport_end.settimeout(10)
    command = f"{'0' * 40} {'1' * 40} refs/heads/a\0 report-status side-band-64k"
    wire.transport_end.sendall(pkt_line(command.encode()) + b"0000")
    with wire.transport_end as transport:
        said = b"".join(iter(lambda: transport.recv(4096), b""))
    assert said[4:5] == (b"\x03" if committed else b"\x01")
    assert told in said
    assert (b"ng refs/heads/a " in said) is not committed
    assert b"redis.sock" not in said
    assert request.id in caplog.text
    if raised is not _LOST:
        assert request.id.encode() in said
