"""The second side of an answer: it reads along while the answer is written.

The written tokens are forced on it a few at a time, and all that is kept of its predictions
is the rank and the probability of each. It never changes what is written: whatever goes
wrong here ends the reading along, is told in a sentence, and the answer goes on.

The second side is shown the same turns as the first, and loses them together with it.
"""

from __future__ import annotations

import codecs
import contextlib
import time
from collections.abc import Callable, Generator, Sequence

from urial_tui.engine.native.context import DecodeError, NoSlot
from urial_tui.engine.wire.commands import Generate
from urial_tui.engine.wire.events import Event, Notice, PrefillProgress, Shifts
from urial_tui.engine.wire.values import TokenSegment, Turn, Watch
from urial_tui.engine.worker.kv import Branch, runs
from urial_tui.engine.worker.loaded import LoadedModel, joined
from urial_tui.engine.worker.scoring import RankScorer
from urial_tui.engine.worker.steps import complete
from urial_tui.errors import EngineError

PATIENCE = 1.0
"""Seconds after which tokens are read although they fill no batch."""

STRIDE = 8
"""So many of them, or a multiple: the library multiplies rows by four, and where a token takes
long, fewer would cost far more than reading the answer once, when it is done."""

Ids = Sequence[int]


class Watcher:
    """The null object of those who read along: nobody does."""

    def read(self, pinned: Ids, turns: Sequence[Ids], prefix: Ids) -> None:
        """Bring what stands in front of the answer into the context.

        Args:
            pinned: The main side's preamble, BOS included.
            turns: The main side's turns that its context holds; the last one ends with `prefix`.
            prefix: What the answer starts with.
        """

    def push(self, token: int, piece: bytes) -> None:
        """Note a token that was written."""

    def drop(self) -> None:
        """The oldest turn left the main side's context."""

    def set_threads(self, threads: int) -> None:
        """Use `threads` threads from the next call on."""

    def finish(self) -> None:
        """Flush: no token follows."""


