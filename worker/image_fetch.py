"""Fetches an operation's image: whose credentials, which digest, and having it here (SPEC 6.2)."""

from __future__ import annotations

from dataclasses import dataclass

from enclave.checkpoints import reached
from enclave.credentials import RegistryCredentials
from enclave.errors import CredentialsRefused
from enclave.image import ImageReference
from enclave.settings import Settings
from enclave.store import Store
from worker.credential_helpers import allowed_helpers, credentials_from_helper
from worker.log import OperationLog
from worker.runtime import Image, Runtime
from worker.safe_points import SafePoints


@dataclass(frozen=True, slots=True)
class ImageFetch:
    """Fetches images for one operation of one app.

    ``stored`` are the app's own credentials. ``helper`` names a credential helper, which counts
    before them: it is asked for credentials of the very registry that is pulled from.
    """

    store: Store
    runtime: Runtime
    settings: Settings
    points: SafePoints
    log: OperationLog
    app_id: int
    operation_id: int
    stored: RegistryCredentials | None = None
    helper: str | None = None

    def fetch(self, text: str) -> tuple[Image, ImageReference]:
        """Resolve the reference to a digest once, and make that image present.

        It is left alone by every clean-up until the operation has ended. Raises
        ``OperationFailed`` or ``InvalidImageReference``, and what stops the operation.
        """
        reference = ImageReference.parse(text)
        credentials, used_again = self._credentials(reference)
        with self.log.step(f"Pulling {reference.familiar}"):
            reached("pulling")
            try:
                return self._pull(reference, credentials), reference
            except CredentialsRefused:
                if not used_again:
                    raise
                self.log.info(f"{reference.domain} refused what {self.helper} gave: asking again")
            return self._pull(reference, self._ask_helper(reference)), reference

    def _pull(self, reference: ImageReference, credentials: RegistryCredentials | None) -> Image:
        digest = self.points.attempt(lambda: self.runtime.resolve(reference, credentials))
        self.log.info(f"{reference.familiar} is {digest}")
        pinned = reference.pinned(digest)
        self.points.attempt(
            lambda: self.store.images.hold(self.app_id, self.operation_id, str(pinned))
        )
        return self.points.attempt(
            lambda: self.runtime.pull(
                pinned,
                credentials,
                progress=self._say_progress,
                summary=self._say_summary,
                seconds=self.settings.pull_seconds,
            )
        )

    def _say_progress(self, line: str) -> None:
        """Show how far the pull is; whatever is raised here ends it, a cancel too."""
        self.points.check()
        self.log.progress(line)

    def _say_summary(self, line: str) -> None:
        self.points.check()
        self.log.info(line)

    def _credentials(self, reference: ImageReference) -> tuple[RegistryCredentials | None, bool]:
        """Return the credentials for the image's registry, and whether a helper gave them before.

        The stored ones belong to one registry, and go to no other (SPEC 3.2).
        """
        if self.helper is not None:
            if self.helper in self._allowed:
                known = self.store.helper_credentials.get(self.helper, reference.domain)
                if known is not None:
                    return known, True
            return self._ask_helper(reference), False
        if self.stored is not None and self.stored.domain != reference.domain:
            self.log.warn(
                f"The stored registry credentials are for {self.stored.domain}: "
                f"pulling from {reference.domain} without them."
            )
            return None, False
        return self.stored, False

    def _ask_helper(self, reference: ImageReference) -> RegistryCredentials:
        """Run the credential helper, and keep what it gives for a while."""
        name, domain = self.helper or "", reference.domain
        self.store.helper_credentials.drop(name, domain)
        with self.log.step(f"Asking the credential helper {name} about {domain}"):
            given = self.points.attempt(
                lambda: credentials_from_helper(name, domain, allowed=self._allowed)
            )
        kept = self.settings.credential_helper_seconds
        self.store.helper_credentials.put(name, given, seconds=kept)
        return given

    @property
    def _allowed(self) -> frozenset[str]:
        return allowed_helpers(self.settings.credential_helpers)
