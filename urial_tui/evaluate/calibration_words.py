"""The sentences on how far a judge can be trusted; only what the labels show is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from urial_tui.evaluate.calibration import Calibration
from urial_tui.evaluate.correction import ErrorDifference
from urial_tui.wording import amount, fixed, percent

_FEWEST_RANKED: Final = 5
"""So many are ranked alike by chance in one of 120 cases; with fewer, chance is no wonder."""


def trust(found: Calibration) -> list[str]:
    """How far a judge can be trusted, in sentences."""
    what = amount(found.matched, "pair" if found.pairs else "answer")
    return [
        f"{found.judge} was set beside {found.reference} on {what}.",
        *_agreeing(found),
        *_ranking(found),
        *_winning(found),
        *_erring(found),
    ]


def _agreeing(found: Calibration) -> list[str]:
    every = found.aspects.values()
    shares = [one.same if found.pairs else one.agreement.near for one in every]
    count = sum(share.count for share in shares)
    if not count:
        return ["Nothing that both have judged is scored on both sides."]
    share = percent(sum(share.hits for share in shares) / count, 0)
    if found.pairs:
        return [f"Both say the same in {share} of {amount(count, 'comparison')}, by aspect."]
    return [f"It is within 1 point of it on {share} of {amount(count, 'score')}."]


def _ranking(found: Calibration) -> list[str]:
    """In what the judge ranks as the reference does: where the interval is above 0."""
    better, chance, unknown = [], [], []
    for aspect, one in found.aspects.items():
        interval, rho = one.agreement.spearman_interval, one.agreement.spearman
        perfect = rho == 1 and one.agreement.count >= _FEWEST_RANKED
        if interval is None and not perfect:
            unknown.append(aspect)
        elif perfect or (interval is not None and interval[0] > 0):
            better.append(f"{aspect} ({fixed(rho, 2)})")
        else:
            chance.append(aspect)
    said = []
    if better:
        said.append(
            f"It ranks as the reference does, more or less, in {', '.join(better)}: Spearman's "
            "correlation."
        )
    if chance:
        said.append(
            f"In {', '.join(chance)} its ranking can't be told from chance: that it finds one "
            "better than another means nothing there."
        )
    if unknown:
        said.append(
            f"In {', '.join(unknown)} its ranking is unknown: too few are scored by both, or one "
            "of the two scores all alike."
        )
    return said


def _winning(found: Calibration) -> Iterator[str]:
    """How often it sees that the first of a pair has won, and that it has not."""
    for aspect, one in found.aspects.items():
        if one.wins is None or one.wins.quality.youden is None:
            continue
        wins, others = one.wins.quality.sensitivity, one.wins.quality.specificity
        coin = ", no better than a coin" if one.wins.quality.youden <= 0 else ""
        yield (
            f"In {aspect} it sees {percent(wins.share, 0)} of "
            f"{amount(wins.count, 'win')} of the first one named, and takes "
            f"{percent(1 - (others.share or 0), 0)} of {amount(others.count, 'other pair')} for "
            f"one{coin}."
        )


def _erring(found: Calibration) -> Iterator[str]:
    """In what the judge errs to one side, and where it errs on runs by different amounts."""
    sides = []
    for aspect, one in found.aspects.items():
        bias = one.agreement.bias
        if bias.mean is None or bias.interval is None:
            continue
        if not bias.interval[0] <= 0 <= bias.interval[1]:
            much, little = ("too often", "too seldom") if found.pairs else ("too high", "too low")
            side = much if bias.mean > 0 else little
            sides.append(f"{aspect} {fixed(abs(bias.mean), 2)} {side}")
    if sides and found.pairs:
        yield f"The first one named wins {', '.join(sides)}: read the corrected win rates."
    elif sides:
        yield f"It scores {', '.join(sides)}: read the corrected means."
    apart: dict[tuple[str, str], list[tuple[str, ErrorDifference]]] = {}
    for aspect, one in found.aspects.items():
        for two in one.differences:
            if two.errors.differs:
                apart.setdefault((two.first, two.second), []).append((aspect, two.errors))
    for (first, second), errors in apart.items():
        named = ", ".join(
            f"{aspect} by {fixed(one.first, 2)} and {fixed(one.second, 2)}"
            for aspect, one in errors
        )
        reverse = any(one.may_reverse for _, one in errors)
        worse = ", which might name the wrong one as the better" if reverse else ""
        yield (
            f"It errs differently on {first} and on {second}, {named}: compare these two by their "
            f"corrected difference, never by one correction for both{worse}."
        )
