"""Judges a push before any ref moves (SPEC 2.5 to 2.9).

It looks at the stored refs, the reservations and the pushed objects, and changes nothing. The
store's transaction then holds exactly what was judged, or asks to judge again.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePosixPath

from dulwich.refs import Ref, check_ref_format

from enclave.app import App
from enclave.errors import InvalidFiles, PushRefused
from enclave.operation import ZERO_ID, RefUpdate
from enclave.pushed_config import PushedConfig
from enclave.store.pushes import RefsView, Reservation
from hooks.git import Objects
from hooks.objects import ObjectReader
from hooks.pushed_files import PushedCommits, PushedFiles

_MAX_REF_BYTES = 255
_KEPT = ("refs/heads/", "refs/tags/")
_LOOKS_LIKE_ID = re.compile(r"[0-9a-f]{40}")
_GRAPH_SECONDS = 60


@dataclass(slots=True)
class Judgement:
    """The hooks' word on every ref of a push.

    ``immediate`` may move now, ``deploy`` when its deploy has succeeded; ``attach`` is the
    operation that is deploying this very commit already, ``attached`` the refs that it moves.
    """

    atomic: bool
    immediate: list[RefUpdate] = field(default_factory=list)
    deploy: RefUpdate | None = None
    attach: Reservation | None = None
    attached: list[RefUpdate] = field(default_factory=list)
    refused: dict[str, PushRefused] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def moving(self) -> list[RefUpdate]:
        """Every ref that may get a new value, now or by its deploy."""
        moving = [*self.immediate, *([self.deploy] if self.deploy else [])]
        return [update for update in moving if not update.deletes]


def judge(
    app: App,
    commands: Sequence[RefUpdate],
    *,
    view: RefsView,
    objects: Objects,
    reader: ObjectReader,
    has_image: bool,
    atomic: bool,
) -> Judgement:
    """Judge each command alone; with ``atomic``, one refusal refuses them all (SPEC 2.9).

    ``has_image``: the app will have an image reference when everything that waits has succeeded.
    Raises ``PushRefused`` for a push that is refused as a whole.
    """
    judgement = Judgement(atomic)
    commits = PushedCommits(reader)
    beside = _Names(commands, view)
    for command in sorted(commands, key=lambda each: each.ref != app.deploy_ref):
        try:
            _check_name(command, beside)
            _check_old_value(command, view)
            if command.ref == app.deploy_ref:
                _judge_deploy(
                    app, command, judgement, view, objects=objects, commits=commits, image=has_image
                )
            else:
                _judge_other(command, judgement, view, commits)
        except PushRefused as refusal:
            judgement.refused[command.ref] = refusal
        commits.check_size()
    if atomic and judgement.attach is not None:
        _refuse_what_does_not_move_with(judgement.attach, judgement)
    if atomic and judgement.refused:
        _refuse_all(judgement, commands)
    return judgement


class _Names:
    """The names of the other refs: of this push, and of the stored ones that it leaves."""

    def __init__(self, commands: Sequence[RefUpdate], view: RefsView) -> None:
        self.count = Counter(command.ref for command in commands)
        self.pushed = {command.ref for command in commands if not command.deletes}
        self.stored = view.refs.keys() - {command.ref for command in commands if command.deletes}

    @cached_property
    def folders(self) -> dict[str, str]:
        """Every folder of a stored ref, and a ref below it."""
        return {folder: name for name in self.stored for folder in _folders(name)}


def _folders(ref: str) -> list[str]:
    """Return ``refs/heads/a``, ``refs/heads``, ``refs`` of ``refs/heads/a/b``."""
    return [str(folder) for folder in PurePosixPath(ref).parents]


def _check_name(command: RefUpdate, beside: _Names) -> None:
    """Check a ref's name by itself, and beside the others."""
    ref = command.ref
    try:
        name = ref.encode()
    except UnicodeEncodeError as error:
        raise PushRefused("the name is not UTF-8") from error
    if len(name) > _MAX_REF_BYTES:
        raise PushRefused(f"the name is longer than {_MAX_REF_BYTES} bytes")
    if not check_ref_format(Ref(name)):
        raise PushRefused("funny refname")
    short = next((ref[len(kind) :] for kind in _KEPT if ref.startswith(kind)), None)
    if short is None:
        raise PushRefused("only branches (refs/heads/) and tags (refs/tags/) are kept here")
    if short == "HEAD" or _LOOKS_LIKE_ID.fullmatch(short):
        raise PushRefused("the name would be taken for a commit: choose another")
    if beside.count[ref] > 1:
        raise PushRefused("the same ref twice in one push")
    if command.creates:
        _check_folders(ref, beside)


def _check_folders(ref: str, beside: _Names) -> None:
    """Refuse a name that is a folder of another, or the reverse; the store looks again."""
    for folder in _folders(ref):
        if folder in beside.pushed:
            raise PushRefused(f"{folder} is in this push too: git keeps one of the two names")
        if folder in beside.stored:
            raise PushRefused(f"conflicts with {folder}: git keeps one of the two names")
    if ref in beside.folders:
        raise PushRefused(f"conflicts with {beside.folders[ref]}: git keeps one of the two names")


