"""Frozen dataclasses to JSON and back, checked by pydantic; one adapter a type."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")

_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def encode(value: object) -> str:
    """Return a dataclass value as JSON."""
    return _adapter(type(value)).dump_json(value).decode()


def decode(kind: type[T], text: str) -> T:
    """Return the value of ``kind`` that ``encode`` wrote; raises pydantic's ``ValidationError``."""
    value: T = _adapter(kind).validate_json(text)
    return value
