"""An upper estimate of the cost of a search for examples: texts, tokens, time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.values import TextSegment, Turn
from urial_tui.evaluate.example_search import most_orders
from urial_tui.evaluate.items import Item
from urial_tui.prompting.conversation import Exchanged, closed_turn, render_in_format
from urial_tui.prompting.preamble import Example, Preamble

_AT_ONCE: Final = 64
"""Turns whose tokens are counted together."""
MOST_COUNTED: Final = 1000
"""Of more candidates, so many are counted, evenly spread, and their mean stands for the others."""


class Lengths(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens: of the preamble without examples, of each candidate, and of each text with its
    question, those to choose by and those that are held out.
    """

    base: int
    examples: tuple[int, ...]
    train: tuple[int, ...]
    held_out: tuple[int, ...]


class SearchEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What is read at most. `readings`: texts. `tokens`: that the model evaluates for them."""

    readings: int
    tokens: int


def count_lengths(
    model: Model,
    base: Preamble,
    examples: Sequence[Example],
    train: Sequence[Item],
    held_out: Sequence[Item],
) -> EventSteps[Lengths]:
    """Have a model count tokens: the engine's events.

    Raises:
        EngineError: The worker was told to end.
        EngineDied: The worker ended.
    """
    shown = render_in_format(base, [Exchanged("?")])
    texts = [_text_turn(base, item) for item in (*train, *held_out)]
    spread = examples[:: max(1, math.ceil(len(examples) / MOST_COUNTED))]
    turns = [shown.preamble, *(_example_turn(base, example) for example in spread), *texts]
    found: list[int] = []
    for start in range(0, len(turns), _AT_ONCE):
        counted = yield from model.tokenize(turns[start : start + _AT_ONCE]).steps()
        found += [sum(map(len, segments)) for segments in counted]
    first, last = 1 + len(spread), 1 + len(spread) + len(train)
    known = found[1:first]
    mean = round(sum(known) / max(1, len(spread)))
    return Lengths(
        base=found[0],
        examples=(*known, *([mean] * (len(examples) - len(spread)))),
        train=tuple(found[first:last]),
        held_out=tuple(found[last:]),
    )


def estimate(lengths: Lengths, k: int, most: int | None, contexts: int) -> SearchEstimate:
    """What a search reads at most.

    Args:
        lengths: Of what is read.
        k: Most examples.
        most: Most sets of examples that are tried; None for any number.
        contexts: Preambles under which the held-out texts are read.
    """
    train, held_out = sum(lengths.train), sum(lengths.held_out)
    mean = sum(lengths.examples) / len(lengths.examples) if lengths.examples else 0.0
    readings, tokens = 0, 0.0
    for prefix, example in itertools.islice(_sets(lengths, k, mean), most):
        readings += len(lengths.train)
        tokens += prefix + example + train
    readings += contexts * len(lengths.held_out)
    tokens += contexts * (held_out + lengths.base) + min(k, len(lengths.examples)) * mean
    return SearchEstimate(readings=readings, tokens=math.ceil(tokens))


def _sets(lengths: Lengths, k: int, mean: float) -> Iterator[tuple[float, float]]:
    """For each set the tokens in front of the example that is tried, where these are not there
    from the set before, and those of the example.
    """
    count = len(lengths.examples)
    k = min(k, count)
    yield float(lengths.base), 0.0
    for added in range(k):
        for at in range(count - added):
            # Which ones are taken is not known yet: the mean stands for those that are left.
            in_front = lengths.base + added * mean if added and not at else 0.0
            yield in_front, mean if added else float(lengths.examples[at])
    for _ in range(most_orders(k)):
        yield lengths.base + (k - 1) * mean, mean


def _example_turn(base: Preamble, example: Example) -> Turn:
    answer = (TextSegment(text=example.answer),)
    return closed_turn(base, Exchanged(example.query, example.answer, answer))


def _text_turn(base: Preamble, item: Item) -> Turn:
    shown = render_in_format(base, [Exchanged(item.turns[0])])
    return (*shown.turns[-1], TextSegment(text=item.references[0]))
