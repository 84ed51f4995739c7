"""A client that knows nothing but HAL: it begins at the root and goes wherever links lead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi.testclient import TestClient

Body = dict[str, Any]

_POSTED_TO_ALONE = frozenset(["tokens"])
"""Relations that are for logging in: a form is POSTed there."""

_TEXT = ("/logs", "/events")
"""How addresses end that answer with text: an address, or a stream."""


class Walk:
    """Everything that ``client`` reaches from ``begin``: by address, what was answered there."""

    def __init__(self, client: TestClient, *begin: str, per_page: int = 3) -> None:
        self._client = client
        self._per_page = per_page
        self.resources: dict[str, Body] = {}
        self.collections: dict[str, list[Body]] = {}
        self.embedded: list[Body] = []
        self.texts: dict[str, str] = {}
        waiting = list(begin)
        while waiting:
            address = waiting.pop()
            if address not in self.resources and address not in self.collections:
                waiting += self._visit(address)

    def of_type(self, type_: str) -> list[Body]:
        """Return every resource of a type, each once; of one without an address, as embedded."""
        found = [each for each in self.resources.values() if each.get("_type") == type_]
        return found or [each for each in self.embedded if each.get("_type") == type_]

    def _visit(self, address: str) -> list[str]:
        body = self._get(address)
        if "total_count" not in body:
            self.resources[address] = body
            return self._links(body)
        items = self._collect(address)
        self.collections[address] = items
        self.embedded += items
        return [link for item in items for link in self._links(item)]

    def _collect(self, address: str) -> list[Body]:
        """Return all items of a collection, read page by page."""
        page: Body = self._get(f"{address}?per_page={self._per_page}&no_embed=true")
        items: list[Body] = []
        for number in range(1, 1000):
            _check_page(page, address, number)
            [embedded] = page["_embedded"].values()
            assert len(embedded) <= self._per_page
            items += embedded
            following = page["_links"].get("next")
            if following is None:
                break
            assert len(embedded) == self._per_page, "only the last page may be short"
            assert parse_qs(urlsplit(following["href"]).query)["page"] == [str(number + 1)]
            page = self._get(following["href"])
        assert len(items) == page["total_count"], address
        selves = [item["_links"]["self"]["href"] for item in items]
        assert len(set(selves)) == len(selves), f"{address} has something twice"
        return items

    def _links(self, body: Body) -> list[str]:
        """Return where a resource, and what is embedded in it, links to."""
        found = []
        for relation, link in body["_links"].items():
            href = link["href"]
            assert href.startswith(str(self._client.base_url)), href
            if href.endswith(_TEXT):
                self._read_text(href)
            elif relation not in _POSTED_TO_ALONE and "/tokens/" not in href:
                found.append(href)
        for each in _inside(body):
            self.embedded.append(each)
            found += self._links(each)
        return found

    def _read_text(self, address: str) -> None:
        if address in self.texts:
            return
        if address.endswith("/events"):  # a stream, which ends with its operation
            self.texts[address] = ""
            return
        answer = self._client.get(address)
        assert answer.status_code == 200, (address, answer.text)
        self.texts[address] = answer.text

    def _get(self, address: str) -> Body:
        answer = self._client.get(address)
        assert answer.status_code == 200, (address, answer.text)
        assert answer.headers["content-type"] == "application/json", address
        body = answer.json()
        assert isinstance(body, dict), address
        return body


def _check_page(page: Body, address: str, number: int) -> None:
    assert "_type" not in page, address
    assert page["_links"]["self"] == {"href": address}, "the self link is where one POSTs to"
    assert list(page["_embedded"]) == [address.rpartition("/")[2]], address
    assert page["current_page"] == number
    assert isinstance(page["total_count"], int)
    assert isinstance(page["per_page"], int)


def _inside(body: Body) -> Iterator[Body]:
    for value in body.get("_embedded", {}).values():
        if isinstance(value, list):
            yield from value
        elif value is not None:
            yield value
