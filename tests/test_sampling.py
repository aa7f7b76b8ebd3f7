"""Picking out what can be chosen changes nothing of what is chosen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from urial_tui.engine.native import llama
from urial_tui.engine.native.context import LlamaContext
from urial_tui.engine.wire.limits import chat_size
from urial_tui.engine.wire.scores import Floats
from urial_tui.engine.wire.values import Sampling
from urial_tui.engine.worker.sampling import Sampler

LENGTH = 32
"""Tokens of an answer: enough for each penalty to have something to count."""


@pytest.fixture(scope="module")
def evaluated(demo_model: Path) -> Iterator[tuple[llama.NativeModel, LlamaContext, list[int]]]:
    """The demo model behind a short text, with logits for its last token."""
    llama.initialise()
    model = llama.NativeModel(str(demo_model), gpu_layers=0, progress=lambda _fraction: True)
    context = LlamaContext(
        model, chat_size(512, 512), threads=1, kv_type="f16", flash_attention=False
    )
    ids = [*model.vocab.bos, *model.vocab.tokenize("Some animals are: the cat, the dog, the")]
    yield model, context, ids
    context.close()
    model.close()


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(repetition_penalty=1.3),
        Sampling(repetition_penalty=1.1, dry_multiplier=0.8),
        Sampling(frequency_penalty=0.7, presence_penalty=0.4),
        Sampling(temperature=0.9, top_k=40, seed=1),
        Sampling(temperature=1.5, top_k=200, top_p=0.9, min_p=0.01, seed=2),
        Sampling(temperature=1.0, repetition_penalty=1.2, dry_multiplier=1.0, seed=3),
    ],
)
def test_the_tokens_are_those_of_the_native_chain_over_the_whole_row(
    evaluated: tuple[llama.NativeModel, LlamaContext, list[int]],
    sampling: Sampling,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, context, ids = evaluated
    context.clear()
    context.decode(ids, 0, 0)
    rows: list[Floats] = []
    picked: list[int] = []
    with contextlib.closing(Sampler(model.vocab, sampling, model.n_ctx_train)) as sampler:
        while len(picked) < LENGTH:
            rows.append(context.logits().copy())
            picked.append(sampler.sample(rows[-1].copy()))
            context.decode(picked[-1:], len(ids) + len(rows) - 1, 0)
    monkeypatch.setattr("urial_tui.engine.worker.sampling._WORTH", 10**9)
    with contextlib.closing(Sampler(model.vocab, sampling, model.n_ctx_train)) as sampler:
        assert picked == [sampler.sample(row) for row in rows]
