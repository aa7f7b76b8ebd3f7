"""Teacher forcing: the distributions of one or two models at every token of a given answer.

Logits never pile up: each batch is reduced to a few numbers a position before the next one
is evaluated. Both sides are evaluated in batches of the same shape, as from an empty memory, so
a model compared with itself in the same context agrees to the last bit.

On a CPU both sides are evaluated at the same time, each by half of the threads: two threads
that share each product wait for each other and while results are copied, and 8 windows of 511
tokens took 1.1 times as long that way (two cores; the demo model and its Q8_0). Each context
stays in the hands of one thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from urial_tui.engine.native.context import Aborted
from urial_tui.engine.wire.commands import ScoreBoth, ScoreSide, ScoreStored
from urial_tui.engine.wire.events import PrefillProgress, Scored
from urial_tui.engine.wire.limits import FORCED_BATCH
from urial_tui.engine.wire.scores import Floats, PositionScores, SideScores
from urial_tui.engine.wire.values import Segment, TokenSegment
from urial_tui.engine.worker.batch_threads import BatchThreads
from urial_tui.engine.worker.forced_batches import Cuts, cut_text
from urial_tui.engine.worker.forced_memory import ForcedMemory
from urial_tui.engine.worker.loaded import LoadedModel
from urial_tui.engine.worker.scoring import PairScorer, SideScorer, Tokens
from urial_tui.engine.worker.softmax import check_maximum
from urial_tui.engine.worker.spill import SpillReader, SpillWriter
from urial_tui.engine.worker.steps import Emit, Steps
from urial_tui.errors import EngineError

Ids = tuple[int, ...]
Rows = tuple[Floats, ...]
"""The logits of a batch's positions on each side; the aligned one decides what is greedy."""

P = TypeVar("P")
"""What is kept of a batch."""


class _Side(NamedTuple):
    """A model, and the ids in front of the answer, BOS included."""

    loaded: LoadedModel
    context: Ids


class _Text(NamedTuple):
    """What is forced: on each side something stands in front of the answer.

    `unscored`: how many of its tokens were put there, since nothing did. `n_ctx`: tokens that each
    side needs room for.
    """

    sides: tuple[_Side, ...]
    answer: Ids
    unscored: int
    n_ctx: int


class _Result(NamedTuple):
    """The ids that were read, and whether the last one took another's place."""

    ids: Ids
    replaced: bool
    scores: bytes = b""


# -- the commands -----------------------------------------------------------------------


def score_both(
    aligned: LoadedModel, base: LoadedModel, request: ScoreBoth, emit: Emit
) -> Steps[Scored]:
    """Carry out a ScoreBoth command.

    Raises:
        EngineError: There is nothing to score, or it does not fit into a model's context.
        Aborted: The abort flag was set.
    """
    started = time.perf_counter()
    if aligned is base:
        raise EngineError("Both sides are the same loaded model.", "Load it once for each.")
    context = tuple(aligned.preamble_ids(request.context))
    base_context = context if request.same_ids else tuple(base.preamble_ids(request.base_context))
    sides = (_Side(aligned, context), _Side(base, base_context))
    text = _text(sides, _tokenized(aligned, request.answer))
    scorer = PairScorer(
        n_aligned=aligned.model.vocab.size,
        n_base=base.model.vocab.size,
        top_k=request.top_k,
        threads=aligned.info.threads,
    )
    report = _Progress(request.id, len(text.answer), aligned, emit)
    result = yield from _score_pairs(
        scorer, _both_sides(text), text.answer, report, greedy=request.greedy
    )
    return _scored(request.id, text, result, started)


def score_side(loaded: LoadedModel, request: ScoreSide, emit: Emit) -> Steps[Scored]:
    """Carry out a ScoreSide command; raises as `score_both`."""
    started = time.perf_counter()
    side = _Side(loaded, tuple(loaded.preamble_ids(request.context)))
    answer = _tokenized(loaded, request.answer)
    text = _text((side,), answer, bare=request.bare, n_ctx=request.n_ctx)
    batches = _one_side(text, known=request.other_vocab)
    report = _Progress(request.id, len(text.answer), loaded, emit)
    reduce = _put_aside if request.rows else _score_rows
    result = yield from reduce(loaded, request, batches, text.answer, report)
    return _scored(request.id, text, result, started)


