"""What commands print: lines, cuts, secrets, and more of it than a log takes."""

import tracemalloc
from base64 import b64encode, urlsafe_b64encode

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.app import AppSecrets
from enclave.credentials import RegistryCredentials
from worker.command_output import CommandOutput, OutputBudget
from worker.plain_text import plain_text
from worker.redaction import MASK, Redactor, secrets_of

CUT = 8192
CUT_MARK = "-- cut --"
SECRET = "hunter2-and-then-some"
PLAIN = st.characters(
    codec="utf-8",
    exclude_characters="\n[]\u2028\u2029\ufeff",
    exclude_categories=["Cc", "Cf", "Cs"],
)
"""What a secret is made of here: what a line can hold, without what the mask itself holds."""


class Kept:
    """Stands where ``OperationLog`` would: redacts whole lines as that does, and cuts none."""

    def __init__(self, *secrets: str, head: int = 100 << 20, tail: int = 0) -> None:
        self.redactor = Redactor(secrets)
        self.raw: list[str] = []
        self.warnings: list[str] = []
        self.drawn: list[str] = []
        self.output = CommandOutput(self, self.redactor, OutputBudget(head, 2 * tail))

    def put_output(self, line: str) -> None:
        self.raw.append(plain_text(line))

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        self.raw.append(CUT_MARK)

    def progress(self, text: str) -> None:
        self.drawn.append(text)

    @property
    def lines(self) -> list[str]:
        return [self.redactor.redact(line) for line in self.raw]

    def take(self, *chunks: bytes) -> list[str]:
        for chunk in chunks:
            self.output(chunk)
        self.output.close()
        return self.lines


