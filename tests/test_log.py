"""The one writer of an operation's log: lines, cuts, secrets, batches (SPEC 7)."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from enclave.app import App
from enclave.changes import Changes
from enclave.errors import LeaseLost, StoreUnavailable
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.store import Store
from enclave.store.leases import Ending, Lease
from testbed.processes import wait_until
from worker.log import OperationLog
from worker.redaction import MASK, Redactor

CUT = 8192
SECRET = "hunter2-and-then-some"


class KeptLogs:
    """Stands for ``Logs``: keeps what is appended, or raises ``error``."""

    def __init__(self, error: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self.progress: list[str] = []
        self.names: list[str] = []
        self.error = error
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def append(self, _lease: Lease, lines: Sequence[str], *, progress: str, batch: str) -> None:
        self.may_go_on.wait(10)
        self.names.append(batch)
        if self.error is not None:
            raise self.error
        self.batches.append(list(lines))
        self.progress.append(progress)

    @property
    def lines(self) -> list[str]:
        return [line for batch in self.batches for line in batch]


def log_over(logs: KeptLogs, *secrets: str) -> OperationLog:
    lease = Lease(1, 1, "1", recovers=False)
    return OperationLog(logs, lease, Redactor(secrets), output_limit=1 << 20)  # type: ignore[arg-type]


def written(say: Callable[[OperationLog], None], *secrets: str) -> list[str]:
    """Return the lines that reach the store when ``say`` has spoken."""
    logs = KeptLogs()
    log = log_over(logs, *secrets)
    say(log)
    log.close()
    return logs.lines


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
        log = log_over(logs)
        logs.may_go_on.clear()
        for number in range(2500):
            log.info(str(number))
        logs.may_go_on.set()
        log.flush()
        assert logs.lines == [f"INFO: {number}" for number in range(2500)]
        assert len(logs.batches) <= 4
        assert max(len(batch) for batch in logs.batches) <= 1000
        log.close()

    def test_of_progress_only_what_nothing_follows_is_written(self) -> None:
        logs = KeptLogs()
        log = log_over(logs, SECRET)
        logs.may_go_on.clear()
        log.info("taken at once")
        wait_until(log._lines.empty, seconds=5, what="the writer did not begin")
        log.progress("1 of 3")
        log.info("a line")
        log.progress("2 of 3")
        log.progress(f"3 of 3 {SECRET}")
        logs.may_go_on.set()
        log.flush()
        log.close()
        assert logs.lines == ["INFO: taken at once", "INFO: a line"]
        assert logs.progress == ["", f"3 of 3 {MASK}"]

    def test_the_slowest_step_is_known(self) -> None:
        log = log_over(KeptLogs())
        assert log.slowest_step() is None
        with log.step("slow"):
            time.sleep(0.05)
            with log.step("quick"):
                pass
            slowest = log.slowest_step()
        log.close()
        assert slowest is not None
        assert slowest.what == "slow"

    @pytest.mark.parametrize("error", [LeaseLost("lost"), StoreUnavailable("away")])
    def test_flush_raises_what_ended_the_writing(
        self, error: Exception, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("worker.log._AWAY_SECONDS", 0.05)
        logs = KeptLogs(error)
        log = log_over(logs)
        log.info("a")
        with pytest.raises(type(error)):
            log.flush()
        logs.error = None
        log.info("b")  # what came before is missing: nothing may follow it
        with pytest.raises(type(error)):
            log.flush()
        log.close()
        assert logs.lines == []

    def test_what_a_store_may_have_taken_is_sent_again_under_its_name(self) -> None:
        logs = KeptLogs(StoreUnavailable("away"))
        log = log_over(logs)
        log.info("a")
        wait_until(lambda: len(logs.names) > 2, seconds=5, what="it was not sent again")
        logs.error = None
        log.flush()
        log.info("b")
        log.close()
        assert logs.lines == ["INFO: a", "INFO: b"]
        *again, last = logs.names
        assert len(set(again)) == 1
        assert last not in again

    def test_a_store_that_takes_too_long_is_not_called_written(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("worker.log._FLUSH_SECONDS", 0.05)
        logs = KeptLogs()
        logs.may_go_on.clear()
        log = log_over(logs)
        log.info("a")
        with pytest.raises(StoreUnavailable):
            log.flush()
        logs.may_go_on.set()
        log.close()

    def test_in_redis_until_the_lease_is_lost(self, store: Store) -> None:
        app: App = store.apps.create(store.apps.create_environment("prod"), "web")
        request = OperationRequest(app.id, OperationType.DEPLOY, 1, "me@example.com")
        store.operations.submit(request, Changes())
        lease = store.leases.take(app.id, holder="w", seconds=60)
        assert lease is not None
        log = OperationLog(store.logs, lease, Redactor([SECRET]), output_limit=0)
        log.info(f"a {SECRET}")
        log.flush()
        store.leases.finish(lease, Ending(OperationStatus.FAILED, ""))
        log.info("too late")
        with pytest.raises(LeaseLost):
            log.flush()
        log.close()
        lines = [entry.line for entry in store.logs.so_far(lease.operation_id) if not entry.end]
        assert lines == [f"INFO: a {MASK}"]