def score_stored(loaded: LoadedModel, request: ScoreStored, emit: Emit) -> Steps[Scored]:
    """Carry out a ScoreStored command; raises as `score_both`."""
    started = time.perf_counter()
    side = _Side(loaded, tuple(loaded.preamble_ids(request.context)))
    # The other side's tokens, of which the last one may be unknown here.
    given = request.answer
    answer = given.ids if isinstance(given, TokenSegment) else _tokenized(loaded, given)
    text = _text((side,), answer, bare=request.bare, n_ctx=request.n_ctx)
    ids = request.scored or text.answer
    batches = _one_side(text, most=request.batch or FORCED_BATCH)
    report = _Progress(request.id, len(ids), loaded, emit)
    with SpillReader(Path(request.rows)) as stored:
        own, other = loaded.model.vocab.size, stored.n_vocab
        scorer = PairScorer(
            n_aligned=other if request.model_is_base else own,
            n_base=own if request.model_is_base else other,
            top_k=request.top_k,
            threads=loaded.info.threads,
        )
        pairs = _beside_stored(batches, stored, len(ids))
        if request.model_is_base:
            pairs = ((aligned, base) for base, aligned in pairs)
        result = yield from _score_pairs(scorer, pairs, ids, report)
    return _scored(request.id, text, result, started)


# -- what is forced ---------------------------------------------------------------------


def _tokenized(loaded: LoadedModel, answer: Segment) -> Ids:
    # Without the space that a vocabulary may put in front of a text: it is no part of it.
    (ids,) = loaded.tokenize((answer,))
    return ids


def _text(sides: tuple[_Side, ...], answer: Ids, *, bare: bool = False, n_ctx: int = 0) -> _Text:
    """The text, once it was looked at.

    Args:
        sides: Models and what stands in front on each.
        answer: What is forced.
        bare: Nothing stands in front of it on a side that is read by itself.
        n_ctx: Tokens that that one needs room for.

    Raises:
        EngineError: Nothing is left to score, or it does not fit into a model.
    """
    if not answer:
        raise _nothing()
    # Without BOS and context the first token follows nothing: no model says anything of it.
    unscored = 0 if all(side.context for side in sides) and not bare else 1
    if unscored:
        sides = tuple(_Side(side.loaded, (*side.context, answer[0])) for side in sides)
        answer = answer[1:]
    n_ctx = max(n_ctx, *(len(side.context) + len(answer) for side in sides))
    for side in sides:
        _check_length(side, n_ctx)
        _check_ids(side, answer)
    if not answer:
        raise _nothing()
    return _Text(sides, answer, unscored, n_ctx)


def _scored(request: int, text: _Text, result: _Result, started: float) -> Scored:
    first, *others = (side.context for side in text.sides)
    return Scored(
        id=request,
        scores=result.scores,
        context=first,
        base_context=others[0] if others else (),
        ids=result.ids,
        unscored=text.unscored,
        replaced=result.replaced,
        seconds=time.perf_counter() - started,
    )


# -- batches to numbers -----------------------------------------------------------------


def _score_pairs(
    scorer: PairScorer, pairs: Iterable[Rows], ids: Ids, report: _Progress, *, greedy: bool = False
) -> Steps[_Result]:
    parts: list[PositionScores] = []

    def score(rows: Rows, ids: Tokens) -> tuple[PositionScores, Tokens]:
        aligned, base = rows
        part = scorer.score(aligned, base, ids)
        return part, part.argmax_aligned

    result = yield from _reduce(pairs, ids, score, parts.append, report, greedy=greedy)
    return result._replace(scores=PositionScores.join(parts).to_bytes())


def _score_rows(
    loaded: LoadedModel, request: ScoreSide, batches: Iterator[Floats], ids: Ids, report: _Progress
) -> Steps[_Result]:
    scorer = SideScorer(
        n_vocab=loaded.model.vocab.size, top_k=request.top_k, threads=loaded.info.threads
    )
    parts: list[SideScores] = []

    def score(rows: Rows, ids: Tokens) -> tuple[SideScores, Tokens]:
        part = scorer.score(rows[0], ids)
        return part, part.argmax

    result = yield from _reduce(
        zip(batches), ids, score, parts.append, report, greedy=request.greedy
    )
    return result._replace(scores=SideScores.join(parts).to_bytes())


def _put_aside(
    loaded: LoadedModel, request: ScoreSide, batches: Iterator[Floats], ids: Ids, report: _Progress
) -> Steps[_Result]:
    def best_of(rows: Rows, _: Tokens) -> tuple[Floats, Tokens]:
        best = rows[0].argmax(axis=1)
        # What is no number must not stay in cells behind which another text is read.
        for row, at in zip(rows[0], best, strict=True):
            check_maximum(float(row[at]))
        return rows[0], best

    with SpillWriter(Path(request.rows), loaded.model.vocab.size) as writer:
        result = yield from _reduce(
            zip(batches),
            ids,
            best_of,
            writer.append,
            report,
            greedy=request.greedy,
        )
        writer.finish()
    return result


