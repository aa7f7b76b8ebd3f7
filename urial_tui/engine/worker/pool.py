"""Answers that are written together, in one context of a model.

Each step evaluates one batch: a token of every answer that is being written, then what others still
have to read, as far as it has room there (`filling`). Requests are admitted in their order, as soon
as a sequence is free and the cells for all that they read and may write are; so what is written
follows from the requests and their order, never from the clock, where each announces the next
(`more`). An answer whose request was cancelled leaves at the next step, and the others go on.

All batches are evaluated with flash attention: it passes over the cells of other sequences. A
batch of a single token is always evaluated by all threads, for how they share it decides how it is
rounded.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

import msgspec

from urial_tui.engine.native.batch import BatchPart, DecodeError
from urial_tui.engine.native.context import Aborted, LlamaContext, NoSlot
from urial_tui.engine.wire.commands import Generate
from urial_tui.engine.wire.events import (
    Failed,
    PreambleReady,
    PreambleSource,
    PrefillProgress,
    PromptReady,
)
from urial_tui.engine.wire.limits import POOL_PREFIXES, written_batch
from urial_tui.engine.wire.scores import Floats
from urial_tui.engine.wire.values import Turn
from urial_tui.engine.worker.filling import Filling
from urial_tui.engine.worker.generation import (
    drop_turns,
    not_a_number,
    prompt_lengths,
)
from urial_tui.engine.worker.kv import common_prefix
from urial_tui.engine.worker.loaded import LoadedModel, check_preamble, joined
from urial_tui.engine.worker.prefixes import Prefix, Prefixes
from urial_tui.engine.worker.sampling import NotFinite
from urial_tui.engine.worker.sequence import Sequence
from urial_tui.engine.worker.steps import Emit
from urial_tui.engine.worker.writing import Writing
from urial_tui.errors import EngineError


class _Task:
    """A request, from its arrival to its last answer."""

    def __init__(self, request: Generate) -> None:
        self.request = request
        self.started = time.perf_counter()
        self.preamble: list[int] = []
        self.prompt: list[int] = []
        """The preamble and the turns behind it; empty until it was understood."""
        self.opened: list[int] = []
        """The preamble, and of the first turn what it starts with whatever is asked."""
        self.turns: tuple[tuple[tuple[int, ...], ...], ...] = ()
        self.lead = 0
        """Tokens between the preamble and the turns."""
        self.answer_prefix: list[int] = []
        self.source: PreambleSource | None = None
        self.preamble_s = 0.0
        """Seconds until the preamble was there."""
        self.evaluated = 0
        """Tokens of prefixes that were evaluated for it, and not yet counted to an answer."""
        self.admitted = 0
        self.finished = 0
        self.told = False

    @property
    def shared(self) -> list[int]:
        """What all its answers start with, as one prefix."""
        return self.prompt[:-1] if self.request.samples > 1 else self.opened


class AnswerPool:
    """The answers that are written together with one model.

    Args:
        loaded: The model.
        emit: Takes all events.

    Raises:
        EngineError: Its context can't be made.
    """

    def __init__(self, loaded: LoadedModel, emit: Emit) -> None:
        self._loaded = loaded
        self._emit = emit
        self._context: LlamaContext = loaded.pool_context()
        writers = self._context.n_sequences - POOL_PREFIXES
        self._numbers = list(range(writers - 1, -1, -1))
        self._prefixes = Prefixes(self._context, range(writers, self._context.n_sequences))
        self._waiting: deque[_Task] = deque()
        self._tasks: dict[int, _Task] = {}
        self._sequences: dict[Sequence, _Task] = {}
        """The answers in progress, those that waited longest to write first."""
        self._filling = Filling(
            self._context.n_batch,
            written_batch(self._context.n_batch, self._context.kv_type, loaded.info.gpu_layers),
        )
        self._threads = loaded.batch_threads(share=1)
        trained = loaded.model.n_ctx_train
        self._limit = min(self._context.n_ctx, trained) if trained else self._context.n_ctx
        self._preamble: tuple[Turn | None, list[int]] = None, []
        """The last preamble and its ids."""
        self._awaited: Prefix | None = None
        """What the first request waits for to be read."""
        self._more = False
        """Whether another request was announced, which the last ones wait for."""
        self._tainted = False
        """Whether cells may hold what is no number, which spreads to whoever gets them next."""

    # -- requests ---------------------------------------------------------------------

    @property
    def requests(self) -> frozenset[int]:
        """The ids of the requests that are not done."""
        return frozenset(self._tasks)

    @property
    def busy(self) -> bool:
        """Whether a step would do something."""
        return bool(self._sequences or (self._waiting and not self._more))

    def submit(self, request: Generate) -> None:
        """Take a request; its events come with the steps, `Finished` or `Failed` at the end."""
        task = _Task(request)
        self._more = request.more
        self._tasks[request.id] = task
        self._waiting.append(task)

    def cancel(self, requests: Iterable[int]) -> None:
        """End these requests with what they have."""
        for number in requests:
            task = self._tasks.get(number)
            if task is None:
                continue
            for sequence in self._of(task):
                self._finish(sequence, task)
            self._end(task)
            # What was not even begun has no text.
            plain = msgspec.structs.replace(task.request, grammar=None, logprobs=None)
            for sample in range(task.admitted, task.request.samples):
                writing = Writing(self._loaded.model, plain, self._emit, sample)
                writing.finish(self._limit)
                writing.close()

    def fail(self, error: EngineError) -> None:
        """End all requests with an error, and forget what the memory holds."""
        for task in list(self._tasks.values()):
            self._fail(task, error)
        self._clear()

    # -- steps ------------------------------------------------------------------------

    def step(self) -> None:
        """Admit what has room, evaluate one batch, and let each answer take its row.

        Raises:
            DecodeError: The library failed.
        """
        if self._tainted and not self._sequences:
            self._clear()
        self._admit()
        batch = self._fill()
        parts = [part for _, part in batch]
        if not parts or not self._evaluate(parts):
            return
        rows = self._context.all_logits() if any(part.rows for part in parts) else None
        row = 0
        for reader, part in batch:
            if isinstance(reader, Prefix):
                self._advance(reader, part)
                continue
            # Another answer to the same question may have failed meanwhile, and this one with it.
            task = self._sequences.get(reader)
            if task is not None:
                self._go_on(reader, task, part, None if rows is None else rows[row : row + 1])
            row += part.rows

    def _go_on(self, sequence: Sequence, task: _Task, part: BatchPart, rows: Floats | None) -> None:
        """A sequence's part was evaluated; `rows` starts with its row, where it asked for one."""
        read = sequence.unread
        sequence.evaluated(part)
        if not part.rows:
            self._tell_progress(sequence, task)
            return
        assert rows is not None
        if read:
            self._tell_read(sequence, task)
        try:
            sequence.take(rows[0])
        except NotFinite:
            self._tainted = True
            self._fail(task, not_a_number())
        except EngineError as error:
            self._fail(task, error)
        else:
            if sequence.done:
                self._finish(sequence, task)
                if task.finished == task.request.samples:
                    self._end(task)

    def _fill(self) -> list[tuple[Prefix | Sequence, BatchPart]]:
        """Who has a part of the next batch, and what."""
        writers = [sequence for sequence in self._sequences if not sequence.unread]
        readers: list[Prefix | Sequence] = [one for one in self._sequences if one.unread]
        if self._awaited is not None:
            readers.insert(0, self._awaited)
        writing, reading = self._filling.next(writers, readers)
        for sequence in writing:  # goes behind those whose turn it was not
            self._sequences[sequence] = self._sequences.pop(sequence)
        return [*((sequence, sequence.part(1)) for sequence in writing), *reading]

    def _evaluate(self, parts: list[BatchPart]) -> bool:
        """Evaluate a batch; False where all requests were cancelled meanwhile, and are ended."""
        context, threads = self._context, self._threads
        alone = sum(len(part.tokens) for part in parts) == 1
        try:
            # Where a GPU computes, the processors tell nothing.
            if alone or self._loaded.info.gpu_layers:
                context.set_threads(threads.full)
                context.evaluate(parts)
            else:
                context.set_threads(threads.threads)
                with threads.measured():
                    context.evaluate(parts)
        except Aborted:
            # Which parts of the batch are in the memory is unknown.
            self.cancel(self.requests)
            self._clear()
            return False
        except NoSlot as error:  # every cell was reserved
            raise DecodeError("the cache has no room for what was reserved") from error
        return True

    def _clear(self) -> None:
        """Empty the memory; nobody is in it any more."""
        self._context.clear()
        self._prefixes.clear()
        self._tainted = False

    def _advance(self, prefix: Prefix, part: BatchPart) -> None:
        prefix.held += len(part.tokens)
        task = next((task for task in self._waiting if task.prompt), None)
        if task is not None:
            task.evaluated += len(part.tokens)
            self._emit(
                PrefillProgress(
                    id=task.request.id,
                    stage="preamble" if list(prefix.tokens) == task.preamble else "prompt",
                    done=prefix.held,
                    reused=0,
                    total=len(prefix.tokens),
                )
            )
        if prefix.ready and not prefix.base:
            self._keep(prefix)

    def _keep(self, prefix: Prefix) -> None:
        """Save a preamble's state; while nobody writes, go on from what was saved.

        Where the cells lie decides how sums are rounded, and a restored state has another layout.
        """
        state = self._context.save_sequence(prefix.sequence)
        self._loaded.states.save(self._context, prefix.tokens, state)
        if self._sequences:
            return
        self._context.remove(prefix.sequence, -1, -1)
        if not self._put_back(prefix, state):
            raise DecodeError("the state of the preamble is not taken back")

    # -- admission --------------------------------------------------------------------

    def _admit(self) -> None:
        """Give sequences to the first requests, for as many as there is room."""
        self._awaited = None
        while self._waiting and self._numbers and not self._more:
            task = self._waiting[0]
            try:
                if not task.prompt:
                    self._understand(task)
                prefix = self._prefix(task)
                if prefix is not None and not prefix.ready:
                    self._awaited = prefix
                    return
                if prefix is None or not self._begin(task, prefix):
                    return
            except EngineError as error:
                self._fail(task, error)
                continue
            if task.admitted == task.request.samples:
                self._waiting.popleft()

    def _understand(self, task: _Task) -> None:
        """Find the tokens of a request, and see that it can be answered at all."""
        loaded, request = self._loaded, task.request
        if request.watch:
            raise EngineError(
                "An answer that is written together with others can't be read along.",
                "Ask for one answer alone.",
            )
        if request.samples < 1:
            raise EngineError("No answer was asked for.", "Ask for at least one.")
        task.preamble = self._preamble_ids(request.preamble)
        check_preamble(task.preamble, self._limit)
        task.answer_prefix = joined(loaded.tokenize(request.prefix))
        lead, turns = loaded.tokenize_behind(request.lead, request.turns, task.preamble)
        flat = [joined(turn) for turn in turns]
        lengths = prompt_lengths(flat, task.answer_prefix)
        front = [*task.preamble, *lead]
        dropped = drop_turns(lengths, len(front), self._limit, request, self._emit)
        task.turns, task.lead = tuple(turns), len(lead)
        task.prompt = [*front, *(token for turn in flat[dropped:] for token in turn)]
        opening = joined(loaded.tokenize_turns([request.opening], task.preamble)[0])
        # A question may melt with the end of what stands in front of it, and its last token is
        # read for its row.
        start = len(task.preamble)
        task.opened = task.prompt[: start + common_prefix(task.prompt[start:-1], opening)]

    def _preamble_ids(self, preamble: Turn) -> list[int]:
        """Its tokens. Most requests have the preamble of the one before, and others wait."""
        known, ids = self._preamble
        if known != preamble:
            ids = self._loaded.preamble_ids(preamble)
            self._preamble = preamble, ids
        return ids

    def _prefix(self, task: _Task) -> Prefix | None:
        """What the answers of a request stand behind, or what that stands behind while it is read.

        None while there is no room.
        """
        more = self._cells(task, len(task.shared))
        base = self._prefixes.find(task.preamble)
        if base is None:
            base = self._prefixes.add(task.preamble, None, more)
            if base is None:
                return None
            task.source = "computed"
            if not self._sequences and self._restore(base):
                task.source = "disk"
        if not base.ready:
            return base
        task.preamble_s = task.preamble_s or time.perf_counter() - task.started
        if task.shared == task.preamble:
            return base
        shared = self._prefixes.find(task.shared)
        return shared or self._prefixes.add(task.shared, base, more)

    def _restore(self, prefix: Prefix) -> bool:
        """Have a preamble from the disk, while nobody writes."""
        state = self._loaded.states.load(self._context, prefix.tokens)
        if state is None:
            return False
        if self._put_back(prefix, state):
            return True
        self._loaded.states.discard(self._context, prefix.tokens)
        return False

    def _put_back(self, prefix: Prefix, state: bytearray) -> bool:
        """Restore a state; where it does not fit, the memory is empty, and so is the prefix."""
        fits = self._context.restore_sequence(prefix.sequence, state)
        if fits and self._context.last_position(prefix.sequence) + 1 == len(prefix.tokens):
            prefix.held = len(prefix.tokens)
            return True
        self._context.clear()
        for other in self._prefixes.others(prefix):
            self._prefixes.drop(other)
        prefix.held = 0
        return False

    def _cells(self, task: _Task, shared: int) -> int:
        """Cells that an answer takes beside what it shares."""
        longest = min(len(task.prompt) + task.request.max_tokens, self._limit)
        return longest - shared

    def _begin(self, task: _Task, prefix: Prefix) -> bool:
        """Let the next answer of a request begin; False where there is no room for it yet."""
        cells = self._cells(task, len(prefix.tokens))
        if not self._prefixes.reserve(cells, prefix):
            return False
        try:
            writing = Writing(self._loaded.model, task.request, self._emit, task.admitted)
            try:
                writing.begin(task.answer_prefix)
            except BaseException:
                writing.close()
                raise
        except BaseException:
            self._prefixes.give_back(cells, prefix)
            raise
        writing.started = task.started
        # What was read for all of them is the first one's.
        writing.evaluated, task.evaluated = task.evaluated, 0
        number = self._numbers.pop()
        self._context.copy(prefix.sequence, number, -1)
        sequence = Sequence(
            number, prefix, list(task.prompt), writing, cells=cells, limit=self._limit
        )
        self._sequences[sequence] = task
        task.admitted += 1
        return True

    # -- ends -------------------------------------------------------------------------

    def _of(self, task: _Task) -> list[Sequence]:
        return [sequence for sequence, owner in self._sequences.items() if owner is task]

    def _finish(self, sequence: Sequence, task: _Task) -> None:
        """An answer is done: told, and out of the memory."""
        sequence.writing.finish(self._limit)
        task.finished += 1
        self._leave(sequence, task)

    def _leave(self, sequence: Sequence, task: _Task) -> None:
        sequence.writing.close()
        del self._sequences[sequence]
        self._context.remove(sequence.number, -1, -1)
        self._numbers.append(sequence.number)
        self._numbers.sort(reverse=True)
        self._prefixes.give_back(sequence.cells, sequence.prefix)

    def _end(self, task: _Task) -> None:
        del self._tasks[task.request.id]
        if task in self._waiting:
            self._waiting.remove(task)
        if task.request.samples > 1 and task.prompt:
            prefix = self._prefixes.find(task.shared)
            if prefix is not None and not prefix.leases:
                self._prefixes.drop(prefix)

    def _fail(self, task: _Task, error: EngineError) -> None:
        for sequence in self._of(task):
            self._leave(sequence, task)
        self._end(task)
        self._emit(Failed(id=task.request.id, message=error.message, hint=error.hint))

    # -- what is told -----------------------------------------------------------------

    def _tell_progress(self, sequence: Sequence, task: _Task) -> None:
        self._emit(
            PrefillProgress(
                id=task.request.id,
                stage="prompt",
                done=sequence.held,
                reused=len(sequence.prefix.tokens),
                total=sequence.length,
            )
        )

    def _tell_read(self, sequence: Sequence, task: _Task) -> None:
        """What stands in front of a request's answers is there: told once."""
        if not task.told:
            task.told = True
            self._emit(
                PreambleReady(
                    id=task.request.id,
                    tokens=len(task.preamble),
                    source=task.source or "memory",
                    seconds=task.preamble_s,
                )
            )
            # A prefix that was dropped before it was used was evaluated twice.
            reused = max(0, sequence.length - sequence.writing.evaluated)
            self._emit(
                PromptReady(
                    id=task.request.id,
                    turns=task.turns,
                    reused=reused,
                    prefilled=sequence.length - reused,
                    used=sequence.length,
                    lead=task.lead,
                )
            )
        sequence.writing.hand_out()
