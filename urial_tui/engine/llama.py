"""The native library, wrapped: the only module that imports `llama_cpp`.

Every call whose arguments could make the library abort or crash the process is checked
here first (engine rules: ids, sequence numbers, batch sizes, NULL pointers), so that the
rest of the worker can be written without fear. One thread makes all calls. What is
created is freed in the order sampler, context, adapter, model.
"""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import sys
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_SEQUENCES = 8
"""Sequences of a context: the pinned preamble and the conversations that fork from it."""

KV_TYPES: dict[str, int] = {"f16": 1, "q8_0": 8, "q4_0": 2}
"""ggml_type numbers (ggml.h)."""


def _import_bindings() -> Any:
    """`llama_cpp.llama_cpp` without the package's `__init__`.

    The package imports its high-level `Llama` class, numpy, Jinja and a disk cache, which
    takes three quarters of the import time (0.17 s against 0.04 s) and is not used here.
    """
    name = "llama_cpp"
    if name not in sys.modules:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.submodule_search_locations is None:
            raise ImportError("llama-cpp-python is not installed")
        package = types.ModuleType(name)
        package.__path__ = list(spec.submodule_search_locations)
        package.__spec__ = spec
        sys.modules[name] = package
    return importlib.import_module("llama_cpp.llama_cpp")


lib = _import_bindings()

_LOG_LEVELS = {1: "debug", 2: "info", 3: "warning", 4: "error"}
_last_errors: list[str] = []


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _log(level: int, text: bytes, _user_data: object) -> None:
    """Library output goes to fd 2 (the worker's log file); errors are also kept for messages."""
    if level in (3, 4, 5):
        line = text.decode("utf-8", "replace")
        sys.stderr.write(line)
        if level == 4:
            _last_errors.append(line.strip())
            del _last_errors[:-20]


def initialise() -> None:
    """Install the log callback, then start the back ends. Once per process."""
    lib.llama_log_set(_log, None)
    lib.llama_backend_init()


def last_errors() -> tuple[str, ...]:
    """The library's latest error lines, oldest first."""
    return tuple(_last_errors)


def system_info() -> str:
    """What the library was built for (instruction sets, back ends)."""
    return str(lib.llama_print_system_info().decode("utf-8", "replace"))


def supports_gpu_offload() -> bool:
    """Whether the build has a back end that can hold layers."""
    return bool(lib.llama_supports_gpu_offload())


def devices() -> list[tuple[str, str, str, int]]:
    """(name, description, kind, total memory in bytes) of each device the library sees."""
    try:
        from ctypes import c_char_p, c_int, c_size_t, c_void_p

        ggml = importlib.import_module("llama_cpp._ggml").libggml
        ggml.ggml_backend_dev_count.restype = c_size_t
        ggml.ggml_backend_dev_get.restype = c_void_p
        ggml.ggml_backend_dev_get.argtypes = [c_size_t]
        for function in (ggml.ggml_backend_dev_name, ggml.ggml_backend_dev_description):
            function.restype, function.argtypes = c_char_p, [c_void_p]
        ggml.ggml_backend_dev_type.restype = c_int
        ggml.ggml_backend_dev_type.argtypes = [c_void_p]
        ggml.ggml_backend_dev_memory.restype = None
        ggml.ggml_backend_dev_memory.argtypes = [
            c_void_p,
            ctypes.POINTER(c_size_t),
            ctypes.POINTER(c_size_t),
        ]
        kinds = {0: "cpu", 1: "gpu", 2: "integrated-gpu", 3: "accelerator"}
        found = []
        for index in range(ggml.ggml_backend_dev_count()):
            device = ggml.ggml_backend_dev_get(index)
            free, total = c_size_t(0), c_size_t(0)
            ggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
            found.append(
                (
                    (ggml.ggml_backend_dev_name(device) or b"").decode("utf-8", "replace"),
                    (ggml.ggml_backend_dev_description(device) or b"").decode("utf-8", "replace"),
                    kinds.get(ggml.ggml_backend_dev_type(device), "other"),
                    int(total.value),
                )
            )
    except (AttributeError, OSError, ImportError, FileNotFoundError):
        return []
    return found


