"""Packs that nobody vouches for, taken in by a real git over a real wire (DESIGN 3.2, 3.4)."""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from bare_repository import FOLDER, BareRepository
from dulwich.objects import Blob
from taking_in import SILENT, entry, handmade, packed, slots_for, take_in

from enclave.errors import PushRefused
from enclave.settings import Settings
from hooks.git import Objects
from hooks.objects import ObjectReader
from receiver.pump import pump
from receiver.quarantine import Quarantine
from receiver.repository import ensure_repository
from receiver.slots import Slots
from receiver.wire import Wire

_BLOB, _REF_DELTA = 3, 7


@pytest.fixture
def client(tmp_path: Path) -> BareRepository:
    """Where a client packs from."""
    return BareRepository(tmp_path / "client.git")


@pytest.fixture
def server(tmp_path: Path) -> BareRepository:
    return BareRepository(tmp_path / "repositories" / "1.git")


def files(server: BareRepository) -> set[Path]:
    return {path for path in (server.path / "objects").rglob("*") if path.is_file()}


class TestAGoodPack:
    def test_is_in_quarantine_only_until_it_is_kept(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        commit = client.commit(files={"a": b"1"})

        def judge(quarantine: Quarantine) -> None:
            with ObjectReader(quarantine.objects) as reader:
                assert reader.info(commit) is not None
            with ObjectReader(server.objects) as reader:
                assert reader.info(commit) is None
            quarantine.keep()

        take_in(server, packed(client, commit), judge=judge)
        with ObjectReader(server.objects) as reader:
            assert reader.info(commit) is not None
        assert {path.suffix for path in files(server)} >= {".pack", ".idx"}
        assert list((server.path / "objects").glob("incoming-*")) == []

    def test_that_is_not_kept_leaves_nothing(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        take_in(server, packed(client, client.commit()))
        assert files(server) == set()
        assert {path.name for path in (server.path / "objects").iterdir()} <= {"pack", "info"}

    def test_the_pack_is_in_place_before_its_index(
        self, client: BareRepository, server: BareRepository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moved: list[str] = []
        rename = Path.rename

        def noted(path: Path, target: Path) -> Path:
            moved.append(path.suffix)
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", noted)
        take_in(server, packed(client, client.commit()), judge=Quarantine.keep)
        assert moved[0] == ".pack"
        assert moved[-1] == ".idx"

    def test_may_rest_on_what_the_repository_has(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        text = os.urandom(3000)
        old = client.commit(files={"a": text})
        new = client.commit(old, files={"a": text + b"more"})
        take_in(server, packed(client, old), judge=Quarantine.keep)
        take_in(server, packed(client, new, f"^{old}", thin=True), judge=Quarantine.keep)
        with ObjectReader(server.objects) as reader:
            blob = client.blob(text + b"more")
            assert reader.contents(blob, limit=4000) == text + b"more"

    def test_of_a_million_bytes_comes_whole_while_nobody_speaks(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        commit = client.commit(files={"a": os.urandom(1 << 20)})
        take_in(server, packed(client, commit), ends=False)

    def test_without_objects(self, client: BareRepository, server: BareRepository) -> None:
        take_in(server, packed(client), judge=Quarantine.keep)


class TestABadPack:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"PACK",
            b"PACK\0\0\0\2",
            b"JUNK" + b"\0" * 100,
            b"0000" * 10,
            b"GET / HTTP/1.1\r\n\r\n",
        ],
    )
    def test_that_is_none(self, server: BareRepository, data: bytes) -> None:
        with pytest.raises(PushRefused, match="no pack came"):
            take_in(server, data)
        assert files(server) == set()

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda pack: pack[:40], "early EOF"),
            (lambda pack: pack[:-20], "early EOF"),
            (lambda pack: pack[:-1], "early EOF"),
            (lambda pack: pack[:-1] + bytes([pack[-1] ^ 1]), "corrupted"),
            (lambda pack: pack[:12] + os.urandom(200), "."),
            (lambda pack: pack[:4] + b"\0\0\0\7" + pack[8:], "."),
            (lambda pack: pack[:8] + b"\xff" * 4 + pack[12:], "."),
        ],
        ids=["cut", "no sum", "half a sum", "wrong sum", "noise", "version 7", "count"],
    )
    def test_that_is_broken(
        self,
        client: BareRepository,
        server: BareRepository,
        change: Callable[[bytes], bytes],
        said: str,
    ) -> None:
        pack = packed(client, client.commit(files={"a": os.urandom(1000)}))
        with pytest.raises(PushRefused, match=said) as refused:
            take_in(server, change(pack))
        assert str(refused.value)
        assert files(server) == set()

    def test_that_is_too_big(self, client: BareRepository, server: BareRepository) -> None:
        pack = packed(client, client.commit(files={"a": os.urandom(300_000)}))
        with pytest.raises(PushRefused, match="exceeds maximum allowed size"):
            take_in(server, pack, push_bytes=100_000)
        assert files(server) == set()
        take_in(server, pack, push_bytes=400_000)

    def test_that_lacks_an_object(self, client: BareRepository, server: BareRepository) -> None:
        tree = client.tree({"a": b"1"})
        commit = client.unstored_commit([], tree)
        raw = commit.as_raw_string()
        pack = handmade(entry(1, len(raw), raw))
        with pytest.raises(PushRefused):
            take_in(server, pack)
        assert files(server) == set()
        take_in(server, pack, strict=False)  # of a shallow push, which is refused anyway

    @pytest.mark.parametrize("name", [".git", "..", ".GIT", "git~1"])
    def test_that_would_write_outside_a_working_tree(
        self, client: BareRepository, server: BareRepository, name: str
    ) -> None:
        commit = client.commit(files={name: (FOLDER, client.tree({"config": b"x"}))})
        with pytest.raises(PushRefused):
            take_in(server, packed(client, commit))
        assert files(server) == set()

    def test_that_is_small_and_unpacks_to_a_gigabyte(self, server: BareRepository) -> None:
        take_in(server, _bomb(copies=3), push_delta_bytes=21 << 20)
        with pytest.raises(PushRefused, match=r"comes as a delta: .* Try git -c core.bigFile"):
            take_in(server, _bomb(copies=3), push_delta_bytes=(21 << 20) - 1)
        bomb = _bomb(copies=146)
        assert len(bomb) < 10_000
        with pytest.raises(
            PushRefused, match=r"an object of \d{10} bytes comes as a delta: at most"
        ):
            take_in(server, bomb)
        with pytest.raises(PushRefused, match=r"an object of \d{10} bytes: at most 536870912 are"):
            take_in(server, bomb, push_object_bytes=512 << 20)
        with pytest.raises(PushRefused, match="would take more than 256 MiB of memory"):
            take_in(server, bomb, push_memory_bytes=256 << 20, push_delta_bytes=2 << 30)
        assert files(server) == set()

    def test_that_is_a_bomb_is_refused_in_little_memory(self, server: BareRepository) -> None:
        """A gigabyte from 8 KB is refused before it is made: by no more than git and its base."""
        bomb = server.path.parent / "bomb"
        bomb.write_bytes(_bomb(copies=146))
        script = (
            "import resource, sys; from pathlib import Path; import test_quarantine as t;"
            "from bare_repository import BareRepository; path, bomb = map(Path, sys.argv[1:])\n"
            "try: t.take_in(BareRepository(path), bomb.read_bytes())\n"
            "except t.PushRefused: print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        measured = subprocess.run(
            [sys.executable, "-c", script, str(server.path), str(bomb)],
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONPATH": f"{Path(__file__).parents[1]}"},
            capture_output=True,
            check=True,
            timeout=30,
        )
        assert int(measured.stdout) << 10 < 64 << 20

    @pytest.mark.parametrize("threshold", ["streamed", "in memory"])
    def test_with_an_object_over_the_limit(
        self, threshold: str, client: BareRepository, server: BareRepository
    ) -> None:
        size = 17 << 20
        zeros = bytes(size)
        if threshold == "in memory":  # a commit that says so much, where a file would be streamed
            commit = client.unstored_commit([], client.tree({}))
            commit.message = b"x" * (size - len(commit.as_raw_string()) + len(commit.message))
            pack = packed(client, client.add(commit))
        else:
            pack = packed(client, client.commit(files={"zeros": zeros}))
        take_in(server, pack, push_object_bytes=size)
        with pytest.raises(PushRefused, match=f"an object of {size} bytes: at most {size - 1}"):
            take_in(server, pack, push_object_bytes=size - 1)
        assert files(server) == set()

    def test_of_too_many_objects(self, client: BareRepository, server: BareRepository) -> None:
        pack = packed(client, client.commit(files={"a": b"1"}))
        take_in(server, pack, push_objects=3)
        with pytest.raises(PushRefused, match="a pack of 3 objects: at most 2 are taken"):
            take_in(server, pack, push_objects=2)
        assert files(server) == set()

    def test_that_takes_too_much_cpu(self, server: BareRepository) -> None:
        """Deltas that make 200 MB each, one on the other: small, slow, and within every size."""
        with pytest.raises(PushRefused, match="more than 1s of CPU"):
            take_in(server, _slow_bomb(deltas=40), push_cpu_seconds=1)
        assert files(server) == set()


