"""How the compare screen looks, at the smallest usual size and at a roomy one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.scripted import Gate
from tests.tui.comparisons import Script, loading, written
from tests.tui.conftest import Found, shows, status, type_text, wait_until
from urial_tui.compare.vocab import ByteAgreement, VocabRelation
from urial_tui.errors import ModelError
from urial_tui.tui.app import UrialApp
from urial_tui.tui.compare.compare_screen import CompareScreen
from urial_tui.tui.widgets.prompt import Prompt

TEXT = (
    "Hello! Learning a language takes time, but it is fun:\n\n"
    "1. Listen to it a little every day.\n"
    "2. Speak from the first week, mistakes and all.\n"
    "3. Read what you like: 漫画, café menus, `code`.\n\n"
    "I hope this helps."
)
RANKS = (14, 2, 1, 1, 1, 3, 1, 1, 1, 1, 250, 1, 1, 2, 1, 1, 1, 6)
Prepare = Callable[[Pilot[None]], Awaitable[None]]
Looks = Callable[..., bool]

pytestmark = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


def tokens(text: str) -> list[tuple[str, int]]:
    """Words with the blank in front of them, newlines by themselves, and an end."""
    pieces: list[str] = []
    for character in text:
        apart = character in " \n.,:!" or (pieces and pieces[-1] in ("\n", "\n\n"))
        if pieces and character == "\n" and pieces[-1] == "\n":
            pieces[-1] += character
        elif apart or not pieces:
            pieces.append(character)
        else:
            pieces[-1] += character
    made = [(piece, RANKS[index % len(RANKS)]) for index, piece in enumerate(pieces)]
    return [*made, ("", 40)]


@pytest.fixture
def script() -> Script:
    return Script(tokens(TEXT))


@pytest.fixture
def looks(
    snap_compare: Callable[..., bool], make_app: Callable[..., UrialApp], script: Script
) -> Looks:
    """Open the compare screen, bring it into a state, and compare how it looks."""

    def compare(size: tuple[int, int], prepare: Prepare, **changes: Any) -> bool:
        async def still(pilot: Pilot[None]) -> None:
            await wait_until(pilot, lambda: "ready" in status(pilot))
            await pilot.press("f2")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
            pilot.app.screen.query_one(Prompt).cursor_blink = False
            await prepare(pilot)

        arguments: dict[str, Any] = {
            "comparison_factory": script.comparison_engine,
            "find_model": lambda name, progress: Found(name=name),
            "list_models": lambda: ["gemma-3-270m", "gemma-3-270m-sft", "notes-[7b].gguf"],
        }
        return snap_compare(make_app(**(arguments | changes)), terminal_size=size, run_before=still)

    return compare


async def ask(pilot: Pilot[None]) -> None:
    await type_text(pilot, "How do I learn a language?")
    await pilot.press("enter")


async def compared(pilot: Pilot[None]) -> None:
    await ask(pilot)
    await wait_until(pilot, lambda: "tokens" in status(pilot) and "Esc stop" not in status(pilot))


def test_before_a_comparison(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await pilot.pause()

    assert looks(size, prepare)


def test_picking_a_side(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await pilot.press("f2")
        await wait_until(pilot, lambda: shows(pilot, "The base side"))

    assert looks(size, prepare)


def test_loading(looks: Looks, script: Script, size: tuple[int, int]) -> None:
    script.opening = [*loading(0.4), Gate()]

    async def prepare(pilot: Pilot[None]) -> None:
        await ask(pilot)
        await wait_until(pilot, lambda: "40%" in status(pilot))

    assert looks(size, prepare)


def test_answering(looks: Looks, script: Script, size: tuple[int, int]) -> None:
    script.writing = [*written(TEXT[:120]), Gate()]

    async def prepare(pilot: Pilot[None]) -> None:
        await ask(pilot)
        await wait_until(pilot, lambda: "22 tokens" in status(pilot))

    assert looks(size, prepare)


@pytest.mark.parametrize("theme", ["urial-dark", "urial-light"])
def test_a_shifted_token(looks: Looks, size: tuple[int, int], theme: str) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        pilot.app.theme = theme
        await compared(pilot)
        await pilot.press("n")
        await wait_until(pilot, lambda: shows(pilot, "rank 250"))

    assert looks(size, prepare)


def test_the_whole_answer(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await compared(pilot)
        await pilot.press("end", "f4")
        await wait_until(pilot, lambda: shows(pilot, "most shifted"))

    assert looks(size, prepare)


def test_different_vocabularies(looks: Looks, script: Script, size: tuple[int, int]) -> None:
    script.relation = VocabRelation(relation="different", base_size=9, aligned_size=7)
    script.agreement = ByteAgreement(
        n_bytes=40,
        bits_per_byte_base=1.5,
        bits_per_byte_aligned=0.75,
        boundaries=12,
        agreement=0.5,
        exact=0.25,
    )

    async def prepare(pilot: Pilot[None]) -> None:
        await ask(pilot)
        await wait_until(pilot, lambda: "compared by bytes" in status(pilot))

    assert looks(size, prepare)


def test_a_failure(looks: Looks, script: Script, size: tuple[int, int]) -> None:
    script.opening = [
        ModelError(
            "The model Tiny has no chat template, as base models mostly have none.",
            "Choose another context for it: zero-shot, raw or a preamble.",
        )
    ]

    async def prepare(pilot: Pilot[None]) -> None:
        await ask(pilot)
        await wait_until(pilot, lambda: "failed" in status(pilot))

    assert looks(size, prepare)
