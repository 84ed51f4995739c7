"""One try: a POST to an address that was checked, within one deadline, redirected nowhere."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping

import httpx

from courier.resolver import reachable_addresses
from enclave.errors import NotSent
from enclave.webhook_networks import Networks

SECONDS = 10.0
"""For a try as a whole: looking the host up, connecting, sending, the answer."""

_MOST_ADDRESSES = 3
_ANSWER_BYTES = 16 << 10
_REASON_CHARACTERS = 200


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    networks: Networks,
    *,
    seconds: float = SECONDS,
) -> int:
    """POST to a webhook's URL; return the answer's status code, whatever it is.

    The host is looked up once, and connected to by the very address that was judged, with the name
    in Host and TLS: DNS that changes its mind between the two changes nothing. No proxy of the
    environment counts, no redirect is followed. Raises ``NotSent`` when there is no answer.
    """
    deadline = time.monotonic() + seconds
    try:
        parts = httpx.URL(url)
        host = parts.host
    except (httpx.InvalidURL, UnicodeError) as error:  # a host that IDNA does not know
        raise NotSent(f"The URL is none: {error}.") from error
    port = parts.port or (443 if parts.scheme == "https" else 80)
    addresses = reachable_addresses(host, port, networks, seconds=seconds)
    try:
        return asyncio.run(_post(parts, addresses[:_MOST_ADDRESSES], body, headers, deadline))
    except TimeoutError:
        raise NotSent(f"{parts.host} gave no answer within {seconds:g} s.") from None
    except httpx.ConnectError as error:
        raise NotSent(f"{parts.host} cannot be connected to: {_reason(error)}.") from error
    except httpx.HTTPError as error:
        raise NotSent(f"The connection to {parts.host} broke: {_reason(error)}.") from error


async def _post(
    url: httpx.URL,
    addresses: list[str],
    body: bytes,
    headers: Mapping[str, str],
    deadline: float,
) -> int:
    """Return the status code of the first address that can be connected to.

    Raises ``TimeoutError``, and httpx's errors of the last address.
    """
    async with httpx.AsyncClient(
        verify=ssl.create_default_context(),
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113 -- one deadline is for all of it
    ) as client:
        for last, address in enumerate(addresses, start=1 - len(addresses)):
            request = client.build_request(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers={**headers, "Host": url.netloc.decode("ascii")},
                extensions={"sni_hostname": url.raw_host.decode("ascii")},
            )
            try:
                return await _status(client, request, deadline)
            except httpx.ConnectError:
                if not last:
                    raise
    raise NotSent(f"{url.host} has no address.")


async def _status(client: httpx.AsyncClient, request: httpx.Request, deadline: float) -> int:
    """Return the answer's status code; its body is read as far as a receiver has a right to."""
    code = None
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            answer = await client.send(request, stream=True)
            code = answer.status_code
            size = 0
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size > _ANSWER_BYTES:
                    break
            await answer.aclose()
    except (TimeoutError, httpx.HTTPError):
        if code is None:
            raise
    return code


def _reason(error: Exception) -> str:
    """Return what went wrong in one short line."""
    return (str(error) or type(error).__name__).split("\n", 1)[0][:_REASON_CHARACTERS].rstrip(".")
