"""An index of several platforms: this Engine's own is deployed, by the index's digest."""

import base64
import hashlib
import json
import platform
import urllib.request
from dataclasses import dataclass

import pytest
from conftest import App

from testbed.images import Images
from testbed.registry import PrivateRegistry

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"

HERE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
ELSEWHERE = "s390x"


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository, spoken to by the registry's HTTP API."""

    registry: PrivateRegistry
    repository: str

    def get(self, tag: str) -> tuple[str, bytes]:
        """Return the digest and the text of an image's manifest."""
        headers = {"Accept": MANIFEST}
        with self._ask("GET", f"manifests/{tag}", headers) as answer:
            return answer.headers["Docker-Content-Digest"], answer.read()

    def blob(self, digest: str) -> bytes:
        with self._ask("GET", f"blobs/{digest}") as answer:
            return answer.read()

    def put(self, tag: str, kind: str, content: bytes) -> str:
        """Store a manifest or an index; return its digest."""
        with self._ask("PUT", f"manifests/{tag}", {"Content-Type": kind}, content) as answer:
            return answer.headers["Docker-Content-Digest"]

    def put_blob(self, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        with self._ask("POST", "blobs/uploads/") as answer:
            where = answer.headers["Location"]
        url = f"{where}{'&' if '?' in where else '?'}digest={digest}"
        self._open("PUT", url, {"Content-Type": "application/octet-stream"}, content).close()
        return digest

    def _ask(self, method: str, path: str, headers: dict | None = None, body: bytes = b""):
        url = f"http://{self.registry.address}/v2/{self.repository}/{path}"
        return self._open(method, url, headers or {}, body)

    def _open(self, method: str, url: str, headers: dict, body: bytes):
        pair = f"{self.registry.username}:{self.registry.password}".encode()
        login = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        request = urllib.request.Request(
            url, data=body or None, method=method, headers={**headers, **login}
        )
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)


def descriptor(architecture: str, digest: str, manifest: bytes) -> dict[str, object]:
    return {
        "mediaType": MANIFEST,
        "digest": digest,
        "size": len(manifest),
        "platform": {"architecture": architecture, "os": "linux"},
    }


def foreign(remote: Remote, tag: str) -> dict[str, object]:
    """Store the same image as one of another platform; return its entry in an index."""
    _, text = remote.get(tag)
    manifest = json.loads(text)
    config = json.loads(remote.blob(manifest["config"]["digest"]))
    other = json.dumps({**config, "architecture": ELSEWHERE}).encode()
    digest = remote.put_blob(other)
    manifest["config"] = {"mediaType": CONFIG, "digest": digest, "size": len(other)}
    changed = json.dumps(manifest).encode()
    return descriptor(ELSEWHERE, remote.put(f"{tag}-{ELSEWHERE}", MANIFEST, changed), changed)


def index_of(kind: str, *entries: dict[str, object]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()


@pytest.mark.parametrize("kind", [OCI_INDEX, MANIFEST_LIST], ids=["oci", "docker"])
def test_an_index_deploys_this_engines_platform_and_a_moved_one_the_new_image(
    app: App, images: Images, registry: PrivateRegistry, kind: str
) -> None:
    name = f"platforms-{'oci' if kind == OCI_INDEX else 'docker'}"
    remote = Remote(registry, name)

    def publish(version: str) -> str:
        """Move the tag ``all`` to an index with that version; return its digest."""
        images.web(version, repository=name)
        digest, manifest = remote.get(version)
        entries = (foreign(remote, version), descriptor(HERE, digest, manifest))
        return remote.put("all", kind, index_of(kind, *entries))

    first = publish("1")
    finished = app.deploy_image(f"{registry.address}/{name}:all")
    assert finished.returncode == 0, finished.stdout
    assert f"{name}:all is {first}" in finished.stdout
    assert app.get() == "web 1\n"
    assert released(app)["pinned"] == f"{registry.address}/{name}@{first}"

    second = publish("2")
    assert app.deploy().returncode == 0
    assert app.get() == "web 2\n"
    assert released(app)["pinned"] == f"{registry.address}/{name}@{second}"
    assert released(app)["image"] == f"{registry.address}/{name}:all"
    (container,) = app.installation.containers(app.name)
    assert container["image"] == released(app)["image_id"]


def test_an_index_without_this_platform_says_so(
    app: App, images: Images, registry: PrivateRegistry
) -> None:
    remote = Remote(registry, "foreign")
    images.web("1", repository="foreign")
    remote.put("all", OCI_INDEX, index_of(OCI_INDEX, foreign(remote, "1")))
    finished = app.deploy_image(f"{registry.address}/foreign:all")
    assert finished.returncode == 1
    (error,) = [line for line in finished.stdout.splitlines() if line.startswith("ERROR")]
    assert (
        f"not built for this machine. Push one for its platform to foreign at {registry.address}"
        in error
    )


def released(app: App) -> dict[str, str]:
    with app.installation.redis() as client:
        releases = client.hgetall(f"enclave:app:{app.installation.app_id(app.name)}:releases")
    return json.loads(releases[max(releases, key=int)])
