"""A model that makes vectors of texts, ready to be asked.

Texts are evaluated several at once, each of them whole, and its vector is scaled to length 1. The
context grows with the longest text that was asked for, up to what the model was trained on and the
options allow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from urial_tui.engine.native.abort_flag import AbortFlag
from urial_tui.engine.native.context import Aborted
from urial_tui.engine.native.embedding import EmbeddingContext
from urial_tui.engine.native.llama import LoadError
from urial_tui.engine.native.threads import physical_cores
from urial_tui.engine.wire.commands import Embed, LoadModel
from urial_tui.engine.wire.events import Embedded, EmbedProgress
from urial_tui.engine.wire.limits import (
    EMBEDDED_BATCH,
    EMBEDDED_TEXTS,
    embedding_size,
    flash_attention,
    text_tokens,
)
from urial_tui.engine.wire.values import ModelInfo, Pooling
from urial_tui.engine.worker.content import Contents
from urial_tui.engine.worker.steps import Emit, Steps
from urial_tui.engine.worker.weights import Weights, reason
from urial_tui.errors import EngineError
from urial_tui.sanitize import sanitize_line

_POOLED: tuple[Pooling, ...] = ("mean", "cls", "last")
"""Those that make one vector of a text."""

_SHOWN = 40
"""Characters of a text that are quoted."""


class _Text(NamedTuple):
    """A text's tokens. `cut`: whether it had more. `shown`: its start, for messages."""

    ids: tuple[int, ...]
    cut: bool
    shown: str


class LoadedEmbedder:
    """The model of one LoadModel command whose purpose is "embedding".

    Raises:
        EngineError: The model, its context or its adapter can't be made, or it makes no vectors.
        llama.LoadCancelled: The flag was set while it loaded.
    """

    def __init__(
        self,
        command: LoadModel,
        flag: AbortFlag,
        progress: Callable[[float], None],
        notice: Callable[[str], None],
        others: Sequence[Weights],
        contents: Contents,
    ) -> None:
        self._flag = flag
        self._options = command.options
        self.weights = Weights(command, flag, progress, notice, others, contents)
        self._most = text_tokens(command.options.n_ctx, self.weights.model.n_ctx_train)
        self._before, self._behind = self.weights.model.vocab.around
        self._context: EmbeddingContext | None = None
        try:
            context = self._context_for(0)
            if context.pooling not in _POOLED:
                raise EngineError(
                    f"The model {self.weights.name} makes no vectors of texts: its pooling is "
                    f"'{context.pooling}'.",
                    "Choose an embedding model, whose header names how it pools.",
                )
        except BaseException:
            self._close_context()
            self.weights.abandon()
            raise
        self.weights.settle()
        self.info: ModelInfo = msgspec.structs.replace(
            self.weights.describe(self._most), pooling=context.pooling, embedding=context.size
        )

    def embed(self, request: Embed, emit: Emit) -> Steps[Embedded]:
        """Make the vectors of a request's texts.

        Raises:
            EngineError: A text has none, or there is no memory for one so long.
            Aborted: The flag was set.
            DecodeError: The library failed.
        """
        started = time.perf_counter()
        rows = [np.empty((0, self.info.embedding), np.float32)]
        done = tokens = cut = 0
        for batch in _batches(self._texts(request.texts)):
            if self._flag.is_set:
                raise Aborted
            yield
            texts = [text.ids for text in batch]
            context = self._context_for(max(map(len, texts)))
            rows.append(self._scaled(context.embed(texts), batch))
            done += len(batch)
            tokens += sum(map(len, texts))
            cut += sum(text.cut for text in batch)
            emit(EmbedProgress(id=request.id, done=done, total=len(request.texts)))
        return Embedded(
            id=request.id,
            rows=np.concatenate(rows).astype("<f4").tobytes(),
            size=self.info.embedding,
            cut=cut,
            tokens=tokens,
            seconds=time.perf_counter() - started,
        )

    def close(self) -> None:
        """Free the context and the model."""
        self._close_context()
        self.weights.close()

    def _texts(self, texts: Iterable[str]) -> Iterator[_Text]:
        """The tokens of each text, with what the vocabulary puts around it."""
        vocab = self.weights.model.vocab
        room = max(0, self._most - len(self._before) - len(self._behind))
        for text in texts:
            found = vocab.tokenize(text, start=True)
            if any(token < 0 for token in found):
                raise EngineError(
                    f"The tokenizer of the model {self.weights.name} does not fit its vocabulary.",
                    "The file may be damaged: get it again, or choose another model.",
                )
            ids = (*self._before, *found[:room], *self._behind)
            if not ids:
                raise EngineError(
                    f"A text is empty, and the model {self.weights.name} has no vector for that.",
                    "Leave it out.",
                )
            yield _Text(ids=ids, cut=len(found) > room, shown=_start_of(text))

    def _scaled(
        self, rows: npt.NDArray[np.float32], texts: Sequence[_Text]
    ) -> npt.NDArray[np.float32]:
        """The rows of texts with length 1."""
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
        for length, text in zip(lengths, texts, strict=True):
            if not (np.isfinite(length) and length > 0):
                what = "zero" if length == 0 else "not a number"
                raise EngineError(
                    f"The vector that the model {self.weights.name} makes of the text "
                    f'"{text.shown}" is {what}.',
                    "The file may be damaged: get it again, or choose another model.",
                )
        scaled: npt.NDArray[np.float32] = (rows / lengths[:, None]).astype(np.float32)
        return scaled

    def _context_for(self, n_tokens: int) -> EmbeddingContext:
        """The context, large enough for a text of so many tokens; kept until a longer one comes.

        Raises:
            EngineError: It can't be made.
        """
        size = embedding_size(n_tokens)
        if self._context is not None and self._context.n_batch >= size.n_batch:
            return self._context
        self._close_context()
        options, weights = self._options, self.weights
        try:
            self._context = EmbeddingContext(
                weights.model,
                size,
                threads=options.threads or physical_cores(),
                kv_type=options.kv_type,
                flash_attention=flash_attention(
                    options.kv_type, weights.model.n_layer, weights.gpu_layers
                ),
                adapter=weights.adapter,
            )
        except LoadError as error:
            raise EngineError(
                f"No context of {size.n_ctx:,} tokens can be made for the model {weights.name}: "
                f"{reason(error)}.",
                "Set a smaller context (engine.context), or choose a smaller model.",
            ) from error
        self._context.set_abort_flag(self._flag)
        return self._context

    def _close_context(self) -> None:
        if self._context is not None:
            self._context.close()
            self._context = None


def _start_of(text: str) -> str:
    shown = sanitize_line(text[:_SHOWN])
    return shown if len(text) <= _SHOWN else f"{shown}…"


def _batches(texts: Iterable[_Text]) -> Iterator[list[_Text]]:
    """Texts that are evaluated together, in their order; one longer than a batch stands alone."""
    batch: list[_Text] = []
    tokens = 0
    for text in texts:
        if batch and (tokens + len(text.ids) > EMBEDDED_BATCH or len(batch) == EMBEDDED_TEXTS):
            yield batch
            batch, tokens = [], 0
        batch.append(text)
        tokens += len(text.ids)
    if batch:
        yield batch
