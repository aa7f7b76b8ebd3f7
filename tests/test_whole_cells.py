"""Flash attention over whole cells: the number of threads decides no logit of a single token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import tinygguf
from urial_tui.engine.native import llama, whole_cells
from urial_tui.engine.native.abort_flag import AbortFlag
from urial_tui.engine.native.context import LlamaContext
from urial_tui.engine.wire.commands import LoadModel
from urial_tui.engine.wire.limits import chat_size, flash_attention
from urial_tui.engine.wire.scores import Floats
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.engine.worker.loaded import LoadedModel

TOKENS = [3 + place * 131 % 250 for place in range(700)]
"""More than the 512 from which on the library splits cells."""


@pytest.fixture(scope="module")
def model(llama_gguf: Path) -> Iterator[llama.NativeModel]:
    llama.initialise()
    model = llama.NativeModel(str(llama_gguf), gpu_layers=0, progress=lambda _: True)
    yield model
    model.close()


def row(model: llama.NativeModel, threads: int, *, whole: bool) -> Floats:
    """The logits behind a last token that is evaluated alone."""
    context = LlamaContext(
        model, chat_size(1024, 512), threads=threads, kv_type="f16", flash_attention=True
    )
    try:
        if whole:
            assert context.keep_cells_whole()
        for start in (0, 512):
            context.decode(TOKENS[start:][:512][: 699 - start], start, 0)
        context.decode(TOKENS[699:], 699, 0)
        return context.logits().copy()
    finally:
        context.close()


def test_a_token_alone_gets_the_same_logits_from_any_number_of_threads(
    model: llama.NativeModel,
) -> None:
    one, two, three = (row(model, threads, whole=True) for threads in (1, 2, 3))
    assert one.tobytes() == two.tobytes() == three.tobytes()
    # What the switch is for: cells that are split are added up in another order.
    split = row(model, 2, whole=False)
    assert split.tobytes() != two.tobytes()
    assert np.abs(split - two).max() < 0.05


def test_batches_are_evaluated_as_they_would_be_without(model: llama.NativeModel) -> None:
    rows = []
    for whole in (False, True):
        context = LlamaContext(
            model, chat_size(1024, 512), threads=2, kv_type="f16", flash_attention=True
        )
        if whole:
            context.keep_cells_whole()
            # The switch is set, and has to be taken back.
            context.decode(TOKENS[:1], 0, 0)
            context.clear()
        context.decode(TOKENS[:512], 0, 0)
        rows.append(context.logits().tobytes())
        context.close()
    assert rows[0] == rows[1]


def test_who_has_flash_attention() -> None:
    assert flash_attention("f16", 18, 0, n_swa=512)
    assert not flash_attention("f16", 18, 0)
    assert flash_attention("q8_0", 18, 0)
    # A part of the layers on a GPU: not tried.
    assert not flash_attention("f16", 18, 5, n_swa=512)
    assert flash_attention("f16", 18, 19)
    assert flash_attention("f16", 18, -1)


def test_a_model_with_windows_has_it_where_the_library_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tinygguf.write_sliding_window(tmp_path / "tiny.gguf")
    command = LoadModel(id=1, model=1, path=str(path), options=EngineOptions(n_ctx=1024))

    def has_flash_attention() -> bool:
        loaded = LoadedModel(command, tmp_path, AbortFlag(), lambda _: None, lambda _: None)
        try:
            return loaded.context.flash_attention
        finally:
            loaded.close()

    assert has_flash_attention()
    monkeypatch.setattr(whole_cells, "_SCHEDULER", "no_such_function")
    assert not has_flash_attention()