def _bomb(*, copies: int) -> bytes:
    """Return a pack with a blob of 7 MiB, and a delta that copies it many times."""
    base = bytes(7 << 20)
    copy_all = b"\xf0" + len(base).to_bytes(3, "little")
    delta = _varint(len(base)) + _varint(len(base) * copies) + copy_all * copies
    base_id = bytes.fromhex(Blob.from_string(base).id.decode())
    return handmade(
        entry(_BLOB, len(base), base), entry(_REF_DELTA, len(delta), delta, base=base_id)
    )


def _slow_bomb(*, deltas: int) -> bytes:
    """Return a pack of a blob, and deltas that each make 200 MB of it, for git to hash."""
    base = bytes(7 << 20)
    copy_all = b"\xf0" + len(base).to_bytes(3, "little")
    base_id = bytes.fromhex(Blob.from_string(base).id.decode())
    entries = [entry(_BLOB, len(base), base)]
    for number in range(deltas):
        insert = bytes([2]) + number.to_bytes(2)
        delta = _varint(len(base)) + _varint(len(base) * 28 + 2) + copy_all * 28 + insert
        entries.append(entry(_REF_DELTA, len(delta), delta, base=base_id))
    return handmade(*entries)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


class TestAClient:
    @pytest.mark.parametrize("sent", [0.0, 0.5])
    def test_that_falls_silent_is_given_up(
        self, client: BareRepository, server: BareRepository, sent: float
    ) -> None:
        pack = packed(client, client.commit(files={"a": os.urandom(1000)}))
        pieces = [pack[: 12 + int(len(pack) * sent)]]
        settings = Settings(data=server.path.parent.parent, free_disk_bytes=0, push_idle_seconds=7)
        wire = Wire()

        async def read() -> bytes:
            if pieces:
                return pieces.pop()
            await asyncio.Event().wait()
            return b""

        async def write(data: bytes) -> None:
            raise AssertionError(data)

        transport = threading.Thread(target=lambda: asyncio.run(pump(wire, read, write, idle=0.15)))
        transport.start()
        try:
            with (
                pytest.raises(PushRefused, match="nothing came for 7s"),
                Quarantine(server.path) as quarantine,
            ):
                quarantine.take_in(wire, settings, slots_for(settings), user_id=1, talk=SILENT)
        finally:
            wire.close_handler_end()
            transport.join(10)
        assert not transport.is_alive()
        assert files(server) == set()

    def test_that_trickles_is_given_up_at_the_deadline_and_kept_awake_till_then(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        pack = packed(client, client.commit())
        kept_awake: list[float] = []
        with pytest.raises(PushRefused, match="took longer than"):
            take_in(
                server,
                pack[:-1],
                ends=False,
                push_seconds=0.3,
                keepalive_seconds=0.05,
                silence=lambda: kept_awake.append(time.monotonic()),
            )
        assert 2 <= len(kept_awake) <= 6
        assert files(server) == set()

    def test_whose_going_away_shows_while_git_works_ends_the_work(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        def silence() -> None:
            raise BrokenPipeError

        with pytest.raises(BrokenPipeError):
            take_in(
                server,
                packed(client, client.commit())[:-1],
                ends=False,
                keepalive_seconds=0.05,
                silence=silence,
            )
        assert files(server) == set()


class TestTheServer:
    def test_without_disk(self, client: BareRepository, server: BareRepository) -> None:
        with pytest.raises(PushRefused, match="disk is almost full"):
            take_in(server, packed(client, client.commit()), free_disk_bytes=1 << 60)

    def test_with_less_disk_than_the_limit_takes_what_fits(
        self, client: BareRepository, server: BareRepository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "receiver.quarantine.shutil.disk_usage", lambda _path: SimpleNamespace(free=300_000)
        )
        pack = packed(client, client.commit(files={"a": os.urandom(150_000)}))
        take_in(server, pack, free_disk_bytes=100_000)
        with pytest.raises(PushRefused, match="disk is almost full"):
            take_in(server, pack, free_disk_bytes=200_000)

    def test_whose_disk_fills_while_a_pack_comes(
        self, client: BareRepository, server: BareRepository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("receiver.index_pack._LOOK_SECONDS", 0.05)
        free = iter([1 << 30] * 3)
        monkeypatch.setattr(
            "receiver.quarantine.shutil.disk_usage",
            lambda _path: SimpleNamespace(free=next(free, 0)),
        )
        with pytest.raises(PushRefused, match="disk is almost full"):
            take_in(server, packed(client, client.commit())[:-1], ends=False)
        assert files(server) == set()

    def test_has_its_slot_back_however_a_push_ends(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        slots = Slots(1, share=1, slow=0)
        for data in (packed(client, client.commit()), b"JUNK" * 10):
            wire = Wire()
            wire.transport_end.send(data)
            wire.end_input()
            settings = Settings(data=server.path.parent.parent, free_disk_bytes=0)
            with suppress(PushRefused), Quarantine(server.path) as quarantine:
                quarantine.take_in(wire, settings, slots, user_id=1, talk=SILENT)
            wire.close_handler_end()
            wire.transport_end.close()
            with slots.taken(1, wire):
                pass


class TestProgress:
    def test_is_git_s_own_once_the_pack_is_here(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        lines: list[bytes] = []
        take_in(server, _bomb(copies=2), progress=lines.append)
        assert lines[-1] == b"Resolving deltas: 100% (1/1), done.\n"

    def test_silence_is_kept_until_the_pack_is_here_if_the_client_does_not_listen(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        kept_awake: list[float] = []
        with pytest.raises(PushRefused, match="took longer than"):
            take_in(
                server,
                packed(client, client.commit())[:-1],
                ends=False,
                early=False,
                push_seconds=0.3,
                keepalive_seconds=0.05,
                silence=lambda: kept_awake.append(time.monotonic()),
            )
        assert kept_awake == []


class TestDurability:
    def test_all_is_on_the_disk_before_it_counts(
        self,
        client: BareRepository,
        server: BareRepository,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Pack and index by git itself, which says how often it flushed; then the folder."""
        trace = tmp_path / "trace"
        environment = Objects.environment
        monkeypatch.setattr(
            Objects,
            "environment",
            lambda self: environment(self) | {"GIT_TRACE2_EVENT": f"{trace}"},
        )
        done: list[str] = []
        rename, fsync = Path.rename, os.fsync

        def note_rename(path: Path, target: Path) -> Path:
            done.append(f"rename {target.suffix} into {target.parent.name}")
            return rename(path, target)

        def note_fsync(descriptor: int) -> None:
            done.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
            fsync(descriptor)

        def keep(quarantine: Quarantine) -> None:
            flushes = re.findall(r'hardware-flush","value":"(\d+)"', trace.read_text())
            assert flushes == ["2"]
            monkeypatch.setattr(Path, "rename", note_rename)
            monkeypatch.setattr(os, "fsync", note_fsync)
            quarantine.keep()

        take_in(server, packed(client, client.commit()), judge=keep)
        assert done == ["rename .pack into pack", "rename .idx into pack", "fsync pack"]

    def test_so_is_a_new_repository(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[str] = []
        fsync = os.fsync

        def note(descriptor: int) -> None:
            synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", note)
        ensure_repository(tmp_path / "repositories" / "9.git")
        assert synced[-4:] == ["pack", "objects", "9.git", "repositories"]
        assert any("HEAD" in name for name in synced)
        assert any("config" in name for name in synced)


class TestARepository:
    def test_killed_while_it_is_made_is_made_the_next_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "repositories" / "9.git"
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", _killed)
            with pytest.raises(KeyboardInterrupt):
                ensure_repository(path)
        assert not path.exists()
        ensure_repository(path)
        assert (path / "HEAD").is_file()
        assert (path / "objects" / "pack").is_dir()
        assert list(path.parent.iterdir()) == [path]

    def test_is_made_once_by_many(self, tmp_path: Path) -> None:
        path = tmp_path / "repositories" / "9.git"
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ensure_repository, [path] * 8))
        assert list(path.parent.iterdir()) == [path]
        assert (path / "HEAD").is_file()


def _killed(_path: Path, _target: Path) -> None:
    raise KeyboardInterrupt
