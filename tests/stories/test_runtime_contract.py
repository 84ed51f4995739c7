"""What every runtime promises (``worker.runtime.Runtime``), on a real Engine and a real registry.

One contract for all implementations: the fixture ``runtime`` has one parameter for each.
"""

import base64
import json
import os
import signal
import socket
import threading
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import docker
import pytest

from enclave.credentials import RegistryCredentials
from enclave.errors import (
    ContainerDied,
    EnclaveError,
    ImageUnavailable,
    Misconfigured,
    OperationCancelled,
    OperationFailed,
    StepTimedOut,
)
from enclave.image import ImageReference
from testbed.backend import Backend
from testbed.engine import PrivateEngine
from testbed.images import Images, build
from testbed.registry import PrivateRegistry
from worker.runtime import (
    LABEL_APP,
    LABEL_INDEX,
    LABEL_INSTALLATION,
    LABEL_OPERATION,
    LABEL_RELEASE,
    LABEL_SERVICE,
    Container,
    ContainerSpec,
    Image,
    Runtime,
)
from worker.runtime.docker_engine import DockerEngine
from worker.runtime.last_lines import LEFT_OUT
from worker.runtime.pull_progress import PullProgress

PASSWORD = "s3cret-Zq9+/x"
ABSENT = "sha256:" + "0" * 64
# Several test sessions share one machine's routing table.
NETWORK = f"contract-{os.getpid()}"
SUBNET = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 256}.0/24"

numbers = count(1)


def docker_engine(engine: PrivateEngine, **options: Any) -> DockerEngine:
    return DockerEngine(
        engine.url,
        **{"network": NETWORK, "subnet": SUBNET, "timeout": 30.0, "owner": "contract", **options},
    )


@pytest.fixture(scope="module", params=[docker_engine])
def runtime(request: pytest.FixtureRequest, engine: PrivateEngine) -> Runtime:
    return request.param(engine)


@pytest.fixture(scope="module")
def credentials(registry: PrivateRegistry) -> RegistryCredentials:
    return RegistryCredentials(registry.address, registry.username, registry.password)


@pytest.fixture(scope="module")
def busybox(runtime: Runtime, images: Images, credentials: RegistryCredentials) -> Image:
    """An image with a shell, a web server as its CMD, and no ENTRYPOINT."""
    return fetch(runtime, images.web(repository="contract"), credentials)


