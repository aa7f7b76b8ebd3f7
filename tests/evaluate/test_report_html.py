"""The HTML report of an evaluation: the file itself, and the page in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.support.select import Select

from tests import browser
from tests.evaluate.judged import HOSTILE, answer, preferred, reported, scored
from tests.evaluate.test_held_judges import FILES as HELD
from tests.evaluate.test_held_judges import pairs as preferences
from urial_tui.evaluate.items import Item, ItemSet
from urial_tui.evaluate.report_html import write_html
from urial_tui.report_file import ReportError

COUNT = 60
REFUSAL = "I'm sorry, but I can't help with that."


def _text(number: int) -> str:
    return REFUSAL if number % 10 == 9 else f"Answer{number}"


def document(directory: Path) -> dict[str, Any]:
    """Sixty items and three runs, one of a hostile name with a part of the items."""
    llama = [answer(number, _text(number)) for number in range(COUNT)]
    llama[3]["turns"] = [
        {"instruction": "Question 3?", "output": "Answer3"},
        {"instruction": "And then?", "output": HOSTILE},
    ]
    gemma = [answer(number, f"Reply {number}", "gemma") for number in range(COUNT)]
    hostile = [answer(number, HOSTILE, HOSTILE) for number in range(5)]
    scores = [scored(number, _text(number), 5, 4, 4, 3, 1 + number % 5) for number in range(COUNT)]
    scores[2]["parsed_result"]["depth"] = {"reason": HOSTILE, "score": "N/A"}
    theirs = [
        scored(number, f"Reply {number}", 4, 4, 4, 4, 5, generator_cand="gemma")
        for number in range(COUNT)
    ]
    items = tuple(
        Item(
            id=number,
            turns=(f"Question {number}?", "And then?")[: 2 if number == 3 else 1],
            category="safety" if number % 10 == 9 else "regular",
            task_types=("math",) if number % 2 else ("coding", "math"),
            topics=(HOSTILE,) if number == 4 else ("law",),
            references=("A reference.",) if number == 1 else (),
        )
        for number in range(COUNT)
    )
    pairs = [preferred(number, "AB"[number % 2]) for number in range(8)]
    return reported(
        directory,
        {"l": llama, "g": gemma, "h": hostile, "sl": scores, "sg": theirs, "p": pairs},
        ItemSet(name=HOSTILE, items=items),
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return document(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def report(found: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "a report with #, % and ü.html"
    write_html(path, found)
    return path


def element(html: str, name: str) -> str:
    match = re.search(rf'<script type="[a-z/]+" id="{name}">(.*?)</script>', html, re.DOTALL)
    assert match
    return match[1]


# -- the file --------------------------------------------------------------------------


def test_the_blocks_hold_no_markup_and_read_back(found: dict[str, Any], report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    head = json.loads(element(html, "data-head"))
    plain = json.loads(json.dumps(found))
    for key in ("runs", "differences", "contests", "groups", "published", "set", "files"):
        assert head[key] == plain[key]
    assert head["items"] == COUNT
    rows = json.loads(element(html, "data-rows"))
    assert rows[3][1] == ["Question 3?", "And then?"]
    # The run's place, its outputs, words, whether it refuses, its scores by column.
    assert rows[3][3][0][:2] == [0, ["Answer3", HOSTILE]]
    columns = [tuple(column) for column in head["columns"]]
    assert rows[2][3][0][4][columns.index(("judge-1", "depth"))] == 0
    assert rows[2][3][0][4][columns.index(("judge-1", "clarity"))] == 4
    block = json.loads(zlib.decompress(base64.b64decode(element(html, "data-item-2")), 31))
    assert block["answers"][0]["scores"][0]["aspects"]["depth"]["reason"] == HOSTILE
    assert block["answers"][0]["turns"][0]["words"] == 1
    assert "output" not in block["answers"][0]["turns"][0]
    for name in ("data-head", "data-rows"):
        assert not re.search(r"[<>&\u2028]", element(html, name))
    # Nothing of a stranger is markup anywhere: the page has the scripts that it is made with.
    assert len(re.findall(r"<script\b", html)) == 3 + COUNT
    assert "<img" not in html


def test_the_policy_allows_exactly_the_script_and_the_style_of_the_page(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        source = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert source
        digest = base64.b64encode(hashlib.sha256(source[1].encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}';" in policy[1]
    assert policy[1].startswith("default-src 'none';")


def test_equal_documents_give_equal_files(found: dict[str, Any], tmp_path: Path) -> None:
    write_html(tmp_path / "a", found)
    write_html(tmp_path / "b", found)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_place_that_can_t_be_written_is_one_sentence(
    found: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ReportError, match="there is no such directory") as caught:
        write_html(tmp_path / "none" / "r.html", found)
    assert caught.value.hint.endswith("--html.")


# -- the page --------------------------------------------------------------------------


class Page(browser.Page):
    """The opened report of an evaluation."""

    def item(self, number: int) -> None:
        self.js(f"void (location.hash = '#item-{number}')")
        self.until("document.querySelectorAll('#answers .answer-card').length > 0")

    def choose(self, label: str, value: str) -> None:
        Select(self.one(f"select[aria-label='{label}']")).select_by_value(value)

    def found(self) -> str:
        return self.text("#found")


@pytest.fixture
def page(chrome: Chrome, report: Path) -> Iterator[Page]:
    page = Page(chrome, report)
    yield page
    page.check_silence()
    assert page.js("window.broken") is None


def test_the_overview_shows_measures_scores_and_differences(page: Page) -> None:
    text = page.text("#overview")
    for part in (
        "3 runs on 60 items of", "llama", "gemma", "Refused, regular", "Scores by judge-1",
        "Differences on the same items", "helpfulness", "+1.00", "Published scores", "by GPT-4",
        "What stood first won, of the judgements that are no tie: overall 50.0 % of 8",
    ):  # fmt: skip
        assert part in text, part
    assert len(page.all(".radar .shape")) == 2
    # Five aspects of two runs.
    assert len(page.all(".score-line")) == 10
    assert "‹U+202E›" in text
    assert "\u202e" not in text


def test_another_pair_of_runs_can_be_chosen(page: Page) -> None:
    page.choose("The two runs", "1")
    assert "over the 5 items that both have answered" in page.text("#differences-body")


def test_groups_are_shown_by_field_and_figure(page: Page) -> None:
    page.choose("Group by", "task_types")
    assert [row.text.split()[0] for row in page.all("#groups-body tbody tr")] == ["math", "coding"]
    page.choose("Figure", "words")
    assert page.all("#groups-body tbody tr")[0].text.split()[1] == "60"


def test_the_index_narrows_by_word_kind_run_and_label(page: Page) -> None:
    assert page.found() == "60 items"
    page.choose("Answers", "refused")
    assert page.found() == "6 of 60 items"
    page.choose("Answers", "unscored")
    assert page.found() == "1 of 60 items"
    page.choose("Answers", "")
    page.choose("Run", "2")
    assert page.found() == "5 of 60 items"
    page.choose("Run", "")
    page.choose("category", "safety")
    assert page.found() == "6 of 60 items"
    page.choose("category", "regular")
    page.one("#search").send_keys("answer17")
    assert page.found() == "1 of 60 items"
    assert page.text("#items tbody mark") == "Answer17"


def test_the_index_is_ordered_by_the_largest_difference(page: Page) -> None:
    page.one("th.difference button").click()
    assert page.one("th.difference").get_dom_attribute("aria-sort") == "descending"
    # Engagement is 1 against 5 where the number is a multiple of five.
    assert page.rows()[:2] == ["Question 0?", "Question 5?"]


def test_how_far_a_judge_can_be_trusted_is_told(chrome: Chrome, tmp_path: Path) -> None:
    path = tmp_path / "held.html"
    pairs = {"j": preferences("judge-1", "ABABABBB"), "p": preferences("person", "BABABB")}
    found = reported(tmp_path, {**HELD, **pairs})
    write_html(path, found)
    page = browser.Page(chrome, path)
    scores, compared = page.all("#calibrations section")
    assert "How far judge-1 can be trusted with scores" in scores.text
    assert "judge-1 was set beside person on 16 answers." in scores.text
    rows = [" ".join(row.text.split()) for row in page.all("#calibrations tbody tr")]
    agreement = found["calibrations"][0]["aspects"]["safety"]["agreement"]
    low, high = agreement["bias"]["interval"]
    rank = f"+{agreement['spearman']:.2f}"
    assert f"safety 16 75 % 100 % {rank} +0.25 +{low:.2f} to +{high:.2f}" in rows
    assert any(row.startswith("safety B minus A +0.50 0.00 ") for row in rows)
    assert "can be trusted with pairs" in compared.text
    assert any(row.startswith("overall, won B against A ") for row in rows)
    page.check_silence()


def test_a_judge_without_a_reference_is_said_to_be_unknown(page: Page) -> None:
    assert "That is not known: nobody who is right has judged" in page.text("#calibrations")


def test_an_item_has_its_answers_beside_each_other(page: Page) -> None:
    page.item(4)
    cards = page.all(".answer-card")
    assert len(cards) == 3
    lefts = {card.rect["x"] for card in cards}
    assert len(lefts) == 3
    assert "And then?" in cards[0].text
    assert "<img src=x" in cards[0].text
    assert "engagement" in cards[0].text
    assert "engagement of 3" in cards[0].text
    assert "shown before" in page.text("#more")
    page.item(2)
    page.one("#more summary").click()
    assert "A reference." in page.text("#more")
    page.item(10)
    assert "refuses" in page.all(".answer-card")[0].text


def test_an_aspect_without_a_score_says_why(page: Page) -> None:
    page.item(3)
    assert "not applicable" in page.all(".answer-card")[0].text


def test_keys_go_through_the_items_as_they_are_filtered(page: Page) -> None:
    page.choose("Answers", "refused")
    page.js("document.activeElement.blur()")
    page.keys("j")
    page.until("document.getElementById('item-query').textContent === 'Question 9?'")
    page.keys("]")
    page.until("document.getElementById('item-query').textContent === 'Question 19?'")
    assert page.text("#item-place") == "2 of 6"
    page.keys("k")
    page.until("document.getElementById('item-query').textContent === 'Question 9?'")
    page.keys(Keys.ESCAPE)
    page.until("!document.getElementById('overview').hidden")
    page.keys("/")
    page.until("document.activeElement.id === 'search'")
    page.keys(Keys.ESCAPE)
    page.keys("?")
    page.until("document.getElementById('keys').open")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(page: Page, width: int, scheme: str) -> None:
    page.size(width, 800)
    page.media(scheme)
    for hash_ in ("#overview", "#item-4"):
        page.js(f"void (location.hash = '{hash_}')")
        page.until(
            f"document.getElementById('item').hidden === {str(hash_ == '#overview').lower()}"
        )
        assert page.js("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_report_of_one_run_without_judgements_shows_what_there_is(
    chrome: Chrome, tmp_path: Path
) -> None:
    write_html(tmp_path / "r.html", reported(tmp_path, {"a": [answer(1, "")]}))
    page = Page(chrome, tmp_path / "r.html")
    for hidden in ("differences", "groups", "published"):
        assert page.js(f"document.getElementById('{hidden}').hidden")
    assert page.all(".radar") == []
    page.item(1)
    assert "(an empty answer)" in page.text("#answers")
    page.check_silence()


def test_a_damaged_item_is_one_sentence(chrome: Chrome, report: Path, tmp_path: Path) -> None:
    html = report.read_text(encoding="utf-8")
    block = element(html, "data-item-1")
    (tmp_path / "r.html").write_text(html.replace(block, block[:40]), encoding="utf-8")
    page = Page(chrome, tmp_path / "r.html")
    page.js("void (location.hash = '#item-2')")
    page.until("!document.getElementById('item-failed').hidden")
    assert "is damaged" in page.text("#item-failed")
