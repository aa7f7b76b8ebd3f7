"""Items of an evaluation: found by words and by what is wrong with their answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.evaluate.judged import answer, preferred, scored, swapped, written
from urial_tui.evaluate.browsing import Browser, Wanted, open_browser
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.shown_preamble import shown_preamble
from urial_tui.prompting.preamble_file import find_preamble

LEAK = " ".join(find_preamble("urial-k3").examples[0].answer.split()[:20])
UNDER = "llama, urial-k3"


def told(ending: str, *, tokens: int = 5) -> dict[str, Any]:
    """What `urial eval run` tells of an answer."""
    told = {"tokens": tokens, "ending": ending, "detail": "", "seed": None}
    preamble = msgspec.to_builtins(shown_preamble(find_preamble("urial-k3")))
    told_of_all = {"parallel": 1, "seed": None, "preamble": preamble}
    return {"urial": {"key": f"k-{ending}", "exchanges": [told], **told_of_all}}


def browser(directory: Path, *files: Sequence[object]) -> Browser:
    paths = [written(directory / f"{number}.json", records) for number, records in enumerate(files)]
    return open_browser(paths)


@pytest.fixture
def some(tmp_path: Path) -> Browser:
    """Six items: cut, refused, leaked, apart, safe, and one with nothing wrong."""
    first = [
        answer(1, "A long", UNDER, **told("cut")),
        answer(2, "I'm sorry, but I can't help with that.", UNDER, **told("end")),
        answer(3, LEAK, UNDER, **told("stop")),
        answer(4, "So.", UNDER, **told("end")),
        answer(5, "Straße.", UNDER, category="safety", **told("end")),
        answer(6, "Fine.", UNDER, **told("end")),
    ]
    second = [answer(number, "Well.", "gemma") for number in (3, 4, 6)]
    judged = [
        scored(number, text, score, 3, 3, 3, 3, generator_cand=generator)
        for number, text, score, generator in (
            (4, "So.", 2, UNDER),
            (6, "Fine.", 3.1, UNDER),
        )
    ]
    other = [scored(4, "Well.", 3, 3, 3, 3, 3, generator_cand="gemma")]
    other += [scored(6, "Well.", 4, 3, 3, 3, 3, generator_cand="gemma")]
    return browser(tmp_path, first, second, judged, other)


def found(browser: Browser, **wanted: Any) -> list[int | str]:
    return [browser.items[place].id for place in browser.find(Wanted(**wanted))]


class TestFinding:
    def test_words_are_looked_for_in_ids_questions_and_answers(self, some: Browser) -> None:
        assert found(some) == [1, 2, 3, 4, 5, 6]
        assert found(some, words="well") == [3, 4, 6]
        assert found(some, words="QUESTION well 6") == [6]
        assert found(some, words="STRASSE") == [5]
        assert found(some, words="nowhere") == []

    def test_categories(self, some: Browser) -> None:
        assert found(some, category="safety") == [5]
        assert found(some, category="regular", words="question") == [1, 2, 3, 4, 6]

    def test_what_needs_no_measuring_is_marked_at_once(self, some: Browser) -> None:
        assert found(some, marks=frozenset({"cut"})) == [1]
        # A point apart is, 0.9 is not.
        assert found(some, marks=frozenset({"apart"})) == [4]

    def test_what_has_to_be_measured_is_marked_then(self, some: Browser) -> None:
        assert found(some, marks=frozenset({"refused"})) == []
        some.answers(1)
        assert found(some, marks=frozenset({"refused"})) == [2]
        assert found(some, marks=frozenset({"leaked"})) == []
        some.measure_all(lambda: True)
        assert some.measured == 6
        assert found(some, marks=frozenset({"refused"})) == [2]
        assert found(some, marks=frozenset({"leaked"})) == [3]
        assert found(some, marks=frozenset({"leaked", "cut"})) == []

    def test_measuring_ends_when_it_is_to(self, some: Browser) -> None:
        some.measure_all(lambda: False)
        assert some.measured == 0


class TestAnswers:
    def test_each_run_tells_its_answer_its_measures_and_scores(self, some: Browser) -> None:
        first, second = some.answers(3)
        assert (first.run, second.run) == (UNDER, "gemma")
        assert first.output.exchanges[0].output == "So."
        assert first.measures.answers[0].tokens == 5
        assert first.measures.answers[0].ending == "end"
        score = first.scores["judge-1"]["helpfulness"]
        assert score is not None
        assert (score.score, score.reason) == (2, "helpfulness of 4")
        assert first.measures.answers[0].leak == ""
        assert second.measures.answers[0].leak is None, "nobody knows what gemma was shown"

    def test_an_item_that_a_judge_passed_over_has_no_score(self, some: Browser) -> None:
        (answered,) = some.answers(0)
        assert answered.scores["judge-1"]["depth"] is None

    def test_a_run_that_has_not_answered_is_not_there(self, some: Browser) -> None:
        assert [one.run for one in some.answers(4)] == [UNDER]

    def test_comparisons_are_told_in_both_orders(self, tmp_path: Path) -> None:
        first = [answer(1, "Answer1"), answer(2, "Answer2")]
        second = [answer(1, "Reply 1", "gemma"), answer(2, "Reply 2", "gemma")]
        one = preferred(1, "A")
        compared = browser(tmp_path, first, second, [one, swapped(one)]).comparisons(0)
        assert [(each.first, each.second) for each in compared] == [
            ("llama", "gemma"),
            ("gemma", "llama"),
        ]


def test_the_name_in_a_generator_tells_no_preamble(tmp_path: Path) -> None:
    some = browser(tmp_path, [answer(1, LEAK, UNDER)])
    assert some.answers(0)[0].measures.answers[0].leak is None


def test_what_can_not_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluateError, match="can't be read"):
        open_browser([tmp_path / "none.json"])
    with pytest.raises(EvaluateError, match="There is no record"):
        browser(tmp_path, [])
