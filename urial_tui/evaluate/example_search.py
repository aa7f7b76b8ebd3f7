"""Which examples of a pool make good answers likeliest: a greedy forward search.

One example after another is added, always as the last one, nearest to the question, for that one
weighs most. Each time all candidates that are left are tried, and the best one is kept if it lowers
the mean loss by more than noise: if the 95 % interval of the paired difference is below 0. Then the
order is looked at in the same way: all orders of up to `ALL_ORDERS` examples, of more those in
which two neighbours have changed places.

The search is a function of the losses alone. Whoever keeps these can have it end at any moment and
begin again: it comes the same way.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Sequence
from typing import Final, Literal, Protocol

import msgspec

from urial_tui.engine.wire.events import Event
from urial_tui.evaluate.means import FEWEST, Difference, paired_difference
from urial_tui.wording import amount

ALL_ORDERS: Final = 3
"""So many examples are tried in all of their orders."""

ExamplePlaces = tuple[int, ...]
"""Candidates by their places, in the order in which they stand in front of a question."""
Losses = tuple[float, ...]
"""What each text costs."""
SearchStage = Literal["example", "order"]
SearchEnd = Literal["done", "noise", "candidates", "budget"]
"""Why no example was added any more: all were found, the best one lowers nothing beyond noise, none
is left, or no more sets may be tried."""


class Trying(msgspec.Struct, frozen=True, kw_only=True):
    """What is tried now: set `at` of `of`, for the `number`-th example or for the order."""

    stage: SearchStage
    number: int
    at: int
    of: int

    @property
    def in_words(self) -> str:
        """Example 2, candidate 5 of 19."""
        if self.stage == "order":
            return f"Order {self.at:,} of {self.of:,}"
        return f"Example {self.number}, candidate {self.at:,} of {self.of:,}"


class TextRead(msgspec.Struct, frozen=True, kw_only=True):
    """So many texts of what is tried are read, of `total`."""

    done: int
    total: int

    @property
    def in_words(self) -> str:
        """3 of 30 answers."""
        return f"{self.done:,} of {amount(self.total, 'answer')}"


SearchStep = Event | Trying | TextRead
"""What is told meanwhile."""


class Reads(Protocol):
    """The protocol of a model that reads texts behind examples."""

    def losses(self, examples: ExamplePlaces) -> Generator[SearchStep, None, Losses | None]:
        """What each text costs behind these examples; None where one can't be read."""
        ...


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """Examples with what the texts cost behind them. `difference`: to what was there before."""

    examples: ExamplePlaces
    losses: Losses
    difference: Difference | None = None

    @property
    def mean(self) -> float:
        """The mean loss, which does not depend on the order of the texts."""
        return math.fsum(self.losses) / len(self.losses)

    @property
    def lowers(self) -> bool:
        """Whether it is lower than what was there before, by more than noise."""
        found = self.difference
        if found is None or found.difference is None:
            return False
        # Where all differences are equal, there is no interval, and no noise.
        sure = found.interval is None or found.interval[1] < 0
        return found.difference < 0 and sure and found.count >= FEWEST


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a search came to.

    `start`: without an example. `steps`: as each example was added. `refused`: the best that was
    tried at last and not kept, None where there was none. `tried`: how many sets were, for each
    example that was looked for, the last one included. `order`: the best other order that was
    tried, kept if it lowers; None where none was. `orders`: how many were. `unread`: candidates
    behind which a text could not be read.
    """

    start: Tried
    steps: tuple[Tried, ...]
    refused: Tried | None
    tried: tuple[int, ...]
    stopped: SearchEnd
    order: Tried | None
    orders: int
    unread: tuple[int, ...]

    @property
    def best(self) -> Tried:
        """The examples that were found, in their order."""
        if self.order is not None and self.order.lowers:
            return self.order
        return self.steps[-1] if self.steps else self.start


class ExampleSearch:
    """The greedy forward search for examples.

    Args:
        reads: Has the texts read.
        candidates: How many there are.
        k: Most examples.
        most: Most sets of examples that are tried, the empty one included; None for any number.
    """

    def __init__(self, reads: Reads, candidates: int, k: int, most: int | None = None) -> None:
        self._reads = reads
        self._left = list(range(candidates))
        self._k = k
        self._most = most
        self._sets = 0
        self._unread: list[int] = []
        self.cancelled = False
        """Whether it was ended before it was done."""

    def steps(self) -> Generator[SearchStep, None, SearchResult | None]:
        """Search; None where it was ended, or where the texts can't be read without examples."""
        self._sets += 1
        losses = yield from self._reads.losses(())
        if losses is None or self._over():
            return None
        start = best = Tried(examples=(), losses=losses)
        steps: list[Tried] = []
        tried: list[int] = []
        refused: Tried | None = None
        stopped: SearchEnd = "done"
        while len(steps) < self._k and stopped == "done":
            before, sets = self._sets, self._longer(best)
            found = yield from self._best("example", sets, best)
            if self._over():
                return None
            count = self._sets - before
            if count:
                tried.append(count)
            if count < len(sets):
                stopped = "budget"
            if found is None:
                stopped = "budget" if stopped == "budget" else "candidates"
            elif found.lowers:
                best = found
                steps.append(found)
                self._left.remove(found.examples[-1])
            else:
                refused, stopped = found, "budget" if stopped == "budget" else "noise"
        before, order = self._sets, None
        for _ in range(_rounds(len(best.examples))):
            found = yield from self._best("order", _orders(best.examples), best)
            if self._over():
                return None
            order = found if order is None or (found is not None and found.lowers) else order
            if found is None or not found.lowers:
                break
            best = found
        return SearchResult(
            start=start,
            steps=tuple(steps),
            refused=refused,
            tried=tuple(tried),
            stopped=stopped,
            order=order,
            orders=self._sets - before,
            unread=tuple(self._unread),
        )

    def _over(self) -> bool:
        return self.cancelled

    @property
    def _spent(self) -> bool:
        return self._most is not None and self._sets >= self._most

    def _longer(self, best: Tried) -> list[ExamplePlaces]:
        return [(*best.examples, candidate) for candidate in self._left]

    def _best(
        self, stage: SearchStage, sets: Sequence[ExamplePlaces], before: Tried
    ) -> Generator[SearchStep, None, Tried | None]:
        """The set of the lowest mean, the first of equal ones; None where none can be read."""
        best: Tried | None = None
        number = len(before.examples) + (stage == "example")
        for at, examples in enumerate(sets, start=1):
            if self._over() or self._spent:
                break
            yield Trying(stage=stage, number=number, at=at, of=len(sets))
            self._sets += 1
            losses = yield from self._reads.losses(examples)
            if self._over():
                return None
            if losses is None:
                if stage == "example":
                    # Behind more examples there is no more room.
                    self._unread.append(examples[-1])
                    self._left.remove(examples[-1])
                continue
            found = Tried(examples=examples, losses=losses)
            if best is None or found.mean < best.mean:
                best = found
        if best is None:
            return None
        difference = paired_difference(best.losses, before.losses)
        return msgspec.structs.replace(best, difference=difference)


def _orders(examples: ExamplePlaces) -> list[ExamplePlaces]:
    """Other orders of examples that are tried."""
    if len(examples) <= ALL_ORDERS:
        return [order for order in itertools.permutations(examples) if order != examples]
    swapped = []
    for at in range(len(examples) - 1):
        order = list(examples)
        order[at : at + 2] = reversed(order[at : at + 2])
        swapped.append(tuple(order))
    return swapped


def most_orders(k: int) -> int:
    """How many other orders of so many examples are tried at most."""
    return math.factorial(k) - 1 if k <= ALL_ORDERS else _rounds(k) * (k - 1)


def _rounds(k: int) -> int:
    """How often an order is looked for: of many examples until any order could be reached."""
    return min(k, 1) if k <= ALL_ORDERS else k * (k - 1) // 2
