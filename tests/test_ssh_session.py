"""What the SSH port offers, and how much of a client's input a session holds. Over loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from receiver.ssh_algorithms import MACS, ciphers
from receiver.ssh_session import GitSession

_WINDOW = 1 << 20
_SENT = 32 * _WINDOW
_BITE = 1 << 15

Serve = Callable[[GitSession], Awaitable[None]]


class _Open(asyncssh.SSHServer):
    """Lets everyone in."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve

    def begin_auth(self, username: str) -> bool:
        return False

    def session_requested(self) -> GitSession:
        return GitSession(self._serve, lambda: None)


@asynccontextmanager
async def _connection(
    serve: Serve, *, cipher: str = "", mac: str = ""
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    async with (
        asyncio.timeout(20),
        asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Open(serve),
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            encryption_algs=ciphers(),
            mac_algs=MACS,
            encoding=None,
            window=_WINDOW,
        ) as server,
        asyncssh.connect(
            "127.0.0.1",
            server.get_port(),
            known_hosts=None,
            client_keys=None,
            config=None,
            encryption_algs=[cipher] if cipher else (),
            mac_algs=[mac] if mac else (),
        ) as connection,
    ):
        yield connection


async def _end(session: GitSession) -> None:
    session.end(0)


def test_a_slow_reader_holds_a_few_windows_of_what_a_fast_client_sends() -> None:
    """However much the client has: see the note in ``GitSession``."""
    read, most = 0, 0
    sending: asyncssh.SSHWriter[bytes] | None = None

    async def serve(session: GitSession) -> None:
        nonlocal read, most
        while data := await session.read():
            for _ in range(0, len(data), _BITE):
                await asyncio.sleep(0.001)
                assert sending is not None
                most = max(most, _SENT - sending.channel.get_write_buffer_size() - read)
            read += len(data)
        session.end(0)

    async def converse() -> None:
        nonlocal sending
        async with _connection(serve) as connection:
            client = await connection.create_process("git-receive-pack", encoding=None)
            sending = client.stdin
            sending.write(bytes(_SENT))
            sending.write_eof()
            await client.wait_closed()

    asyncio.run(converse())
    assert read == _SENT
    assert most <= 3 * _WINDOW


@pytest.mark.parametrize("cipher", ["aes128-ctr", "aes256-ctr", "aes256-gcm@openssh.com"])
def test_old_and_new_clients_find_a_cipher(cipher: str) -> None:
    async def converse() -> None:
        async with _connection(_end, cipher=cipher, mac="hmac-sha2-256") as connection:
            assert connection.get_extra_info("recv_cipher") == cipher

    asyncio.run(converse())


def test_a_mac_with_a_short_tag_is_not_offered() -> None:
    async def converse() -> None:
        async with _connection(_end, cipher="aes128-ctr", mac="umac-64-etm@openssh.com"):
            pass

    with pytest.raises(asyncssh.KeyExchangeFailed):
        asyncio.run(converse())


def test_chacha_is_offered_only_where_aes_is_slow(tmp_path: Path) -> None:
    processor = tmp_path / "cpuinfo"
    processor.write_text("flags\t\t: fpu sse2 pni aes avx\n")
    assert ciphers(processor) == "-chacha20-poly1305@openssh.com"
    processor.write_text("Features\t: fp asimd crc32\n")
    assert ciphers(processor) == "default"
