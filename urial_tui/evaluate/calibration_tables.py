"""The tables of a judge beside a reference: its agreement, and what it says once corrected.

They are views of the document (docs/json.md), which the report holds, too. All texts are as the
files have them, to be made safe by whoever shows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from urial_tui.evaluate.report_cells import ReportRow, Table, judge_name
from urial_tui.wording import UNKNOWN, amount, capital, fixed, percent


def calibration_tables(
    document: ReportRow, names: Mapping[str, str] | None = None
) -> Iterator[Table]:
    """The tables of a calibration.

    Args:
        document: See docs/json.md.
        names: What stands for the names of runs; the names themselves without.
    """
    in_what = {True: " with pairs", False: " with scores", None: ""}[document["pairs"]]
    title = f"How far {judge_name(document['judge'])} can be trusted{in_what}"
    if not document["aspects"]:
        yield Table(title=title, above=tuple(document["trust"]))
        return
    pairs, what = document["pairs"], "pair" if document["pairs"] else "answer"
    yield Table(
        title=title,
        above=tuple(document["trust"]),
        columns=("", "BOTH", "SAME", *(() if pairs else ("WITHIN 1",)), "RANK", "ERROR", "95 %"),
        rows=tuple(_agreement(aspect, one, pairs) for aspect, one in document["aspects"].items()),
        below=tuple(
            f"{amount(document[key], f'more {what}')} only the {who} has judged."
            for who, key in (("judge", "judged_alone"), ("reference", "reference_alone"))
            if document[key]
        ),
    )
    yield Table(
        title=f"What {judge_name(document['judge'])} says, corrected",
        columns=("", "", "JUDGED", "CORRECTED", "95 %", "LABELS"),
        rows=tuple(_corrected(document, names or {})),
        below=tuple(_notes(document)),
        name_columns=2,
    )


def _agreement(aspect: str, one: ReportRow, pairs: bool) -> tuple[str, ...]:
    found = one["agreement"]
    return (
        aspect,
        f"{found['bias']['count']:,}",
        percent(one["same"]["share"], 0),
        *(() if pairs else (percent(found["near"]["share"], 0),)),
        fixed(found["spearman"], 2),
        fixed(found["bias"]["mean"], 2),
        _between(found["bias"]["interval"]),
    )


def _corrected(document: ReportRow, names: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """The runs, then every two of them; of pairs the wins, too."""
    for aspect, one in document["aspects"].items():
        for run, found in one["runs"].items():
            yield _row(aspect, names.get(run, run), found)
        for run, found in _won(one).items():
            yield _row(f"{aspect}, won", names.get(run, run), found)
        for two in one["differences"]:
            if two["corrected"]["corrected"] is not None:
                first, second = (names.get(two[side], two[side]) for side in ("first", "second"))
                yield _row(aspect, f"{first} minus {second}", two["corrected"])


def _won(one: ReportRow) -> Mapping[str, ReportRow]:
    return {} if one["wins"] is None else one["wins"]["runs"]


def _row(aspect: str, what: str, found: ReportRow) -> tuple[str, ...]:
    return (
        aspect,
        what,
        fixed(found["raw"], 2),
        fixed(found["corrected"], 2),
        _between(found["interval"]),
        f"{found['labels']:,}",
    )


def _notes(document: ReportRow) -> list[str]:
    """Why something can't be told, and what to bear in mind; each once."""
    every = [
        found["note"]
        for one in document["aspects"].values()
        for found in (*one["runs"].values(), *_won(one).values())
    ]
    return [f"{capital(note)}." for note in dict.fromkeys(every) if note]


def _between(interval: Sequence[float] | None) -> str:
    return UNKNOWN if interval is None else f"{fixed(interval[0], 2)} to {fixed(interval[1], 2)}"
