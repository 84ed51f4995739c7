"""What the repository holds before each hostile push: one honest branch."""

from __future__ import annotations

from testbed.hostile.packs import pack
from testbed.hostile.push import HostilePush, Verdict, branch, creating
from testbed.hostile.raw_objects import FILE, blob, commit, tree

DORMANT = blob(b'[submodule "../../hooks"]\n\tpath = x\n\turl = -u./x\n')
"""Evil as ``.gitmodules``, and nothing under the name it came by."""

_FOLDER = tree((FILE, b"notes", DORMANT.id))
ROOT = commit(_FOLDER.id)
TIP = commit(_FOLDER.id, ROOT.id)
REF = branch("kept")

SEED: HostilePush = creating(
    *("kept", "not at all", TIP.id, pack(TIP, ROOT, _FOLDER, DORMANT)),
    ref=REF,
    ours=None,
    c_git=Verdict.ACCEPTED,
)
