"""What is sent, and how a receiver verifies it: by the very lines of docs/webhooks.md."""

import hashlib
import hmac
import json
import re
from pathlib import Path

import pytest

from courier.message import Message, signature
from enclave.app import App
from enclave.operation import (
    ZERO_ID,
    Operation,
    OperationRequest,
    OperationStatus,
    OperationType,
    Source,
)
from enclave.pushed_config import PushedConfig
from enclave.webhook import Delivery, DeliveryStatus

DOCS = Path(__file__).parents[1] / "docs" / "webhooks.md"
SECRET = "whatever it is that only we two know"
MOMENT = 1_800_000_000
NOON = "2026-03-01T12:00:00.000Z"
LATER = "2026-03-01T12:00:07.125Z"
A = "a" * 40

APP = App(4, 2, "prod", "shop", NOON)
DELIVERY = Delivery(31, 7, 12, DeliveryStatus.PENDING, 1, LATER)


def ended(
    status: OperationStatus = OperationStatus.SUCCEEDED,
    *,
    cancelled: bool = False,
    source: Source = Source.COMMIT,
) -> Operation:
    request = OperationRequest(
        4, OperationType.DEPLOY, 1, "ann@example.com", source=source, pushed=PushedConfig(A)
    )
    return Operation(
        12, request, status, NOON, ended_at=LATER, cancelled=cancelled, message="It ended."
    )


def verify(body: bytes, headers: dict[str, str], *, secret: str = SECRET, now: float) -> bool:
    """Do as the documentation says."""
    (lines,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(lines.splitlines()) == 3

    class Clock:
        time = staticmethod(lambda: now)

    names: dict[str, object] = {
        "hmac": hmac,
        "hashlib": hashlib,
        "time": Clock,
        "secret": secret,
        "body": body,
        "timestamp": headers["Enclave-Timestamp"],
        "signature": headers["Enclave-Signature"],
    }
    exec(lines, names)
    return bool(names["genuine"] and names["fresh"])


def test_the_documented_lines_tell_what_is_ours() -> None:
    message = Message.of(DELIVERY, APP, ended())
    headers = message.headers(SECRET, MOMENT)
    assert verify(message.body, headers, now=MOMENT + 2)
    assert not verify(message.body + b" ", headers, now=MOMENT)
    assert not verify(message.body, headers, secret=SECRET[1:], now=MOMENT)
    assert not verify(message.body, headers, now=MOMENT + 301), "an old one is sent again"
    later = {**headers, "Enclave-Timestamp": str(MOMENT + 300)}
    assert not verify(message.body, later, now=MOMENT + 301), "the time is signed, too"


def test_a_signature_that_is_known() -> None:
    """``printf '1.{}' | openssl dgst -sha256 -hmac key``."""
    expected = "1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224"
    assert signature("key", 1, b"{}") == f"v1={expected}"


def test_the_body_is_the_documented_one() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL)
    documented = json.loads(text)
    sent = json.loads(Message.of(DELIVERY, APP, ended()).body)
    assert sent.keys() == documented.keys()
    assert sent["operation"] == {
        **documented["operation"],
        "git_ref": A,
        "message": "It ended.",
        "created_at": NOON,
    }
    for same in ("event", "delivery", "app"):
        assert sent[same] == documented[same]
    assert sent["time"] == LATER


@pytest.mark.parametrize(
    ("operation", "event"),
    [
        (ended(), "operation.succeeded"),
        (ended(OperationStatus.FAILED), "operation.failed"),
        (ended(OperationStatus.FAILED, cancelled=True), "operation.cancelled"),
        (ended(cancelled=True), "operation.succeeded"),
    ],
    ids=["succeeded", "failed", "cancelled", "cancelled too late"],
)
def test_the_event_is_how_it_ended(operation: Operation, event: str) -> None:
    message = Message.of(DELIVERY, APP, operation)
    assert json.loads(message.body)["event"] == event
    assert message.headers(SECRET, MOMENT)["Enclave-Event"] == event


@pytest.mark.parametrize(
    ("source", "git_ref"), [(Source.COMMIT, A), (Source.DETACH, ZERO_ID), (Source.KEEP, None)]
)
def test_the_commit_is_the_named_one(source: Source, git_ref: str | None) -> None:
    sent = json.loads(Message.of(DELIVERY, APP, ended(source=source)).body)
    assert sent["operation"]["git_ref"] == git_ref


def test_each_try_has_the_same_body_and_number_and_its_own_time() -> None:
    message = Message.of(DELIVERY, APP, ended())
    first, second = (message.headers(SECRET, MOMENT + late) for late in (0, 10))
    assert first["Enclave-Delivery"] == second["Enclave-Delivery"] == "31"
    assert first["Enclave-Signature"] != second["Enclave-Signature"]
