"""A private Engine's share of the machine's firewall: chains under a name of its own.

Every dockerd calls its chains DOCKER…, and empties them when it starts, those of a neighbour too
(the published ports of a developer's real Docker would be dead). So ours finds an ``iptables``
first on its PATH that gives the chains another name: neighbours are left alone, and the end of
the Engine can remove its chains.
"""

from __future__ import annotations

import subprocess
from collections.abc import Collection
from pathlib import Path

from testbed.processes import program

_TABLES = ("filter", "nat", "mangle", "raw")
_SECONDS = 10
_RENAMING = """#!/bin/sh
for argument; do
    shift
    case $argument in DOCKER | DOCKER-*) argument={prefix}${{argument#DOCKER}} ;; esac
    set -- "$@" "$argument"
done
exec {iptables} "$@"
"""


def chain_prefix(run: Path) -> str:
    """Return what stands for DOCKER in the chains of the Engine that lives in ``run``.

    A chain's name ends at 28 characters, and DOCKER-ISOLATION-STAGE-1 has 24.
    """
    return f"E{run.name[-8:]}"


def write_renaming_iptables(run: Path) -> None:
    """Write the renaming ``iptables`` to ``run/bin``."""
    directory = run / "bin"
    directory.mkdir()
    script = directory / "iptables"
    iptables = program("iptables", package="iptables")
    script.write_text(_RENAMING.format(prefix=chain_prefix(run), iptables=iptables))
    script.chmod(0o755)


def remove_rules(run: Path, bridges: Collection[str]) -> None:
    """Remove the chains of the Engine in ``run`` and every rule that names them or a bridge."""
    prefix = chain_prefix(run)
    for table in _TABLES:
        listed = [line.split() for line in _iptables("-t", table, "-S").splitlines()]
        for kind, *rule in listed:
            if kind == "-A" and any(word in bridges or word.startswith(prefix) for word in rule):
                _iptables("-t", table, "-D", *rule)
        for kind, chain, *_ in listed:
            if kind == "-N" and chain.startswith(prefix):
                _iptables("-t", table, "-X", chain)


def _iptables(*arguments: str) -> str:
    """Run iptables; return its output. A rule or table that is not there is fine."""
    done = subprocess.run(
        [program("iptables", package="iptables"), "--wait", "5", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    return done.stdout
