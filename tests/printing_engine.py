"""Containers that print, in memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256

from worker.runtime import LABEL_INDEX, LABEL_SERVICE, Container
from worker.runtime.container_log import Entry

SECOND = "2026-01-02T03:04:05."


def time(number: int) -> str:
    return f"{SECOND}{number:09}Z"


class PrintingEngine:
    """Containers with logs in memory, which answer as the Docker Engine does."""

    def __init__(self) -> None:
        self.present: list[Container] = []
        self.logs: dict[str, list[Entry]] = {}
        self.answered = 0
        self.asked: dict[str, str] = {}

    def add(self, service: str, index: int = 1) -> str:
        identifier = sha256(f"{service}.{index}.{len(self.logs)}".encode()).hexdigest()
        labels = {LABEL_SERVICE: service, LABEL_INDEX: str(index)}
        self.present.append(Container(identifier, identifier, labels, True, "image"))
        self.logs[identifier] = []
        return identifier

    def print(self, container: str, number: int, text: str, stream: int = 1) -> None:
        self.logs[container].append(Entry(time(number), stream, text.encode()))

    def stop(self, container: str) -> None:
        self.present = [
            replace(each, running=each.running and each.id != container) for each in self.present
        ]

    def remove(self, container: str) -> None:
        self.present = [each for each in self.present if each.id != container]
        self.logs[container] = []

    def containers(self, labels: Mapping[str, str]) -> list[Container]:
        self.asked = dict(labels)
        return self.present

    @contextmanager
    def log(
        self, container: Container, *, since: str = "", last: int | None = None
    ) -> Iterator[Iterator[Entry] | None]:
        if all(each.id != container.id for each in self.present):
            yield None
            return
        kept = [each for each in self.logs[container.id] if each.time >= since]
        given = kept if last is None else kept[-last:]
        yield self._given(given)

    def _given(self, entries: list[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self.answered += 1
            yield entry
