"""A repository as git's own programs need it: with refs on the disk (gitrepository-layout(5)).

Ours are in the store. So each fetch, and each repacking, has a *view*: a folder that git takes for
the repository, with HEAD and the refs of this moment, a fixed configuration, and the real objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hooks.git import Objects
from receiver.owned_directory import owned_directory
from receiver.repository import VIEW

# Large blobs are copied and never compared (git-config(1)).
_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tbare = true
\tbigFileThreshold = 8m
[pack]
\tthreads = 1
\twindowMemory = 64m
"""


@contextmanager
def view(repository: Path, refs: Mapping[str, str], head: str) -> Iterator[Objects]:
    """Show ``refs`` (full name -> id) and the objects of a repository; ``head`` need not exist."""
    with owned_directory(repository, VIEW) as folder:
        (folder / "refs").mkdir()
        (folder / "HEAD").write_text(f"ref: {head}\n", "utf-8")
        (folder / "config").write_text(_CONFIG)
        lines = [f"{commit} {ref}\n" for ref, commit in sorted(refs.items())]
        (folder / "packed-refs").write_text("".join(lines), "utf-8")
        yield Objects(folder, shared=repository / "objects")
