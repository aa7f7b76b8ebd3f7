"""Teacher forcing: the distributions of one or two models at every token of a given answer.

Logits never pile up: each batch is reduced to a few numbers a position before the next one
is evaluated. Both sides are evaluated in batches of the same shape, from an empty memory, so
a model compared with itself in the same context agrees to the last bit.

On a CPU both sides are evaluated at the same time, each by half of the threads: two threads
that share each product wait for each other and while results are copied, and 8 windows of 511
tokens took 1.1 times as long that way (two cores; the demo model and its Q8_0). Each context
stays in the hands of one thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from urial_tui.engine.native.context import Aborted, Context
from urial_tui.engine.wire.limits import FORCED_BATCH
from urial_tui.engine.wire.protocol import (
    PrefillProgress,
    Score,
    Scored,
    TokenSegment,
)
from urial_tui.engine.wire.scores import Floats, PositionScores, SideScores
from urial_tui.engine.worker.batch_threads import BatchThreads
from urial_tui.engine.worker.forced_batches import Cuts, cut_text
from urial_tui.engine.worker.loaded import LoadedModel
from urial_tui.engine.worker.scoring import PairScorer, SideScorer
from urial_tui.engine.worker.spill import SpillReader, SpillWriter
from urial_tui.engine.worker.steps import Emit, Steps
from urial_tui.errors import EngineError


class _Side(NamedTuple):
    """A model, and the ids in front of the answer, BOS included."""

    loaded: LoadedModel
    context: tuple[int, ...]


def score(
    main: LoadedModel, second: LoadedModel | None, request: Score, emit: Emit
) -> Steps[Scored]:
    """Carry out a Score command.

    Raises:
        EngineError: There is nothing to score, or it does not fit into a model's context.
        Aborted: The abort flag was set.
    """
    started = time.perf_counter()
    sides = [_Side(main, tuple(main.preamble_ids(request.context)))]
    if not (request.alone or request.spill or request.against):
        if second is None:
            raise EngineError("There is no second model to compare with.", "Load one first.")
        ids = (
            sides[0].context
            if request.same_ids
            else tuple(second.preamble_ids(request.second_context))
        )
        sides.append(_Side(second, ids))
    answer = _answer_ids(main, request)
    # Without BOS and context the first token follows nothing: no model says anything of it.
    unscored = 0 if all(side.context for side in sides) and not request.bare else 1
    if unscored:
        sides = [_Side(side.loaded, (*side.context, answer[0])) for side in sides]
        answer = answer[1:]
    n_ctx = max(request.n_ctx, *(len(side.context) + len(answer) for side in sides))
    for side in sides:
        _check_length(side, n_ctx)
        _check_ids(side, answer)
    if not answer:
        raise _nothing()
    ids = request.scored or answer
    report = _Progress(request.id, len(ids), main, emit)
    sizes = [side.loaded.model.vocab.size for side in sides]
    # The last token is read for the sake of the batch's shape, if both sides have it.
    readable = answer[-1] < min(request.other_vocab or sizes[0], *sizes)
    read = answer if readable else answer[:-1]
    abreast = _fit_abreast(sides)
    # Where a GPU computes, the processors tell nothing.
    alone = not abreast and not main.info.gpu_layers
    threads = main.batch_threads(share=2 if abreast else 1)
    most = max(3, min(request.batch or FORCED_BATCH, FORCED_BATCH))
    batches = [
        _batches(side, read, len(answer), n_ctx, most, threads, measured=alone) for side in sides
    ]
    scores = b""
    replaced = False
    if request.spill:
        answer, replaced = yield from _spill(request, main, batches[0], answer, report)
    elif request.alone:
        scores = yield from _score_alone(main, request, batches[0], answer, report)
    elif request.against:
        with SpillReader(Path(request.against)) as rows:
            pairs = _beside_stored(batches[0], rows, len(ids))
            scores, answer, replaced = yield from _score_pair(
                main, rows.n_vocab, request, pairs, ids, report
            )
    else:
        assert second is not None
        own, other = batches
        pairs = _abreast(own, other, threads) if abreast else zip(own, other, strict=True)
        n_other = second.model.vocab.size
        scores, answer, replaced = yield from _score_pair(
            main, n_other, request, pairs, answer, report
        )
    return Scored(
        id=request.id,
        scores=scores,
        context=sides[0].context,
        second_context=sides[1].context if len(sides) > 1 else (),
        ids=answer,
        unscored=unscored,
        replaced=replaced,
        seconds=time.perf_counter() - started,
    )


def _score_pair(
    main: LoadedModel,
    n_other: int,
    request: Score,
    pairs: Iterator[tuple[Floats, Floats]],
    answer: tuple[int, ...],
    report: _Progress,
) -> Steps[tuple[bytes, tuple[int, ...], bool]]:
    """(scores, the ids that they are of, whether the last one took another's place)."""
    n_main = main.model.vocab.size
    base_first = request.main_is_base
    scorer = PairScorer(
        n_aligned=n_other if base_first else n_main,
        n_base=n_main if base_first else n_other,
        top_k=request.top_k,
        threads=main.info.threads,
    )
    parts = []
    start = 0
    for own, other in pairs:
        ids = np.asarray(answer[start : start + len(own)], np.int64)
        aligned, base = (other, own) if base_first else (own, other)
        scored = scorer.score(aligned, base, ids)
        differs = np.flatnonzero(scored.argmax_aligned != ids)
        if request.greedy and differs.size:
            cut = int(differs[0])
            # Row by row, the numbers depend on the row and the forced token alone.
            ids = np.append(ids[:cut], scored.argmax_aligned[cut]).astype(np.int64)
            parts.append(scorer.score(aligned[: cut + 1], base[: cut + 1], ids))
            answer = (*answer[:start], *(int(token) for token in ids))
            return PositionScores.join(parts).to_bytes(), answer, True
        parts.append(scored)
        start += len(ids)
        report.add(len(ids))
        yield
    return PositionScores.join(parts).to_bytes(), answer, False


def _score_alone(
    main: LoadedModel,
    request: Score,
    batches: Iterator[Floats],
    answer: Sequence[int],
    report: _Progress,
) -> Steps[bytes]:
    scorer = SideScorer(
        n_vocab=main.model.vocab.size, top_k=request.top_k, threads=main.info.threads
    )
    parts = []
    start = 0
    for rows in batches:
        ids = np.asarray(answer[start : start + len(rows)], np.int64)
        parts.append(scorer.score(rows, ids))
        start += len(ids)
        report.add(len(ids))
        yield
    return SideScores.join(parts).to_bytes()


def _spill(
    request: Score,
    main: LoadedModel,
    batches: Iterator[Floats],
    answer: tuple[int, ...],
    report: _Progress,
) -> Steps[tuple[tuple[int, ...], bool]]:
    """The ids whose rows are on disk now, and whether the last one took another's place."""
    with SpillWriter(Path(request.spill), main.model.vocab.size) as writer:
        start = 0
        for rows in batches:
            best = rows.argmax(axis=1)
            differs = np.flatnonzero(best != answer[start : start + len(rows)])
            if request.greedy and differs.size:
                cut = int(differs[0])
                writer.append(rows[: cut + 1])
                writer.finish()
                return (*answer[: start + cut], int(best[cut])), True
            writer.append(rows)
            start += len(rows)
            report.add(len(rows))
            yield
        writer.finish()
    return answer, False


def _beside_stored(
    own: Iterator[Floats], stored: SpillReader, positions: int
) -> Iterator[tuple[Floats, Floats]]:
    """Rows of a batch and those of a file, which may end before the text does."""
    if stored.rows != positions:
        raise EngineError(
            f"{stored.rows} distributions are on disk for {positions} tokens.",
            "Start the comparison again.",
        )
    room = np.empty((FORCED_BATCH, stored.n_vocab), np.float32)
    start = 0
    while start < positions:
        rows = next(own)
        other = stored.read(start, room[: len(rows)])
        yield rows[: len(other)], other
        start += len(other)


def _fit_abreast(sides: Sequence[_Side]) -> bool:
    """Whether two sides can be evaluated at the same time, each by as many threads."""
    infos = [side.loaded.info for side in sides]
    return len(sides) == 2 and all(
        info.gpu_layers == 0 and info.threads == infos[0].threads and info.threads % 2 == 0
        for info in infos
    )


def _abreast(
    own: Iterator[Floats], other: Iterator[Floats], threads: BatchThreads
) -> Iterator[tuple[Floats, Floats]]:
    """Both sides' batches, each pair evaluated at the same time."""
    with ThreadPoolExecutor(1) as helper:
        while True:
            with threads.measured(evaluations=2):
                theirs = helper.submit(next, other, None)
                rows = next(own, None)
                other_rows = theirs.result()
            if rows is None or other_rows is None:
                assert rows is other_rows, "one side has more batches"
                return
            yield rows, other_rows


def _batches(
    side: _Side,
    answer: Sequence[int],
    count: int,
    n_ctx: int,
    most: int,
    threads: BatchThreads,
    *,
    measured: bool,
) -> Iterator[Floats]:
    """Logits before each of `count` answer tokens, (n, n_vocab) at a time; each a passing view.

    `answer`: all of them, or all but the last. The last one's own logits are not used, but
    kernels take rows by four: a text that fills whole batches is then read in whole ones,
    and rounds as it does elsewhere. `most`: positions of a batch. `measured`: `threads` follow
    from how these batches fare; else somebody measures several together.
    """
    context = side.loaded.forced_context(n_ctx)
    tokens = (*side.context, *answer)
    n_head = len(side.context) - 1
    cuts = cut_text(n_head, len(tokens) - n_head, count, most)

    @contextlib.contextmanager
    def evaluating() -> Iterator[None]:
        context.set_threads(threads.threads)
        with threads.measured() if measured else contextlib.nullcontext():
            yield

    return _evaluated(context, tokens, cuts, evaluating)


def _evaluated(
    context: Context,
    tokens: Sequence[int],
    cuts: Cuts,
    evaluating: Callable[[], AbstractContextManager[None]],
) -> Iterator[Floats]:
    position = 0
    for length in cuts.head:
        with evaluating():
            context.decode(tokens[position : position + length], position, 0)
        position += length
    silent = cuts.silent
    for number, rows in enumerate(cuts.rows, start=1):
        spare = cuts.spare if number == len(cuts.rows) else 0
        length = silent + rows
        with evaluating():
            context.decode_all(tokens[position : position + length + spare], position, 0, silent)
        yield context.all_logits()[:rows]
        position += length
        silent = 0


def _answer_ids(main: LoadedModel, request: Score) -> tuple[int, ...]:
    if request.against and isinstance(request.answer, TokenSegment):
        # The other side's tokens, of which the last one may be unknown here.
        ids = request.answer.ids
    else:
        # Without the space that a vocabulary may put in front of a text: it is no part of it.
        (ids,) = main.tokenize((request.answer,))
    if not ids:
        raise _nothing()
    return ids


def _nothing() -> EngineError:
    return EngineError("There is no text to score.", "Choose a text of at least one token.")


def _check_length(side: _Side, n_ctx: int) -> None:
    trained = side.loaded.model.n_ctx_train
    if trained and n_ctx > trained:
        raise EngineError(
            f"Context and text have {n_ctx} tokens, more than the {trained} that the model "
            f"{side.loaded.info.name} was trained on.",
            "Choose a shorter text or context.",
        )


def _check_ids(side: _Side, answer: Sequence[int]) -> None:
    size = side.loaded.model.vocab.size
    unknown = next((token for token in (*side.context, *answer[:-1]) if token >= size), None)
    if unknown is not None:
        raise EngineError(
            f"The model {side.loaded.info.name} has no token {unknown}, "
            "which the other side's vocabulary added.",
            "Choose contexts of their own for both sides (not `same`), or another text.",
        )


class _Progress:
    """Counts positions, reports them, and stops where that was asked for."""

    def __init__(self, request: int, total: int, loaded: LoadedModel, emit: Emit) -> None:
        self._request = request
        self._total = total
        self._loaded = loaded
        self._emit = emit
        self._done = 0

    def add(self, positions: int) -> None:
        self._done += positions
        self._emit(
            PrefillProgress(
                id=self._request, stage="score", done=self._done, reused=0, total=self._total
            )
        )
        if self._loaded.flag.is_set:
            raise Aborted
