"""An application with a scripted engine, a store of its own, and a way to wait without sleeping."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot

from tests.scripted import ScriptedEngine
from tests.tui.held import Held
from tests.tui.parsed_styles import share_parsed_styles
from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.errors import UrialError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings
from urial_tui.tui.app import UrialApp
from urial_tui.tui.evaluate.job_queue import JobQueue

PATIENCE = 60.0
"""Seconds after which what was waited for is not going to happen."""

Opened = Callable[..., contextlib.AbstractAsyncContextManager[Pilot[None]]]


_files: dict[str, Path] = {}


@pytest.fixture(autouse=True, scope="session")
def model_file(llama_gguf: Path) -> None:
    """A scripted engine loads nothing, but the file is looked at before."""
    _files["tiny"] = llama_gguf


@pytest.fixture(autouse=True, scope="session")
def parsed_styles() -> Iterator[None]:
    """Parsing style sheets takes longer than most of what is tested with them."""
    with pytest.MonkeyPatch.context() as patch:
        share_parsed_styles(patch)
        yield


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the registry found."""

    name: str = "tiny"
    path: Path = msgspec.field(default_factory=lambda: _files["tiny"])
    adapter: Path | None = None
    chat_template: str = ""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "conversations.db") as opened:
        yield opened


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def make_app(engine: ScriptedEngine, store: Store) -> Callable[..., UrialApp]:
    """An application as a user would have it, but for its engine."""

    def make(**changes: Any) -> UrialApp:
        arguments: dict[str, Any] = {
            "engine_factory": lambda: engine,
            "store": store,
            "model": "tiny",
            "preamble": find_preamble("urial-k1"),
            "find_model": lambda name, progress: Found(),
            "clock": lambda: 0.0,
        }
        return UrialApp(**(arguments | changes))

    return make


@pytest.fixture
def opened(make_app: Callable[..., UrialApp]) -> Opened:
    """Open the application and wait until the model is loaded."""

    @contextlib.asynccontextmanager
    async def open_it(
        *, size: tuple[int, int] = (80, 24), ready: bool = True, **changes: Any
    ) -> AsyncIterator[Pilot[None]]:
        app = make_app(**changes)
        async with app.run_test(size=size, notifications=True) as pilot:
            if ready:
                await wait_until(pilot, lambda: "ready" in status(pilot))
            yield pilot

    return open_it


async def wait_until(pilot: Pilot[None], predicate: Callable[[], bool]) -> None:
    """Let the application work until `predicate` holds."""
    deadline = time.monotonic() + PATIENCE
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not happen; the screen shows:\n{screen_text(pilot)}")
        await pilot.pause()
        await asyncio.sleep(0.005)
    await pilot.pause()


async def type_text(pilot: Pilot[None], text: str) -> None:
    """Press the keys that type `text`, faster than anybody, and wait until all are taken."""
    for character in text:
        key = "ctrl+j" if character == "\n" else _character_to_key(character)
        pilot.app.post_message(Key(key, None if character == "\n" else character))
    # From the application to what has the focus, and from there to who listens.
    for _ in range(3):
        await pilot._wait_for_screen()
    await pilot.pause()


def screen_text(pilot: Pilot[None]) -> str:
    """What the screen shows, line by line."""
    app = pilot.app
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    lines = ["".join(segment.text for segment in strip).rstrip() for strip in strips[:height]]
    return "\n".join(line[:width] for line in lines)


def status(pilot: Pilot[None]) -> str:
    """The last line of the screen."""
    return screen_text(pilot).rpartition("\n")[2]


def shows(pilot: Pilot[None], text: str) -> bool:
    return text in screen_text(pilot)


def raising(error: UrialError) -> Callable[..., Found]:
    """A registry that finds nothing."""

    def find(name: str, progress: object) -> Found:
        raise error

    return find


SHORT_ANSWERS = Settings(
    chat=ChatSettings(max_tokens=12, preamble="zero-shot"),
    engine=EngineSettings(context=1024, threads=1),
    sampling=SamplingSettings(temperature=0.0),
)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Held]]:
    """Have the first job stand still once it has done so many."""
    made: list[Held] = []

    def hold(done: int) -> Held:
        made.append(Held(monkeypatch, done))
        return made[-1]

    yield hold
    for each in made:
        each.go_on()


@pytest.fixture
def evaluating(opened: Opened, endless_gguf: Path) -> Callable[..., Any]:
    """Open the evaluation screen, with real workers, from a chat on a scripted engine."""
    # These import this module.
    from tests.tui.evaluation_page import EvaluationPage

    @contextlib.asynccontextmanager
    async def open_it(
        *models: Path | str, size: tuple[int, int] = (80, 24), **changes: Any
    ) -> AsyncIterator[Any]:
        names = [str(model) for model in models or (endless_gguf,)]
        arguments: dict[str, Any] = {
            "list_models": lambda: names,
            "model": names[0],
            "find_model": lambda name, progress: Found(name=name),
            "settings": SHORT_ANSWERS,
            "evaluation_factory": lambda: JobQueue(Engine),
        }
        async with opened(size=size, **(arguments | changes)) as pilot:
            page = EvaluationPage(pilot)
            await page.opens()
            yield page

    return open_it
