"""A parser that finds the one JSON object in what a judge has written.

Prose or a code fence may stand around it. What is cut off or damaged, or says anything twice, is
not guessed at: `judgements` then has no score, and the reason.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from urial_tui.evaluate.judgements import Aspect

MAX_CHARACTERS = 100_000
"""Of a judgement; whatever is longer is none."""


class _Twice(Exception):
    """A key is there twice."""


def judgement_object(text: str, aspects: Sequence[Aspect]) -> dict[str, Any] | None:
    """The object `{aspect: {reason, …}}` that a judge has written; None where there is none.

    Where one aspect was asked for, its inner object alone will do. Names of aspects are taken in
    any case.

    Args:
        text: What the judge has written.
        aspects: What it was asked for.
    """
    found = _one_object(text)
    if found is None:
        return None
    named = {key.strip().lower(): value for key, value in found.items()}
    if len(aspects) == 1 and aspects[0] not in named and not named.keys().isdisjoint(_INNER):
        return {aspects[0]: found}
    return {aspect: named[aspect] for aspect in aspects if aspect in named}


_INNER = ("score", "preference")


def _one_object(text: str) -> dict[str, Any] | None:
    if len(text) > MAX_CHARACTERS:
        return None
    decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)
    found: dict[str, Any] | None = None
    place = text.find("{")
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError, _Twice):
            return None
        if found is not None:
            return None
        found = value
        place = text.find("{", end)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, each of whose keys is there once."""
    names = {key.strip().lower() for key, _ in pairs}
    if len(names) < len(pairs):
        raise _Twice
    return dict(pairs)


def _no_number(name: str) -> Any:
    raise ValueError(name)
