"""Events that were shown, and come again after a loss of the connection."""

from __future__ import annotations

from collections import Counter

from toolbelt.hal import Body


class ShownEvents:
    """Knows those with the field ``once`` that came since the last position.

    They may come in another order, between new ones, and before and behind further positions.
    """

    def __init__(self, once: str) -> None:
        self._once = once
        self._uncovered: Counter[str] = Counter()  # by the last position
        self._to_come: Counter[str] = Counter()  # again

    def is_new(self, event: Body, line: str) -> bool:
        """Take note of an event, which came as this line; return whether it is to be shown."""
        if not self._once or self._once not in event:
            return True
        self._uncovered[line] += 1
        if line not in self._to_come:
            return True
        self._to_come[line] -= 1
        if not self._to_come[line]:
            del self._to_come[line]
        return False

    def covered(self) -> None:
        """Call it at a position: what came before it comes never again."""
        self._uncovered.clear()

    def lost(self) -> None:
        """Call it when the stream breaks."""
        self._to_come += self._uncovered
        self._uncovered.clear()
