"""The JSON summary of judgements: means by aspect, or wins, ties and losses.

Of two answers both orders are judged. Where a judge prefers one of them in both, that one has won;
anything else is a tie. That the preference turned with the order is counted: position bias (Zheng
et al., arXiv 2306.05685, section 3.3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from urial_tui.evaluate.judge import Judged
from urial_tui.evaluate.judgements import (
    ASPECTS,
    Aspect,
    Judgement,
    PairChoice,
    PairJudgement,
    Unscored,
    aspect_means,
)

WinOrLoss = Literal["win", "tie", "loss"]

PREFERRED: Mapping[WinOrLoss, float] = {"win": 1.0, "tie": 0.5, "loss": 0.0}
"""What a pair is worth to the first of its two answers."""


NamedAnswer = tuple[str, str]
"""The generator of an answer, and the answer."""


class PairOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the judgements of a pair come to in an aspect.

    `outcome`: of the `first` answer, which stood first in the first judgement; None where one of
    them is missing or unscored, which `unscored` tells. `flipped`: the preference turned with the
    order.
    """

    id: int | str
    aspect: Aspect
    first: NamedAnswer
    second: NamedAnswer
    outcome: WinOrLoss | None
    flipped: bool = False
    unscored: Unscored = ""


def pair_outcomes(pairs: Sequence[PairJudgement], *, alone: bool = False) -> list[PairOutcome]:
    """What pairs come to, by item and aspect, in their order.

    Args:
        pairs: The judgements.
        alone: Whether a pair that was judged in one order counts: people see one.
    """
    orders: dict[tuple[str, frozenset[NamedAnswer]], list[PairJudgement]] = {}
    for pair in pairs:
        sides = frozenset({(pair.generator_a, pair.output_a), (pair.generator_b, pair.output_b)})
        orders.setdefault((str(pair.id), sides), []).append(pair)
    found: list[PairOutcome] = []
    for judged in orders.values():
        first = judged[0]
        for aspect in ASPECTS:
            if aspect in first.preferences:
                outcome, flipped, unscored = _outcome(judged, aspect, alone)
                found.append(
                    PairOutcome(
                        id=first.id,
                        aspect=aspect,
                        first=(first.generator_a, first.output_a),
                        second=(first.generator_b, first.output_b),
                        outcome=outcome,
                        flipped=flipped,
                        unscored=unscored,
                    )
                )
    return found


def judge_document(judgements: Sequence[Judged]) -> dict[str, Any]:
    """The judgements by aspect, see docs/json.md."""
    scored = [one for one in judgements if isinstance(one, Judgement)]
    pairs = [one for one in judgements if isinstance(one, PairJudgement)]
    if pairs:
        return {"judgements": len(judgements), "aspects": _tallies(pair_outcomes(pairs))}
    means = {
        aspect: {"mean": one.mean, "scored": one.scored, "unscored": dict(one.unscored)}
        for aspect, one in aspect_means(scored).items()
    }
    return {"judgements": len(judgements), "aspects": means}


def _tallies(outcomes: Sequence[PairOutcome]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for aspect in ASPECTS:
        here = [one for one in outcomes if one.aspect == aspect]
        if not here:
            continue
        counted = Counter(one.outcome for one in here)
        found[aspect] = {
            "pairs": len(here),
            "wins": counted["win"],
            "ties": counted["tie"],
            "losses": counted["loss"],
            "flips": sum(one.flipped for one in here),
            "unscored": dict(Counter(one.unscored for one in here if one.outcome is None)),
        }
    return found


_OUTCOMES: Mapping[PairChoice, WinOrLoss] = {"A": "win", "B": "loss", "same": "tie"}
_TURNED: Mapping[PairChoice, PairChoice] = {"A": "B", "B": "A", "same": "same"}
"""What stands for the same where they are shown the other way round."""


def _outcome(
    judged: Sequence[PairJudgement], aspect: Aspect, alone: bool
) -> tuple[WinOrLoss | None, bool, Unscored]:
    """Of a pair's judgements: the outcome, whether it turned, and why there is none."""
    first = judged[0]
    one = first.preferences[aspect]
    if one.choice is None:
        return None, False, one.unscored
    if (first.generator_a, first.output_a) == (first.generator_b, first.output_b):
        # There is one order of what is the same.
        return "tie", one.choice != "same", ""
    if len(judged) < 2 and alone:
        return _OUTCOMES[one.choice], False, ""
    other = judged[1].preferences.get(aspect) if len(judged) > 1 else None
    if other is None:
        return None, False, "missing"
    if other.choice is None:
        return None, False, other.unscored
    if one.choice != _TURNED[other.choice]:
        return "tie", True, ""
    return _OUTCOMES[one.choice], False, ""
