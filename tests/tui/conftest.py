"""An application with a scripted engine, a store of its own, and a way to wait without sleeping."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual import _wait
from textual.app import App
from textual.pilot import Pilot

from tests.evaluate.judged import answer, written
from tests.scripted import ScriptedEngine
from tests.tui.chat_page import ChatPage
from tests.tui.evaluation_page import EvaluationPage
from tests.tui.held import Held
from tests.tui.looking import PATIENCE as PATIENCE
from tests.tui.looking import screen_text as screen_text
from tests.tui.looking import shows as shows
from tests.tui.looking import status as status
from tests.tui.looking import type_text as type_text
from tests.tui.looking import wait_until as wait_until
from tests.tui.parsed_styles import share_parsed_styles
from tests.tui.pictures import hold_still, keys_told
from tests.tui.registry import FILES
from tests.tui.registry import Found as Found
from tests.tui.registry import raising as raising
from urial_tui import paths
from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings
from urial_tui.tui.app import UrialApp
from urial_tui.tui.evaluate.job_queue import JobQueue

Opened = Callable[..., contextlib.AbstractAsyncContextManager[Pilot[None]]]
Chatting = Callable[..., contextlib.AbstractAsyncContextManager[ChatPage]]
Prepare = Callable[[Pilot[None]], Awaitable[None]]
Looks = Callable[..., bool]


@pytest.fixture(autouse=True, scope="session")
def model_file(llama_gguf: Path) -> None:
    """What `Found` has for a file."""
    FILES["tiny"] = llama_gguf


@pytest.fixture(autouse=True, scope="session")
def parsed_styles() -> Iterator[None]:
    """Parsing style sheets takes longer than most of what is tested with them."""
    with pytest.MonkeyPatch.context() as patch:
        share_parsed_styles(patch)
        yield


@pytest.fixture(autouse=True, scope="session")
def short_pauses() -> Iterator[None]:
    """A pause is over after a few milliseconds in which nothing was done, not after 20.

    It says no more than that for a moment there was nothing to do: what comes from a thread is
    waited for by what it changes (`wait_until`).
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_wait, "SLEEP_GRANULARITY", 0.004)
        patch.setattr(_wait, "SLEEP_IDLE", 0.0008)
        yield


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without a conversation: making its tables takes longer than copying them."""
    path = tmp_path_factory.mktemp("store") / "conversations.db"
    with Store(path):
        pass
    return path


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> Iterator[Store]:
    with Store(shutil.copyfile(empty_store, tmp_path / "conversations.db")) as opened:
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


@pytest.fixture
def looks(snap_compare: Callable[..., bool], make_app: Callable[..., UrialApp]) -> Looks:
    """Bring an application into a state, and compare it with how it looked before.

    What its last line says of the keys is given as `keys`, and is no part of the picture.
    """

    def compare(
        prepare: Prepare,
        *,
        keys: str = "",
        size: tuple[int, int] = (80, 24),
        app: App[Any] | None = None,
        **changes: Any,
    ) -> bool:
        async def still(pilot: Pilot[None]) -> None:
            await prepare(pilot)
            assert keys_told(pilot) == keys
            await hold_still(pilot)

        return snap_compare(app or make_app(**changes), terminal_size=size, run_before=still)

    return compare


@pytest.fixture
def chatting(opened: Opened, engine: ScriptedEngine) -> Chatting:
    """Open the application, and look at its chat."""

    @contextlib.asynccontextmanager
    async def open_it(**changes: Any) -> AsyncIterator[ChatPage]:
        async with opened(**changes) as pilot:
            yield ChatPage(pilot, engine)

    return open_it


async def ready(pilot: Pilot[None]) -> None:
    """Wait until the model is loaded."""
    await wait_until(pilot, lambda: "ready" in status(pilot))


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

    @contextlib.asynccontextmanager
    async def open_it(
        *models: Path | str, size: tuple[int, int] = (80, 24), **changes: Any
    ) -> AsyncIterator[EvaluationPage]:
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


@pytest.fixture
def finished_runs(home: Path) -> Path:
    """A directory with two finished runs."""
    directory = paths.evaluations_dir()
    directory.mkdir(parents=True)
    for name in "ab":
        records = [answer(n, f"Yes {n}.", f"{name}, zero-shot") for n in (1, 2)]
        written(directory / f"{name}.json", records)
    return directory
