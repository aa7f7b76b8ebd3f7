"""A context over a model that makes one vector of a text, by the pooling that its file names.

Part of the native wrapping (see `llama`): what is passed on has been checked. Encoders have no
memory; a decoder's is emptied after each batch, for a text is evaluated once and whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from urial_tui.engine.native.abort_flag import AbortFlag
from urial_tui.engine.native.batch import Batch, BatchPart, DecodeError
from urial_tui.engine.native.context import Aborted, parameters, put_on
from urial_tui.engine.native.llama import (
    Adapter,
    LoadError,
    NativeModel,
    first_error,
    forget_errors,
    lib,
)
from urial_tui.engine.wire.limits import ContextSize
from urial_tui.engine.wire.values import Pooling

_POOLINGS: dict[int, Pooling] = {0: "none", 1: "mean", 2: "cls", 3: "last", 4: "rank"}
"""enum llama_pooling_type."""


class EmbeddingContext:
    """An evaluation state that is asked for vectors alone.

    Args:
        model: The model; it has to outlive the context.
        size: How large it is; all tokens of a batch are evaluated at once, so that the library
            may pool them.
        threads: Threads to compute with.
        kv_type: A key of `context.KV_TYPES`.
        flash_attention: Compute attention without storing its scores.
        adapter: Changes the model for this context.

    Raises:
        LoadError: It can't be made.
    """

    def __init__(
        self,
        model: NativeModel,
        size: ContextSize,
        *,
        threads: int,
        kv_type: str,
        flash_attention: bool,
        adapter: Adapter | None = None,
    ) -> None:
        forget_errors()
        params = parameters(size, threads=threads, kv_type=kv_type, flash_attention=flash_attention)
        params.embeddings = True
        params.pooling_type = lib.LLAMA_POOLING_TYPE_UNSPECIFIED
        self.handle = lib.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise LoadError(first_error())
        self.pooling: Pooling = _POOLINGS.get(int(lib.llama_pooling_type(self.handle)), "none")
        self.size = int(lib.llama_model_n_embd_out(model.handle))
        """Numbers of a vector."""
        self.n_batch = int(lib.llama_n_batch(self.handle))
        self.n_sequences = size.n_sequences
        self._n_vocab = model.vocab.size
        self._memory = lib.llama_get_memory(self.handle)
        self._batch = Batch(self.n_batch)
        self._flag: AbortFlag | None = None
        if adapter:
            try:
                put_on(self.handle, adapter)
            except LoadError:
                self.close()
                raise

    def set_abort_flag(self, flag: AbortFlag) -> None:
        """Let `flag` stop a running `embed` where the platform allows it."""
        # Kept, for the library reads its bytes.
        self._flag = flag
        if flag.callback:
            lib.llama_set_abort_callback(self.handle, flag.callback, flag.address)

    def embed(self, texts: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """The vectors of the texts of a batch: (texts, size), as the model makes them.

        Args:
            texts: Token ids of up to `n_sequences` texts, together up to `n_batch` of them, each
                at least one.

        Raises:
            Aborted: The abort flag was set.
            DecodeError: Anything else.
        """
        if len(texts) > self.n_sequences:
            raise DecodeError(f"{len(texts)} texts")
        self._batch.clear()
        for sequence, tokens in enumerate(texts):
            if any(not 0 <= token < self._n_vocab for token in tokens):
                raise DecodeError("a token is not in the vocabulary")
            self._batch.add(BatchPart(tokens, 0, sequence, len(tokens)))
        try:
            self._run()
            rows = [self._row(sequence) for sequence in range(len(texts))]
            return np.stack(rows) if rows else np.empty((0, self.size), np.float32)
        finally:
            if self._memory:
                lib.llama_memory_clear(self._memory, False)

    def _run(self) -> None:
        if not self._batch.length:
            return
        status = lib.llama_decode(self.handle, self._batch.native)
        if status == 2:
            raise Aborted
        if status != 0:
            raise DecodeError(f"llama_decode returned {status}")

    def _row(self, sequence: int) -> npt.NDArray[np.float32]:
        pointer = lib.llama_get_embeddings_seq(self.handle, sequence)
        if not pointer:
            raise DecodeError("there is no vector")
        return np.ctypeslib.as_array(pointer, shape=(self.size,)).copy()

    def close(self) -> None:
        """Free the batch and the context."""
        if self.handle:
            self._batch.close()
            lib.llama_free(self.handle)
            self.handle = None
