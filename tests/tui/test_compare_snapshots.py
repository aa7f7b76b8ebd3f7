"""How the compare screen looks, at the smallest usual size and with room for curves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.compare_page import ComparePage
from tests.tui.comparisons import Script
from tests.tui.conftest import Looks, ready
from tests.tui.registry import found_by_name

TEXT = (
    "Hello! Learning a language takes time, but it is fun:\n\n"
    "1. Listen to it a little every day.\n"
    "2. Speak from the first week, mistakes and all.\n"
    "3. Read what you like: 漫画, café menus, `code`.\n\n"
    "I hope this helps."
)
RANKS = (14, 2, 1, 1, 1, 3, 1, 1, 1, 1, 250, 1, 1, 2, 1, 1, 1, 6)
AT_FIRST = "Enter compare  F1 all keys  Esc chat"
COMPARED = "←→↑↓ token  n next shifted  F4 token or answer  F1 all keys"

LooksComparing = Callable[..., bool]


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
def looks_comparing(looks: Looks) -> LooksComparing:
    """Open the screen, do something there, and compare how it looks."""

    def compare(do: Callable[[ComparePage], Awaitable[None]], **how: Any) -> bool:
        async def prepare(pilot: Pilot[None]) -> None:
            await ready(pilot)
            page = ComparePage(pilot)
            await page.opens()
            await do(page)

        return looks(
            prepare,
            comparison_factory=Script(tokens(TEXT)).comparison_engine,
            find_model=found_by_name,
            list_models=lambda: ["gemma-3-270m", "gemma-3-270m-sft", "notes-[7b].gguf"],
            **how,
        )

    return compare


async def look_at_a_shifted_token(page: ComparePage) -> None:
    await page.compares("How do I learn a language?")
    await page.presses("n")
    await page.reads("rank 250")


def test_before_a_comparison(looks_comparing: LooksComparing) -> None:
    async def look(page: ComparePage) -> None:
        await page.reads("What does alignment change?")

    assert looks_comparing(look, keys=AT_FIRST)


def test_picking_a_side(looks_comparing: LooksComparing) -> None:
    assert looks_comparing(
        ComparePage.changes_base, keys="Enter takes the model, then the context; Esc goes back"
    )


@pytest.mark.parametrize("theme", ["urial-dark", "urial-light"])
def test_a_shifted_token(looks_comparing: LooksComparing, theme: str) -> None:
    async def look(page: ComparePage) -> None:
        page.pilot.app.theme = theme
        await look_at_a_shifted_token(page)

    assert looks_comparing(look, keys=COMPARED)


def test_a_shifted_token_where_there_is_room(looks_comparing: LooksComparing) -> None:
    keys = "←→↑↓ token  n next shifted  F1 all keys  Esc chat"
    assert looks_comparing(look_at_a_shifted_token, keys=keys, size=(120, 40))


def test_the_whole_answer(looks_comparing: LooksComparing) -> None:
    async def look(page: ComparePage) -> None:
        await page.compares("How do I learn a language?")
        await page.presses("end", "f4")
        await page.reads("most shifted")

    assert looks_comparing(look, keys=COMPARED)
