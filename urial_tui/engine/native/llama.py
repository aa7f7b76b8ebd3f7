"""The native library, and what it reads from files: models, vocabularies, adapters.

The only module that imports `llama_cpp`; `context` and `sampling` wrap the rest of it
through `lib`. Every call whose arguments could make the library abort or crash the process
is checked in these wrappers first (ids, sequence numbers, batch sizes, NULL pointers), so
that the rest of the worker can be written without fear. One thread makes all calls, but for
the evaluations that `forcing` makes at the same time, in contexts of their own, and for a
vocabulary that is read while another model loads. What is created is freed in the order
sampler, context, adapter, model.
"""

from __future__ import annotations

import collections
import ctypes
import importlib.util
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from urial_tui.engine.native.huge_pages import MappedWeights
from urial_tui.engine.wire.worker_log import WARNING


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

_TOKEN_TYPES = ((8, 3), (16, 4), (32, 6), (1, 2), (2, 5))
"""(bit of enum llama_token_attr, GGUF token type); everything else is normal."""

_WARNING, _ERROR, _CONTINUED = 3, 4, 5
"""Levels of a line of the log (ggml.h, enum ggml_log_level); the last one: of the line before."""

_ASSIGNED = re.compile(rb"load_tensors: layer +\d+ assigned to device ([^,\s]+)")
"""What the library says of each layer, at a level that is shown nowhere."""

_MOST_DRY = 16
"""Settings of DRY samplers that a vocabulary keeps one of; more are in use in sweeps alone."""

_last_errors: list[str] = []
_last_warnings: list[str] = []
_last_level = 0
_assigned: list[str] = []
"""The device of each layer of the model that was loaded last."""


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _log(level: int, text: bytes, _user_data: object) -> None:
    """Library output goes to fd 2 (the worker's log file); errors are also kept for messages."""
    global _last_level
    if level == _CONTINUED:
        level, mark = _last_level, ""
    else:
        _last_level, mark = level, WARNING if level == _WARNING else ""
    if level not in (_WARNING, _ERROR):
        if found := _ASSIGNED.match(text):
            _assigned.append(found[1].decode("utf-8", "replace"))
        return
    line = text.decode("utf-8", "replace")
    sys.stderr.write(mark + line)
    kept = _last_errors if level == _ERROR else _last_warnings
    kept.append(line.strip())
    del kept[:-20]


def initialise() -> None:
    """Install the log callback, then start the back ends. Once per process."""
    lib.llama_log_set(_log, None)
    lib.llama_backend_init()


def forget_errors() -> None:
    """Start listening for the errors and warnings of the next call."""
    _last_errors.clear()
    _last_warnings.clear()


def first_error() -> str:
    """The first error that the library reported since `forget_errors`."""
    return _last_errors[0] if _last_errors else "no reason given"


def warnings() -> tuple[str, ...]:
    """What the library warned of since `forget_errors`."""
    return tuple(_last_warnings)


def system_info() -> str:
    """What the library was built for (instruction sets, back ends)."""
    return str(lib.llama_print_system_info().decode("utf-8", "replace"))


def library_files() -> list[Path]:
    """The native library's files; what they hold is one build of it."""
    try:
        beside = Path(lib._lib._name).resolve().parent.iterdir()
        named = [path for path in beside if "ggml" in path.name or "llama" in path.name]
    except (AttributeError, OSError):
        return []
    # Most have several names.
    return sorted({path.resolve() for path in named if path.is_file()})


class LoadError(Exception):
    """The library refused a file; `str` is its own reason."""


class LoadCancelled(Exception):
    """The progress callback said stop."""


