"""Where the library puts the weights of a model: with a layer, with the output, or on the machine.

As `load_tensors` does it (llama.cpp, src/llama-model.cpp): the tables that tokens are looked up in
stay on the machine always; what belongs to a layer goes with it, and all else with the output,
which counts as the layer behind the last. Where the table of embeddings is the output matrix as
well, the output gets a copy of it.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from urial_tui.errors import ModelError
from urial_tui.models.gguf_file import Header
from urial_tui.models.header import header_of, model_parts
from urial_tui.models.kinds import ModelKind

_TABLE = "token_embd.weight"
_LOOKED_UP = {
    _TABLE,
    "per_layer_token_embd.weight",
    "position_embd.weight",
    "token_types.weight",
}
_OUTPUT = "output.weight"
_LAYER = re.compile(r"blk\.(\d{1,5})\.")
_MOST = 0.9
"""Of a file, which its tensors have to make up at least: else they are not what it holds."""


class WeightPlaces(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of weights. `layers`: of each one. `output`: what goes with the output; `copied`: how
    much of that is a copy of what stays on the machine.
    """

    layers: tuple[int, ...]
    output: int
    copied: int


class WeightCount(msgspec.Struct, frozen=True, kw_only=True):
    """The tensors of a header, or of several: elements, and bytes by where they go.

    `table`: of the embeddings. `looked_up`: of all such tables. `has_output`: there is a matrix for
    the output alone. `complete`: the types of all are known.
    """

    parameters: int
    layers: Mapping[int, int]
    output: int
    table: int
    looked_up: int
    has_output: bool
    complete: bool

    def places(self, layers: int, size: int) -> WeightPlaces | None:
        """Where they go in a model with so many layers; None where the header does not tell.

        Args:
            layers: How many it has.
            size: Bytes of all its files.
        """
        counted = sum(self.layers.values()) + self.output + self.looked_up
        if not self.complete or not _MOST * size <= counted <= size:
            return None
        beyond = sum(count for layer, count in self.layers.items() if layer >= layers)
        copied = 0 if self.has_output else self.table
        return WeightPlaces(
            layers=tuple(self.layers.get(layer, 0) for layer in range(layers)),
            output=self.output + beyond + copied,
            copied=copied,
        )


def count_weights(headers: Iterable[Header]) -> WeightCount:
    """Count the tensors of a model by the headers of all its parts."""
    return _together(map(_of_header, headers))


def count_weights_of(path: Path, kind: ModelKind = "model") -> WeightCount | None:
    """Count the tensors of a model's files; None where a header can't be read.

    Each header is walked once for as long as its file stays the same: 0.1 s for a vocabulary of
    262,144.
    """
    try:
        files = [part.path for part in model_parts(path, kind)]
        states = [file.stat() for file in files]
        return _together(
            _of_file(file, state.st_size, state.st_mtime_ns, state.st_ino)
            for file, state in zip(files, states, strict=True)
        )
    except (ModelError, OSError):
        return None


@functools.lru_cache(maxsize=256)
def _of_file(path: Path, _size: int, _modified: int, _inode: int) -> WeightCount:
    return _of_header(header_of(path))


def _of_header(header: Header) -> WeightCount:
    layers = Counter[int]()
    output = looked_up = 0
    for name, size in header.tensor_bytes.items():
        if found := _LAYER.match(name):
            layers[int(found[1])] += size
        elif name in _LOOKED_UP:
            looked_up += size
        else:
            output += size
    return WeightCount(
        parameters=header.parameters,
        layers=layers,
        output=output,
        table=header.tensor_bytes.get(_TABLE, 0),
        looked_up=looked_up,
        has_output=_OUTPUT in header.tensor_bytes,
        complete=header.complete,
    )


def _together(counts: Iterable[WeightCount]) -> WeightCount:
    counts = list(counts)
    layers = Counter[int]()
    for one in counts:
        layers.update(one.layers)
    return WeightCount(
        parameters=sum(one.parameters for one in counts),
        layers=layers,
        output=sum(one.output for one in counts),
        table=sum(one.table for one in counts),
        looked_up=sum(one.looked_up for one in counts),
        has_output=any(one.has_output for one in counts),
        complete=all(one.complete for one in counts),
    )
