"""The page of measured contexts: the file itself, and the page in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.support.select import Select

from tests import browser
from tests.evaluate.judged import HOSTILE
from urial_tui.engine.wire.values import Sampling
from urial_tui.evaluate.context_measures import MeasuredContext, measures_document
from urial_tui.evaluate.greedy import sampling_document
from urial_tui.evaluate.measures_html import write_measures_html
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.token_reading import TextReading
from urial_tui.prompting.context import Context, find_context
from urial_tui.report_file import ReportError

TEXTS = 12
QUESTIONS = 8


def context(name: Context, shift: float, *, ended: int, prefill: float | None) -> MeasuredContext:
    """A context whose bits per byte lie by `shift` (and a little noise) over 1.0 and more."""
    bits = [1.0 + 0.1 * number + shift * (1 + 0.1 * (number % 3)) for number in range(TEXTS)]
    return MeasuredContext(
        context=name,
        tokens=100 + len(name.name),
        prefill_s=prefill,
        cache_bytes=4_560_000,
        references=(
            None,
            *(
                TextReading(
                    key="k", by="m", tokens=4, bytes=10, bits=10 * value, unshifted=2, marginal=1,
                    shifted=1,
                )
                for value in bits
            ),
        ),
        answers=tuple(
            AnsweredTurn(
                instruction=f"{number}?",
                output="So.",
                tokens=3,
                ending="end" if number < ended else "cut",
                detail="",
            )
            for number in range(QUESTIONS)
        ),
    )  # fmt: skip


def document(**more: Any) -> dict[str, Any]:
    """Four contexts: one better than the first, one worse, and one that is not told apart."""
    k1, zero = find_context("urial-k1"), find_context("zero-shot")
    hostile = msgspec.structs.replace(k1, name=HOSTILE)
    measured = [
        context(zero, 0.0, ended=6, prefill=0.01),
        context(k1, -0.05, ended=8, prefill=1.25),
        context(hostile, 0.08, ended=2, prefill=None),
        context(Context(name="raw"), 0.0, ended=6, prefill=0.0),
    ]
    head = {
        "model": f"tiny {HOSTILE}",
        "aligned": None,
        "references": {"name": HOSTILE, "texts": TEXTS + 1},
        "questions": {"name": "everyday-40", "texts": QUESTIONS},
        "sampling": sampling_document(Sampling(repetition_penalty=1.1)),
        "max_tokens": 300,
        "parallel": 4,
        "troubles": [f"raw: {HOSTILE}"],
        "run": {
            "program": "urial-tui 1.2.3",
            "time": "2026-01-02T03:04:05+00:00",
            "command": f"urial prompts measure -m {HOSTILE}",
            "files": {"model": [{"name": "tiny.gguf", "size": 1234, "sha256": "ab" * 32}]},
        },
    }
    return measures_document(measured, [f"{n}?" for n in range(QUESTIONS)], **(head | more))


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return document()


@pytest.fixture(scope="module")
def report(found: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "measures with #, % and ü.html"
    write_measures_html(path, found)
    return path


# -- the file --------------------------------------------------------------------------


def test_the_document_stands_in_it_as_it_is_and_holds_no_markup(
    found: dict[str, Any], report: Path
) -> None:
    html = report.read_text(encoding="utf-8")
    match = re.search(r'<script type="application/json" id="data-head">(.*?)</script>', html)
    assert match
    assert not re.search(r"[<>&\u2028]", match[1])
    assert json.loads(match[1]) == json.loads(json.dumps(found))
    assert len(re.findall(r"<script\b", html)) == 2
    assert "<img" not in html
    assert "\u202e" not in html


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


def test_a_place_that_can_t_be_written_is_one_sentence(
    found: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ReportError, match="there is no such directory") as caught:
        write_measures_html(tmp_path / "none" / "r.html", found)
    assert caught.value.hint.endswith("--html.")


# -- the page --------------------------------------------------------------------------


@pytest.fixture
def page(chrome: Chrome, report: Path) -> Iterator[browser.Page]:
    page = browser.Page(chrome, report)
    yield page
    page.check_silence()
    assert page.js("window.broken") is None


def choose(page: browser.Page, name: str) -> None:
    Select(page.one("select[aria-label='Figure']")).select_by_visible_text(name)


def test_it_says_what_was_measured_on_which_model(page: browser.Page) -> None:
    text = page.text("#overview")
    for part in (
        "13 answers", "8 questions of everyday-40", "at most 300 tokens", "4 at a time",
        "answered at temperature 0 and repetition penalty 1.1,", "penalty_last_n 256",
        "urial-tui 1.2.3", "tiny.gguf", "1,234 bytes", "ab" * 32, "‹U+202E›",
    ):  # fmt: skip
        assert part in text, part
    assert page.chrome.title.startswith("Preambles on tiny")


def test_a_figure_and_its_differences_are_drawn_where_their_values_are(page: browser.Page) -> None:
    assert len(page.all(".chart")) == 2
    marks = page.all(".chart:nth-child(1) .mark")
    assert len(marks) == 4
    # The mean of 1.0 to 2.1 is 1.55; of what is added 0.05 * 1.1.
    label = page.one(".chart:nth-child(1) svg").get_attribute("aria-label") or ""
    assert "zero-shot 1.5500 (" in label
    assert "urial-k1 1.4950 (" in label
    xs = [float(mark.get_attribute("cx") or "nan") for mark in marks]
    assert xs[1] < xs[0] < xs[2]
    assert xs[3] == xs[0]
    # On one linear axis: differences of places are as those of values.
    assert (xs[2] - xs[0]) / (xs[0] - xs[1]) == pytest.approx(0.088 / 0.055, rel=1e-6)
    differences = page.all(".chart:nth-child(2) .mark")
    assert [(mark.get_attribute("class") or "").split()[1:] for mark in differences] == [
        ["good"],
        ["bad"],
        ["plain", "hollow"],
    ]
    zero = float(page.one(".nought").get_attribute("x1") or "nan")
    places = [float(mark.get_attribute("cx") or "nan") for mark in differences]
    assert places[0] < zero < places[1]
    assert places[2] == zero


def test_differences_are_told_in_words_with_their_intervals(page: browser.Page) -> None:
    rows = [row.text for row in page.all("#differences-body tbody tr")]
    assert len(rows) == 3
    assert "−0.0550" in rows[0]
    assert "better" in rows[0]
    assert "+0.0880" in rows[1]
    assert "worse" in rows[1]
    assert "0.0000" in rows[2]
    assert "no interval" in rows[2]
    choose(page, "Ended")
    assert "More is better." in page.text("#figure-meaning")
    rows = [row.text for row in page.all("#differences-body tbody tr")]
    assert "+25.0 %" in rows[0]
    assert "−50.0 %" in rows[1]


def test_keys_go_from_figure_to_figure_and_tell_themselves(page: browser.Page) -> None:
    chosen = "document.querySelector('#figure-choice select').selectedOptions[0].textContent"
    assert page.js(chosen) == "Bits per byte"
    page.keys("j")
    assert page.js(chosen) == "Ended"
    page.keys("[", "[")
    assert page.js(chosen) == "Answer tokens"
    assert page.js("document.getElementById('differences').hidden")
    page.keys("]")
    assert page.js(chosen) == "Bits per byte"
    page.keys("?")
    page.until("document.getElementById('keys').open")
    page.keys(Keys.ESCAPE)


def test_the_table_has_all_figures_and_is_sorted_by_its_heads(page: browser.Page) -> None:
    def names() -> list[str]:
        return [row.text.splitlines()[0] for row in page.all("#table-body tbody th bdi")]

    given = names()
    assert given[0] == "zero-shot"
    head = page.all("#table-body thead button")
    assert [each.text for each in head][:2] == ["Context", "Bits per byte"]
    head[1].click()
    assert names()[0] == "urial-k1"
    assert page.all("#table-body thead th")[1].get_attribute("aria-sort") == "ascending"
    page.keys(Keys.ENTER)
    assert names()[-1] == "urial-k1"
    page.keys(Keys.ENTER)
    assert names() == given
    text = page.text("#table-body")
    assert "1.25 s" in text
    assert "4.56 MB" in text
    assert "urial, 1 example" in text
    # The one that has no interval of any kind is there as well.
    assert "Texts that could not be measured" in page.text("#missing")


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(page: browser.Page, width: int, scheme: str) -> None:
    page.size(width, 800)
    page.media(scheme)
    assert page.js("document.documentElement.scrollWidth <= window.innerWidth")
    for chart in page.all(".chart"):
        svg = chart.rect
        assert svg["x"] >= 0
        assert svg["x"] + svg["width"] <= width


def test_a_window_that_changes_draws_the_charts_anew(page: browser.Page) -> None:
    page.size(1280, 800)
    page.until("Number(document.querySelector('.intervals').getAttribute('width')) > 400")
    page.size(360, 800)
    page.until("Number(document.querySelector('.intervals').getAttribute('width')) < 360")
    assert len(page.all(".chart")) == 2


def test_one_context_without_any_value_shows_what_there_is(chrome: Chrome, tmp_path: Path) -> None:
    empty = MeasuredContext(
        context=find_context("zero-shot"),
        tokens=1,
        prefill_s=None,
        cache_bytes=0,
        references=(None,),
        answers=(None,),
    )
    names = ("model", "aligned", "references", "questions", "sampling")
    head = {key: document()[key] for key in names}
    found = measures_document([empty], ["?"], **head, max_tokens=1, parallel=1, troubles=[])
    write_measures_html(tmp_path / "r.html", found)
    page = browser.Page(chrome, tmp_path / "r.html")
    assert page.all(".chart") == []
    for hidden in ("differences", "troubles", "run"):
        assert page.js(f"document.getElementById('{hidden}').hidden")
    assert "zero-shot" in page.text("#table-body")
    page.check_silence()
