"""KL divergences as llama-perplexity defines them, from our engine's logits.

It keeps the first model's log-probabilities in 16 bits: a step is 1/65535 of the distance
between the row's greatest and smallest logit, at most 16 nats. Tokens whose kept
log-probability is not above -16 are left out of the sum. Everything is float32 but the sums.

Where these figures equal what it prints, both programs evaluated the models alike, and what
is left between its figures and `urial compare`'s is this way of keeping them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.commands import ScoreSide
from urial_tui.engine.wire.scores import Floats
from urial_tui.engine.wire.values import TextSegment, TokenSegment, Turn
from urial_tui.engine.worker.spill import SpillReader

_STEPS = np.float32(65535)
_DEPTH = np.float32(16)
_ROWS = 16
"""Rows that are reduced at a time."""


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What it prints: nats, and a share in percent."""

    mean: float
    median: float
    p90: float
    p99: float
    top1: float


def kept(logits: Floats) -> Floats:
    """Log-probabilities as they come back from 16 bits: float32 (n, n_vocab), as the logits."""
    top = logits.max(axis=1, keepdims=True)
    low = np.maximum(logits.min(axis=1, keepdims=True), top - _DEPTH)
    step = (top - low) / _STEPS
    with np.errstate(divide="ignore", invalid="ignore"):
        codes = np.where(logits > low, np.rint((logits - low) * (np.float32(1) / step)), 0)
    found: Floats = step * codes.astype(np.float32) + (low - top - _log_sum(logits, top))
    return found


def divergences(first: Floats, second: Floats) -> NDArray[np.float64]:
    """KL(first || second) of n positions, from float32 (n, n_vocab) logits of both."""
    log_p = kept(first)
    top = second.max(axis=1, keepdims=True)
    terms = _expf(log_p) * (log_p - second + (top + _log_sum(second, top)))
    found: NDArray[np.float64] = np.where(log_p > -_DEPTH, terms, 0).sum(axis=1, dtype=np.float64)
    return found


def measure(models: tuple[Path, Path], windows: Sequence[str], read: int) -> Statistics:
    """Both models on each window, whose first `read` tokens are only read."""
    found: list[NDArray[np.float64]] = []
    same = 0
    with tempfile.TemporaryDirectory(prefix="urial-rows-") as name, Engine() as a, Engine() as b:
        loaded = [engine.load(path).result() for engine, path in zip((a, b), models, strict=True)]
        for window in windows:
            files = [Path(name) / "first", Path(name) / "second"]
            ids = loaded[0].tokenize([(TextSegment(text=window),)]).result()[0][0]
            context: Turn = (TokenSegment(ids=ids[:read]),)
            answer = TokenSegment(ids=ids[read:])
            for model, file in zip(loaded, files, strict=True):
                model.score(
                    ScoreSide(id=0, model=0, context=context, answer=answer, rows=str(file))
                ).result()
            with SpillReader(files[0]) as one, SpillReader(files[1]) as other:
                rooms = [np.empty((_ROWS, one.n_vocab), np.float32) for _ in files]
                for start in range(0, one.rows, _ROWS):
                    first, second = one.read(start, rooms[0]), other.read(start, rooms[1])
                    found.append(divergences(first, second))
                    same += int((first.argmax(axis=1) == second.argmax(axis=1)).sum())
    values = np.concatenate(found)
    ordered = np.sort(values.astype(np.float32))
    return Statistics(
        mean=float(values.mean()),
        median=percentile(ordered, 0.5),
        p90=percentile(ordered, 0.9),
        p99=percentile(ordered, 0.99),
        top1=100.0 * same / len(values),
    )


def percentile(ordered: NDArray[np.float32], fraction: float) -> float:
    """Linear interpolation in float32, which moves the last digit that is printed."""
    place = np.float32(fraction) * np.float32(len(ordered) - 1)
    below = int(place)
    part = place - np.float32(below)
    above = min(below + 1, len(ordered) - 1)
    return float((np.float32(1) - part) * ordered[below] + part * ordered[above])


def _log_sum(logits: Floats, top: Floats) -> Floats:
    sums = _expf(logits - top).sum(axis=1, keepdims=True, dtype=np.float64)
    found: Floats = np.log(sums).astype(np.float32)
    return found


def _expf(x: Floats) -> Floats:
    """exp() to the last bit, as in C; numpy's own float32 is not always, which shows in a sum."""
    found: Floats = np.exp(x.astype(np.float64)).astype(np.float32)
    return found
