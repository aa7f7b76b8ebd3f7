"""Commands of the palette that lead from the chat to a conversation or a model.

They are looked up when the palette opens, away from the screen's thread; what can't be read is
left out, for the screens that list it say why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from textual.app import SystemCommand

from urial_tui.errors import UrialError
from urial_tui.runtime.writer import WriterChoice
from urial_tui.tui.chat.chat_screen import ChatScreen

_NEWEST = 200
"""Conversations that are offered; the list of all of them can be searched itself."""


async def places(chat: ChatScreen, list_models: Callable[[], Sequence[str]]) -> list[SystemCommand]:
    """A command for each stored conversation and for each model on this machine."""
    found: list[SystemCommand] = []
    store = chat.store
    try:
        records = await asyncio.to_thread(store.conversations) if store is not None else []
    except UrialError:
        records = []
    for record in list(records)[:_NEWEST]:
        open_it = partial(_open, chat, record.id)
        found.append(SystemCommand(f"Open: {record.title}", record.model, open_it, discover=False))
    try:
        models = await asyncio.to_thread(list_models)
    except UrialError:
        models = []
    for name in models:
        use_it = partial(_use_model, chat, name)
        found.append(SystemCommand(f"Model: {name}", "", use_it, discover=False))
    return found


async def _open(chat: ChatScreen, conversation_id: int) -> None:
    store = chat.store
    if store is None:
        return
    try:
        await chat.stored.open(store, conversation_id)
    except UrialError as error:
        chat.complain(error)


def _use_model(chat: ChatScreen, name: str) -> None:
    chat.switching.use_if_free(WriterChoice(model=name, preamble=chat.choice.preamble))
