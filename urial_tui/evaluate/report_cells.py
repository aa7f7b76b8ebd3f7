"""The cells of a report's tables: runs by their letters, figures with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from urial_tui.wording import UNKNOWN, fixed, percent, three_digits

ReportRow = Mapping[str, Any]
"""An object of the report's document."""

MEANS: Final = (
    ("words", "words"),
    ("tokens", "tokens"),
    ("distinct-1", "distinct_1"),
    ("distinct-2", "distinct_2"),
    ("repeated 4-grams", "repeated"),
    ("bits per byte", "bits_per_byte"),
    ("unshifted tokens", "unshifted"),
    ("marginal tokens", "marginal"),
    ("shifted tokens", "shift"),
)
"""Measures that are numbers: what they are called, and their keys."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table with its words. The first column is its rows' names, the others are figures.

    `above`, `below`: sentences. `name_columns`: how many columns at its start are words.
    """

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    name_columns: int = 1


def letter(place: int) -> str:
    """What a run is called in tables: A to Z, then A1, B1 and on."""
    turn, at = divmod(place, 26)
    return f"{chr(ord('A') + at)}{turn or ''}"


def judge_name(judge: str) -> str:
    """A judge's name, where it has one."""
    return judge or "an unnamed judge"


def two_digits(value: float | None) -> str:
    """A score: 4.80."""
    return fixed(value, 2)


def mean_text(found: ReportRow | None) -> str:
    """A mean with its interval: 201 (188–214)."""
    return _spread(found, three_digits)


def score_text(found: ReportRow | None) -> str:
    """A mean score with its interval: 4.80 (4.68–4.88)."""
    return _spread(found, two_digits)


def share_text(found: ReportRow | None) -> str:
    """A share with its interval: 12.5% (8–18%)."""
    return UNKNOWN if found is None else interval_text(found["share"], found["interval"])


def p_text(value: float | None) -> str:
    """A p-value: 0.031, <0.001."""
    if value is None:
        return UNKNOWN
    return "<0.001" if value < 0.001 else fixed(value, 3)


def _spread(found: ReportRow | None, number: Callable[[float | None], str]) -> str:
    if found is None:
        return UNKNOWN
    interval = found["interval"]
    spread = f" ({number(interval[0])}–{number(interval[1])})" if interval else ""
    return number(found["mean"]) + spread


def interval_text(share: float | None, interval: Sequence[float] | None) -> str:
    """A share with an interval that stands elsewhere."""
    spread = f" ({100 * interval[0]:.0f}–{100 * interval[1]:.0f}%)" if interval else ""
    return percent(share) + spread


def reasons(counts: Mapping[str, int]) -> str:
    """How often there is no score, and why: 2 not applicable, 1 missing."""
    return ", ".join(f"{count:,} {why}" for why, count in counts.items())