def _reduce(
    batches: Iterable[Rows],
    answer: Ids,
    reduce: Callable[[Rows, Tokens], tuple[P, Tokens]],
    keep: Callable[[P], None],
    report: _Progress,
    *,
    greedy: bool,
) -> Steps[_Result]:
    """Reduce batch by batch, where `greedy` up to the first token that is not the best one.

    Args:
        batches: Rows in front of the answer's tokens, in their order.
        answer: The tokens.
        reduce: What is kept of a batch with these tokens, and the best ones in their places.
        keep: Keeps it.
        report: Told how far it is.
        greedy: The best one then takes that one's place.
    """
    start = 0
    for rows in batches:
        ids = np.asarray(answer[start : start + len(rows[0])], np.int64)
        kept, best = reduce(rows, ids)
        differs = np.flatnonzero(best != ids)
        if greedy and differs.size:
            cut = int(differs[0])
            # Row by row, the numbers depend on the row and the forced token alone.
            ids = np.append(ids[:cut], best[cut]).astype(np.int64)
            kept, _ = reduce(tuple(side[: cut + 1] for side in rows), ids)
            keep(kept)
            return _Result((*answer[:start], *(int(token) for token in ids)), replaced=True)
        keep(kept)
        start += len(ids)
        report.add(len(ids))
        yield
    return _Result(answer, replaced=False)


# -- batches of logits ------------------------------------------------------------------


def _one_side(text: _Text, *, known: int = 0, most: int = FORCED_BATCH) -> Iterator[Floats]:
    """The batches of a text that one side reads alone.

    `known`: tokens that the other side knows, 0 for as many. `most`: positions of a batch.
    """
    (side,) = text.sides
    size = side.loaded.model.vocab.size
    threads = side.loaded.batch_threads(share=1)
    # Where a GPU computes, the processors tell nothing.
    measured = not side.loaded.info.gpu_layers
    return _batches(text, side, min(known or size, size), threads, measured=measured, most=most)


def _both_sides(text: _Text) -> Iterator[Rows]:
    """The batches of a text that two sides read, each beside the other one's."""
    first, _ = text.sides
    known = min(side.loaded.model.vocab.size for side in text.sides)
    abreast = _fit_abreast(text.sides)
    threads = first.loaded.batch_threads(share=2 if abreast else 1)
    measured = not abreast and not first.loaded.info.gpu_layers
    own, other = (_batches(text, side, known, threads, measured=measured) for side in text.sides)
    return _abreast(own, other, threads) if abreast else zip(own, other, strict=True)


def _fit_abreast(sides: Sequence[_Side]) -> bool:
    """Whether both sides can be evaluated at the same time, each by as many threads."""
    infos = [side.loaded.info for side in sides]
    return all(
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
    text: _Text,
    side: _Side,
    known: int,
    threads: BatchThreads,
    *,
    measured: bool,
    most: int = FORCED_BATCH,
) -> Iterator[Floats]:
    """Logits before each of the answer's tokens, (n, n_vocab) at a time; each a passing view.

    The last token's own logits are not used, but kernels take rows by four: a text that fills
    whole batches is then read in whole ones, and rounds as it does elsewhere. So it is read where
    all sides know it, which have `known` tokens in common. `measured`: `threads` follow from how
    these batches fare; else somebody measures several together.
    """
    memory = side.loaded.forced_memory(text.n_ctx)
    read = text.answer if text.answer[-1] < known else text.answer[:-1]
    tokens = (*side.context, *read)
    n_head = len(side.context) - 1
    most = max(3, min(most, FORCED_BATCH))
    cuts = cut_text(n_head, len(tokens) - n_head, len(text.answer), most)

    @contextlib.contextmanager
    def evaluating() -> Iterator[None]:
        memory.context.set_threads(threads.threads)
        with threads.measured() if measured else contextlib.nullcontext():
            yield

    return _evaluated(memory, tokens, cuts, evaluating)


def _evaluated(
    memory: ForcedMemory,
    tokens: Ids,
    cuts: Cuts,
    evaluating: Callable[[], AbstractContextManager[None]],
) -> Iterator[Floats]:
    context = memory.context
    head = [tokens[start:end] for start, end in pairwise(accumulate(cuts.head, initial=0))]
    held = memory.start(head)
    position = sum(cuts.head[:held])
    for batch in head[held:]:
        with evaluating():
            context.decode(batch, position, 0)
        memory.hold(batch)
        position += len(batch)
    silent = cuts.silent
    for number, rows in enumerate(cuts.rows, start=1):
        spare = cuts.spare if number == len(cuts.rows) else 0
        length = silent + rows
        with evaluating():
            context.decode_all(tokens[position : position + length + spare], position, 0, silent)
        yield context.all_logits()[:rows]
        position += length
        silent = 0


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


def _nothing() -> EngineError:
    return EngineError("There is no text to score.", "Choose a text of at least one token.")


def _check_length(side: _Side, n_ctx: int) -> None:
    trained = side.loaded.model.n_ctx_train
    if trained and n_ctx > trained:
        raise EngineError(
            f"Context and text have {n_ctx:,} tokens, more than the {trained:,} that the model "
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
