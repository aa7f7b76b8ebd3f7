"""The texts of our own that contexts are measured with: right, varied, and nobody's examples."""

from __future__ import annotations

import csv
import re
import sqlite3
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from urial_tui import paths
from urial_tui.evaluate.form import form_of
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.leak import leaked, spans_of
from urial_tui.evaluate.own_items import own_items
from urial_tui.evaluate.own_texts import own_questions, own_references
from urial_tui.evaluate.refusal import refuses
from urial_tui.evaluate.words import words_of
from urial_tui.prompting.preamble_file import list_preambles

PAIRS = {item.turns[0]: item.references[0] for item in own_references().items}


def answer(start: str) -> str:
    """The answer to the only question that starts so."""
    (found,) = [text for question, text in PAIRS.items() if question.startswith(start)]
    return found


def blocks(text: str) -> list[str]:
    found: list[str] = re.findall(r"^```\w+\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)
    return found


def test_there_are_sixty_pairs_and_forty_questions_none_of_them_twice() -> None:
    references, questions = own_references(), own_questions()
    assert (references.name, questions.name) == ("reference-60", "everyday-40")
    assert [item.id for item in references.items] == list(range(1, 61))
    assert len(questions.items) == 40
    asked = [item.turns[0] for item in (*references.items, *questions.items, *own_items().items)]
    assert len({" ".join(words_of(text)) for text in asked}) == len(asked)
    texts = [*asked, *PAIRS.values()]
    assert [text for text in texts if text != text.strip() or not text] == []


def test_no_two_answers_begin_alike_and_none_refuses() -> None:
    openings = Counter(tuple(words_of(text)[:2]) for text in PAIRS.values())
    assert openings.most_common(1)[0][1] == 1
    assert [text for text in PAIRS.values() if refuses(text)] == []


def test_the_answers_are_of_many_forms_and_lengths() -> None:
    forms = [form_of(text) for text in PAIRS.values()]
    assert sum(form.code_blocks > 0 for form in forms) >= 4
    assert 15 <= sum(form.list_items > 0 for form in forms) <= 40
    lengths = sorted(len(text.split()) for text in PAIRS.values())
    assert lengths[0] < 10
    assert 50 < lengths[30] < 100
    assert lengths[-1] < 200


def test_none_is_an_example_of_a_preamble() -> None:
    for entry in list_preambles():
        assert entry.preamble is not None
        spans = spans_of(entry.preamble)
        copied = [text for text in PAIRS.values() if leaked(words_of(text), spans, ())]
        assert copied == [], entry.name


# -- that they are right ----------------------------------------------------------------


def test_the_python_adds_a_column_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "sales.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["name", "amount"], ["a", "1.5"], ["b", "2"]])
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    (code,) = blocks(answer("In Python"))
    exec(compile(code, "reference", "exec"), names)
    assert names["total"] == 3.5


def test_the_queries_count_orders() -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE customers (id)")
    database.execute("CREATE TABLE orders (id, customer_id)")
    database.executemany("INSERT INTO customers VALUES (?)", [(1,), (2,), (3,)])
    database.executemany("INSERT INTO orders VALUES (?, ?)", [(7, 1), (8, 2), (9, 2)])
    first, second = blocks(answer("How do I write a SQL"))
    assert database.execute(first).fetchall() == [(2, 2), (1, 1)]
    assert sorted(database.execute(second).fetchall()) == [(1, 1), (2, 2), (3, 0)]


def test_the_sums_are_right() -> None:
    tip = answer("Calculate the tip")
    assert f"{64.5 * 0.18:.2f}" in tip
    assert f"{64.5 * 1.18:.2f}" in tip
    assert f"{64.5 * 1.18 / 3:.2f}" in tip
    interest = answer("Explain compound interest")
    for years in (10, 20, 40):
        assert f"after {years} years: about {100 * 1.05**years:.0f} euros" in interest
    assert f"about {(350 - 32) * 5 / 9:.0f} °C" in answer("Convert 350")
    assert "91 = 7 × 13" in answer("Is 91")
    journey = datetime(2026, 1, 1, 18, 10) - datetime(2026, 1, 1, 14, 35)
    assert journey.total_seconds() == 60 * (3 * 60 + 35)
    assert "3 hours and 35 minutes" in answer("A train leaves")
    assert pytest.approx(27_000, abs=50) == 100 / 3.7 * 1000
    assert "27,000 mAh" in answer("Can I take a power bank")


def test_the_leap_years_are_right() -> None:
    date(2000, 2, 29)
    with pytest.raises(ValueError, match="day"):
        date(1900, 2, 29)
    assert "2000 was one and 1900 was not" in answer("Why do we have leap years")


def test_what_was_asked_for_in_a_form_has_it() -> None:
    assert len(answer("Write a two-line").splitlines()) == 2
    assert len(answer("Give me a haiku").splitlines()) == 3
    assert len(re.findall(r"[.!?](?=\s|$)", answer("Summarise the story"))) == 3
    assert answer("Sort these") == "Ant, mouse, cat, horse, elephant."
    assert len(answer("Turn this").splitlines()) == 4


@pytest.mark.parametrize("text", [None, "pairs = 5", "[[pairs]]\nquery = 'a'", "\udcff", "x = ["])
def test_a_damaged_file_is_one_sentence(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "texts.toml"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for name in ("shipped_references_file", "shipped_questions_file"):
        monkeypatch.setattr(paths, name, lambda: path)
    for read in (own_references, own_questions):
        with pytest.raises(EvaluateError, match="can't be read") as caught:
            read()
        assert "Install" in caught.value.hint