def _check_old_value(command: RefUpdate, view: RefsView) -> None:
    stored = view.refs.get(command.ref, ZERO_ID)
    if command.old != stored:
        raise PushRefused("stale info: it moved meanwhile, fetch first")


def _judge_other(
    command: RefUpdate, judgement: Judgement, view: RefsView, commits: PushedCommits
) -> None:
    holders = view.reserved(command.ref)
    if judgement.attach and Reservation(judgement.attach.operation_id, command.new) in holders:
        judgement.attached.append(command)  # an atomic push, repeated
        return
    if holders:
        raise PushRefused(f"reserved by operation {holders[-1].operation_id} until it ends")
    if command.deletes:
        judgement.immediate.append(command)
        return
    files = _read_tip(command, commits)
    if files is not None:
        _warn(judgement, files)
    judgement.immediate.append(replace(command, config=files.config if files else None))


def _judge_deploy(
    app: App,
    command: RefUpdate,
    judgement: Judgement,
    view: RefsView,
    *,
    objects: Objects,
    commits: PushedCommits,
    image: bool,
) -> None:
    if command.deletes:
        raise PushRefused(f"{app.deploy_branch} deploys this app and cannot be deleted")
    files = _read_tip(command, commits)
    if files is None:
        raise PushRefused("a branch points at a commit, this is something else")
    holders = view.reserved(command.ref)
    same = [holder for holder in holders if holder.commit == command.new]
    if same:
        judgement.attach = same[-1]
        judgement.attached.append(command)
        return
    if holders:
        _check_descends(command, holders[-1], objects)
    _check_deployable(app, files.config, has_image=image)
    _warn(judgement, files)
    judgement.deploy = replace(command, config=files.config)


def _read_tip(command: RefUpdate, commits: PushedCommits) -> PushedFiles | None:
    """Return the tip's files, None for a tag that ends in something else than a commit."""
    tip = commits.reader.info(command.new)
    if tip is None:
        raise PushRefused(f"missing object {command.new}")
    is_branch = command.ref.startswith("refs/heads/")
    if is_branch and tip.type != "commit":
        raise PushRefused(f"a branch points at a commit, this is a {tip.type}")
    commit = tip if tip.type == "commit" else commits.reader.info(f"{command.new}^{{commit}}")
    if commit is None:
        return None
    try:
        return commits.files(commit.id)
    except InvalidFiles as error:
        names = " and ".join(file.path for file in error.files)
        raise PushRefused(f"invalid {names}", tuple(error.lines())) from error


def _warn(judgement: Judgement, files: PushedFiles) -> None:
    """Say each warning once, however many refs it is about."""
    judgement.warnings += [each for each in files.warnings if each not in judgement.warnings]


def _check_descends(command: RefUpdate, newest: Reservation, objects: Objects) -> None:
    """Only a descendant of the newest reserved commit may queue behind it (SPEC 2.7)."""
    arguments = ["git", "merge-base", "--is-ancestor", newest.commit, command.new]
    try:
        answer = subprocess.run(
            arguments,
            env=objects.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GRAPH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PushRefused("the history took too long to read") from error
    if answer.returncode != 0:
        raise PushRefused(
            f"deploy {newest.operation_id} of {newest.commit[:8]} is under way",
            (
                f"Wait for it, or cancel it: aptible operation:cancel {newest.operation_id}",
                "A push of a commit that descends from it would queue behind it.",
            ),
        )


def _check_deployable(app: App, config: PushedConfig, *, has_image: bool) -> None:
    """SPEC 2.6: there must be something to run."""
    if has_image:
        return
    if config.dockerfile:
        raise PushRefused(
            "building a Dockerfile is not available yet",
            _with_an_image(app),
        )
    raise PushRefused(
        "nothing to deploy: no image and no Dockerfile",
        (
            f"{app.name} has no Docker image yet, and this commit has no Dockerfile.",
            *_with_an_image(app),
        ),
    )


def _with_an_image(app: App) -> tuple[str, ...]:
    """Say how to go on: with the image first, or with both at once."""
    deploy = f"aptible deploy --app {app.handle}"
    return (
        f"Deploy an image, then push again: {deploy} --docker-image IMAGE",
        "If it needs this Procfile to run, push to a branch and deploy both together:",
        f"git push aptible HEAD:refs/heads/first && {deploy} --git-commitish first "
        "--docker-image IMAGE",
    )


def _refuse_what_does_not_move_with(attach: Reservation, judgement: Judgement) -> None:
    """A ref that the deploy under way does not move would move alone (SPEC 2.9)."""
    for update in judgement.immediate:
        judgement.refused[update.ref] = PushRefused(
            f"deploy {attach.operation_id} of {attach.commit[:8]} is under way without it"
        )


def _refuse_all(judgement: Judgement, commands: Sequence[RefUpdate]) -> None:
    first = next(iter(judgement.refused))
    for command in commands:
        judgement.refused.setdefault(command.ref, PushRefused(f"atomic push: {first} was refused"))
    judgement.immediate.clear()
    judgement.attached.clear()
    judgement.deploy = judgement.attach = None
