"""How the stored conversations look, at the smallest usual size and with room for a preview."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import Looks
from tests.tui.conversations_page import ConversationsPage
from tests.tui.stored import put_some
from urial_tui.chat.store import Store

KEYS = "Enter opens  F2 renames  Del deletes  Ctrl+E exports  Ctrl+L imports  Esc back"

LooksStored = Callable[..., bool]


@pytest.fixture(autouse=True)
def greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def looks_stored(looks: Looks, store: Store) -> LooksStored:
    """Go to some stored conversations, do something there, and compare how it looks."""
    put_some(store)

    def compare(do: Callable[[ConversationsPage], Awaitable[None]], **how: Any) -> bool:
        async def prepare(pilot: Pilot[None]) -> None:
            page = ConversationsPage(pilot)
            await page.opens()
            await do(page)

        return looks(prepare, **how)

    return compare


def test_list(looks_stored: LooksStored) -> None:
    async def look(page: ConversationsPage) -> None:
        await page.selects("How do I read a file?")

    assert looks_stored(look, keys=KEYS)


def test_hits(looks_stored: LooksStored) -> None:
    async def look(page: ConversationsPage) -> None:
        await page.seeks("read line", "1 of 4 found")
        await page.presses("down")
        await page.reads("… 3 turns before")

    assert looks_stored(look, keys=KEYS, size=(120, 40))


def test_exporting(looks_stored: LooksStored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "urial_tui.tui.conversations.conversation_file.free_path",
        lambda directory, title, form: Path("/notes") / f"How-do-I-read-a-file.{form}",
    )

    async def look(page: ConversationsPage) -> None:
        await page.starts_exporting("How-do-I-read-a-file.md")

    keys = "Enter writes it, Tab changes the form, → completes, Esc goes back"
    assert looks_stored(look, keys=keys)
