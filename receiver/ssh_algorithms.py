"""Which ciphers and MACs the SSH port offers; the client's order decides (RFC 4253, 7.1).

OpenSSH's clients put ChaCha20-Poly1305 first. asyncssh makes that out of four primitives for each
packet, which cost a push of a large file a third more CPU here than AES does. So it is not offered
where the processor computes AES itself. Every client has AES in CTR mode, newer ones GCM.
"""

from __future__ import annotations

from pathlib import Path

from asyncssh.mac import get_mac_algs

_PROCESSOR = Path("/proc/cpuinfo")
_LONG_TAGS = (
    "umac-128-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "umac-128@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)

MACS = [name for name in _LONG_TAGS if name.encode() in get_mac_algs()]
"""For the CTR ciphers: tags as long as Poly1305's, where OpenSSH's own first choice has 64 bits.

asyncssh has UMAC only beside libnettle, and all the others always.
"""


def ciphers(processor: Path = _PROCESSOR) -> str:
    """Return asyncssh's ``encryption_algs``: its defaults, or those without ChaCha20-Poly1305."""
    computes_aes = "aes" in processor.read_text().split()
    return "-chacha20-poly1305@openssh.com" if computes_aes else "default"
