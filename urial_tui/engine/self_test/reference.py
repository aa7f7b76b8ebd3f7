"""The transformer of llama.cpp's `llama` architecture in numpy, for checking the real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from urial_tui.engine.self_test.model import (
    EPSILON,
    HEAD,
    N_HEAD,
    N_HEAD_KV,
    ROPE_BASE,
    Values,
)

Rounding = Callable[[Values], Values]


def logits(weights: Mapping[str, Values], tokens: list[int], rounding: Rounding) -> Values:
    """Logits behind each token, shape (tokens, vocabulary).

    Args:
        weights: What `TinyModel.values` gives.
        tokens: Ids, from the start of a context.
        rounding: Applied to what a matrix multiplies, shape (tokens, inputs).
    """

    def times(x: Values, name: str) -> Values:
        return rounding(x) @ weights[name].T

    x = weights["token_embd"][tokens]
    normed = _rms_norm(x) * weights["blk.0.attn_norm"]
    query = _rotate(_heads(times(normed, "blk.0.attn_q"), N_HEAD))
    key = _half(_rotate(_heads(times(normed, "blk.0.attn_k"), N_HEAD_KV)))
    value = _half(_heads(times(normed, "blk.0.attn_v"), N_HEAD_KV))
    group = N_HEAD // N_HEAD_KV
    mixed = _attention(query, key.repeat(group, axis=0), value.repeat(group, axis=0))
    x = x + times(mixed, "blk.0.attn_output")
    normed = _rms_norm(x) * weights["blk.0.ffn_norm"]
    gate = times(normed, "blk.0.ffn_gate")
    hidden = gate / (1 + np.exp(-gate)) * times(normed, "blk.0.ffn_up")
    x = x + times(hidden, "blk.0.ffn_down")
    return times(_rms_norm(x) * weights["output_norm"], "output")


def exact(x: Values) -> Values:
    """No rounding: what a GPU or a BLAS library comes close to."""
    return x


def eight_bits(block: int) -> Rounding:
    """Each `block` elements as 8-bit integers with one scale (ggml's Q8_0 and Q8_K)."""

    def rounding(x: Values) -> Values:
        blocks = x.reshape(len(x), -1, block)
        step = np.abs(blocks).max(axis=-1, keepdims=True) / 127
        rounded: Values = np.rint(blocks / np.where(step == 0, 1, step)) * step
        return rounded.reshape(x.shape)

    return rounding


def _attention(query: Values, key: Values, value: Values) -> Values:
    """Causal attention of (heads, tokens, HEAD) arrays, as (tokens, heads * HEAD)."""
    scores = query @ key.transpose(0, 2, 1) / HEAD**0.5
    scores += np.triu(np.full(scores.shape[1:], -np.inf, np.float32), 1)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed: Values = weights @ value / weights.sum(axis=-1, keepdims=True)
    return mixed.transpose(1, 0, 2).reshape(mixed.shape[1], -1)


def _heads(x: Values, count: int) -> Values:
    return x.reshape(len(x), count, HEAD).transpose(1, 0, 2)


def _rotate(x: Values) -> Values:
    """Rotary position embedding of neighbouring elements, positions from 0."""
    angle = np.outer(np.arange(x.shape[1]), ROPE_BASE ** (-np.arange(0, HEAD, 2) / HEAD))
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    even, odd = x[..., ::2], x[..., 1::2]
    turned = np.empty_like(x)
    turned[..., ::2] = even * cos - odd * sin
    turned[..., 1::2] = even * sin + odd * cos
    return turned


def _rms_norm(x: Values) -> Values:
    scale: Values = np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON)
    return x / scale


def _half(x: Values) -> Values:
    """As the KV cache holds it."""
    return x.astype(np.float16).astype(np.float32)
