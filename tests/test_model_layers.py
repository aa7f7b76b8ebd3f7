"""The layers of architectures of which no tiny model is written, by headers such as theirs.

The size of a state, for one sequence, is counted by hand from the form that each architecture has.
"""

from __future__ import annotations

from typing import Any

import pytest

from urial_tui.models.gguf_file import Metadata
from urial_tui.models.layers import kv_heads, recurrent_layers, state_elements
from urial_tui.models.memory_need import cache_bytes


def header(architecture: str, **values: Any) -> Metadata:
    named = {f"{architecture}.{key.replace('__', '.')}": value for key, value in values.items()}
    return Metadata(metadata={"general.architecture": architecture, **named}, lengths={}, size=0)


QWEN3_NEXT = header(
    "qwen3next",
    block_count=48,
    embedding_length=2048,
    attention__head_count=16,
    attention__head_count_kv=2,
    attention__key_length=256,
    attention__value_length=256,
    ssm__conv_kernel=4,
    ssm__state_size=128,
    ssm__group_count=16,
    ssm__inner_size=4096,
)
FALCON_H1 = header(
    "falcon-h1",
    block_count=44,
    embedding_length=3072,
    attention__head_count=12,
    attention__head_count_kv=2,
    attention__key_length=128,
    attention__value_length=128,
    ssm__conv_kernel=4,
    ssm__state_size=256,
    ssm__group_count=1,
    ssm__inner_size=3072,
)
RWKV7 = header(
    "rwkv7",
    block_count=32,
    embedding_length=2560,
    attention__head_count=0,
    wkv__head_size=64,
    token_shift_count=2,
)
LFM2 = header(
    "lfm2",
    block_count=16,
    embedding_length=2048,
    attention__head_count=32,
    attention__head_count_kv=(0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 8, 0, 8, 0, 8, 0),
    shortconv__l_cache=3,
)
KIMI_LINEAR = header(
    "kimi-linear",
    block_count=4,
    embedding_length=2304,
    attention__head_count=32,
    attention__head_count_kv=(0, 0, 0, 1),
    ssm__conv_kernel=4,
    kda__head_dim=128,
)
NEMOTRON_H = header(
    "nemotron_h",
    block_count=4,
    embedding_length=4096,
    attention__head_count=32,
    attention__head_count_kv=(0, 0, 8, 0),
    feed_forward_length=(0, 12288, 0, 12288),
    ssm__conv_kernel=4,
    ssm__state_size=128,
    ssm__group_count=8,
    ssm__inner_size=8192,
)
LLAMA = header("llama", block_count=2, embedding_length=64, attention__head_count=4)


@pytest.mark.parametrize(
    ("model", "recurrent", "attending", "mebibytes"),
    [
        (QWEN3_NEXT, 36, 12, 75.38),
        (FALCON_H1, 44, 44, 133.80),
        (RWKV7, 32, 0, 20.62),
        (LFM2, 10, 6, 0.16),
        (KIMI_LINEAR, 3, 1, 6.42),
        (NEMOTRON_H, 1, 1, 4.12),
        (LLAMA, 0, 2, 0.0),
    ],
    ids=lambda value: value.architecture if isinstance(value, Metadata) else "",
)
def test_layers_have_the_state_and_the_cache_that_llama_cpp_gives_them(
    model: Metadata, recurrent: int, attending: int, mebibytes: float
) -> None:
    found = recurrent_layers(model)
    assert sum(found) == recurrent
    assert sum(1 for heads in kv_heads(model) if heads) == attending
    assert 4 * recurrent * state_elements(model) / 2**20 == pytest.approx(mebibytes, abs=0.005)


def test_every_so_many_th_layer_attends_unless_the_header_says_which() -> None:
    layers = {"block_count": 8, "attention__head_count": 4, "attention__head_count_kv": 2}
    usual = header("qwen35", **layers)
    every = header("qwen35", **layers, full_attention_interval=2)
    told = header("qwen35", **layers, attention__recurrent_layers=(True,) * 7 + (False,))
    assert kv_heads(usual) == (0, 0, 0, 2, 0, 0, 0, 2)
    assert kv_heads(every) == (0, 2) * 4
    assert kv_heads(told) == (0,) * 7 + (2,)


def test_a_cache_is_of_the_layers_that_attend() -> None:
    # Keys and values of 2 heads of 256 numbers, 2 bytes each, in 12 of the 48 layers.
    assert cache_bytes(QWEN3_NEXT, "f16", 1000) == 1000 * 12 * 2 * 512 * 2


@pytest.mark.parametrize("interval", [0, -3, 10**9])
def test_a_damaged_interval_ends_nothing(interval: int) -> None:
    model = header(
        "qwen3next", block_count=4, attention__head_count=2, full_attention_interval=interval
    )
    assert len(recurrent_layers(model)) == 4
