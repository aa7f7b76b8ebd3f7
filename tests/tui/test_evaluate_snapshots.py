"""How the evaluation screen looks at the smallest usual size."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.evaluate.judged import answer, scored, written
from tests.tui.conftest import Looks, ready, shows, wait_until
from urial_tui.engine.client.engine import Engine
from urial_tui.errors import EngineDied
from urial_tui.evaluate.job import GO_ON, Going, News
from urial_tui.evaluate.judged_runs import JudgeChoice
from urial_tui.evaluate.plan_file import Plan, plan_path, write_plan
from urial_tui.evaluate.planned_run import RunChoice
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.settings import Settings
from urial_tui.tui.evaluate.dialogs import Dialogs
from urial_tui.tui.evaluate.evaluate_screen import EvaluateScreen
from urial_tui.tui.evaluate.job_queue import JobQueue

LooksThere = Callable[..., bool]

LONG_AGO = 1_700_000_000
"""Seconds since 1970: what is older than a week has a date, and always the same."""


class Still:
    """A job that stands where it is."""

    def __init__(self, title: str, **values: Any) -> None:
        self.going = Going(title, "item")
        self.going.change(**values)
        self.out = Path("evaluations", f"{title}.json")

    def do(self, engine: Engine, templates: TemplateRenderer, settings: Settings) -> None:
        """Nothing is done."""


@pytest.fixture
def looks_there(looks: Looks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LooksThere:
    """Open the screen on a directory, press keys until a text is seen, and compare how it looks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")

    def compare(*pressed: str, until: str, keys: str, jobs: tuple[Still, ...] = ()) -> bool:
        async def prepare(pilot: Pilot[None]) -> None:
            await ready(pilot)
            await open_evaluations(pilot, *jobs)
            await pilot.press(*pressed)
            await wait_until(pilot, lambda: shows(pilot, until))

        return looks(prepare, keys=keys)

    return compare


async def open_evaluations(pilot: Pilot[None], *jobs: Still) -> None:
    """Open the screen on a directory of the working directory, with what is being done."""
    directory, settings = Path("evaluations"), Settings()
    queue = JobQueue(Engine)
    queue.jobs = jobs
    dialogs = Dialogs(
        lambda: ["gemma-3-270m", "gemma-3-270m-sft", "notes-[7b].gguf"],
        directory=directory,
        model="gemma-3-270m",
        context="urial-k3",
        settings=settings,
    )
    screen = EvaluateScreen(queue, dialogs, directory=directory, settings=settings)
    pilot.app.push_screen(screen)
    await wait_until(pilot, lambda: pilot.app.screen is screen)
    await wait_until(pilot, lambda: shows(pilot, "in evaluations"))


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Two runs, one of them judged, one that is not finished, and a stranger's file."""
    directory = tmp_path / "evaluations"
    directory.mkdir()
    for name, generator in (("a", "gemma-3-270m, urial-k3"), ("b", "gemma-3-270m, zero-shot")):
        records = [answer(n, f"Answer {n}.", generator, datasplit="urial-60") for n in range(1, 7)]
        written(directory / f"{name}.json", records)
    judged = [
        scored(n, f"Answer {n}.", 5, 4, 4, 3, n % 5 + 1, generator_cand="gemma-3-270m, urial-k3")
        for n in range(1, 6)
    ]
    unscored = scored(6, "Answer 6.", 1, 1, 1, 1, 1, generator_cand="gemma-3-270m, urial-k3")
    written(directory / "a.by.j.json", [*judged, unscored | {"parsed_result": {}, "result": "5"}])
    (directory / "notes.json").write_text("{}")
    run = RunChoice(
        out=directory / "c.json", model="gemma-3-270m", context="urial-k8", items="urial-60"
    )
    write_plan(Plan(choice=run, of=("gemma-3-270m, urial-k8",), total=60))
    pair = JudgeChoice(
        out=directory / "d.json",
        outputs=directory / "a.json",
        against=directory / "b.json",
        judge="gemma-3-270m-sft",
    )
    both = ("gemma-3-270m, urial-k3", "gemma-3-270m, zero-shot")
    write_plan(Plan(choice=pair, of=both, total=12))
    times = ("a.by.j.json", "a.json", "b.json", "c.json", "d.json", "notes.json")
    for number, name in enumerate(times):
        path = directory / name
        path = path if path.exists() else plan_path(path)
        os.utime(path, (LONG_AGO - number * 100_000,) * 2)
    return directory


def test_evaluations(looks_there: LooksThere, filled: Path) -> None:
    keys = "N new  R report  I items  J judge  Space 1 marked  Esc back  F1 all keys"
    assert looks_there("down", "space", "down", until="1 marked", keys=keys)


def test_new_runs(looks_there: LooksThere) -> None:
    keys = "Space marks · Tab next · F3 another model · Enter runs · F1 keys ·  Esc back"
    assert looks_there("n", "tab", "down", "space", until="2 runs", keys=keys)


def test_new_runs_by_an_endpoint(looks_there: LooksThere) -> None:
    keys = "Space marks · Tab next · F3 another model · Enter runs · F1 keys ·  Esc back"
    typed = ("shift+tab", "shift+tab", *"http://localhost:8080", "tab", *"base-70b")
    assert looks_there("n", *typed, until="base-70b at localhost:8080", keys=keys)


def test_a_report(looks_there: LooksThere, filled: Path) -> None:
    keys = "↑↓ scroll  W page for a browser  Esc back"
    assert looks_there("down", "r", until="Runs", keys=keys)


def test_what_is_being_done(looks_there: LooksThere) -> None:
    news = (
        News(
            id="ours-12",
            question="How do I keep tomatoes fresh?",
            text="Keep them out of the fridge, **stem down**, on a plate.",
            ending="ended by itself, 14 tokens",
        ),
        News(id="ours-11", question="¿Qué es esto?", text="", ending="cut, 512 tokens"),
    )
    died = EngineDied("The engine's worker ended: it was killed for memory (SIGKILL).", GO_ON)
    jobs = (
        Still(
            "gemma-3-270m, urial-k3", stage="done", done=60, total=60, words="66 answers written"
        ),
        Still("notes-[7b].gguf, urial-k3", stage="failed", done=3, total=60, error=died),
        Still(
            "gemma-3-270m, zero-shot",
            stage="going",
            done=12,
            total=60,
            words="84 answers/min, 120 tokens/s, about 34 s left",
            news=news,
            skipped=("ours-9: The question has 9,000 tokens, and the context holds 4,096.",),
        ),
        Still("gemma-3-270m-sft, chat", total=60),
    )
    keys = "L list  Esc back  F1 all keys"
    assert looks_there("l", until="tomatoes", keys=keys, jobs=jobs)
