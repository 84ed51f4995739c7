"""What the pusher sees: ``remote:`` lines while it waits, and the report at the end.

The report is git's report-status (gitprotocol-pack(5)): ``unpack …``, then ``ok REF`` or
``ng REF REASON`` a ref, in a side band when the client asked for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from dulwich.protocol import SIDE_BAND_CHANNEL_DATA as DATA
from dulwich.protocol import SIDE_BAND_CHANNEL_FATAL as FATAL
from dulwich.protocol import SIDE_BAND_CHANNEL_PROGRESS as PROGRESS
from dulwich.protocol import Protocol, pkt_line

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]+")
_MAX_REASON = 200
_KEEPALIVE = b"0005\x01"  # an empty packet of the data band: every git passes over it


class Report:
    """Speaks to one pusher, in the forms its capabilities allow."""

    def __init__(self, protocol: Protocol, capabilities: Iterable[bytes] = ()) -> None:
        self._protocol = protocol
        self._refs: tuple[str, ...] = ()
        self.in_doubt = False
        self.agree(capabilities)

    def agree(self, capabilities: Iterable[bytes]) -> None:
        """Speak in the client's forms from now on; before that, only ``ERR`` is understood."""
        words = set(capabilities)
        self._side_band = b"side-band-64k" in words
        self._wants_status = bool(words & {b"report-status", b"report-status-v2"})
        self._quiet = b"quiet" in words

    def expect(self, refs: Iterable[str]) -> None:
        """From now on the client waits for a verdict on each of these refs."""
        self._refs = tuple(refs)

    def doubt(self) -> None:
        """From now on refs may have moved: a failure is no verdict."""
        self.in_doubt = True

    def say(self, lines: Iterable[str]) -> None:
        """Show lines to the person at the other end, each behind ``remote:``."""
        text = "".join(f"{_CONTROL.sub(' ', line)}\n" for line in lines)
        if self._side_band and text:
            self._protocol.write_sideband(PROGRESS, _bytes(text))

    def progress(self, line: bytes) -> None:
        """Show a line of git's own progress, unless the client asked for quiet."""
        if self._side_band and not self._quiet:
            self._protocol.write_sideband(PROGRESS, line)

    def replace(self, line: str) -> None:
        """Show a line that the next one draws over; only on a terminal.

        git asks for quiet when its user does, or when its errors do not go to a terminal
        (send-pack.c); it takes a carriage return for the end of such a line.
        """
        if self._side_band and not self._quiet:
            text = _CONTROL.sub(" ", line)
            self._protocol.write_sideband(PROGRESS, _bytes(f"{text}\r"))

    def keep_alive(self) -> None:
        """Send a packet that means nothing, so that nobody between takes silence for death."""
        if self._side_band:
            self._protocol.write(_KEEPALIVE)

    def fail(self, why: str) -> None:
        """End the conversation with a failure that is no fault of the client's.

        As long as nothing can have moved, that is a verdict: every ref is refused.
        """
        if self._refs and self._wants_status and not self.in_doubt:
            self.finish(why, dict.fromkeys(self._refs, why))
        else:
            self.end_without_verdict(why)

    def end_without_verdict(self, why: str) -> None:
        """End the conversation when neither ``ok`` nor ``ng`` would be known to be true."""
        if self._side_band:
            self._protocol.write_sideband(FATAL, f"{why}\n".encode())
        else:
            self._protocol.write_pkt_line(f"ERR {why}".encode())

    def finish(self, unpack: str, refs: Mapping[str, str | None]) -> None:
        """Report: ``unpack`` is ``ok`` or why the pack was not taken; a ref's None means ``ok``."""
        if not self._wants_status:
            if self._side_band:
                self._protocol.write_pkt_line(None)
            return
        lines = [f"unpack {_one_line(unpack)}\n"]
        for ref, reason in refs.items():
            lines.append(f"ok {ref}\n" if reason is None else f"ng {ref} {_one_line(reason)}\n")
        status = b"".join(pkt_line(_bytes(line)) for line in lines) + pkt_line(None)
        if self._side_band:
            self._protocol.write_sideband(DATA, status)
            self._protocol.write_pkt_line(None)
        else:
            self._protocol.write(status)


def _bytes(text: str) -> bytes:
    """Return text as it came: a ref's name need not be UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _one_line(text: str) -> str:
    """Return the reason as one short line; git shows it in brackets."""
    line = _CONTROL.sub(" ", text.strip().split("\n", 1)[0]).strip()
    return line if len(line) <= _MAX_REASON else f"{line[: _MAX_REASON - 1]}…"