class LoadError(Exception):
    """The library refused a file; `str` is its own reason."""


class LoadCancelled(Exception):
    """The progress callback said stop."""


class Vocab:
    """The vocabulary of a model: text to ids and ids to bytes."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._handle = lib.llama_model_get_vocab(model)
        self.size: int = int(lib.llama_vocab_n_tokens(self._handle))
        bos = int(lib.llama_vocab_bos(self._handle))
        self.bos: tuple[int, ...] = (
            (bos,) if lib.llama_vocab_get_add_bos(self._handle) and 0 <= bos < self.size else ()
        )
        """What a context starts with: the BOS token where the vocabulary wants one."""
        self._eog = (
            frozenset(
                token for token in range(self.size) if lib.llama_vocab_is_eog(self._handle, token)
            )
            if self.size <= 4096
            else None
        )
        self._pieces: dict[int, bytes] = {}
        self._anchor = self._find_anchor()

    @property
    def handle(self) -> Any:
        """The native pointer, for samplers."""
        return self._handle

    def is_eog(self, token: int) -> bool:
        """Whether a token ends the generation."""
        if self._eog is not None:
            return token in self._eog
        return 0 <= token < self.size and bool(lib.llama_vocab_is_eog(self._handle, token))

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of a token; control tokens are empty unless `special`."""
        key = token if not special else ~token
        piece = self._pieces.get(key)
        if piece is None:
            piece = self._pieces[key] = self._read_piece(token, special)
        return piece

    def tokenize(self, text: str, *, special: bool = False, start: bool = False) -> list[int]:
        """Token ids of `text`, without BOS; `start`: nothing stands in front of it.

        Control tokens typed in the text are parsed only where `special`. SentencePiece
        vocabularies put a space in front of a text's first word: that is right only at
        the start, so elsewhere the text is tokenised behind a newline that is cut again.
        """
        data = text.encode("utf-8", "replace")
        if start or not self._anchor or not data:
            return self._tokenize(data, special)
        ids = self._tokenize(b"\n" + data, special)
        if tuple(ids[: len(self._anchor)]) == self._anchor:
            return ids[len(self._anchor) :]
        return self._tokenize(data, special)

    def _find_anchor(self) -> tuple[int, ...]:
        """Ids of a newline behind the automatic space, where the vocabulary adds one."""
        probe = self._tokenize(b"a", False)
        if not probe or not self.piece(probe[0]).startswith(b" "):
            return ()
        return tuple(self._tokenize(b"\n", False))

    def _tokenize(self, data: bytes, special: bool) -> list[int]:
        # Never more tokens than bytes, but for an added space.
        capacity = len(data) + 8
        ids = (lib.llama_token * capacity)()
        count = lib.llama_tokenize(self._handle, data, len(data), ids, capacity, False, special)
        if count < 0:
            ids = (lib.llama_token * -count)()
            count = lib.llama_tokenize(self._handle, data, len(data), ids, -count, False, special)
        return list(ids[: max(count, 0)])

    def _read_piece(self, token: int, special: bool) -> bytes:
        if not 0 <= token < self.size:  # the library aborts on these
            return b""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = lib.llama_token_to_piece(self._handle, token, buffer, size, 0, special)
            if length >= 0:
                return buffer.raw[:length]
            size = -length


