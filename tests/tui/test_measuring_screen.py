"""Measuring preambles in the application, on a real worker with a tiny model."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.tui.conftest import Found, Opened
from tests.tui.held import Held
from tests.tui.prompts_page import PromptsPage
from tests.tui.test_prompts_screen import MINE
from urial_tui import paths
from urial_tui.cli.main import urial
from urial_tui.engine.client.engine import Engine
from urial_tui.evaluate.measure_job import TextPace
from urial_tui.evaluate.measure_store import MeasureStore
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import ChatSettings, EngineSettings, Settings
from urial_tui.tui.evaluate.job_queue import JobQueue
from urial_tui.wording import fixed, percent

SETTINGS = Settings(
    chat=ChatSettings(max_tokens=8, preamble="zero-shot"),
    engine=EngineSettings(context=2048, threads=1),
)

Measuring = Any
Holding = Callable[[int], Held]


@pytest.fixture
def measuring(opened: Opened, endless_gguf: Path) -> Measuring:
    """Open the screen on a real worker, with a small preamble of one's own."""
    directory = paths.user_prompts_dir()
    directory.mkdir(parents=True)
    (directory / "mine.toml").write_text(MINE)
    # The command reads its settings there.
    paths.settings_file().write_text(
        "[chat]\nmax_tokens = 8\n[engine]\ncontext = 2048\nthreads = 1\n"
    )

    @contextlib.asynccontextmanager
    async def open_it(size: tuple[int, int] = (120, 40)) -> AsyncIterator[PromptsPage]:
        async with opened(
            size=size,
            engine_factory=Engine,
            model=str(endless_gguf),
            preamble=find_preamble("zero-shot"),
            find_model=lambda name, progress: Found(name=name, path=endless_gguf),
            settings=SETTINGS,
            evaluation_factory=lambda: JobQueue(Engine),
        ) as pilot:
            page = PromptsPage(pilot)
            await page.opens()
            await page.lists()
            yield page

    return open_it


