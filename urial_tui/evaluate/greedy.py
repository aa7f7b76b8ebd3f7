"""Greedy decoding of measured answers: nothing is drawn, so that they come out the same again.

The penalties are those that answers are written with everywhere else, for they decide how answers
end. What changes nothing at temperature 0 has its default here, so that the same answers have the
same key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from urial_tui.engine.wire.values import Sampling
from urial_tui.settings import Settings, sampling

PLAIN = Sampling(temperature=0.0)
"""The likeliest token each time, without penalties."""

_PENALTIES = (
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "penalty_last_n",
)
_DRY = ("dry_multiplier", "dry_base", "dry_allowed_length", "dry_last_n")


def greedy_sampling(settings: Settings) -> Sampling:
    """The sampling of the settings at temperature 0: their penalties, and nothing that is drawn."""
    found = sampling(settings, temperature=0.0)
    stages = found.stages
    names = (*(_PENALTIES if "penalties" in stages else ()), *(_DRY if "dry" in stages else ()))
    return msgspec.structs.replace(PLAIN, **{name: getattr(found, name) for name in names})


def greedy_words(chosen: Sampling) -> str:
    """How greedy answers are written: at temperature 0, repetition penalty 1.1 and DRY."""
    parts = list(_penalties(chosen))
    if not parts:
        return "at temperature 0 without penalties"
    *others, last = ("at temperature 0", *parts)
    return f"{', '.join(others)} and {last}"


def sampling_document(chosen: Sampling) -> dict[str, Any]:
    """How greedy answers are written, for a document: in words, and by the settings' names."""
    values = {name: getattr(chosen, name) for name in ("temperature", *_PENALTIES, *_DRY)}
    return {"name": greedy_words(chosen), **values}


def _penalties(chosen: Sampling) -> Iterator[str]:
    stages = chosen.stages
    if "penalties" in stages:
        if chosen.repetition_penalty != 1:
            yield f"repetition penalty {chosen.repetition_penalty:g}"
        if chosen.frequency_penalty:
            yield f"frequency penalty {chosen.frequency_penalty:g}"
        if chosen.presence_penalty:
            yield f"presence penalty {chosen.presence_penalty:g}"
    if "dry" in stages:
        yield "DRY"