class Model:
    """A GGUF file in memory, with at most one LoRA adapter.

    Raises:
        LoadError: The library refused the file.
        LoadCancelled: `progress` returned False.
    """

    def __init__(self, path: str, *, gpu_layers: int, progress: Callable[[float], bool]) -> None:
        _last_errors.clear()
        params = lib.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        cancelled = False

        @lib.llama_progress_callback  # type: ignore[untyped-decorator]
        def report(fraction: float, _user_data: object) -> bool:
            nonlocal cancelled
            cancelled = cancelled or not progress(fraction)
            return not cancelled

        params.progress_callback = report
        self.handle = lib.llama_model_load_from_file(
            path.encode("utf-8", "surrogateescape"), params
        )
        self.adapter: Any = None
        if not self.handle:
            if cancelled:
                raise LoadCancelled
            raise LoadError(_last_errors[0] if _last_errors else "no reason given")
        self.vocab = Vocab(self.handle)

    def load_adapter(self, path: str) -> None:
        """Load a LoRA adapter for contexts made from now on.

        Raises:
            LoadError: The file is no adapter for this model.
        """
        _last_errors.clear()
        adapter = lib.llama_adapter_lora_init(self.handle, path.encode("utf-8", "surrogateescape"))
        if not adapter:
            raise LoadError(_last_errors[0] if _last_errors else "no reason given")
        self.adapter = adapter

    def metadata(self, key: str) -> str:
        """A metadata value as text, "" if absent."""
        buffer = ctypes.create_string_buffer(4096)
        length = lib.llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if length >= 0 else ""

    @property
    def description(self) -> str:
        """Architecture, size and quantisation, as the library puts it."""
        buffer = ctypes.create_string_buffer(256)
        lib.llama_model_desc(self.handle, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return int(lib.llama_model_size(self.handle))

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return int(lib.llama_model_n_params(self.handle))

    @property
    def n_ctx_train(self) -> int:
        """Context length in training, in tokens."""
        return int(lib.llama_model_n_ctx_train(self.handle))

    @property
    def n_layer(self) -> int:
        """Number of layers."""
        return int(lib.llama_model_n_layer(self.handle))

    @property
    def n_swa(self) -> int:
        """Length of the sliding window in tokens, 0 without one."""
        return int(lib.llama_model_n_swa(self.handle))

    @property
    def memory_kind(self) -> Literal["attention", "sliding-window", "recurrent", "hybrid"]:
        """What can be done with the context's memory (see `kv`)."""
        if lib.llama_model_is_hybrid(self.handle):
            return "hybrid"
        if lib.llama_model_is_recurrent(self.handle):
            return "recurrent"
        return "sliding-window" if self.n_swa > 0 else "attention"

    @property
    def has_chat_template(self) -> bool:
        """Whether the file holds a chat template."""
        return bool(lib.llama_model_chat_template(self.handle, None))

    @property
    def can_decode(self) -> bool:
        """Whether this is a decoder that generates text from tokens alone."""
        return bool(lib.llama_model_has_decoder(self.handle)) and not bool(
            lib.llama_model_has_encoder(self.handle)
        )

    def kv_bytes(self, n_ctx: int, kv_type: str) -> int:
        """Upper estimate of the KV cache in bytes: 2 · tokens · layers · KV heads · head size."""
        heads = max(1, int(lib.llama_model_n_head(self.handle)))
        head_size = int(lib.llama_model_n_embd(self.handle)) // heads
        width = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}[kv_type]
        kv_heads = int(lib.llama_model_n_head_kv(self.handle))
        return int(2 * n_ctx * self.n_layer * kv_heads * head_size * width)

    def close(self) -> None:
        """Free adapter and model; contexts must be gone."""
        if self.adapter:
            lib.llama_adapter_lora_free(self.adapter)
            self.adapter = None
        if self.handle:
            lib.llama_model_free(self.handle)
            self.handle = None


class NoSlot(Exception):
    """No room in the KV cache for the batch; nothing was changed."""


class Aborted(Exception):
    """The abort flag stopped an evaluation; read the sequence's length again."""


class DecodeError(Exception):
    """The library failed to evaluate a batch."""


