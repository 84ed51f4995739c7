"""What a git client is answered over HTTP."""

from __future__ import annotations

from dulwich.protocol import pkt_line

from enclave.errors import EnclaveError, MethodNotAllowed, TooManyRequests, Unauthenticated
from receiver.conversation import Request
from receiver.http_request import Asked, Message, Send

_CHALLENGE = (
    b"www-authenticate",
    b'Basic realm="Enclave: a token as the password", charset="UTF-8"',
)
_NEVER_CACHE = (b"cache-control", b"no-cache, max-age=0, must-revalidate")


class Reply:
    """The response. It begins with git's first word, after the request's body was asked for.

    Who sent ``Expect: 100-continue`` would otherwise take it for the whole answer (RFC 9110).
    """

    def __init__(self, request: Request, send: Send) -> None:
        self._request, self._send = request, send
        self._begun = False

    async def write(self, data: bytes) -> None:
        """Send what git says."""
        await self._begin()
        await _send_body(self._send, data)

    async def end(self) -> None:
        """End the response, which may be empty."""
        await self._begin()
        await self._send({"type": "http.response.body", "body": b""})

    async def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        await self._send(start(self._request))
        if self._request.advertise:
            await _send_body(self._send, banner(self._request))


def start(request: Request) -> Message:
    """Begin the answer to what may be answered."""
    kind = "advertisement" if request.advertise else "result"
    headers = [
        (b"content-type", f"application/x-{request.service}-{kind}".encode()),
        _NEVER_CACHE,
    ]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def banner(request: Request) -> bytes:
    """Return what the list of refs begins with (gitprotocol-http(5))."""
    return pkt_line(f"# service={request.service}\n".encode()) + pkt_line(None)


def headers_for(error: EnclaveError, asked: Asked) -> list[tuple[bytes, bytes]]:
    """Return the headers that HTTP wants beside a status (RFC 9110)."""
    if isinstance(error, Unauthenticated):
        return [_CHALLENGE]
    if isinstance(error, MethodNotAllowed):
        return [asked.allowed]
    if isinstance(error, TooManyRequests):
        return [(b"retry-after", b"60")]
    return []


async def _send_body(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def answer(send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Answer in words, without git."""
    plain = (b"content-type", b"text/plain; charset=utf-8")
    await send({"type": "http.response.start", "status": status, "headers": [plain, *headers]})
    await send({"type": "http.response.body", "body": text.encode()})
