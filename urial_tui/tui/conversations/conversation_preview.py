"""A preview of a conversation beside the list: from where opening it would lead."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec
from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from urial_tui.chat.marking import marked
from urial_tui.chat.store import Store
from urial_tui.chat.terms import Term, terms_of
from urial_tui.chat.tree import TurnTree
from urial_tui.chat.turns import TurnRecord
from urial_tui.errors import UrialError
from urial_tui.sanitize import sanitize, sanitize_line
from urial_tui.tui.conversations.conversation_list import HIT_STYLE, ConversationRow
from urial_tui.tui.drawing.markdown_lines import plain_text
from urial_tui.wording import amount

PAUSE = 0.06
"""Seconds for which a row has to stay selected (debounce)."""
_TURNS = 12
_LENGTH = 2_000
"""Turns and characters of each that are shown; what is beside a list is a glance."""
_PARSED = 20_000
"""Characters of an answer up to which it is shown without the signs of Markdown."""
_LEAD = 300
"""Characters of a turn in front of the first word that was looked for."""


class Preview(msgspec.Struct, frozen=True):
    """An excerpt: a part of a path, and how many turns stand in front of it."""

    turns: tuple[TurnRecord, ...]
    before: int
    terms: tuple[Term, ...]


class ConversationPreview(VerticalScroll):
    """Some turns of a conversation as plain text, with the words marked.

    Args:
        store: Has the conversations.
        id: Textual's name.
    """

    def __init__(self, store: Store, id: str | None = None) -> None:
        super().__init__(id=id, can_focus=False)
        self._store = store
        self._text = Static(markup=False)

    def compose(self) -> ComposeResult:
        """One text."""
        yield self._text

    @work(exclusive=True, group="preview")
    async def show(self, row: ConversationRow | None, words: str) -> None:
        """Show what the conversation of a row says, once no other one is selected for a moment."""
        if row is None:
            self._text.update("")
            return
        # Whoever holds a key down is not shown all that passes by.
        await asyncio.sleep(PAUSE)
        record, turn = row.hit.conversation, row.turn
        with contextlib.suppress(UrialError):
            turns = await asyncio.to_thread(self._store.turns, record.id)
            turn_id = None if turn is None else turn.turn_id
            self._text.update(_drawn(preview_of(turns, record.leaf, turn_id, terms_of(words))))
            self.scroll_home(animate=False)


def preview_of(
    turns: Sequence[TurnRecord], leaf: int | None, turn_id: int | None, terms: tuple[Term, ...]
) -> Preview:
    """The path through a turn, from its question on; without one, from the start."""
    tree = TurnTree(turns, leaf)
    if turn_id is not None:
        tree.lead_through(turn_id)
    path = tree.path
    start = next((place for place, turn in enumerate(path) if turn.id == turn_id), 0)
    return Preview(path[start : start + _TURNS], start, terms)


def _drawn(preview: Preview) -> Content:
    parts: list[Content] = []
    if preview.before:
        turns = amount(preview.before, "turn")
        parts.append(Content.styled(f"… {turns} before\n", "$quiet"))
    for turn in preview.turns:
        author, colour = (
            ("You", "$secondary")
            if turn.role == "user"
            else (sanitize_line(turn.model) or "Answer", "$primary")
        )
        parts.append(Content.styled(author, f"bold {colour}"))
        answer = turn.role == "assistant" and len(turn.text) <= _PARSED
        text = plain_text(sanitize(turn.text)) if answer else turn.text
        parts.append(Content.assemble(_text(text, preview.terms), "\n"))
    return Content("\n").join(parts)


def _text(text: str, terms: tuple[Term, ...]) -> Content:
    """A text from shortly before the first word that was looked for."""
    pieces = marked(text, terms)
    lead = pieces[0][0] if pieces and not pieces[0][1] and len(pieces) > 1 else ""
    if len(lead) > _LEAD:
        pieces = (("…" + lead[-_LEAD:], False), *pieces[1:])
    room = _LENGTH
    parts: list[tuple[str, str]] = []
    for piece, hit in pieces:
        parts.append((sanitize(piece[:room]), HIT_STYLE if hit else ""))
        room -= len(piece)
        if room <= 0:
            parts.append(("…", "$quiet"))
            break
    return Content.assemble(*parts)
