"""Images made in a moment and pushed to the registry; no RUN, no base image."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import docker

from testbed.engine import API_VERSION
from testbed.layer import layer
from testbed.processes import PartUnavailable
from testbed.registry import PrivateRegistry

_TIMEOUT = 60

_ENTRYPOINT = """#!/bin/sh
# The arguments as they came, one a line: a shell between would have changed them.
for argument; do printf 'argument: %s\\n' "$argument"; done
exec /bin/serve
"""
_ENVIRONMENT_CGI = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
env
"""


def build(
    engine_url: str,
    tag: str,
    *,
    files: Mapping[str, str | bytes] | None = None,
    entrypoint: Sequence[str] | None = None,
    cmd: Sequence[str] | None = None,
    expose: Iterable[int] = (),
    env: Mapping[str, str] | None = None,
    healthcheck: str | None = None,
) -> None:
    """Make the image ``tag`` (``[registry/]repository:tag``) in the Engine at ``engine_url``.

    It has a busybox with a link for each of its applets, the scripts ``serve`` and ``work``, and
    ``files`` (absolute path to content; what begins with ``#!`` is executable). ``healthcheck`` is
    a HEALTHCHECK instruction's text: ``--interval=1s CMD /bin/true``. Raises ``PartUnavailable``.
    """
    changes = [
        'ENV PATH="/bin"',
        *(f"ENV {name}={_quoted(value)}" for name, value in (env or {}).items()),
        *(f"EXPOSE {port}" for port in expose),
    ]
    if entrypoint is not None:
        changes.append(f"ENTRYPOINT {json.dumps(list(entrypoint))}")
    if cmd is not None:
        changes.append(f"CMD {json.dumps(list(cmd))}")
    if healthcheck is not None:
        changes.append(f"HEALTHCHECK {healthcheck}")
    repository, _, version = tag.rpartition(":")
    with docker.APIClient(base_url=engine_url, version=API_VERSION, timeout=_TIMEOUT) as client:
        answer = client.import_image_from_data(
            layer(files or {}), repository=repository, tag=version, changes=changes
        )
    for line in map(json.loads, answer.splitlines()):
        if "error" in line:
            raise PartUnavailable(f"cannot make the image {tag}: {line['error']}")


def push(engine_url: str, tag: str, *, username: str, password: str) -> str:
    """Push the image ``tag``; return the digest (``sha256:…``) it has in the registry.

    Raises ``PartUnavailable`` with the registry's own words.
    """
    repository, _, version = tag.rpartition(":")
    digest = ""
    with docker.APIClient(base_url=engine_url, version=API_VERSION, timeout=_TIMEOUT) as client:
        for line in client.push(
            repository,
            tag=version,
            stream=True,
            decode=True,
            auth_config={"username": username, "password": password},
        ):
            if "error" in line:
                raise PartUnavailable(f"cannot push {tag}: {line['error']}")
            digest = (line.get("aux") or {}).get("Digest", digest)
    return digest


@dataclass(frozen=True, slots=True)
class Images:
    """Images for stories, pushed to one registry; each method returns the reference to deploy.

    After the push the Engine forgets the image, so that a later pull really is one. Called again,
    a method pushes the same reference again, with another digest: an image knows its birth time.
    """

    engine_url: str
    registry: PrivateRegistry

    def web(self, version: str = "1", *, repository: str = "web") -> str:
        """A web server with a CMD and no ENTRYPOINT, on port 8080 (or ``$PORT``).

        ``/`` says ``web VERSION``, ``/healthcheck`` says ``ok``, and ``/cgi-bin/env`` shows the
        environment of the container. For a Procfile: ``web: exec serve``.
        """
        return self.publish(
            f"{repository}:{version}", files=_site(version), cmd=["/bin/serve"], expose=[8080]
        )

    def worker(self, version: str = "1", *, repository: str = "worker") -> str:
        """No port; it prints ``worker tick N`` five times a second until SIGTERM."""
        return self.publish(f"{repository}:{version}", cmd=["/bin/work"])

    def with_entrypoint(self, version: str = "1", *, repository: str = "entrypoint") -> str:
        """The web server behind an ENTRYPOINT that prints each argument it gets on a line."""
        return self.publish(
            f"{repository}:{version}",
            files={**_site(version), "/bin/entrypoint": _ENTRYPOINT},
            entrypoint=["/bin/entrypoint"],
            cmd=["from", "the image"],
            expose=[8080],
        )

    def bare(self, version: str = "1", *, repository: str = "bare") -> str:
        """Neither CMD nor ENTRYPOINT: deployable with a Procfile only (SPEC 4.1)."""
        return self.publish(f"{repository}:{version}", files=_site(version))

    def broken(self, version: str = "1", *, repository: str = "broken") -> str:
        """Prints ``cannot go on`` and dies at once with status 3."""
        return self.publish(
            f"{repository}:{version}",
            cmd=["/bin/sh", "-c", "echo cannot go on; exit 3"],
            expose=[8080],
        )

    def publish(
        self,
        name: str,
        *,
        files: Mapping[str, str | bytes] | None = None,
        entrypoint: Sequence[str] | None = None,
        cmd: Sequence[str] | None = None,
        expose: Iterable[int] = (),
        env: Mapping[str, str] | None = None,
        healthcheck: str | None = None,
    ) -> str:
        """Build ``name`` (``repository:tag``) as ``build`` does, push it, return its reference."""
        reference = f"{self.registry.address}/{name}"
        build(
            self.engine_url,
            reference,
            files=files,
            entrypoint=entrypoint,
            cmd=cmd,
            expose=expose,
            env=env,
            healthcheck=healthcheck,
        )
        push(
            self.engine_url,
            reference,
            username=self.registry.username,
            password=self.registry.password,
        )
        with docker.APIClient(
            base_url=self.engine_url, version=API_VERSION, timeout=_TIMEOUT
        ) as client:
            client.remove_image(reference)
        return reference


def _quoted(value: str) -> str:
    """Return a value as a Dockerfile's ENV takes it, ``$`` and quotes standing for themselves."""
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$")


def _site(version: str) -> dict[str, str | bytes]:
    return {
        "/www/index.html": f"web {version}\n",
        "/www/healthcheck": "ok\n",
        "/www/cgi-bin/env": _ENVIRONMENT_CGI,
    }
