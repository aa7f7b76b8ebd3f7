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

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from urial_tui.engine.context import Aborted, Context
from urial_tui.engine.limits import FORCED_BATCH, HEAD_BATCH
from urial_tui.engine.loaded import LoadedModel
from urial_tui.engine.protocol import Event, PrefillProgress, Score, Scored, Turn
from urial_tui.engine.scores import Floats, PositionScores, SideScores
from urial_tui.engine.scoring import PairScorer, SideScorer
from urial_tui.engine.spill import SpillReader, SpillWriter
from urial_tui.errors import EngineError

Emit = Callable[[Event], None]


class _Side(NamedTuple):
    """A model, and the ids in front of the answer, BOS included."""

    loaded: LoadedModel
    context: tuple[int, ...]


def score(main: LoadedModel, second: LoadedModel | None, request: Score, emit: Emit) -> Scored:
    """Carry out a Score command.

    Raises:
        EngineError: There is nothing to score, or it does not fit into a model's context.
        Aborted: The abort flag was set.
    """
    started = time.perf_counter()
    sides = [_Side(main, _context_ids(main, request.context))]
    if not (request.alone or request.spill or request.against):
        if second is None:
            raise EngineError("There is no second model to compare with.", "Load one first.")
        ids = sides[0].context if request.same_ids else _context_ids(second, request.second_context)
        sides.append(_Side(second, ids))
    answer = _answer_ids(main, request)
    # Without BOS and context the first token follows nothing: no model says anything of it.
    unscored = 0 if all(side.context for side in sides) else 1
    if unscored:
        sides = [_Side(side.loaded, (*side.context, answer[0])) for side in sides]
        answer = answer[1:]
    n_ctx = max(request.n_ctx, *(len(side.context) + len(answer) for side in sides))
    for side in sides:
        _check_length(side, n_ctx)
        _check_ids(side, answer)
    report = _Progress(request.id, len(answer), main, emit)
    readable = all(answer[-1] < side.loaded.model.vocab.size for side in sides)
    read = answer if readable else answer[:-1]
    abreast = _fit_abreast(sides)
    pairs: Iterator[tuple[Floats, Floats]]
    share = 2 if abreast else 1
    batches = [_batches(side, read, len(answer), n_ctx, share) for side in sides]
    scores = b""
    replaced = False
    if request.spill:
        answer, replaced = _spill(request, main, batches[0], answer, report)
    elif request.alone:
        scores = _score_alone(main, request, batches[0], answer, report)
    elif request.against:
        with SpillReader(Path(request.against)) as rows:
            pairs = zip(batches[0], _stored(rows, len(answer)), strict=True)
            found = _score_pair(main, rows.n_vocab, request, pairs, answer, report)
            scores, answer, replaced = found
    else:
        assert second is not None
        pairs = _abreast(*batches) if abreast else zip(*batches, strict=True)
        found = _score_pair(main, second.model.vocab.size, request, pairs, answer, report)
        scores, answer, replaced = found
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
) -> tuple[bytes, tuple[int, ...], bool]:
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
    for start, (own, other) in zip(_starts(answer), pairs, strict=True):
        ids = np.asarray(answer[start : start + FORCED_BATCH], np.int64)
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
        report.add(len(ids))
    return PositionScores.join(parts).to_bytes(), answer, False


def _score_alone(
    main: LoadedModel,
    request: Score,
    batches: Iterator[Floats],
    answer: Sequence[int],
    report: _Progress,
) -> bytes:
    scorer = SideScorer(
        n_vocab=main.model.vocab.size, top_k=request.top_k, threads=main.info.threads
    )
    parts = []
    for start, rows in zip(_starts(answer), batches, strict=True):
        ids = np.asarray(answer[start : start + FORCED_BATCH], np.int64)
        parts.append(scorer.score(rows, ids))
        report.add(len(ids))
    return SideScores.join(parts).to_bytes()


