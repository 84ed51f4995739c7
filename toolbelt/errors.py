"""What can go wrong for the person at the terminal; each says it in a sentence.

ToolbeltError                an exit status of 1 and one or two lines, never a traceback
├── Refused                  the server answered, and said no
│   └── Unavailable          it said "not now" (5xx)
├── Unreachable              no answer came: refused, lost, too late, or no HTTP
├── Interrupted              CTRL+C where nothing is left to say (status 130)
└── Detached                 CTRL+C while following; the operation goes on (status 130)
"""

from __future__ import annotations


class ToolbeltError(Exception):
    """The root. ``str(error)`` is for the person; ``exit_code`` for the shell."""

    exit_code = 1


class Refused(ToolbeltError):
    """The server said no. ``status`` is HTTP's, ``error`` the API's word for it."""

    def __init__(self, message: str, status: int, error: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error


class Unavailable(Refused):
    """The server cannot answer at the moment."""


class Unreachable(ToolbeltError):
    """The server could not be asked, or its answer did not come."""


class Interrupted(ToolbeltError):
    """Someone has seen enough."""

    exit_code = 130


class Detached(ToolbeltError):
    """Someone stopped following; the operation did not stop."""

    exit_code = 130

    def __init__(self, operation: int) -> None:
        super().__init__(
            f"\nOperation #{operation} goes on. See how it ends: "
            f"aptible operation:follow {operation}\n"
            f"To cancel it: aptible operation:cancel {operation}"
        )
