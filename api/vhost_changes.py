"""Changes of an endpoint: another certificate, port or whitelist, under the same name."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, StrictInt, StrictStr

from api.call import Call
from api.certificates import domain_of, named_certificate
from enclave.app import App
from enclave.endpoint import Endpoint
from enclave.errors import InvalidEndpoint
from enclave.operation import OperationType


class VhostChanges(BaseModel):
    """What is given changes; null unsets. Fields it does not know are ignored."""

    container_port: StrictInt | None = None
    ip_whitelist: list[StrictStr] | None = None
    certificate: StrictStr | StrictInt | None = None

    def changed(self, caller: Call, app: App, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint as it shall be. Raises ``InvalidEndpoint``."""
        given = self.model_fields_set
        if "container_port" in given:
            endpoint = replace(endpoint, port=self.container_port)
        if "ip_whitelist" in given:
            endpoint = replace(endpoint, ip_whitelist=tuple(self.ip_whitelist or ()))
        if "certificate" in given:
            endpoint = replace(endpoint, certificate_id=self._certificate(caller, app, endpoint))
        return endpoint

    def _certificate(self, caller: Call, app: App, endpoint: Endpoint) -> int | None:
        if self.certificate is None:
            return None
        if endpoint.domain is None:
            raise InvalidEndpoint(
                "The default domain has the installation's own certificate: give no other one."
            )
        certificate = named_certificate(caller, app.environment_id, self.certificate)
        domain_of(certificate, endpoint.domain)
        return certificate.id


def latest(caller: Call, app: App, endpoint: Endpoint) -> Endpoint:
    """Return the endpoint that a change begins with: what waits is counted in, what failed not."""
    for operation in reversed(caller.store.operations.unfinished(app.id)):
        asked = operation.request.endpoint
        provisions = operation.request.type is OperationType.PROVISION
        if provisions and asked is not None and asked.id == endpoint.id:
            return asked
    return app.state.endpoint(endpoint.id) or endpoint
