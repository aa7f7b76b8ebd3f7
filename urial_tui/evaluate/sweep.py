"""The JSON document of a sweep: answers under several settings; the table is a view of it.

No judge is asked. Questions are the unit: intervals are 95 % over them, and a setting is compared
with the first one on the same questions. What was not measured is null, and counted.
docs/json.md has the keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from urial_tui.engine.wire.values import Sampling
from urial_tui.evaluate.context_measures import end_of
from urial_tui.evaluate.means import mean_of, paired_difference, share_of
from urial_tui.evaluate.measures import REPEATED
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.words import count_words, distinct, repeated, words_of
from urial_tui.prompting.context import Context
from urial_tui.wording import fixed, percent

SWEPT = (
    "temperature",
    "repetition_penalty",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
)
"""The settings that a sweep changes."""


class SweptSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting, and the answer to each question under it, None for what could not be had."""

    name: str
    sampling: Sampling
    answers: tuple[AnsweredTurn | None, ...]


def sweep_document(swept: Sequence[SweptSetting], context: Context, **head: Any) -> dict[str, Any]:
    """The document, see docs/json.md.

    Args:
        swept: The settings; all others are compared with the first.
        context: What all of them were answered in.
        head: What else it says of all of them.
    """
    seen = [_Seen(each, context) for each in swept]
    rows = [_setting(each, seen[0]) for each in seen]
    return {**head, "context": context.name, "settings": rows, "chosen": _chosen(rows)}


def sweep_rows(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The table of a sweep, a row a setting.

    Args:
        document: See docs/json.md.

    Returns:
        The titles of the columns, and the rows.
    """
    titles = [
        *("SETTING", "ENDED", "DIFFERENCE", "RAN ON", "CUT", "REPEATED", "DIFFERENCE"),
        *("WORDS", "DISTINCT"),
    ]
    rows = [
        [
            each["name"],
            percent(each["ended"]["share"], 0),
            _difference(each, "ended"),
            *(percent(each[name]["share"], 0) for name in ("ran_on", "cut")),
            percent(each["repeated"]["mean"], 1),
            _difference(each, "repeated"),
            fixed(each["words"]["mean"], 0),
            percent(each["distinct_2"]["mean"], 0),
        ]
        for each in document["settings"]
    ]
    return titles, rows


class _Seen:
    """A setting's values, one a question; None for what is not known."""

    def __init__(self, swept: SweptSetting, context: Context) -> None:
        self.swept = swept
        found = swept.answers
        texts = [None if one is None else words_of(one.output) for one in found]
        ends = [None if one is None else end_of(one, context) for one in found]
        self.ended, self.ran_on, self.cut = (
            [None if each is None else each == end for each in ends]
            for end in ("ended", "ran_on", "cut")
        )
        self.words = [None if one is None else count_words(one.output) for one in found]
        self.repeated = [None if words is None else repeated(words, REPEATED) for words in texts]
        self.distinct_1, self.distinct_2 = (
            [None if words is None else distinct([words], size) for words in texts]
            for size in (1, 2)
        )


def _setting(seen: _Seen, first: _Seen) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": seen.swept.name,
        **{name: getattr(seen.swept.sampling, name) for name in SWEPT},
        "ended": share_of(seen.ended),
        "ran_on": share_of(seen.ran_on),
        "cut": share_of(seen.cut),
        "words": mean_of(seen.words),
        "repeated": mean_of(seen.repeated, bounds=(0.0, 1.0)),
        "distinct_1": mean_of(seen.distinct_1),
        "distinct_2": mean_of(seen.distinct_2),
        "difference": None,
    }
    if seen is not first:
        bounds = (0.0, 1.0)
        found["difference"] = {
            "to": first.swept.name,
            "ended": paired_difference(seen.ended, first.ended, bounds=bounds),
            "repeated": paired_difference(seen.repeated, first.repeated, bounds=bounds),
            "words": paired_difference(seen.words, first.words),
        }
    document: dict[str, Any] = msgspec.to_builtins(found)
    return document


def _chosen(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The setting that is better than the first one, as far as intervals tell; None for none.

    More answers end, or fewer words are repeated, by an interval that leaves 0 out, and the other
    one of the two is not worse by such an interval. Of several, that of which most answers end, and
    of these the one that repeats least.
    """
    better = []
    for row in rows[1:]:
        ended, repeats = (row["difference"][name]["interval"] for name in ("ended", "repeated"))
        if ended is None or repeats is None:
            continue
        if (ended[0] > 0 and repeats[0] <= 0) or (repeats[1] < 0 and ended[1] >= 0):
            better.append(row)
    best = min(
        better, key=lambda row: (-row["ended"]["share"], row["repeated"]["mean"]), default=None
    )
    return None if best is None else str(best["name"])


def _difference(row: Mapping[str, Any], name: str) -> str:
    """Percentage points more than under the first setting: +20 (+5 to +35)."""
    if row["difference"] is None:
        return ""
    found = row["difference"][name]
    spread = ""
    if found["interval"]:
        low, high = found["interval"]
        spread = f" ({_points(low)} to {_points(high)})"
    return _points(found["difference"]) + spread


def _points(share: float | None) -> str:
    text = fixed(None if share is None else 100 * share, 0)
    return f"+{text}" if share is not None and share > 0 and text != "0" else text