async def measures(page: PromptsPage) -> None:
    """Measure what is under the bar, to its end, and go back to the list."""
    await page.presses("m")
    # All of them take longer than anything else that is waited for.
    done = -1
    while page.screen.queue.busy and done < page.states[0].done:
        done = page.states[0].done
        with contextlib.suppress(AssertionError):
            await page.until(lambda: not page.screen.queue.busy)
    await page.presses("escape")
    await page.until(lambda: page.screen.preambles.display)


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten reference answers and three questions, in place of those that come with the program."""
    pairs = "".join(f'[[pairs]]\nquery = "Why {n}?"\nanswer = "So {n}."\n' for n in range(10))
    (tmp_path / "references.toml").write_text(pairs)
    (tmp_path / "questions.toml").write_text('questions = ["What?", "Where?", "When?"]\n')
    monkeypatch.setattr(paths, "shipped_references_file", lambda: tmp_path / "references.toml")
    monkeypatch.setattr(paths, "shipped_questions_file", lambda: tmp_path / "questions.toml")


def texts_of(page: PromptsPage, name: str) -> int:
    """How many are measured; -1 where that was not looked up."""
    kept = page.row(name).kept
    return -1 if kept is None else kept.texts


async def test_the_numbers_are_those_of_the_command(
    measuring: Measuring, few: None, endless_gguf: Path
) -> None:
    async with measuring() as page:
        await page.goes_to("mine")
        await measures(page)
        (state,) = page.states
        assert (state.stage, state.done, state.total) == ("done", 26, 26)
        await page.until(lambda: page.row("mine").measures is not None)
        shown = json.loads(json.dumps(page.row("mine").measures))
        line = page.line("mine")
        assert page.row("zero-shot").measures["difference"] is None
        assert page.row("urial-k1").measures is None
        assert page.shows("bits per byte of 10 reference answers")
    arguments = ["prompts", "measure", "zero-shot", "mine", "-m", str(endless_gguf), "--json"]
    done = CliRunner().invoke(urial, arguments)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)["contexts"][1]
    for key in ("bits_per_byte", "difference", "ended", "copied_opening", "leaked", "ran_on"):
        assert shown[key] == found[key], key
    bits = found["difference"]["bits_per_byte"]
    assert fixed(found["bits_per_byte"]["mean"], 4) in line
    assert fixed(bits["interval"][0], 4) in line
    assert percent(found["ended"]["share"], 0) in line
    assert json.loads(done.stdout)["sampling"]["repetition_penalty"] == 1.1
    # All of it was there: nothing was computed again.
    assert found["prefill_s"] is not None or found["tokens"] == 1


async def test_it_is_stopped_and_gone_on_with(
    measuring: Measuring, held: Holding, few: None
) -> None:
    async with measuring() as page:
        await page.goes_to("mine")
        begun = held(2)
        await page.presses("m")
        await page.until(begun.there)
        await page.reads("measuring")
        await page.presses("escape")
        begun.go_on()
        await page.until(lambda: not page.screen.queue.busy)
        (state,) = page.states
        assert state.stage == "stopped"
        assert state.done < state.total
        await page.presses("escape")
        await page.until(
            lambda: (kept := page.row("zero-shot").kept) is not None and kept.texts > 0
        )
        kept = page.row("zero-shot").kept
        assert kept is not None
        assert kept.measures is None, "a part of the texts is no measure"
        await page.goes_to("zero-shot")
        assert page.shows(f"{kept.texts} of 13 texts are measured; M goes on.")
        await page.goes_to("mine")
        await measures(page)
        await page.until(lambda: page.row("mine").measures is not None)


async def test_another_program_that_measures_is_told(measuring: Measuring) -> None:
    async with measuring() as page:
        await page.goes_to("mine")
        with contextlib.closing(MeasureStore(paths.measures_file())):
            await page.presses("m")
            await page.until(lambda: not page.screen.queue.busy)
            (state,) = page.states
            assert state.stage == "failed"
            assert page.shows("Another program is measuring")


async def test_looking_again_and_again_shows_what_is_kept(measuring: Measuring, few: None) -> None:
    async with measuring() as page:
        await page.goes_to("mine")
        await measures(page)
        await page.until(lambda: page.row("mine").measures is not None)
        for _ in range(5):
            page.screen.known.know("mine", kept=None)
            await page.presses("f5", "f5", "f5")
            await page.until(lambda: page.row("mine").measures is not None)
        assert not page.shows("another program")


async def test_answers_of_another_sampling_are_no_measures(
    measuring: Measuring, few: None, endless_gguf: Path
) -> None:
    arguments = ["zero-shot", "-m", str(endless_gguf), "--penalties", "none", "--parallel", "1"]
    done = CliRunner().invoke(urial, ["prompts", "measure", *arguments])
    assert done.exit_code == 0, done.stderr
    async with measuring() as page:
        # The bits are there.
        await page.until(lambda: texts_of(page, "zero-shot") == 10)
        assert page.row("zero-shot").measures is None


async def test_a_changed_preamble_has_no_measures(measuring: Measuring, few: None) -> None:
    async with measuring() as page:
        await page.goes_to("mine")
        await measures(page)
        await page.until(lambda: page.row("mine").measures is not None)
        path = paths.user_prompts_dir() / "mine.toml"
        path.write_text(MINE.replace("I answer.", "I answer well."))
        await page.presses("f5")
        await page.until(lambda: texts_of(page, "mine") == 0)
        assert page.row("mine").measures is None
        assert page.row("zero-shot").measures is not None


class TestPace:
    def test_what_is_left_takes_as_long_as_what_was_done(self) -> None:
        now = 0.0
        pace = TextPace(lambda: now)
        pace.begin()
        for _ in range(3):
            pace.work()
            now += 2.0
            pace.done("reference answer")
        assert pace.left({"reference answer": 5}) == 10.0
        assert pace.left({"reference answer": 5, "answer": 1}) is None
        pace.work()
        now += 30.0
        pace.done("answer")
        assert pace.left({"reference answer": 5, "answer": 2}) == 70.0
        assert pace.left({}) == 0.0

    def test_what_was_there_says_nothing_of_the_pace(self) -> None:
        now = 0.0
        pace = TextPace(lambda: now)
        pace.begin()
        for _ in range(50):
            now += 0.001
            pace.done("answer")
        assert pace.left({"answer": 1}) is None
        pace.work()
        now += 4.0
        pace.done("answer")
        assert pace.left({"answer": 2}) == 8.0
