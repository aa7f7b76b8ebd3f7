"""Several answers to one question: the block in which they stream, and the choice among them.

They are siblings from the start: whatever happens, each is a version of the answer. The block is
there until one goes on, by a choice, a question or a move; what is looked at in it is where the
conversation stands.
"""

from __future__ import annotations

import asyncio

from urial_tui.chat.answer_start import AnswerStart
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire.events import Event, Finished, TextDelta
from urial_tui.errors import ModelError, StoreError
from urial_tui.runtime.memory_plan import PLAN
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.model_loading import ModelLoading
from urial_tui.tui.chat.open_conversation import OpenConversation
from urial_tui.tui.chat.sample_choice import SampleChoice
from urial_tui.tui.frame.keys import shown


class Samples:
    """The answers that are written beside each other, or to be chosen from.

    Args:
        view: Shows them.
        models: What answers.
        here: Where they are written.
    """

    def __init__(self, view: ChatView, models: ModelLoading, here: OpenConversation) -> None:
        self._view = view
        self._models = models
        self._here = here
        self._choice: SampleChoice | None = None
        self._older: frozenset[int] = frozenset()
        """The answers that the question had before these."""

    async def has_room(self) -> bool:
        """Whether there is memory for answers beside each other; the user is told if not."""
        writer = self._models.engine.writer
        if writer is None:
            return True
        try:
            await asyncio.to_thread(PLAN.widen, writer.model)
        except ModelError as error:
            self._view.tell(str(error), severity="warning")
            return False
        return True

    def begin(self, start: AnswerStart) -> None:
        """Show a block where several answers are going to be written."""
        here = self._here
        leaf = here.conversation.leaf
        if start.samples == 1 or here.answer is None or leaf is None:
            return
        self._older = frozenset(turn.id for turn in here.conversation.tree.children(leaf.id))
        seeds = [start.sampling.of_sample(number).seed for number in range(start.samples)]
        stop, take, above, below = map(
            self._view.key, ("chat.stop", "samples.take", "samples.above", "samples.below")
        )
        self._choice = SampleChoice(
            seeds,
            f"{stop} stops all of them and keeps what is there.",
            f"{above} {below} looks at another; {take}, its digit or a question goes on from it.",
            f"{shown('shift+tab')} leads to them; a question goes on from the marked one.",
        )
        here.answer.mount(self._choice)

    def take(self, event: Event) -> bool:
        """Write an event into the block, if it belongs there; whether it does."""
        choice = self._choice
        if choice is None:
            return False
        match event:
            case Finished(sample=sample):
                choice.samples[sample].end()
            case TextDelta(sample=sample) if not choice.settled:
                if sample < len(choice.samples):
                    choice.samples[sample].write(event.text, event.generated)
                return True
        return False

    async def end(self, answer: TurnRecord | None) -> None:
        """Let the user choose among the answers that were begun."""
        choice, here = self._choice, self._here
        if choice is None or choice.settled:
            return
        begun = () if answer is None else here.conversation.tree.siblings(answer.id)
        answers = [turn for turn in begun if turn.id not in self._older]
        if answer is None or len(answers) < 2:
            self.close()
            return
        await choice.settle(answers, answer.id)
        prompt = self._view.prompt
        if prompt.has_focus and not prompt.text and here.asking.edited is None:
            choice.focus(scroll_visible=False)

    async def look_at(self, answer: TurnRecord) -> None:
        """Show another of the answers whole; the conversation stands there."""
        if self._choice is not None and not self._here.refuse_while_busy():
            await self._stand(answer)

    async def go_on_from(self, answer: TurnRecord) -> None:
        """Go on from one of the answers: the block is done with."""
        if self._choice is not None and not self._here.refuse_while_busy():
            self.close()
            await self._stand(answer)
            if self._models.ready:
                self._models.read_ahead(self._here.conversation)

    async def _stand(self, answer: TurnRecord) -> None:
        conversation = self._here.conversation
        if conversation.leaf is None or conversation.leaf.id != answer.id:
            conversation.tree.select(answer.id)
        await self._view.transcript.turns.finish(conversation.exchanges)
        if answer.timings.used:
            self._view.show_status(
                used=answer.timings.used, rate=answer.timings.decode_tokens_per_s
            )
        try:
            await asyncio.to_thread(conversation.keep_place)
        except StoreError as error:
            self._view.complain(error)

    def fit(self, height: int) -> None:
        """Fit the block into a window of so many rows: higher ones show more of each answer."""
        if self._choice is not None:
            self._choice.fit(height)

    def close(self) -> None:
        """Remove the block of answers."""
        choice, self._choice = self._choice, None
        if choice is not None:
            if choice.has_focus:
                self._view.prompt.focus()
            choice.remove()