class Context:
    """An evaluation state over a model: KV cache, threads, logits of the last token.

    Sequences share the cells of a unified cache, so a fork costs no memory for what it
    shares. Logits exist for the last token of the last `decode` only.
    """

    def __init__(
        self,
        model: Model,
        *,
        n_ctx: int,
        n_batch: int,
        threads: int,
        kv_type: str,
        adapter_scale: float = 1.0,
    ) -> None:
        _last_errors.clear()
        params = lib.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = params.n_ubatch = min(n_batch, n_ctx)
        params.n_seq_max = MAX_SEQUENCES
        # The logits buffer is reserved for this many rows, not for a whole batch (Gemma:
        # 8 MiB, not 514); fewer than n_seq_max aborts the process.
        params.n_outputs_max = MAX_SEQUENCES
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = 1
        params.type_k = params.type_v = KV_TYPES[kv_type]
        params.swa_full = True
        params.kv_unified = True
        params.no_perf = True
        self._model = model
        self.handle = lib.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise LoadError(_last_errors[-1] if _last_errors else "no reason given")
        self.n_ctx = int(lib.llama_n_ctx(self.handle))
        self.n_batch = int(lib.llama_n_batch(self.handle))
        self.n_vocab = model.vocab.size
        self.kv_type = kv_type
        self._memory = lib.llama_get_memory(self.handle)
        self._batch = lib.llama_batch_init(self.n_batch, 0, 1)
        for index in range(self.n_batch):
            self._batch.n_seq_id[index] = 1
            self._batch.logits[index] = 0
        self._has_logits = False
        if model.adapter:
            adapters = (lib.llama_adapter_lora_p_ctypes * 1)(model.adapter)
            if lib.llama_set_adapters_lora(
                self.handle, adapters, 1, (ctypes.c_float * 1)(adapter_scale)
            ):
                self.close()
                raise LoadError("the adapter can't be applied")

    def close(self) -> None:
        """Free the batch and the context; the samplers that use it must be gone."""
        if self.handle:
            lib.llama_batch_free(self._batch)
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
        count = len(tokens)
        if not 0 < count <= self.n_batch:
            raise DecodeError(f"a batch of {count} tokens")
        self._check_sequence(sequence)
        batch = self._batch
        for index, token in enumerate(tokens):
            if not 0 <= token < self.n_vocab:
                raise DecodeError(f"token {token} is not in the vocabulary")
            batch.token[index] = token
            batch.pos[index] = position + index
            batch.seq_id[index][0] = sequence
        batch.n_tokens = count
        batch.logits[count - 1] = 1
        self._has_logits = False
        status = lib.llama_decode(self.handle, batch)
        batch.logits[count - 1] = 0
        if status == 0:
            self._has_logits = True
        elif status == 1:
            raise NoSlot
        elif status == 2:
            raise Aborted
        else:
            raise DecodeError(f"llama_decode returned {status}")

    def logits(self) -> npt.NDArray[np.float32]:
        """Logits of the last token: shape (n_vocab,), a view that the next decode changes."""
        import numpy as np

        pointer = lib.llama_get_logits_ith(self.handle, -1) if self._has_logits else None
        if not pointer:
            raise DecodeError("there are no logits")
        return np.ctypeslib.as_array(pointer, shape=(self.n_vocab,))

    def set_threads(self, threads: int) -> None:
        """Use `threads` threads from the next call on."""
        lib.llama_set_n_threads(self.handle, threads, threads)

    def set_abort_flag(self, flag: AbortFlag) -> None:
        """Let `flag` stop a running `decode` where the platform allows it."""
        if flag.callback is not None:
            lib.llama_set_abort_callback(self.handle, flag.callback, flag.address)

    # -- memory (see kv.py for when each may be called) -------------------------------

    def clear(self) -> None:
        """Empty every sequence, and the cells' content too."""
        lib.llama_memory_clear(self._memory, True)
        self._has_logits = False

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
        if not 0 <= sequence < MAX_SEQUENCES:
            raise DecodeError(f"sequence {sequence} does not exist")


