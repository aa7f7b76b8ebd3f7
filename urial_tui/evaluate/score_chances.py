"""The probabilities of all scores where a judge has written one.

A judge that writes 4 may have been nearly as ready to write 3. The expectation over the
probabilities of 1 to 5 at that token (as in G-Eval, arXiv 2303.16634, section 2) tells more than
the digit alone and has fewer ties. It is taken from the model's own row of logits, as it was before
the grammar.
"""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from urial_tui.evaluate.aspects import SCORES
from urial_tui.evaluate.judgements import Aspect, Chances

SCORE = re.compile(rb'"score"\s*:\s*([1-5])(?![0-9.])')
"""A score as the schema has it. No string of a JSON text can hold it: its quotes are escaped."""

TopTokens = Sequence[tuple[int, float]]
"""The likeliest tokens of a place with their log-probabilities (natural logarithm)."""


def score_chances(
    aspects: Sequence[Aspect],
    ids: Sequence[int],
    logps: Sequence[float],
    tops: Sequence[TopTokens],
    piece: Callable[[int], bytes],
) -> Mapping[Aspect, Chances]:
    """The chances of each aspect's score in a judgement that follows `score_schema`.

    Args:
        aspects: Those of the schema, in its order.
        ids: The tokens that were written.
        logps: Their log-probabilities.
        tops: The likeliest tokens at each place.
        piece: The bytes of a token.

    Returns:
        What was found; nothing of a score that was not written.
    """
    ends: list[int] = []
    text = b""
    for token in ids:
        text += piece(token)
        ends.append(len(text))
    found: dict[Aspect, Chances] = {}
    for aspect, match in zip(aspects, SCORE.finditer(text), strict=False):
        index = bisect.bisect_right(ends, match.start(1))
        start = ends[index - 1] if index else 0
        before = piece(ids[index])[: match.start(1) - start]
        if before.strip():
            # What else could stand here would have to begin alike.
            choices = [top for top in tops[index] if piece(top[0]).startswith(before)]
            cut = len(before)
        else:
            choices, cut = list(tops[index]), 0
        chances = dict.fromkeys(SCORES, 0.0)
        for token, logp in {**dict(choices), ids[index]: logps[index]}.items():
            for score in _digits(piece(token)[cut:]):
                chances[score] += math.exp(logp)
        mass = sum(chances.values())
        if mass > 0:
            one, two, three, four, five = (chances[score] / mass for score in SCORES)
            found[aspect] = Chances(
                probabilities=(one, two, three, four, five), mass=min(1.0, mass)
            )
    return found


def _digits(text: bytes) -> Iterator[int]:
    """The score that a token writes, if it writes one."""
    match = re.match(rb"\s*([1-5])(?![0-9.])", text)
    if match:
        yield int(match[1])
