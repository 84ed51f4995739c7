"""How far somebody has followed what an app's containers print: for each container a place of its
own, since they are read one after the other.

Written as one short text that means nothing to who holds it: who comes again gives it back.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from enclave.errors import InvalidInput

MOST_CONTAINERS = 150
"""So many have a place of their own; of more, the quietest share one time."""

_FORM = 1
_HEAD = struct.Struct(">BQ")  # form, floor
_CONTAINER = struct.Struct(">6sBQIQI")  # id, over, and time and count of either stream
LONGEST_TEXT = (_HEAD.size + MOST_CONTAINERS * _CONTAINER.size + 2) // 3 * 4
"""Characters: it stands in a query, of which proxies take 8 KiB."""

_ID_DIGITS = 12
_MOST_COUNT = 2**32 - 1
_SECOND = 10**9


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """How far one stream is known: to ``time`` (as the Engine writes it; empty: nothing is), with
    the first ``count`` entries of that very time."""

    time: str = ""
    count: int = 0

    def moved(self, time: str) -> Mark:
        """Return the mark behind the stream's next entry, which is of this time."""
        return Mark(time, self.count + 1 if time == self.time else 1)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a container is known: standard output, standard error.

    ``over``: it had stopped when it was last read, so there is no more.
    """

    out: Mark = Mark()
    err: Mark = Mark()
    over: bool = False

    @property
    def newest(self) -> Mark:
        """The later of the two."""
        return max(self.out, self.err)


@dataclass(frozen=True, slots=True)
class Position:
    """The places of an app's containers, by the first twelve digits of their ids.

    Of others nothing is known, or all that is older than ``floor`` (a time), if that is not empty.
    """

    places: dict[str, Place] = field(default_factory=dict)
    floor: str = ""

    def place(self, container_id: str) -> Place:
        """Return how far a container is known."""
        known = Mark(self.floor)
        return self.places.get(container_id[:_ID_DIGITS]) or Place(known, known)

    def missing(self, container_ids: Iterable[str]) -> bool:
        """Whether a container that had not ended is none of these."""
        here = {each[:_ID_DIGITS] for each in container_ids}
        return any(not place.over for known, place in self.places.items() if known not in here)

    def text(self) -> str:
        """Return it as text of at most ``LONGEST_TEXT`` characters, all fit for a URL."""
        by_time = sorted(self.places.items(), key=lambda each: each[1].newest, reverse=True)
        kept, quiet = by_time[:MOST_CONTAINERS], by_time[MOST_CONTAINERS:]
        known = [_nanoseconds(place.newest.time) + 1 for _, place in quiet]
        floor = max([_nanoseconds(self.floor), *known])
        written = _HEAD.pack(_FORM, floor) + b"".join(
            _CONTAINER.pack(bytes.fromhex(each[:_ID_DIGITS]), place.over, *_numbers(place))
            for each, place in kept
        )
        return base64.urlsafe_b64encode(written).decode("ascii").rstrip("=")

    @classmethod
    def read(cls, text: str) -> Position:
        """Return what ``text`` wrote. Raises ``InvalidInput``."""
        try:
            written = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
            form, floor = _HEAD.unpack_from(written)
            containers = list(_CONTAINER.iter_unpack(written[_HEAD.size :]))
        except (binascii.Error, struct.error, ValueError) as error:
            raise InvalidInput(_UNKNOWN) from error
        if form != _FORM or len(containers) > MOST_CONTAINERS:
            raise InvalidInput(_UNKNOWN)
        places = {
            known.hex(): Place(Mark(_time(out), first), Mark(_time(err), second), bool(over))
            for known, over, out, first, err, second in containers
        }
        return cls(places, _time(floor))


_UNKNOWN = (
    "`after` is no position in these logs: give the last `position` of the stream, or none to "
    "begin anew."
)


def _numbers(place: Place) -> tuple[int, int, int, int]:
    out, err = place.out, place.err
    return (
        *(_nanoseconds(out.time), min(out.count, _MOST_COUNT)),
        *(_nanoseconds(err.time), min(err.count, _MOST_COUNT)),
    )


def _nanoseconds(time: str) -> int:
    return nanoseconds(time) if time else 0


def _time(since_epoch: int) -> str:
    return time_of(since_epoch) if since_epoch else ""


def nanoseconds(time: str) -> int:
    """Return a time as the Engine writes it (RFC 3339 in UTC) in nanoseconds since 1970."""
    seconds, _, digits = time.removesuffix("Z").partition(".")
    whole = int(datetime.fromisoformat(f"{seconds}+00:00").timestamp())
    return whole * _SECOND + int(f"{digits or '0':0<9}")


def time_of(since_epoch: int) -> str:
    """Return nanoseconds since 1970 as the Engine writes a time: with nine digits, in UTC."""
    seconds, rest = divmod(since_epoch, _SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
