"""Every error of ours, one tree. Each holds the sentence a person reads and its API code.

EnclaveError
├── InvalidInput                    what was typed or pushed cannot be taken
│   ├── InvalidHandle
│   ├── InvalidImageReference
│   ├── InvalidFiles                every pushed file of a commit that is refused, together
│   ├── InvalidFile                 a pushed file, with line and column of every problem
│   │   ├── InvalidProcfile
│   │   └── InvalidAptibleYml
│   ├── InvalidRegistryCredentials  half a pair
│   ├── InvalidChange               a variable name, a container count
│   ├── InvalidEndpoint             a domain, a port, a network
│   ├── InvalidCommand              a command that shell rules cannot split
│   ├── InvalidRoute                a host, an address or a network of an endpoint
│   ├── InvalidCertificate          a certificate or key that could not be served
│   ├── IdempotencyKeyReused        the key of another request
│   ├── InvalidWebhook              an address or a secret that no webhook can have
│   ├── UnknownCommitish            no such branch, tag or commit was pushed
│   ├── AmbiguousCommitish
│   ├── NothingToDeploy             neither image nor git (SPEC 3.7)
│   └── ReleaseExpired              its image is not kept any more (SPEC 6.9)
├── PushRefused                     one ref of a push, the reason in a line
├── Unauthenticated                 no, wrong, expired or revoked credentials
├── NotFound                        unknown, or not yours: the two look the same
├── Forbidden                       you may see it, not do this
├── Conflict                        it exists already, or was changed meanwhile
│   └── AmbiguousHandle             apps of several environments have that handle
├── MethodNotAllowed                that URL answers to other HTTP methods
├── UnsupportedMediaType            the request's body is of another type than the URL takes
├── TooManyRequests                 more at a time, or more failures, than is served
├── OperationFailed                 a step of an operation failed; the log says this sentence
│   ├── EngineUnavailable           the Engine did not answer: what it was asked it may yet do
│   ├── ImageUnavailable            the registry or the Engine could not give the image
│   │   └── CredentialsRefused      the registry did not take this user name and password
│   ├── CredentialHelperFailed      no credentials came from the helper that the app names
│   ├── CommandFailed               a before_release command
│   ├── CertificateNotServed        the router could not use a certificate that is wanted
│   ├── ContainerDied               a container of the new release did not stay up
│   ├── StepTimedOut
│   ├── OperationCancelled
│   └── OperationOverdue            the operation as a whole passed its deadline
├── NotSent                         a webhook's receiver was not reached, or did not answer
├── HandedBack                      the worker is being stopped: another one runs the operation
├── LeaseLost                       another worker holds this app now; this one must stop
├── StoreUnavailable                Redis did not answer: what was sent may or may not hold
│   └── StoreRefused                Redis is full or read-only, and took nothing
├── AttendantsAway                  nobody who talks to the Engine answered a receiver's call
├── RouterUnavailable               HAProxy does not answer
│   └── RouterRefused               HAProxy runs on with an older configuration
└── Misconfigured                   this installation's own settings are wrong
"""

from __future__ import annotations

from dataclasses import dataclass


class EnclaveError(Exception):
    """The root. ``str(error)`` is for a person; ``code`` and ``status`` (HTTP) are the API's."""

    code = "internal_error"
    status = 500


class InvalidInput(EnclaveError):
    """What was typed or pushed cannot be taken; the message says what to mend."""

    code = "unprocessable_entity"
    status = 422


class InvalidHandle(InvalidInput):
    """A handle that breaks SPEC 1."""


class InvalidImageReference(InvalidInput):
    """Text that is not an image reference."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a pushed file, and how to mend it.

    ``line`` and ``column`` count from 1; None where the problem has no single place.
    """

    message: str
    line: int | None = None
    column: int | None = None

    def at(self, path: str) -> str:
        """Return ``path:line:column: message``, leaving out what is not known."""
        place = [path, *(str(n) for n in (self.line, self.column) if n is not None)]
        return f"{':'.join(place)}: {self.message}"


_MOST_LINES = 50  # 64 KiB can hold 32,000 problems


class InvalidFile(InvalidInput):
    """A pushed file with problems, all of them at once (SPEC 2.5)."""

    def __init__(self, path: str, problems: tuple[Problem, ...]) -> None:
        self.path = path
        self.problems = problems
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """Return one line a problem, each naming file, line and column; the first fifty of them."""
        lines = [problem.at(self.path) for problem in self.problems[:_MOST_LINES]]
        more = len(self.problems) - len(lines)
        return [*lines, f"{self.path}: … and {more} more problems"] if more else lines


class InvalidProcfile(InvalidFile):
    """A Procfile that breaks SPEC 4.3."""


class InvalidAptibleYml(InvalidFile):
    """An .aptible.yml that breaks SPEC 5.1."""


class InvalidFiles(InvalidInput):
    """All the files of one commit that are refused, so that one push tells everything."""

    def __init__(self, files: tuple[InvalidFile, ...]) -> None:
        self.files = files
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """Return one line a problem, file by file."""
        return [line for file in self.files for line in file.lines()]


class InvalidRegistryCredentials(InvalidInput):
    """A registry user name without a password, or the reverse (SPEC 3.2)."""


class InvalidChange(InvalidInput):
    """A configuration variable or a container count that cannot be."""


