"""A conversation: a tree of turns, and what has the open question answered.

A question is stored before its answer starts; an answer is stored as it grows and keeps
what was written, whatever ends it. Several answers that are written side by side are
siblings, in the order of their numbers, and one stands at the first. What the model wrote
and what the user typed is kept as token ids, so a later request puts the very same tokens
into the context; where another model or another format is in use, the text stands in.

Nothing here knows a screen: an answer is its events, and the caller shows them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from urial_tui.chat.answering import AnswerStream
from urial_tui.chat.growing import GrowingAnswer
from urial_tui.chat.shown import continuation, ids_key, in_format, without_format
from urial_tui.chat.store import Store
from urial_tui.chat.tree import Exchange, TurnTree
from urial_tui.chat.turns import (
    ConversationRecord,
    TurnRecord,
    damage_of,
    new_id,
    plain,
    title_of,
)
from urial_tui.engine.wire.values import ModelInfo, Sampling, Turn, Watch
from urial_tui.errors import StoreError, UsageError
from urial_tui.prompting.conversation import Exchanged, closed_turn, render_in_format
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.render import close_text
from urial_tui.prompting.rules import ruled
from urial_tui.prompting.stops import stop_rules
from urial_tui.runtime.writer import Writer, WriterChoice


class Conversation:
    """A tree of turns that is stored as it grows.

    The tree belongs to one thread, or to an event loop; any may store.

    Args:
        record: Its head; stored with the first question.
        store: Where turns go; None keeps them in memory only.
        turns: What it starts with, parents first.
        clock: Seconds, monotonic; spaces the writes of a growing answer.
    """

    def __init__(
        self,
        record: ConversationRecord,
        store: Store | None,
        turns: Iterable[TurnRecord] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.record = record
        self.store = store
        self.store_error: StoreError | None = None
        """Why the end of the last answer is not on the disk; None when all is stored."""
        self.damage = ""
        """What is to be said of how it was read from the database; mostly nothing."""
        self.tree = TurnTree(turns, record.leaf)
        self._clock = clock
        self._unsaved: dict[int, TurnRecord] = {}
        self._unlearnt: dict[int, tuple[tuple[int, ...], str]] = {}
        """Questions, by their ids, whose tokens and key are not on the disk."""
        self._saving = threading.Lock()
        self._noting = threading.Lock()
        """Held for what is noted while something is written; never while that is."""

    @classmethod
    def new(
        cls,
        store: Store | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> Conversation:
        """An empty conversation; it reaches the store with its first question."""
        now = time.time()
        record = ConversationRecord(
            id=new_id(), title="", created=now, updated=now, model="", preamble=""
        )
        return cls(record, store, clock=clock)

    @classmethod
    def open(
        cls,
        store: Store,
        conversation_id: int,
        through: int | None = None,
    ) -> Conversation:
        """A stored conversation where one stood last.

        With `through` the path leads through that turn; undoing goes back to where one stood.

        Raises:
            StoreError: It is not there, or the database can't be read.
        """
        record = store.conversation(conversation_id)
        found = store.placed_turns(conversation_id)
        conversation = cls(record, store, found.turns)
        conversation.damage = damage_of(found.displaced)
        if through is not None:
            conversation.tree.lead_through(through)
        return conversation

    @property
    def leaf(self) -> TurnRecord | None:
        """The turn that the next one follows."""
        return self.tree.leaf

    @property
    def path(self) -> tuple[TurnRecord, ...]:
        """The turns from the root to the leaf."""
        return self.tree.path

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The path as questions with their answers, oldest first."""
        return self.tree.exchanges

    @property
    def dropped(self) -> int:
        """How many of the path's oldest exchanges are no longer shown to the model."""
        return sum(not exchange.in_context for exchange in self.exchanges)

    def keep_place(self) -> None:
        """Store where one stands, for the next time it is opened.

        Raises:
            StoreError: It could not be stored.
        """
        if self.store is not None and self.leaf is not None:
            self.store.stand_at(self.record.id, self.leaf.id)

    # -- asking ---------------------------------------------------------------------

    def ask(
        self,
        writer: Writer,
        text: str,
        *,
        sampling: Sampling | None = None,
        max_tokens: int = 512,
    ) -> AnswerStream:
        """Add a question behind the leaf and answer it: `add_question`, then `answer`."""
        self.add_question(text, writer.choice)
        return self.answer(writer, sampling=sampling, max_tokens=max_tokens)

    def add_question(self, text: str, asked: WriterChoice) -> TurnRecord:
        """Store what the user typed behind the leaf; it becomes the leaf.

        Blank lines around the text, white space at its end and carriage returns go. `asked` is
        what it is put to.

        Raises:
            UsageError: There is no text.
            StoreError: It could not be stored; the conversation is as it was before.
        """
        leaf = self.leaf
        return self._add_question(text, asked, None if leaf is None else leaf.id)

    def edit_question(self, turn_id: int, text: str, asked: WriterChoice) -> TurnRecord:
        """Store another wording of a question beside it; it becomes the leaf.

        Raises:
            UsageError: There is no text.
            StoreError: It could not be stored; the conversation is as it was before.
        """
        return self._add_question(text, asked, self.tree[turn_id].parent_id)

    def _add_question(self, text: str, asked: WriterChoice, parent_id: int | None) -> TurnRecord:
        text = plain(text)
        if not text:
            raise UsageError("The question is empty.", "Type something first.")
        now = time.time()
        record = msgspec.structs.replace(
            self.record,
            title=self.record.title or title_of(text),
            updated=now,
            model=asked.model,
            preamble=asked.preamble.name,
        )
        turn = TurnRecord(
            id=new_id(after=parent_id or 0),
            conversation_id=record.id,
            parent_id=parent_id,
            role="user",
            text=text,
            created=now,
            model=asked.model,
            preamble=asked.preamble.name,
        )
        if self.store is not None:
            self.save_rest()
            self.store.add_question(record, turn)
        self.record = record
        self.tree.stand_at(parent_id)
        self.tree.put(turn)
        return turn

    def edit_answer(self, turn_id: int, text: str) -> TurnRecord:
        """Store another wording of an answer beside it; it becomes the leaf.

        Raises:
            UsageError: There is no text.
            StoreError: It could not be stored; the conversation is as it was before.
        """
        text = plain(text)
        if not text:
            raise UsageError("The answer is empty.", "Type how it starts.")
        old = self.tree[turn_id]
        turn = TurnRecord(
            id=new_id(after=turn_id),
            conversation_id=old.conversation_id,
            parent_id=old.parent_id,
            role="assistant",
            text=text,
            created=time.time(),
            stop_reason="edited",
            model=old.model,
            preamble=old.preamble,
            context_from=old.context_from,
            examples=old.examples,
        )
        if self.store is not None:
            self.save_rest()
            self.store.save_answer(turn)
        self.tree.stand_at(old.parent_id)
        self.tree.put(turn)
        return turn

    def continuation(self, turn_id: int, info: ModelInfo | None, preamble: Preamble) -> Turn:
        """An answer as it stands, as the `prefix` of one that goes on from there."""
        return continuation(self.tree[turn_id], preamble, ids_key(info, preamble))

    def answer(
        self,
        writer: Writer,
        *,
        sampling: Sampling | None = None,
        max_tokens: int = 512,
        prefix: Turn = (),
        watch: Watch | None = None,
        samples: int = 1,
        examples: Sequence[Example] | None = None,
    ) -> AnswerStream:
        """Answer the path's last question; where it has an answer, make a sibling of that.

        The events are the engine's. Whatever ends it, the text so far stays, in a turn that is the
        leaf from then on. With a `prefix` the answer starts with these tokens and goes on from
        there; `max_tokens` counts the new ones. `watch`: what another model is shown that reads
        the answer along (made from `exchanged`). Several answers (`samples`) have a Finished each;
        what was not begun when they were ended is not kept. `examples`: those that were retrieved
        for `open_question`, where the preamble wants some.

        Raises:
            UsageError: There is no question, or there are no examples and it wants some.
            EngineDied: By the answer: the engine died; what was written is kept with stop reason
                "died".
            EngineError: Likewise: the engine refused; kept with stop reason "failed".
            StoreError: Likewise: it is complete (`Finished` came) but not on the disk.
        """
        question = self.open_question
        preamble = writer.preamble
        key = ids_key(writer.model.info, preamble)
        exchanges = self._context_of(question, key)
        past = [in_format(one, preamble, key) for one in exchanges]
        shown = render_in_format(preamble, past, examples)
        close = close_text(preamble)
        drawn = ruled(sampling or Sampling(), preamble)
        call = writer.model.generate(
            preamble=shown.preamble,
            turns=shown.turns,
            lead=shown.lead,
            sampling=drawn,
            stops=stop_rules(preamble),
            close=close,
            max_tokens=max_tokens,
            prefix=prefix,
            watch=watch,
            samples=samples,
        )
        partials = [
            TurnRecord(
                id=new_id(after=question.id),
                conversation_id=self.record.id,
                parent_id=question.id,
                role="assistant",
                text="",
                created=time.time(),
                ids=(),
                ids_key=key,
                tail=close,
                model=writer.choice.model,
                preamble=preamble.name,
                context_from=exchanges[0].question.id if self._left_out(exchanges) else None,
                sampling=drawn.of_sample(number),
                examples=None if examples is None else tuple(examples),
            )
            for number in range(samples)
        ]
        answers = [GrowingAnswer(partial, close) for partial in partials]
        return AnswerStream(self, call, answers, [e.question for e in exchanges], self._clock)

    # -- what the model is shown ----------------------------------------------------

    def finished_turns(self, writer: Writer) -> tuple[Turn, ...]:
        """What a next question will follow, as `answer` will show it to this writer."""
        key = ids_key(writer.model.info, writer.preamble)
        preamble = writer.preamble
        return tuple(
            closed_turn(preamble, in_format(past, preamble, key)) for past in self._past(key)
        )

    def exchanged(self, writer: Writer) -> list[Exchanged]:
        """What `answer` will show, without the format; the last question is open.

        Raises:
            UsageError: There is no question.
        """
        key = ids_key(writer.model.info, writer.preamble)
        shown = self._context_of(self.open_question, key)
        return [without_format(exchange, writer.preamble, key) for exchange in shown]

    @property
    def open_question(self) -> TurnRecord:
        """The path's last question.

        Raises:
            UsageError: There is none.
        """
        question = next((turn for turn in reversed(self.path) if turn.role == "user"), None)
        if question is None:
            raise UsageError("There is nothing to answer yet.", "Ask something first.")
        return question

    def _context_of(self, question: TurnRecord, key: str) -> list[Exchange]:
        """The exchanges to send, the open one last."""
        past = [given for given in self._past(key) if given.question.id != question.id]
        return [*past, Exchange(question=question)]

    def _past(self, key: str) -> list[Exchange]:
        """The path's exchanges that are shown.

        Exchanges without an answer are left out: shown to a base model, they would be
        examples of how not to answer. What left the context of this very model and format
        stays out; another one may have room for it.
        """
        past = list(self.exchanges)
        last = next((e.answer for e in reversed(self.exchanges) if e.answer is not None), None)
        if last is not None and last.ids_key == key:
            past = [exchange for exchange in past if exchange.in_context]
        return [exchange for exchange in past if exchange.answer and exchange.answer.text]

    def _left_out(self, sent: list[Exchange]) -> bool:
        """Whether something was left out for want of room."""
        ids = {exchange.question.id for exchange in sent}
        return any(
            not exchange.in_context and exchange.question.id not in ids
            for exchange in self.exchanges
        )

    # -- the store ------------------------------------------------------------------

    def keep(self, turn: TurnRecord) -> None:
        """Have a turn written at the next `try_to_save`."""
        if self.store is not None:
            with self._noting:
                self._unsaved[turn.id] = turn

    def learn_ids(self, question: TurnRecord, ids: tuple[int, ...], key: str) -> None:
        """Have the tokens that a question became written at the next `try_to_save`."""
        if self.store is not None:
            with self._noting:
                self._unlearnt[question.id] = ids, key

    def try_to_save(self) -> None:
        """Write what is kept; any thread.

        A store that fails does not stop an answer: what is not written is remembered
        (`store_error`) and tried again with the next write.
        """
        with contextlib.suppress(StoreError):
            self.save_rest()

    def save_rest(self) -> None:
        """Write what a failure has kept off the disk; any thread.

        Raises:
            StoreError: It still can't be written; it stays remembered.
        """
        if self.store is None:
            return
        with self._saving:
            try:
                self._write_rest(self.store)
            except StoreError as error:
                self.store_error = error
                raise
            self.store_error = None

    def _write_rest(self, store: Store) -> None:
        with self._noting:
            learnt, turns = list(self._unlearnt.items()), list(self._unsaved.values())
        for question, (ids, key) in learnt:
            store.set_question_ids(question, ids, key)
            self._unlearnt.pop(question, None)
        for turn in turns:
            store.save_answer(turn)
            with self._noting:
                # It may have grown meanwhile.
                if self._unsaved[turn.id] is turn:
                    del self._unsaved[turn.id]
