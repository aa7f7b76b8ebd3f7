"""Textual's private names that the application relies on, all of them in one place.

A release may change them without a word, so the version is pinned as narrowly as they need, and
tests/tui/test_private_names.py says which are gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from queue import Queue
from typing import Any, cast

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.app import App
from textual.document._document import EditResult, Location
from textual.driver import Driver
from textual.drivers import linux_driver
from textual.drivers._writer_thread import WriterThread as WriterThread
from textual.widgets import TextArea
from textual.worker import WorkerFailed

OVERRIDDEN: Mapping[type, tuple[str, ...]] = {
    App: ("_fatal_error",),
    TextArea: ("_on_key", "_on_paste"),
}
"""What our classes have in place of Textual's."""

ATTRIBUTES: Mapping[type, tuple[str, ...]] = {
    App: ("_clipboard", "_exception", "_keymap", "_loop", "_notifications"),
    Driver: ("_app",),
    WriterThread: ("_queue",),
}
"""What Textual's objects hold."""

METHODS: Mapping[type, tuple[str, ...]] = {
    App: ("_close_messages_no_wait", "_handle_exception", "_unnotify"),
    TextArea: ("_delete_via_keyboard", "_replace_via_keyboard"),
}
"""What they can do."""

REPLACED = ("WriterThread", "getincrementaldecoder")
"""What the driver for Linux takes from elsewhere, by its own name for it."""


def keymap_of(app: App[Any]) -> Mapping[str, str]:
    """The user's keys by the ids of bindings."""
    return app._keymap


def loop_of(app: App[Any]) -> asyncio.AbstractEventLoop | None:
    """The event loop that the application runs in; None where it runs in none."""
    return app._loop


def error_of(app: App[Any]) -> BaseException | None:
    """What ended the application, if it was a mistake."""
    error = app._exception
    return error.error if isinstance(error, WorkerFailed) else error


def handle_error(app: App[Any], error: Exception) -> None:
    """End the application for this."""
    app._handle_exception(error)


def end_at_once(app: App[Any]) -> None:
    """End the application without waiting for anything."""
    app._close_messages_no_wait()


def take_back_notices(app: App[Any], message: str) -> None:
    """Take back the notices that say this; their place is drawn anew with the next one."""
    for notice in [one for one in app._notifications if one.message == message]:
        app._unnotify(notice, refresh=False)


def remember_copy(app: App[Any], text: str) -> None:
    """Have a text pasted where somebody pastes within the application."""
    app._clipboard = text


def replace_text(area: TextArea, text: str, start: Location, end: Location) -> EditResult | None:
    """Put a text in place of another, as if it was typed."""
    return area._replace_via_keyboard(text, start, end)


def delete_text(area: TextArea, start: Location, end: Location) -> EditResult | None:
    """Take a text away, as if that was typed."""
    return area._delete_via_keyboard(start, end)


def app_of(driver: Driver) -> App[Any]:
    """The application that a driver feeds."""
    return driver._app


def queue_of(writer: WriterThread) -> Queue[str | None]:
    """What is to be written to the terminal; None at its end."""
    return writer._queue


def use_sequence(sequence: str, keys: tuple[Any, ...]) -> None:
    """Have what a terminal sends taken for keys."""
    cast(dict[str, object], ANSI_SEQUENCES_KEYS)[sequence] = keys


def use_in_driver(name: str, replacement: object) -> None:
    """Have the driver for Linux use something of ours (one of `REPLACED`)."""
    setattr(linux_driver, name, replacement)
