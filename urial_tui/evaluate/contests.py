"""Answers that were judged beside each other: who wins, who would at equal lengths.

A judge may prefer whatever stands first. Where both orders of two answers were judged, the
preference counts that is the same in both; one that turned with the order is a tie, and how often
that was is told, as is how often the first place won. Where one order was judged, it counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from urial_tui.evaluate.evaluation import JudgedPair
from urial_tui.evaluate.judge_document import PREFERRED, pair_outcomes
from urial_tui.evaluate.judgements import ASPECTS, Aspect, Preference
from urial_tui.evaluate.means import RESAMPLES, Share, share_of
from urial_tui.evaluate.win_rates import LengthControlled, WinRate, length_controlled, win_rate
from urial_tui.evaluate.words import count_words


class AspectContest(msgspec.Struct, frozen=True, kw_only=True):
    """Who wins in one aspect.

    `wins`: of the first. `length_controlled`: its rate at equal lengths, in words. `unscored`: for
    each reason, how many judgements have no preference. `flips`: of the items that have one in both
    orders, on how many it turned with the order. `first_place`: how often the answer that
    stood first won, of those judgements that are no tie.
    """

    wins: WinRate
    length_controlled: LengthControlled
    unscored: dict[str, int]
    flips: Share
    first_place: Share


class RunContest(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs, as one judge saw them.

    `items`: that were judged. `both_orders`: how many of them in both orders.
    """

    first: str
    second: str
    judge: str
    items: int
    both_orders: int
    aspects: dict[Aspect, AspectContest]


def contests(
    comparisons: Sequence[JudgedPair],
    names: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[RunContest]:
    """The contests of all pairs of runs, in the order of the runs.

    Args:
        comparisons: What was judged.
        names: Of the runs in their order; the first of a pair comes first here.
        resamples: Draws of the intervals.
        seed: Of the draws.
    """
    pairs: dict[tuple[int, int, str], list[JudgedPair]] = {}
    for one in comparisons:
        low, high = sorted((names.index(one.first), names.index(one.second)))
        pairs.setdefault((low, high, one.judgement.judge), []).append(one)
    return [
        _contest(names[low], names[high], judge, pairs[low, high, judge], resamples, seed)
        for low, high, judge in sorted(pairs)
    ]


def _contest(
    first: str, second: str, judge: str, said: Sequence[JudgedPair], resamples: int, seed: int
) -> RunContest:
    by_item: dict[str, list[JudgedPair]] = {}
    for one in said:
        by_item.setdefault(str(one.judgement.id), []).append(one)
    aspects = {aspect for one in said for aspect in one.judgement.preferences}
    orders = [{one.first for one in both} for both in by_item.values()]
    return RunContest(
        first=first,
        second=second,
        judge=judge,
        items=len(by_item),
        both_orders=sum(len(each) > 1 for each in orders),
        aspects={
            aspect: _aspect(first, aspect, by_item, resamples, seed)
            for aspect in ASPECTS
            if aspect in aspects
        },
    )


def _aspect(
    first: str,
    aspect: Aspect,
    by_item: Mapping[str, Sequence[JudgedPair]],
    resamples: int,
    seed: int,
) -> AspectContest:
    values: list[float | None] = []
    lengths: list[tuple[int, int]] = []
    unscored: Counter[str] = Counter()
    places: list[bool | None] = []
    flips: list[bool | None] = []
    for both in by_item.values():
        for one in both:
            preference = one.judgement.preferences.get(aspect, Preference(unscored="missing"))
            if preference.choice is None:
                unscored[preference.unscored] += 1
                places.append(None)
                continue
            places.append(None if preference.choice == "same" else preference.choice == "A")
        outcomes = pair_outcomes([one.judgement for one in both], alone=True)
        outcome = next((each for each in outcomes if each.aspect == aspect), None)
        if outcome is None or outcome.outcome is None:
            values.append(None)
        else:
            value = PREFERRED[outcome.outcome]
            values.append(value if both[0].first == first else 1.0 - value)
            flips += [outcome.flipped] if len(both) > 1 else []
        shown = both[0].judgement
        words = (count_words(shown.output_a), count_words(shown.output_b))
        lengths.append(words if both[0].first == first else words[::-1])
    return AspectContest(
        wins=win_rate(values, resamples=resamples, seed=seed),
        length_controlled=length_controlled(
            values, [one for one, _ in lengths], [other for _, other in lengths]
        ),
        unscored=dict(unscored.most_common()),
        flips=share_of(flips),
        first_place=share_of(places),
    )
