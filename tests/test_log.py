"""The one writer of an operation's log: lines, cuts, secrets, batches (SPEC 7)."""

import threading
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.app import App
from enclave.changes import Changes
from enclave.errors import LeaseLost, StoreUnavailable
from enclave.operation import OperationRequest, OperationType
from enclave.store import Store
from enclave.store.operations import Ending, Lease, OperationStatus
from worker.log import CommandOutput, OperationLog
from worker.redaction import MASK, Redactor

CUT = 8192
SECRET = "hunter2-and-then-some"
PLAIN = st.characters(codec="utf-8", exclude_characters="\n[]", exclude_categories=["Cc", "Cs"])
"""What a secret is made of here: what a line can hold, without what the mask itself holds."""


class Kept:
    """Stands where ``OperationLog._put`` would: redacts whole lines as that does."""

    def __init__(self, *secrets: str) -> None:
        self.redactor = Redactor(secrets)
        self.raw: list[str] = []
        self.output = CommandOutput(self.raw.append, self.redactor)

    @property
    def lines(self) -> list[str]:
        return [self.redactor.redact(line) for line in self.raw]

    def take(self, *chunks: bytes) -> list[str]:
        for chunk in chunks:
            self.output(chunk)
        self.output.close()
        return self.lines


class KeptLogs:
    """Stands for ``Logs``: keeps what is appended, or raises ``error``."""

    def __init__(self, error: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self.error = error
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def append(self, _lease: Lease, lines: Sequence[str]) -> None:
        self.may_go_on.wait(10)
        if self.error is not None:
            raise self.error
        self.batches.append(list(lines))

    @property
    def lines(self) -> list[str]:
        return [line for batch in self.batches for line in batch]


def written(say: Callable[[OperationLog], None], *secrets: str) -> list[str]:
    """Return the lines that reach the store when ``say`` has spoken."""
    logs = KeptLogs()
    log = OperationLog(logs, Lease(1, 1, "1", recovers=False), Redactor(secrets))  # type: ignore[arg-type]
    say(log)
    log.close()
    return logs.lines


class TestCommandOutput:
    @pytest.mark.parametrize(
        ("chunks", "lines"),
        [
            ([], []),
            ([b""], []),
            ([b"a"], ["a"]),
            ([b"a\n"], ["a"]),
            ([b"a\nb"], ["a", "b"]),
            ([b"a", b"b\nc", b"\n"], ["ab", "c"]),
            ([b"\n\n"], ["", ""]),
            ([b"a\r\nb\r\n"], ["a", "b"]),
            ([b"a\r", b"\nb"], ["a", "b"]),
            (["é".encode()[:1], "é".encode()[1:]], ["é"]),
            ([b"\xff\n"], ["\ufffd"]),
            (["é".encode()[:1]], ["\ufffd"]),
            (["a\u2028b\x85c".encode()], ["a\u2028b\x85c"]),
        ],
    )
    def test_chunks_end_anywhere_lines_at_line_breaks(
        self, chunks: list[bytes], lines: list[str]
    ) -> None:
        assert Kept().take(*chunks) == lines

    @pytest.mark.parametrize("split", range(1, len(SECRET)))
    def test_a_secret_across_two_chunks(self, split: int) -> None:
        line = f"the token is {SECRET}!".encode()
        at = 13 + split
        assert Kept(SECRET).take(line[:at], line[at:]) == [f"the token is {MASK}!"]

    @pytest.mark.parametrize("size", [1, 100, CUT, 65536, 1 << 20])
    def test_a_line_without_end_is_cut_and_nothing_is_lost(self, size: int) -> None:
        text = "".join(chr(33 + at % 94) for at in range(3 * CUT))
        lines = written(lambda log: _feed(log, text, size), SECRET)
        assert "".join(lines) == text
        assert [len(line) for line in lines] == [CUT, CUT, CUT]

    def test_output_without_line_breaks_is_not_gathered(self) -> None:
        kept = Kept(SECRET)
        for _ in range(64):
            kept.output(b"x" * 65536)
        assert sum(len(line) for line in kept.raw) > 64 * 65536 - 3 * CUT

    @pytest.mark.parametrize("before", [*range(CUT - 30, CUT + 60, 7), 2 * CUT - 5])
    @pytest.mark.parametrize("size", [1, 4096, 1 << 20])
    def test_a_secret_where_a_line_is_cut(self, before: int, size: int) -> None:
        data = ("x" * before + SECRET + "y" * CUT).encode()
        lines = Kept(SECRET).take(*(data[at : at + size] for at in range(0, len(data), size)))
        assert "".join(lines) == "x" * before + MASK + "y" * CUT

    @pytest.mark.parametrize("come", range(1, len(SECRET)))
    def test_a_chunk_that_ends_inside_a_secret_where_a_later_line_is_cut(self, come: int) -> None:
        for before in (2 * CUT - 5, 2 * CUT - come):
            text = "x" * before + SECRET
            lines = Kept(SECRET).take(text[: before + come].encode(), SECRET[come:].encode())
            assert "".join(lines) == "x" * before + MASK

    @pytest.mark.parametrize("tail", range(len(SECRET)))
    def test_masks_that_are_shorter_than_their_secrets_bring_no_cut_too_near(
        self, tail: int
    ) -> None:
        secret = SECRET * 3
        count = CUT // len(secret) + 3
        data = (secret * count + secret[:tail]).encode()
        lines = Kept(secret).take(data, secret[tail:].encode())
        assert "".join(lines) == MASK * (count + 1)

    def test_a_secret_that_goes_on_as_a_longer_one(self) -> None:
        longer = SECRET + "-and-more-of-it"
        data = ("x" * (CUT + 30) + SECRET).encode()
        lines = Kept(SECRET, longer).take(data, b"-and-more-of-it")
        assert "".join(lines) == "x" * (CUT + 30) + MASK

    @pytest.mark.parametrize("junk", ["\x1b[31m", "\x1b[0;1m", "\x00", "\r"])
    def test_junk_inside_a_secret_where_a_line_is_cut(self, junk: str) -> None:
        dressed = junk.join(SECRET)
        for before in range(CUT - len(dressed), CUT + len(dressed), 11):
            lines = written(
                lambda log, before=before: _feed(log, "x" * before + dressed + "y" * CUT), SECRET
            )
            assert "".join(lines) == "x" * before + MASK + "y" * CUT

    @given(
        secret=st.text(PLAIN, min_size=8, max_size=40),
        around=st.lists(st.text(PLAIN, max_size=20), min_size=2, max_size=6),
        times=st.integers(1, 400),
        stretch=st.integers(0, CUT + 100),
        cuts=st.lists(st.integers(1, 9000), min_size=1, max_size=12),
    )
    def test_a_secret_never_appears_however_its_chunks_are_cut(
        self, secret: str, around: list[str], times: int, stretch: int, cuts: list[int]
    ) -> None:
        text = "·" * stretch + secret.join(around * times)
        data, chunks = text.encode(), []
        for size in cuts:
            chunks.append(data[:size])
            data = data[size:]
        said = "".join(Kept(secret).take(*chunks, data))
        assert secret not in said
        assert said == Redactor([secret]).redact(text)  # as if the line had come whole


def _feed(log: OperationLog, text: str, size: int = 1000) -> None:
    output = log.output()
    for at in range(0, len(text), size):
        output(text[at : at + size].encode())
    output.close()


class TestOperationLog:
    def test_levels(self) -> None:
        def say(log: OperationLog) -> None:
            log.info("a")
            log.warn("b")
            log.error("c\nd")
            log.error("")

        assert written(say) == ["INFO: a", "WARN: b", "ERROR: c", "ERROR: d", "ERROR: "]

    def test_a_step_says_how_long_it_took(self) -> None:
        def say(log: OperationLog) -> None:
            with log.step("Pulling"):
                log.info("layer")

        first, second, last = written(say)
        assert (first, second) == ("INFO: STARTING: Pulling", "INFO: layer")
        assert last.startswith("INFO: COMPLETED (after 0.")
        assert last.endswith("s): Pulling")

    def test_a_step_that_fails_is_not_completed(self) -> None:
        def say(log: OperationLog) -> None:
            with pytest.raises(ValueError, match="x"), log.step("Pulling"):
                raise ValueError("x")

        assert written(say) == ["INFO: STARTING: Pulling"]

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("a\x1b[31mb\x1b[0m", "ab"),
            ("a\x1b[2Kb\x1b[?25lc\x1b[1;5Hd", "abcd"),
            ("\x1bMa\x1b", "a"),
            ("a\x00\x07\x08\x0b\x7fb", "ab"),
            ("10%\r100%", "10%100%"),
            ("a\tb é 😀", "a\tb é 😀"),
            ("a\x9b31mb\x85", "a31mb"),
        ],
    )
    def test_what_a_terminal_would_obey_is_taken_out(self, text: str, line: str) -> None:
        assert written(lambda log: log.info(text)) == [f"INFO: {line}"]

    def test_one_event_is_one_line(self) -> None:
        lines = written(lambda log: log.info("before_release: a\nb"))
        assert not any("\n" in line for line in lines)

    def test_a_secret_dressed_in_colours_is_a_secret(self) -> None:
        assert written(lambda log: log.info("hun\x1b[1mter2-and-\x00then-some"), SECRET) == [
            f"INFO: {MASK}"
        ]

    def test_a_long_line_is_cut_after_it_was_redacted(self) -> None:
        lines = written(lambda log: log.info("x" * (CUT - 12) + SECRET + "y" * CUT), SECRET)
        assert "".join(lines) == "INFO: " + "x" * (CUT - 12) + MASK + "y" * CUT
        assert max(len(line) for line in lines) == CUT

    def test_what_came_meanwhile_goes_out_in_one_batch(self) -> None:
        logs = KeptLogs()
        log = OperationLog(logs, Lease(1, 1, "1", recovers=False), Redactor([]))  # type: ignore[arg-type]
        logs.may_go_on.clear()
        for number in range(2500):
            log.info(str(number))
        logs.may_go_on.set()
        log.flush()
        assert logs.lines == [f"INFO: {number}" for number in range(2500)]
        assert len(logs.batches) <= 4
        assert max(len(batch) for batch in logs.batches) <= 1000
        log.close()

    @pytest.mark.parametrize("error", [LeaseLost("lost"), StoreUnavailable("away")])
    def test_flush_raises_what_ended_the_writing(
        self, error: Exception, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("worker.log._AWAY_SECONDS", 0.05)
        logs = KeptLogs(error)
        log = OperationLog(logs, Lease(1, 1, "1", recovers=False), Redactor([]))  # type: ignore[arg-type]
        log.info("a")
        with pytest.raises(type(error)):
            log.flush()
        logs.error = None
        log.info("b")  # what came before is missing: nothing may follow it
        with pytest.raises(type(error)):
            log.flush()
        log.close()
        assert logs.lines == []

    def test_a_store_that_takes_too_long_is_not_called_written(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("worker.log._FLUSH_SECONDS", 0.05)
        logs = KeptLogs()
        logs.may_go_on.clear()
        log = OperationLog(logs, Lease(1, 1, "1", recovers=False), Redactor([]))  # type: ignore[arg-type]
        log.info("a")
        with pytest.raises(StoreUnavailable):
            log.flush()
        logs.may_go_on.set()
        log.close()

    def test_in_redis_until_the_lease_is_lost(self, store: Store) -> None:
        app: App = store.apps.create(store.apps.create_environment("prod"), "web")
        request = OperationRequest(app.id, OperationType.DEPLOY, 1, "me@example.com")
        store.operations.submit(request, Changes())
        lease = store.operations.take(app.id, holder="w", seconds=60)
        assert lease is not None
        log = OperationLog(store.logs, lease, Redactor([SECRET]))
        log.info(f"a {SECRET}")
        log.flush()
        store.operations.finish(lease, Ending(OperationStatus.FAILED, ""))
        log.info("too late")
        with pytest.raises(LeaseLost):
            log.flush()
        log.close()
        lines = [entry.line for entry in store.logs.so_far(lease.operation_id) if not entry.end]
        assert lines == [f"INFO: a {MASK}"]
