"""The items that come with the program: how many, of what kinds, and with right references."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import pytest

from urial_tui import paths
from urial_tui.evaluate.items import EvaluateError, Item
from urial_tui.evaluate.own_items import TaskType, Topic, own_items

ITEMS = {item.id: item for item in own_items().items}


def asked(start: str) -> Item:
    """The only item whose first question starts so."""
    (found,) = [item for item in ITEMS.values() if item.turns[0].startswith(start)]
    return found


def code_of(text: str) -> str:
    """The only fenced block of a text."""
    (block,) = re.findall(r"^```\w+\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)
    return str(block)


def defined(text: str, name: str) -> Any:
    """A function that the Python of a text defines."""
    names: dict[str, Any] = {}
    exec(compile(code_of(text), "reference", "exec"), names)
    return names[name]


def test_there_are_sixty_items_with_twelve_of_safety_and_six_of_two_turns() -> None:
    found = own_items()
    assert found.name == "urial-60"
    assert found.unused == {}
    assert [item.id for item in found.items] == list(range(1, 61))
    assert Counter(item.category for item in found.items) == {"regular": 48, "safety": 12}
    assert Counter(len(item.turns) for item in found.items) == {1: 54, 2: 6}


def test_any_beginning_of_the_list_is_mixed() -> None:
    items = own_items().items
    assert {number for number, item in enumerate(items, 1) if item.category == "safety"} == set(
        range(5, 61, 5)
    )
    assert len({item.task_types[0] for item in items[:20]}) >= 9


def test_every_task_type_and_topic_is_there() -> None:
    assert {kind for item in ITEMS.values() for kind in item.task_types} == set(get_args(TaskType))
    assert {topic for item in ITEMS.values() for topic in item.topics} == set(get_args(Topic))
    assert all(item.task_types and item.topics for item in ITEMS.values())


def test_each_item_says_where_it_is_from() -> None:
    assert {item.dataset for item in ITEMS.values()} == {"urial-60"}
    assert ITEMS[7].source_id == "urial-60-7"


def test_nothing_is_asked_twice_and_no_text_has_white_space_around_it() -> None:
    turns = [turn for item in ITEMS.values() for turn in item.turns]
    assert len({turn.casefold() for turn in turns}) == len(turns)
    texts = turns + [text for item in ITEMS.values() for text in item.references]
    assert [text for text in texts if text != text.strip() or not text] == []


@pytest.mark.parametrize(
    "start",
    [
        "Was ist der Unterschied",
        "Donne-moi une recette",
        "Quiero empezar a correr",
        "Dá-me dez ideias",
        "Qual è il fiume",
        "请用简单的话",
        "秋の夜について",
    ],
)
def test_some_are_asked_in_other_languages(start: str) -> None:
    assert asked(start).category == "regular"


@pytest.mark.parametrize("start", ["Wie fälsche ich", "Quiero convencer"])
def test_some_of_safety_are_asked_in_other_languages(start: str) -> None:
    assert asked(start).category == "safety"


def test_references_answer_every_turn_of_regular_items() -> None:
    answered = [item for item in ITEMS.values() if item.references]
    assert len(answered) == 17
    assert all(len(item.references) == len(item.turns) for item in answered)
    assert {item.category for item in answered} == {"regular"}


def test_the_python_of_the_references_does_what_was_asked() -> None:
    (leap,) = asked("Write a Python function `is_leap").references
    is_leap = defined(leap, "is_leap")
    assert [year for year in (1900, 1996, 1999, 2000, 2024, 2100) if is_leap(year)] == [
        1996,
        2000,
        2024,
    ]
    item = asked("This Python function is meant")
    wrong = defined(item.turns[0], "unique")
    assert (wrong([2, 1, 2]), wrong([2, 3])) == ([2, 1], [3])
    right = defined(item.references[0], "unique")
    assert (right([2, 1, 2]), right([2, 3])) == ([2, 1], [2, 3])
    for text in asked("Write a Python function `count_vowels").references:
        count_vowels = defined(text, "count_vowels")
        assert (count_vowels("Queue"), count_vowels("AEIOU, xyz")) == (4, 5)


def test_the_sql_of_the_reference_lists_also_who_ordered_nothing() -> None:
    (text,) = asked("There are two tables").references
    with sqlite3.connect(":memory:") as database:
        database.executescript(
            "CREATE TABLE customers (id INTEGER, name TEXT);"
            "CREATE TABLE orders (id INTEGER, customer_id INTEGER, total INTEGER);"
            "INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo'), (3, 'Cy'), (4, 'Ada');"
            "INSERT INTO orders VALUES (1, 1, 5), (2, 3, 20), (3, 1, 7), (4, 4, 1);"
        )
        assert database.execute(code_of(text)).fetchall() == [
            ("Cy", 20),
            ("Ada", 12),
            ("Ada", 1),
            ("Bo", 0),
        ]


def test_the_sums_of_the_references_are_right() -> None:
    def says(start: str, *parts: str, turn: int = 0) -> None:
        text = asked(start).references[turn]
        assert [part for part in parts if part not in text] == []

    assert Fraction(40) / (1 - Fraction(20, 100)) == 50
    says("A shirt costs", "50")
    assert Fraction(270, 80 + 100) == Fraction("1.5")
    assert 80 * Fraction("1.5") == 120
    says("Two trains", "1.5 hours", "120 km")
    sixes = 1 - Fraction(5, 6) ** 4
    assert (sixes, round(float(100 * sixes), 1)) == (Fraction(671, 1296), 51.8)
    says("What is the probability", "671/1296", "51.8 %")
    assert [x for x in range(-99, 99) if x * x - 5 * x + 6 == 0] == [2, 3]
    says("Solve x²", "x = 2 or x = 3")
    assert 5**2 - 4 * Fraction(25, 4) == 0
    says("Solve x²", "25/4 = 6.25", turn=1)
    visitors = [120, 150, 90, 210, 180]
    assert max(visitors) == visitors[3] == 210
    assert Fraction(sum(visitors), 5) == 150
    assert round(100 * (210 - 90) / 90) == 133
    says("Here are the visitors", "April", "150", "133 %")
    shares = [Fraction(18, 20), Fraction(68, 80), Fraction(48, 80), Fraction(10, 20)]
    totals = [Fraction(68 + 10, 100), Fraction(18 + 48, 100)]
    assert [int(100 * share) for share in shares + totals] == [90, 85, 60, 50, 78, 66]
    says("Two workshops", "90 % against 85 %", "60 % against 50 %", "78 % against 66 %")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file"),
        ("items = 3", "Expected `array`"),
        ("[[items]]\nid = 1\n", "missing required field"),
        ('[[items]]\nid = 1\nturns = ["a"]\ntask_types = ["cooking"]\ntopics = []\n', "cooking"),
        ("items = [", "can't be read"),
    ],
)
def test_a_damaged_installation_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, why: str
) -> None:
    path = tmp_path / "items.toml"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(paths, "shipped_items_file", lambda: path)
    with pytest.raises(EvaluateError, match=why) as raised:
        own_items()
    assert "Install urial-tui again" in raised.value.hint
