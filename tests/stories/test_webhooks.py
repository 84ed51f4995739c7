"""Webhooks with real parts: told at last, whatever is killed between."""

import hashlib
import hmac
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import App

from testbed.images import Images
from testbed.processes import wait_until

_SECONDS = 60.0


class Receiver(ThreadingHTTPServer):
    """Answers its first request late, or with 503; those after it with 200."""

    def __init__(self, *, hangs: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hangs, self.released = hangs, threading.Event()
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook"
        self.secret = ""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def messages(self) -> list[dict[str, Any]]:
        """What came, signed with our secret."""
        for headers, body in self.seen:
            signed = headers["Enclave-Timestamp"].encode() + b"." + body
            expected = hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()
            assert headers["Enclave-Signature"] == f"v1={expected}"
        return [json.loads(body) for _, body in self.seen]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((dict(self.headers), body))
        code = 200
        if len(self.server.seen) == 1:
            code = 503
            if self.server.hangs:
                self.server.released.wait(_SECONDS)
        self.send_response(code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receivers() -> Iterator[tuple[Receiver, Receiver]]:
    """One that refuses its first message, and one that is slow to take it."""
    both = Receiver(hangs=False), Receiver(hangs=True)
    yield both
    for each in both:
        each.released.set()
        each.shutdown()
        each.server_close()


def test_every_end_is_told_though_couriers_are_killed(
    app: App, images: Images, receivers: tuple[Receiver, Receiver]
) -> None:
    for each in receivers:
        each.secret = _webhooks(app, "create", each.url)["secret"]

    assert app.deploy_image(images.web("1")).returncode == 0
    wait_until(
        lambda: all(each.seen for each in receivers), seconds=_SECONDS, what="nobody was told"
    )
    wait_until(lambda: _last(app)[0]["response_code"], seconds=_SECONDS, what="no 503 was noted")
    app.installation.kill("courier")  # one of them waits for an answer
    assert app.deploy("--docker-image", images.broken()).returncode == 1

    wait_until(
        lambda: (
            all(len({m["delivery"] for m in each.messages()}) == 2 for each in receivers)
            and {delivery["status"] for delivery in _last(app, every=True)} == {"succeeded"}
        ),
        seconds=_SECONDS,
        what="it was not told at last",
    )
    for each in receivers:
        messages = {message["delivery"]: message for message in each.messages()}
        first, second = (messages[number] for number in sorted(messages))
        assert (first["event"], second["event"]) == ("operation.succeeded", "operation.failed")
        assert first["app"]["handle"] == app.handle
        assert first["operation"]["user_email"] == app.owner.email
        assert second["operation"]["message"]
        assert [m["delivery"] for m in each.messages()].count(first["delivery"]) == 2


def _last(app: App, *, every: bool = False) -> list[dict[str, Any]]:
    """The newest delivery of each webhook, or all that are kept."""
    kept = [webhook["deliveries"] for webhook in _webhooks(app, "list")]
    return [each for deliveries in kept for each in deliveries[: None if every else 1]]


def _webhooks(app: App, command: str, *arguments: str) -> Any:
    """What ``aptible webhooks:COMMAND`` prints, as JSON."""
    aptible = str(Path(sys.executable).parent / "aptible")
    words = [aptible, f"webhooks:{command}", "--app", app.handle, *arguments]
    done = app.owner.run("env", "APTIBLE_OUTPUT_FORMAT=json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
