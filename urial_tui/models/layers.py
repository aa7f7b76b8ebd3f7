"""The layers of a model, by its header: which have attention, and which a recurrent state.

As llama.cpp counts them: `llama_hparams::is_recr`, `n_embd_r` and `n_embd_s`
(src/llama-hparams.cpp), and what each architecture makes of its header (src/models/).
"""

from __future__ import annotations

from urial_tui.models.gguf_file import Metadata

_RECURRENT = {"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"}
"""Architectures without attention."""

_BESIDE = {"falcon-h1"}
"""Those whose layers have both."""

_INTERVALS = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4, "qwen4exp": 4, "minimax-01": 8}
"""Those of which every so many-th layer has attention, where the header does not say which."""


def layer_count(header: Metadata) -> int:
    """How many layers a model has."""
    return max(0, min(header.number("block_count") or 0, 10_000))


def layer_values(header: Metadata, key: str, missing: int) -> tuple[int, ...]:
    """A value for each layer; damaged or missing ones count as `missing`."""
    layers = layer_count(header)
    values = header.numbers(key, layers)
    return (missing,) * layers if values is None else tuple(max(0, value) for value in values)


def most_heads(header: Metadata) -> int:
    """Heads of the queries, in the layer that has most of them."""
    return max(layer_values(header, "attention.head_count", 0), default=0)


def recurrent_layers(header: Metadata) -> tuple[bool, ...]:
    """Whether each layer has a recurrent state."""
    architecture, layers = header.architecture, layer_count(header)
    if architecture in _RECURRENT | _BESIDE:
        return (True,) * layers
    if architecture in _INTERVALS:
        told = header.numbers("attention.recurrent_layers", layers)
        if told is not None:
            return tuple(map(bool, told))
        interval = header.number("full_attention_interval") or _INTERVALS[architecture]
        return tuple((layer + 1) % interval != 0 for layer in range(layers))
    without = [not heads for heads in _kv_heads(header)]
    if architecture.startswith("nemotron_h"):
        # Layers that are nothing but a feed-forward part have neither.
        wide = layer_values(header, "feed_forward_length", 0)
        return tuple(no and not ff for no, ff in zip(without, wide, strict=True))
    return tuple(without)


def kv_heads(header: Metadata) -> tuple[int, ...]:
    """Heads of the keys and values of each layer; 0 where it has no attention."""
    heads = _kv_heads(header)
    if header.architecture in _BESIDE:
        return heads
    recurrent = recurrent_layers(header)
    return tuple(0 if state else count for count, state in zip(heads, recurrent, strict=True))


def state_elements(header: Metadata) -> int:
    """Numbers in the state of a recurrent layer for one sequence; 0 where there is none."""
    embedding = header.number("embedding_length") or 0
    kernel = max(1, header.number("ssm.conv_kernel") or 1)
    if size := header.number("wkv.head_size"):
        shifts = header.number("token_shift_count")
        return embedding * ((2 if shifts is None else shifts) + size)
    if length := header.number("shortconv.l_cache"):
        return embedding * (length - 1)
    if size := header.number("kda.head_dim"):
        taps = kernel - 1 if kernel > 1 else 3
        return most_heads(header) * size * (3 * taps + size)
    if header.architecture == "minimax-01":
        return most_heads(header) * (header.number("attention.key_length") or 0) ** 2
    inner, state = header.number("ssm.inner_size") or 0, header.number("ssm.state_size") or 0
    groups = header.number("ssm.group_count") or 0
    if not inner or not state:
        return 0
    return (kernel - 1) * (inner + 2 * groups * state) + inner * state


def _kv_heads(header: Metadata) -> tuple[int, ...]:
    """As the header has them, whatever the layer is."""
    return layer_values(header, "attention.head_count_kv", most_heads(header))
