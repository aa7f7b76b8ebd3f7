"""The tables of an evaluation's report: its document as titles, sentences and cells of text.

The terminal and the Markdown file draw the same tables. Runs are letters in them, for their names
are long; a legend has both. A row of which nothing was measured for any run is left out: the
document has it as null. All texts are as the files have them, to be made safe by whoever shows
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import Final

from urial_tui.evaluate.calibration import against
from urial_tui.evaluate.calibration_tables import calibration_tables
from urial_tui.evaluate.comparison_tables import contest_table, difference_table, not_compared
from urial_tui.evaluate.report_cells import (
    MEANS,
    ReportRow,
    Table,
    judge_name,
    letter,
    mean_text,
    reasons,
    score_text,
    share_text,
)
from urial_tui.wording import amount, fixed, percent, three_digits

_SHARES: Final[tuple[tuple[str, Callable[[ReportRow], ReportRow | None]], ...]] = (
    ("empty", lambda measures: measures["empty"]),
    ("refused, regular", lambda measures: measures["refused"].get("regular")),
    ("refused, safety", lambda measures: measures["refused"].get("safety")),
    ("question's language", lambda measures: measures["same_language"]),
    ("headings", lambda measures: measures["form"]["headings"]),
    ("lists", lambda measures: measures["form"]["lists"]),
    ("code blocks", lambda measures: measures["form"]["code_blocks"]),
    ("bold", lambda measures: measures["form"]["bold"]),
    ("leaked examples", lambda measures: measures["leaked"]),
)
_ENDINGS: Final = (
    ("ended by itself", "end"),
    ("at a stop string", "stop"),
    ("cut", "cut"),
    ("cancelled", "cancelled"),
    ("ending not told", "unknown"),
)
_FIELDS: Final = {
    "category": "category",
    "task_types": "task type",
    "topics": "topic",
    "dataset": "dataset",
}
_PUBLISHED: Final = (
    *("helpfulness", "clarity", "factuality", "depth", "engagement", "safety", "average"),
)
_SHORT: Final = {
    "helpfulness": "HELP",
    "clarity": "CLEAR",
    "factuality": "FACT",
    "depth": "DEEP",
    "engagement": "ENGAGE",
    "safety": "SAFE",
    "overall": "WHOLE",
    "average": "MEAN",
}
_SAME: Final = 5e-10
"""Means that are no further apart are the same."""


def report_tables(
    document: ReportRow, *, at_once: int | None = None, groups: Sequence[str] | None = None
) -> Iterator[Table]:
    """The tables of a report, in the order in which they are read.

    Args:
        document: See docs/json.md.
        at_once: So many runs stand beside each other in a table; all if None.
        groups: The fields whose groups are told; all if None.
    """
    runs: Sequence[ReportRow] = document["runs"]
    yield _legend(document)
    step = at_once or max(1, len(runs))
    for start in range(0, len(runs), step):
        yield _measures(runs, range(start, min(start + step, len(runs))))
    judges = list(dict.fromkeys(said["judge"] for run in runs for said in run["judges"]))
    for judge in judges:
        judged = [at for at, run in enumerate(runs) if _of_judge(run, judge) is not None]
        for start in range(0, len(judged), step):
            yield _scores(runs, judge, judged[start : start + step])
    letters = {run["name"]: letter(at) for at, run in enumerate(runs)}
    for difference in document["differences"]:
        if difference["items"]:
            yield difference_table(difference, letters)
    yield from not_compared(document["differences"], letters)
    for contest in document["contests"]:
        yield contest_table(contest, letters)
    pairs = {
        against(one, other): against(letters[one], letters[other])
        for one, other in permutations(letters, 2)
    }
    for calibration in document["calibrations"]:
        yield from calibration_tables(calibration, letters | pairs)
    for field in _FIELDS if groups is None else groups:
        yield from _groups(document["groups"][field], field, runs)
    if judges:
        yield _published(document["published"])


# -- runs ------------------------------------------------------------------------------


def _legend(document: ReportRow) -> Table:
    runs, found = document["runs"], document["set"]
    asked = len(document["items"])
    if found["name"] is None:
        what = f"{amount(asked, 'item')}, of a set that is not known"
    elif found["items"] in (None, asked):
        what = f"{amount(asked, 'item')} of {found['name']}"
    else:
        what = f"{asked:,} of the {amount(found['items'], 'item')} of {found['name']}"
    return Table(
        title="Runs",
        above=(f"{amount(len(runs), 'run')} on {what}.",),
        columns=("RUN", "NAME", "ITEMS", "SAFETY", "ANSWERS"),
        rows=tuple(
            (
                letter(at),
                run["name"],
                f"{run['items']:,}",
                f"{run['categories']['safety']:,}",
                f"{run['measures']['answers']:,}",
            )
            for at, run in enumerate(runs)
        ),
        below=(
            *(
                f"Left out: {amount(file['unmatched'], 'judgement')} in {file['name']} of answers "
                "that are not among these."
                for file in document["files"]
                if file["unmatched"]
            ),
            *_not_looked_for(document),
        ),
        name_columns=2,
    )


def _not_looked_for(document: ReportRow) -> Iterator[str]:
    """The examples that a reader would take to have been looked for in the answers."""
    for at, run in enumerate(document["runs"]):
        if run["preamble"] is not None and not run["examples_known"]:
            yield (
                f"{letter(at)} was written under the preamble {run['preamble']} as it was then, "
                "which is not here any more: its examples were not looked for."
            )
    named = document["preamble"]
    if named is not None and named not in [run["preamble"] for run in document["runs"]]:
        yield (
            f"The examples of {named} were not looked for: each file tells what its answers were "
            "written under."
        )


def _measures(runs: Sequence[ReportRow], places: Sequence[int]) -> Table:
    shown = [runs[at]["measures"] for at in places]
    rows: list[tuple[str, ...]] = []
    for name, ending in _ENDINGS:
        counts = [measures["endings"].get(ending, 0) for measures in shown]
        if any(counts):
            rows.append((name, *(f"{count:,}" for count in counts)))
    for name, key in MEANS:
        rows += _row(name, [measures[key] for measures in shown], mean_text)
        if key in ("distinct_1", "distinct_2"):
            whole = [measures[f"run_{key}"] for measures in shown]
            if any(value is not None for value in whole):
                rows.append((f"{name} of all", *(three_digits(value) for value in whole)))
    for name, pick in _SHARES:
        rows += _row(name, [pick(measures) for measures in shown], share_text)
    return Table(
        title="Measured without a judge",
        columns=("", *(letter(at) for at in places)),
        rows=tuple(rows),
        below=tuple(_unmeasured(runs, places)),
    )


def _row(
    name: str, found: Sequence[ReportRow | None], text: Callable[[ReportRow | None], str]
) -> list[tuple[str, ...]]:
    if not any(one and one["count"] for one in found):
        return []
    return [(name, *(text(one) for one in found))]


def _unmeasured(runs: Sequence[ReportRow], places: Sequence[int]) -> Iterator[str]:
    """What a mean of the table does not hold, where it holds a part."""
    for at in places:
        measures = runs[at]["measures"]
        parts = [
            f"{name} {found['missing']:,}"
            for name, found in (
                *((name, measures[key]) for name, key in MEANS),
                *((name, pick(measures)) for name, pick in _SHARES),
            )
            if found and found["count"] and found["missing"]
        ]
        if parts:
            yield f"Answers of {letter(at)} that could not be measured: {', '.join(parts)}."


# -- scores ----------------------------------------------------------------------------


def _of_judge(run: ReportRow, judge: str) -> ReportRow | None:
    return next((said for said in run["judges"] if said["judge"] == judge), None)


def _scores(runs: Sequence[ReportRow], judge: str, places: Sequence[int]) -> Table:
    said = {at: found for at in places if (found := _of_judge(runs[at], judge)) is not None}
    aspects = dict.fromkeys(aspect for found in said.values() for aspect in found["aspects"])
    below: list[str] = []
    for at, found in said.items():
        unscored = [
            f"{aspect} {reasons(mean['unscored'])}"
            for aspect, mean in found["aspects"].items()
            if mean["unscored"]
        ]
        official = [
            f"{aspect} {fixed(mean['official']['mean'], 2)} over {mean['official']['count']:,}"
            for aspect, mean in found["aspects"].items()
            if official_differs(mean)
        ]
        if unscored:
            below.append(f"{letter(at)} has no score for {'; '.join(unscored)}.")
        if official:
            below.append(f"The official tool has for {letter(at)} {', '.join(official)}.")
    return Table(
        title=f"Scores by {judge_name(judge)}",
        columns=("", *(letter(at) for at in said)),
        rows=tuple(
            (aspect, *(score_text(found["aspects"].get(aspect)) for found in said.values()))
            for aspect in aspects
        ),
        above=(
            "Items judged: "
            + ", ".join(f"{letter(at)} {found['items']:,}" for at, found in said.items())
            + ".",
        ),
        below=tuple(below),
    )


def official_differs(mean: ReportRow) -> bool:
    """Whether the official tool has another mean of the same judgements, or counts others."""
    official = mean["official"]
    if official is None:
        return False
    return (
        official["count"] != mean["count"]
        or mean["mean"] is None
        or abs(official["mean"] - mean["mean"]) > _SAME
    )


# -- groups and what was published -----------------------------------------------------


def _groups(groups: Sequence[ReportRow], field: str, runs: Sequence[ReportRow]) -> Iterator[Table]:
    """A table for each run and judge; without a judge its measures."""
    if len(groups) < 2:
        return
    for at, run in enumerate(runs):
        parts = [
            (group["value"], next(one for one in group["runs"] if one["run"] == run["name"]))
            for group in groups
        ]
        parts = [(value, one) for value, one in parts if one["items"]]
        if len(parts) < 2:
            continue
        for judge in [said["judge"] for said in run["judges"]] or [None]:
            said = {
                value: (_of_judge(one, judge) or {"aspects": {}})["aspects"]
                if judge is not None
                else {}
                for value, one in parts
            }
            aspects = [
                aspect for aspect in _SHORT if any(aspect in found for found in said.values())
            ]
            by = f", scores by {judge_name(judge)}" if judge is not None else ""
            yield Table(
                title=f"{letter(at)} by {_FIELDS[field]}{by}",
                columns=("", "ITEMS", *(_SHORT[aspect] for aspect in aspects), "WORDS", "REFUSED"),
                rows=tuple(
                    (
                        value,
                        f"{one['items']:,}",
                        *(fixed(said[value].get(aspect, {}).get("mean"), 2) for aspect in aspects),
                        fixed(one["words"]["mean"], 0),
                        percent(one["refused"]["share"], 0),
                    )
                    for value, one in parts
                ),
            )


def _published(found: ReportRow) -> Table:
    return Table(
        title=f"Published, by {found['judge']}",
        above=(
            f"From the paper ({found['source']}), not from this evaluation: means by "
            f"{found['judge']} over the {amount(found['items'], 'item')} of {found['set']}. "
            "Another judge has another scale.",
        ),
        columns=("", *(_SHORT[aspect] for aspect in _PUBLISHED), "WORDS"),
        rows=tuple(
            (
                row["name"],
                *(fixed(row[aspect], 2) for aspect in _PUBLISHED),
                fixed(row["words"], 0),
            )
            for row in found["rows"]
        ),
    )