class ShiftWatcher(Watcher):
    """Reads one answer along and emits `Shifts`.

    Args:
        loaded: The model that reads; its context gives as many rows of logits as are read at once.
        main: The model that writes.
        request: Its `watch` is set.
        emit: Takes the events.
        stop_if_asked: Raises Aborted where the answer was cancelled.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        main: LoadedModel,
        request: Generate,
        emit: Callable[[Event], None],
        stop_if_asked: Callable[[], None],
    ) -> None:
        assert request.watch is not None
        self._loaded = loaded
        self._main = main
        self._id = request.id
        self._watch: Watch = request.watch
        self._emit = emit
        self._stop_if_asked = stop_if_asked
        self._scorer = RankScorer(loaded.model.vocab.size, loaded.info.threads)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._branch: Branch | None = None
        self._carry = 0
        """The last token of what was read; it goes in with the next batch, for its row."""
        self._lengths: list[int] = []
        """Of the turns."""
        self._lead = 0
        """Tokens between the preamble and the turns, which stay."""
        self._start = self._end = 0
        """In characters: where the first token that waits starts, and the last one ends."""
        self._ids: list[int] = []
        self._ends: list[int] = []
        self._since = 0.0

    def read(self, pinned: Ids, turns: Sequence[Ids], prefix: Ids) -> None:
        """As told by `Watcher`."""
        vocab = self._main.model.vocab
        self._start = self._end = sum(self._characters(vocab.piece(token)) for token in prefix)
        with self._going_on_without():
            self._pin(pinned)
            lead: Ids = ()
            own = turns
            if not self._watch.same_ids:
                lead, own = self._own(len(turns), prefix)
            self._lead = len(lead)
            self._lengths = [len(turn) for turn in own]
            front = (*self._loaded.cache.pinned, *lead)
            self._hold([*front, *(token for turn in own for token in turn)])

    def push(self, token: int, piece: bytes) -> None:
        """Keep a written token until there are enough, or it has waited for long."""
        self._end += self._characters(piece)
        if self._branch is None:
            return
        now = time.perf_counter()
        if not self._ids:
            self._since = now
        self._ids.append(token)
        self._ends.append(self._end)
        waiting = len(self._ids)
        if waiting == self._loaded.context.n_outputs or (
            waiting % STRIDE == 0 and now - self._since >= PATIENCE
        ):
            self._flush()

    def drop(self) -> None:
        """Let the oldest turn go here as well."""
        self._flush()
        if self._branch is None:
            return
        cache = self._loaded.cache
        start, count = len(cache.pinned) + self._lead, self._lengths.pop(0)
        tokens = [*self._branch.tokens, self._carry]
        with self._going_on_without():
            if not cache.shift(tokens, start, count):
                self._hold([*tokens[:start], *tokens[start + count :]])

    def set_threads(self, threads: int) -> None:
        """As told by `Watcher`."""
        self._loaded.context.set_threads(threads)

    def finish(self) -> None:
        """Flush: read what still waits."""
        self._flush()

    # -- what stands in front ---------------------------------------------------------

    def _own(self, count: int, prefix: Ids) -> tuple[list[int], list[list[int]]]:
        """The ids of the lead, and of as many turns."""
        watch, loaded = self._watch, self._loaded
        if len(watch.turns) < count:
            raise EngineError("The second side was given other turns.")
        lead, segments = loaded.tokenize_behind(watch.lead, watch.turns, loaded.cache.pinned)
        turns = [joined(turn) for turn in segments][len(watch.turns) - count :]
        turns[-1] += prefix
        return lead, turns

    def _pin(self, pinned: Ids) -> None:
        def report(done: int, total: int) -> None:
            self._emit(
                PrefillProgress(id=self._id, stage="preamble", done=done, reused=0, total=total)
            )
            self._stop_if_asked()

        preamble: Turn = self._watch.preamble
        if self._watch.same_ids:
            bos = list(self._loaded.model.vocab.bos)
            if list(pinned[: len(bos)]) != bos:
                raise EngineError("The two models do not start a text with the same token.")
            rest = tuple(pinned[len(bos) :])
            preamble = (TokenSegment(ids=rest),) if rest else ()
        complete(self._loaded.pin(preamble, report))

    def _hold(self, tokens: list[int]) -> None:
        """Have all tokens but the last one in the context."""
        loaded = self._loaded
        if len(tokens) >= loaded.context.n_ctx:
            raise NoSlot
        start = len(loaded.cache.pinned)
        *earlier, _ = self._lengths
        lead = [self._lead] if self._lead else []
        lengths = [*lead, *earlier, len(tokens) - 1 - start - self._lead - sum(earlier)]
        ends = runs(start, lengths, loaded.context.n_batch)
        branch = loaded.cache.place(tokens, ends)
        reused = len(branch.tokens)

        def report(done: int) -> None:
            self._emit(
                PrefillProgress(
                    id=self._id, stage="prompt", done=done, reused=reused, total=len(tokens)
                )
            )
            self._stop_if_asked()

        complete(loaded.read(branch, tokens[:-1], ends, report))
        self._branch, self._carry = branch, tokens[-1]

    # -- the answer -------------------------------------------------------------------

    def _flush(self) -> None:
        if self._branch is None or not self._ids:
            return
        ids, ends, start = self._ids, self._ends, self._start
        self._ids, self._ends, self._start = [], [], ends[-1]
        size = self._loaded.model.vocab.size
        known = next((at for at, token in enumerate(ids) if token >= size), len(ids))
        with self._going_on_without():
            ranks, probabilities = self._score(ids[:known])
            if known < len(ids):
                ranks, probabilities = [*ranks, 0], [*probabilities, 0.0]
            self._emit(
                Shifts(
                    id=self._id,
                    start=start,
                    ends=tuple(ends[: len(ranks)]),
                    ranks=tuple(ranks),
                    probabilities=tuple(probabilities),
                )
            )
            if known < len(ids):
                raise EngineError("its vocabulary lacks a token of the answer.")

    def _score(self, ids: list[int]) -> tuple[list[int], list[float]]:
        if not ids:
            return [], []
        assert self._branch is not None
        self._loaded.evaluate_all(self._branch, [self._carry, *ids[:-1]])
        self._carry = ids[-1]
        return self._scorer.score(self._loaded.context.all_logits(), ids)

    def _characters(self, piece: bytes) -> int:
        return len(self._decoder.decode(piece))

    @contextlib.contextmanager
    def _going_on_without(self) -> Generator[None, None, None]:
        try:
            yield
        except NoSlot:
            n_ctx = self._loaded.context.n_ctx
            self._give_up(f"its context of {n_ctx:,} tokens is full.")
        except EngineError as error:
            self._give_up(error.message)
        except DecodeError as error:
            self._loaded.cache.reset()
            self._give_up(f"its model could not be evaluated: {error}.")

    def _give_up(self, reason: str) -> None:
        self._branch = None
        self._ids, self._ends = [], []
        self._emit(Notice(id=self._id, message=f"The second side stops reading along: {reason}"))
