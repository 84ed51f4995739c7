"""The figures as Markdown, with what must be known to read them."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime

from bench.pushing.comparison import Row

_MIB = 1 << 20
_HEAD = (
    "| push | objects | over | Enclave | C git | ratio "
    "| receiver grows by | Enclave's git | C git's git |",
    "|---|---:|---|---:|---:|---:|---:|---:|---:|",
)
_NOTES = """\
Times are seconds of one whole `git push`, the median of several; the two servers take turns, and
the same client pushes to both. Each push is the first one into an empty repository, to a branch
that deploys nothing, unless it says otherwise; after each, the server's ref is compared with the
commit. **Ratio** below 1: Enclave is the quicker.

- Enclave: `enclave receiver` (API, git over HTTP and SSH in one process), its Redis with
  `appendonly yes`, `appendfsync always`.
- C git, set up to check the same: `receive.unpackLimit=1`, `receive.fsckObjects=true`, all else
  git's defaults. Over SSH: OpenSSH, key authentication, a login shell with an empty home. Over
  HTTP: `git http-backend` behind nginx and fcgiwrap, streaming (`fastcgi_request_buffering off`),
  with basic authentication against a password in clear: its quickest kind.
- The client: `pack.threads=1`, all else default, ciphers and `http.postBuffer` too.
- **Receiver grows by**: its peak of resident memory less what was resident before the push, the
  most of all pushes of the case. **Enclave's git**, **C git's git**: the peak of the largest `git`
  process that the server started, file pages included."""


def table(rows: Sequence[Row]) -> str:
    """Return the table alone."""
    return "\n".join([*_HEAD, *map(_line, rows)])


def page(rows: Sequence[Row]) -> str:
    """Return the whole page: what was measured, where, and the table."""
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `scripts/bench push --write`.",
            "",
            "## A push, side by side with C git",
            "",
            table(rows),
            "",
            _NOTES,
            "",
            f"{datetime.now(UTC):%Y-%m-%d}: {_machine()}.",
            "",
        ]
    )


def _line(row: Row) -> str:
    cells = [
        row.case.title,
        f"{row.objects:,}",
        row.over,
        f"{row.ours.median:.3f}",
        f"{row.reference.median:.3f}",
        f"{row.ratio:.2f}",
        f"{row.ours.growth / _MIB:.1f} MiB",
        _peak(row.ours.git_peak),
        _peak(row.reference.git_peak),
    ]
    return f"| {' | '.join(cells)} |"


def _peak(size: int) -> str:
    return f"{size / _MIB:.1f} MiB" if size else "-"  # it ended before anyone looked


def _machine() -> str:
    version = subprocess.run(
        ["git", "--version"], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
    python = platform.python_version()
    return f"{os.cpu_count()} CPUs, Linux {platform.release()}, {version}, Python {python}"
