"""An answer, or several beside each other, while they are written.

The conversation's tree follows the events in the thread or the task that reads them; what is to be
stored is written every half a second, in an asynchronous reading by another thread. Whatever ends
it, the text so far stays in the tree and the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import Protocol

import msgspec

from urial_tui.chat.growing import GrowingAnswer
from urial_tui.chat.tree import TurnTree
from urial_tui.chat.turns import TurnRecord, TurnStop
from urial_tui.engine.client.call import Call
from urial_tui.engine.wire.events import Event, Finished, PromptReady, TextDelta, TurnsDropped
from urial_tui.errors import EngineDied, StoreError

SAVE_EVERY = 0.5
"""Seconds between two writes of an answer that grows."""


class Keeper(Protocol):
    """The protocol of a store for answers that grow (`session.Conversation` is one)."""

    tree: TurnTree

    @property
    def store_error(self) -> StoreError | None:
        """Why something is not on the disk."""
        ...

    def keep(self, turn: TurnRecord) -> None:
        """Have a turn written at the next `try_to_save`."""
        ...

    def learn_ids(self, question: TurnRecord, ids: tuple[int, ...], key: str) -> None:
        """The tokens that a question became."""
        ...

    def try_to_save(self) -> None:
        """Write what is kept; any thread. What fails is remembered, and tried again."""
        ...

    def keep_place(self) -> None:
        """Store where one stands; any thread."""
        ...


class AnswerStream:
    """Events of an answer that is being written: an iterator, and an asynchronous one.

    Args:
        keeper: Where the answers go.
        call: Writes them.
        answers: What is collected of each, in the order of their numbers; the first one leads.
        questions: Those that the model is shown, the open one last.
        clock: Seconds, monotonic; spaces the writes.
    """

    def __init__(
        self,
        keeper: Keeper,
        call: Call[Finished],
        answers: Sequence[GrowingAnswer],
        questions: Sequence[TurnRecord],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keeper = keeper
        self._call = call
        self._answers = answers
        self._questions = list(questions)
        self._clock = clock
        self._saved_at = [-SAVE_EVERY] * len(answers)
        self._ended: TurnStop = "cancelled"
        self._over = False
        """Whether the tree has the end; what comes behind it is not kept."""
        self._following = threading.Lock()
        """Held while the tree follows; never while something is written."""
        self._steps: Generator[Event, None, None] | None = None

    def cancel(self) -> None:
        """Ask for the end; any thread, any number of times. What is written stays."""
        self._call.cancel()

    def close(self) -> None:
        """End it, and read no more of it; what was read stays."""
        if self._steps is not None:
            self._steps.close()
        self._call.close()

    def keep(self) -> None:
        """Store what was read, as all that there will be; any thread.

        It is for who can't wait for the end.
        """
        self._end()
        self._save_end()

    def __iter__(self) -> Generator[Event, None, None]:
        if self._steps is None:
            self._steps = self._read()
        return self._steps

    def _read(self) -> Generator[Event, None, None]:
        try:
            with contextlib.closing(self._call), self._noting_failure():
                for event in self._call:
                    if self._take(event):
                        self._keeper.try_to_save()
                    yield event
        finally:
            self._end()
            self._save_end()
        self._raise_store_error()

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        try:
            with contextlib.closing(self._call), self._noting_failure():
                async for event in self._call:
                    if self._take(event):
                        await asyncio.to_thread(self._keeper.try_to_save)
                    yield event
        finally:
            self._end()
            # It is written also where the task is cancelled again.
            loop = asyncio.get_running_loop()
            await asyncio.shield(loop.run_in_executor(None, self._save_end))
        self._raise_store_error()

    @contextlib.contextmanager
    def _noting_failure(self) -> Generator[None, None, None]:
        try:
            yield
        except EngineDied:
            self._ended = "died"
            raise
        except Exception:
            self._ended = "failed"
            raise

    def _take(self, event: Event) -> bool:
        """Have the tree follow an event; whether it is time to write."""
        with self._following:
            return not self._over and self._follow(event)

    def _follow(self, event: Event) -> bool:
        match event:
            case Finished():
                growing = self._answers[event.sample]
                record = growing.finished(event)
                if event.stop_reason != "cancelled" or self._is_kept(growing):
                    self._place_among(growing, record)
                return True
            case TurnsDropped():
                del self._questions[: min(event.turns, len(self._questions) - 1)]
                for growing in self._answers:
                    growing.starts_at(self._questions[0])
            case PromptReady():
                self._learn_ids(event)
                for growing in self._answers:
                    growing.prompt_ready(event)
                return True
            case TextDelta():
                growing = self._answers[event.sample]
                growing.add(event)
                if self._clock() - self._saved_at[event.sample] >= SAVE_EVERY:
                    self._saved_at[event.sample] = self._clock()
                    self._place_among(growing, growing.record())
                    return True
            case _:
                pass
        return False

    def _end(self) -> None:
        """Nothing more comes."""
        with self._following:
            if self._over:
                return
            self._over = True
            for growing in self._answers:
                if not growing.complete and self._is_kept(growing):
                    self._place_among(growing, growing.record(self._ended))

    def _save_end(self) -> None:
        self._keeper.try_to_save()
        if len(self._answers) > 1:
            # Each write has moved the place in the store to the answer that was written.
            with contextlib.suppress(StoreError):
                self._keeper.keep_place()

    def _raise_store_error(self) -> None:
        if self._keeper.store_error is not None:
            raise self._keeper.store_error

    def _is_kept(self, ended: GrowingAnswer) -> bool:
        """Whether an answer that was ended is to be stored: of several, one that was begun."""
        first = self._answers[0]
        return ended is first or ended.has_text or ended.id in self._keeper.tree

    def _place_among(self, growing: GrowingAnswer, record: TurnRecord) -> None:
        """Place one of several answers behind those in front of it; the first is the leaf."""
        for earlier in self._answers:
            if earlier is growing:
                break
            if earlier.id not in self._keeper.tree:
                self._place(earlier, earlier.record())
        self._place(growing, record)

    def _place(self, growing: GrowingAnswer, record: TurnRecord) -> None:
        if growing is self._answers[0]:
            self._keeper.tree.put(record)
        else:
            self._keeper.tree.update(record)
        self._keeper.keep(record)

    def _learn_ids(self, event: PromptReady) -> None:
        """Keep the ids that the questions became. The last turns of both lists match."""
        key = self._answers[0].key
        pairs = zip(reversed(self._questions), reversed(event.turns), strict=False)
        for question, segments in pairs:
            known = self._keeper.tree[question.id]
            if segments and (known.ids is None or known.ids_key != key):
                self._keeper.tree.update(
                    msgspec.structs.replace(known, ids=segments[0], ids_key=key)
                )
                if known.ids is None:
                    self._keeper.learn_ids(question, segments[0], key)