@pytest.fixture
def client(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    """The Engine itself, to see what was really done."""
    with engine.client() as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left(runtime: Runtime) -> Iterator[None]:
    yield
    for container in runtime.containers({LABEL_APP: "1"}):
        runtime.remove(container)


def fetch(runtime: Runtime, text: str, credentials: RegistryCredentials) -> Image:
    reference = ImageReference.parse(text)
    pinned = reference.pinned(runtime.resolve(reference, credentials))
    return runtime.pull(pinned, credentials, progress=print, summary=print, seconds=60)


def shell(image: Image, script: str, **fields: Any) -> ContainerSpec:
    return spec(image, command=("/bin/sh", "-c", script), **fields)


def spec(image: Image, **fields: Any) -> ContainerSpec:
    number = next(numbers)
    labels = {LABEL_APP: "1", LABEL_OPERATION: str(number)}
    return replace(ContainerSpec(f"contract-{number}", image.id, labels), **fields)


def run(runtime: Runtime, wanted: ContainerSpec, *, seconds: float = 30) -> tuple[int, str]:
    """Return exit status and output, and see that nothing is left of the container."""
    chunks: list[bytes] = []
    status = runtime.run(wanted, output=chunks.append, seconds=seconds)
    assert runtime.containers(wanted.labels) == []
    return status, b"".join(chunks).decode()


def the_one(runtime: Runtime, wanted: ContainerSpec) -> Container:
    (container,) = runtime.containers(wanted.labels)
    return container


def poll(look: Callable[[], Any], *, seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"nothing seen in {seconds} s"
        time.sleep(0.02)
    return seen


def get(address: str) -> str:
    """Return what the web server at ``address`` says, once it listens."""

    def answer() -> str:
        try:
            with urllib.request.urlopen(f"http://{address}:8080/", timeout=5) as response:
                return response.read().decode()
        except urllib.error.URLError:
            return ""

    return poll(answer)


def logged(error: BaseException) -> str:
    """The error as an unlucky log would have it: whole traceback, causes included."""
    return "".join(traceback.format_exception(error))


class FakeRegistry:
    """A registry that answers in one way only; ``answer`` None never does."""

    def __init__(self, answer: Callable[[Any], None] | None, *, host: str = "127.0.0.1") -> None:
        self._ended = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(handler) -> None:  # noqa: N805
                (answer or (lambda _: self._ended.wait(60)))(handler)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self.address = f"{host}:{self._server.server_port}"

    def __enter__(self) -> "FakeRegistry":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()


def saying(status: int, body: str, *, greeting: tuple[int, str] = (200, "{}")) -> Callable:
    """``greeting`` is the answer to /v2/, where the Engine looks whether this is a registry."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        code, words = greeting if handler.path == "/v2/" else (status, body)
        sent = handler.headers.get("Authorization", "")
        text = words.replace("WHAT-YOU-SENT", sent).encode()
        handler.send_response(code)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        if code == 401:
            handler.send_header("WWW-Authenticate", 'Basic realm="fake"')
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(text)

    return answer


# --- Which image does a reference mean now? ----------------------------------------------------


def test_a_tag_means_the_digest_it_has_now(
    runtime: Runtime, images: Images, credentials: RegistryCredentials
):
    reference = ImageReference.parse(images.web(repository="moving"))
    first = runtime.resolve(reference, credentials)
    assert first.startswith("sha256:")
    assert runtime.resolve(reference, credentials) == first

    images.web(repository="moving")
    assert runtime.resolve(reference, credentials) != first


def test_a_digest_means_itself_to_those_whom_the_registry_gives_it(
    runtime: Runtime, busybox: Image, credentials: RegistryCredentials
):
    """Another's image that is here already is not for everyone who knows its digest."""
    pinned = ImageReference.parse(busybox.pinned)

    assert runtime.resolve(pinned, credentials) == pinned.digest
    with pytest.raises(ImageUnavailable):
        runtime.resolve(pinned, None)


def test_a_refusal_names_registry_repository_and_cure(
    runtime: Runtime, images: Images, credentials: RegistryCredentials
):
    reference = ImageReference.parse(images.web(repository="denied/unauthorized"))
    wrong = replace(credentials, password=PASSWORD)

    def refusal(asked: ImageReference, given: RegistryCredentials | None) -> str:
        with pytest.raises(ImageUnavailable) as refused:
            runtime.resolve(asked, given)
        sentence = str(refused.value)
        assert reference.domain in sentence
        assert asked.path in sentence
        return sentence

    assert "refused the user name deployer and its password" in refusal(reference, wrong)
    assert "wants a user name and password" in refusal(reference, None)
    assert "--private-registry-password" in refusal(reference, None)
    assert "has no tag 9" in refusal(replace(reference, tag="9"), credentials)
    assert "no such repository" in refusal(replace(reference, path="team/none"), credentials)


def test_a_registry_that_is_down(runtime: Runtime, tmp_path: Path):
    with PrivateRegistry(tmp_path / "registry") as down:
        down.kill()
        reference = ImageReference.parse(f"{down.address}/app:1")
        with pytest.raises(ImageUnavailable, match=f"cannot reach {down.address} for app"):
            runtime.resolve(reference, None)
        with pytest.raises(ImageUnavailable, match="Check that the registry runs"):
            runtime.pull(reference.pinned(ABSENT), None, progress=print, summary=print, seconds=20)


HTML = "<html>a login page"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (saying(404, HTML, greeting=(404, HTML)), "does not speak the Docker Registry API"),
        (saying(200, HTML, greeting=(200, HTML)), "does not speak the Docker Registry API"),
        (saying(200, '{"schemaVersion":1}'), "does not speak the Docker Registry API"),
        (saying(503, "closed"), r"trouble of its own \(503 Service Unavailable\) with app"),
        (saying(403, '{"errors":[{"code":"DENIED"}]}'), "its user deployer may not pull it"),
        (saying(429, '{"errors":[{"code":"TOOMANYREQUESTS"}]}'), "allows no more pulls for now"),
        (saying(404, '{"errors":[{"code":"NAME_UNKNOWN"}]}'), "has no repository app"),
        (saying(418, '{"errors":[{"code":"TEAPOT","message":"I am one"}]}'), "asked for app, says"),
    ],
)
def test_a_registry_with_troubles(runtime: Runtime, answer: Callable, sentence: str):
    with FakeRegistry(answer) as fake:
        reference = ImageReference.parse(f"{fake.address}/app:1")
        theirs = RegistryCredentials(fake.address, "deployer", PASSWORD)
        with pytest.raises(ImageUnavailable, match=sentence):
            runtime.resolve(reference, theirs)
        with pytest.raises(ImageUnavailable):
            runtime.pull(
                reference.pinned(ABSENT), theirs, progress=print, summary=print, seconds=20
            )


def test_a_registry_without_tls_where_the_engine_insists_on_it(runtime: Runtime):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; only 127.0.0.0/8 may be without TLS
        host = probe.getsockname()[0]
    with (
        FakeRegistry(saying(200, "{}"), host=host) as fake,
        pytest.raises(ImageUnavailable, match=f"{fake.address} speaks plain HTTP"),
    ):
        runtime.resolve(ImageReference.parse(f"{fake.address}/app:1"), None)


