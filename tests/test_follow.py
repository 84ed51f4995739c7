"""What a pusher is told about the operations that go before its own."""

from types import SimpleNamespace
from typing import cast

from enclave.operation import OperationStatus
from enclave.store import Store
from receiver.follow import _queue_words


def _operation(number: int) -> SimpleNamespace:
    return SimpleNamespace(
        id=number,
        status=OperationStatus.QUEUED,
        started_at=None,
        request=SimpleNamespace(app_id=1),
        describe=lambda: f"operation {number} (deploy by a@example.com)",
    )


def _words(queue: list[int], own: int) -> list[str]:
    operations = SimpleNamespace(
        operation=_operation, unfinished=lambda _app: [_operation(each) for each in queue]
    )
    return _queue_words(cast(Store, SimpleNamespace(operations=operations)), own)


def test_ahead_is_what_stands_ahead_in_the_queue_whatever_its_number() -> None:
    (line,) = _words([9, 7, 8], 7)
    assert line.startswith("INFO: queued behind operation 9 ")
    assert line.endswith("position 1.")
    assert _words([7, 6], 7) == []
    assert _words([], 7) == []
