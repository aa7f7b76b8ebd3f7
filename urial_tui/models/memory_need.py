"""What a model's file needs in memory with the contexts that it is loaded for.

An upper estimate in bytes, from the header alone; llama.cpp's own buffers are compared with it
in the tests. For every context as `engine.wire.limits` sizes it (one unified cache, flash
attention):

- weights: the size of the file or files. What the library copies into buffers of its own
  (repacked for the processor, or on a graphics card) it never reads in the file again, so the
  system can have the file's pages back: they count once;
- KV cache: tokens · Σ over layers of KV heads · (key size + value size) · bytes an
  element; f16 takes 2, q8_0 34/32, q4_0 18/32 (src/llama-kv-cache.cpp);
- recurrent state: sequences · recurrent layers · the numbers of a state (`layers`; in Mamba's form
  (kernel - 1) · (inner + 2 · groups · state) + inner · state) · 4 bytes;
- compute: the larger of two moments that share their place. While a layer is evaluated: a mask of
  batch · tokens · 2 bytes (twice that without flash attention, and twice with sliding windows),
  and the larger of a batch's way through a layer, batch · (4 · embedding + 3 · feed-forward)
  · 4 bytes (3 · embedding with a quantised cache, 5 with sliding windows and one), in a recurrent
  layer batch · (2 · embedding + 6 · inner + 2 · groups · state) · 4 bytes, and the scores of
  attention where they are stored, batch · (tokens · heads + 3 · embedding + 3 · heads · key
  size) · 4 bytes; 2 · embedding more where there are two masks and no flash attention. At the
  end: the logits of its outputs with what they are made from, (outputs · vocabulary + 2 · batch ·
  embedding) · 4 bytes;
- logits: outputs · vocabulary · 4 bytes, where they are handed out;
- saved: a copy of the preamble's part of the cache, while it is written to disk or read;
- the process itself: `PROCESS_BYTES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from urial_tui.engine.wire.limits import (
    ContextSize,
    Purpose,
    batch_size,
    contexts_of,
    flash_attention,
)
from urial_tui.engine.wire.values import EngineOptions, KVType
from urial_tui.models.gguf_file import Metadata
from urial_tui.models.header import model_parts
from urial_tui.models.kinds import kind_for
from urial_tui.models.layers import (
    kv_heads,
    layer_count,
    layer_values,
    most_heads,
    recurrent_layers,
    state_elements,
)
from urial_tui.models.weight_places import WeightCount, WeightPlaces, count_weights_of

PREAMBLE_TOKENS = 1792
"""Tokens of a preamble, as counted for its copy: the longest one that comes with the program."""

PROCESS_BYTES = 128_000_000
"""Python and the native library in the worker, with room to spare."""

_ELEMENT_BYTES: dict[KVType, float] = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}


class MemoryNeed(msgspec.Struct, frozen=True, kw_only=True):
    """What a model needs, in bytes. `n_ctx`: the tokens of the context that answers.

    `per_token`: what each of them takes. `layers`: how many it has. `each`: of the weights and the
    caches, what goes to where a layer is, the output's as the last; () where that is not known, and
    each takes an equal part. `copied`: of the output's, what is a copy of weights that stay on the
    machine.
    """

    n_ctx: int
    per_token: float
    layers: int
    weights: int
    kv_cache: int
    state: int
    compute: int
    logits: int
    saved: int
    each: tuple[int, ...] = ()
    copied: int = 0

    @property
    def movable(self) -> tuple[int, ...]:
        """What can go to graphics cards, layer by layer, the output's as the last."""
        whole, count = self.weights + self.kv_cache + self.state, self.layers + 1
        return self.each or tuple(
            whole * (layer + 1) // count - whole * layer // count for layer in range(count)
        )

    @property
    def buffers(self) -> int:
        """What is allocated beside the weights."""
        return self.kv_cache + self.state + self.compute + self.logits + self.saved

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return self.weights + self.buffers + PROCESS_BYTES


def memory_need(
    path: Path, header: Metadata, options: EngineOptions, purpose: Purpose = "chat"
) -> MemoryNeed:
    """The estimate for a model file, loaded with `options`.

    `options.gpu_layers` is taken at its word: 0 where there is no graphics card.

    Raises:
        ModelError: The file is a part of a model and not the first, or a part is missing.
    """
    kind = kind_for(purpose)
    weights = sum(part.size for part in model_parts(path, kind))
    return need_for(weights, count_weights_of(path, kind), header, options, purpose)


def need_for(
    weights: int,
    counted: WeightCount | None,
    header: Metadata,
    options: EngineOptions,
    purpose: Purpose = "chat",
) -> MemoryNeed:
    """The estimate for a model whose files have `weights` bytes together, and these tensors."""
    # No type takes more than 4 bytes a parameter; fewer parameters mean larger batches.
    parameters = weights // 4 if counted is None else counted.parameters
    n_batch = batch_size(parameters, options.layers_on_cards)
    contexts = contexts_of(purpose, options, header.number("context_length"), n_batch)
    windows = 0 if options.servers else header.number("attention.sliding_window") or 0
    layers = layer_count(header)
    flash = flash_attention(options.kv_type, layers, options.layers_on_cards, windows)
    # Those of a comparison and those of answers together have flash attention always.
    parts = [
        buffers(size, header, options.kv_type, flash=flash or size is not contexts[0])
        for size in contexts
    ]
    kv_cache, state, compute, logits = (sum(column) for column in zip(*parts, strict=True))
    places = counted.places(layers, weights) if counted else None
    return MemoryNeed(
        n_ctx=contexts[0].n_ctx,
        per_token=_cell(header, options.kv_type)
        + _scored(header, flash=flash) * contexts[0].n_batch,
        layers=layers,
        weights=weights,
        kv_cache=kv_cache,
        state=state,
        compute=compute,
        logits=logits,
        saved=int(min(PREAMBLE_TOKENS, contexts[0].n_ctx) * _cell(header, options.kv_type)),
        each=_each(header, places, kv_cache, state) if places else (),
        copied=places.copied if places else 0,
    )


