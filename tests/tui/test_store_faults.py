"""The database fails while an answer is written: told, shown whole, and stored when it can be."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.scripted import Gate, ScriptedEngine, delta
from tests.tui.conftest import Opened, shows, status, type_text, wait_until
from urial_tui.chat.store import Store
from urial_tui.errors import StoreError
from urial_tui.tui.app import UrialApp


class Lock:
    """Another program that writes to the database."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    def take(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "conversations.db", busy_timeout=0.02)


def texts(file: Path) -> list[str]:
    with Store(file) as other:
        return [turn.text for one in other.conversations() for turn in other.turns(one.id)]


async def ask_under_lock(pilot: Pilot[None], engine: ScriptedEngine, lock: Lock) -> None:
    """An answer of which only the first part is on the disk."""
    gate = Gate()
    engine.enqueue(delta("First, "), gate, lock.take, delta("and last."))
    await type_text(pilot, "hello")
    await pilot.press("enter")
    await wait_until(pilot, lambda: shows(pilot, "First,"))
    gate.open()
    await wait_until(pilot, lambda: shows(pilot, "in use by another program"))
    assert shows(pilot, "First, and last.")
    await wait_until(pilot, lambda: "ready" in status(pilot))


async def test_what_could_not_be_stored_is_when_the_conversation_is_left(
    opened: Opened, engine: ScriptedEngine, store: Store
) -> None:
    lock = Lock(store.path)
    async with opened() as pilot:
        await ask_under_lock(pilot, engine, lock)
        # A question that can't be stored stays in the prompt.
        await type_text(pilot, "and then")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "✖"))
        assert shows(pilot, "and then")
        assert texts(store.path) == ["hello", "First, "]
        lock.release()
        await pilot.press("ctrl+n")
        await wait_until(pilot, lambda: texts(store.path) == ["hello", "First, and last."])
    lock.close()
    store.close()


async def test_what_could_not_be_stored_is_tried_at_the_end_and_told_if_it_fails(
    make_app: Callable[..., UrialApp], engine: ScriptedEngine, store: Store
) -> None:
    lock = Lock(store.path)
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(pilot, lambda: "ready" in status(pilot))
        await ask_under_lock(pilot, engine, lock)
        await pilot.press("ctrl+n")
    with pytest.raises(StoreError, match="in use by another program"):
        app.unsaved.save()
    lock.release()
    app.unsaved.save()
    assert texts(store.path) == ["hello", "First, and last."]
    lock.close()
    store.close()
