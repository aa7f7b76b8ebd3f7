"""Blocks of quantised weights with random contents, as fast as random bytes come.

A block of ggml is one or two half-precision scales and bytes of which every value is valid
(ggml-common.h); so the bytes are drawn and the scales are chosen, such that the weights have
a mean near 0 and the standard deviation asked for, like those of a real model.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

Quantisation = Literal["Q4_0", "Q5_0", "Q8_0", "Q4_K", "Q6_K", "F32"]
Bytes = npt.NDArray[np.uint8]

_SIGN = 0x80
"""The sign bit in the higher byte of a half-precision number."""


def _spread(low: int, high: int) -> float:
    """The root mean square of the whole numbers [low, high)."""
    return float(np.sqrt(np.mean(np.square(np.arange(low, high, dtype=np.float64)))))


_Q4_K = _spread(0, 64) * float(np.std(np.arange(16)))
"""Standard deviation of a Q4_K weight at a scale of 1: a scale of 6 bits by a centred number."""
_Q6_K = _spread(-128, 128) * _spread(-32, 32)
_Q8_0 = _spread(-128, 128)
_Q5_0 = _spread(-16, 16)
_Q4_0 = _spread(-8, 8)


def block_size(kind: Quantisation) -> tuple[int, int]:
    """(elements, bytes) of a block."""
    elements, size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    return int(elements), int(size)


def random_blocks(
    generator: np.random.Generator, kind: Quantisation, count: int, deviation: float
) -> Bytes:
    """Blocks of random weights: shape (count, bytes of a block).

    Args:
        generator: Draws them.
        kind: A quantised type.
        count: How many blocks.
        deviation: The weights' standard deviation.
    """
    size = block_size(kind)[1]
    blocks = np.frombuffer(bytearray(generator.bytes(count * size)), np.uint8)
    blocks = blocks.reshape(count, size)
    if kind == "Q4_K":
        # Eight pairs of a scale and a minimum, 6 bits each: with equal pairs, and the common
        # factor of the minima 7.5 times as large, the mean of each sub-block is 0.
        _set_scale(blocks[:, 0:2], deviation / _Q4_K)
        _set_scale(blocks[:, 2:4], 7.5 * deviation / _Q4_K)
        blocks[:, 8:12] = blocks[:, 4:8]
        blocks[:, 12:16] = (blocks[:, 12:16] & 15) * 17
    elif kind == "Q6_K":
        _set_scale(blocks[:, 208:210], deviation / _Q6_K)
    elif kind in _SIMPLE:
        # The numbers reach from -n to n - 1: signs that change take their mean away.
        signs = blocks[:, 1] & _SIGN
        _set_scale(blocks[:, 0:2], deviation / _SIMPLE[kind])
        blocks[:, 1] |= signs
    else:
        raise ValueError(kind)
    return blocks


_SIMPLE: dict[str, float] = {"Q4_0": _Q4_0, "Q5_0": _Q5_0, "Q8_0": _Q8_0}


def _set_scale(place: Bytes, scale: float) -> None:
    place[:] = np.frombuffer(np.float16(scale).tobytes(), np.uint8)
