"""Conversations in files: their names, how they are written, and what is read from them.

A file is written whole or not at all, and never over one that is there unless that was
asked for. It is readable by its owner alone, like the database.
"""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from urial_tui import paths
from urial_tui.chat.json_form import from_json, to_json
from urial_tui.chat.markdown_form import from_markdown, to_markdown
from urial_tui.chat.store import Store
from urial_tui.chat.turns import ConversationRecord, WholeConversation
from urial_tui.errors import ExportError, UsageError
from urial_tui.files import NewFile, decoded, read_bytes, reason
from urial_tui.sanitize import sanitize_line

Form = Literal["md", "json"]

LARGEST_FILE = 512_000_000
"""Bytes of a file that is imported."""

_NAME_LENGTH = 60
_NAME_BYTES = 120


def whole_conversation(store: Store, conversation_id: int) -> WholeConversation:
    """A stored conversation with all its turns.

    Raises:
        StoreError: It is not there, or the database can't be read.
    """
    record = store.conversation(conversation_id)
    found = store.placed_turns(conversation_id)
    return WholeConversation(record, tuple(found.turns), found.displaced)


def exported(conversations: Sequence[WholeConversation], form: Form) -> str:
    """The text of a file.

    Raises:
        UsageError: Several conversations can't be in one Markdown file.
    """
    if form == "json":
        return to_json(conversations)
    if len(conversations) != 1:
        raise UsageError(
            "A Markdown file holds one conversation.", "Take JSON for several (--format json)."
        )
    return to_markdown(conversations[0])


def imported(data: bytes) -> tuple[WholeConversation, ...]:
    """The conversations in a file's bytes, be they JSON or Markdown.

    Raises:
        ExportError: It is neither, or not sound.
    """
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        return from_json(data.removeprefix(b"\xef\xbb\xbf"))
    try:
        text = decoded(data)
    except OSError as error:
        raise ExportError(
            f"This is no Markdown: {reason(error)}.", "Choose a Markdown or JSON file."
        ) from error
    # JSON in UTF-16 is JSON as well.
    return from_json(text.encode()) if text.lstrip()[:1] == "{" else (from_markdown(text),)


def already_stored(records: Sequence[ConversationRecord]) -> str:
    """The sentence on conversations of a file that were not taken in, of which there are some."""
    if len(records) == 1:
        title = sanitize_line(records[0].title) or "(no title)"
        return f"“{title}” is stored already, and was left as it is."
    return f"{len(records):,} conversations are stored already, and were left as they are."


def form_of(path: Path) -> Form:
    """The form that a file's name asks for: JSON for .json, else Markdown."""
    return "json" if path.suffix.lower() == ".json" else "md"


def read_file(path: Path) -> tuple[WholeConversation, ...]:
    """The conversations in a file.

    Raises:
        ExportError: It can't be read, or is not sound; the file is named.
    """
    try:
        data = read_bytes(path, LARGEST_FILE)
    except OSError as error:
        raise ExportError(
            f"{_shown(path)} can't be read: {reason(error)}.", "Choose a Markdown or JSON file."
        ) from error
    try:
        return imported(data)
    except ExportError as error:
        raise ExportError(f"{_shown(path)}: {error.message}", error.hint) from error


def write_file(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a file, in one step.

    Raises:
        FileExistsError: There is one, and `replace` is not given.
        ExportError: It can't be written.
    """
    try:
        with NewFile(path) as new:
            new.file.write(text.encode("utf-8", "replace"))
            new.sync()
            if replace:
                new.put()
            else:
                new.put_if_free()
    except FileExistsError:
        raise
    except OSError as error:
        raise ExportError(
            f"{_shown(path)} can't be written: {reason(error)}.", "Choose another place."
        ) from error


def file_name(title: str, form: Form) -> str:
    """A file's name made of a title: letters, digits and single dashes."""
    words = re.findall(r"\w+", unicodedata.normalize("NFC", title).replace("_", " "))
    name = "-".join(words)[:_NAME_LENGTH]
    name = name.encode()[:_NAME_BYTES].decode(errors="ignore").strip("-")
    return f"{name or 'conversation'}.{form}"


def free_path(directory: Path, title: str, form: Form) -> Path:
    """A path in a directory where no file is yet."""
    first = directory / file_name(title, form)
    path, number = first, 1
    while os.path.lexists(path):
        number += 1
        path = first.with_name(f"{first.stem}-{number}.{form}")
    return path


def proposed_directory() -> Path:
    """Where to put files: the current directory if it can be written, else home."""
    with contextlib.suppress(OSError):
        current = Path.cwd()
        if os.access(current, os.W_OK):
            return current
    return paths.home()


def _shown(path: Path) -> str:
    return sanitize_line(str(path))
