"""The job of the reference."""


def nothing() -> None:
    """Do nothing."""
