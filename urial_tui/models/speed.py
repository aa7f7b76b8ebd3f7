"""How fast a model will write, by what `urial bench` and answers have measured on this machine.

Decoding is bound by the memory: the bytes that a token reads (weights, and the KV cache of all
tokens before it) divide the bytes a second that decoding was seen to read. What was measured of
that very model takes the place of the estimate. Each holds only for the setup that it was measured
with (`speed_setup`). Where nothing was measured, nothing is said.
"""

from __future__ import annotations

import hashlib
import math
import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from urial_tui import paths
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import UrialError
from urial_tui.files import make_directory, read_bytes, replacing
from urial_tui.models.gguf_file import Bytes
from urial_tui.models.header import model_parts, open_model
from urial_tui.models.speed_setup import model_setup, setup_of

_MAX_BYTES = 4 * 1024 * 1024
_MOST_MODELS = 1000
_MOST_MEMORIES = 32
_MARK_BYTES = 64 * 1024
_ANSWERS = 9
"""Of the last so many the median counts, so that one beside other work does not."""

_NUMBER = r"(\d{1,4}(?:\.\d{1,3})?)"
_ACTIVE = re.compile(rf"(?<![\w.]){_NUMBER}b-a{_NUMBER}([bm])(?![a-z0-9])", re.IGNORECASE)
_EXPERTS = re.compile(
    rf"(?<![\w.])\d{{1,3}}x{_NUMBER}b(?![a-z0-9])|(?<![a-z])(?:ol)?moe(?![a-z])", re.IGNORECASE
)


class ModelSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of a model. Tokens a second, behind an empty context and a preamble.

    `answers`: of the last answers in chats, the newest last.
    """

    name: str
    empty: float | None = None
    preamble: float | None = None
    answers: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        """By `urial bench`, else the median of answers."""
        return self.empty if self.empty is not None else statistics.median(self.answers)

    @property
    def is_sound(self) -> bool:
        """Whether there is a number at all, and none that is impossible."""
        told = [one for one in (self.empty, self.preamble, *self.answers) if one is not None]
        return bool(self.empty is not None or self.answers) and all(map(_is_speed, told))


class MemorySpeed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of this machine's memory, bytes a second.

    `read`: by numpy, which does nothing else. `decoding`: of weights, while the model `name` wrote.
    """

    name: str
    read: float
    decoding: float


