"""The body of a POST to an app's operations, and what it says of image, credentials and variables.

Old clients (0.11 to 0.16) send image and credentials among the variables, new ones (0.26) as
settings; both mean the same, and neither form lets them into a container (API.md).
"""

from __future__ import annotations

from pydantic import BaseModel, Field, StrictInt, StrictStr

from enclave.app import AppState
from enclave.changes import Changes, read_changes
from enclave.errors import InvalidInput

_REGISTRY = "APTIBLE_PRIVATE_REGISTRY"
_IMAGE = "APTIBLE_DOCKER_IMAGE"
_USERNAME = f"{_REGISTRY}_USERNAME"
_PASSWORD = f"{_REGISTRY}_PASSWORD"
_EMAIL = f"{_REGISTRY}_EMAIL"  # registries stopped asking for it: accepted, ignored
_HELPER = f"{_REGISTRY}_HELPER"  # ours: a credential helper that the operator allows
_SETTINGS = frozenset([_IMAGE, _USERNAME, _PASSWORD, _EMAIL, _HELPER])

Variables = dict[StrictStr, StrictStr | None]
"""Names and values; an empty value or null unsets."""


class OperationBody(BaseModel):
    """What a client asks for; fields it does not know are ignored."""

    type: StrictStr
    git_ref: StrictStr | None = None
    env: Variables | None = None
    settings: Variables | None = None
    sensitive_settings: Variables | None = Field(None, repr=False)
    container_count: StrictInt | None = None
    container_size: StrictInt | None = None
    release: StrictInt | None = None
    command: StrictStr | None = Field(None, max_length=64 << 10, repr=False)

    def changes(self, projected: AppState) -> Changes:
        """Return what the body changes of the app, whose image will be that of ``projected``.

        Raises a kind of ``InvalidInput``. Counts and sizes are not read: not all types take them.
        """
        self._refuse_what_cannot_be_stored()
        image = self._given(_IMAGE)
        return read_changes(
            image=image,
            username=self._given(_USERNAME),
            password=self._given(_PASSWORD),
            environment=self._variables(),
            container_count=None,
            stored_image=None if image == "" else projected.image,
            helper=self._given(_HELPER),
        )

    def sizes(self) -> Changes:
        """Return count and size of containers; raises ``InvalidChange``."""
        return read_changes(
            image=None,
            username=None,
            password=None,
            environment={},
            container_count=self.container_count,
            stored_image=None,
            container_size=self.container_size,
        )

    def _given(self, name: str) -> str | None:
        """Return a setting from wherever the client put it; None when it was not given."""
        for place in (self.settings, self.sensitive_settings, self.env):
            if place is not None and name in place:
                return place[name] or ""
        return None

    def _variables(self) -> dict[str, str]:
        """Return the changes of configuration alone, without the settings among them."""
        return {
            name: value or "" for name, value in (self.env or {}).items() if name not in _SETTINGS
        }

    def _refuse_what_cannot_be_stored(self) -> None:
        """Refuse half a surrogate pair, which JSON can spell and UTF-8 cannot."""
        try:
            self.model_dump_json().encode()
        except ValueError:
            raise InvalidInput("The request holds text that is not Unicode.") from None
