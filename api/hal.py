"""HAL: resources are JSON objects with links, collections are pages of them (API.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Query

T = TypeVar("T")

Resource = dict[str, object]
"""A JSON object as clients read it."""

_PER_PAGE = 100
_MOST_PER_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the absolute addresses of an API whose root is ``url``."""

    url: str

    def to(self, *path: object) -> str:
        """Return the address of ``/a/b/c``."""
        return "/".join([self.url, *(str(part) for part in path)])

    def hal(self, /, **paths: Sequence[object]) -> dict[str, dict[str, str]]:
        """Return a ``_links`` object: each relation with its address."""
        return {relation: {"href": self.to(*path)} for relation, path in paths.items()}


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a collection is asked for; pages count from 1."""

    number: int
    size: int

    @property
    def skip(self) -> int:
        """How many items stand before this page."""
        return (self.number - 1) * self.size


def asked_page(
    page: Annotated[int, Query(ge=1, le=1_000_000_000)] = 1,
    per_page: Annotated[int, Query(ge=1)] = _PER_PAGE,
) -> Page:
    """Read ``page`` and ``per_page`` from the query; more than 5000 a page are not given."""
    return Page(page, min(per_page, _MOST_PER_PAGE))


def collection(
    address: str, key: str, resources: Sequence[Resource], *, page: Page, total: int
) -> Resource:
    """Return one page. Its self link is bare, since clients POST to it to create."""
    links = {"self": {"href": address}}
    if page.skip + page.size < total:
        query = f"page={page.number + 1}&per_page={page.size}"
        links["next"] = {"href": f"{address}?{query}"}
    return {
        "_embedded": {key: list(resources)},
        "_links": links,
        "total_count": total,
        "per_page": page.size,
        "current_page": page.number,
    }


def collected(
    address: str, key: str, items: Sequence[T], render: Callable[[T], Resource], page: Page
) -> Resource:
    """Return one page of ``items``, of which only those on the page are rendered."""
    shown = [render(item) for item in items[page.skip : page.skip + page.size]]
    return collection(address, key, shown, page=page, total=len(items))