class Speeds(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a setup: of the memory, and of models by their `model_mark`."""

    memory: MemorySpeed | None = None
    models: Mapping[str, ModelSpeed] = {}


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The file: of memories by their setup, and of models by their mark and setup."""

    memories: Mapping[str, MemorySpeed] = {}
    models: Mapping[str, ModelSpeed] = {}


class ExpectedSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a model will write, tokens a second.

    `empty`: at the start of a context. `full`: at its end, None where that is not known. `how`: a
    measurement of that very model, or an estimate. `by`: the model that was measured.
    `bytes_per_token`: what a token at the start of a context reads; None where that is not known.
    """

    how: Literal["measured", "estimated"]
    empty: float
    full: float | None
    by: str
    bytes_per_token: int | None


def model_mark(file: Bytes, size: int) -> str:
    """What tells a model from others without reading all of it.

    Args:
        file: Its first file.
        size: Bytes of all of its files.
    """
    file.seek(0)
    start = file.read(_MARK_BYTES)[:_MARK_BYTES]
    return f"{hashlib.sha256(start).hexdigest()[:32]}-{size}"


def mark_of(path: Path) -> str:
    """The `model_mark` of a model on this machine.

    Raises:
        ModelError: The file is no model, not the first part, or a part is missing.
        OSError: It can't be read.
    """
    size = sum(part.size for part in model_parts(path))
    with open_model(path) as file:
        return model_mark(file, size)


def load_speeds(options: EngineOptions, path: Path | None = None) -> Speeds:
    """What was measured with these options on this machine; nothing where the file is missing,
    damaged or holds impossible numbers.
    """
    kept, end = _kept(path or paths.speeds_file()), _end(options)
    return Speeds(
        memory=kept.memories.get(setup_of(options)),
        models={
            mark.removesuffix(end): model
            for mark, model in kept.models.items()
            if mark.endswith(end)
        },
    )


def remember(
    options: EngineOptions,
    mark: str,
    model: ModelSpeed,
    memory: MemorySpeed | None,
    path: Path | None = None,
) -> None:
    """Keep what was measured, in place of what was known of that model and of the memory.

    Args:
        options: How it was loaded.
        mark: The model's.
        model: Of the model; answers that are known of it stay.
        memory: Of the memory, if that was measured.
        path: Of the file, unless it is the user's.

    Raises:
        OSError: It can't be written.
    """
    path, key = path or paths.speeds_file(), mark + _end(options)
    kept = _kept(path)
    before = kept.models.get(key)
    if before is not None and not model.answers:
        model = msgspec.structs.replace(model, answers=before.answers)
    memories = kept.memories
    if memory is not None:
        memories = _with(memories, setup_of(options), memory, _MOST_MEMORIES)
    models = _with(kept.models, key, model, _MOST_MODELS)
    make_directory(path.parent)
    with replacing(path) as file:
        encoded = msgspec.json.encode(_Kept(memories=memories, models=models))
        file.write(msgspec.json.format(encoded) + b"\n")


def remember_answer(path: Path, options: EngineOptions, rate: float) -> None:
    """Keep how fast an answer was written; nothing is said where that can't be.

    Args:
        path: The model's file.
        options: How it was loaded.
        rate: Tokens a second.
    """
    if not _is_speed(rate):
        return
    try:
        mark = mark_of(path)
        before = load_speeds(options).models.get(mark) or ModelSpeed(name=path.name)
        answers = (*before.answers, rate)[-_ANSWERS:]
        remember(options, mark, msgspec.structs.replace(before, answers=answers), None)
    except (OSError, UrialError):
        # It is measured again with the next one.
        return


def expected_speed(
    speeds: Speeds, mark: str, weights: int | None, cache: int
) -> ExpectedSpeed | None:
    """What to expect of a model; None where nothing was measured that tells.

    Args:
        speeds: What was measured.
        mark: The model's.
        weights: Bytes of weights that a token reads; None where that is not known.
        cache: Bytes of a full context's KV cache.
    """
    measured = speeds.models.get(mark)
    if measured is not None:
        return ExpectedSpeed(
            how="measured",
            empty=measured.rate,
            full=None,
            by=measured.name,
            bytes_per_token=weights,
        )
    memory = speeds.memory
    if memory is None or not weights:
        return None
    return ExpectedSpeed(
        how="estimated",
        empty=memory.decoding / weights,
        full=memory.decoding / (weights + max(0, cache)),
        by=memory.name,
        bytes_per_token=weights,
    )


def weights_read(size: int, name: str) -> int | None:
    """Bytes of weights that a token reads of a file that is not here, by a name that tells.

    A name such as 30B-A3B tells that of a mixture of experts; None for one such as 8x7B, which
    tells that it is one, and not what a token reads. All of the file where it tells neither.

    Args:
        size: Bytes of the file.
        name: Of the model, its repository or its file.
    """
    if found := _ACTIVE.search(name):
        whole, active = float(found[1]), float(found[2])
        active /= 1000 if found[3] in "mM" else 1
        return round(size * active / whole) if 0 < active < whole else size
    return None if _EXPERTS.search(name) else size


V = TypeVar("V")


def _with(known: Mapping[str, V], key: str, value: V, most: int) -> dict[str, V]:
    """With another value, which is the newest, and without the oldest beyond so many."""
    others = [(name, one) for name, one in known.items() if name != key]
    return dict([*others[1 - most :], (key, value)])


def _end(options: EngineOptions) -> str:
    """What stands behind the mark of a model that was measured with these options."""
    return f" {model_setup(options)}"


def _kept(path: Path) -> _Kept:
    try:
        found = msgspec.json.decode(read_bytes(path, _MAX_BYTES), type=_Kept)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Kept()
    return _Kept(
        memories={
            setup: memory
            for setup, memory in found.memories.items()
            if _is_speed(memory.read) and _is_speed(memory.decoding)
        },
        models={key: model for key, model in found.models.items() if model.is_sound},
    )


def _is_speed(value: float) -> bool:
    return math.isfinite(value) and value > 0
