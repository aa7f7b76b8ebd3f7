"""Tiny transformers with random weights, one for each type of matrix, and their files.

The matrices are as wide as the block of a K-type wants and as tall as the kernels ask that
work on packed weights (AMX tiles, interleaved rows), so that a build uses for them what it
uses for a real model. The same type always gives the same bytes. The values that stand for
these bytes come from the `gguf` package, which shares no code with llama.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants

N_EMBD = 256
N_HEAD = 4
N_HEAD_KV = 2
HEAD = 64
N_FF = 512
N_VOCAB = 512
N_CTX = 1024
ROPE_BASE = 10_000.0
EPSILON = 1e-5

TYPES = ("F16", "Q4_0", "Q8_0", "Q4_K", "Q5_K", "Q6_K")
"""The types of which most published files are made."""

_SHAPES = {
    "token_embd": (N_VOCAB, N_EMBD),
    "blk.0.attn_q": (N_HEAD * HEAD, N_EMBD),
    "blk.0.attn_k": (N_HEAD_KV * HEAD, N_EMBD),
    "blk.0.attn_v": (N_HEAD_KV * HEAD, N_EMBD),
    "blk.0.attn_output": (N_EMBD, N_HEAD * HEAD),
    "blk.0.ffn_gate": (N_FF, N_EMBD),
    "blk.0.ffn_up": (N_FF, N_EMBD),
    "blk.0.ffn_down": (N_EMBD, N_FF),
    "output": (N_VOCAB, N_EMBD),
}
"""(outputs, inputs) of each matrix."""

_NORMS = ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm")

_MIN_SHARE = {"Q4_K": 7.5, "Q5_K": 15.5}
"""The block's minimum over its scale that puts the mean of random quants at zero."""

Values = npt.NDArray[np.float32]
Blocks = npt.NDArray[np.uint8]


class TinyModel:
    """One layer whose matrices are all of one type, with an embedding and an output matrix.

    `blocks` holds what a file holds, a row of bytes for each output, and may be changed
    before `write`.
    """

    def __init__(self, type_name: str) -> None:
        self.type = GGMLQuantizationType[type_name]
        self._random = np.random.Generator(np.random.PCG64([*type_name.encode()]))
        self.blocks = {name: self._blocks(*shape) for name, shape in _SHAPES.items()}
        self._norms = {
            name: np.float32(1) + np.float32(0.2) * self._random.standard_normal(N_EMBD, np.float32)
            for name in _NORMS
        }

    def values(self) -> dict[str, Values]:
        """Each matrix as (outputs, inputs), and each norm as (inputs,)."""
        matrices = {
            name: quants.dequantize(blocks, self.type) for name, blocks in self.blocks.items()
        }
        return {**matrices, **self._norms}

    def write(self, path: Path) -> None:
        """Write the model as a GGUF file of the architecture `llama`."""
        writer = GGUFWriter(path, "llama")
        writer.add_context_length(N_CTX)
        writer.add_embedding_length(N_EMBD)
        writer.add_block_count(1)
        writer.add_feed_forward_length(N_FF)
        writer.add_head_count(N_HEAD)
        writer.add_head_count_kv(N_HEAD_KV)
        writer.add_layer_norm_rms_eps(EPSILON)
        writer.add_rope_freq_base(ROPE_BASE)
        tokens, types = zip(*_vocabulary(), strict=True)
        writer.add_tokenizer_model("llama")
        writer.add_token_list(tokens)
        writer.add_token_types(types)
        writer.add_token_scores([0.0] * N_VOCAB)
        for name, blocks in self.blocks.items():
            writer.add_tensor(f"{name}.weight", blocks, raw_dtype=self.type)
        for name, norm in self._norms.items():
            writer.add_tensor(f"{name}.weight", norm)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    def _blocks(self, outputs: int, inputs: int) -> Blocks:
        """Random weights that keep the root mean square of what they multiply."""
        if self.type.name.endswith("_K"):
            return self._random_blocks(outputs, inputs)
        weights = self._random.standard_normal((outputs, inputs), np.float32) * inputs**-0.5
        blocks: Blocks = quants.quantize(weights, self.type).view(np.uint8)
        return blocks

    def _random_blocks(self, outputs: int, inputs: int) -> Blocks:
        """Random bits: the package has no quantisation for the K-types.

        The layout is that of ggml-common.h: `block_q4_K` and `block_q5_K` start with the
        scale of the scales and that of the minima, `block_q6_K` ends with its scale.
        """
        block = quants.quant_shape_to_byte_shape((256,), self.type)[0]
        bits = self._random.integers(0, 256, (outputs, inputs // 256, block), np.uint8)
        share = _MIN_SHARE.get(self.type.name)
        place = slice(0, 2) if share else slice(block - 2, block)

        def scale(by: npt.NDArray[np.float32]) -> Blocks:
            bits[..., place] = by.astype(np.float16)[..., None].view(np.uint8)
            if share:
                bits[..., 2:4] = (share * by).astype(np.float16)[..., None].view(np.uint8)
            return bits.reshape(outputs, -1)

        unit = np.full((outputs, inputs // 256), 2.0**-12, np.float32)
        spread = quants.dequantize(scale(unit), self.type).std()
        vary = self._random.uniform(0.5, 1.5, unit.shape).astype(np.float32)
        return scale(unit * vary * np.float32(inputs**-0.5 / spread))


def _vocabulary() -> Iterator[tuple[bytes, int]]:
    """Text and kind of each token; what they say is not looked at."""
    yield b"<unk>", TokenType.UNKNOWN
    yield b"<s>", TokenType.CONTROL
    yield b"</s>", TokenType.CONTROL
    for byte in range(256):
        yield f"<0x{byte:02X}>".encode(), TokenType.BYTE
    for number in range(N_VOCAB - 259):
        yield f"▁{number}".encode(), TokenType.NORMAL