class DrySettings(NamedTuple):
    """What makes a DRY sampler; texts in `breakers` interrupt a repetition, `last_n` in tokens."""

    multiplier: float
    base: float
    allowed_length: int
    last_n: int
    breakers: tuple[bytes, ...]


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
        self.bos_text = self._special_text(bos)
        self.eos_text = self._special_text(int(lib.llama_vocab_eos(self._handle)))
        self._eog = (
            frozenset(
                token for token in range(self.size) if lib.llama_vocab_is_eog(self._handle, token)
            )
            if self.size <= 4096
            else None
        )
        self._pieces: dict[int, bytes] = {}
        self._dry: dict[DrySettings, Any] = {}
        """Samplers that were told nothing, those that were made last behind the others."""
        self._anchor = self._find_anchor()
        self.around = self._find_around()
        """What stands before and behind a whole text of which a vector is made."""

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

    def token_type(self, token: int) -> int:
        """The kind of a token as GGUF numbers it: 1 normal, 2 unknown, 3 control,
        4 user-defined, 5 unused, 6 byte.
        """
        if not 0 <= token < self.size:
            return 2
        attributes = int(lib.llama_vocab_get_attr(self._handle, token))
        return next((kind for bit, kind in _TOKEN_TYPES if attributes & bit), 1)

    def read_all(self) -> tuple[list[bytes], list[int]]:
        """The bytes of every token, control tokens' names included, and their types.

        A call a token is most of the time of reading a large vocabulary, so this does no
        more than that, and remembers nothing.

        Returns:
            The bytes, and the types of GGUF, one a token.
        """
        size = 64
        buffer = ctypes.create_string_buffer(size)
        to_piece, attributes, handle = (
            lib.llama_token_to_piece,
            lib.llama_vocab_get_attr,
            self._handle,
        )
        pieces: list[bytes] = []
        types: list[int] = []
        type_of: dict[int, int] = {}
        for token in range(self.size):
            length = to_piece(handle, token, buffer, size, 0, True)
            pieces.append(buffer.raw[:length] if length >= 0 else self._read_piece(token, True))
            bits = attributes(handle, token)
            if bits not in type_of:
                type_of[bits] = self.token_type(token)
            types.append(type_of[bits])
        return pieces, types

    def dry_sampler(self, settings: DrySettings) -> Any:
        """A new DRY sampler, the caller's; NULL where the library makes none of these settings.

        It looks through the whole vocabulary for what interrupts a repetition, which takes 0.1 s
        at 262,144 tokens; the next one of the same settings is a copy.
        """
        if settings not in self._dry:
            if len(self._dry) == _MOST_DRY:
                self._free_dry(next(iter(self._dry)))
            breakers = (ctypes.c_char_p * len(settings.breakers))(*settings.breakers)
            made = lib.llama_sampler_init_dry(
                self._handle, *settings[:-1], breakers, len(settings.breakers)
            )
            if not made:
                return made
            self._dry[settings] = made
        return lib.llama_sampler_clone(self._dry[settings])

    def close(self) -> None:
        """Free what is kept of samplers."""
        for settings in list(self._dry):
            self._free_dry(settings)

    def _free_dry(self, settings: DrySettings) -> None:
        lib.llama_sampler_free(self._dry.pop(settings))

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

    def _special_text(self, token: int) -> str:
        return self._read_piece(token, True).decode("utf-8", "replace")

    def _find_anchor(self) -> tuple[int, ...]:
        """Ids of a newline behind the automatic space, where the vocabulary adds one."""
        probe = self._tokenize(b"a", False)
        if not probe or not self.piece(probe[0]).startswith(b" "):
            return ()
        return tuple(self._tokenize(b"\n", False))

    def _find_around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids that the vocabulary puts around a text, as CLS and SEP, or BOS and EOS."""
        bare, whole = self._tokenize(b"a", False), self._tokenize(b"a", False, around=True)
        for start in range(len(whole) - len(bare) + 1):
            end = start + len(bare)
            if whole[start:end] == bare:
                return tuple(whole[:start]), tuple(whole[end:])
        return self.bos, ()

    def _tokenize(self, data: bytes, special: bool, *, around: bool = False) -> list[int]:
        # Never more tokens than bytes, but for an added space and what stands around.
        capacity = len(data) + 8
        ids = (lib.llama_token * capacity)()
        count = lib.llama_tokenize(self._handle, data, len(data), ids, capacity, around, special)
        if count < 0:
            ids = (lib.llama_token * -count)()
            count = lib.llama_tokenize(self._handle, data, len(data), ids, -count, around, special)
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


class NativeModel:
    """A GGUF file in memory, freed when the last of its users closes it.

    Args:
        path: The file.
        gpu_layers: How many layers are put on devices beside the processor.
        progress: Told the share that was read; returns whether to go on.
        devices: Those devices (`devices.chosen`); None leaves the choice to the library.

    Raises:
        LoadError: The library refused the file.
        LoadCancelled: `progress` returned False.
    """

    def __init__(
        self,
        path: str,
        *,
        gpu_layers: int,
        progress: Callable[[float], bool],
        devices: Any = None,
    ) -> None:
        forget_errors()
        _assigned.clear()
        params = lib.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        if devices is not None:
            params.devices = ctypes.cast(devices, ctypes.c_void_p)
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
        if not self.handle:
            if cancelled:
                raise LoadCancelled
            raise LoadError(first_error())
        if not self._generates_text:
            lib.llama_model_free(self.handle)
            raise LoadError("it is not a model that continues text")
        self.path = path
        self.gpu_layers = gpu_layers
        self.placement = dict(collections.Counter(_assigned))
        """How many layers each device holds, by the device's name."""
        self._users = 1
        self.vocab = Vocab(self.handle)
        self.weights = MappedWeights(path)
        """What of the file can be moved to huge pages while nothing is evaluated."""

    def share(self) -> NativeModel:
        """Count one more user of these weights."""
        self._users += 1
        return self

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
        """Context length in training, in tokens; 0 where the file's is none."""
        return max(0, int(lib.llama_model_n_ctx_train(self.handle)))

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
    def chat_template(self) -> str:
        """The chat template that the file holds (Jinja source), "" if none."""
        template = lib.llama_model_chat_template(self.handle, None)
        return template.decode("utf-8", "replace") if template else ""

    @property
    def _generates_text(self) -> bool:
        """Whether this is a decoder that needs no encoder."""
        return bool(lib.llama_model_has_decoder(self.handle)) and not bool(
            lib.llama_model_has_encoder(self.handle)
        )

    def close(self) -> None:
        """Give the model back; the last user's contexts and adapters must be gone."""
        self._users -= 1
        if self.handle and self._users == 0:
            self.vocab.close()
            lib.llama_model_free(self.handle)
            self.handle = None


class Adapter:
    """A LoRA adapter in memory, for contexts over one model.

    Raises:
        LoadError: The file is no adapter for this model.
    """

    def __init__(self, model: NativeModel, path: str, scale: float) -> None:
        forget_errors()
        self.scale = scale
        self.handle = lib.llama_adapter_lora_init(
            model.handle, path.encode("utf-8", "surrogateescape")
        )
        if not self.handle:
            raise LoadError(first_error())

    def close(self) -> None:
        """Free the adapter; the contexts that use it must be gone."""
        if self.handle:
            lib.llama_adapter_lora_free(self.handle)
            self.handle = None
