"""A screen that can have several answers written to one question, and one of them chosen.

They are siblings from the start: whatever happens, each is a version of the answer. The block of
them is there until one goes on, by a choice, a question or a move; what is looked at in it is
where the conversation stands.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.events import Resize

from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire.protocol import Event, Finished, TextDelta
from urial_tui.errors import ModelError, StoreError
from urial_tui.runtime.memory_plan import PLAN
from urial_tui.tui.chat.answer_start import Start, with_seed
from urial_tui.tui.chat.answering_screen import AnsweringScreen
from urial_tui.tui.chat.rate import Rate
from urial_tui.tui.chat.sample_choice import SampleChoice
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.widgets.prompt import Prompt

SAMPLES = 3
"""Answers that are written side by side."""


class SeveralScreen(AnsweringScreen):
    """Has a key for several answers at once."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+a", "several", "Three answers at once", id="chat.several"),
    ]

    _choice: SampleChoice | None = None
    """The answers that are written or to be chosen from."""
    _older: frozenset[int] = frozenset()
    """The answers that the question had before these."""

    # -- the user -------------------------------------------------------------------

    @work(exclusive=True, group="several")
    async def action_several(self) -> None:
        """Ask what is typed, or the last question again, and have several answers written."""
        marked = self.query_one(Transcript).marked
        text = "" if marked is not None else self.query_one(Prompt).full_text
        turn = self.target()
        if not text.strip() and turn is None:
            return
        if self.refuse_while_busy() or (self.ready and not await self._has_room()):
            return
        if self.refuse_while_busy():
            return
        if self._editing is not None and self._editing.role == "assistant":
            send = key_name(self, "prompt.submit")
            self.notify(f"An answer is being edited; {send} keeps it.", markup=False)
        elif text.strip():
            self.ask_several(text)
        elif turn is not None and turn.id in self.conversation.tree:
            question = turn.id if turn.role == "user" else turn.parent_id
            self._answer_again(question, self._several(SAMPLES))

    def ask_several(self, text: str, samples: int = SAMPLES) -> None:
        """Ask a question, or what was made of the one that is edited, for several answers."""
        start, editing = self._several(samples), self._editing
        if editing is None:
            self._ask(text, start=start)
        else:
            edited = editing.id
            self._ask(
                text,
                lambda text: self.conversation.edit_question(edited, text, self.choice),
                start,
            )

    def _several(self, samples: int) -> Start:
        return Start(with_seed(self.another_sampling(samples)), samples=samples)

    async def _has_room(self) -> bool:
        """Whether there is memory for answers beside each other; the user is told if not."""
        writer = self.engine.writer
        if writer is None:
            return True
        try:
            await asyncio.to_thread(PLAN.widen, writer.model)
        except ModelError as error:
            self.notify(str(error), severity="warning", markup=False)
            return False
        return True

    def when_ready(self) -> None:
        """Look for memory before a question that may have waited is answered several times."""
        if self._waiting is not None and self._waiting.samples > 1:
            self._start_where_room()
        else:
            super().when_ready()

    @work(exclusive=True, group="several")
    async def _start_where_room(self) -> None:
        if not await self._has_room():
            if self._waiting is not None:
                self.give_up_waiting()
        elif self.ready:
            super().when_ready()

    def action_stop(self) -> None:
        """Close the block of answers where nothing else is to be stopped."""
        idle = self._asking is None and self._editing is None
        if idle and self._choice is not None and not self.silent:
            self._close_choice()
        super().action_stop()

    # -- the answers ----------------------------------------------------------------

    async def _answer_leaf(self, start: Start) -> None:
        self._close_choice()
        await super()._answer_leaf(start)

    async def show_path(self) -> None:
        """Show the conversation as it stands now, without a block of answers."""
        self._close_choice()
        await super().show_path()

    def _start_answer(self, start: Start) -> None:
        leaf = self.conversation.leaf
        if start.samples > 1 and self._answer is not None and leaf is not None:
            self._older = frozenset(turn.id for turn in self.conversation.tree.children(leaf.id))
            seeds = [start.sampling.of_sample(number).seed for number in range(start.samples)]
            stop, take, above, below = (
                key_name(self, binding)
                for binding in ("chat.stop", "samples.take", "samples.above", "samples.below")
            )
            self._choice = SampleChoice(
                seeds,
                f"{stop} stops all of them and keeps what is there.",
                f"{above} {below} looks at another; "
                f"{take}, its digit or a question goes on from it.",
            )
            self._answer.mount(self._choice)
        super()._start_answer(start)

    def take_of_answer(self, question: int, event: Event, rate: Rate) -> None:
        """Show an event of one of the answers."""
        super().take_of_answer(question, event, rate)
        choice = self._choice
        if question != self._asking or choice is None:
            return
        if isinstance(event, Finished):
            choice.samples[event.sample].end()

    def write(self, event: TextDelta) -> None:
        """Show what was written in the block, where there is one."""
        choice = self._choice
        if choice is None or choice.settled:
            super().write(event)
        elif event.sample < len(choice.samples):
            choice.samples[event.sample].write(event.text, event.generated)

    async def when_answered(self, answer: TurnRecord | None) -> None:
        """Let the user choose among those that were begun."""
        choice = self._choice
        if choice is None or choice.settled:
            return
        begun = () if answer is None else self.conversation.tree.siblings(answer.id)
        answers = [turn for turn in begun if turn.id not in self._older]
        if answer is None or len(answers) < 2:
            self._close_choice()
            return
        await choice.settle(answers, answer.id)
        prompt = self.query_one(Prompt)
        if prompt.has_focus and not prompt.text and self._editing is None:
            choice.focus(scroll_visible=False)

    @on(SampleChoice.Looked)
    async def look_at(self, event: SampleChoice.Looked) -> None:
        """Show another of the answers whole; the conversation stands there."""
        if self._choice is not None and not self.refuse_while_busy():
            await self._stand(event.answer)

    @on(SampleChoice.Taken)
    async def go_on_from(self, event: SampleChoice.Taken) -> None:
        """Go on from one of the answers: the block is done with."""
        if self._choice is not None and not self.refuse_while_busy():
            self._close_choice()
            await self._stand(event.answer)
            if self.ready:
                self.read_ahead(self.conversation)

    async def _stand(self, answer: TurnRecord) -> None:
        tree = self.conversation.tree
        if tree.leaf is None or tree.leaf.id != answer.id:
            tree.select(answer.id)
        await self.query_one(Transcript).finish(self.conversation.exchanges)
        if answer.timings.used:
            self.show_status(used=answer.timings.used, rate=answer.timings.decode_tokens_per_s)
        try:
            await asyncio.to_thread(self.conversation.keep_place)
        except StoreError as error:
            self.complain(error)

    def on_resize(self, event: Resize) -> None:
        """Higher windows show more of each answer."""
        if self._choice is not None:
            self._choice.fit(event.size.height)

    def _close_choice(self) -> None:
        choice, self._choice = self._choice, None
        if choice is not None:
            if choice.has_focus:
                self.query_one(Prompt).focus()
            choice.remove()
