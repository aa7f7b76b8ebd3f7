"""The tables of a report that lay two runs beside each other: differences, and contests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from urial_tui.evaluate.report_cells import (
    MEANS,
    ReportRow,
    Table,
    interval_text,
    judge_name,
    p_text,
    reasons,
    share_text,
    two_digits,
)
from urial_tui.wording import amount, percent, three_digits

_DIFFERENCES: Final = {
    **{key: name for name, key in MEANS},
    "refused_regular": "refused, regular",
    "refused_safety": "refused, safety",
}


# -- differences -----------------------------------------------------------------------


def difference_table(found: ReportRow, letters: Mapping[str, str]) -> Table:
    """How two runs differ on the items that both have answered.

    Args:
        found: Of the document's differences.
        letters: Of the runs, by their names.
    """
    first, second = letters[found["first"]], letters[found["second"]]
    rows = [
        _difference_row(_DIFFERENCES[name], one, three_digits)
        for name, one in found["measures"].items()
        if one["count"]
    ]
    for said in found["judges"]:
        several = len(found["judges"]) > 1
        rows += [
            _difference_row(
                f"{aspect}, {judge_name(said['judge'])}" if several else aspect, one, two_digits
            )
            for aspect, one in said["aspects"].items()
            if one["count"]
        ]
    judges = ", ".join(judge_name(said["judge"]) for said in found["judges"])
    return Table(
        title=f"{first} minus {second}",
        above=(
            f"Over the {amount(found['items'], 'item')} that both have answered"
            + (f"; scores by {judges}." if judges else "."),
        ),
        columns=("", first, second, "DIFFERENCE", "ITEMS", "P"),
        rows=tuple(rows),
    )


def not_compared(differences: Sequence[ReportRow], letters: Mapping[str, str]) -> Iterator[Table]:
    """The runs that have no item in common, if there are such, in one sentence."""
    apart = [
        f"{letters[found['first']]} and {letters[found['second']]}"
        for found in differences
        if not found["items"]
    ]
    if apart:
        yield Table(
            title="Not compared", above=(f"These have no item in common: {', '.join(apart)}.",)
        )


def _difference_row(
    name: str, one: ReportRow, number: Callable[[float | None], str]
) -> tuple[str, ...]:
    interval = one["interval"]
    spread = (
        f" ({_signed(interval[0], number)} to {_signed(interval[1], number)})" if interval else ""
    )
    return (
        name,
        number(one["first"]),
        number(one["second"]),
        _signed(one["difference"], number) + spread,
        f"{one['count']:,}",
        p_text(one["p_value"]),
    )


def _signed(value: float | None, number: Callable[[float | None], str]) -> str:
    text = number(value)
    # What rounds to zero has no sign.
    return f"+{text}" if value is not None and value > 0 and text.strip("0.") else text


# -- contests --------------------------------------------------------------------------


def contest_table(found: ReportRow, letters: Mapping[str, str]) -> Table:
    """Which of two runs a judge prefers, aspect by aspect."""
    first, second = letters[found["first"]], letters[found["second"]]
    rows, unscored, flips, places, notes = [], [], [], [], []
    for aspect, one in found["aspects"].items():
        wins, controlled = one["wins"], one["length_controlled"]
        rows.append(
            (
                aspect,
                percent(wins["win"]),
                percent(wins["tie"]),
                percent(wins["lose"]),
                interval_text(wins["rate"], wins["rate_interval"]),
                interval_text(controlled["rate"], controlled["interval"]),
                f"{wins['count']:,}",
            )
        )
        if one["unscored"]:
            unscored.append(f"{aspect} {reasons(one['unscored'])}")
        if one["flips"]["count"]:
            turned = one["flips"]
            flips.append(f"{aspect} {share_text(turned)} of {turned['count']:,}")
        if one["first_place"]["count"]:
            place = one["first_place"]
            places.append(f"{aspect} {share_text(place)} of {place['count']:,}")
        if controlled["note"] and wins["count"]:
            notes.append(f"{aspect}, at equal lengths: {controlled['note']}.")
    below = [f"No preference for {'; '.join(unscored)}."] if unscored else []
    if flips:
        below.append(f"Turned with the order, and so a tie: {', '.join(flips)}.")
    if places:
        below.append(
            f"What stood first won, of the judgements that are no tie: {', '.join(places)}."
        )
    return Table(
        title=f"{first} against {second}, by {judge_name(found['judge'])}",
        above=(
            f"{amount(found['items'], 'item')}, {found['both_orders']:,} of them in both orders. "
            "Ties are halves in the win rate.",
        ),
        columns=("", "WIN", "TIE", "LOSE", "WIN RATE", "AT EQUAL LENGTHS", "ITEMS"),
        rows=tuple(rows),
        below=(*below, *notes),
    )
