"""GGUF models of real sizes with random weights: for measuring what depends on size alone.

python -m tools.synthetic llama-7b FILE.gguf [--quantisation Q4_K] [--seed 0]

Shapes, types of the tensors and size of the vocabulary are those of released models; what
such a model says is noise. The file is written as it is made, a few megabytes at a time; the
same arguments always give the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, get_args

import msgspec
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter

from tools.quantised import Quantisation, block_size, random_blocks
from tools.vocabularies import Vocabulary, add_vocabulary, bpe_vocabulary, spm_vocabulary

FileType = Literal["Q4_K", "Q8_0", "Q4_0"]
"""How most of a file's matrices are quantised."""

_STEP = 8 << 20
"""Bytes that are drawn at once."""
_ALIGNMENT = 32
_SHARPNESS = 5.0
"""Standard deviation of the logits, of which a real model's have a few."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A decoder's sizes, in elements. `window` in tokens, 0 for attention to everything."""

    architecture: Literal["llama", "gemma3"] = "llama"
    layers: int
    embedding: int
    feed_forward: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    tokenizer: Literal["spm", "bpe"]
    tied: bool
    window: int = 0
    pattern: int = 6
    n_ctx: int = 32_768
    theta: float = 500_000.0

    @property
    def parameters(self) -> int:
        """Elements of all tensors."""
        return sum(tensor.inputs * tensor.outputs for tensor in _tensors(self, "Q4_K"))


# fmt: off
SHAPES = {
    "llama-tiny": Shape(
        layers=2, embedding=256, feed_forward=512, heads=4, kv_heads=2, head=64,
        vocabulary=2_000, tokenizer="bpe", tied=True,
    ),
    "gemma-tiny": Shape(
        architecture="gemma3", layers=3, embedding=288, feed_forward=512, heads=2, kv_heads=1,
        head=128, vocabulary=2_000, tokenizer="spm", tied=True, window=64, pattern=2,
    ),
    # As Llama 3.2 1B and 3B.
    "llama-1b": Shape(
        layers=16, embedding=2048, feed_forward=8192, heads=32, kv_heads=8, head=64,
        vocabulary=128_256, tokenizer="bpe", tied=True, n_ctx=131_072,
    ),
    "llama-3b": Shape(
        layers=28, embedding=3072, feed_forward=8192, heads=24, kv_heads=8, head=128,
        vocabulary=128_256, tokenizer="bpe", tied=True, n_ctx=131_072,
    ),
    # As Llama 2 7B, whose heads share nothing, and as Mistral 7B, whose heads share keys by four.
    "llama-7b": Shape(
        layers=32, embedding=4096, feed_forward=11_008, heads=32, kv_heads=32, head=128,
        vocabulary=32_000, tokenizer="spm", tied=False, n_ctx=4096, theta=10_000.0,
    ),
    "llama-7b-grouped": Shape(
        layers=32, embedding=4096, feed_forward=14_336, heads=32, kv_heads=8, head=128,
        vocabulary=32_000, tokenizer="spm", tied=False, theta=1_000_000.0,
    ),
    # As Gemma 3 1B and 4B (the text model): every sixth layer sees all tokens.
    "gemma-1b": Shape(
        architecture="gemma3", layers=26, embedding=1152, feed_forward=6912, heads=4,
        kv_heads=1, head=256, vocabulary=262_144, tokenizer="spm", tied=True, window=512,
        theta=1_000_000.0,
    ),
    "gemma-4b": Shape(
        architecture="gemma3", layers=34, embedding=2560, feed_forward=10_240, heads=8,
        kv_heads=4, head=256, vocabulary=262_144, tokenizer="spm", tied=True, window=1024,
        n_ctx=131_072, theta=1_000_000.0,
    ),
}
# fmt: on


class _Tensor(msgspec.Struct, frozen=True):
    """One tensor to be drawn: `deviation` of its weights; for F32, its constant value."""

    name: str
    inputs: int
    outputs: int
    kind: Quantisation
    deviation: float

    @property
    def size(self) -> int:
        elements, size = block_size(self.kind)
        return self.inputs * self.outputs // elements * size


def write_model(
    path: Path, shape: Shape, *, quantisation: FileType = "Q4_K", seed: int = 0, name: str = ""
) -> Path:
    """Write a model; `path` is returned for convenience.

    Args:
        path: The file, replaced if it is there.
        shape: One of `SHAPES`, or another.
        quantisation: Of most matrices; Q4_K stands for the usual mix with Q6_K.
        seed: Another seed gives other weights with the same shapes.
        name: `general.name`; the file's stem if it is empty.

    Raises:
        OSError: It can't be written.
    """
    tensors = list(_tensors(shape, quantisation))
    writer = GGUFWriter(path, shape.architecture)
    _add_header(writer, shape, name or path.stem)
    add_vocabulary(writer, _vocabulary(shape))
    for tensor in tensors:
        dimensions = (tensor.inputs,) if tensor.outputs == 1 else (tensor.outputs, tensor.inputs)
        writer.add_tensor_info(
            tensor.name,
            dimensions,
            np.dtype(np.float32),
            tensor.size,
            raw_dtype=GGMLQuantizationType[tensor.kind],
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    # The package's writer takes whole tensors only; the largest would be half a gigabyte.
    with path.open("ab") as file:
        _align(file)
        for tensor in tensors:
            _draw(file, tensor, seed)
            _align(file)
    return path


def _vocabulary(shape: Shape) -> Vocabulary:
    if shape.tokenizer == "bpe":
        return bpe_vocabulary(shape.vocabulary)
    return spm_vocabulary(shape.vocabulary, add_space_prefix=shape.architecture == "llama")


def _add_header(writer: GGUFWriter, shape: Shape, name: str) -> None:
    writer.add_type("model")
    writer.add_name(name)
    writer.add_context_length(shape.n_ctx)
    writer.add_embedding_length(shape.embedding)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head)
    writer.add_value_length(shape.head)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.theta)
    writer.add_layer_norm_rms_eps(1e-5)
    if shape.window:
        writer.add_sliding_window(shape.window)
        writer.add_sliding_window_pattern(shape.pattern)


