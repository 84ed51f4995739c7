"""The last whole lines of a container's log, as the Engine keeps it.

The Engine cuts a line into parts of 16 KiB, each an entry of its log, and counts entries where it
is asked for lines; only a line's last part ends with a line break. So what it gives may begin
inside a line. Half a line is never shown: half a secret could stand there, which nobody would know
for one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

MORE = 32
"""Entries to ask for beyond the lines wanted: as many parts of long lines are made whole (512 KiB).
"""

LEFT_OUT = "[a long line is left out here]"


def last_lines(frames: Iterable[tuple[int, bytes]], *, lines: int, beginning: bool) -> list[str]:
    """Return the last ``lines`` lines, of standard output and error in the order of their ends.

    ``frames`` are stream numbers with what was printed there, one for each entry of the log.
    ``beginning``: nothing was printed before them. Otherwise the first line of each stream may be
    the end of a longer one, and is not shown; where it is missed, ``LEFT_OUT`` stands for it.
    """
    found: list[str] = []
    unfinished: defaultdict[int, bytes] = defaultdict(bytes)
    cut = set() if beginning else {1, 2}
    for stream, printed in frames:
        *ended, unfinished[stream] = (unfinished[stream] + printed).split(b"\n")
        if ended and stream in cut:
            cut.remove(stream)
            del ended[0]
        found += map(_text, ended)
    found += [_text(rest) for stream, rest in unfinished.items() if rest and stream not in cut]
    if not beginning and len(found) < lines:
        return [LEFT_OUT, *found]
    return found[-lines:]


def _text(line: bytes) -> str:
    return line.decode(errors="replace").removesuffix("\r")
