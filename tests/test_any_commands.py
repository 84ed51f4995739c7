"""What test_commands.py is about, said by chance: whole, cut off, garbled, endless, or noise."""

import io
import itertools
from dataclasses import replace

import pytest
from dulwich.errors import GitProtocolError
from dulwich.protocol import Protocol, pkt_line
from hypothesis import given, settings
from hypothesis import strategies as st
from test_commands import CAPABILITIES, LIMITS, MOST, A, Endless, command, write_nothing

from enclave.errors import PushRefused
from enclave.operation import RefUpdate
from receiver.commands import PushCommands, read_commands

ID = A.encode()
ALMOST_A_WORD = st.sampled_from(
    [ID, ID, ID.upper(), ID[1:], b"a" * 64, b"x" * 40, b"refs/x", b"refs/\xff", b"", b"shallow"]
)
ALMOST_A_COMMAND = st.builds(
    lambda words, ending: b" ".join(words) + ending,
    st.lists(ALMOST_A_WORD, max_size=4),
    st.sampled_from([b"\0", b"\0", b"", b"\n", b"\0\0", b"\0object-format=sha256"]),
)
WORDS = st.one_of(
    ALMOST_A_COMMAND,
    st.sampled_from(
        [b"", b"shallow ", command(), command() + b"\0", command() + CAPABILITIES, b"0000", b"\0"]
    ),
    st.binary(max_size=120),
)


@given(st.lists(st.one_of(st.none(), WORDS), max_size=12), st.binary(max_size=20))
def test_any_packets_are_read_refused_or_end_the_conversation(
    lines: list[bytes | None], rest: bytes
) -> None:
    data = io.BytesIO(b"".join(pkt_line(line) for line in lines) + rest)
    _read_or_refuse(data)


@given(st.binary(max_size=300))
def test_so_are_any_bytes(data: bytes) -> None:
    _read_or_refuse(io.BytesIO(data))


def _read_or_refuse(data: io.BytesIO | Endless) -> None:
    try:
        push = read_commands(Protocol(data.read, write_nothing), LIMITS)
    except (PushRefused, GitProtocolError):
        return
    if push is not None:
        assert 0 < len(push.commands) <= MOST
        for each in push.commands:
            assert len(each.old) == len(each.new) == 40


REFS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\n"), min_size=1)
IDS = st.text("0123456789abcdef", min_size=40, max_size=40)
COMMANDS = st.builds(RefUpdate, REFS.map(lambda ref: ref[:200]), IDS, IDS)
OPTIONS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\n"), min_size=1)


@st.composite
def pushes(draw: st.DrawFn) -> tuple[PushCommands, list[bytes | None]]:
    """What a client means, and how it says that."""
    commands = draw(st.lists(COMMANDS, min_size=1, max_size=MOST))
    words = draw(st.sets(st.sampled_from([b"report-status", b"atomic", b"push-options"])))
    options = draw(st.lists(OPTIONS.map(lambda option: option[:300]), max_size=LIMITS.options))
    shallow = draw(st.lists(IDS, max_size=MOST))
    lines = [command(each.ref, each.old, each.new) for each in commands]
    lines[0] += b"\0" + b" ".join(sorted(words))
    said: list[bytes | None] = [b"shallow " + each.encode() for each in shallow]
    said += [line + draw(st.sampled_from([b"", b"\n"])) for line in lines]
    said.append(None)
    if b"push-options" in words:
        said += [*(option.encode() for option in options), None]
    meant = PushCommands(
        tuple(commands),
        frozenset(words),
        tuple(options) if b"push-options" in words else (),
        bool(shallow),
    )
    return meant, said


def packets(lines: list[bytes | None]) -> bytes:
    return b"".join(map(pkt_line, lines))


@given(pushes(), st.binary(max_size=20))
def test_what_is_meant_is_read_and_not_a_byte_more(
    push: tuple[PushCommands, list[bytes | None]], rest: bytes
) -> None:
    meant, lines = push
    data = io.BytesIO(packets(lines) + rest)
    found = read_commands(Protocol(data.read, write_nothing), LIMITS)
    assert found is not None
    assert replace(found, capabilities=meant.capabilities) == meant
    assert found.capabilities >= meant.capabilities
    assert data.read() == rest


@given(pushes(), st.data())
def test_what_is_cut_off_is_no_push(
    push: tuple[PushCommands, list[bytes | None]], data: st.DataObject
) -> None:
    said = packets(push[1])
    cut = said[: data.draw(st.integers(0, len(said) - 1))]
    with pytest.raises(GitProtocolError):
        read_commands(Protocol(io.BytesIO(cut).read, write_nothing), LIMITS)


CHANGES = st.tuples(
    st.integers(0, MOST),
    st.one_of(st.integers(0, 2000), st.integers(78, 84)),  # the ids of a command end at 81
    st.integers(0, 60),
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from([b"0000", b"0001", b"0004", b"0005", b"fff0", b"\0", b" ", b"\xff"]),
    ),
)
"""In which line, where, how many bytes go, what comes instead."""


@given(pushes(), st.lists(CHANGES, min_size=1, max_size=4), st.booleans())
@settings(max_examples=300)
def test_what_is_garbled_is_read_refused_or_ends_the_conversation(
    push: tuple[PushCommands, list[bytes | None]],
    changes: list[tuple[int, int, int, bytes]],
    framed: bool,
) -> None:
    """``framed``: the packets are whole, and only what they say is garbled."""
    lines = push[1] if framed else [packets(push[1])]
    for number, place, gone, instead in changes:
        line = lines[number % len(lines)] or b""
        at = place % (len(line) + 1)
        lines[number % len(lines)] = line[:at] + instead + line[at + gone :]
    _read_or_refuse(io.BytesIO(packets(lines) if framed else lines[0] or b""))


LONG_WORDS = st.builds(lambda word, times: word * times, WORDS, st.integers(1, 500))


@given(
    st.lists(LONG_WORDS.map(lambda line: line[:65_000]), max_size=4),
    st.lists(LONG_WORDS.map(lambda line: line[:65_000]), min_size=1, max_size=4),
)
def test_no_endless_list_is_read_to_its_end(first: list[bytes], again: list[bytes]) -> None:
    lines = itertools.chain([command() + CAPABILITIES], first, itertools.cycle(again))
    client = Endless(lines, most_bytes=140_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("receiver.commands._MAX_DROPPED_BYTES", 1)
        _read_or_refuse(client)
