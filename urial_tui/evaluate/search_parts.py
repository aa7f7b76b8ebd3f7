"""The split of a search for examples: texts to choose by (train), held-out texts, candidates.

Which part a text is in follows from its question alone, by a hash: not from its place, from what
else there is, or from chance. No candidate has the question of a text: it would be shown its own
answer.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from urial_tui.errors import PreambleError
from urial_tui.evaluate.example_losses import with_examples
from urial_tui.evaluate.items import Item
from urial_tui.prompting.pool import plain_text
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.soundness import check_sound

ExclusionReason = Literal["asked", "unsound"]
"""Why a pair is no candidate: its question is that of a text, or no preamble of this format can
have it as an example."""


class Parts(NamedTuple):
    """Texts: those to choose by, and those held out."""

    train: tuple[Item, ...]
    held_out: tuple[Item, ...]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that may become an example. `number`: its place in the pool, from 1."""

    number: int
    example: Example


class ExampleCandidates(msgspec.Struct, frozen=True, kw_only=True):
    """Those there are, in their order. `left_out`: how many are none, and why."""

    candidates: tuple[Candidate, ...]
    left_out: Mapping[ExclusionReason, int]


def parts_of(items: Iterable[Item]) -> Parts:
    """The parts of those items that have a reference to their first turn, which alone counts."""
    found: tuple[list[Item], list[Item]] = ([], [])
    for item in items:
        if item.references and item.references[0].strip():
            found[_part(item.turns[0])].append(item)
    return Parts(tuple(found[0]), tuple(found[1]))


def candidates_of(
    pairs: Iterable[tuple[int, Example]], base: Preamble, texts: Sequence[Item]
) -> ExampleCandidates:
    """The candidates among numbered pairs.

    Args:
        pairs: With their numbers.
        base: The preamble that examples are put into.
        texts: All that is read.
    """
    asked = {plain_text(item.turns[0]) for item in texts}
    left_out: Counter[ExclusionReason] = Counter()
    found = []
    for number, example in pairs:
        if plain_text(example.query) in asked:
            left_out["asked"] += 1
        elif not _fits(base, example):
            left_out["unsound"] += 1
        else:
            found.append(Candidate(number=number, example=example))
    return ExampleCandidates(candidates=tuple(found), left_out=dict(left_out))


def _part(question: str) -> int:
    data = plain_text(question).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).digest()[0] & 1


def _fits(base: Preamble, example: Example) -> bool:
    preamble = with_examples(base, (example,))
    try:
        check_sound(preamble, Path(f"{preamble.name}.toml"))
    except PreambleError:
        return False
    return True
