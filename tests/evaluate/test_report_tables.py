"""The tables of a report: in the terminal, and as Markdown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.judged import HOSTILE, answer, preferred, reported, scored, swapped
from urial_tui.evaluate.report_cells import Table, letter
from urial_tui.evaluate.report_markdown import markdown, write_markdown
from urial_tui.evaluate.report_tables import report_tables
from urial_tui.report_file import ReportError

TEXTS = [f"Answer {number} of some words" for number in range(6)]
SCORES = [scored(number, text, 5, 4, 3, 2, 1 + number % 2) for number, text in enumerate(TEXTS)]
SCORES[1]["parsed_result"]["depth"]["score"] = "N/A"
FILES = {
    "a": [answer(number, text) for number, text in enumerate(TEXTS)],
    "b": [answer(number, f"{text} and more", "gemma") for number, text in enumerate(TEXTS)],
    "s": SCORES,
}


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    return reported(tmp_path, FILES)


def tables(document: dict[str, Any], **options: Any) -> dict[str, Table]:
    return {table.title: table for table in report_tables(document, **options)}


def test_runs_are_letters_with_a_legend(document: dict[str, Any]) -> None:
    assert [letter(at) for at in (0, 1, 25, 26, 53)] == ["A", "B", "Z", "A1", "B2"]
    runs = tables(document)["Runs"]
    assert runs.above == ("2 runs on 6 items, of a set that is not known.",)
    assert runs.rows == (("A", "llama", "6", "0", "6"), ("B", "gemma", "6", "0", "6"))


def test_a_part_of_a_set_is_told(document: dict[str, Any]) -> None:
    for items, words in (
        (60, "6 of the 60 items of s."),
        (6, "6 items of s."),
        (None, "6 items of s."),
    ):
        told = document | {"set": {"name": "s", "items": items}}
        assert tables(told)["Runs"].above == (f"2 runs on {words}",)


def test_measures_have_intervals_and_what_nobody_measured_is_left_out(
    document: dict[str, Any],
) -> None:
    rows = {row[0]: row[1:] for row in tables(document)["Measured without a judge"].rows}
    assert rows["ending not told"] == ("6", "6")
    assert rows["refused, regular"] == ("0.0% (0–39%)", "0.0% (0–39%)")
    assert rows["words"] == ("5.00", "7.00")
    assert not {"tokens", "refused, safety", "leaked examples", "ended by itself"} & set(rows)


def test_scores_tell_what_is_missing_and_where_the_official_tool_differs(
    document: dict[str, Any],
) -> None:
    scores = tables(document)["Scores by judge-1"]
    assert scores.columns == ("", "A")
    rows = {row[0]: row[1] for row in scores.rows}
    assert rows["depth"].startswith("2.00 (1.")
    assert rows["engagement"].startswith("1.50 (1.")
    assert scores.above == ("Items judged: A 6.",)
    assert scores.below == (
        "A has no score for depth 1 not applicable.",
        # (5 · 2 + 5) / 6
        "The official tool has for A depth 2.50 over 6.",
    )


def test_differences_say_of_how_many_items(document: dict[str, Any]) -> None:
    table = tables(document)["A minus B"]
    assert table.above == ("Over the 6 items that both have answered.",)
    words = next(row for row in table.rows if row[0] == "words")
    # All items differ by 2, so there is nothing to draw; of 2 ** 6 signs two are as extreme.
    assert words == ("words", "5.00", "7.00", "-2.00", "6", "0.031")


def test_runs_without_a_common_item_are_named_together(tmp_path: Path) -> None:
    found = reported(
        tmp_path,
        {"a": [scored(1, "a", 5)], "b": [scored(2, "b", 5, generator_cand="gemma")]},
    )
    assert tables(found)["Not compared"].above == ("These have no item in common: A and B.",)


def test_contests_are_told_with_their_orders(tmp_path: Path) -> None:
    pairs = [preferred(1, "A"), swapped(preferred(1, "B")), preferred(2, "same"), preferred(3, "?")]
    contest = tables(reported(tmp_path, {"p": pairs}))["A against B, by judge-1"]
    assert contest.above[0].startswith("3 items, 1 of them in both orders.")
    assert contest.rows == (("overall", "50.0%", "50.0%", "0.0%", "75.0%", "-", "2"),)
    assert contest.below == (
        "No preference for overall 1 no choice.",
        "Turned with the order, and so a tie: overall 0.0% (0–79%) of 1.",
        "What stood first won, of the judgements that are no tie: overall 50.0% (9–91%) of 2.",
        "overall, at equal lengths: fewer than 5 items were judged.",
    )


def test_more_runs_than_fit_are_told_in_several_tables(document: dict[str, Any]) -> None:
    found = list(report_tables(document, at_once=1, groups=()))
    assert [table.columns for table in found if table.title == "Measured without a judge"] == [
        ("", "A"),
        ("", "B"),
    ]


def test_groups_are_told_for_each_run(document: dict[str, Any]) -> None:
    found = tables(document, groups=("dataset",))
    scores = found["A by dataset, scores by judge-1"]
    assert scores.columns == (
        *("", "ITEMS", "HELP", "CLEAR", "FACT", "DEEP", "ENGAGE"),
        *("WORDS", "REFUSED"),
    )
    # The three odd items are ours, and one of their scores for depth is none.
    assert scores.rows == (
        ("ours", "3", "5.00", "4.00", "3.00", "2.00", "2.00", "5", "0%"),
        ("theirs", "3", "5.00", "4.00", "3.00", "2.00", "1.00", "5", "0%"),
    )
    assert found["B by dataset"].columns == ("", "ITEMS", "WORDS", "REFUSED")


def test_published_scores_come_last_and_name_their_judge(
    document: dict[str, Any], tmp_path: Path
) -> None:
    *_, last = report_tables(document)
    assert last.title == "Published, by GPT-4"
    assert "not from this evaluation" in last.above[0]
    assert "Published, by GPT-4" not in tables(reported(tmp_path, {"a": FILES["a"]}))


# -- Markdown --------------------------------------------------------------------------


def test_markdown_has_every_table(document: dict[str, Any]) -> None:
    text = markdown(document)
    assert text.startswith("# Evaluation\n\n## Runs\n\n2 runs on 6 items")
    for title in tables(document):
        assert f"\n## {title}\n" in text
    assert "| A | llama | 6 | 0 | 6 |" in text
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1


def test_names_are_no_markdown(tmp_path: Path) -> None:
    name = f"{HOSTILE}\n# a\n| b | `c` www.d.e f@g.h https://i.j"
    text = markdown(reported(tmp_path, {"a": [answer(1, "x", name)]}))
    line = next(line for line in text.splitlines() if line.startswith("| A |"))
    assert not re.search(r"[\x00-\x1f\u202e\u2028]", line)
    unescaped = re.sub(r"\\.", "", line)
    assert unescaped.count("|") == 6
    assert not re.search(r"[<>`*_\[\]&@]|://|www\.", unescaped)


def test_a_markdown_file_appears_whole_or_not_at_all(
    document: dict[str, Any], tmp_path: Path
) -> None:
    write_markdown(tmp_path / "r.md", document)
    assert (tmp_path / "r.md").read_text(encoding="utf-8") == markdown(document)
    with pytest.raises(ReportError, match="there is no such directory") as caught:
        write_markdown(tmp_path / "none" / "r.md", document)
    assert caught.value.hint.endswith("--markdown.")
