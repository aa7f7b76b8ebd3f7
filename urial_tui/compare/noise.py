"""How far rounding alone moves the numbers of a comparison.

Batches of another length round differently, and two files of one model use different kernels, so
a small divergence may mean nothing. The floor is measured, not assumed: the aligned model reads
some positions twice, once as they are scored and once in shorter batches, and is compared with
itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

import msgspec

from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.commands import ScoreSide, ScoreStored
from urial_tui.engine.wire.events import Event
from urial_tui.engine.wire.scores import PositionScores
from urial_tui.engine.wire.values import TokenSegment, Turn
from urial_tui.errors import EngineDied, EngineError

MOST, LEAST = 32, 8
"""Positions that are read twice; of fewer than `LEAST` nothing is measured."""

BATCH = 3
"""Positions of a batch at the second reading: kernels that take rows by four take another path."""


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """The floor, in nats: `kl` and `js` between two readings of `positions` by one model.

    `batch`: positions of a batch at the second reading. `top1_agreement`: share of the positions
    at which both readings have the same most probable token.
    """

    positions: int
    batch: int
    kl_mean: float
    kl_max: float
    js_mean: float
    js_max: float
    top1_agreement: float


Measure = Callable[[tuple[int, ...], Iterable[int]], Generator[Event, None, Noise | None]]
"""Measures the floor, where that is wanted: on the ids of a context, and those of an answer."""


def measure_noise(
    model: Model, context: Turn, ids: tuple[int, ...], n_ctx: int
) -> Generator[Event, None, Noise | None]:
    """The floor of a model.

    Args:
        model: It reads twice.
        context: What stands in front, without BOS.
        ids: The text; its first `MOST` tokens are read.
        n_ctx: Tokens of all of it: those of the memory that may still hold the context.

    Returns:
        None for a text that is too short, or where it can't be read twice: the disk may have no
        room for the rows.

    Raises:
        EngineDied: The worker ended.
    """
    if len(ids) < LEAST:
        return None
    answer = TokenSegment(ids=ids[:MOST])
    with tempfile.TemporaryDirectory(prefix="urial-noise-") as directory:
        rows = str(Path(directory, "rows"))
        as_scored = ScoreSide(id=0, model=0, context=context, answer=answer, rows=rows, n_ctx=n_ctx)
        shorter = ScoreStored(
            id=0,
            model=0,
            context=context,
            answer=answer,
            rows=rows,
            batch=BATCH,
            top_k=0,
            n_ctx=n_ctx,
        )
        try:
            yield from model.score(as_scored).steps()
            found = yield from model.score(shorter).steps()
        except EngineDied:
            raise
        except EngineError:
            return None
    scores = PositionScores.from_bytes(found.scores)
    return Noise(
        positions=len(scores),
        batch=BATCH,
        kl_mean=float(scores.kl_aligned_base.mean(dtype="f8")),
        kl_max=float(scores.kl_aligned_base.max()),
        js_mean=float(scores.js.mean(dtype="f8")),
        js_max=float(scores.js.max()),
        top1_agreement=float((scores.argmax_base == scores.argmax_aligned).mean()),
    )
