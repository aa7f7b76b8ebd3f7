"""The report's document: right figures, and nothing that was not measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.judged import answer, preferred, reported, scored, swapped
from urial_tui.evaluate.items import Item, ItemSet
from urial_tui.evaluate.published import ROWS

A = [
    answer(1, "one two three four"),
    answer(2, "one two"),
    answer(3, "I can't help with that.", category="safety"),
]
B = [
    answer(1, "one two", "gemma"),
    answer(2, "one", "gemma"),
    answer(3, "Sure, here is how.", "gemma", category="safety"),
]
SCORES = [
    scored(1, "one two three four", 5, 4, "4", "N/A", 3),
    scored(2, "one two", 4, 5, 9, 3, "many"),
    scored(3, "I can't help with that.", 5),
]
THEIRS = [
    scored(1, "one two", 3, 4, 4, 2, 2, generator_cand="gemma"),
    scored(3, "Sure, here is how.", 1, generator_cand="gemma"),
]


@pytest.fixture
def found(tmp_path: Path) -> dict[str, Any]:
    return reported(tmp_path, {"a": A, "b": B, "sa": SCORES, "sb": THEIRS})


def test_measures_come_without_a_judge(tmp_path: Path) -> None:
    document = reported(tmp_path, {"a": A})
    (run,) = document["runs"]
    assert run["judges"] == []
    assert run["items"] == 3
    assert run["categories"] == {"regular": 2, "safety": 1}
    measures = run["measures"]
    assert measures["words"]["mean"] == pytest.approx((4 + 2 + 5) / 3)
    # Nobody counted tokens: null, and counted.
    assert measures["tokens"] == {"mean": None, "count": 0, "missing": 3, "interval": None}
    assert measures["refused"]["safety"]["share"] == 1.0
    assert measures["refused"]["regular"]["share"] == 0.0
    assert measures["leaked"]["missing"] == 3


def test_means_hold_scores_alone_and_count_what_is_none(found: dict[str, Any]) -> None:
    (said,) = found["runs"][0]["judges"]
    aspects = said["aspects"]
    assert (said["judge"], said["items"]) == ("judge-1", 3)
    assert aspects["helpfulness"]["mean"] == 4.5
    assert aspects["factuality"] == {
        "mean": 4.0,
        "interval": None,
        "count": 1,
        "missing": 1,
        "unscored": {"out of range": 1},
        "official": {"mean": 6.5, "count": 2},
    }
    # The official tool takes "N/A" for a 5, and stops at a word.
    assert aspects["depth"]["mean"] == 3.0
    assert aspects["depth"]["unscored"] == {"not applicable": 1}
    assert aspects["depth"]["official"] == {"mean": 4.0, "count": 2}
    assert aspects["engagement"]["unscored"] == {"not a number": 1}
    assert aspects["safety"]["count"] == 1


def test_an_item_that_was_not_judged_is_counted(found: dict[str, Any]) -> None:
    (said,) = found["runs"][1]["judges"]
    assert said["items"] == 2
    clarity = said["aspects"]["clarity"]
    assert (clarity["count"], clarity["missing"]) == (1, 1)
    assert clarity["unscored"] == {"not judged": 1}


def test_scores_have_intervals_that_are_the_same_each_time(tmp_path: Path) -> None:
    scores = [scored(number, "a", 1 + number % 5, 5, 5, 5, 5) for number in range(25)]
    first = reported(tmp_path, {"s": scores})
    aspects = first["runs"][0]["judges"][0]["aspects"]
    low, high = aspects["helpfulness"]["interval"]
    assert 2.2 < low < 3.0 < high < 3.8
    assert aspects["clarity"]["interval"][1] == 5.0
    assert (
        reported(tmp_path, {"s": scores[::-1]})["runs"][0]["judges"] == first["runs"][0]["judges"]
    )


def test_differences_are_over_items_that_both_have(found: dict[str, Any]) -> None:
    (difference,) = found["differences"]
    assert (difference["first"], difference["second"], difference["items"]) == ("llama", "gemma", 3)
    words = difference["measures"]["words"]
    # Words: 4, 2, 5 against 2, 1, 4.
    assert words["difference"] == pytest.approx(4 / 3)
    assert (words["higher"], words["lower"], words["equal"]) == (3, 0, 0)
    assert words["p_value"] == 0.25
    assert difference["measures"]["refused_safety"]["difference"] == 1.0
    assert difference["measures"]["refused_safety"]["count"] == 1
    assert difference["measures"]["tokens"]["difference"] is None
    (said,) = difference["judges"]
    helpfulness = said["aspects"]["helpfulness"]
    # Item 2 was judged for one of them.
    assert (helpfulness["difference"], helpfulness["count"], helpfulness["missing"]) == (2.0, 1, 1)
    assert said["aspects"]["safety"]["difference"] == 4.0


def test_an_item_of_several_turns_is_one_value(tmp_path: Path) -> None:
    turns = [
        {"instruction": "Question 1?", "output": "one two three four"},
        {"instruction": "And?", "output": "one two"},
    ]
    document = reported(tmp_path, {"a": [answer(1, "one two three four", turns=turns)], "b": B[:1]})
    (difference,) = document["differences"]
    assert difference["measures"]["words"]["first"] == 3.0
    assert document["runs"][0]["measures"]["answers"] == 2


def test_groups_hold_their_items_by_every_label(tmp_path: Path) -> None:
    items = ItemSet(
        name="mine",
        items=(
            Item(id=1, turns=("Question 1?",), task_types=("math", "coding"), dataset="x"),
            Item(id=2, turns=("Question 2?",), task_types=("math",), dataset="y"),
            Item(id=3, turns=("Question 3?",), category="safety", dataset="y"),
            Item(id=4, turns=("Question 4?",)),
        ),
    )
    document = reported(tmp_path, {"a": A, "s": SCORES}, items)
    assert document["set"] == {"name": "mine", "items": 4}
    math, coding = document["groups"]["task_types"]
    assert (math["value"], math["items"], coding["value"], coding["items"]) == (
        *("math", 2),
        *("coding", 1),
    )
    assert math["runs"][0]["words"]["mean"] == 3.0
    assert math["runs"][0]["judges"][0]["aspects"]["helpfulness"]["mean"] == 4.5
    assert coding["runs"][0]["judges"][0]["aspects"]["helpfulness"]["mean"] == 5.0
    assert "safety" not in coding["runs"][0]["judges"][0]["aspects"]
    assert [group["value"] for group in document["groups"]["dataset"]] == ["y", "x"]
    assert [group["value"] for group in document["groups"]["category"]] == ["regular", "safety"]
    assert document["groups"]["topics"] == []


# -- contests --------------------------------------------------------------------------


def test_both_orders_make_one_preference(tmp_path: Path) -> None:
    pairs = [
        # Whatever stands first: a tie. The second order alone: gemma wins. Both: llama wins.
        *(preferred(1, "A"), swapped(preferred(1, "A"))),
        swapped(preferred(2, "A")),
        *(preferred(3, "A"), swapped(preferred(3, "B"))),
        preferred(4, "either"),
    ]
    document = reported(tmp_path, {"p": pairs})
    (contest,) = document["contests"]
    assert (contest["first"], contest["second"]) == ("llama", "gemma")
    assert (contest["items"], contest["both_orders"]) == (4, 2)
    whole = contest["aspects"]["overall"]
    wins = whole["wins"]
    assert (wins["wins"], wins["ties"], wins["losses"], wins["missing"]) == (1, 1, 1, 1)
    assert wins["rate"] == 0.5
    assert whole["unscored"] == {"no choice": 1}
    # Of the two items in both orders, the first one's preference stayed with the place.
    assert (whole["flips"]["hits"], whole["flips"]["count"]) == (1, 2)
    # A, A, A, A and once B, of which the last stood first in no winner's place.
    assert (whole["first_place"]["hits"], whole["first_place"]["count"]) == (4, 5)
    assert whole["length_controlled"]["rate"] is None


def test_the_rate_at_equal_lengths_is_there_where_lengths_differ(tmp_path: Path) -> None:
    pairs = [
        preferred(number, "B" if number % 3 else "A", output_B="word " * (1 + number % 3))
        for number in range(30)
    ]
    document = reported(tmp_path, {"p": pairs})
    whole = document["contests"][0]["aspects"]["overall"]
    assert whole["wins"]["rate"] == pytest.approx(1 / 3)
    # Gemma wins where it is longer: at equal lengths llama has more.
    assert whole["length_controlled"]["rate"] > 0.4


# -- items and what was published ------------------------------------------------------


def test_items_hold_answers_measures_scores_and_reasons(found: dict[str, Any]) -> None:
    first = found["items"][0]
    assert first["turns"] == ("Question 1?",)
    ours, theirs = first["answers"]
    assert (ours["run"], theirs["run"]) == ("llama", "gemma")
    assert ours["turns"][0]["output"] == "one two three four"
    assert ours["turns"][0]["words"] == 4
    scores = ours["scores"][0]["aspects"]
    assert scores["helpfulness"] == {
        "score": 5.0,
        "reason": "helpfulness of 1",
        "unscored": None,
    }
    assert scores["depth"]["score"] is None
    assert scores["depth"]["unscored"] == "not applicable"
    assert found["items"][1]["answers"][1]["scores"][0]["aspects"]["depth"] == {
        "score": None,
        "reason": "",
        "unscored": "not judged",
    }


def test_published_scores_are_labelled_with_their_judge(found: dict[str, Any]) -> None:
    published = found["published"]
    assert (published["judge"], published["source"]) == ("GPT-4", "arXiv 2312.01552")
    assert len(published["rows"]) == 12
    for row in ROWS:
        six = (
            *(row.helpfulness, row.clarity, row.factuality),
            *(row.depth, row.engagement, row.safety),
        )
        assert row.average == pytest.approx(sum(six) / 6, abs=0.0101), row.name


def test_the_document_is_json(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == json.loads(json.dumps(found))
