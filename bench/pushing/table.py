"""The figures of ``bench/push.py`` as Markdown, with what must be known to read them."""

from __future__ import annotations

from collections.abc import Sequence

from bench.pushing.comparison import Row
from bench.pushing.page import markdown_table

_MIB = 1 << 20
_HEAD = (
    *(" push", "objects", " over", "Enclave", "C git", "ratio"),
    *("receiver grows by", "Enclave's git", "C git's git"),
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
    return markdown_table(_HEAD, [_line(row) for row in rows])


def section(rows: Sequence[Row]) -> str:
    """Return the table, and what was measured."""
    return f"{table(rows)}\n\n{_NOTES}"


def _line(row: Row) -> list[str]:
    return [
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


def _peak(size: int) -> str:
    return f"{size / _MIB:.1f} MiB" if size else "-"  # it ended before anyone looked
