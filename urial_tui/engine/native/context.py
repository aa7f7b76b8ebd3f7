"""An evaluation state over a model: its memory, its threads, the logits of what ran last.

Part of the native wrapping (see `llama`): what is passed on has been checked.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from urial_tui.engine.native.abort_flag import AbortFlag
from urial_tui.engine.native.batch import Batch, BatchPart
from urial_tui.engine.native.batch import DecodeError as DecodeError
from urial_tui.engine.native.batch_progress import BatchProgress
from urial_tui.engine.native.llama import (
    Adapter,
    LoadError,
    NativeModel,
    first_error,
    forget_errors,
    lib,
)
from urial_tui.engine.native.whole_cells import WholeCells
from urial_tui.engine.wire.limits import FULL_WINDOWS, ContextSize

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

KV_TYPES: dict[str, int] = {"f16": 1, "q8_0": 8, "q4_0": 2}
"""ggml_type numbers (ggml.h)."""


_NEVER = lib.ggml_abort_callback()
"""No abort callback."""


def parameters(size: ContextSize, *, threads: int, kv_type: str, flash_attention: bool) -> Any:
    """The library's parameters of a context whose sequences share their cells."""
    params = lib.llama_context_default_params()
    params.n_ctx = size.n_ctx
    params.n_batch = params.n_ubatch = min(size.n_batch, size.n_ctx)
    params.n_seq_max = size.n_sequences
    # The logits buffer is reserved for this many rows, not for a whole batch (Gemma:
    # 8 MiB, not 514); fewer than n_seq_max aborts the process.
    params.n_outputs_max = max(size.n_outputs, size.n_sequences)
    params.n_threads = params.n_threads_batch = threads
    params.flash_attn_type = int(flash_attention)
    params.type_k = params.type_v = KV_TYPES[kv_type]
    params.swa_full = FULL_WINDOWS
    params.kv_unified = True
    params.no_perf = True
    return params


def put_on(handle: Any, adapter: Adapter) -> None:
    """Have an adapter change the model for a context.

    Raises:
        LoadError: It can't be applied.
    """
    adapters = (lib.llama_adapter_lora_p_ctypes * 1)(adapter.handle)
    if lib.llama_set_adapters_lora(handle, adapters, 1, (ctypes.c_float * 1)(adapter.scale)):
        raise LoadError("the adapter can't be applied")


class NoSlot(Exception):
    """No room in the KV cache for the batch; nothing was changed."""


class Aborted(Exception):
    """The abort flag stopped an evaluation; read the sequence's length again."""


