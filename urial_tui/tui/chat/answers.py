"""Answering questions in background tasks, and streaming the answers into the transcript.

The conversation may be left meanwhile: an answer belongs to its question, and what is not looked
at is not shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from textual.timer import Timer

from urial_tui.chat.answer_start import AnswerStart
from urial_tui.chat.session import Conversation
from urial_tui.chat.turns import TurnRecord
from urial_tui.chat.unsaved import Unsaved
from urial_tui.engine.wire.events import (
    Event,
    Finished,
    Notice,
    PromptReady,
    Shifts,
    TextDelta,
    TurnsDropped,
)
from urial_tui.errors import UrialError
from urial_tui.models.speed import remember_answer
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.model_loading import ModelLoading
from urial_tui.tui.chat.open_conversation import OpenConversation
from urial_tui.tui.chat.rate import Rate
from urial_tui.tui.chat.samples import Samples
from urial_tui.tui.chat.xray import Xray

COUNT_EVERY = 0.5
"""Seconds between two looks of the status line at an answer that is written."""

_TELLS = 32
"""Tokens of an answer by which the model's speed is told."""


class Answers:
    """Runs the engine's answers as background tasks, and streams them into the transcript.

    Args:
        view: Shows them.
        models: What answers.
        here: What is looked at.
        samples: Shows several answers to one question.
        xray: Is told what a second side says.
        unsaved: Remembers conversations of which not all could be stored.
        clock: Seconds, monotonic; measures the rate of tokens.
    """

    def __init__(
        self,
        view: ChatView,
        models: ModelLoading,
        here: OpenConversation,
        samples: Samples,
        xray: Xray,
        *,
        unsaved: Unsaved,
        clock: Callable[[], float],
    ) -> None:
        self._view = view
        self._models = models
        self._here = here
        self._samples = samples
        self._xray = xray
        self._unsaved = unsaved
        self._clock = clock
        self._doing = "writing"
        """What to say while the answer is written."""
        self._read = 0
        """Tokens in the context when the answer started."""
        self._growth: tuple[int, int, float] | None = None
        """The question whose answer grew, its tokens and their rate, where that was not told."""
        self._counting: Timer | None = None
        self._warned = False
        """Whether the user knows that the oldest turns are about to leave the context."""

    # -- its start ------------------------------------------------------------------

    async def answer_leaf(self, start: AnswerStart) -> None:
        """Show the path, which ends with a question, and start to answer that."""
        here, choice = self._here, self._models.choice
        self._view.transcript.turns.writer = (choice.model, choice.preamble.name)
        self._samples.close()
        leaf = here.conversation.leaf
        assert leaf is not None
        here.asking.answer(leaf.id, start)
        self._view.show_transcript(True)
        here.answer = await self._view.transcript.show(here.conversation.exchanges)
        if self._models.ready:
            self._view.settle_trouble()
            self._begin(leaf.id, start)
        else:
            here.asking.wait()
            if here.answer is not None:
                here.answer.say("waits for the model")

    def go_on(self) -> None:
        """Answer the question that may have waited for the model, behind the second side."""
        self._xray.come_again()
        waiting = self._here.asking.waiting
        if waiting is not None and waiting.start.samples > 1:
            self._view.work_alone("several", self._go_on_where_room)
        else:
            self._go_on()

    async def _go_on_where_room(self) -> None:
        if not await self._samples.has_room():
            if self._here.asking.waiting is not None:
                self.give_up()
        elif self._models.ready:
            self._go_on()

    def _go_on(self) -> None:
        waiting = self._here.asking.waiting
        if waiting is not None:
            if self._here.answer is not None:
                self._here.answer.say("")
            self._begin(waiting.question, waiting.start)

    def give_up(self) -> None:
        """Cancel the question that waits for the model."""
        view, self._here.answer = self._here.answer, None
        self._here.asking.end()
        if view is not None:
            view.say("■ not answered")

    def _begin(self, question: int, start: AnswerStart) -> None:
        self._samples.begin(start)
        self._here.asking.answer(question, start)
        self._doing = start.doing
        self._view.show_status(state="reading")
        self._view.work("engine", self._write, question, self._here.conversation, start)

    async def _write(self, question: int, conversation: Conversation, start: AnswerStart) -> None:
        """The background task: answer a question, whose conversation may be left meanwhile."""
        models, rate = self._models, Rate(self._clock)
        alone = start.samples == 1

        def begin_reading(side: str) -> None:
            nonlocal alone
            alone = False
            self._xray.begin(question, side)

        try:
            async with aclosing(
                models.engine.answer(
                    conversation,
                    models.preamble,
                    start,
                    models.settings().chat.max_tokens,
                    watched=begin_reading,
                    told=lambda text: models.take(Notice(id=0, message=text)),
                )
            ) as events:
                async for event in events:
                    if self._view.alive:
                        self._take(question, event, rate)
        except UrialError as error:
            models.fail(error)
        finally:
            self._unsaved.note(conversation)
        if not self._view.alive:
            return
        leaf = conversation.leaf
        answer = leaf if leaf is not None and leaf.role == "assistant" else None
        self._xray.end(question, answer)
        if question == self._here.asking.question:
            await self._show_end(answer)
        if answer is not None:
            models.read_ahead(conversation)
            if alone:
                self._keep_speed(answer)

    def _keep_speed(self, answer: TurnRecord) -> None:
        """Keep how fast the model alone wrote an answer, if that was long enough to tell."""
        info = self._models.info
        if info is None or info.adapter is not None or answer.generated < _TELLS:
            return
        path, options = Path(info.path), self._models.engine.loaded_with
        rate = answer.timings.decode_tokens_per_s
        self._view.work("speed", asyncio.to_thread, remember_answer, path, options, rate)

    # -- what is written ------------------------------------------------------------

    def _take(self, question: int, event: Event, rate: Rate) -> None:
        """Show an event of the answer to a question, if that is still looked at."""
        looked_at = question == self._here.asking.question
        match event:
            case Shifts():
                self._xray.take(question, event)
            case TextDelta():
                grown = rate.after(event)
                if looked_at and self._here.answer is not None:
                    if not self._samples.take(event):
                        self._here.answer.write(event.text)
                    self._growth = question, event.generated, grown
                    if self._counting is None:
                        self._count()
            case PromptReady():
                if looked_at:
                    self._read = event.used
                    self._view.show_status(
                        used=event.used, state=self._doing, rate=0.0, reused=event.reused
                    )
            case TurnsDropped(turns=turns):
                if looked_at:
                    self._tell_left(turns)
            case Finished(sample=sample, room=room):
                if looked_at:
                    if sample == 0:
                        self._warn_of_full_context(room)
                    self._samples.take(event)
            case _:
                self._models.take(event)

    def _count(self) -> None:
        """Update the status line with how much is written, throttled to `COUNT_EVERY`."""
        growth, self._growth, self._counting = self._growth, None, None
        if growth is not None and growth[0] == self._here.asking.question:
            _, generated, rate = growth
            self._view.show_status(used=self._read + generated, rate=rate)
            self._counting = self._view.screen.set_timer(COUNT_EVERY, self._count)

    async def _show_end(self, answer: TurnRecord | None) -> None:
        """The answer is over, whatever ended it; None when it never started."""
        here = self._here
        here.answer = None
        here.asking.end()
        await self._view.transcript.turns.finish(here.conversation.exchanges)
        if answer is not None and answer.timings.used:
            self._view.show_status(
                used=answer.timings.used, rate=answer.timings.decode_tokens_per_s
            )
        self._give_back_refused(answer)
        await self._samples.end(answer)
        if self._models.ready:
            stopped = answer is not None and answer.stop_reason == "cancelled"
            self._view.show_status(state="stopped" if stopped else "ready")

    def _give_back_refused(self, answer: TurnRecord | None) -> None:
        """A question that the engine refused comes back into the prompt, to be changed."""
        refused = answer is not None and answer.stop_reason == "failed" and not answer.text
        if refused and not self._view.prompt.text:
            self._here.edit(self._here.conversation.exchanges[-1].question)

    def _tell_left(self, turns: int) -> None:
        """The oldest turns are out of the context; the place is marked when the answer ends."""
        what = "turn" if turns == 1 else f"{turns} turns"
        self._view.tell(f"The context is full: the oldest {what} left it.")

    def _warn_of_full_context(self, room: int) -> None:
        """Say so once when turns are about to leave: when one like the last has no room."""
        exchanges = self._here.conversation.exchanges
        if len(exchanges) < 2:
            return
        full = room < exchanges[-1].tokens
        if full and not self._warned:
            self._view.tell(
                "The context is nearly full: with one of the next questions the oldest turns "
                "leave it. They stay in the transcript.",
                severity="warning",
            )
        self._warned = full

    def leave(self) -> None:
        """Stop what is answered here: another conversation is looked at from now on."""
        if self._here.asking.answering:
            self._models.engine.stop()
        self._here.answer = None
        self._warned = False
