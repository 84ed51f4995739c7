"""What the pusher's git gets, byte for byte (gitprotocol-pack(5), report-status)."""

import io

import pytest
from dulwich.protocol import Protocol, pkt_line
from hypothesis import given
from hypothesis import strategies as st

from receiver.report import Report

STATUS, BAND = b"report-status", b"side-band-64k"


class Client:
    """Takes what is sent; reads the side bands apart as git's own client does."""

    def __init__(self, *capabilities: bytes) -> None:
        self.sent = b""
        self.report = Report(Protocol(io.BytesIO().read, self._take), capabilities)

    def _take(self, data: bytes) -> None:
        self.sent += data

    def band(self, number: int) -> bytes:
        """Return all that came on a band; every packet must be one of some band, or the flush."""
        stream, end, found = io.BytesIO(self.sent), len(self.sent), b""
        protocol = Protocol(stream.read, self._take)
        while stream.tell() < end:
            packet = protocol.read_pkt_line()
            if packet is None:
                assert stream.tell() == end, "the flush comes last"
                break
            assert packet[0] in (1, 2, 3)
            found += packet[1:] if packet[0] == number else b""
        return found


REFS = {"refs/heads/a": None, "refs/heads/b": "stale info: it moved"}
REPORT = b"000eunpack ok\n0014ok refs/heads/a\n0029ng refs/heads/b stale info: it moved\n0000"


class TestReport:
    @pytest.mark.parametrize("capability", [b"report-status", b"report-status-v2"])
    def test_without_a_side_band(self, capability: bytes) -> None:
        client = Client(capability)
        client.report.finish("ok", REFS)
        assert client.sent == REPORT

    def test_in_a_side_band(self) -> None:
        client = Client(STATUS, BAND)
        client.report.finish("ok", REFS)
        assert client.sent == pkt_line(b"\x01" + REPORT) + b"0000"

    def test_to_a_client_that_asked_for_none(self) -> None:
        client = Client(BAND)
        client.report.finish("ok", REFS)
        assert client.sent == b"0000"

    def test_of_a_failure_before_anything_may_have_moved(self) -> None:
        client = Client(STATUS, BAND)
        client.report.expect(REFS)
        client.report.fail("internal error 12ab")
        words = b"internal error 12ab"
        assert client.band(1).count(b"ng refs/heads/") == len(REFS)
        assert client.band(1).count(words) == len(REFS) + 1
        assert client.band(3) == b""

    def test_of_a_failure_after_that(self) -> None:
        client = Client(STATUS, BAND)
        client.report.expect(REFS)
        client.report.doubt()
        client.report.fail("internal error 12ab")
        assert (client.band(1), client.band(3)) == (b"", b"internal error 12ab\n")

    @pytest.mark.parametrize("quiet", [True, False])
    def test_git_s_progress_is_shown_unless_quiet_is_asked_for(self, *, quiet: bool) -> None:
        client = Client(STATUS, BAND, *([b"quiet"] if quiet else []))
        client.report.progress(b"Resolving deltas:  50% (1/2)\r")
        client.report.say(["the log of a deploy"])
        assert (b"50%" in client.band(2)) is not quiet
        assert b"the log of a deploy" in client.band(2)

    def test_of_a_pack_that_was_not_taken(self) -> None:
        client = Client(STATUS)
        client.report.finish("pack has bad object", {"a": "unpacker error"})
        assert client.sent == b"001funpack pack has bad object\n0018ng a unpacker error\n0000"

    @pytest.mark.parametrize(
        ("reason", "line"),
        [
            ("a\nb", "a"),
            ("  a \n b", "a"),
            ("\n\na", "a"),
            ("a\r\nb", "a"),
            ("a\x00\x1b[31mb\x7fc", "a [31mb c"),
            ("a\x9b31mb", "a 31mb"),
            ("a\tb", "a\tb"),
            ("é 😀", "é 😀"),
            ("x" * 200, "x" * 200),
            ("x" * 201, "x" * 199 + "…"),
            ("😀" * 300, "😀" * 199 + "…"),
        ],
    )
    def test_a_reason_is_one_short_line(self, reason: str, line: str) -> None:
        client = Client(STATUS)
        client.report.finish(reason, {"r": reason})
        assert client.sent == b"".join(
            [pkt_line(f"unpack {line}\n".encode()), pkt_line(f"ng r {line}\n".encode()), b"0000"]
        )

    def test_a_report_larger_than_a_packet_is_cut_where_git_puts_it_together(self) -> None:
        refs = {f"refs/heads/{number}": None for number in range(5000)}
        alone, banded = Client(STATUS), Client(STATUS, BAND)
        alone.report.finish("ok", refs)
        banded.report.finish("ok", refs)
        assert len(alone.sent) > 65520
        assert banded.band(1) == alone.sent

    @given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
    def test_whatever_the_reasons_are_git_can_read_them(self, unpack: str, reason: str) -> None:
        client = Client(STATUS)
        client.report.finish(unpack, {"r": reason})
        lines = list(Protocol(io.BytesIO(client.sent).read, client._take).read_pkt_seq())
        assert len(lines) == 2
        assert lines[0].startswith(b"unpack ")
        assert lines[1].startswith(b"ng r ")
        assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)


class TestWords:
    def test_lines_go_to_the_person(self) -> None:
        client = Client(STATUS, BAND)
        client.report.say(["INFO: a", "é"])
        client.report.say([])
        assert client.sent == pkt_line(b"\x02INFO: a\n\xc3\xa9\n")

    @pytest.mark.parametrize(
        ("line", "shown"),
        [
            ("a\nb\r\nc", "a b c"),
            ("a\x1b]0;title\x07b", "a ]0;title b"),
            ("a\x9b31mb", "a 31mb"),
            ("a\tb", "a\tb"),
            ("", ""),
        ],
    )
    def test_a_line_commands_no_terminal_and_stays_one(self, line: str, shown: str) -> None:
        client = Client(BAND)
        client.report.say([line])
        assert client.band(2).decode() == f"{shown}\n"

    def test_many_lines_come_in_as_many_packets_as_needed(self) -> None:
        client = Client(BAND)
        lines = ["x" * 8000] * 100
        client.report.say(lines)
        assert client.band(2).decode() == "".join(f"{line}\n" for line in lines)

    def test_without_a_side_band_there_is_nowhere_to_say_it(self) -> None:
        client = Client(STATUS)
        client.report.say(["a"])
        client.report.keep_alive()

    def test_a_keep_alive_is_gits_own_empty_packet(self) -> None:
        client = Client(BAND)
        client.report.keep_alive()
        assert client.sent == b"0005\x01"

    def test_before_side_bands_are_agreed_on_an_end_is_an_err(self) -> None:
        client = Client()
        client.report.end_without_verdict("why")
        assert client.sent == pkt_line(b"ERR why")

    def test_after_they_are_it_is_in_theirs(self) -> None:
        client = Client()
        client.report.agree({STATUS, BAND})
        client.report.end_without_verdict("why")
        assert client.sent == pkt_line(b"\x03why\n")

    def test_an_end_without_verdict_reports_neither_ok_nor_ng(self) -> None:
        client = Client(STATUS, BAND)
        client.report.end_without_verdict("the store is away")
        assert client.sent == pkt_line(b"\x03the store is away\n")
