"""A batch tells how far it has come while it is evaluated, and what was done is not lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import tinygguf
from tests.loaded import newest
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.native import batch_progress, llama
from urial_tui.engine.native.abort_flag import AbortFlag
from urial_tui.engine.native.batch_progress import BatchProgress
from urial_tui.engine.native.context import Aborted, LlamaContext
from urial_tui.engine.wire.events import Finished, PrefillProgress
from urial_tui.engine.wire.limits import batch_size, chat_size
from urial_tui.engine.wire.values import EngineOptions, TextSegment
from urial_tui.errors import EngineError

IDS = [(7 * index) % 200 + 5 for index in range(256)]
LONG = (TextSegment(text="here is the answer to the query: help the world, please. " * 120),)
QUESTION = (TextSegment(text="Answer: the first number is"),)


@pytest.fixture
def context(llama_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LlamaContext]:
    """An empty context that reports at every node."""
    monkeypatch.setattr(batch_progress, "PAUSE", 0.0)
    llama.initialise()
    model = llama.NativeModel(str(llama_gguf), gpu_layers=0, progress=lambda _fraction: True)
    context = LlamaContext(
        model, chat_size(512, 128), threads=1, kv_type="f16", flash_attention=False
    )
    context.set_abort_flag(AbortFlag())
    yield context
    context.close()
    model.close()


def read(context: LlamaContext) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    context.clear()
    for start in (0, 128):
        context.decode(IDS[start : start + 128], start, 0)
    return context.logits().copy()


def test_a_batch_tells_how_many_of_its_tokens_are_done(context: LlamaContext) -> None:
    told: list[int] = []
    with context.telling(told.append):
        context.decode(IDS[:128], 0, 0)
        first, told[:] = list(told), []
        context.decode(IDS[128:], 128, 0)
    assert first == sorted(first)
    assert len(first) > 10
    assert told == sorted(told)
    assert told[0] < 10
    assert told[-1] >= 120, "the second batch is counted by the first"
    assert max(*first, *told) < 128, "what ends a batch is its end"
    told.clear()
    context.decode(IDS[:1], 256, 0)
    assert not told


def test_listening_changes_no_logit(context: LlamaContext) -> None:
    alone = read(context)
    with context.telling(lambda _tokens: None):
        assert np.array_equal(read(context), alone)


def test_the_flag_stops_a_batch_that_is_listened_to(
    llama_gguf: Path, context: LlamaContext
) -> None:
    flag = AbortFlag()
    context.set_abort_flag(flag)
    polls: list[int] = []

    def stop(tokens: int) -> None:
        polls.append(tokens)
        flag.set()

    with context.telling(stop), pytest.raises(Aborted):
        context.decode(IDS[:128], 0, 0)
    assert len(polls) == 1
    assert context.last_position(0) == -1, "a batch is evaluated whole or not at all"
    flag.clear()
    context.decode(IDS[:128], 0, 0)


def test_what_a_listener_raises_ends_the_batch(context: LlamaContext) -> None:
    def fail(_tokens: int) -> None:
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"), context.telling(fail):
        context.decode(IDS[:128], 0, 0)
    context.decode(IDS[:128], 0, 0)
    assert context.logits().shape == (context.n_vocab,)


def test_reports_have_a_pause_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = BatchProgress(AbortFlag(), layers=1)
    told: list[float] = []
    progress.listen(told.append)
    progress.begin()
    for _ in range(40):
        now += batch_progress.PAUSE / 3
        assert not progress.poll()
    assert 9 <= len(told) <= 14
    assert told == sorted(told)
    assert max(told) < 1


def test_larger_models_have_smaller_batches() -> None:
    sizes = [batch_size(int(billions * 1e9), 0) for billions in (0.3, 1.2, 3.2, 7.2, 70)]
    assert sizes == [512, 256, 128, 64, 32]
    assert batch_size(70_000_000_000, -1) == 512


def stop_early(engine: Engine) -> int:
    """Stop the preamble behind a batch; the tokens that were evaluated, at least."""
    done = [0]

    def run() -> None:
        for event in newest(engine).prepare(LONG):
            # A batch that ended; reports from within one are never a multiple of it.
            if isinstance(event, PrefillProgress) and event.done % 512 == 0:
                done.append(event.done)
                engine.cancel()

    with pytest.raises(EngineError, match=r"^Stopped\.$"):
        run()
    return done[-1]


@pytest.mark.parametrize("kind", ["llama", "sliding-window", "recurrent"])
def test_a_preamble_that_was_stopped_goes_on_and_ends_the_same(tmp_path: Path, kind: str) -> None:
    writers: dict[str, Callable[..., Path]] = {
        "llama": tinygguf.write_llama,
        "sliding-window": tinygguf.write_sliding_window,
        "recurrent": tinygguf.write_recurrent,
    }
    path = writers[kind](tmp_path / "model.gguf", n_ctx_train=8192)
    answers, states, starts = [], [], []
    for stopped in (False, True):
        cache = tmp_path / f"cache-{stopped}"
        with Engine(cache_dir=cache) as engine:
            for _ in engine.load(path, options=EngineOptions(n_ctx=8192, threads=1)):
                pass
            done = 0
            if stopped:
                done = stop_early(engine)
            events = [
                event
                for event in newest(engine).prepare(LONG)
                if isinstance(event, PrefillProgress)
            ]
            starts.append(events[0].done - done)
            finished = newest(engine).generate(preamble=LONG, turns=[QUESTION], max_tokens=8)
            answers.append(next(event.ids for event in finished if isinstance(event, Finished)))
        states.append([file.read_bytes() for file in sorted(cache.glob("*.kv"))])
    assert answers[0] == answers[1]
    assert len(states[0]) == 1
    assert states[0] == states[1]
    # A recurrent memory can't be cut back to its last whole batch, so it starts again.
    assert (starts[1] > 0) == (kind != "recurrent")
