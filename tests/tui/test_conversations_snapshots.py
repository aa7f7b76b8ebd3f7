"""How the stored conversations look, at the smallest usual size and at a roomy one."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import shows, wait_until
from tests.tui.stored import put_some
from tests.tui.test_conversations import look, search, start_renaming
from urial_tui.chat.store import Store
from urial_tui.tui.app import UrialApp
from urial_tui.tui.conversations.conversations_screen import WIDE
from urial_tui.tui.widgets.prompt import Prompt

Prepare = Callable[[Pilot[None]], Awaitable[None]]
Looks = Callable[..., bool]

pytestmark = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


@pytest.fixture(autouse=True)
def greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def looks(
    snap_compare: Callable[..., bool], make_app: Callable[..., UrialApp], store: Store
) -> Looks:
    """Go to the stored conversations, do something there, and compare."""

    def compare(size: tuple[int, int], prepare: Prepare, *, some: bool = True) -> bool:
        if some:
            put_some(store)

        async def do(pilot: Pilot[None]) -> None:
            pilot.app.screen.query_one(Prompt).cursor_blink = False
            await look(pilot)
            pilot.app.screen.query_one(Input).cursor_blink = False
            await prepare(pilot)
            for line in pilot.app.screen.query(Input):
                line.cursor_blink = False
            await pilot.pause()

        return snap_compare(make_app(), terminal_size=size, run_before=do)

    return compare


async def previewed(pilot: Pilot[None], text: str) -> None:
    """Wait for the preview where there is room for one."""
    if pilot.app.size.width >= WIDE:
        await wait_until(pilot, lambda: shows(pilot, text))


def test_list(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await previewed(pilot, "And a large one?")

    assert looks(size, prepare)


def test_light(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        pilot.app.theme = "urial-light"
        await search(pilot, "read", "2 of 4 found")
        await previewed(pilot, "Open it with")

    assert looks(size, prepare)


def test_hits(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await search(pilot, "read line", "1 of 4 found")
        await pilot.press("down")
        await previewed(pilot, "… 3 turns before")

    assert looks(size, prepare)


def test_nothing_stored(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await wait_until(pilot, lambda: shows(pilot, "There are none yet."))

    assert looks(size, prepare, some=False)


def test_nothing_found(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await search(pilot, "needle", "0 of 4 found")

    assert looks(size, prepare)


def test_renaming(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await pilot.press("down")
        await previewed(pilot, "What grows in the shade")
        await start_renaming(pilot)
        await pilot.press("end", "space", "f", "o", "r")

    assert looks(size, prepare)


def test_deleted(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await pilot.press("down", "delete")
        await wait_until(pilot, lambda: shows(pilot, "3 stored"))
        await previewed(pilot, "Is ␛[31mthis")

    assert looks(size, prepare)


def test_exporting(
    looks: Looks, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "urial_tui.tui.conversations.conversation_file.free_path",
        lambda directory, title, form: Path("/notes") / f"How-do-I-read-a-file.{form}",
    )

    async def prepare(pilot: Pilot[None]) -> None:
        await previewed(pilot, "And a large one?")
        await pilot.press("ctrl+e")
        await wait_until(pilot, lambda: shows(pilot, "How-do-I-read-a-file.md"))

    assert looks(size, prepare)


def test_importing_what_is_no_export(
    looks: Looks, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letter.md").write_text("Dear all")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("urial_tui.chat.export._shown", lambda path: path.name)

    async def prepare(pilot: Pilot[None]) -> None:
        await previewed(pilot, "And a large one?")
        await pilot.press("ctrl+l")
        await wait_until(pilot, lambda: shows(pilot, "Import conversations"))
        await pilot.press(*"letter", "full_stop", "m", "d", "enter")
        await wait_until(pilot, lambda: shows(pilot, "There are no turns"))

    assert looks(size, prepare)
