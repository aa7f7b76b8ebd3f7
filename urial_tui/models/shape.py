"""What a header says of a model's shape, and why no model can have that.

llama.cpp believes these numbers: some end its process where they are absurd, one makes it
loop for ever (`GGML_ASSERT`s in src/llama-model.cpp, `load_hparams`, and in ggml-cpu/ops.cpp,
rope and norms; its limits are in src/llama-hparams.h). Only what no working model has is
refused here, whatever its architecture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from urial_tui.models.gguf_file import Header, Metadata

MAX_LAYERS = 512
MAX_EXPERTS = 1024
_MAX_CONTEXT = (1 << 31) - 1
"""Tokens: the library hands it out as a 32-bit integer with a sign."""

_SCALINGS = ("none", "linear", "yarn", "longrope")
_NO_VOCABULARY = ("none", "no_vocab")
_F32 = 0


class _Range(NamedTuple):
    """A key of the architecture and what it may be, for each layer where it is a list."""

    key: str
    low: int
    high: int


_RANGES = (
    _Range("block_count", 1, MAX_LAYERS),
    _Range("context_length", 0, _MAX_CONTEXT),
    _Range("embedding_length", 1, 1 << 20),
    _Range("feed_forward_length", 0, 1 << 24),
    _Range("attention.head_count", 0, 1 << 16),
    _Range("attention.head_count_kv", 0, 1 << 16),
    _Range("attention.key_length", 1, 1 << 16),
    _Range("attention.value_length", 1, 1 << 16),
    _Range("attention.key_length_swa", 1, 1 << 16),
    _Range("attention.value_length_swa", 1, 1 << 16),
    _Range("attention.sliding_window", 0, _MAX_CONTEXT),
    _Range("expert_count", 0, MAX_EXPERTS),
    _Range("ssm.conv_kernel", 0, 1 << 16),
    _Range("ssm.inner_size", 0, 1 << 24),
    _Range("ssm.state_size", 0, 1 << 20),
    _Range("ssm.time_step_rank", 0, 1 << 20),
    _Range("ssm.group_count", 0, 1 << 16),
)


def unsound(header: Header) -> str:
    """What is wrong with the shape that a header tells, in a clause; "" where nothing is."""
    if header.parts == 1 and not 0 < len(header.architecture) <= 64:
        return "it names no architecture" if not header.architecture else "its architecture is long"
    return next(_mistakes(header), "")


def head_sizes(header: Metadata) -> tuple[int, ...]:
    """The sizes of attention heads that occur, keys and values, in elements; () without heads."""
    heads = header.most("attention.head_count") or 0
    if not heads:
        return ()
    plain = (header.number("embedding_length") or 0) // heads
    given = [
        header.number(f"attention.{which}_length{layers}")
        for which in ("key", "value")
        for layers in ("", "_swa")
    ]
    keys, _, values, _ = given
    sizes = {keys or plain, values or plain, *(size for size in given if size)}
    return tuple(sorted(sizes))


def _mistakes(header: Header) -> Iterator[str]:
    name = header.architecture
    for key, low, high in _RANGES:
        for value in header.each(key):
            if not low <= value <= high:
                yield f"its {name}.{key} is {value}"
    yield from _rope(header)
    yield from _experts(header)
    layers, extra = header.number("block_count"), header.number("nextn_predict_layers")
    if layers is not None and extra is not None and not 0 <= extra <= layers:
        yield f"its {name}.nextn_predict_layers is {extra} of {layers} layers"
    for key in ("layer_norm_epsilon", "layer_norm_rms_epsilon", "group_norm_epsilon"):
        epsilon = header.metadata.get(f"{name}.attention.{key}")
        if isinstance(epsilon, float) and not (math.isfinite(epsilon) and epsilon >= 0):
            yield f"its {name}.attention.{key} is {epsilon}"
    scaling = header.metadata.get(f"{name}.rope.scaling.type")
    if isinstance(scaling, str) and scaling not in _SCALINGS:
        yield f"its {name}.rope.scaling.type is '{scaling[:40]}'"
    tokens = header.lengths.get("tokenizer.ggml.tokens")
    if tokens == 0 or header.metadata.get("tokenizer.ggml.model") in _NO_VOCABULARY:
        yield "its vocabulary is empty"
    for tensor in header.tensor_table:
        if len(tensor.shape) == 1 and tensor.name.endswith("_norm.weight") and tensor.kind != _F32:
            yield f"its tensor {tensor.name[:64]} is not of the type F32"
        if 0 in tensor.shape:
            yield f"its tensor {tensor.name[:64]} is empty"


def _rope(header: Header) -> Iterator[str]:
    """Rotated dimensions: an even number of them, and no more than a head has."""
    recurrent = any(
        key.startswith((f"{header.architecture}.ssm.", f"{header.architecture}.wkv."))
        for key in header.metadata
    )
    sizes = head_sizes(header)
    latent = header.number("attention.kv_lora_rank") is not None
    if not sizes:
        return
    for key in ("rope.dimension_count", "rope.dimension_count_swa"):
        rotated = header.number(key)
        if rotated is None or (rotated == 0 and recurrent):
            continue
        if rotated <= 0 or rotated % 2 or (rotated > max(sizes) and not latent):
            yield f"its {header.architecture}.{key} is {rotated}, for heads of {max(sizes)}"


def _experts(header: Header) -> Iterator[str]:
    name = header.architecture
    experts = header.number("expert_count") or 0
    if experts <= 1 and name.startswith("hunyuan"):
        return
    used = header.most("expert_used_count") or 0
    groups = header.number("expert_group_count") or 0
    group_used = header.number("expert_group_used_count") or 0
    if used > experts or (experts and not used):
        yield f"it uses {used} of {experts} experts"
    elif groups and (groups >= experts or experts % groups):
        yield f"it has {experts} experts in {groups} groups"
    elif groups > 1 and not 0 < group_used < groups:
        yield f"it uses {group_used} of {groups} groups of experts"
