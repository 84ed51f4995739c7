"""Files are read out of an image without running it, whatever else the image holds."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator

import pytest
from bare_runtime import APP, built, docker_engine, imported, labels

from enclave.errors import OperationFailed
from testbed.engine import PrivateEngine
from testbed.layer import layer
from worker.runtime import LABEL_APP, Image
from worker.runtime.docker_engine import DockerEngine
from worker.runtime.image_files import only_file

PROCFILE = "/.aptible/Procfile"
YML = "/.aptible/.aptible.yml"
LIMIT = 65536
WEB = b"web: exec serve\n"

LINKS = {
    "links/absolute": "/.aptible/Procfile",
    "links/relative": "../.aptible/Procfile",
    "links/twice": "absolute",
    "links/out": "../../../../../../../../etc/secret-of-the-machine",
    "links/proc": "/proc/1/environ",
    "links/loop": "loop",
    "links/to": "fro",
    "links/fro": "to",
    "links/folder": "/.aptible",
    "links/up": "../../../../..",
    "links/device": "/odd/zero",
}


@pytest.fixture(scope="module")
def runtime(engine: PrivateEngine) -> DockerEngine:
    return docker_engine(engine)


@pytest.fixture(scope="module")
def plain(engine: PrivateEngine, runtime: DockerEngine) -> Image:
    """Neither CMD nor ENTRYPOINT."""
    return built(engine, runtime, "files:1", files={PROCFILE: WEB, "/etc/empty": b""})


@pytest.fixture(scope="module")
def hostile(engine: PrivateEngine, runtime: DockerEngine) -> Image:
    buffer = io.BytesIO(layer({PROCFILE: WEB, "/etc/of-the-image": b"mine\n"}))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        for name in ("links", "odd"):
            tar.addfile(entry(name, tarfile.DIRTYPE, mode=0o755))
        for name, target in LINKS.items():
            tar.addfile(entry(name, tarfile.SYMTYPE, linkname=target))
        tar.addfile(entry("odd/hard", tarfile.LNKTYPE, linkname=PROCFILE.lstrip("/")))
        tar.addfile(entry("odd/zero", tarfile.CHRTYPE, devmajor=1, devminor=5))
        tar.addfile(entry("odd/disk", tarfile.BLKTYPE, devmajor=7, devminor=0))
        tar.addfile(entry("odd/pipe", tarfile.FIFOTYPE))
        tar.addfile(entry("odd/large", tarfile.REGTYPE, size=LIMIT + 1), io.BytesIO(bytes(70000)))
        tar.addfile(entry("odd/full", tarfile.REGTYPE, size=LIMIT), io.BytesIO(bytes(LIMIT)))
        tar.addfile(entry("odd/unreadable", tarfile.REGTYPE, size=3, mode=0), io.BytesIO(b"any"))
    changes = ['ENTRYPOINT ["/bin/no-such"]', "USER nobody", "WORKDIR /odd", "VOLUME /.aptible"]
    return imported(engine, runtime, "files-hostile:1", buffer.getvalue(), changes)


def entry(name: str, kind: bytes, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in fields.items():
        setattr(made, field, value)
    return made


@pytest.fixture(autouse=True)
def nothing_is_left(runtime: DockerEngine) -> Iterator[None]:
    yield
    assert runtime.containers({LABEL_APP: APP}) == []


def read(runtime: DockerEngine, image: Image, *paths: str) -> dict[str, bytes]:
    return runtime.files(image, paths, limit=LIMIT, name="bare-files", labels=labels())


def refusal(runtime: DockerEngine, image: Image, path: str) -> str:
    with pytest.raises(OperationFailed) as refused:
        read(runtime, image, path)
    return str(refused.value)


def test_what_is_there_is_returned_and_what_is_not_is_left_out(
    runtime: DockerEngine, plain: Image
) -> None:
    assert read(runtime, plain, PROCFILE, YML) == {PROCFILE: WEB}
    assert read(runtime, plain, "/etc/empty", f"{PROCFILE}/below-a-file") == {"/etc/empty": b""}
    assert read(runtime, plain) == {}


def test_the_image_is_not_run(engine: PrivateEngine, runtime: DockerEngine, hostile: Image) -> None:
    """Its program does not exist, and its user may read nothing."""
    with engine.client() as client:
        assert read(runtime, hostile, "/odd/unreadable") == {"/odd/unreadable": b"any"}
        now = int(time.time()) + 1
        events = list(client.events(since=now - 60, until=now, decode=True))
    of_it = [e["Action"] for e in events if e["Actor"]["Attributes"].get("image") == hostile.id]
    assert "create" in of_it
    assert "start" not in of_it


def test_links_are_followed_inside_the_image(runtime: DockerEngine, hostile: Image) -> None:
    paths = [
        "/links/absolute",
        "/links/relative",
        "/links/twice",
        "/links/folder/Procfile",
        "/links/up/.aptible/Procfile",
        "/odd/hard",
    ]
    assert read(runtime, hostile, *paths) == dict.fromkeys(paths, WEB)
    own = "/links/up/etc/of-the-image"
    assert read(runtime, hostile, own) == {own: b"mine\n"}


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/links/out", "/links/out in the image is a link to /etc/secret-of-the-machine, where no"),
        ("/links/proc", "is a link to /proc/1/environ, where nothing is"),
        ("/links/loop", "/links/loop in the image is a symbolic link that leads in a circle"),
        ("/links/to", "leads in a circle"),
        ("/links/loop/Procfile", "leads in a circle"),
        ("/links/folder", "/links/folder in the image is a directory, where a file should be"),
        ("/links/device", "/links/device in the image is a device"),
        ("/odd", "/odd in the image is a directory"),
        ("/odd/zero", "is a device"),
        ("/odd/disk", "is a device"),
        ("/odd/pipe", "is a named pipe"),
        ("/odd/large", "/odd/large in the image is too large: it has 65537 bytes, and may have 65"),
    ],
)
def test_what_is_no_file_is_refused_by_its_name(
    runtime: DockerEngine, hostile: Image, path: str, sentence: str
) -> None:
    assert sentence in refusal(runtime, hostile, path)


def test_a_file_may_be_as_large_as_the_limit(runtime: DockerEngine, hostile: Image) -> None:
    assert read(runtime, hostile, "/odd/full") == {"/odd/full": bytes(LIMIT)}


def test_a_huge_sparse_file_is_not_fetched(engine: PrivateEngine, runtime: DockerEngine) -> None:
    """It takes no room on the Engine's disk, and would take 8 GB of memory here."""
    base = built(engine, runtime, "sparse-base:1")
    with engine.client() as client:
        make = "mkdir /.aptible; truncate -s 8G /.aptible/Procfile"
        made = client.create_container(
            base.id,
            ["/bin/sh", "-c", make],
            host_config=client.create_host_config(network_mode="none"),
        )["Id"]
        client.start(made)
        assert client.wait(made)["StatusCode"] == 0
        # A commit of 8 GB would take long: the container's own tree is what the reader sees, too.
        found = runtime._files._find(made, "sparse", PROCFILE, LIMIT)
        client.remove_container(made)
    assert found is not None
    assert (found.size, found.archive) == (8 << 30, b"")


