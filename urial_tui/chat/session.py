"""A conversation: a tree of turns, and what drives one answer.

A question is stored before its answer starts; an answer is stored as it grows and keeps
what was written, whatever ends it. Several answers that are written side by side are
siblings, in the order of their numbers, and one stands at the first. What the model wrote
and what the user typed is kept as token ids, so a later request puts the very same tokens
into the context; where another model or another format is in use, the text stands in.

Nothing here knows a screen: `ask` yields the engine's events and the caller shows them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence

import msgspec

from urial_tui.chat.growing import GrowingAnswer
from urial_tui.chat.reader import Reader
from urial_tui.chat.shown import continuation, ids_key, preamble_turn, turn_of, without_format
from urial_tui.chat.store import Store
from urial_tui.chat.tree import Exchange, TurnTree
from urial_tui.chat.turns import (
    ConversationRecord,
    TurnRecord,
    TurnStop,
    damage_of,
    new_id,
    plain,
    title_of,
)
from urial_tui.engine.client.call import Call
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.protocol import (
    Event,
    Finished,
    ModelInfo,
    PromptReady,
    Sampling,
    TextDelta,
    Turn,
    TurnsDropped,
)
from urial_tui.errors import EngineDied, StoreError, UsageError
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.render import close_text
from urial_tui.prompting.stops import stop_rules

SAVE_EVERY = 0.5
"""Seconds between two writes of an answer that grows."""


class Conversation:
    """A tree of turns that is stored as it grows.

    `preamble` and `model_name` may be changed at any time between two answers. One thread
    at a time may ask; others may read meanwhile.

    Args:
        record: Its head; stored with the first question.
        preamble: What the next answer is written under.
        store: Where turns go; None keeps them in memory only.
        turns: What it starts with, parents first.
        clock: Seconds, monotonic; spaces the writes of a growing answer.
    """

    def __init__(
        self,
        record: ConversationRecord,
        preamble: Preamble,
        store: Store | None,
        turns: Iterable[TurnRecord] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.record = record
        self.preamble = preamble
        self.model_name = record.model
        self.store = store
        self.store_error: StoreError | None = None
        """Why the end of the last answer is not on the disk; None when all is stored."""
        self.damage = ""
        """What is to be said of how it was read from the database; mostly nothing."""
        self.tree = TurnTree(turns, record.leaf)
        self._clock = clock
        self._unsaved: dict[int, TurnRecord] = {}
        self._saving = threading.Lock()

    @classmethod
    def new(
        cls,
        store: Store | None,
        model_name: str,
        preamble: Preamble,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> Conversation:
        """An empty conversation; it reaches the store with its first question."""
        now = time.time()
        record = ConversationRecord(
            id=new_id(),
            title="",
            created=now,
            updated=now,
            model=model_name,
            preamble=preamble.name,
        )
        return cls(record, preamble, store, clock=clock)

    @classmethod
    def open(
        cls,
        store: Store,
        conversation_id: int,
        model_name: str,
        preamble: Preamble,
        through: int | None = None,
    ) -> Conversation:
        """A stored conversation where one stood last, to go on with this model and preamble.

        With `through` the path leads through that turn; undoing goes back to where one stood.

        Raises:
            StoreError: It is not there, or the database can't be read.
        """
        record = store.conversation(conversation_id)
        found = store.placed_turns(conversation_id)
        conversation = cls(record, preamble, store, found.turns)
        conversation.damage = damage_of(found.displaced)
        conversation.model_name = model_name
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
        model: Model,
        text: str,
        *,
        sampling: Sampling | None = None,
        max_tokens: int = 512,
    ) -> Generator[Event, None, None]:
        """Add a question behind the leaf and answer it: `add_question`, then `answer`."""
        self.add_question(text)
        yield from self.answer(model, sampling=sampling, max_tokens=max_tokens)

    def add_question(self, text: str) -> TurnRecord:
        """Store what the user typed behind the leaf; it becomes the leaf.

        Blank lines around the text, white space at its end and carriage returns go.

        Raises:
            UsageError: There is no text.
            StoreError: It could not be stored; the conversation is as it was before.
        """
        leaf = self.leaf
        return self._add_question(text, None if leaf is None else leaf.id)

    def edit_question(self, turn_id: int, text: str) -> TurnRecord:
        """Store another wording of a question beside it; it becomes the leaf.

        Raises:
            UsageError: There is no text.
            StoreError: It could not be stored; the conversation is as it was before.
        """
        return self._add_question(text, self.tree[turn_id].parent_id)

    def _add_question(self, text: str, parent_id: int | None) -> TurnRecord:
        text = plain(text)
        if not text:
            raise UsageError("The question is empty.", "Type something first.")
        now = time.time()
        record = msgspec.structs.replace(
            self.record,
            title=self.record.title or title_of(text),
            updated=now,
            model=self.model_name,
            preamble=self.preamble.name,
        )
        turn = TurnRecord(
            id=new_id(after=parent_id or 0),
            conversation_id=record.id,
            parent_id=parent_id,
            role="user",
            text=text,
            created=now,
            model=self.model_name,
            preamble=self.preamble.name,
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
        )
        if self.store is not None:
            self.save_rest()
            self.store.save_answer(turn)
        self.tree.stand_at(old.parent_id)
        self.tree.put(turn)
        return turn

    def continuation(self, turn_id: int, info: ModelInfo | None) -> Turn:
        """An answer as it stands, as the `prefix` of one that goes on from there."""
        key = ids_key(info, self.preamble)
        return continuation(self.tree[turn_id], self.preamble, key)

    def answer(
        self,
        model: Model,
        *,
        sampling: Sampling | None = None,
        max_tokens: int = 512,
        prefix: Turn = (),
        reader: Reader | None = None,
        samples: int = 1,
    ) -> Generator[Event, None, None]:
        """Answer the path's last question; where it has an answer, make a sibling of that.

        The events are the engine's. Closing the iterator cancels the answer. Whatever ends
        it, the text so far stays, in a turn that is the leaf from then on. With a `prefix`
        the answer starts with these tokens and goes on from there; `max_tokens` counts the
        new ones. A `reader` says what another model is shown that reads the answer along. Several
        answers (`samples`) have a Finished each; what was not begun when they were ended is
        not kept.

        Raises:
            UsageError: There is no question.
            EngineDied: The engine died; the answer so far is kept with stop reason "died".
            EngineError: The engine refused; kept with stop reason "failed".
            StoreError: The answer is complete (`Finished` was yielded) but not on the disk.
        """
        question = next((turn for turn in reversed(self.path) if turn.role == "user"), None)
        if question is None:
            raise UsageError("There is nothing to answer yet.", "Ask something first.")
        key = ids_key(model.info, self.preamble)
        exchanges = self._context_of(question, key)
        turns = tuple(turn_of(exchange, self.preamble, key) for exchange in exchanges)
        close = close_text(self.preamble)
        bare = [without_format(exchange, self.preamble, key) for exchange in exchanges]
        call = model.generate(
            preamble=preamble_turn(self.preamble),
            turns=turns,
            sampling=sampling,
            stops=stop_rules(self.preamble),
            close=close,
            max_tokens=max_tokens,
            prefix=prefix,
            watch=None if reader is None else reader.watch(bare),
            samples=samples,
        )
        drawn = sampling or Sampling()
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
                model=self.model_name,
                preamble=self.preamble.name,
                context_from=exchanges[0].question.id if self._left_out(exchanges) else None,
                sampling=drawn.of_sample(number),
            )
            for number in range(samples)
        ]
        answers = [GrowingAnswer(partial, close) for partial in partials]
        yield from self._follow(call, answers, [e.question for e in exchanges])

    def _follow(
        self,
        call: Call[Finished],
        answers: Sequence[GrowingAnswer],
        questions: list[TurnRecord],
    ) -> Generator[Event, None, None]:
        """Pass the events on, and the answers into the tree and the store as they grow."""
        ended: TurnStop = "cancelled"
        saved_at = [-SAVE_EVERY] * len(answers)
        try:
            with contextlib.closing(call):
                for event in call:
                    if isinstance(event, Finished):
                        growing = answers[event.sample]
                        record = growing.finished(event)
                        if event.stop_reason != "cancelled" or self._is_kept(growing, answers):
                            self._place_among(answers, growing, record)
                    elif isinstance(event, TurnsDropped):
                        del questions[: min(event.turns, len(questions) - 1)]
                        for growing in answers:
                            growing.starts_at(questions[0])
                    elif isinstance(event, PromptReady):
                        self._learn_ids(questions, event, answers[0].key)
                        for growing in answers:
                            growing.prompt_ready(event)
                    elif isinstance(event, TextDelta):
                        growing = answers[event.sample]
                        growing.add(event)
                        if self._clock() - saved_at[event.sample] >= SAVE_EVERY:
                            saved_at[event.sample] = self._clock()
                            self._place_among(answers, growing, growing.record())
                    yield event
        except EngineDied:
            ended = "died"
            raise
        except Exception:
            ended = "failed"
            raise
        finally:
            for growing in answers:
                if not growing.complete and self._is_kept(growing, answers):
                    self._place_among(answers, growing, growing.record(ended))
            if len(answers) > 1:
                # Each write has moved the place in the store to the answer that was written.
                with contextlib.suppress(StoreError):
                    self.keep_place()
        if self.store_error is not None:
            raise self.store_error

    def _is_kept(self, ended: GrowingAnswer, answers: Sequence[GrowingAnswer]) -> bool:
        """Whether an answer that was ended is to be stored: of several, one that was begun."""
        return ended is answers[0] or ended.has_text or ended.id in self.tree

    def _place_among(
        self, answers: Sequence[GrowingAnswer], growing: GrowingAnswer, record: TurnRecord
    ) -> None:
        """Place one of several answers behind those in front of it; the first is the leaf."""
        for earlier in answers:
            if earlier is growing:
                break
            if earlier.id not in self.tree:
                self._place(earlier.record(), leads=earlier is answers[0])
        self._place(record, leads=growing is answers[0])

    # -- what the model is shown ----------------------------------------------------

    def finished_turns(self, info: ModelInfo | None) -> tuple[Turn, ...]:
        """What a next question will follow, as `answer` will show it to this model."""
        key = ids_key(info, self.preamble)
        return tuple(turn_of(past, self.preamble, key) for past in self._past(key))

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

    def _learn_ids(self, questions: list[TurnRecord], event: PromptReady, key: str) -> None:
        """Keep the ids that the questions became. The last turns of both lists match."""
        for question, segments in zip(reversed(questions), reversed(event.turns), strict=False):
            known = self.tree[question.id]
            if not segments or (known.ids is not None and known.ids_key == key):
                continue
            learnt = msgspec.structs.replace(known, ids=segments[0], ids_key=key)
            self.tree.update(learnt)
            if self.store is not None and known.ids is None:
                with self._remembering_failure():
                    self.store.set_question_ids(question.id, segments[0], key)

    # -- the store ------------------------------------------------------------------

    def _place(self, answer: TurnRecord, *, leads: bool = True) -> None:
        """Put the answer, as far as it is, into the tree and the store; the leaf, if it leads.

        A store that fails in the middle does not stop the answer: what is not written is
        remembered and tried again with the next write.
        """
        if leads:
            self.tree.put(answer)
        else:
            self.tree.update(answer)
        if self.store is None:
            return
        self._unsaved[answer.id] = answer
        self.store_error = None
        with self._remembering_failure():
            self.save_rest()

    def save_rest(self) -> None:
        """Write what a failure has kept off the disk; any thread, while nothing is answered.

        Raises:
            StoreError: It still can't be written; it stays remembered.
        """
        if self.store is None:
            return
        with self._saving:
            for turn_id, turn in list(self._unsaved.items()):
                self.store.save_answer(turn)
                del self._unsaved[turn_id]
            self.store_error = None

    @contextlib.contextmanager
    def _remembering_failure(self) -> Generator[None, None, None]:
        try:
            yield
        except StoreError as error:
            self.store_error = error
