"""Picking out what can be chosen changes nothing of what is chosen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
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


@pytest.fixture
def tiny(llama_gguf: Path) -> Iterator[llama.NativeModel]:
    llama.initialise()
    model = llama.NativeModel(str(llama_gguf), gpu_layers=0, progress=lambda _fraction: True)
    yield model
    model.close()


def counted(name: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """The calls of a function of the library, from now on."""
    calls: list[tuple[object, ...]] = []
    function = getattr(llama.lib, name)

    def call(*given: object) -> object:
        calls.append(given)
        return function(*given)

    monkeypatch.setattr(llama.lib, name, call)
    return calls


def drawn(model: llama.NativeModel, multiplier: float, begun: Sequence[int]) -> list[int]:
    """An answer that starts with these tokens, from rows that make it repeat itself."""
    sampling = Sampling(dry_multiplier=multiplier)
    row = np.linspace(2.0, 0.0, model.vocab.size, dtype=np.float32)
    with contextlib.closing(Sampler(model.vocab, sampling, model.n_ctx_train)) as sampler:
        sampler.accept(begun)
        return [sampler.sample(np.roll(row, 400 + at % 3)) for at in range(LENGTH)]


def test_an_answer_starts_with_samplers_that_know_nothing_of_those_before(
    tiny: llama.NativeModel, llama_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = ((), tuple(range(400, 440)) * 3, ())
    # As each is in a vocabulary in which there was no other.
    alone = []
    for start in begun:
        model = llama.NativeModel(str(llama_gguf), gpu_layers=0, progress=lambda _fraction: True)
        alone.append(drawn(model, 0.8, start))
        model.close()
    assert alone[0] != alone[1], "what stands there is looked back on"
    assert alone[0][:3] * 3 != alone[0][:9], "repeating is penalised"
    made = counted("llama_sampler_init_dry", monkeypatch)
    assert [drawn(tiny, 0.8, start) for start in begun] == alone
    assert len(made) == 1, "the vocabulary was looked through once"
    assert drawn(tiny, 0.002, ()) != alone[0], "other settings, another sampler"
    assert len(made) == 2


def test_few_samplers_are_kept_however_many_settings_there_were(
    tiny: llama.NativeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = llama.lib.llama_sampler_free
    freed = counted("llama_sampler_free", monkeypatch)
    breakers = (b"\n",)
    for last_n in range(1, 41):
        free(tiny.vocab.dry_sampler(llama.DrySettings(0.8, 1.75, 2, last_n, breakers)))
    assert len(freed) == 24
    tiny.vocab.close()
    assert len(freed) == 40