def test_the_remains_of_a_dead_attempt_are_replaced(
    engine: PrivateEngine, runtime: DockerEngine, plain: Image
) -> None:
    with engine.client() as client:
        client.create_container(plain.id, ["x"], name="bare-files", labels=labels())
    assert read(runtime, plain, PROCFILE) == {PROCFILE: WEB}


def test_an_image_that_is_gone(engine: PrivateEngine, runtime: DockerEngine) -> None:
    doomed = built(engine, runtime, "doomed:1")
    with engine.client() as client:
        client.remove_image(doomed.id, force=True)
    assert "could not create the container bare-files: No such image" in refusal(
        runtime, doomed, PROCFILE
    )


def archive(*members: tarfile.TarInfo, content: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(content) if member.size else None)
    return buffer.getvalue()


HONEST = archive(entry("Procfile", tarfile.REGTYPE, size=16), content=WEB)


@pytest.mark.parametrize(
    "hostile_archive",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"no archive" * 100, id="noise"),
        pytest.param(HONEST[:520], id="cut-off"),
        pytest.param(archive(entry("p", tarfile.SYMTYPE, linkname="/etc/passwd")), id="link"),
        pytest.param(archive(entry("p", tarfile.LNKTYPE, linkname="/etc/passwd")), id="hard-link"),
        pytest.param(archive(entry("p", tarfile.DIRTYPE)), id="directory"),
        pytest.param(archive(entry("p", tarfile.CHRTYPE)), id="device"),
        pytest.param(archive(entry("p", tarfile.REGTYPE, size=17), content=b"a" * 17), id="large"),
        pytest.param(entry("p", tarfile.REGTYPE, size=1 << 40).tobuf(), id="huge-in-words"),
        pytest.param(entry("p", tarfile.GNUTYPE_SPARSE, size=1 << 40).tobuf(), id="sparse"),
    ],
)
def test_a_hostile_archive_gives_no_file(hostile_archive: bytes) -> None:
    with pytest.raises(OperationFailed, match=r"could not give /Procfile in the image"):
        only_file(hostile_archive, "/Procfile", limit=16)


def test_an_honest_archive_gives_its_file() -> None:
    assert only_file(HONEST, "/Procfile", limit=16) == WEB


def test_somebody_removes_the_container_meanwhile(
    runtime: DockerEngine,
    plain: Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create = type(runtime._containers).create

    def create_and_lose(*arguments: object, **options: object) -> str:
        identifier = create(*arguments, **options)  # type: ignore[arg-type]
        runtime._containers.remove(identifier)
        return identifier

    monkeypatch.setattr(type(runtime._containers), "create", create_and_lose)
    assert "is gone: somebody removed it" in refusal(runtime, plain, PROCFILE)
