"""How the token screen looks, at the smallest usual size and with room for curves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.scripted import ScriptedEngine
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Looks, ready
from tests.tui.test_compare_snapshots import TEXT, tokens
from tests.tui.tokens_page import TokensPage
from tests.tui.traces import traced
from urial_tui.settings import SamplingSettings, Settings, sampling

P = (0.97, 0.62, 0.93, 0.31, 0.99, 0.08, 0.99, 0.71, 0.95, 0.012, 0.93, 0.99, 0.55)
WORDS = [(word, P[index % len(P)]) for index, (word, _) in enumerate(tokens(TEXT)) if word]
DRAWN = Settings(sampling=SamplingSettings(temperature=0.8))
GREEDY = Settings()
KEYS = "←→↑↓ token  N improbable  1-0 instead  F1 keys  Esc chat"

LooksRead = Callable[..., bool]


@pytest.fixture
def looks_read(looks: Looks, engine: ScriptedEngine) -> LooksRead:
    """Have an answer, read its tokens, do something there, and compare how it looks."""

    def compare(
        do: Callable[[TokensPage], Awaitable[None]], settings: Settings, **how: Any
    ) -> bool:
        async def prepare(pilot: Pilot[None]) -> None:
            await ready(pilot)
            await ChatPage(pilot, engine).exchanges("How do I learn a language?", TEXT)
            engine.enqueue_trace(*traced(WORDS, sampling(settings)))
            page = TokensPage(pilot)
            await page.opens()
            await page.is_read()
            await do(page)

        return looks(prepare, keys=KEYS, settings=settings, **how)

    return compare


async def go_to_an_improbable_one(page: TokensPage) -> None:
    await page.presses("n")
    await page.reads("8.0%  rank 4")


@pytest.mark.parametrize("theme", ["urial-dark", "urial-light"])
def test_a_drawn_token(looks_read: LooksRead, theme: str) -> None:
    async def look(page: TokensPage) -> None:
        page.pilot.app.theme = theme
        await go_to_an_improbable_one(page)

    assert looks_read(look, DRAWN)


def test_a_drawn_token_where_there_is_room(looks_read: LooksRead) -> None:
    assert looks_read(go_to_an_improbable_one, DRAWN, size=(120, 40))


def test_a_token_that_the_chain_would_not_write(looks_read: LooksRead) -> None:
    async def look(page: TokensPage) -> None:
        await page.presses("n", "n", "enter")
        await page.reads("Not by this chain")

    assert looks_read(look, GREEDY)
