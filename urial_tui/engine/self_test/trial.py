"""A tiny model run through llama.cpp in every way that a build may get wrong, and the verdict.

Two numbers tell right from wrong, both in standard deviations of the right logits: the root
mean square of the errors, and the largest one. llama.cpp rounds what a matrix multiplies to
8 bits, in blocks that depend on the type, unless a GPU or a BLAS library multiplies in
floating point; so each run is set against numpy with and without that rounding, and the
nearer one counts. With AVX2 that leaves 0.004 (F16) to 0.027 (Q6_K) and a largest error of
0.17. One of sixteen rows of a tile that stays zero gives 0.23 and 1.3 at least, two blocks of
one matrix that change places a largest error above 0.5 (but 0.16 for two of the 4096 blocks
of the widest matrix).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from urial_tui.engine.native import llama
from urial_tui.engine.native.context import LlamaContext
from urial_tui.engine.self_test import reference
from urial_tui.engine.self_test.model import N_CTX, N_VOCAB, TinyModel, Values
from urial_tui.engine.wire.limits import ContextSize

MEAN_LIMIT = 0.06
LARGEST_LIMIT = 0.4

_PREFILLS = ((1, 24), (7, 35), (32, 64), (512, 512))
"""(tokens of a batch, tokens altogether): one row, an odd number, whole tiles, many tiles."""

_DECODED = 8
_WHOLE = " with flash attention over whole cells"
_SIZE = ContextSize(n_ctx=N_CTX, n_batch=512, n_outputs=512, n_sequences=1)
_TOKENS = [int(id_) for id_ in np.random.default_rng(1).integers(3, N_VOCAB, 512 + _DECODED)]


class EngineTrial:
    """One tiny model, evaluated by numpy when this is made and by llama.cpp in `faults`."""

    def __init__(self, model: TinyModel) -> None:
        self.type = model.type.name
        block = 256 if self.type.endswith("_K") else 32
        roundings = (reference.exact, reference.eight_bits(block))
        weights = model.values()
        self._right = [reference.logits(weights, _TOKENS, rounding) for rounding in roundings]
        self.mean = 0.0
        self.largest = 0.0
        """The largest of both numbers so far."""

    def faults(self, path: Path, threads: Sequence[int]) -> Iterator[str]:
        """What comes out wrong with the model in `path`, a sentence for each way of running it.

        Args:
            path: The model as a GGUF file, written from what `EngineTrial` was made from.
            threads: With how many to run everything; flash attention runs on the most alone.

        Raises:
            LoadError, DecodeError, NoSlot: The library refuses to do it.
        """
        native = llama.NativeModel(str(path), gpu_layers=0, progress=lambda _: True)
        try:
            stored = [(count, "") for count in threads]
            flash = [(max(threads), " with flash attention"), (max(threads), _WHOLE)]
            for count, attention in [*stored, *flash]:
                context = LlamaContext(
                    native, _SIZE, threads=count, kv_type="f16", flash_attention=bool(attention)
                )
                where = f"on {_threads(count)}{attention}"
                try:
                    if attention == _WHOLE and not context.keep_cells_whole():
                        continue
                    for way, start, got in _ways(context):
                        if fault := self._fault(start, got):
                            yield f"{self.type}: {way} {where} {fault}"
                finally:
                    context.close()
        finally:
            native.close()

    def _fault(self, start: int, got: Values) -> str:
        """What is wrong with logits (tokens, vocabulary) from position `start` on, or ""."""
        if not np.isfinite(got).all():
            return "gives what is no number"
        mean, largest = min(_errors(got, right[start:][: len(got)]) for right in self._right)
        self.mean, self.largest = max(self.mean, mean), max(self.largest, largest)
        if mean <= MEAN_LIMIT and largest <= LARGEST_LIMIT:
            return ""
        return (
            f"is off by {mean:.3f} in the mean and {largest:.2f} at most, "
            f"where {MEAN_LIMIT} and {LARGEST_LIMIT} are allowed"
        )


def _ways(context: LlamaContext) -> Iterator[tuple[str, int, Values]]:
    """How tokens are evaluated, the first position that has logits, and the logits."""
    for batch, count in _PREFILLS:
        context.clear()
        rows = []
        for start in range(0, count, batch):
            context.decode_all(_TOKENS[start : start + batch], start, 0)
            rows.append(context.all_logits().copy())
        yield f"prefill in batches of {batch}", 0, np.concatenate(rows)
    # The last prefill is what the decoded tokens follow.
    state = context.save_sequence(0)
    yield "decoding", count, _decode(context, count)
    context.clear()
    if context.restore_sequence(0, state):
        yield "decoding behind a restored state", count, _decode(context, count)
    else:
        yield "restoring a state", count, np.full((1, N_VOCAB), np.nan, np.float32)


def _decode(context: LlamaContext, start: int) -> Values:
    rows = []
    for position in range(start, start + _DECODED):
        context.decode(_TOKENS[position : position + 1], position, 0)
        rows.append(context.logits().copy())
    return np.stack(rows)


def _errors(got: Values, right: Values) -> tuple[float, float]:
    """Root mean square and largest of the errors, in standard deviations of `right`."""
    error, unit = np.abs(got - right), right.std()
    return float(np.sqrt(np.square(error).mean()) / unit), float(error.max() / unit)


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
