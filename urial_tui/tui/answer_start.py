"""How an answer starts: from nothing or a prefix, and sampled how."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from urial_tui.engine.wire.protocol import Sampling, Turn

AGAIN_TEMPERATURE = 0.7
"""Another answer to a question is sampled with this where the settings are greedy: a greedy one
would be the same again."""


class Start(NamedTuple):
    """How an answer starts: with these tokens or this text, and chosen in this way."""

    sampling: Sampling
    prefix: Turn = ()

    @property
    def doing(self) -> str:
        """What to say while it is written: also how it is drawn, where that is not greedily."""
        temperature = self.sampling.temperature
        return f"writing at temperature {temperature:g}" if temperature else "writing"


def by_chance(sampling: Sampling) -> tuple[Sampling, str]:
    """The same sampling, or one that is not greedy and what to say of that ("" where the same)."""
    if sampling.temperature > 0:
        return sampling, ""
    why = (
        "At temperature 0 the answer would be the same again: "
        f"this one is drawn at temperature {AGAIN_TEMPERATURE:g}."
    )
    return msgspec.structs.replace(sampling, temperature=AGAIN_TEMPERATURE), why
