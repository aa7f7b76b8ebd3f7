"""How an answer starts: from nothing or a prefix, sampled how, and how many at once."""

from __future__ import annotations

import secrets
from typing import NamedTuple

import msgspec

from urial_tui.chat.answer_trace import stored_examples
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire.values import Sampling, Turn
from urial_tui.prompting.preamble import Example, Preamble

AGAIN_TEMPERATURE = 0.7
"""Another answer to a question is sampled with this where the settings are greedy: a greedy one
would be the same again."""

DRAWN_SEEDS = 1_000_000
"""Seeds that are drawn: enough, and short to type again."""


class AnswerStart(NamedTuple):
    """How an answer starts: with these tokens or this text, and chosen in this way.

    `samples`: how many are written side by side. `goes_on`: the answer that the prefix is from;
    what was retrieved for that one stays in front of it.
    """

    sampling: Sampling
    prefix: Turn = ()
    samples: int = 1
    goes_on: TurnRecord | None = None

    def examples(self, preamble: Preamble) -> tuple[Example, ...] | None:
        """What was retrieved for the answer that it goes on with; None where nothing is known."""
        return None if self.goes_on is None else stored_examples(self.goes_on, preamble)

    @property
    def doing(self) -> str:
        """What to say while it is written: also how it is drawn, where that is not greedily."""
        temperature = self.sampling.temperature
        what = "writing" if self.samples == 1 else f"writing {self.samples} answers"
        return f"{what} at temperature {temperature:g}" if temperature else what


def by_chance(sampling: Sampling, samples: int = 1) -> tuple[Sampling, str]:
    """The same sampling, or one that is not greedy and what to say of that ("" where the same).

    Returns:
        The sampling, and the sentence.
    """
    if sampling.temperature > 0:
        return sampling, ""
    same, drawn = (
        ("the answer would be the same again", "this one is")
        if samples == 1
        else (f"the {samples} answers would be the same", "these are")
    )
    why = f"At temperature 0 {same}: {drawn} drawn at temperature {AGAIN_TEMPERATURE:g}."
    return msgspec.structs.replace(sampling, temperature=AGAIN_TEMPERATURE), why


def with_seed(sampling: Sampling) -> Sampling:
    """With a seed, drawn where there is none, so that those of all answers can be told."""
    if sampling.seed is not None:
        return sampling
    return msgspec.structs.replace(sampling, seed=secrets.randbelow(DRAWN_SEEDS))
