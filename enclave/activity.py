"""What was changed, by whom, when and from where: the audit of an installation."""

from __future__ import annotations

from dataclasses import dataclass

_AGENT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something: what they showed (``Principal.proof``), and from where they came.

    ``source`` is an address, ``agent`` what the client calls itself, which nobody checks.
    """

    email: str
    proof: str
    source: str = ""
    agent: str = ""


LOCAL = Actor("local administrator", "the enclave command")
"""Who runs commands on the machine itself."""


@dataclass(frozen=True, slots=True)
class Activity:
    """One change, as it is kept. ``seconds`` is Unix time.

    ``action`` is a word like ``operation.deploy``, ``about`` what it was done to: a number, a name,
    refs; never a secret. ``app_id`` is None for what belongs to no app.
    """

    id: str
    action: str
    about: str
    actor: Actor
    app_id: int | None = None

    @property
    def seconds(self) -> float:
        """When it was, by Redis's clock."""
        return int(self.id.partition("-")[0]) / 1000

    @property
    def operation_id(self) -> int | None:
        """The operation that was queued or cancelled, if it is about one."""
        return int(self.about) if self.action.startswith("operation.") else None


def trimmed(text: str, most: int = _AGENT_CHARACTERS) -> str:
    """Return what somebody else has named, printable and of bounded length."""
    return "".join(c for c in text[:most] if c.isprintable())
