"""How the token screen looks, at the smallest usual size and at a roomy one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot

from tests.scripted import Gate, ScriptedEngine, prefill
from tests.tui.conftest import shows, status, wait_until
from tests.tui.test_chat_screen import converse
from tests.tui.test_compare_snapshots import TEXT, tokens
from tests.tui.traces import traced
from urial_tui.errors import EngineError
from urial_tui.settings import SamplingSettings, Settings, sampling
from urial_tui.tui.app import UrialApp
from urial_tui.tui.tokens.tokens_screen import TokensScreen

P = (0.97, 0.62, 0.93, 0.31, 0.99, 0.08, 0.99, 0.71, 0.95, 0.012, 0.93, 0.99, 0.55)
WORDS = [(word, P[index % len(P)]) for index, (word, _) in enumerate(tokens(TEXT)) if word]
DRAWN = Settings(sampling=SamplingSettings(temperature=0.8))
Prepare = Callable[[Pilot[None]], Awaitable[None]]
Looks = Callable[..., bool]

pytestmark = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


@pytest.fixture
def looks(
    snap_compare: Callable[..., bool], make_app: Callable[..., UrialApp], engine: ScriptedEngine
) -> Looks:
    """Have an answer, open its tokens, bring the screen into a state, compare how it looks."""

    def compare(size: tuple[int, int], prepare: Prepare, settings: Settings = DRAWN) -> bool:
        async def still(pilot: Pilot[None]) -> None:
            await wait_until(pilot, lambda: "ready" in status(pilot))
            await converse(pilot, engine, "How do I learn a language?", TEXT)
            await pilot.press("f4")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, TokensScreen))
            await prepare(pilot)

        return snap_compare(make_app(settings=settings), terminal_size=size, run_before=still)

    return compare


async def read(pilot: Pilot[None]) -> None:
    await wait_until(pilot, lambda: status(pilot).rstrip().endswith("tokens"))


@pytest.mark.parametrize("theme", ["urial-dark", "urial-light"])
def test_a_drawn_token(
    looks: Looks, engine: ScriptedEngine, size: tuple[int, int], theme: str
) -> None:
    engine.enqueue_trace(*traced(WORDS, sampling(DRAWN)))

    async def prepare(pilot: Pilot[None]) -> None:
        pilot.app.theme = theme
        await read(pilot)
        await pilot.press("n")
        await wait_until(pilot, lambda: shows(pilot, "8.0%  rank 4"))

    assert looks(size, prepare)


def test_a_token_that_the_chain_would_not_write(
    looks: Looks, engine: ScriptedEngine, size: tuple[int, int]
) -> None:
    engine.enqueue_trace(*traced(WORDS, sampling(Settings())))

    async def prepare(pilot: Pilot[None]) -> None:
        await read(pilot)
        await pilot.press("n", "n", "enter")
        await wait_until(pilot, lambda: shows(pilot, "Not by this chain"))

    assert looks(size, prepare, Settings())


def test_reading(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    engine.enqueue_trace(prefill("prompt", 512, 1900), Gate())

    async def prepare(pilot: Pilot[None]) -> None:
        await wait_until(pilot, lambda: "reading 512" in status(pilot))

    assert looks(size, prepare)


def test_a_part_is_read(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    engine.enqueue_trace(*traced(WORDS, sampling(DRAWN))[:3], Gate())

    async def prepare(pilot: Pilot[None]) -> None:
        await wait_until(pilot, lambda: "token 24 of" in status(pilot))

    assert looks(size, prepare)


def test_a_failure(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    engine.enqueue_trace(
        EngineError(
            "The answer and its question have 5,210 tokens with the preamble; the context "
            "holds 4,096.",
            "Raise the context setting (engine.context), or choose a shorter preamble.",
        )
    )

    async def prepare(pilot: Pilot[None]) -> None:
        await wait_until(pilot, lambda: "failed" in status(pilot))

    assert looks(size, prepare)