class AbortFlag:
    """A byte that stops a running evaluation when it is set, from any thread.

    The library polls a callback of type `bool (*)(void *)`. A Python callback would take
    the GIL each time; where the calling convention returns a `size_t` and a `bool` in the
    same register, libc's `strlen` over this buffer does it for free: 0 while the first
    byte is NUL, 1 once it is set. Elsewhere the worker looks between tokens and chunks.
    """

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(2)
        self.address = ctypes.cast(self._buffer, ctypes.c_void_p)
        self.callback: Any = None
        machine = platform.machine().lower()
        if sys.platform in ("linux", "darwin") and machine in (
            "x86_64",
            "amd64",
            "aarch64",
            "arm64",
        ):
            strlen = ctypes.CDLL(None).strlen
            self.callback = ctypes.cast(strlen, lib.ggml_abort_callback)

    def set(self) -> None:
        """Stop what runs and what is started before `clear`."""
        self._buffer[0] = b"\x01"

    def clear(self) -> None:
        """Let evaluations run again."""
        self._buffer[0] = b"\x00"

    @property
    def is_set(self) -> bool:
        """Whether a stop was asked for."""
        return self._buffer[0] != b"\x00"


class SamplerChain:
    """A native sampler chain that ends with a selecting sampler (greedy or dist)."""

    def __init__(self, vocab: Vocab) -> None:
        params = lib.llama_sampler_chain_default_params()
        params.no_perf = True
        self._vocab = vocab
        self._chain = lib.llama_sampler_chain_init(params)
        self._selects = False

    def penalties(self, last_n: int, repeat: float, frequency: float, presence: float) -> None:
        """Repetition, frequency and presence penalties over the last `last_n` accepted tokens."""
        self._add(
            lib.llama_sampler_init_penalties(self._vocab.size, last_n, repeat, frequency, presence)
        )

    def dry(
        self, multiplier: float, base: float, allowed_length: int, last_n: int, n_ctx_train: int
    ) -> None:
        """DRY: penalise tokens that would extend a repeated sequence."""
        breakers = (b"\n", b":", b'"', b"*")
        array = (ctypes.c_char_p * len(breakers))(*breakers)
        self._add(
            lib.llama_sampler_init_dry(
                self._vocab.handle,
                multiplier,
                base,
                allowed_length,
                min(last_n, n_ctx_train),
                array,
                len(breakers),
            )
        )

    def top_k(self, k: int) -> None:
        """Keep the `k` most probable tokens."""
        self._add(lib.llama_sampler_init_top_k(k))

    def top_p(self, p: float) -> None:
        """Keep the fewest tokens whose probabilities add up to `p`."""
        self._add(lib.llama_sampler_init_top_p(p, 1))

    def min_p(self, p: float) -> None:
        """Keep the tokens at least `p` times as probable as the most probable one."""
        self._add(lib.llama_sampler_init_min_p(p, 1))

    def temperature(self, temperature: float) -> None:
        """Divide the logits by `temperature` (> 0)."""
        self._add(lib.llama_sampler_init_temp(temperature))

    def greedy(self) -> None:
        """Select the most probable token."""
        self._add(lib.llama_sampler_init_greedy())
        self._selects = True

    def dist(self, seed: int) -> None:
        """Draw a token by its probability."""
        self._add(lib.llama_sampler_init_dist(seed))
        self._selects = True

    def sample(self, context: Context) -> int:
        """Choose (and accept) the token after the last evaluated one."""
        if not self._selects or not context._has_logits:
            raise DecodeError("nothing to sample from")
        return int(lib.llama_sampler_sample(self._chain, context.handle, -1))

    def accept(self, token: int) -> None:
        """Count a token that was not sampled here (an answer that is continued)."""
        lib.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Free the chain and its samplers."""
        if self._chain:
            lib.llama_sampler_free(self._chain)
            self._chain = None

    def _add(self, sampler: Any) -> None:
        if not sampler:  # the chain would crash on it
            raise DecodeError("a sampler can't be made with these settings")
        lib.llama_sampler_chain_add(self._chain, sampler)