class InvalidEndpoint(InvalidInput):
    """A domain, port or IP whitelist that no endpoint can have."""


class InvalidCommand(InvalidInput):
    """A command that shell rules cannot split, for an image with an ENTRYPOINT (SPEC 4.4)."""


class InvalidRoute(InvalidInput):
    """A host, an address or a network of an endpoint is not what it should be."""


class InvalidCertificate(InvalidInput):
    """A given certificate, its chain or its key cannot be served."""


class InvalidWebhook(InvalidInput):
    """A URL or a secret that no webhook can have, or one webhook too many."""


class IdempotencyKeyReused(InvalidInput):
    """Something else was asked with this ``Idempotency-Key`` before."""

    code = "idempotency_key_reused"


class UnknownCommitish(InvalidInput):
    """No branch, tag or commit of that name was pushed."""


class AmbiguousCommitish(InvalidInput):
    """More than one pushed commit answers to that name."""


class NothingToDeploy(InvalidInput):
    """The app has neither an image reference nor a commit to deploy from (SPEC 3.7)."""


class ReleaseExpired(InvalidInput):
    """The release cannot be gone back to: its image is not kept any more (SPEC 6.9)."""


class PushRefused(EnclaveError):
    """One ref of a push is refused.

    ``str(error)`` is the reason git shows in ``! [remote rejected]``: one short line.
    ``details`` are further lines for the pusher, shown as ``remote:`` lines.
    """

    code = "push_refused"
    status = 422

    def __init__(self, reason: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.details = details


class Unauthenticated(EnclaveError):
    """Credentials are missing, wrong, expired or revoked."""

    code = "invalid_token"
    status = 401

    def __init__(self, message: str, code: str = "invalid_token") -> None:
        super().__init__(message)
        self.code = code


class NotFound(EnclaveError):
    """It does not exist, or the asker may not know that it does."""

    code = "not_found"
    status = 404


class Forbidden(EnclaveError):
    """The asker may see it, but not do this to it."""

    code = "forbidden"
    status = 403


class Conflict(EnclaveError):
    """It exists already, or changed while it was being changed."""

    code = "conflict"
    status = 409


class AmbiguousHandle(Conflict):
    """Apps of several environments have that handle (API.md, ``/find/app``)."""

    code = "multiple_resources_found"


class MethodNotAllowed(EnclaveError):
    """The URL answers to other HTTP methods."""

    code = "method_not_allowed"
    status = 405


class UnsupportedMediaType(EnclaveError):
    """The request's body is of another type than the URL takes."""

    code = "unsupported_media_type"
    status = 415


class TooManyRequests(EnclaveError):
    """One asker, or all together, ask for more at a time than is served."""

    code = "too_many_requests"
    status = 429

    def __init__(self, message: str, *, seconds: float = 5.0) -> None:
        """``seconds``: so long the asker had better wait."""
        super().__init__(message)
        self.seconds = seconds


class OperationFailed(EnclaveError):
    """A step of an operation failed. The message becomes the log's ERROR line."""

    code = "operation_failed"


class EngineUnavailable(OperationFailed):
    """The Docker Engine did not answer; what it was asked to do it may have done, or do yet."""


class ImageUnavailable(OperationFailed):
    """The registry refused, lacks or could not deliver the image."""


class CredentialsRefused(ImageUnavailable):
    """The registry did not take the user name and the password it was given."""


class CredentialHelperFailed(OperationFailed):
    """The credential helper that the app names may not be used, or gave no credentials."""


class CommandFailed(OperationFailed):
    """A command of the pushed config exited non-zero."""


class CertificateNotServed(OperationFailed):
    """The router could not use a certificate that is wanted: HAProxy shows another one."""


class ContainerDied(OperationFailed):
    """A container of the new release died before it counted as healthy."""


class StepTimedOut(OperationFailed):
    """A step passed its deadline."""


class OperationCancelled(OperationFailed):
    """Someone cancelled the operation."""


class OperationOverdue(OperationFailed):
    """The operation as a whole passed its deadline; the message names its slowest step."""


class NotSent(EnclaveError):
    """One try to tell a webhook something failed; its owner reads why. Tried again later."""

    code = "not_sent"


class HandedBack(EnclaveError):
    """The worker is being stopped, and the operation, which has begun nothing, is for another."""

    code = "handed_back"


class LeaseLost(EnclaveError):
    """Another worker holds the app's lease: nothing this one writes counts any more."""

    code = "lease_lost"


class StoreUnavailable(EnclaveError):
    """Redis did not answer; whether the last transaction holds is not known."""

    code = "store_unavailable"
    status = 503


class StoreRefused(StoreUnavailable):
    """Redis is out of memory or may only be read: it took nothing of what was sent."""

    code = "store_refused"


class AttendantsAway(EnclaveError):
    """No attendant came when a receiver called one: nobody can tell of containers now."""

    code = "attendants_away"
    status = 503


class RouterUnavailable(EnclaveError):
    """HAProxy does not answer. It is asked again until it does."""

    code = "router_unavailable"
    status = 503


class RouterRefused(RouterUnavailable):
    """HAProxy does not take its new configuration, and runs on with an older one."""


class Misconfigured(EnclaveError):
    """A setting of this installation is missing or wrong; the message names it."""

    code = "misconfigured"
