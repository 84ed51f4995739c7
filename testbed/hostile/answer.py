"""Reads what receive-pack answers: the report behind its side band (gitprotocol-pack(5))."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import IntEnum


class Band(IntEnum):
    """The channels of side-band-64k."""

    DATA = 1
    PROGRESS = 2
    FATAL = 3


@dataclass(slots=True)
class Answer:
    """``unpack`` and the refs' verdicts are the report's, None and empty where there was none.

    ``refs`` are (ref, reason) in their order, with None for ok; ``fatal`` ended the conversation.
    """

    unpack: str | None = None
    refs: list[tuple[bytes, str | None]] = field(default_factory=list)
    shown: str = ""
    fatal: str | None = None

    @property
    def stored(self) -> frozenset[bytes]:
        """The refs that were told ``ok`` and nothing else."""
        refused = {ref for ref, reason in self.refs if reason is not None}
        return frozenset(ref for ref, _ in self.refs) - refused


def read_answer(raw: bytes, asked: Collection[bytes]) -> Answer:
    """Read an answer about the refs ``asked``; one that was cut off as far as it goes."""
    answer = Answer()
    bands = dict.fromkeys(Band, b"")
    for packet in _packets(raw):
        if packet and packet[0] in bands:
            bands[Band(packet[0])] += packet[1:]
        elif packet.startswith(b"ERR "):
            answer.fatal = _text(packet[4:])
    answer.shown = _text(bands[Band.PROGRESS])
    if bands[Band.FATAL]:
        answer.fatal = _text(bands[Band.FATAL])
    for line in _packets(bands[Band.DATA]):
        word, _, rest = line.removesuffix(b"\n").partition(b" ")
        if word == b"unpack":
            answer.unpack = _text(rest)
        elif word == b"ok":
            answer.refs.append((rest, None))
        elif word == b"ng":
            answer.refs.append(_refusal(rest, asked))
    return answer


def _refusal(rest: bytes, asked: Collection[bytes]) -> tuple[bytes, str]:
    """Split ``REF REASON``. A ref's name may hold a space: only who asked for it can tell."""
    known = [ref for ref in asked if rest.startswith(ref + b" ")]
    ref = max(known, key=len, default=rest.partition(b" ")[0])
    return ref, _text(rest[len(ref) :])


def _packets(raw: bytes) -> Iterator[bytes]:
    while len(raw) >= 4:
        size = int(raw[:4], 16)
        if size:
            yield raw[4:size]
        raw = raw[max(size, 4) :]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()
