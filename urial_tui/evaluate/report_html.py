"""The report of an evaluation as one HTML file: a page that needs neither a network nor a server.

The file is a view of the report's document. All texts of the items stand in its index, so that they
can be searched; what is measured and said of the answers is an item's own block, which a browser
unpacks when the item is opened. The page is in `page/`, with what all pages have in common in
`urial_tui/page/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from urial_tui.page.page import ITEMS, compress, encoded, page, to_json
from urial_tui.report_file import report_file
from urial_tui.sanitize import sanitize_line

_SCRIPTS: Final = (
    "runs.js",
    "radar.js",
    "trust.js",
    "overview.js",
    "items.js",
    "item.js",
    "page.js",
)
_FIELDS: Final = ("task_types", "topics")
_NO_SCORE: Final = 0
"""Stands in the index for a score that there is none of; scores are from 1."""

Columns = Mapping[tuple[str, str], int]
"""The place of each judge and aspect among an answer's scores."""


def write_html(path: Path, document: Mapping[str, Any]) -> None:
    """Write the page of a report; an older file is replaced once the new one is whole.

    Args:
        path: Where to; its directory exists.
        document: The JSON document, see docs/json.md.

    Raises:
        ReportError: The disk is full, or the place can't be written to.
    """
    with report_file(path, "--html") as output:
        for text in _page(document):
            output.write(text.encode("utf-8", "replace"))


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    """The file in pieces. The index stands in front, so that it shows while the rest loads."""
    items: Sequence[Mapping[str, Any]] = document["items"]
    places = {run["name"]: at for at, run in enumerate(document["runs"])}
    columns = _columns(document)
    head = {key: value for key, value in document.items() if key != "items"}
    rows = [_index_row(item, places, columns) for item in items]
    return page(
        resources.files("urial_tui.evaluate") / "page",
        _SCRIPTS,
        ("page.css",),
        common_scripts=ITEMS,
        title=sanitize_line(_title(document))[:200],
        head=to_json(head | {"items": len(items), "columns": list(columns)}).decode(),
        rows=to_json(rows).decode(),
        blocks=(encoded(compress(to_json(_block(item, places)))) for item in items),
    )


def _columns(document: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    columns: dict[tuple[str, str], int] = {}
    for run in document["runs"]:
        for said in run["judges"]:
            for aspect in said["aspects"]:
                columns.setdefault((said["judge"], aspect), len(columns))
    return columns


def _index_row(
    item: Mapping[str, Any], places: Mapping[str, int], columns: Columns
) -> list[object]:
    """[id, turns, fields, answers]; an answer is [run, outputs, words, refuses, scores].

    Scores stand in the order of the columns: None for an aspect that the item does not have, and
    `_NO_SCORE` where there is none.
    """
    fields = {
        "category": [item["category"]],
        "dataset": [item["dataset"]] if item["dataset"] else [],
        **{field: item[field] for field in _FIELDS},
    }
    answers = []
    for answer in item["answers"]:
        scores: list[float | None] = [None] * len(columns)
        for said in answer["scores"]:
            for aspect, score in said["aspects"].items():
                scores[columns[said["judge"], aspect]] = score["score"] or _NO_SCORE
        answers.append(
            [
                places[answer["run"]],
                [turn["output"] for turn in answer["turns"]],
                sum(turn["words"] for turn in answer["turns"]),
                answer["refuses"],
                scores,
            ]
        )
    return [item["id"], item["turns"], fields, answers]


def _block(item: Mapping[str, Any], places: Mapping[str, int]) -> dict[str, Any]:
    """What the index has not of an item."""
    return {
        "references": item["references"],
        "comparisons": item["comparisons"],
        "answers": [
            {
                "run": places[answer["run"]],
                "turns": [
                    {key: value for key, value in turn.items() if key != "output"}
                    for turn in answer["turns"]
                ],
                "scores": answer["scores"],
            }
            for answer in item["answers"]
        ],
    }


def _title(document: Mapping[str, Any]) -> str:
    """Of the window: the runs."""
    return "Evaluation: " + ", ".join(run["name"][:60] for run in document["runs"][:4])