def test_a_registry_that_never_answers(engine: PrivateEngine):
    impatient = docker_engine(engine, timeout=0.5)
    with FakeRegistry(None) as silent:
        reference = ImageReference.parse(f"{silent.address}/app:1")
        with pytest.raises(ImageUnavailable, match=r"gave no answer about app within 0\.5 s"):
            impatient.resolve(reference, None)
        with pytest.raises(StepTimedOut, match=r"took longer than 0\.6 s"):
            impatient.pull(
                reference.pinned(ABSENT), None, progress=print, summary=print, seconds=0.6
            )


def test_no_engine_at_all(tmp_path: Path):
    url = f"unix://{tmp_path}/none"
    gone = DockerEngine(url, network=NETWORK, subnet=SUBNET, timeout=5, owner="contract")
    with pytest.raises(OperationFailed, match=f"does not answer at unix://{tmp_path}/none"):
        gone.resolve(ImageReference.parse("nginx"), None)
    with pytest.raises(OperationFailed, match="Check that it runs"):
        gone.containers({})


# --- Credentials go where they belong, and are seen nowhere ------------------------------------


def test_credentials_go_to_no_other_registry(runtime: Runtime, credentials: RegistryCredentials):
    elsewhere = ImageReference.parse("nginx")
    with pytest.raises(ValueError, match=r"are not for docker\.io"):
        runtime.resolve(elsewhere, credentials)
    with pytest.raises(ValueError, match=r"are not for docker\.io"):
        runtime.pull(
            elsewhere.pinned(ABSENT), credentials, progress=print, summary=print, seconds=5
        )


