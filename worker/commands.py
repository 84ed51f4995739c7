"""Commands of an .aptible.yml, each in a fresh container with its output in the log (SPEC 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from enclave.checkpoints import reached
from enclave.errors import CommandFailed, InvalidCommand, OperationFailed, StepTimedOut
from enclave.operation import OperationType
from enclave.release import Release
from worker.plan import arguments
from worker.runtime import ContainerSpec, Image
from worker.work import Work


def run_before(
    work: Work, commands: Sequence[str], release: Release, configuration: Mapping[str, str]
) -> None:
    """Run the ``before_release`` commands in order; raises at the first that fails (SPEC 5.2)."""
    if not commands:
        return
    image = _image(work, release)
    for number, command in enumerate(commands, 1):
        with work.log.step(f"before_release {number} of {len(commands)}: {command}"):
            reached(f"before_release {number}")
            argv = arguments(command, image)
            what = f"before_release.{number}"
            spec = work.placement.command_container(
                work.attempt, release, configuration, argv, what
            )
            status = work.points.attempt(
                partial(_run, work, spec, command, work.points.check), undo=work.remove_own
            )
            if status != 0:
                raise CommandFailed(f"before_release command exited {status}: {command}")


@dataclass(frozen=True, slots=True)
class Hooks:
    """The ``after_*`` commands of a release, under their key in the .aptible.yml (SPEC 5.3)."""

    key: str
    commands: Sequence[str]
    release: Release
    configuration: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(
        cls,
        operation: OperationType,
        release: Release,
        configuration: Mapping[str, str],
        *,
        succeeded: bool,
    ) -> Hooks:
        """Return what the release says about the end of an operation of this type."""
        yml = release.config_files().read_aptible_yml()
        key = f"after_{operation}_{'success' if succeeded else 'failure'}"
        return cls(key, yml.after(operation, succeeded=succeeded), release, configuration)


def run_hooks(work: Work, hooks: Hooks, check: Callable[[], None]) -> None:
    """Run hooks in order; their failing is logged and changes nothing.

    ``check`` is asked before each, and whenever one prints; what it raises kills the command and
    passes through.
    """
    what, commands, release = hooks.key, hooks.commands, hooks.release
    if not commands:
        return
    image = work.runtime.image(release.image_id)
    if image is None:
        work.log.warn(f"The {what} commands do not run: their image is gone.")
        return
    for number, command in enumerate(commands, 1):
        check()
        try:
            with work.log.step(f"{what} {number} of {len(commands)}: {command}"):
                spec = work.placement.command_container(
                    work.attempt,
                    release,
                    hooks.configuration,
                    arguments(command, image),
                    f"{what}.{number}",
                )
                status = _run(work, spec, command, check)
                if status != 0:
                    raise CommandFailed(f"{what} command exited {status}: {command}")
        except (CommandFailed, StepTimedOut, InvalidCommand) as error:
            work.log.warn(f"{error} (which changes nothing)")


def _run(work: Work, spec: ContainerSpec, command: str, check: Callable[[], None]) -> int:
    """Run a command with its output in the log; return its exit status."""
    output = work.log.output()

    def take(chunk: bytes) -> None:
        check()  # what is raised here kills it
        output(chunk)

    try:
        return work.runtime.run(spec, output=take, seconds=work.settings.command_seconds)
    except StepTimedOut as error:
        raise StepTimedOut(f"{error} ({command})") from error
    finally:
        output.close()


def _image(work: Work, release: Release) -> Image:
    image = work.runtime.image(release.image_id)
    if image is None:
        raise OperationFailed(
            f"The image of release {release.number} is gone from the Engine: deploy again."
        )
    return image