def _spill(
    request: Score,
    main: LoadedModel,
    batches: Iterator[Floats],
    answer: tuple[int, ...],
    report: _Progress,
) -> tuple[tuple[int, ...], bool]:
    """The ids whose rows are on disk now, and whether the last one took another's place."""
    with SpillWriter(Path(request.spill), main.model.vocab.size) as writer:
        for start, rows in zip(_starts(answer), batches, strict=True):
            best = rows.argmax(axis=1)
            differs = np.flatnonzero(best != answer[start : start + len(rows)])
            if request.greedy and differs.size:
                cut = int(differs[0])
                writer.append(rows[: cut + 1])
                writer.finish()
                return (*answer[: start + cut], int(best[cut])), True
            writer.append(rows)
            report.add(len(rows))
        writer.finish()
    return answer, False


def _stored(rows: SpillReader, positions: int) -> Iterator[Floats]:
    """The rows of a file, a batch at a time; each a passing view."""
    if rows.rows != positions:
        raise EngineError(
            f"{rows.rows} distributions are on disk for {positions} tokens.",
            "Start the comparison again.",
        )
    room = np.empty((FORCED_BATCH, rows.n_vocab), np.float32)
    for start in range(0, positions, FORCED_BATCH):
        yield rows.read(start, room)


def _fit_abreast(sides: Sequence[_Side]) -> bool:
    """Whether two sides can be evaluated at the same time, each by as many threads."""
    infos = [side.loaded.info for side in sides]
    return len(sides) == 2 and all(
        info.gpu_layers == 0 and info.threads == infos[0].threads and info.threads % 2 == 0
        for info in infos
    )


def _abreast(own: Iterator[Floats], other: Iterator[Floats]) -> Iterator[tuple[Floats, Floats]]:
    """Both sides' batches, each pair evaluated at the same time."""
    with ThreadPoolExecutor(1) as helper:
        while True:
            theirs = helper.submit(next, other, None)
            rows = next(own, None)
            other_rows = theirs.result()
            if rows is None or other_rows is None:
                assert rows is other_rows, "one side has more batches"
                return
            yield rows, other_rows


def _batches(
    side: _Side, answer: Sequence[int], count: int, n_ctx: int, share: int
) -> Iterator[Floats]:
    """Logits before each of `count` answer tokens, (n, n_vocab) at a time; each a passing view.

    `answer`: all of them, or all but the last. The last one's own logits are not used, but
    kernels take rows by four: a text that fills whole batches is then read in whole ones,
    and rounds as it does elsewhere. `share`: how many evaluations the threads are shared by.
    """
    context = side.loaded.forced_context(n_ctx)
    context.set_threads(side.loaded.info.threads // share)
    return _evaluated(context, side.context, answer, count)


def _evaluated(
    context: Context, given: Sequence[int], answer: Sequence[int], count: int
) -> Iterator[Floats]:
    head = given[:-1]
    for start in range(0, len(head), HEAD_BATCH):
        context.decode(head[start : start + HEAD_BATCH], start, 0)
    tokens = (*given, *answer)
    for start in range(0, count, FORCED_BATCH):
        position = len(head) + start
        context.decode_all(tokens[position : position + FORCED_BATCH], position, 0)
        yield context.all_logits()[: count - start]


def _starts(answer: Sequence[int]) -> range:
    return range(0, len(answer), FORCED_BATCH)


def _context_ids(loaded: LoadedModel, turn: Turn) -> tuple[int, ...]:
    segments = loaded.tokenize(turn, start=True)
    return (*loaded.model.vocab.bos, *(token for segment in segments for token in segment))


def _answer_ids(main: LoadedModel, request: Score) -> tuple[int, ...]:
    (ids,) = main.tokenize((request.answer,), start=not request.context)
    if not ids:
        raise EngineError("There is no text to score.", "Choose a text of at least one token.")
    return ids


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
