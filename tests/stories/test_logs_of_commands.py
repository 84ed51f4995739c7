"""What a deploy's log takes of what commands print: bounded, plain, without secrets (SPEC 7)."""

import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import App

from testbed.installation import Installation

MEGABYTES = 100
GROWTH = 30 << 20
KEY = "sk-live-0123456789abcdef"
MASK = "[redacted]"
_PAGE = 4096

PRINTS = f"""\
before_release:
  - 'yes the same line again | head -c {MEGABYTES}000000; echo; echo the end of a flood'
  - 'yes x | tr -d "\\n" | head -c 3000000; echo; echo the end of a long line'
  - 'head -c 200000 /dev/urandom; echo; echo the end of junk'
  - 'printf "\\033[31mred\\033[0m \\033]0;a title\\007and \\342\\200\\256plain\\r\\n"'
"""

# The value comes in two pieces, which no line of this file holds; once with a line of the other
# stream between them.
TELLS = """\
before_release:
  - 'printf "key: ${{MY_API_KEY%%89abcdef}}"; sleep 0.5; printf "89abcdef\\n"'
  - 'printf "mixed: ${{MY_API_KEY%%89abcdef}}"; sleep 1; echo apart >&2; sleep 1; echo 89abcdef'
  - 'echo "login {password}"'
  - 'echo "Authorization: Basic {pair}"'
  - 'echo "Bearer {token}"'
"""


def _log(app: App) -> list[str]:
    operation = app.installation.operations(app.name)[-1]
    return app.owner.aptible("operation:logs", operation).stdout.splitlines()


class _Watch:
    """Samples the memory of every work horse: their resident bytes, at first and at most."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._first: dict[int, int] = {}
        self._most: dict[int, int] = {}
        self.ended = threading.Event()

    @property
    def growth(self) -> int:
        return max(self._most[pid] - first for pid, first in self._first.items())

    def look(self) -> None:
        while not self.ended.wait(0.05):
            for pid in self._installation.work_horses():
                try:
                    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
                except OSError:  # it ended meanwhile
                    continue
                self._first.setdefault(pid, resident)
                self._most[pid] = max(self._most.get(pid, 0), resident)


@contextmanager
def _watched(installation: Installation) -> Iterator[_Watch]:
    watch = _Watch(installation)
    thread = threading.Thread(target=watch.look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.ended.set()
        thread.join()


def test_a_flood_of_output_costs_neither_memory_nor_the_deploy(live_app: App) -> None:
    live_app.repository.commit(Procfile="web: exec serve\n", _aptible_yml=PRINTS)
    with _watched(live_app.installation) as watch:
        pushed = live_app.repository.push()

    assert pushed.returncode == 0, pushed.stderr[-2000:]
    assert watch.growth < GROWTH
    log = _log(live_app)
    assert sum(len(line) for line in log) < 3 << 20
    assert not [char for line in log for char in line if ord(char) < 32 and char != "\t"]
    first = log.index("the same line again")
    cuts = [at for at, line in enumerate(log) if line.endswith("output are left out here.")]
    # Of the flood its beginning and its end, with the mark between.
    flood_ends = log.index("the end of a flood")
    assert first < cuts[0] < flood_ends
    assert set(log[first : cuts[0]]) == {"the same line again"}
    left_out = int(log[cuts[0]].split()[1].replace(",", ""))
    assert left_out > (MEGABYTES - 3) * 1_000_000
    # Of the later ones at least the end.
    for end in ("the end of a long line", "the end of junk", "red and plain"):
        assert end in log, log[-20:]
    assert log[-1] == "INFO: Deploy succeeded."


def test_no_secret_is_in_the_log_whoever_prints_it(live_app: App) -> None:
    owner, registry = live_app.owner, live_app.registry
    assert live_app.deploy(f"MY_API_KEY={KEY}").returncode == 0
    pair = b64encode(f"{registry.username}:{registry.password}".encode()).decode()
    yml = TELLS.format(password=registry.password, pair=pair, token=owner.token())
    live_app.repository.commit(Procfile="web: exec serve\n", _aptible_yml=yml)
    pushed = live_app.repository.push()

    assert pushed.returncode == 0, pushed.stderr
    log = _log(live_app)
    bare = pair.rstrip("=")
    for secret in (KEY, registry.password, bare, owner.token()):
        assert secret not in pushed.stderr
        assert not [line for line in log if secret in line]
    assert f"key: {MASK}" in log
    assert log.index("apart") < log.index(f"mixed: {MASK}")
    assert f"login {MASK}" in log
    assert f"Authorization: Basic {MASK}{pair.removeprefix(bare)}" in log
    assert f"Bearer {MASK}" in log