def _each(header: Metadata, places: WeightPlaces, kv_cache: int, state: int) -> tuple[int, ...]:
    """What goes to where a layer is: its weights and caches; the output's as the last."""
    caches = _shared(kv_cache, kv_heads(header))
    states = _shared(state, recurrent_layers(header))
    return (*map(sum, zip(places.layers, caches, states, strict=True)), places.output)


def _shared(size: int, shares: Sequence[int]) -> list[int]:
    """A size by shares of it; what is left over by rounding is nobody's."""
    whole = sum(shares)
    return [size * share // whole if whole else 0 for share in shares]


def cache_bytes(header: Metadata, kv_type: KVType, tokens: int) -> int:
    """Bytes of the KV cache that so many tokens take."""
    return int(tokens * _cell(header, kv_type))


def buffers(
    size: ContextSize, header: Metadata, kv_type: KVType, *, flash: bool
) -> tuple[int, int, int, int]:
    """What a context allocates beside the weights.

    `flash`: whether it has flash attention, so that no scores are stored.

    Returns:
        Bytes of the KV cache, the recurrent state, the compute buffers and the logits.
    """
    vocabulary = header.lengths.get("tokenizer.ggml.tokens", 0)
    embedding = header.number("embedding_length") or 0
    batch = min(size.n_batch, size.n_ctx)
    inner = header.number("ssm.inner_size") or 0
    groups = (header.number("ssm.group_count") or 0) * (header.number("ssm.state_size") or 0)
    # As many more or fewer where the cache has to be made of other numbers.
    times = 4 if kv_type == "f16" else 5 if _windows(header) else 3
    layer = max(
        times * embedding + 3 * _feed_forward(header),
        2 * embedding + 6 * inner + 2 * groups if inner else 0,
    )
    queries = most_heads(header) * _head_sizes(header)[0]
    scores = 0 if flash else size.n_ctx * most_heads(header) + 3 * (embedding + queries)
    # Between two masks the library finds less room again.
    between = 2 * embedding if _windows(header) and not flash else 0
    rows = size.n_outputs * vocabulary
    return (
        int(size.n_ctx * _cell(header, kv_type)),
        _state_bytes(header, size.n_sequences),
        max(
            _masks(header, flash=flash) * batch * size.n_ctx
            + 4 * batch * (max(layer, scores) + between)
            + _layer_state_bytes(header, size.n_sequences),
            4 * (rows + 2 * batch * embedding),
        ),
        4 * rows,
    )


def _cell(header: Metadata, kv_type: KVType) -> float:
    """Bytes of keys and values of one token."""
    return _kv_elements(header) * _ELEMENT_BYTES[kv_type]


def _masks(header: Metadata, *, flash: bool) -> int:
    """Bytes of attention masks for a token of a batch and one of the context."""
    if not _kv_elements(header):
        return 0
    return (2 if flash else 4) * (2 if _windows(header) else 1)


def _windows(header: Metadata) -> bool:
    """Whether some layers see a sliding window, so that there are two masks."""
    return bool(header.number("attention.sliding_window"))


def _scored(header: Metadata, *, flash: bool) -> int:
    """Bytes of masks and stored scores, likewise."""
    return _masks(header, flash=flash) + (0 if flash else 4 * most_heads(header))


def _feed_forward(header: Metadata) -> int:
    """Elements between the matrices of the widest layer, of all experts that a token uses."""
    dense = max(layer_values(header, "feed_forward_length", 0), default=0)
    each = header.number("expert_feed_forward_length") or (
        dense if header.number("expert_count") else 0
    )
    shared = header.number("expert_shared_feed_forward_length") or 0
    return max(dense, each * (header.number("expert_used_count") or 0) + shared)


def _head_sizes(header: Metadata) -> tuple[int, int]:
    """Elements of a head's key and of its value, in the layers where they are longest."""
    heads = most_heads(header)
    missing = (header.number("embedding_length") or 0) // heads if heads else 0
    found = []
    for key in ("attention.key_length", "attention.value_length"):
        given = (header.number(key), header.number(f"{key}_swa"))
        found.append(max((size for size in given if size), default=missing))
    return found[0], found[1]


def _kv_elements(header: Metadata) -> int:
    """Elements of keys and values that one token takes, over all layers."""
    return sum(_head_sizes(header)) * sum(kv_heads(header))


def _state_bytes(header: Metadata, sequences: int) -> int:
    return sum(recurrent_layers(header)) * _layer_state_bytes(header, sequences)


def _layer_state_bytes(header: Metadata, sequences: int) -> int:
    """Of one recurrent layer; 0 where there is none."""
    return 4 * sequences * max(0, state_elements(header))