def test_the_workers_own_docker_login_is_not_borrowed(
    engine: PrivateEngine,
    images: Images,
    credentials: RegistryCredentials,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    reference = ImageReference.parse(images.web(repository="borrowed"))
    pinned = reference.pinned(docker_engine(engine).resolve(reference, credentials))
    pair = f"{credentials.username}:{credentials.password}".encode()
    login = {"auths": {credentials.domain: {"auth": base64.b64encode(pair).decode()}}}
    (tmp_path / "config.json").write_text(json.dumps(login))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    logged_in = docker_engine(engine)

    with pytest.raises(ImageUnavailable, match="wants a user name"):
        logged_in.resolve(reference, None)
    with pytest.raises(ImageUnavailable, match="wants a user name"):
        logged_in.pull(pinned, None, progress=print, summary=print, seconds=20)


@pytest.mark.parametrize("status", [400, 401, 404, 418])
@pytest.mark.parametrize(
    "words", ['{"errors":[{"code":"ODD","message":"you sent WHAT-YOU-SENT"}]}', "<WHAT-YOU-SENT>"]
)
def test_a_registry_that_echoes_the_password_does_not_get_it_into_a_log(
    runtime: Runtime, status: int, words: str
):
    with FakeRegistry(saying(status, words, greeting=(401, "{}"))) as fake:
        theirs = RegistryCredentials(fake.address, "deployer", PASSWORD)
        reference = ImageReference.parse(f"{fake.address}/app:1")
        with pytest.raises(ImageUnavailable) as resolving:
            runtime.resolve(reference, theirs)
        with pytest.raises(ImageUnavailable) as pulling:
            runtime.pull(
                reference.pinned(ABSENT), theirs, progress=print, summary=print, seconds=20
            )
    pair = base64.b64encode(f"deployer:{PASSWORD}".encode()).decode()
    for error in (resolving.value, pulling.value):
        assert PASSWORD not in logged(error)
        assert pair.rstrip("=") not in logged(error)


@pytest.mark.parametrize("name", ["", "NUL\0IN", "MANY\nLINES"])
def test_a_variable_that_cannot_be_does_not_tell_its_value(
    runtime: Runtime, busybox: Image, name: str
):
    wanted = shell(busybox, "true", environment={name: PASSWORD})
    try:
        run(runtime, wanted)
    except EnclaveError as error:
        assert "environment variable" in str(error)
        assert PASSWORD not in logged(error)
    assert PASSWORD not in repr(wanted)


def test_the_environment_is_in_the_container_and_in_no_command_line(
    runtime: Runtime, busybox: Image
):
    secret = "plain sight $HOME 'quoted' é\nsecond line"
    wanted = shell(busybox, 'echo "$TOKEN"; exec sleep 60', environment={"TOKEN": secret})
    container = runtime.start(wanted)
    poll(lambda: runtime.tail(container, lines=5) == secret.split("\n"))

    for process in Path("/proc").glob("[0-9]*"):
        try:
            assert b"plain sight" not in (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue


# --- Pulling -----------------------------------------------------------------------------------


def test_a_pulled_image_tells_what_a_plan_needs(
    runtime: Runtime, images: Images, credentials: RegistryCredentials
):
    web = fetch(runtime, images.web(), credentials)
    assert web.pinned.startswith(f"{credentials.domain}/web@sha256:")
    assert (web.entrypoint, web.command) == ((), ("/bin/serve",))
    assert (web.exposed_ports, web.has_healthcheck) == ((8080,), False)
    assert runtime.image(web.pinned) == web
    assert runtime.image(web.id) == web

    both = fetch(runtime, images.with_entrypoint(), credentials)
    assert (both.entrypoint, both.command) == (("/bin/entrypoint",), ("from", "the image"))

    bare = fetch(runtime, images.bare(), credentials)
    assert (bare.entrypoint, bare.command, bare.exposed_ports) == ((), (), ())

    checked = images.publish("checked:1", healthcheck="CMD /bin/true", expose=[9000, 80])
    image = fetch(runtime, checked, credentials)
    assert (image.exposed_ports, image.has_healthcheck) == ((80, 9000), True)

    assert runtime.image(f"{credentials.domain}/web@{ABSENT}") is None


def test_an_image_that_is_present_needs_no_registry(
    runtime: Runtime, busybox: Image, registry: PrivateRegistry
):
    said: list[str] = []
    registry.kill()
    try:
        reference = ImageReference.parse(busybox.pinned)
        assert (
            runtime.pull(reference, None, progress=said.append, summary=said.append, seconds=5)
            == busybox
        )
    finally:
        registry.restart()
    assert said == ["The image is present already."]


def test_a_pull_tells_how_far_it_is(
    runtime: Runtime, images: Images, credentials: RegistryCredentials
):
    big = images.publish("big:1", files={"/data": os.urandom(30_000_000)})
    reference = ImageReference.parse(big)
    pinned = reference.pinned(runtime.resolve(reference, credentials))
    said: list[str] = []
    runtime.pull(pinned, credentials, progress=said.append, summary=said.append, seconds=60)
    assert said[-1].endswith("MB in 1 layer pulled")
    assert float(said[-1].split()[0]) >= 30


def test_progress_adds_up_the_layers_once_a_second():
    now = [0.0]
    progress = PullProgress(lambda: now[0])

    def at(seconds: float, layer: str, status: str, current: int = 0, total: int = 0) -> Any:
        now[0] = seconds
        detail = {"current": current, "total": total} if total else {}
        return progress.line({"id": layer, "status": status, "progressDetail": detail})

    at(0.0, "team/app@sha256:0", "Pulling from team/app")
    at(0.1, "a", "Already exists")
    at(0.1, "b", "Pulling fs layer")
    at(0.1, "c", "Pulling fs layer")
    assert at(0.9, "b", "Downloading", 4_000_000, 10_000_000) is None
    assert at(1.0, "b", "Downloading", 5_000_000, 10_000_000) == (
        "5.0 MB so far at 5.0 MB/s, 1 of 3 layers; layer 2 50 %"
    )
    assert at(1.9, "c", "Downloading", 1_000_000, 30_000_000) is None
    assert at(2.0, "c", "Downloading", 2_300_000, 30_000_000) == (
        "7.3 MB of 40.0 MB at 2.3 MB/s, 1 of 3 layers; layer 2 50 %; layer 3 7 %"
    )
    assert at(9.0, "c", "Downloading", 2_300_000, 30_000_000) == (
        "7.3 MB of 40.0 MB at 0.0 MB/s, 1 of 3 layers; layer 2 50 %; layer 3 7 %"
    )
    assert at(99.0, "c", "Downloading", 2_300_000, 30_000_000) is None  # nothing new
    assert progress.coming == 5_000_000 + 27_700_000
    at(99.1, "b", "Download complete")
    at(99.2, "c", "Download complete")
    at(99.3, "b", "Pull complete")
    assert at(100.2, "c", "Extracting", 1, 2) == "40.0 MB downloaded, 2 of 3 layers unpacked"
    at(100.3, "c", "Pull complete")
    assert progress.summary() == "40.0 MB in 2 layers pulled (1 more present already)"


def test_a_pull_can_be_given_up(runtime: Runtime):
    def cancel(_line: str) -> None:
        raise OperationCancelled("someone pressed the button")

    digest, stalling = a_registry_that_stalls()
    with FakeRegistry(stalling) as fake:
        reference = ImageReference.parse(f"{fake.address}/app@{digest}")
        before = time.monotonic()
        with pytest.raises(OperationCancelled):
            runtime.pull(reference, None, progress=cancel, summary=cancel, seconds=60)
        assert time.monotonic() - before < 3


def test_a_registry_that_stalls_in_the_middle_of_a_layer(runtime: Runtime):
    """The Engine then sends a few events and no more; the pull still ends in time."""
    digest, stalling = a_registry_that_stalls()
    with FakeRegistry(stalling) as fake:
        reference = ImageReference.parse(f"{fake.address}/app@{digest}")
        before = time.monotonic()
        with pytest.raises(StepTimedOut, match="was stopped"):
            runtime.pull(reference, None, progress=print, summary=print, seconds=2)
        assert time.monotonic() - before < 2.6


def a_registry_that_stalls() -> tuple[str, Callable]:
    """Return an image's digest, and a registry that gives its layer slowly, then not at all."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]},
        }
    ).encode()
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    config_digest = "sha256:" + sha256(config).hexdigest()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(config),
                "digest": config_digest,
            },
            "layers": [
                {
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    "size": 50_000_000,
                    "digest": "sha256:" + "2" * 64,
                }
            ],
        }
    ).encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body, mime, length = b"{}", "application/json", 0
        if "/manifests/" in handler.path:
            body, mime = manifest, kind
        elif config_digest in handler.path:
            body, mime = config, "application/octet-stream"
        elif "/blobs/" in handler.path:
            body, mime, length = bytes(1_000_000), "application/octet-stream", 50_000_000
        handler.send_response(200)
        handler.send_header("Content-Type", mime)
        handler.send_header("Content-Length", str(length or len(body)))
        handler.end_headers()
        if handler.command == "HEAD":
            return
        handler.wfile.write(body)
        if length:
            with suppress(ConnectionError):  # the Engine gives up
                for _ in range(5):
                    time.sleep(0.25)
                    handler.wfile.write(body)
                handler.connection.settimeout(30)
                handler.rfile.read(1)

    return "sha256:" + sha256(manifest).hexdigest(), answer


# --- Running a command to its end --------------------------------------------------------------


def test_a_command_gives_its_output_and_its_exit_status(runtime: Runtime, busybox: Image):
    status, text = run(runtime, shell(busybox, "echo out; echo err >&2; exit 7"))
    assert (status, sorted(text.split())) == (7, ["err", "out"])  # two pipes: in either order
    assert run(runtime, shell(busybox, "exit 0")) == (0, "")


def test_no_output_is_lost(runtime: Runtime, busybox: Image):
    status, text = run(runtime, shell(busybox, "seq 200000; printf 'no newline'"))
    assert status == 0
    assert text == "".join(f"{n}\n" for n in range(1, 200001)) + "no newline"


def test_output_comes_while_the_command_runs(runtime: Runtime, busybox: Image):
    came: list[float] = []
    wanted = shell(busybox, "echo early; sleep 1; echo late")
    runtime.run(wanted, output=lambda _: came.append(time.monotonic()), seconds=30)
    assert came[-1] - came[0] > 0.8


@pytest.mark.parametrize(
    "script",
    [
        "sleep 60",
        "yes",
        "trap '' TERM; sleep 60",
        "exec >&- 2>&-; sleep 60",
    ],
)
def test_a_command_that_does_not_end_is_killed(runtime: Runtime, busybox: Image, script: str):
    wanted = shell(busybox, script)
    before = time.monotonic()
    with pytest.raises(StepTimedOut, match="did not end within 1 s and was killed"):
        run(runtime, wanted, seconds=1)
    assert time.monotonic() - before < 5
    assert runtime.containers(wanted.labels) == []


@pytest.mark.parametrize("how", ["remove", "stop"])
def test_a_command_killed_from_another_thread_ends_at_once(
    runtime: Runtime, busybox: Image, how: str
):
    wanted = shell(busybox, "echo begun; sleep 60")
    begun = threading.Event()
    with ThreadPoolExecutor() as pool:
        result = pool.submit(runtime.run, wanted, output=lambda _: begun.set(), seconds=60)
        assert begun.wait(20)
        before = time.monotonic()
        container = the_one(runtime, wanted)
        if how == "remove":
            runtime.remove(container)
        else:
            runtime.stop(container, seconds=0)
        assert result.result(timeout=10) == 137
    assert time.monotonic() - before < 3
    assert runtime.containers(wanted.labels) == []


def test_whoever_reads_the_output_may_give_up(runtime: Runtime, busybox: Image):
    def cancel(_chunk: bytes) -> None:
        raise OperationCancelled("someone pressed the button")

    wanted = shell(busybox, "echo begun; sleep 60")
    with pytest.raises(OperationCancelled):
        runtime.run(wanted, output=cancel, seconds=60)
    assert runtime.containers(wanted.labels) == []


def test_a_program_that_is_not_there_ends_as_in_a_shell(runtime: Runtime, busybox: Image):
    status, text = run(runtime, spec(busybox, command=("nosuch", "argument")))
    assert (status, text) == (127, "There is no program nosuch on the PATH of the image.\n")
    status, text = run(runtime, spec(busybox, command=("/no/such",)))
    assert (status, text) == (127, "There is no /no/such in the image.\n")
    status, text = run(runtime, spec(busybox, command=("/etc/passwd",)))
    assert status == 126
    assert "cannot be executed" in text


def test_entrypoint_and_cmd(runtime: Runtime, images: Images, credentials: RegistryCredentials):
    """Left out, the image's own count; given, they replace. Docker alone would drop the CMD."""
    name = images.publish("argv:1", entrypoint=["/bin/echo", "image:"], cmd=["from", "the image"])
    image = fetch(runtime, name, credentials)

    def said(**fields: Any) -> str:
        return run(runtime, spec(image, **fields))[1].strip()

    assert said() == "image: from the image"
    assert said(command=("$HOME", "two words")) == "image: $HOME two words"
    assert said(command=()) == "image:"
    assert said(entrypoint=("/bin/echo",)) == "from the image"
    assert said(entrypoint=("/bin/echo",), command=("mine",)) == "mine"
    assert said(entrypoint=("/bin/echo",), command=()) == ""
    assert said(entrypoint=(), command=("/bin/echo", "mine")) == "mine"


# --- Starting a service ------------------------------------------------------------------------


def test_a_service_starts_settles_and_answers(runtime: Runtime, busybox: Image):
    wanted = spec(busybox)
    container = runtime.start(wanted)
    assert (container.name, container.running) == (wanted.name, True)
    assert container.image_id == busybox.id

    before = time.monotonic()
    runtime.settle(container, seconds=0.5)
    assert 0.5 <= time.monotonic() - before < 2
    assert get(container.address) == "web 1\n"


def test_a_service_that_dies_says_its_last_words(runtime: Runtime, busybox: Image):
    container = runtime.start(shell(busybox, "seq 100; echo cannot go on; exit 3"))
    before = time.monotonic()
    with pytest.raises(ContainerDied) as died:
        runtime.settle(container, seconds=30)
    assert time.monotonic() - before < 5
    first, *lines = str(died.value).split("\n")
    assert "exit status 3" in first
    assert lines == ["Its last lines:", *map(str, range(82, 101)), "cannot go on"]


def test_a_service_that_dies_later_still_dies_in_time(runtime: Runtime, busybox: Image):
    container = runtime.start(shell(busybox, "sleep 0.7; exit 4"))
    with pytest.raises(ContainerDied, match=r"exit status 4\.\nIt printed nothing\."):
        runtime.settle(container, seconds=30)


def test_one_that_has_run_long_enough_is_looked_at_without_a_wait(
    runtime: Runtime, busybox: Image, client: docker.APIClient
):
    lives = runtime.start(shell(busybox, "sleep 60"))
    died = runtime.start(shell(busybox, "exit 5"))
    client.wait(died.id)
    runtime.settle(lives, seconds=0)
    with pytest.raises(ContainerDied, match="exit status 5"):
        runtime.settle(died, seconds=0)


def test_a_service_that_takes_too_much_memory(runtime: Runtime, busybox: Image):
    container = runtime.start(shell(busybox, "x=x; while :; do x=$x$x; done", memory_mb=16))
    with pytest.raises(ContainerDied, match="ran out of its memory"):
        runtime.settle(container, seconds=30)


def test_a_service_that_cannot_be_started_leaves_nothing(runtime: Runtime, busybox: Image):
    for command in (("nosuch",), ("/etc/passwd",)):
        wanted = spec(busybox, command=command)
        with pytest.raises(ContainerDied, match=r"There is no program|cannot be executed"):
            runtime.start(wanted)
        assert runtime.containers(wanted.labels) == []


def test_the_remains_of_a_dead_attempt_make_way(runtime: Runtime, busybox: Image):
    wanted = shell(busybox, "sleep 60")
    remains = runtime.start(wanted)
    assert runtime.start(wanted).id != remains.id
    assert len(runtime.containers(wanted.labels)) == 1


@pytest.mark.parametrize("labels", [{}, {LABEL_APP: "1", LABEL_INSTALLATION: "another"}])
def test_a_strangers_container_does_not(
    runtime: Runtime, busybox: Image, client: docker.APIClient, labels: dict[str, str]
):
    stranger = client.create_container(busybox.id, name="web", labels=labels)["Id"]
    try:
        with pytest.raises(OperationFailed, match="not of this installation has the name web"):
            runtime.start(spec(busybox, name="web"))
        assert client.inspect_container("web")["Id"] == stranger
    finally:
        client.remove_container(stranger)


def test_every_container_is_fenced_in(runtime: Runtime, busybox: Image, client: docker.APIClient):
    found = client.inspect_container(runtime.start(spec(busybox, memory_mb=64)).id)["HostConfig"]
    assert found["SecurityOpt"] == ["no-new-privileges"]
    assert (found["Memory"], found["PidsLimit"]) == (64 << 20, 2048)
    assert (found["Privileged"], found["Init"], found["AutoRemove"]) == (False, False, False)
    assert found["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert found["RestartPolicy"]["Name"] in {"", "no"}
    assert found["CapDrop"] == ["NET_RAW"]


def test_an_engine_that_comes_back_starts_what_is_kept_and_not_what_was_stopped(
    runtime: Runtime, busybox: Image, client: docker.APIClient
):
    """``always``: under ``unless-stopped``, an Engine that was killed takes all for stopped."""
    container = runtime.start(spec(busybox))

    def policy() -> str:
        found = client.inspect_container(container.id)["HostConfig"]
        return str(found["RestartPolicy"]["Name"])

    runtime.keep(container)
    assert policy() == "always"
    runtime.stop(container, seconds=0)
    assert policy() == "no"
    runtime.resume(container)
    assert policy() == "always"


# --- The network -------------------------------------------------------------------------------


def test_the_host_reaches_containers_and_they_do_not_reach_each_other(
    runtime: Runtime, busybox: Image
):
    server = runtime.start(spec(busybox))
    assert get(server.address) == "web 1\n"
    ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2"
    itself, another = "127.0.0.1 8080", f"{server.address} 8080"
    first_itself = f"serve & until {ask} {itself}; do usleep 10000; done"
    status, text = run(runtime, shell(busybox, f"{first_itself}; {ask} {another}"))
    assert status != 0
    assert text.count("web 1\n") == 1, "a container reaches itself alone"


def test_a_container_reaches_the_hosts_addresses_but_not_what_listens_on_its_loopback(
    runtime: Runtime, busybox: Image
):
    find = (
        "ip route | while read first _ gateway _; do [ $first != default ] || echo $gateway; done"
    )
    _, gateway = run(runtime, shell(busybox, find))
    host = gateway.strip()
    with Backend("open", host) as open_to_it, Backend("closed") as closed:
        ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2"
        tries = f"{ask} {host} {open_to_it.target.port}; {ask} {host} {closed.target.port}"
        _, text = run(runtime, shell(busybox, f"{tries}; {ask} 127.0.0.1 {closed.target.port}"))
    assert "open /" in text
    assert closed.requests == 0
    assert text.count("refused") == 2, text


def test_many_processes_make_the_network_at_once_and_it_is_one(
    engine: PrivateEngine, busybox: Image, client: docker.APIClient
):
    third = SUBNET.split(".")
    own = {"network": "raced", "subnet": f"10.{third[1]}.{(int(third[2]) + 1) % 256}.0/24"}
    runtimes = [docker_engine(engine, **own) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda each: run(each, shell(busybox, "true")), runtimes))
    assert results == [(0, "")] * 8
    (network,) = client.networks(names=["raced"])
    assert network["Labels"] == {"enclave.network": "raced"}


def test_a_network_of_somebody_else_is_not_used(
    engine: PrivateEngine, busybox: Image, client: docker.APIClient
):
    client.create_network("theirs", driver="bridge")
    with pytest.raises(Misconfigured, match="network theirs is not Enclave's"):
        docker_engine(engine, network="theirs").start(spec(busybox))
    with pytest.raises(Misconfigured, match=f"network {NETWORK} has addresses in {SUBNET}"):
        docker_engine(engine, network="same-addresses").start(spec(busybox))
    with pytest.raises(Misconfigured, match=f"network {NETWORK} has the addresses {SUBNET}"):
        docker_engine(engine, subnet="10.199.0.0/24").start(spec(busybox))


# --- Keeping, stopping, finding ----------------------------------------------------------------


def test_a_kept_container_is_restarted_when_it_dies(runtime: Runtime, busybox: Image):
    wanted = shell(busybox, "echo life; sleep 1; exit 1")
    container = runtime.start(wanted)
    runtime.keep(container)
    poll(lambda: runtime.tail(container, lines=9).count("life") >= 2)
    poll(lambda: the_one(runtime, wanted).restarting)
    assert not the_one(runtime, wanted).running


def test_a_container_that_died_just_before_it_was_kept_is_started(runtime: Runtime, busybox: Image):
    container = runtime.start(shell(busybox, "echo life; exit 1"))
    with pytest.raises(ContainerDied):
        runtime.settle(container, seconds=5)
    runtime.keep(container)
    poll(lambda: runtime.tail(container, lines=9).count("life") >= 2)


def test_stop_and_resume(runtime: Runtime, busybox: Image):
    wanted = shell(busybox, "trap 'echo bye; exit 0' TERM; echo life; while :; do sleep 0.1; done")
    container = runtime.start(wanted)
    runtime.keep(container)
    poll(lambda: runtime.tail(container, lines=1) == ["life"])

    runtime.stop(container, seconds=10)
    stopped = the_one(runtime, wanted)
    assert (stopped.running, stopped.address) == (False, "")
    assert runtime.tail(container, lines=1) == ["bye"]
    runtime.stop(container, seconds=10)

    resumed = runtime.resume(stopped)
    assert (resumed.id, resumed.running) == (container.id, True)
    assert resumed.address
    assert runtime.resume(resumed).running


def test_what_does_not_hear_sigterm_is_killed(runtime: Runtime, busybox: Image):
    container = runtime.start(shell(busybox, "trap '' TERM; while :; do sleep 1; done"))
    before = time.monotonic()
    runtime.stop(container, seconds=1)
    assert 0.9 < time.monotonic() - before < 4


def test_what_is_gone_is_gone(runtime: Runtime, busybox: Image):
    container = runtime.start(spec(busybox))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(runtime.remove, [container] * 4))
    runtime.remove(container)
    runtime.stop(container, seconds=1)
    assert runtime.tail(container, lines=5) == []
    for late in (runtime.keep, runtime.resume, lambda c: runtime.settle(c, seconds=1)):
        with pytest.raises(ContainerDied, match="is gone"):
            late(container)


def test_containers_are_found_by_all_their_labels(runtime: Runtime, busybox: Image):
    both = {LABEL_APP: "1", LABEL_RELEASE: "7", LABEL_SERVICE: "web"}
    first = runtime.start(spec(busybox, labels={**both, LABEL_INDEX: "1"}))
    second = runtime.start(spec(busybox, labels={**both, LABEL_INDEX: "2"}))
    runtime.stop(second, seconds=0)

    found = {container.id: container for container in runtime.containers(both)}
    assert found[first.id] == first
    assert (found[second.id].running, found[second.id].labels[LABEL_INDEX]) == (False, "2")
    assert len(found) == 2
    assert [c.id for c in runtime.containers({**both, LABEL_INDEX: "1"})] == [first.id]
    assert runtime.containers({**both, LABEL_RELEASE: "8"}) == []


def test_the_last_lines(runtime: Runtime, busybox: Image):
    container = runtime.start(shell(busybox, "printf 'a\\r\\nb\\303\\n\\nlast'"))
    poll(lambda: not the_one_by_id(runtime, container).running)
    assert runtime.tail(container, lines=9) == ["a", "b\ufffd", "", "last"]
    assert runtime.tail(container, lines=1) == ["last"]


def test_a_line_of_many_parts_is_shown_whole_or_not_at_all(runtime: Runtime, busybox: Image):
    """The Engine's own tail would begin inside it: half a secret is not known for one."""
    long = "head -c {size} /dev/zero | tr '\\0' x; echo SECRET"
    script = "; ".join(
        [
            *["echo before"] * 3,
            long.format(size=40_000),
            "echo err >&2",
            "printf a; head -c 20000 /dev/zero | tr '\\0' y; echo >&2 apart; sleep 0.2; echo z",
        ]
    )
    container = runtime.start(shell(busybox, script))
    poll(lambda: not the_one_by_id(runtime, container).running)
    first = f"{'x' * 40_000}SECRET"
    for lines in range(1, 7):
        tail = runtime.tail(container, lines=lines)
        assert len(tail) == lines
        assert {line for line in tail if "SECRET" in line} <= {first}
    assert sorted(tail) == sorted(["before", "before", first, "err", "apart", f"a{'y' * 20_000}z"])

    endless = runtime.start(shell(busybox, long.format(size=1_000_000)))
    poll(lambda: not the_one_by_id(runtime, endless).running)
    assert runtime.tail(endless, lines=2) == [LEFT_OUT]


def the_one_by_id(runtime: Runtime, container: Container) -> Container:
    (found,) = runtime.containers(container.labels)
    return found


# --- When the Engine goes away -----------------------------------------------------------------


def test_an_engine_that_hangs_is_not_taken_for_a_healthy_service(
    engine: PrivateEngine, runtime: Runtime, busybox: Image
):
    container = runtime.start(spec(busybox))
    impatient = docker_engine(engine, timeout=1.0)
    assert impatient.containers(container.labels)
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        with pytest.raises(OperationFailed, match="did not answer within 1 s"):
            impatient.settle(container, seconds=0.2)
    finally:
        os.kill(engine.pid, signal.SIGCONT)


def test_an_engine_that_dies_meanwhile(tmp_path: Path):
    with PrivateEngine(tmp_path / "engine") as mortal, mortal.client() as client:
        build(mortal.url, "work:1", cmd=["/bin/work"])
        image_id = client.inspect_image("work:1")["Id"]
        number = int(SUBNET.split(".")[2])
        runtime = docker_engine(
            mortal,
            network=f"{NETWORK}-mortal",
            subnet=f"10.{SUBNET.split('.')[1]}.{(number + 2) % 256}.0/24",
        )
        ticking = threading.Event()
        wanted = ContainerSpec("mortal", image_id, {LABEL_APP: "1"})
        with ThreadPoolExecutor() as pool:
            result = pool.submit(runtime.run, wanted, output=lambda _: ticking.set(), seconds=60)
            assert ticking.wait(20)
            mortal.kill()
            with pytest.raises(OperationFailed, match=f"does not answer at {mortal.url}"):
                result.result(timeout=10)
