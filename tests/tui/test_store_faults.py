"""The database fails while an answer is written: told, shown whole, and stored when it can be."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.scripted import Gate, delta
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Chatting
from urial_tui.chat.store import Store
from urial_tui.errors import StoreError
from urial_tui.tui.widgets.banner import Banner


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


async def is_answered_under_lock(chat: ChatPage, lock: Lock) -> None:
    """An answer of which only the first part is on the disk."""
    gate = Gate()
    chat.engine.enqueue(delta("First, "), gate, lock.take, delta("and last."))
    await chat.asks("hello")
    await chat.reads("First,")
    gate.open()
    await chat.reads("in use by another program")
    assert chat.shows("First, and last.")
    await chat.is_ready()


async def test_what_could_not_be_stored_is_when_the_conversation_is_left(
    chatting: Chatting, store: Store
) -> None:
    lock = Lock(store.path)
    async with chatting() as chat:
        await is_answered_under_lock(chat, lock)
        # A question that can't be stored stays in the prompt.
        banner = chat.screen.query_one(Banner)
        of_answer = banner.trouble
        await chat.asks("and then")
        await chat.until(lambda: banner.trouble is not None and banner.trouble is not of_answer)
        assert chat.shows("and then")
        assert texts(store.path) == ["hello", "First, "]
        lock.release()
        await chat.starts_anew()
        await chat.until(lambda: texts(store.path) == ["hello", "First, and last."])
    lock.close()
    store.close()


async def test_what_could_not_be_stored_is_tried_at_the_end_and_told_if_it_fails(
    chatting: Chatting, store: Store
) -> None:
    lock = Lock(store.path)
    async with chatting() as chat:
        await is_answered_under_lock(chat, lock)
        await chat.starts_anew()
    with pytest.raises(StoreError, match="in use by another program"):
        chat.unsaved.save()
    lock.release()
    chat.unsaved.save()
    assert texts(store.path) == ["hello", "First, and last."]
    lock.close()
    store.close()
