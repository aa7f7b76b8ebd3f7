"""A chat in whose prompt nothing that was typed gets lost.

What was typed and not sent is there again at the next start, and where it was typed. In another
conversation it goes along, unless something is typed there already.
"""

from __future__ import annotations

import asyncio

from textual import work

from urial_tui.chat.drafts import Place, of_turn
from urial_tui.chat.session import Conversation
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.chat.answering_screen import AnsweringScreen
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.widgets.prompt import Prompt


class DraftingScreen(AnsweringScreen):
    """Keeps what is typed with the conversation."""

    def on_mount(self) -> None:
        """Go on with what an earlier run has left."""
        self._bring_back()

    def draft(self) -> tuple[Place, str]:
        """A question, or what has become of the turn that is edited."""
        text, conversation = self.query_one(Prompt).full_text, self.conversation.record.id
        if self._editing is None:
            return Place(conversation), text
        edited = text if text != self._editing.text else ""
        return of_turn(conversation, self._editing.id), edited

    @work(exclusive=True, group="drafts")
    async def _bring_back(self) -> None:
        left = await asyncio.to_thread(self.drafts.open, self.conversation.record.id)
        if left.text:
            prompt = self.query_one(Prompt)
            # Somebody may have typed meanwhile.
            prompt.put("\n".join(filter(None, (left.text, prompt.full_text))))
        elif left.waits_in:
            self.notify(
                f"A question that was not sent waits in “{sanitize_line(left.waits_in)}”: "
                f"{key_name(self, 'chat.open')} leads there.",
                markup=False,
            )

    def show_conversation(self, conversation: Conversation) -> None:
        """Change to another conversation, and to what is typed there."""
        before = Place(self.conversation.record.id)
        super().show_conversation(conversation)
        here = conversation.record.id
        self.drafts.claim(here)
        prompt = self.query_one(Prompt)
        waiting = self.drafts.of(Place(here))
        if waiting:
            self.drafts.note(before, prompt.full_text)
            prompt.put(waiting)
        elif before.conversation_id != here:
            self.drafts.note(before, "")
            self.drafts.note(Place(here), prompt.full_text)
        for turn_id, text in self.drafts.turns(here).items():
            if turn_id in conversation.tree:
                self._edit(conversation.tree[turn_id])
                prompt.put(text)

    def _stop_editing(self) -> None:
        if self._editing is not None:
            self.drafts.note(of_turn(self.conversation.record.id, self._editing.id), "")
        super()._stop_editing()
