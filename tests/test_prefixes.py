"""What answers start with, and the room that is left: nothing is promised twice or lost."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from urial_tui.engine.worker.prefixes import Prefix, Prefixes

N_CTX = 100
SEQUENCES = range(8, 12)


class Memory:
    """Counts which sequences hold something."""

    n_ctx = N_CTX
    can_shift = True

    def __init__(self) -> None:
        self.held: set[int] = set()

    def clear(self) -> None:
        self.held.clear()

    def remove(self, sequence: int, start: int, end: int) -> bool:
        self.held.discard(sequence)
        return True

    def copy(self, source: int, target: int, end: int) -> None:
        self.held.add(target)

    def shift(self, sequence: int, start: int, delta: int) -> None:
        raise AssertionError("nothing is shifted")

    def first_position(self, sequence: int) -> int:
        return 0

    def last_position(self, sequence: int) -> int:
        return 0


def read(prefix: Prefix | None) -> Prefix:
    assert prefix is not None
    prefix.held = len(prefix.tokens)
    return prefix


def test_a_prefix_is_found_by_its_tokens_and_counted_once() -> None:
    prefixes = Prefixes(Memory(), SEQUENCES)
    base = read(prefixes.add([1, 2, 3], None, more=0))
    assert prefixes.find([1, 2, 3]) is base
    assert prefixes.find([1, 2]) is None
    longer = read(prefixes.add([1, 2, 3, 4, 5], base, more=0))
    assert longer.cells == 2
    assert prefixes.free == N_CTX - 5


def test_what_an_answer_stands_behind_is_never_dropped() -> None:
    prefixes = Prefixes(Memory(), SEQUENCES)
    base = read(prefixes.add(range(10), None, more=0))
    longer = read(prefixes.add(range(20), base, more=0))
    assert prefixes.reserve(70, longer)
    assert prefixes.add(range(50, 70), None, more=0) is None, "there are 10 cells left"
    assert prefixes.find(range(10)) is base
    assert prefixes.find(range(20)) is longer
    prefixes.give_back(70, longer)
    assert prefixes.add(range(50, 140), None, more=0) is not None
    assert prefixes.find(range(20)) is None
    assert prefixes.find(range(10)) is base, "what was needed last goes last"


def test_room_for_an_answer_is_seen_before_its_preamble_is_read() -> None:
    prefixes = Prefixes(Memory(), SEQUENCES)
    base = read(prefixes.add(range(60), None, more=0))
    assert prefixes.reserve(10, base)
    assert prefixes.add(range(100, 120), None, more=20) is None
    assert prefixes.free == N_CTX - 70, "nothing is kept of what was refused"


def test_the_longest_unused_prefix_gives_its_sequence() -> None:
    prefixes = Prefixes(Memory(), SEQUENCES)
    for start in range(4):
        prefixes.add([start], None, more=0)
    prefixes.find([0])
    assert prefixes.add([9], None, more=0) is not None
    assert prefixes.find([0]) is not None
    assert prefixes.find([1]) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "add behind", "reserve", "give back", "clear"]),
            st.integers(0, 30),
            st.integers(0, 40),
        ),
        max_size=60,
    )
)
def test_cells_and_sequences_add_up_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    memory = Memory()
    prefixes = Prefixes(memory, SEQUENCES)
    known: list[Prefix] = []
    promised: list[tuple[int, Prefix]] = []
    for number, (what, tokens, more) in enumerate(steps):
        known = [prefix for prefix in known if prefixes.find(prefix.tokens) is prefix]
        ids: Any = [number * 1000 + token for token in range(tokens)]
        if what == "add":
            added = prefixes.add(ids, None, more)
            known += [read(added)] if added else []
        elif what == "add behind" and known:
            base = known[tokens % len(known)]
            added = prefixes.add([*base.tokens, *ids], base, more)
            known += [read(added)] if added else []
        elif what == "reserve" and known:
            prefix = known[tokens % len(known)]
            if prefixes.reserve(more, prefix):
                promised.append((more, prefix))
        elif what == "give back" and promised:
            prefixes.give_back(*promised.pop(tokens % len(promised)))
        elif what == "clear" and not promised:
            prefixes.clear()
            known.clear()
        alive = [prefix for prefix in known if prefixes.find(prefix.tokens) is prefix]
        used = sum(prefix.cells for prefix in alive) + sum(cells for cells, _ in promised)
        assert prefixes.free == N_CTX - used >= 0
        assert len({prefix.sequence for prefix in alive}) == len(alive) <= len(SEQUENCES)
        assert all(prefix in alive for _, prefix in promised)
        assert all(prefix.base in (None, *alive) for prefix in alive)
