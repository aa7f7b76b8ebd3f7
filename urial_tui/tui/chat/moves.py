"""Navigation in a conversation's tree: to other versions of a turn, and undo."""

from __future__ import annotations

import asyncio

from textual.worker import Worker, WorkerError

from urial_tui.chat.turns import TurnRecord
from urial_tui.errors import StoreError
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.model_loading import ModelLoading
from urial_tui.tui.chat.open_conversation import OpenConversation
from urial_tui.tui.chat.samples import Samples


class Moves:
    """Moves, shows the path, and stores the place. While an answer is written nothing moves.

    Args:
        view: Shows the conversation.
        models: What is in use.
        here: What is moved in.
        samples: Ends with every move.
    """

    def __init__(
        self, view: ChatView, models: ModelLoading, here: OpenConversation, samples: Samples
    ) -> None:
        self._view = view
        self._models = models
        self._here = here
        self._samples = samples

    def sibling(self, direction: int) -> None:
        """Go to another version of an answer, or else of its question."""
        tree, turn = self._here.conversation.tree, self._here.target()
        if turn is None or self._here.refuse_while_busy():
            return
        marked = self._view.transcript.marked is not None
        if len(tree.siblings(turn.id)) == 1 and not marked and turn.parent_id is not None:
            turn = tree[turn.parent_id]
        if tree.step(turn.id, direction):
            self._view.work_alone("show", self._show_move, tree.siblings(turn.id))
        elif len(tree.siblings(turn.id)) == 1:
            self._view.tell("There is only this version.")

    def undo(self) -> None:
        """Go back to where the conversation stood before; what was written since stays."""
        tree = self._here.conversation.tree
        if self._here.refuse_while_busy():
            return
        if not tree.can_undo:
            self._view.tell("There is nothing to undo.")
            return
        tree.undo()
        self._view.work_alone("show", self._show_move, ())

    async def go_to(self, turn_id: int) -> None:
        """Show a turn, and let the keys act on it."""
        if self._here.asking.busy:
            return
        self._here.conversation.tree.lead_through(turn_id)
        try:
            await self.show().wait()
        except WorkerError:
            # Something else is shown by now.
            return
        transcript = self._view.transcript
        self._view.screen.set_focus(transcript, scroll_visible=False)
        # Having the focus marks a turn; this one comes after that.
        transcript.call_later(transcript.reveal, turn_id)

    async def _show_move(self, versions: tuple[TurnRecord, ...]) -> None:
        if self._models.ready:
            self._view.settle_trouble()
        await self.show_path()
        shown = {turn.id for turn in self._here.conversation.path}
        self._view.transcript.mark.go_to(
            next((turn.id for turn in versions if turn.id in shown), None)
        )

    def show(self) -> Worker[None]:
        """Show the conversation as it stands now, in the background."""
        return self._view.work_alone("show", self.show_path)

    async def show_path(self) -> None:
        """Show the conversation as it stands now, and remember where that is."""
        self._samples.close()
        conversation = self._here.conversation
        exchanges = conversation.exchanges
        self._view.show_transcript(bool(exchanges))
        view = await self._view.transcript.show(exchanges)
        if view is not None and view.turn_id is None:
            view.say("■ not answered")
        last, model = conversation.leaf, self._models.choice.model
        used = last.timings.used if last is not None and last.model == model else 0
        self._view.show_status(used=used or self._view.status.preamble_tokens, rate=0.0)
        conversation = self._here.conversation
        if not conversation.tree.can_undo:
            return
        try:
            await asyncio.to_thread(conversation.keep_place)
        except StoreError as error:
            self._view.complain(error)
