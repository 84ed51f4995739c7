"""A registry that is not to be relied on: one image, and a mood in which it is served."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import threading
from contextlib import suppress
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from testbed.layer import layer
from testbed.processes import wait_until

_REPOSITORY, _TAG = "team/app", "1"
_TYPES = "application/vnd.docker."
_MANIFEST = f"{_TYPES}distribution.manifest.v2+json"
_CONFIG = f"{_TYPES}container.image.v1+json"
_LAYER = f"{_TYPES}image.rootfs.diff.tar.gzip"
_BALLAST_BYTES = 2_000_000  # that no compression makes less of: a layer has a middle


class Mood(Enum):
    """How it answers."""

    WELL = "as a registry does"
    SILENT = "it accepts connections and answers nothing"
    STALLING = "manifests come, and half of each layer"
    FAILING = "500, whatever it is asked"
    LAYERLESS = "manifests come, and 500 for each layer"
    LYING = "a layer is not what its digest says"


class FalseRegistry:
    """``with FalseRegistry() as registry:`` serves the image ``registry.reference`` over HTTP.

    On 127.0.0.1, where a Docker Engine does not insist on TLS. ``mood`` may be set at any time. The
    image is another one with every instance, so that no Engine has a layer of it; it serves
    ``web false`` on port 8080.
    """

    def __init__(self, mood: Mood = Mood.WELL) -> None:
        self.mood = mood
        self._ended = threading.Event()
        self._stalled = threading.Event()
        self._blobs: dict[str, bytes] = {}
        self._layer = self._add(gzip.compress(tar := _content()))
        config = self._add(_json(_configuration(tar)))
        self._manifest = self._add(_json(self._manifest_of(config)))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``, the first part of an image reference."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def repository(self) -> str:
        """The path of its repository, the second part."""
        return _REPOSITORY

    @property
    def reference(self) -> str:
        """The image to deploy."""
        return f"{self.address}/{_REPOSITORY}:{_TAG}"

    def wait_until_stalled(self, *, seconds: float = 15) -> None:
        """Return when somebody waits for what will not come."""
        wait_until(self._stalled.is_set, seconds=seconds, what="nobody asked the registry")

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _add(self, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._blobs[digest] = content
        return digest

    def _manifest_of(self, config: str) -> dict[str, object]:
        return {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._descriptor(_CONFIG, config),
            "layers": [self._descriptor(_LAYER, self._layer)],
        }

    def _descriptor(self, kind: str, digest: str) -> dict[str, object]:
        return {"mediaType": kind, "size": len(self._blobs[digest]), "digest": digest}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with suppress(ConnectionError):  # the Engine may give up
                    registry._answer(self)

            do_HEAD = do_GET  # noqa: N815 -- the name http.server looks for

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def _answer(self, asked: BaseHTTPRequestHandler) -> None:
        match self.mood, asked.path.split("/"):
            case Mood.SILENT, _:
                self._stall()
            case Mood.FAILING, _:
                _send(asked, b'{"errors":[]}', status=HTTPStatus.INTERNAL_SERVER_ERROR)
            case _, [*_, "manifests", _]:
                _send(asked, self._blobs[self._manifest], kind=_MANIFEST, digest=self._manifest)
            case _, [*_, "blobs", digest] if digest in self._blobs:
                self._send_blob(asked, digest)
            case _:
                _send(asked, b"{}")

    def _send_blob(self, asked: BaseHTTPRequestHandler, digest: str) -> None:
        content, is_layer = self._blobs[digest], digest == self._layer
        if is_layer and self.mood is Mood.LYING:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if is_layer and self.mood is Mood.LAYERLESS:
            self._stalled.set()  # the Engine asks again, after seconds
            _send(asked, b'{"errors":[]}', status=HTTPStatus.INTERNAL_SERVER_ERROR)
        elif is_layer and self.mood is Mood.STALLING:
            _send(asked, content[: len(content) // 2], length=len(content))
            self._stall()
        else:
            _send(asked, content)

    def _stall(self) -> None:
        self._stalled.set()
        self._ended.wait()


def _send(
    asked: BaseHTTPRequestHandler,
    content: bytes,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    kind: str = "application/octet-stream",
    digest: str = "",
    length: int | None = None,
) -> None:
    """Answer; ``length`` is what the head promises, the content's own if None."""
    asked.send_response(status)
    asked.send_header("Content-Type", kind)
    asked.send_header("Content-Length", str(len(content) if length is None else length))
    asked.send_header("Docker-Distribution-Api-Version", "registry/2.0")
    if digest:
        asked.send_header("Docker-Content-Digest", digest)
    asked.end_headers()
    if asked.command != "HEAD":
        asked.wfile.write(content)
        asked.wfile.flush()


def _content() -> bytes:
    return layer({"/www/index.html": "web false\n", "/ballast": os.urandom(_BALLAST_BYTES)})


def _configuration(tar: bytes) -> dict[str, object]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/serve"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
    }


def _json(value: dict[str, object]) -> bytes:
    return json.dumps(value).encode()