class LlamaContext:
    """An evaluation state over a model: KV cache, threads, logits.

    Sequences share the cells of a unified cache, so a fork costs no memory for what it
    shares. Logits exist for what the last `decode` or `decode_all` asked for only.

    Args:
        model: The model; it has to outlive the context.
        size: How large it is; the library rounds its tokens up.
        threads: Threads to compute with.
        kv_type: A key of `KV_TYPES`.
        flash_attention: Compute attention without storing its scores; needed for a `kv_type`
            other than f16. On a CPU with f16, a token that is evaluated alone then gets other
            logits from another number of threads, since its cells are split between them, unless
            `keep_cells_whole` says otherwise.
        adapter: Changes the model for this context.
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
        self._model = model
        self.handle = lib.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise LoadError(first_error())
        self.n_ctx = int(lib.llama_n_ctx(self.handle))
        self.n_batch = int(lib.llama_n_batch(self.handle))
        self.n_vocab = model.vocab.size
        self.kv_type = kv_type
        self.flash_attention = flash_attention
        self.n_outputs = size.n_outputs
        self.n_sequences = size.n_sequences
        self._memory = lib.llama_get_memory(self.handle)
        if not self._memory:
            lib.llama_free(self.handle)
            raise LoadError("it is not a model that generates text")
        self._batch = Batch(self.n_batch)
        self._layers = model.n_layer
        self._flag: AbortFlag | None = None
        self._progress: BatchProgress | None = None
        self._whole_cells: WholeCells | None = None
        self._rows = 0
        self._row: npt.NDArray[np.float32] | None = None
        self._row_address = 0
        if adapter:
            try:
                put_on(self.handle, adapter)
            except LoadError:
                self.close()
                raise

    def close(self) -> None:
        """Free the batch and the context; the samplers that use it must be gone."""
        if self.handle:
            self._batch.close()
            lib.llama_free(self.handle)
            self.handle = None

    # -- evaluation -----------------------------------------------------------------

    def decode(self, tokens: Sequence[int], position: int, sequence: int) -> None:
        """Evaluate up to `n_batch` tokens of one sequence, with logits for the last.

        Raises:
            NoSlot: The cache is full.
            Aborted: The abort flag was set.
            DecodeError: Anything else.
        """
        self.evaluate([BatchPart(tokens, position, sequence, 1)])

    def decode_all(
        self, tokens: Sequence[int], position: int, sequence: int, silent: int = 0
    ) -> None:
        """Evaluate tokens of one sequence, with logits for all but the first `silent` ones.

        Up to `n_outputs` tokens get logits.

        Raises:
            NoSlot, Aborted, DecodeError: As `decode`.
        """
        self.evaluate([BatchPart(tokens, position, sequence, len(tokens) - silent)])

    def evaluate(self, parts: Sequence[BatchPart]) -> None:
        """Evaluate tokens of one or more sequences, together up to `n_batch` of them.

        Their rows of logits follow each other as the parts do (`rows`). Up to `n_outputs` tokens
        get logits.

        Raises:
            NoSlot, Aborted, DecodeError: As `decode`.
        """
        rows = 0
        self._batch.clear()
        for part in parts:
            self._check_sequence(part.sequence)
            self._check_tokens(part.tokens)
            rows += part.rows
            self._batch.add(part)
        if rows > self.n_outputs:
            raise DecodeError(f"{rows} outputs")
        self._run(rows)

    def _check_tokens(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            if not 0 <= token < self.n_vocab:
                raise DecodeError(f"token {token} is not in the vocabulary")

    def _run(self, rows: int) -> None:
        self._rows = 0
        if not self._batch.length:
            raise DecodeError("a batch of 0 tokens")
        if self._whole_cells is not None:
            self._whole_cells.switch(self._batch.length)
        if self._progress is not None:
            self._progress.begin()
        status = lib.llama_decode(self.handle, self._batch.native)
        if self._progress is not None:
            self._progress.end(whole=status == 0)
        if status == 0:
            self._rows = rows
        elif status == 1:
            raise NoSlot
        elif status == 2:
            raise Aborted
        else:
            raise DecodeError(f"llama_decode returned {status}")

    def logits(self) -> npt.NDArray[np.float32]:
        """Logits of the last token: shape (n_vocab,), a view that the next decode changes."""
        pointer = lib.llama_get_logits_ith(self.handle, -1) if self._rows else None
        if not pointer:
            raise DecodeError("there are no logits")
        address = ctypes.addressof(pointer.contents)
        # Making the view takes longer than finding the likeliest token in it.
        if self._row is None or address != self._row_address:
            import numpy as np

            self._row = np.ctypeslib.as_array(pointer, shape=(self.n_vocab,))
            self._row_address = address
        return self._row

    def all_logits(self) -> npt.NDArray[np.float32]:
        """Rows of the last evaluation: (rows, n_vocab), a view that the next one changes."""
        import numpy as np

        pointer = lib.llama_get_logits(self.handle) if self._rows else None
        if not pointer:
            raise DecodeError("there are no logits")
        return np.ctypeslib.as_array(pointer, shape=(self._rows, self.n_vocab))

    def set_threads(self, threads: int) -> None:
        """Use `threads` threads from the next call on."""
        lib.llama_set_n_threads(self.handle, threads, threads)

    def keep_cells_whole(self) -> bool:
        """Have the logits of a token that is evaluated alone not depend on the number of threads.

        For flash attention on a CPU; False where the library can't be told to.
        """
        switch = WholeCells(self.handle)
        if switch.found:
            self._whole_cells = switch
        return switch.found

    def set_abort_flag(self, flag: AbortFlag) -> None:
        """Let `flag` stop a running `decode` where the platform allows it."""
        self._flag = flag
        self._progress = BatchProgress(flag, self._layers)
        self._poll = lib.ggml_abort_callback(self._progress.poll)
        lib.llama_set_abort_callback(self.handle, flag.callback or _NEVER, flag.address)

    @contextlib.contextmanager
    def telling(self, listener: Callable[[int], None]) -> Generator[None, None, None]:
        """While this lasts, tell now and then how many tokens of a running batch are done.

        What `listener` raises ends the evaluation and is raised by `decode`. The flag has to be set
        before.
        """
        assert self._flag is not None
        assert self._progress is not None
        self._progress.listen(lambda share: listener(int(share * self._batch.length)))
        lib.llama_set_abort_callback(self.handle, self._poll, None)
        try:
            yield
        finally:
            self._progress.listen(None)
            lib.llama_set_abort_callback(
                self.handle, self._flag.callback or _NEVER, self._flag.address
            )

    # -- memory (see kv.py for when each may be called) -------------------------------

    def clear(self) -> None:
        """Empty every sequence, and the cells' content too."""
        lib.llama_memory_clear(self._memory, True)
        self._rows = 0

    def remove(self, sequence: int, start: int, end: int) -> bool:
        """Remove positions [start, end) of a sequence (end -1: to the end)."""
        self._check_sequence(sequence)
        return bool(lib.llama_memory_seq_rm(self._memory, sequence, start, end))

    def copy(self, source: int, target: int, end: int) -> None:
        """Share positions [0, end) of `source` with `target` (end -1: all of it)."""
        self._check_sequence(source)
        self._check_sequence(target)
        lib.llama_memory_seq_cp(self._memory, source, target, -1 if end < 0 else 0, end)

    def shift(self, sequence: int, start: int, delta: int) -> None:
        """Move the positions from `start` on by `delta`."""
        self._check_sequence(sequence)
        lib.llama_memory_seq_add(self._memory, sequence, start, -1, delta)

    @property
    def can_shift(self) -> bool:
        """Whether positions can be moved at all."""
        return bool(lib.llama_memory_can_shift(self._memory))

    def first_position(self, sequence: int) -> int:
        """The smallest position in the memory, -1 for an empty sequence."""
        self._check_sequence(sequence)
        return int(lib.llama_memory_seq_pos_min(self._memory, sequence))

    def last_position(self, sequence: int) -> int:
        """The largest position in the memory, -1 for an empty sequence."""
        self._check_sequence(sequence)
        return int(lib.llama_memory_seq_pos_max(self._memory, sequence))

    # -- state ----------------------------------------------------------------------

    def save_sequence(self, sequence: int) -> bytearray:
        """A sequence's KV state. Meaningful only to the same model, build and context settings."""
        self._check_sequence(sequence)
        size = int(lib.llama_state_seq_get_size(self.handle, sequence))
        state = bytearray(size)
        view = (ctypes.c_uint8 * size).from_buffer(state)
        written = int(lib.llama_state_seq_get_data(self.handle, view, size, sequence))
        if written != size:
            raise DecodeError("the state can't be saved")
        return state

    def restore_sequence(self, sequence: int, state: bytearray) -> bool:
        """Put back what `save_sequence` gave; False (and an empty memory) where it does not fit.

        The bytes must have been verified: the library aborts on a truncated state and
        takes a damaged one silently.
        """
        self._check_sequence(sequence)
        view = (ctypes.c_uint8 * len(state)).from_buffer(state)
        read = int(lib.llama_state_seq_set_data(self.handle, view, len(state), sequence))
        if read != len(state):
            self.clear()
            return False
        return True

    def _check_sequence(self, sequence: int) -> None:
        if not 0 <= sequence < self.n_sequences:
            raise DecodeError(f"sequence {sequence} does not exist")