class TestCommandOutput:
    @pytest.mark.parametrize(
        ("chunks", "lines"),
        [
            ([], []),
            ([b""], []),
            ([b"a"], ["a"]),
            ([b"a\n"], ["a"]),
            ([b"a\nb"], ["a", "b"]),
            ([b"a", b"b\nc", b"\n"], ["ab", "c"]),
            ([b"\n\n"], ["", ""]),
            ([b"a\r\nb\r\n"], ["a", "b"]),
            ([b"a\r", b"\nb"], ["a", "b"]),
            (["é".encode()[:1], "é".encode()[1:]], ["é"]),
            ([b"\xff\n"], ["\ufffd"]),
            (["é".encode()[:1]], ["\ufffd"]),
            ([b"10%\r20%\r100%\n"], ["100%"]),
            ([b"10%\r", b"20%\r", b"100%\r\n"], ["100%"]),
            ([b"10%\r20%\r"], ["20%"]),
            ([b"10%\r", b"\n"], ["10%"]),
        ],
    )
    def test_chunks_end_anywhere_lines_at_line_breaks(
        self, chunks: list[bytes], lines: list[str]
    ) -> None:
        assert Kept().take(*chunks) == lines

    @pytest.mark.parametrize("split", range(1, len(SECRET)))
    def test_a_secret_across_two_chunks(self, split: int) -> None:
        line = f"the token is {SECRET}!".encode()
        at = 13 + split
        assert Kept(SECRET).take(line[:at], line[at:]) == [f"the token is {MASK}!"]

    @pytest.mark.parametrize("size", [1, 100, CUT, 65536, 1 << 20])
    def test_a_line_without_end_is_cut_and_nothing_is_lost(self, size: int) -> None:
        text = "".join(chr(33 + at % 94) for at in range(3 * CUT))
        chunks = [text[at : at + size].encode() for at in range(0, len(text), size)]
        lines = Kept(SECRET).take(*chunks)
        assert "".join(lines) == text
        assert all(len(line) % CUT == 0 for line in lines[:-1])

    def test_output_without_line_breaks_is_not_gathered(self) -> None:
        kept = Kept(SECRET)
        for _ in range(64):
            kept.output(b"x" * 65536)
        assert sum(len(line) for line in kept.raw) > 64 * 65536 - 4 * CUT

    @pytest.mark.parametrize("before", [*range(CUT - 30, CUT + 60, 7), 2 * CUT - 5])
    @pytest.mark.parametrize("size", [1, 4096, 1 << 20])
    def test_a_secret_where_a_line_is_cut(self, before: int, size: int) -> None:
        data = ("x" * before + SECRET + "y" * CUT).encode()
        lines = Kept(SECRET).take(*(data[at : at + size] for at in range(0, len(data), size)))
        assert "".join(lines) == "x" * before + MASK + "y" * CUT

    @pytest.mark.parametrize("come", range(1, len(SECRET)))
    def test_a_chunk_that_ends_inside_a_secret_where_a_later_line_is_cut(self, come: int) -> None:
        for before in (2 * CUT - 5, 2 * CUT - come):
            text = "x" * before + SECRET
            lines = Kept(SECRET).take(text[: before + come].encode(), SECRET[come:].encode())
            assert "".join(lines) == "x" * before + MASK

    @pytest.mark.parametrize("tail", range(len(SECRET)))
    def test_masks_that_are_shorter_than_their_secrets_bring_no_cut_too_near(
        self, tail: int
    ) -> None:
        secret = SECRET * 3
        count = CUT // len(secret) + 3
        data = (secret * count + secret[:tail]).encode()
        lines = Kept(secret).take(data, secret[tail:].encode())
        assert "".join(lines) == MASK * (count + 1)

    @pytest.mark.parametrize("before", [0, CUT - 100, CUT - 1, 2 * CUT - 300])
    @pytest.mark.parametrize("size", [1, 37, 4096, 1 << 20])
    def test_a_token_across_chunks_and_cuts(self, before: int, size: int) -> None:
        claims = {f"role-{number}": "a group of people" for number in range(100)}
        token = jwt.encode(claims, "k" * 64, "HS512")
        data = ("x" * before + f" {token} " + "y" * CUT).encode()
        lines = Kept().take(*(data[at : at + size] for at in range(0, len(data), size)))
        assert "".join(lines) == "x" * before + f" {MASK} " + "y" * CUT

    @pytest.mark.parametrize("urlsafe", [True, False])
    def test_a_pair_of_user_and_password_across_chunks(self, *, urlsafe: bool) -> None:
        """As a tool prints it that is asked to show the headers it sends."""
        credentials = RegistryCredentials("example.com", "robot", "p~?>w/rd+§ and more")
        secrets = secrets_of(AppSecrets(credentials=credentials))
        encode = urlsafe_b64encode if urlsafe else b64encode
        pair = encode(f"robot:{credentials.password}".encode())
        line = b"Authorization: Basic " + pair
        for at in range(len(line)):
            (said,) = Kept(*secrets).take(line[:at], line[at:])
            assert said.rstrip("=") == f"Authorization: Basic {MASK}"

    def test_the_configurations_marked_values_across_chunks(self) -> None:
        secrets = secrets_of(
            AppSecrets({"MY_API_KEY": "sk-live-0123456789", "PORT": "12345678", "URL": "a://b:c@d"})
        )
        said = Kept(*secrets).take(b"sk-live-", b"0123456789 12345678 a://b:c@d sk-live-\n")
        assert said == [f"{MASK} 12345678 a://b:c@d sk-live-"]

    def test_a_secret_that_goes_on_as_a_longer_one(self) -> None:
        longer = SECRET + "-and-more-of-it"
        data = ("x" * (CUT + 30) + SECRET).encode()
        lines = Kept(SECRET, longer).take(data, b"-and-more-of-it")
        assert "".join(lines) == "x" * (CUT + 30) + MASK

    @pytest.mark.parametrize("junk", ["\x1b[31m", "\x1b[0;1m", "\x00", "\x1b]0;t\x07"])
    def test_junk_inside_a_secret_where_a_line_is_cut(self, junk: str) -> None:
        dressed = junk.join(SECRET)
        for before in range(CUT - len(dressed), CUT + len(dressed), 11):
            lines = Kept(SECRET).take(("x" * before + dressed + "y" * CUT).encode())
            assert "".join(lines) == "x" * before + MASK + "y" * CUT

    @given(
        secret=st.text(PLAIN, min_size=8, max_size=40),
        around=st.lists(st.text(PLAIN, max_size=20), min_size=2, max_size=6),
        times=st.integers(1, 400),
        stretch=st.integers(0, CUT + 100),
        cuts=st.lists(st.integers(1, 9000), min_size=1, max_size=12),
    )
    def test_a_secret_never_appears_however_its_chunks_are_cut(
        self, secret: str, around: list[str], times: int, stretch: int, cuts: list[int]
    ) -> None:
        text = "·" * stretch + secret.join(around * times)
        data, chunks = text.encode(), []
        for size in cuts:
            chunks.append(data[:size])
            data = data[size:]
        said = "".join(Kept(secret).take(*chunks, data))
        assert secret not in said
        assert said == Redactor([secret]).redact(text)  # as if the line had come whole


