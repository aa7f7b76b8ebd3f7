"""The pairs of answers that a person judges blind, in a random order with balanced sides.

Order and places are drawn from a seed that nobody knows in advance, and that is kept with the
judgements: so those made until somebody stops are a sample of all, and of all pairs each run
stands at the left in as many as at the right, within one.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from urial_tui.evaluate.gathering import runs_of
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.output_file import read_outputs
from urial_tui.evaluate.outputs import Output
from urial_tui.files import is_same
from urial_tui.sanitize import quoted, sanitize_line
from urial_tui.wording import amount

_NAMED = 60
"""Characters of a name that a sentence quotes."""


class BlindPair(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of both runs to an item. `key`: what is judged, by content, as a hash."""

    first: Output
    second: Output
    key: str


class ShownPair(msgspec.Struct, frozen=True):
    """A pair as it is shown. `swapped`: the second run's answer is at the left."""

    pair: BlindPair
    swapped: bool

    @property
    def left(self) -> Output:
        """The answers at the left."""
        return self.pair.second if self.swapped else self.pair.first

    @property
    def right(self) -> Output:
        """The answers at the right."""
        return self.pair.first if self.swapped else self.pair.second


class SharedItems(msgspec.Struct, frozen=True, kw_only=True):
    """The intersection of two runs: the items that both have answered.

    `first`, `second`: who answered. `pairs`: in the first run's order. `alone`: items that one of
    the two has answered. `otherwise`: ids under which they were asked different things.
    """

    first: str
    second: str
    pairs: tuple[BlindPair, ...]
    alone: int = 0
    otherwise: int = 0

    @property
    def left_out(self) -> str:
        """What is in no pair, in a sentence; "" where all is in one."""
        parts = []
        if self.alone:
            parts.append(f"{amount(self.alone, 'item')} that only one of the two has answered")
        if self.otherwise:
            parts.append(f"{amount(self.otherwise, 'item')} of which they were asked another thing")
        return f"Left out: {', and '.join(parts)}." if parts else ""


def read_shared(first: Path, second: Path) -> SharedItems:
    """The pairs of two files of outputs.

    Raises:
        EvaluateError: A file can't be read, or holds several runs; both are one run's; or they
            share no item.
    """
    if is_same(first, second):
        raise EvaluateError(
            f"Both runs are the file {sanitize_line(str(first))}.", "Choose two runs."
        )
    return shared_items(_read(first), _read(second))


def shared_items(first: Mapping[str, Output], second: Mapping[str, Output]) -> SharedItems:
    """The pairs of two runs, whose outputs are given by their items' ids.

    Raises:
        EvaluateError: They are one generator's, or share no item.
    """
    one, other = (next(iter(run.values())).generator for run in (first, second))
    if one == other:
        raise EvaluateError(
            f"Both runs are called {quoted(one, _NAMED)}, so a judgement could not tell whose "
            "answer is the better one.",
            "Choose runs of two models or two contexts.",
        )
    both = [(first[key], second[key]) for key in first if key in second]
    pairs = tuple(
        BlindPair(first=left, second=right, key=_key(left, right))
        for left, right in both
        if _questions(left) == _questions(right)
    )
    if not pairs:
        raise EvaluateError(
            f"There is no item that both {quoted(one, _NAMED)} and {quoted(other, _NAMED)} have "
            "answered.",
            "Choose two runs over the same items.",
        )
    return SharedItems(
        first=one,
        second=other,
        pairs=pairs,
        alone=len(first) + len(second) - 2 * len(both),
        otherwise=len(both) - len(pairs),
    )


def arranged(pairs: Sequence[BlindPair], seed: int, before: Mapping[str, bool]) -> list[ShownPair]:
    """Pairs in a random order, with as many of each run at the left as at the right.

    Args:
        pairs: In any order.
        seed: Draws order and places; of the same pairs always the same ones.
        before: By their keys, those that were shown already, and whether they were swapped.
    """
    draw = random.Random(seed)
    order = sorted(pairs, key=lambda pair: pair.key)
    draw.shuffle(order)
    half = len(order) // 2
    swaps = [True] * (half + (len(order) % 2) * draw.getrandbits(1))
    swaps += [False] * (len(order) - len(swaps))
    draw.shuffle(swaps)
    swaps = [before.get(pair.key, swap) for pair, swap in zip(order, swaps, strict=True)]
    # Where pairs have been added since the first ones were shown, the new ones even it out.
    uneven = 2 * sum(swaps) - len(swaps)
    for at in reversed(range(len(order))):
        if abs(uneven) > 1 and order[at].key not in before and swaps[at] == (uneven > 0):
            swaps[at] = not swaps[at]
            uneven += 2 if swaps[at] else -2
    return [ShownPair(pair, swap) for pair, swap in zip(order, swaps, strict=True)]


def _read(path: Path) -> Mapping[str, Output]:
    """The outputs of a file by their items, of one run."""
    shown = sanitize_line(str(path))
    try:
        runs = runs_of(path, read_outputs(path))
    except FileNotFoundError as error:
        raise EvaluateError(f"There is no file {shown}.", "Choose another run.") from error
    if len(runs) != 1:
        what = f"holds answers of {len(runs)} generators" if runs else "has no answer"
        raise EvaluateError(f"The file {shown} {what}.", "Choose a file with the answers of one.")
    return runs[0].outputs


def _questions(output: Output) -> list[str]:
    return [exchange.instruction for exchange in output.exchanges]


def _key(one: Output, other: Output) -> str:
    """What is judged, as a hash; in which order the runs are named is no part of it."""
    sides = sorted(
        (output.generator, [exchange.output for exchange in output.exchanges])
        for output in (one, other)
    )
    # Lone surrogates are no UTF-8, but an answer may hold them.
    text = json.dumps((str(one.id), _questions(one), sides), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