def _tensors(shape: Shape, quantisation: FileType) -> Iterator[_Tensor]:
    """Every tensor in the order of a converted file."""
    gemma = shape.architecture == "gemma3"
    wide = shape.embedding
    # Where the embeddings are the output matrix as well, a token would predict itself if its
    # own part outweighed the layers'. Gemma's graph multiplies them by the root of their length.
    embedded = (0.1 if shape.tied else 1.0) / (wide**0.5 if gemma else 1.0)
    fine: Quantisation = "Q6_K" if quantisation != "Q8_0" else "Q8_0"

    def matrix(name: str, inputs: int, outputs: int, kind: Quantisation) -> _Tensor:
        return _Tensor(name, inputs, outputs, _kind(kind, inputs), inputs**-0.5)

    def norm(name: str, size: int = wide, gain: float = 1.0) -> _Tensor:
        return _Tensor(name, size, 1, "F32", gain)

    embedding_kind = _kind(fine if shape.tied else quantisation, wide)
    yield _Tensor("token_embd.weight", wide, shape.vocabulary, embedding_kind, embedded)
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        # llama.cpp's Q4_K_M spends more bits on these in the first and last eighth of the
        # layers and on every third between.
        eighth = shape.layers // 8
        last = layer >= 7 * shape.layers // 8
        more = quantisation == "Q4_K" and (layer < eighth or last or (layer - eighth) % 3 == 2)
        some: Quantisation = fine if more else quantisation
        queries, keys = shape.heads * shape.head, shape.kv_heads * shape.head
        yield norm(f"{block}.attn_norm.weight")
        yield matrix(f"{block}.attn_q.weight", wide, queries, quantisation)
        yield matrix(f"{block}.attn_k.weight", wide, keys, quantisation)
        yield matrix(f"{block}.attn_v.weight", wide, keys, some)
        yield matrix(f"{block}.attn_output.weight", queries, wide, quantisation)
        if gemma:
            yield norm(f"{block}.attn_q_norm.weight", shape.head)
            yield norm(f"{block}.attn_k_norm.weight", shape.head)
            yield norm(f"{block}.post_attention_norm.weight")
            yield norm(f"{block}.post_ffw_norm.weight")
        yield norm(f"{block}.ffn_norm.weight")
        yield matrix(f"{block}.ffn_gate.weight", wide, shape.feed_forward, quantisation)
        yield matrix(f"{block}.ffn_up.weight", wide, shape.feed_forward, quantisation)
        yield matrix(f"{block}.ffn_down.weight", shape.feed_forward, wide, some)
    scale = embedded if shape.tied else wide**-0.5
    yield norm("output_norm.weight", gain=_SHARPNESS / (scale * wide**0.5))
    if not shape.tied:
        yield matrix("output.weight", wide, shape.vocabulary, fine)


def _kind(kind: Quantisation, inputs: int) -> Quantisation:
    """What llama.cpp takes where rows don't divide into a type's blocks."""
    if inputs % block_size(kind)[0] == 0:
        return kind
    return {"Q4_K": "Q5_0", "Q6_K": "Q8_0"}.get(kind, kind)  # type: ignore[return-value]


def _draw(file: BinaryIO, tensor: _Tensor, seed: int) -> None:
    if tensor.kind == "F32":
        file.write(np.full(tensor.inputs, tensor.deviation, np.float32).tobytes())
        return
    # A tensor depends on the seed and on its name alone.
    generator = np.random.Generator(np.random.SFC64([seed, *tensor.name.encode()]))
    elements, size = block_size(tensor.kind)
    left = tensor.inputs * tensor.outputs // elements
    while left:
        count = min(left, _STEP // size)
        file.write(random_blocks(generator, tensor.kind, count, tensor.deviation).data)
        left -= count


def _align(file: BinaryIO) -> None:
    file.write(bytes(-file.tell() % _ALIGNMENT))


def main() -> None:
    """Write the model that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.synthetic", description=__doc__)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("file", type=Path)
    parser.add_argument("--quantisation", choices=get_args(FileType), default="Q4_K")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_model(
        arguments.file,
        SHAPES[arguments.shape],
        quantisation=arguments.quantisation,
        seed=arguments.seed,
    )


if __name__ == "__main__":
    main()