LINE = 100
COST = LINE - 1 + 32  # what a line of 99 characters and its break cost


def lines_of(count: int, *, first: int = 0) -> list[str]:
    return [f"{number:0{LINE - 1}d}" for number in range(first, first + count)]


def chunks_of(lines: list[str], size: int) -> list[bytes]:
    data = "".join(f"{line}\n" for line in lines).encode()
    return [data[at : at + size] for at in range(0, len(data), size)]


class TestMoreOutputThanALogTakes:
    @pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
    def test_head_and_tail_are_kept_and_the_cut_is_marked(self, size: int) -> None:
        every = lines_of(100)
        kept = Kept(head=10 * COST, tail=5 * COST)
        assert kept.take(*chunks_of(every, size)) == [*every[:10], CUT_MARK, *every[-5:]]
        assert kept.warnings == [f"{85 * LINE:,} characters of output are left out here."]

    def test_what_just_fits_is_not_cut(self) -> None:
        every = lines_of(15)
        kept = Kept(head=10 * COST, tail=5 * COST)
        assert kept.take(*chunks_of(every, 1000)) == every
        assert kept.warnings == []

    def test_each_command_has_an_end(self) -> None:
        kept = Kept()
        budget = OutputBudget(0, 40 * COST)
        for first in (0, 1000, 2000):
            output = CommandOutput(kept, kept.redactor, budget)
            for chunk in chunks_of(lines_of(100, first=first), 1000):
                output(chunk)
            output.close()
        ends = "\n".join(kept.raw).split(CUT_MARK)
        assert [len(end.split()) for end in ends] == [0, 20, 10, 5]

    def test_a_hundred_megabytes_do_not_gather(self) -> None:
        kept = Kept(head=1 << 16, tail=1 << 16)
        chunk = b"y\n" * (1 << 19)
        tracemalloc.start()
        for _ in range(100):
            kept.output(chunk)
        kept.output.close()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 20 << 20
        assert len(kept.raw) < (2 << 16) / 32 + 10

    @pytest.mark.parametrize("come", range(0, len(SECRET) + 1, 4))
    def test_a_secret_at_the_cut_never_shows_in_part(self, come: int) -> None:
        after = "z" * (9000 - come)
        kept = Kept(SECRET, head=1, tail=9000)
        said = kept.take(b"first line\n", ("x" * 50_000 + SECRET + after).encode())
        assert said[0] == "first line"
        for at in range(len(SECRET) - 3):
            assert SECRET[at : at + 4] not in "".join(said)

    def test_it_says_how_far_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("worker.command_output._PROGRESS_SECONDS", 0.0)
        kept = Kept(head=1, tail=100)
        kept.output(b"a\n")
        kept.output(b"x" * 3_000_000)
        assert kept.drawn == ["3 MB of output more, its end comes last"]
        drawing = Kept()
        for percent in (10, 20, 100):
            drawing.output(f"{percent}%\r".encode())
        assert drawing.drawn == ["20%", "100%"]

    @pytest.mark.parametrize("shift", range(0, 60, 7))
    @pytest.mark.parametrize("ending", ["", "\n"])
    def test_the_end_of_one_endless_line_has_no_half_secret(self, shift: int, ending: str) -> None:
        kept = Kept(SECRET, head=1, tail=20_000)
        text = "first\n" + ("y" * shift) + f"token={SECRET} " * 3000 + ending
        said = kept.take(text.encode())
        assert len(said[-1]) > 5000  # the end is there
        for at in range(len(SECRET) - 3):
            assert SECRET[at : at + 4] not in said[-1]

    def test_of_a_line_that_was_drawn_again_the_last_drawing_is_the_end(self) -> None:
        kept = Kept(head=1, tail=20_000)
        said = kept.take(b"first\n", *(f"{n:08d} bytes\r".encode() for n in range(5000)))
        assert said[-1] == "00004999 bytes"
