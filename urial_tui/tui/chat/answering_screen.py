"""A screen that shows one conversation and has its questions answered.

Whatever asks (a new question, another wording, another answer, one that goes on) first
moves in the conversation's tree, then has the open question answered. While an answer is
being written, nothing moves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.timer import Timer

from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.chat.unsaved import Unsaved
from urial_tui.engine.wire.protocol import (
    Event,
    Finished,
    ModelInfo,
    Notice,
    PromptReady,
    Sampling,
    TextDelta,
    Turn,
    TurnsDropped,
)
from urial_tui.errors import EngineDied, StoreError, UrialError, UsageError
from urial_tui.prompting.preamble import Preamble
from urial_tui.runtime.writer import Writer
from urial_tui.settings import Settings, sampling
from urial_tui.tui.chat.answer_start import Start, by_chance
from urial_tui.tui.chat.chat_engine import ChatEngine
from urial_tui.tui.chat.engine_screen import EngineScreen
from urial_tui.tui.chat.header_line import HeaderLine
from urial_tui.tui.chat.rate import Rate
from urial_tui.tui.chat.status_line import StatusLine
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.chat.turn import AnswerView
from urial_tui.tui.chat.welcome import Welcome
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.widgets.prompt import Prompt, edit_title

COUNT_EVERY = 0.5
"""Seconds between two looks of the status line at an answer that is written."""


class AnsweringScreen(EngineScreen):
    """Has a prompt and a transcript as well.

    Args:
        engine: Loads and answers.
        model: The model's name as the user gave it.
        preamble: What answers are written under.
        store: Where conversations are kept; None keeps nothing.
        settings: Sampling, lengths and the engine's options.
        unsaved: Remembers conversations of which not all could be stored.
        clock: Seconds, monotonic; measures the rate of tokens.
    """

    BINDING_GROUP_TITLE = "Chat"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop the answer, keep its text", id="chat.stop"),
        Binding("f5", "regenerate", "Answer again", id="chat.regenerate"),
        # With priority, for the text area that the prompt is has its own use for these.
        Binding("f6", "typed('edit')", "Edit the question", priority=True, id="chat.edit"),
        Binding("f7", "typed('go_on')", "Go on with the answer", priority=True, id="chat.go_on"),
        Binding("alt+left", "sibling(-1)", "Other version before", id="chat.version_before"),
        Binding("alt+right", "sibling(1)", "Other version after", id="chat.version_after"),
        Binding("alt+u", "undo", "Undo", id="chat.undo"),
    ]

    def __init__(
        self,
        engine: ChatEngine,
        *,
        model: str,
        preamble: Preamble,
        store: Store | None,
        settings: Settings,
        unsaved: Unsaved,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(engine, model=model, preamble=preamble, settings=settings, clock=clock)
        self.conversation = Conversation.new(store)
        self.store = store
        self._unsaved = unsaved
        self._rate_clock = clock
        self._info: ModelInfo | None = None
        self._asking: int | None = None
        """The question that is being answered or waits; 0 while it is being stored."""
        self._waiting: Start | None = None
        """How the answer starts whose question waits for the engine."""
        self._answer: AnswerView | None = None
        self._doing = "writing"
        """What to say while the answer is written."""
        self._read = 0
        """Tokens in the context when the answer started."""
        self._growth: tuple[int, int, float] | None = None
        """The question whose answer grew, its tokens and their rate, where that was not told."""
        self._counting: Timer | None = None
        self._editing: TurnRecord | None = None
        """The turn whose text is in the prompt."""
        self._warned = False
        """Whether the user knows that the oldest turns are about to leave the context."""

    # -- asking ---------------------------------------------------------------------

    def action_typed(self, action: str) -> None:
        """Do something once what was typed is in the prompt: a priority key overtakes it."""
        self.query_one(Prompt).call_later(self.run_action, action)

    @on(Prompt.Submitted)
    def submit(self, event: Prompt.Submitted) -> None:
        """Ask what is in the prompt, or keep what was edited there."""
        if self._editing is None:
            self._ask(event.text)
        elif self._editing.role == "user":
            edited = self._editing.id
            self._ask(
                event.text,
                lambda text: self.conversation.edit_question(edited, text, self.choice),
            )
        else:
            self._keep_answer(event.text)

    @on(Welcome.Chosen)
    def submit_example(self, event: Welcome.Chosen) -> None:
        """Ask an example question."""
        self.query_one(Prompt).focus()
        self._ask(event.text)

    @property
    def answering(self) -> bool:
        """Whether the engine answers; False while a question waits for it."""
        return self._asking is not None and self._waiting is None

    def refuse_while_busy(self) -> bool:
        """Whether an answer is being written or waits; the user is told so."""
        if self._asking is not None:
            stop = key_name(self, "chat.stop")
            self.notify(f"One answer at a time; {stop} stops this one.", markup=False)
        return self._asking is not None

    def _ask(
        self,
        text: str,
        add: Callable[[str], TurnRecord] | None = None,
        start: Start | None = None,
    ) -> None:
        if not self.refuse_while_busy():
            self._asking = 0
            start = start or Start(sampling(self.settings))
            self._store_question(text, add or self._add_question, start)

    def _add_question(self, text: str) -> TurnRecord:
        return self.conversation.add_question(text, self.choice)

    @work(exclusive=True, group="ask")
    async def _store_question(
        self, text: str, add: Callable[[str], TurnRecord], start: Start
    ) -> None:
        """Store the question, show it, and have it answered as soon as the engine is ready."""
        conversation = self.conversation
        try:
            question = await asyncio.to_thread(add, text)
        except (StoreError, UsageError) as error:
            self._asking = None
            self.complain(error)
            return
        if conversation is not self.conversation:
            return
        prompt = self.query_one(Prompt)
        if self._editing is None:
            prompt.take(text)
        self._stop_editing()
        prompt.earlier = [question.text, *(old for old in prompt.earlier if old != question.text)]
        self.query_one(HeaderLine).title_text = conversation.record.title
        await self._answer_leaf(start)

    async def _answer_leaf(self, start: Start) -> None:
        """Show the path, which ends with a question, and have that answered."""
        leaf = self.conversation.leaf
        assert leaf is not None
        self._asking = leaf.id
        self._show_transcript(True)
        self._answer = await self.query_one(Transcript).show(self.conversation.exchanges)
        if self.ready:
            self.settle_trouble()
            self._start_answer(start)
        else:
            self._waiting = start
            if self._answer is not None:
                self._answer.say("waits for the model")

    def _start_answer(self, start: Start) -> None:
        self._waiting = None
        self._doing = start.doing
        self.show_status(state="reading")
        assert self._asking is not None
        self._write_answer(self._asking, self.conversation, start)

    @work(group="engine")
    async def _write_answer(self, question: int, conversation: Conversation, start: Start) -> None:
        """Have a question answered; its conversation may be left meanwhile."""
        rate = Rate(self._rate_clock)
        try:
            async with aclosing(
                self.engine.answer(
                    conversation,
                    self.preamble,
                    start,
                    self.settings.chat.max_tokens,
                    watched=lambda side: self.start_reading(question, side),
                    told=lambda text: self.take(Notice(id=0, message=text)),
                )
            ) as events:
                async for event in events:
                    if self.has_widgets:
                        self.take_of_answer(question, event, rate)
        except UrialError as error:
            self.show_trouble(error, needs_reload=isinstance(error, EngineDied))
        finally:
            self._unsaved.note(conversation)
        if not self.has_widgets:
            return
        leaf = conversation.leaf
        answer = leaf if leaf is not None and leaf.role == "assistant" else None
        await self.show_end(question, answer)
        if answer is not None:
            self.read_ahead(conversation)

    @work(group="engine")
    async def read_ahead(self, conversation: Conversation) -> None:
        """Have a conversation read, so that only its next question is left to read."""
        try:
            await self.engine.read_ahead(conversation, self.preamble)
        except UrialError as error:
            self.show_trouble(error, needs_reload=isinstance(error, EngineDied))

    def action_stop(self) -> None:
        """Stop the answer that is written or waits; what is written stays.

        An error that was told has been read.
        """
        self.settle_trouble()
        if self.silent and not self.answering:
            self.show_status(state="stopping")
            self.engine.interrupt()
        elif self._waiting is not None:
            self.give_up_waiting()
        elif self._asking is not None:
            self.show_status(state="stopping")
            self.engine.stop()
        elif self._editing is not None:
            self._stop_editing()
        else:
            self.query_one(Prompt).focus()

    def give_up_waiting(self) -> None:
        """Leave the question unanswered that waits."""
        self._waiting = None
        view, self._answer, self._asking = self._answer, None, None
        if view is not None:
            view.say("■ not answered")

    # -- the tree -------------------------------------------------------------------

    def target(self) -> TurnRecord | None:
        """The turn that keys act on: the marked one, else the newest."""
        marked = self.query_one(Transcript).marked
        if marked is None:
            return self.conversation.leaf
        turn_id = marked.turn_id
        return None if turn_id is None else self.conversation.tree[turn_id]

    def action_regenerate(self) -> None:
        """Answer a question again; the answer that is there stays beside the new one."""
        turn = self.target()
        if turn is None or self.refuse_while_busy():
            return
        question = turn.id if turn.role == "user" else turn.parent_id
        again = bool(self.conversation.tree.children(question))
        chosen = self.another_sampling() if again else sampling(self.settings)
        self._answer_again(question, Start(chosen))

    def another_sampling(self, samples: int = 1) -> Sampling:
        """How another answer is chosen, or several are: by chance, for greedy ones are the same."""
        chosen, why = by_chance(sampling(self.settings), samples)
        if why:
            self.notify(why, markup=False)
        return chosen

    def action_go_on(self) -> None:
        """Go on with an answer from where it ends, in a new one beside it."""
        if self._editing is not None and self._editing.role == "assistant":
            self._keep_answer(self.query_one(Prompt).full_text, go_on=True)
            return
        turn = self.target()
        if turn is None or self.refuse_while_busy():
            return
        if turn.role == "user":
            self.notify("There is no answer here to go on with.", markup=False)
            return
        start = Start(sampling(self.settings), self._continuation(turn.id))
        self._answer_again(turn.parent_id, start)

    def _continuation(self, turn_id: int) -> Turn:
        return self.conversation.continuation(turn_id, self._info, self.preamble)

    @work(exclusive=True, group="ask")
    async def _answer_again(self, question_id: int | None, start: Start) -> None:
        self.conversation.tree.stand_at(question_id)
        await self._answer_leaf(start)

    def action_edit(self) -> None:
        """Put the text of a question or an answer into the prompt."""
        if self.refuse_while_busy():
            return
        turn = self.target()
        if turn is not None and self.query_one(Transcript).marked is None:
            turn = self.conversation.exchanges[-1].question
        if turn is None:
            self.notify("There is nothing to edit yet.", markup=False)
            return
        self._edit(turn)

    def _edit(self, turn: TurnRecord) -> None:
        self._editing = turn
        self.query_one(Prompt).start_edit(turn.text, edit_title(self, turn.role))

    @work(exclusive=True, group="ask")
    async def _keep_answer(self, text: str, *, go_on: bool = False) -> None:
        editing = self._editing
        if editing is None or self.refuse_while_busy():
            return
        try:
            kept = await asyncio.to_thread(self.conversation.edit_answer, editing.id, text)
        except (StoreError, UsageError) as error:
            self.complain(error)
            return
        self._stop_editing()
        if go_on:
            prefix = self._continuation(kept.id)
            self.conversation.tree.stand_at(kept.parent_id)
            await self._answer_leaf(Start(sampling(self.settings), prefix))
        else:
            await self.show_path()

    def _stop_editing(self) -> None:
        if self._editing is not None:
            self._editing = None
            self.query_one(Prompt).end_edit()

    def action_sibling(self, direction: int) -> None:
        """Go to another version of an answer, or else of its question."""
        tree, turn = self.conversation.tree, self.target()
        if turn is None or self.refuse_while_busy():
            return
        marked = self.query_one(Transcript).marked is not None
        if len(tree.siblings(turn.id)) == 1 and not marked and turn.parent_id is not None:
            turn = tree[turn.parent_id]
        if tree.step(turn.id, direction):
            self._show_move(tree.siblings(turn.id))
        elif len(tree.siblings(turn.id)) == 1:
            self.notify("There is only this version.", markup=False)

    def action_undo(self) -> None:
        """Go back to where the conversation stood before; what was written since stays."""
        tree = self.conversation.tree
        if self.refuse_while_busy():
            return
        if not tree.can_undo:
            self.notify("There is nothing to undo.", markup=False)
            return
        tree.undo()
        self._show_move(())

    @work(exclusive=True, group="show")
    async def _show_move(self, versions: tuple[TurnRecord, ...]) -> None:
        if self.ready:
            self.settle_trouble()
        await self.show_path()
        shown = {turn.id for turn in self.conversation.path}
        self.query_one(Transcript).mark_turn(
            next((turn.id for turn in versions if turn.id in shown), None)
        )

    async def show_path(self) -> None:
        """Show the conversation as it stands now."""
        exchanges = self.conversation.exchanges
        self._show_transcript(bool(exchanges))
        view = await self.query_one(Transcript).show(exchanges)
        if view is not None and view.turn_id is None:
            view.say("■ not answered")
        last = self.conversation.leaf
        used = last.timings.used if last is not None and last.model == self.model else 0
        status = self.query_one(StatusLine).status
        self.show_status(used=used or status.preamble_tokens, rate=0.0)

    def _show_transcript(self, show: bool) -> None:
        self.query_one(Transcript).display = show
        self.query_one(Welcome).display = not show

    # -- the engine -----------------------------------------------------------------

    def show_model(self, writer: Writer) -> None:
        """What is written from now on was written by this model."""
        super().show_model(writer)
        self._info = writer.model.info
        self.query_one(Welcome).model = f"{writer.choice.model} ({self._info.description})"

    def when_ready(self) -> None:
        """Answer the question that may have waited."""
        if self._waiting is not None:
            if self._answer is not None:
                self._answer.say("")
            self._start_answer(self._waiting)

    def take_of_answer(self, question: int, event: Event, rate: Rate) -> None:
        """Show an event of the answer to a question, if that is still looked at."""
        match event:
            case TextDelta():
                grown = rate.after(event)
                if question == self._asking and self._answer is not None:
                    self.write(event)
                    self._growth = question, event.generated, grown
                    if self._counting is None:
                        self._count()
            case PromptReady():
                if question == self._asking:
                    self._read = event.used
                    self.show_status(
                        used=event.used, state=self._doing, rate=0.0, reused=event.reused
                    )
            case TurnsDropped(turns=turns):
                if question == self._asking:
                    self._tell_left(turns)
            case Finished(sample=0, room=room):
                if question == self._asking:
                    self._warn_of_full_context(room)
            case _:
                self.take(event)

    def start_reading(self, question: int, side: str) -> None:
        """The answer to a question is read along from its start; `side`: by what, in words."""

    def write(self, event: TextDelta) -> None:
        """Show what was written."""
        if self._answer is not None:
            self._answer.write(event.text)

    def _count(self) -> None:
        """Tell how much is written, and not again before `COUNT_EVERY`."""
        growth, self._growth, self._counting = self._growth, None, None
        if growth is not None and growth[0] == self._asking:
            _, generated, rate = growth
            self.show_status(used=self._read + generated, rate=rate)
            self._counting = self.set_timer(COUNT_EVERY, self._count)

    async def show_end(self, question: int, answer: TurnRecord | None) -> None:
        """The answer to a question is over, whatever ended it; None when it never started."""
        if question != self._asking:
            return
        self._answer, self._asking = None, None
        await self.query_one(Transcript).finish(self.conversation.exchanges)
        if answer is not None and answer.timings.used:
            self.show_status(used=answer.timings.used, rate=answer.timings.decode_tokens_per_s)
        self._give_back_refused(answer)
        await self.when_answered(answer)
        if self.ready:
            stopped = answer is not None and answer.stop_reason == "cancelled"
            self.show_status(state="stopped" if stopped else "ready")

    async def when_answered(self, answer: TurnRecord | None) -> None:
        """What a screen does once an answer is shown to its end; None: it never started."""

    def _give_back_refused(self, answer: TurnRecord | None) -> None:
        """A question that the engine refused comes back into the prompt, to be changed."""
        refused = answer is not None and answer.stop_reason == "failed" and not answer.text
        if refused and not self.query_one(Prompt).text:
            self._edit(self.conversation.exchanges[-1].question)

    def _tell_left(self, turns: int) -> None:
        """The oldest turns are out of the context; the place is marked when the answer ends."""
        what = "turn" if turns == 1 else f"{turns} turns"
        self.notify(f"The context is full: the oldest {what} left it.", markup=False)

    def _warn_of_full_context(self, room: int) -> None:
        """Say so once when turns are about to leave: when one like the last has no room."""
        exchanges = self.conversation.exchanges
        if len(exchanges) < 2:
            return
        full = room < exchanges[-1].tokens
        if full and not self._warned:
            self.notify(
                "The context is nearly full: with one of the next questions the oldest turns "
                "leave it. They stay in the transcript.",
                severity="warning",
                markup=False,
            )
        self._warned = full

    # -- another conversation -------------------------------------------------------

    def show_conversation(self, conversation: Conversation) -> None:
        """Change to another conversation."""
        if self.answering:
            self.engine.stop()
        self._asking, self._waiting, self._answer = None, None, None
        self._warned = False
        self._stop_editing()
        self.conversation = conversation
        self.query_one(HeaderLine).title_text = conversation.record.title
        if self.ready:
            self.settle_trouble()
            self.show_status(state="ready")
        self._show_other()
        self._save()
        self.query_one(Prompt).focus()

    @work(group="save")
    async def _save(self) -> None:
        """Try again to store answers that could not be stored."""
        try:
            await asyncio.to_thread(self._unsaved.save)
        except StoreError as error:
            self.show_trouble(error, needs_reload=False)

    @work(exclusive=True, group="show")
    async def _show_other(self) -> None:
        await self.show_path()
