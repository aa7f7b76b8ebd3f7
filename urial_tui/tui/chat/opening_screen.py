"""A screen on which stored conversations are opened as they were left.

What is opened stands where one stood last and under the preamble that it was written under,
if that is there; the model that is loaded goes on with it.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import msgspec
from textual import work
from textual.binding import Binding, BindingType
from textual.worker import WorkerError

from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.errors import PreambleError, StoreError, UrialError
from urial_tui.prompting.preamble import find_preamble
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.chat.answering_screen import AnsweringScreen
from urial_tui.tui.chat.header_line import HeaderLine
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.chat.welcome import Welcome


class OpeningScreen(AnsweringScreen):
    """Leads to the stored conversations and back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+o", "open", "Stored conversations", priority=True, id="chat.open"),
    ]

    @work(exclusive=True, group="open")
    async def action_open(self) -> None:
        """Let the user look after the stored conversations, and open one."""
        if self.store is None:
            self.notify("Conversations are not stored in this session.", markup=False)
            return
        # The chat is there sooner without it.
        from urial_tui.tui.conversations.conversations_screen import ConversationsScreen

        screen = ConversationsScreen(self.store, self.conversation.record.id)
        opening = await self.app.push_screen_wait(screen)
        try:
            if opening is not None and opening.conversation_id != self.conversation.record.id:
                await self.open_stored(self.store, opening.conversation_id, opening.turn_id)
            else:
                await self._meet_changes(self.store)
        except UrialError as error:
            self.complain(error)
            return
        if opening is not None and opening.turn_id is not None:
            await self._go_to_turn(opening.turn_id)

    async def show_path(self) -> None:
        """Show the conversation as it stands now, and remember where that is."""
        await super().show_path()
        if not self.conversation.tree.can_undo:
            return
        try:
            await asyncio.to_thread(self.conversation.keep_place)
        except StoreError as error:
            self.complain(error)

    async def open_stored(
        self, store: Store, conversation_id: int, turn_id: int | None = None
    ) -> None:
        """Show a stored conversation, where one stood in it or at a turn.

        Raises:
            StoreError: It can't be read.
        """
        conversation = await asyncio.to_thread(
            Conversation.open,
            store,
            conversation_id,
            turn_id,
        )
        self.show_conversation(conversation)
        if conversation.damage:
            self.notify(conversation.damage, severity="warning", timeout=15, markup=False)
        self._restore(conversation)
        if self.ready and conversation.record.preamble == self.preamble.name:
            self.read_ahead(conversation)

    def _restore(self, conversation: Conversation) -> None:
        """Use what the conversation was written with, as far as it is here; else say so."""
        record, before = conversation.record, self.preamble.name
        note = f"with {record.model} " if record.model != self.model else ""
        if record.preamble != before:
            note += f"under {record.preamble}"
            try:
                self._use_preamble(record.preamble)
            except PreambleError:
                note += ", which is not here"
        if note:
            goes_on = f"{self.model} under {self.preamble.name} goes on."
            self.notify(sanitize_line(f"This was written {note.rstrip()}; {goes_on}"), markup=False)

    def _use_preamble(self, name: str) -> None:
        """Answer under another preamble from now on; the next question brings it to the engine."""
        self.preamble = find_preamble(name)
        self.query_one(HeaderLine).preamble = name
        welcome = self.query_one(Welcome)
        welcome.preamble = f"{name}: {self.preamble.description}"
        self.show_status(preamble=name, preamble_tokens=0, preamble_source=None)

    async def _meet_changes(self, store: Store) -> None:
        """The open conversation may have been renamed or deleted."""
        record = self.conversation.record
        if not self.conversation.path:
            return
        title = await asyncio.to_thread(store.title, record.id)
        if title is None:
            self.show_conversation(Conversation.new(store))
            self.notify("The open conversation is deleted; here is a new one.", markup=False)
        elif title != record.title:
            self.conversation.record = msgspec.structs.replace(record, title=title)
            self.query_one(HeaderLine).title_text = title

    async def _go_to_turn(self, turn_id: int) -> None:
        """Show a turn, and let the keys act on it."""
        if self._asking is not None:
            return
        self.conversation.tree.lead_through(turn_id)
        try:
            await self._show_other().wait()
        except WorkerError:
            # Something else is shown by now.
            return
        transcript = self.query_one(Transcript)
        self.set_focus(transcript, scroll_visible=False)
        # Having the focus marks a turn; this one comes after that.
        transcript.call_later(transcript.reveal, turn_id)
