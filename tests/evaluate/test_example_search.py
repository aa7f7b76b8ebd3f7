"""A greedy search over examples: what it finds where the best set is known, and how it goes on."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Generator
from statistics import fmean

import msgspec
import pytest

from urial_tui.evaluate.example_search import (
    ExamplePlaces,
    ExampleSearch,
    Losses,
    SearchResult,
    SearchStep,
    TextRead,
    Trying,
    most_orders,
)

TEXTS = 12
Table = Callable[[ExamplePlaces], list[float]]


class Scripted:
    """Texts whose losses are known; counts what is read of whom, text by text."""

    def __init__(self, table: Table, unreadable: frozenset[int] = frozenset()) -> None:
        self._table = table
        self._unreadable = unreadable
        self.asked: list[ExamplePlaces] = []
        self.kept: dict[tuple[ExamplePlaces, int], float] = {}
        self.read: list[tuple[ExamplePlaces, int]] = []

    def losses(self, examples: ExamplePlaces) -> Generator[SearchStep, None, Losses | None]:
        self.asked.append(examples)
        if self._unreadable & set(examples):
            return None
        found = []
        for text, loss in enumerate(self._table(examples)):
            if (examples, text) not in self.kept:
                self.read.append((examples, text))
                self.kept[examples, text] = loss
            found.append(self.kept[examples, text])
            yield TextRead(done=text + 1, total=TEXTS)
        return tuple(found)


def ended(
    search: ExampleSearch, see: Callable[[SearchStep], None] = lambda step: None
) -> SearchResult | None:
    steps = search.steps()
    while True:
        try:
            see(next(steps))
        except StopIteration as end:
            found: SearchResult | None = end.value
            return found


def run(search: ExampleSearch) -> SearchResult:
    found = ended(search)
    assert found is not None
    return found


def additive(seed: int, good: int, candidates: int) -> tuple[Table, list[list[float]]]:
    """Each example lowers each text by an amount of its own; the others raise it."""
    draws = random.Random(seed)
    base = [draws.uniform(1.0, 2.0) for _ in range(TEXTS)]
    helpful = set(draws.sample(range(candidates), good))
    gains = [
        [
            draws.uniform(0.05, 0.06) * (1 + candidate) if candidate in helpful else -draws.random()
            for _ in range(TEXTS)
        ]
        for candidate in range(candidates)
    ]

    def table(examples: ExamplePlaces) -> list[float]:
        return [base[text] - sum(gains[one][text] for one in examples) for text in range(TEXTS)]

    return table, gains


def nearer_weighs_more(seed: int, candidates: int) -> Table:
    """Each example lowers all texts, the last one in full, each one before it a little less."""
    draws = random.Random(seed)
    gains = draws.sample([0.1 * step for step in range(1, candidates + 1)], candidates)

    def table(examples: ExamplePlaces) -> list[float]:
        gain = sum(gains[one] * 0.9**place for place, one in enumerate(reversed(examples)))
        return [10.0 + text - gain for text in range(TEXTS)]

    return table


# -- what is found ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_the_best_of_all_subsets_is_found(seed: int) -> None:
    table, _ = additive(seed, good=4, candidates=9)
    subsets = [subset for size in range(4) for subset in itertools.combinations(range(9), size)]
    best = min(subsets, key=lambda subset: fmean(table(subset)))
    assert len(best) == 3
    found = run(ExampleSearch(Scripted(table), 9, 3))
    assert set(found.best.examples) == set(best)
    assert found.stopped == "done"
    assert found.tried == (9, 8, 7)
    assert found.best.mean == pytest.approx(fmean(table(best)), abs=1e-12)


def test_fewer_are_found_where_the_others_only_raise_the_loss() -> None:
    table, gains = additive(3, good=2, candidates=6)
    helpful = {one for one in range(6) if gains[one][0] > 0}
    found = run(ExampleSearch(Scripted(table), 6, 4))
    assert set(found.best.examples) == helpful
    assert found.stopped == "noise"
    assert found.refused is not None
    assert not found.refused.lowers
    assert found.refused.difference is not None
    assert found.refused.difference.difference is not None
    assert found.refused.difference.difference > 0
    assert found.tried == (6, 5, 4)


def test_what_lowers_the_mean_within_noise_is_not_taken() -> None:
    draws = random.Random(1)
    noise = [draws.gauss(0.0, 1.0) for _ in range(TEXTS)]
    centred = [value - fmean(noise) - 0.01 for value in noise]
    found = run(
        ExampleSearch(
            Scripted(
                lambda examples: [5.0 + (centred[t] if examples else 0) for t in range(TEXTS)]
            ),
            1,
            1,
        )
    )
    assert found.best.examples == ()
    assert found.refused is not None
    assert found.refused.mean < found.start.mean
    assert found.refused.difference is not None
    assert found.refused.difference.interval is not None
    assert found.refused.difference.interval[1] > 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 2, 3])
def test_of_up_to_three_examples_the_best_of_all_orders_is_found(seed: int, k: int) -> None:
    table = nearer_weighs_more(seed, 5)
    found = run(ExampleSearch(Scripted(table), 5, k))
    chosen = found.best.examples
    assert len(chosen) == k
    assert found.best.mean == min(fmean(table(order)) for order in itertools.permutations(chosen))
    assert found.orders == (1, 1, 2, 6)[k] - 1


def test_of_more_examples_neighbours_change_places_until_none_is_better() -> None:
    # Greedy adds the best one first and so has it last of all: the order is the worst there is.
    table = nearer_weighs_more(2, 5)
    found = run(ExampleSearch(Scripted(table), 5, 4))
    chosen = found.best.examples
    swaps = [(*chosen[:at], chosen[at + 1], chosen[at], *chosen[at + 2 :]) for at in range(3)]
    assert found.order is not None
    assert found.order.lowers
    assert all(fmean(table(order)) > found.best.mean for order in swaps)
    assert found.best.mean < found.steps[-1].mean
    # Here that is the best of all orders.
    best = min(fmean(table(order)) for order in itertools.permutations(chosen))
    assert found.best.mean == pytest.approx(best, abs=1e-12)
    assert found.orders <= most_orders(4)


def test_of_equal_candidates_the_first_is_taken_whatever_the_order_of_the_texts() -> None:
    values = [0.1 * (text + 1) for text in range(TEXTS)]
    for turned in (values, values[::-1]):
        reads = Scripted(lambda examples, turned=turned: [v - 0.01 * len(examples) for v in turned])  # type: ignore[misc]
        assert run(ExampleSearch(reads, 3, 1)).best.examples == (0,)


def test_a_candidate_that_can_not_be_read_is_left_out_for_good() -> None:
    table, _ = additive(0, good=3, candidates=5)
    whole = run(ExampleSearch(Scripted(table), 5, 3))
    first = whole.steps[0].examples[0]
    reads = Scripted(table, frozenset({first}))
    found = run(ExampleSearch(reads, 5, 3))
    assert found.unread == (first,)
    assert first not in found.best.examples
    assert sum(first in examples for examples in reads.asked) == 1


def test_where_no_candidate_is_left_it_says_so() -> None:
    table, _ = additive(0, good=2, candidates=2)
    found = run(ExampleSearch(Scripted(table), 2, 5))
    assert (len(found.best.examples), found.stopped, found.tried) == (2, "candidates", (2, 1))


def test_nothing_is_found_where_nothing_can_be_read_without_examples() -> None:
    class Nothing(Scripted):
        def losses(self, examples: ExamplePlaces) -> Generator[SearchStep, None, Losses | None]:
            yield TextRead(done=0, total=1)
            return None

    assert ended(ExampleSearch(Nothing(lambda examples: []), 2, 1)) is None


# -- what it costs, and how it goes on -------------------------------------------------


@pytest.mark.parametrize(("candidates", "k"), [(4, 1), (6, 2), (6, 3), (3, 9)])
def test_as_many_sets_are_tried_as_was_told(candidates: int, k: int) -> None:
    table, _ = additive(5, good=candidates, candidates=candidates)
    reads = Scripted(table)
    run(ExampleSearch(reads, candidates, k))
    # The empty set, one more example at each step, and the other orders of the last set.
    longer = sum(candidates - added for added in range(min(k, candidates)))
    assert len(reads.asked) == 1 + longer + most_orders(min(k, candidates))
    assert len(set(reads.asked)) == len(reads.asked)


@pytest.mark.parametrize("most", range(2, 17))
def test_a_budget_is_kept_and_the_best_so_far_is_what_is_found(most: int) -> None:
    table, _ = additive(7, good=4, candidates=6)
    reads = Scripted(table)
    found = run(ExampleSearch(reads, 6, 3, most))
    assert len(reads.asked) == most
    best = min(reads.asked, key=lambda examples: fmean(table(examples)))
    assert found.best.mean == pytest.approx(fmean(table(best)), abs=1e-12)
    whole = sum((1, 6, 5, 4))
    assert found.stopped == ("budget" if most < whole else "done")
    assert found.orders == max(0, most - whole)


def test_what_is_stopped_anywhere_goes_on_and_reads_nothing_twice() -> None:
    draws = random.Random(11)
    table, _ = additive(11, good=4, candidates=7)
    whole = Scripted(table)
    expected = run(ExampleSearch(whole, 7, 3))
    for _ in range(40):
        reads = Scripted(table)
        for _ in range(draws.randint(1, 4)):
            search = ExampleSearch(reads, 7, 3)
            steps = search.steps()
            # A kill: nothing is told, nothing is cleaned up.
            for _ in itertools.islice(steps, draws.randint(0, 260)):
                pass
            steps.close()
        assert msgspec.json.encode(run(ExampleSearch(reads, 7, 3))) == msgspec.json.encode(expected)
        assert len(reads.read) == len(set(reads.read))
        assert set(reads.read) == set(whole.read)


def test_what_is_cancelled_finds_nothing() -> None:
    table, _ = additive(0, good=2, candidates=4)
    search = ExampleSearch(Scripted(table), 4, 2)
    told: list[SearchStep] = []

    def see(step: SearchStep) -> None:
        told.append(step)
        search.cancelled = len(told) > 20

    assert ended(search, see) is None
    assert Trying(stage="example", number=1, at=1, of=4) in told
    assert len(told) < 40
