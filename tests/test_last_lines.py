"""No half line is shown of a container's log, whatever the Engine cut it into."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from worker.runtime.last_lines import LEFT_OUT, last_lines

PART = 4  # instead of 16 KiB


def entries(stream: int, line: str) -> list[tuple[int, bytes]]:
    """The entries that the Engine makes of a line."""
    printed = line.encode()
    parts = [printed[at : at + PART] for at in range(0, len(printed) or 1, PART)]
    return [(stream, part) for part in parts[:-1]] + [(stream, parts[-1] + b"\n")]


printed = st.lists(st.tuples(st.sampled_from([1, 2]), st.text("abc", max_size=20)), max_size=20)


@given(printed, st.integers(1, 10), st.integers(0, 40), st.randoms(use_true_random=False))
def test_what_is_shown_was_a_line(
    said: list[tuple[int, str]], lines: int, taken: int, random: Random
) -> None:
    """Streams may be mixed entry by entry, each in its order."""
    queues = {
        number: [each for stream, line in said if stream == number for each in entries(1, line)]
        for number in (1, 2)
    }
    log = []
    while any(queues.values()):
        stream = random.choice([number for number, queue in queues.items() if queue])
        log.append((stream, queues[stream].pop(0)[1]))
    given = log[-taken:] if taken else []

    shown = last_lines(given, lines=lines, beginning=len(given) == len(log))

    assert len(shown) <= lines
    assert {line for line in shown if line != LEFT_OUT} <= {line for _, line in said}
    if len(given) == len(log):
        assert LEFT_OUT not in shown
        assert len(shown) == min(lines, len(said))


def test_lines_are_in_the_order_of_their_ends_and_each_is_of_one_stream() -> None:
    frames = [(1, b"SEC"), (2, b"oops\r\n"), (1, b"RET\n"), (2, b"\xc3"), (1, b"")]
    assert last_lines(frames, lines=9, beginning=True) == ["oops", "SECRET", "\ufffd"]


def test_what_may_be_the_end_of_a_longer_line_is_left_out() -> None:
    frames = [(1, b"RET\n"), (2, b"oops\n"), (1, b"one\n"), (2, b"two\n")]
    assert last_lines(frames, lines=2, beginning=False) == ["one", "two"]
    assert last_lines(frames, lines=3, beginning=False) == [LEFT_OUT, "one", "two"]
    assert last_lines(frames[:1], lines=3, beginning=False) == [LEFT_OUT]
    assert last_lines([(1, b"part")], lines=3, beginning=False) == [LEFT_OUT]
