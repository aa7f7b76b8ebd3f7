"""How fast a model will write, by what `urial bench` has measured on this machine.

Decoding is bound by the memory: the bytes that a token reads (weights, and the KV cache of all
tokens before it) divide the bytes a second that decoding was seen to read. What was measured of
that very model takes the place of the estimate. Where nothing was measured, nothing is said.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from urial_tui import paths
from urial_tui.files import make_directory, read_bytes, replacing
from urial_tui.models.gguf_file import Bytes

_MAX_BYTES = 4 * 1024 * 1024
_MOST_MODELS = 1000
_MARK_BYTES = 64 * 1024

_NUMBER = r"(\d{1,4}(?:\.\d{1,3})?)"
_ACTIVE = re.compile(rf"(?<![\w.]){_NUMBER}b-a{_NUMBER}([bm])(?![a-z0-9])", re.IGNORECASE)
_EXPERTS = re.compile(
    rf"(?<![\w.])\d{{1,3}}x{_NUMBER}b(?![a-z0-9])|(?<![a-z])(?:ol)?moe(?![a-z])", re.IGNORECASE
)


class ModelSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of a model. Tokens a second, behind an empty context and a preamble.

    `gpu_layers`: how many layers were on graphics cards.
    """

    name: str
    empty: float
    preamble: float | None = None
    gpu_layers: int = 0


class MemorySpeed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of this machine's memory, bytes a second.

    `read`: by numpy, which does nothing else. `decoding`: of weights, while the model `name` wrote.
    """

    name: str
    read: float
    decoding: float


class Speeds(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known: of the memory, and of models by their `model_mark`."""

    memory: MemorySpeed | None = None
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


def load_speeds(path: Path | None = None) -> Speeds:
    """What was measured; nothing where the file is missing, damaged or holds impossible numbers."""
    try:
        found = msgspec.json.decode(
            read_bytes(path or paths.speeds_file(), _MAX_BYTES), type=Speeds
        )
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Speeds()
    memory = found.memory
    if memory is not None and not (_is_speed(memory.read) and _is_speed(memory.decoding)):
        memory = None
    models = {
        mark: model
        for mark, model in found.models.items()
        if _is_speed(model.empty) and (model.preamble is None or _is_speed(model.preamble))
    }
    return Speeds(memory=memory, models=models)


def remember(
    mark: str, model: ModelSpeed, memory: MemorySpeed | None, path: Path | None = None
) -> None:
    """Keep what was measured, in place of what was known of that model and of the memory.

    Raises:
        OSError: It can't be written.
    """
    path = path or paths.speeds_file()
    known = load_speeds(path)
    models = {key: value for key, value in known.models.items() if key != mark}
    kept = dict(list(models.items())[1 - _MOST_MODELS :])
    speeds = Speeds(memory=memory or known.memory, models=kept | {mark: model})
    make_directory(path.parent)
    with replacing(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(speeds)) + b"\n")


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
            empty=measured.empty,
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


def _is_speed(value: float) -> bool:
    return math.isfinite(value) and value > 0
