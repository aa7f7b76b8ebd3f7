"""How the screens about preambles look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.scripted import ScriptedEngine, answer
from tests.tui.conftest import Looks, ready
from tests.tui.prompts_page import PromptsPage
from tests.tui.test_prompts_screen import MINE
from urial_tui import paths
from urial_tui.evaluate.measured_before import KeptMeasures

LooksThere = Callable[..., bool]


def measures(bits: float, ended: float, copied: float | None, difference: float | None) -> Any:
    """What `urial prompts measure` would tell."""

    def share(value: float | None) -> dict[str, Any]:
        return {"share": value, "count": 40}

    compared = None
    if difference is not None:
        spread = [difference - 0.006, difference + 0.006]
        compared = {"to": "zero-shot", "bits_per_byte": {"difference": difference}}
        compared["bits_per_byte"] = {"difference": difference, "interval": spread}
    return {
        "bits_per_byte": {"mean": bits, "interval": [bits - 0.02, bits + 0.02], "count": 60},
        "difference": compared,
        "ended": share(ended),
        "ran_on": share(0.05),
        "cut": share(0.95 - ended),
        "copied_opening": share(copied),
        "leaked": share(copied),
    }


@pytest.fixture
def looks_there(looks: Looks, engine: ScriptedEngine) -> LooksThere:
    """Open the screen, bring it into a state, and compare how it looks."""
    directory = paths.user_prompts_dir()
    directory.mkdir(parents=True)
    (directory / "mine.toml").write_text(MINE.replace("Three of them.", "Three of"))
    (directory / "broken.toml").write_text('name = "broken"\n')
    engine.pieces["chat"] = tuple(
        chr(code).encode("utf-8", "surrogatepass") for code in range(0x2700)
    )

    def compare(do: Callable[[PromptsPage], Awaitable[None]], keys: str) -> bool:
        async def prepare(pilot: Pilot[None]) -> None:
            await ready(pilot)
            page = PromptsPage(pilot)
            await page.opens()
            await page.lists()
            await page.counts()
            await do(page)
            await pilot.pause()

        return looks(prepare, keys=keys)

    return compare


def test_preambles(looks_there: LooksThere) -> None:
    async def measured(page: PromptsPage) -> None:
        whole = {
            "zero-shot": measures(0.9012, 0.55, None, None),
            "urial-k3": measures(0.8791, 0.85, 0.1, -0.0221),
        }
        for name, found in whole.items():
            kept = KeptMeasures(texts=100, total=100, measures=found)
            page.screen.known.know(name, kept=kept)
        page.screen.known.know("urial-k1", kept=KeptMeasures(texts=12, total=100))
        await page.goes_to("urial-k3")
        await page.presses("space")

    keys = (
        "E edit  T tokens  Y try  M measure  Space 1 marked  Esc back  F1 keys  U use"
        "  I import  C details"
    )
    assert looks_there(measured, keys)


def test_what_reaches_the_model(looks_there: LooksThere) -> None:
    async def tokens(page: PromptsPage) -> None:
        await page.goes_to("mine")
        await page.looks_at_tokens()
        await page.presses("n")

    keys = "←→↑↓ token  N next part  Y copy the text  Esc back  F1 all keys"
    assert looks_there(tokens, keys)


def test_changing(looks_there: LooksThere) -> None:
    async def change(page: PromptsPage) -> None:
        await page.edits("mine")
        await page.shows_part(1)
        await page.reads("1 warning")

    keys = "Ctrl+S save  Enter write  Esc back  F1 keys  F2 add  F3 delete  F4 tokens"
    assert looks_there(change, keys)


def test_trying(looks_there: LooksThere, engine: ScriptedEngine) -> None:
    async def ask(page: PromptsPage) -> None:
        await page.tries("urial-k1", "urial-k3")
        engine.enqueue(*answer("The first answer, under one example."))
        engine.enqueue(*answer("The **other** answer, under three."))
        await page.asks("Why?")
        await page.is_answered()

    keys = "Enter ask  F5 again  F6 change places  Esc back  F1 all keys"
    assert looks_there(ask, keys)
