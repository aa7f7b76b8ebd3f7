"""What stands in the batches of a pool: nothing is forgotten, and a written batch stays small."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from urial_tui.engine.native.batch import BatchPart
from urial_tui.engine.wire.limits import written_batch
from urial_tui.engine.worker.filling import Filling

MOST, WRITTEN = 40, 10


class Text:
    """Tokens to be read, and then a place among the writers."""

    def __init__(self, length: int) -> None:
        self.unread = length
        self.length = length

    def part(self, most: int) -> BatchPart:
        return BatchPart([0] * min(most, self.unread), self.length - self.unread, 0, 0)


def read(parts: list[tuple[Text, BatchPart]]) -> None:
    for text, part in parts:
        assert part.tokens, "nobody has an empty part"
        text.unread -= len(part.tokens)


@given(lengths=st.lists(st.integers(1, 100), max_size=8), writers=st.integers(0, 35))
def test_all_is_read_and_the_writers_go_on_meanwhile(lengths: list[int], writers: int) -> None:
    filling = Filling(MOST, WRITTEN)
    texts = [Text(length) for length in lengths]
    order = list(range(writers))
    written = [0] * writers
    batches = 0
    while reading := [text for text in texts if text.unread]:
        writing, parts = filling.next(order, reading)
        tokens = len(writing) + sum(len(part.tokens) for _, part in parts)
        assert 0 < tokens <= (WRITTEN if writing else MOST)
        assert [text for text, _ in parts] == reading[: len(parts)], "in their order"
        for number in writing:
            written[number] += 1
        order = [number for number in order if number not in writing] + [*writing]
        read(parts)
        batches += 1
    turns = -(-writers // WRITTEN)
    assert all(count >= batches // (2 * turns) for count in written), "every other batch at least"
    assert not written or max(written) - min(written) <= 1, "in turn"


@given(writers=st.integers(1, 100))
def test_writers_take_turns_in_groups_of_one_size(writers: int) -> None:
    filling = Filling(MOST, WRITTEN)
    order = list(range(writers))
    turns = -(-writers // WRITTEN)
    seen: set[int] = set()
    nothing: list[Text] = []
    for _ in range(turns):
        writing, parts = filling.next(order, nothing)
        assert not parts
        assert -(-writers // turns) >= len(writing) >= writers // turns
        seen |= set(writing)
        order = [number for number in order if number not in writing] + [*writing]
    assert seen == set(order)


def test_what_fits_beside_the_writers_is_read_there() -> None:
    text = Text(WRITTEN - 3)
    writing, parts = Filling(MOST, WRITTEN).next([1, 2, 3], [text])
    assert (list(writing), len(parts[0][1].tokens)) == ([1, 2, 3], WRITTEN - 3)


def test_what_does_not_fit_is_read_apart_and_then_they_write() -> None:
    filling = Filling(MOST, WRITTEN)
    texts = [Text(WRITTEN - 2), Text(MOST)]
    writing, parts = filling.next([1, 2, 3], texts)
    assert not writing
    assert [len(part.tokens) for _, part in parts] == [WRITTEN - 2, MOST - WRITTEN + 2]
    read(parts)
    writing, parts = filling.next([1, 2, 3], texts[1:])
    assert list(writing) == [1, 2, 3]
    assert sum(len(part.tokens) for _, part in parts) == WRITTEN - 3


def test_without_a_bound_the_rest_of_a_batch_is_for_reading() -> None:
    writing, parts = Filling(MOST, MOST).next([1, 2, 3], [Text(100)])
    assert list(writing) == [1, 2, 3]
    assert sum(len(part.tokens) for _, part in parts) == MOST - 3


def test_only_attention_in_tiles_bounds_a_written_batch() -> None:
    assert written_batch(512, "f16", 0) == 63, "llama.cpp has tiles from 64 tokens on"
    assert written_batch(32, "f16", 0) == 32
    assert written_batch(512, "q8_0", 0) == 512
    assert written_batch(512, "f16", -1) == 512
    assert written_batch(512, "f16", 3) == 512
