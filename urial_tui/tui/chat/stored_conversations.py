"""Opening conversations: a stored one as it was left, or a new one.

What is opened stands where one stood last and under the preamble that it was written under,
if that is there; the model that is loaded goes on with it. What was typed and not sent goes
along, unless something is typed there already.
"""

from __future__ import annotations

import asyncio

import msgspec

from urial_tui.chat.drafts import DraftPlace
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.chat.unsaved import Unsaved
from urial_tui.errors import PreambleError, StoreError, UrialError
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.chat.answers import Answers
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.model_loading import ModelLoading
from urial_tui.tui.chat.moves import Moves
from urial_tui.tui.chat.open_conversation import OpenConversation


class StoredConversations:
    """Opens conversations in the chat.

    Args:
        view: Shows them.
        models: What goes on with them.
        here: Which one is open.
        moves: Shows where one stands.
        answers: What may go on in the one that is left.
        store: Where they are kept; None keeps nothing.
        unsaved: Those of which not all could be stored.
    """

    def __init__(
        self,
        view: ChatView,
        models: ModelLoading,
        here: OpenConversation,
        moves: Moves,
        answers: Answers,
        *,
        store: Store | None,
        unsaved: Unsaved,
    ) -> None:
        self._view = view
        self._models = models
        self._here = here
        self._moves = moves
        self._answers = answers
        self._store = store
        self._unsaved = unsaved

    def recall(self) -> None:
        """Load the history of the prompt: the questions of all conversations."""
        if self._store is not None:
            self._view.work_alone("history", self._recall, self._store)

    async def _recall(self, store: Store) -> None:
        try:
            self._view.prompt.earlier = await asyncio.to_thread(store.recent_questions)
        except UrialError as error:
            self._view.complain(error)

    def new(self) -> None:
        """Leave this conversation for an empty one."""
        self.show(Conversation.new(self._store))

    def show(self, conversation: Conversation) -> None:
        """Change to another conversation, and to what is typed there."""
        here, before = self._here, DraftPlace(self._here.conversation.record.id)
        self._answers.leave()
        here.stop_editing()
        here.asking.end()
        here.conversation = conversation
        self._view.header.title_text = conversation.record.title
        if self._models.ready:
            self._view.settle_trouble()
            self._view.show_status(state="ready")
        self._moves.show()
        self._view.work("save", self._save)
        self._view.prompt.focus()
        self._bring_draft(before)

    def _bring_draft(self, before: DraftPlace) -> None:
        """Put the conversation's draft into the prompt, else that of the one before."""
        here, drafts, prompt = self._here, self._here.drafts, self._view.prompt
        place = DraftPlace(here.conversation.record.id)
        drafts.claim(place.conversation_id)
        waiting = drafts.of(place)
        if waiting:
            drafts.note(before, prompt.full_text)
            prompt.put(waiting)
        elif before != place:
            drafts.note(before, "")
            drafts.note(place, prompt.full_text)
        for turn_id, text in drafts.turns(place.conversation_id).items():
            if turn_id in here.conversation.tree:
                here.edit(here.conversation.tree[turn_id])
                prompt.put(text)

    def bring_back(self) -> None:
        """Restore the draft that an earlier run has left in the prompt."""
        self._view.work_alone("drafts", self._bring_back)

    async def _bring_back(self) -> None:
        here = self._here
        left = await asyncio.to_thread(here.drafts.open, here.conversation.record.id)
        if left.text:
            prompt = self._view.prompt
            # Somebody may have typed meanwhile.
            prompt.put("\n".join(filter(None, (left.text, prompt.full_text))))
        elif left.waits_in:
            self._view.tell(
                f"A question that was not sent waits in “{sanitize_line(left.waits_in)}”: "
                f"{self._view.key('chat.open')} leads there."
            )

    async def _save(self) -> None:
        """Try again to store answers that could not be stored."""
        try:
            await asyncio.to_thread(self._unsaved.save)
        except StoreError as error:
            self._models.fail(error)

    # -- stored ones ----------------------------------------------------------------

    def look(self) -> None:
        """Open the screen of the stored conversations, then the one that is chosen there."""
        self._view.work_alone("open", self._look)

    async def _look(self) -> None:
        store, here = self._store, self._here
        if store is None:
            self._view.tell("Conversations are not stored in this session.")
            return
        # The chat is there sooner without it.
        from urial_tui.tui.conversations.conversations_screen import ConversationsScreen

        opening = await self._view.chosen_on(
            ConversationsScreen(store, here.conversation.record.id)
        )
        try:
            if opening is not None and opening.conversation_id != here.conversation.record.id:
                await self.open(store, opening.conversation_id, opening.turn_id)
            else:
                await self._meet_changes(store)
        except UrialError as error:
            self._view.complain(error)
            return
        if opening is not None and opening.turn_id is not None:
            await self._moves.go_to(opening.turn_id)

    async def open(self, store: Store, conversation_id: int, turn_id: int | None = None) -> None:
        """Show a stored conversation, where one stood in it or at a turn.

        Raises:
            StoreError: It can't be read.
        """
        conversation = await asyncio.to_thread(Conversation.open, store, conversation_id, turn_id)
        self.show(conversation)
        if conversation.damage:
            self._view.tell(conversation.damage, severity="warning", timeout=15)
        self._restore(conversation)
        if self._models.ready and conversation.record.preamble == self._models.preamble.name:
            self._models.read_ahead(conversation)

    def _restore(self, conversation: Conversation) -> None:
        """Use the conversation's preamble, if it is on this machine; tell what is not the same."""
        record, used = conversation.record, self._models.choice
        note = f"with {record.model} " if record.model != used.model else ""
        if record.preamble != used.preamble.name:
            note += f"under {record.preamble}"
            try:
                self._models.use_preamble(record.preamble)
            except PreambleError:
                note += ", which is not here"
        if note:
            goes_on = f"{used.model} under {self._models.preamble.name} goes on."
            self._view.tell(sanitize_line(f"This was written {note.rstrip()}; {goes_on}"))

    async def _meet_changes(self, store: Store) -> None:
        """Refresh the open conversation, which may have been renamed or deleted."""
        conversation = self._here.conversation
        record = conversation.record
        if not conversation.path:
            return
        title = await asyncio.to_thread(store.title, record.id)
        if title is None:
            self.new()
            self._view.tell("The open conversation is deleted; here is a new one.")
        elif title != record.title:
            self._here.conversation.record = msgspec.structs.replace(record, title=title)
            self._view.header.title_text = title
