"""Lines out of the pieces of a container's two streams."""

from __future__ import annotations

from worker.runtime.container_log import Entry

LONGEST_BYTES = 64 * 1024
"""What is printed without a line break comes in lines of about this length."""


class WholeLines:
    """Puts together what the Engine cut: it keeps long lines in parts of 16 KiB."""

    def __init__(self) -> None:
        self._begun: dict[int, bytes] = {}

    def add(self, entry: Entry) -> str | None:
        """Return the line that the entry ends, if it does or is long enough."""
        line = self._begun.pop(entry.stream, b"") + entry.printed
        if line.endswith(b"\n") or len(line) >= LONGEST_BYTES:
            return line.decode(errors="replace").removesuffix("\n")
        self._begun[entry.stream] = line
        return None
