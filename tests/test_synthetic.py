"""Models of real sizes with random weights, as `tools.synthetic` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants

from tools.quantised import Quantisation, random_blocks
from tools.synthetic import SHAPES, FileType, write_model
from tools.vocabularies import bpe_vocabulary, spm_vocabulary
from urial_tui.engine.native import llama
from urial_tui.engine.native.context import LlamaContext
from urial_tui.engine.wire.limits import chat_size
from urial_tui.models.header import inspect_header

TEXT = "Hello there, here is some ordinary text: it names three rivers, and what they carry."


@pytest.mark.parametrize("kind", ["Q4_0", "Q5_0", "Q8_0", "Q4_K", "Q6_K"])
@pytest.mark.parametrize("deviation", [0.02, 0.3])
def test_random_weights_have_the_spread_asked_for(kind: Quantisation, deviation: float) -> None:
    generator = np.random.Generator(np.random.SFC64(0))
    blocks = random_blocks(generator, kind, 2000, deviation)
    weights = quants.dequantize(blocks.reshape(1, -1), GGMLQuantizationType[kind])
    assert np.isfinite(weights).all()
    assert abs(float(weights.mean())) < 0.02 * deviation
    assert float(weights.std()) == pytest.approx(deviation, rel=0.03)


@pytest.mark.parametrize("size", [1_000, 32_000])
def test_a_vocabulary_has_the_size_asked_for_and_holds_the_beginning_of_each_word(
    size: int,
) -> None:
    for vocabulary in (spm_vocabulary(size), bpe_vocabulary(size)):
        assert len(vocabulary.tokens) == len(vocabulary.types) == len({*vocabulary.tokens}) == size
        words = [token.decode() for token in vocabulary.tokens[259:-2]]
        assert {word[:-1] for word in words if len(word) > 1} <= {
            token.decode() for token in vocabulary.tokens
        }
    assert len(spm_vocabulary(size).scores) == size


@pytest.mark.parametrize("shape", ["llama-tiny", "gemma-tiny"])
@pytest.mark.parametrize("quantisation", get_args(FileType))
def test_a_written_model_is_sound_and_predicts(
    tmp_path: Path, shape: str, quantisation: FileType
) -> None:
    path = write_model(tmp_path / "model.gguf", SHAPES[shape], quantisation=quantisation)
    header = inspect_header(path)
    assert header.expected_size == header.size
    llama.initialise()
    model = llama.NativeModel(str(path), gpu_layers=0, progress=lambda _fraction: True)
    context = LlamaContext(
        model, chat_size(512, 512), threads=1, kv_type="f16", flash_attention=False
    )
    try:
        ids = model.vocab.tokenize(TEXT)
        assert b"".join(model.vocab.piece(token) for token in ids).strip() == TEXT.encode()
        assert len(ids) < len(TEXT) * 0.7, "words are more than letters"
        rows = []
        position = 0
        batch = ids
        for _ in range(8):
            context.decode(batch, position, 0)
            position += len(batch)
            logits = context.logits()
            assert np.isfinite(logits).all()
            assert 2 < float(logits.std()) < 10
            batch = [int(logits.argmax())]
            rows.append(logits.copy())
        assert float(np.abs(rows[0] - rows[-1]).max()) > 1, "it depends on what stands before"
    finally:
        context.close()
        model.close()


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    shape = SHAPES["llama-tiny"]
    first, again, other = (
        write_model(tmp_path / name, shape, seed=seed, name="x").read_bytes()
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    assert len(first) == len(other)
    assert first != other


def test_real_shapes_have_the_sizes_of_the_models_that_they_stand_for(tmp_path: Path) -> None:
    # Parameters as their publishers give them; layers alone make no difference to the rest.
    published = {"llama-1b": 1.24e9, "llama-3b": 3.21e9, "llama-7b": 6.74e9}
    published |= {"llama-7b-grouped": 7.24e9, "gemma-1b": 1.0e9, "gemma-4b": 3.88e9}
    for name, parameters in published.items():
        assert SHAPES[name].parameters == pytest.approx(parameters, rel=0.01), name
    shape = SHAPES["gemma-tiny"]
    path = write_model(tmp_path / "model.gguf", shape)
    assert inspect_header(path).parameters == shape.parameters
