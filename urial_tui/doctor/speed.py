"""A speed test of three seconds: what the memory gives, and what decoding makes of it.

`urial bench` measures properly; this tells a machine that works from one that is far too slow.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from urial_tui.benchmark.memory_speed import read_speed
from urial_tui.benchmark.report import busy_warning, load_average
from urial_tui.doctor.engine import MakeEngine, make_engine, within
from urial_tui.doctor.finding import Fact
from urial_tui.doctor.processor import usable_processors
from urial_tui.engine.wire.events import Finished
from urial_tui.engine.wire.values import EngineOptions, ModelInfo, TextSegment
from urial_tui.errors import EngineError
from urial_tui.models.catalogue import load_catalogue
from urial_tui.models.registry import list_models
from urial_tui.wording import amount, byte_rate, rate

_LIMIT_S = 3.0
"""Of all of it, however slow the machine is."""
_READING = 0.25
"""The part of that for the memory's speed."""
_WRITING = 0.8
"""The part of what is left for writing, before it is cancelled."""
_TOKENS = 24
_FEWEST = 3
"""Tokens by which a speed is told, where there was no time for more."""
_QUESTION = (TextSegment(text="Once upon a time there was"),)
_SLOW_MEMORY = 4e9
"""Bytes a second; any memory of the last fifteen years gives more in a process of its own."""
_SLOW_DECODE = 5.0
"""Tokens a second of the demo model, which is small."""


def speed(
    make: MakeEngine = make_engine,
    read: Callable[[int], float] | None = None,
    model: Path | None = None,
    load: Callable[[], float | None] = load_average,
    limit_s: float = _LIMIT_S,
) -> Iterator[Fact]:
    """What was measured, and how.

    Args:
        make: Makes an engine.
        read: Bytes a second that so many threads read.
        model: A model to decode with, unless it is the demo model, where that is on the disk.
        load: The machine's load average.
        limit_s: Seconds that all of it may take.

    Raises:
        EngineError: The engine can't be started, or died.
    """
    end = time.monotonic() + limit_s
    threads = usable_processors()
    # What is slow beside other work is no fault of this machine.
    if busy := busy_warning(load(), threads):
        yield Fact(busy.rstrip("."), "note")
    given = read(threads) if read else read_speed(threads, limit_s=limit_s * _READING)
    slow = given < _SLOW_MEMORY and not busy
    yield Fact(
        f"memory: numpy reads {byte_rate(given)} in {amount(threads, 'thread')}",
        "warning" if slow else "good",
        "Close what else computes; in a virtual machine, ask for more of it." if slow else "",
    )
    model = model or _demo()
    if model is None:
        yield Fact("decoding: not measured, since the demo model is not on the disk", "note")
        return
    written = _written(make, model, end)
    if written is None:
        yield Fact(
            f"decoding: not measured, since the model was not ready within {limit_s:g} s; "
            "`urial bench` takes its time",
            "note",
        )
        return
    done, info = written
    enough = _FEWEST if done.stop_reason == "cancelled" else _TOKENS // 2
    if done.generated < enough:
        why = "the time was over" if done.stop_reason == "cancelled" else "the answer ended"
        yield Fact(f"decoding: not measured, since {why} too early", "note")
        return
    slow = done.decode_tokens_per_s < _SLOW_DECODE and not busy
    yield Fact(
        f"decoding: {model.name} writes {rate(done.decode_tokens_per_s)} on "
        f"{amount(info.threads, 'thread')} ({amount(done.generated, 'token')}, "
        f"{amount(info.gpu_layers, 'layer')} on a GPU)",
        "warning" if slow else "good",
        "Close what else computes; see which features of the CPU the build uses." if slow else "",
    )


def _written(make: MakeEngine, model: Path, end: float) -> tuple[Finished, ModelInfo] | None:
    """What was written until a moment; None where nothing could be.

    Raises:
        EngineError: The engine can't be started, or died before.
    """
    try:
        with make(None) as engine, within(max(0.0, end - time.monotonic()), engine):
            loaded = engine.load(model, options=EngineOptions(n_ctx=1024, parallel=1)).result()
            call = loaded.generate(preamble=(), turns=[_QUESTION], max_tokens=_TOKENS)
            # Sooner than the engine would be ended, so that what was written counts.
            stop = threading.Timer(max(0.0, (end - time.monotonic()) * _WRITING), call.cancel)
            stop.daemon = True
            stop.start()
            try:
                return call.result(), loaded.info
            finally:
                stop.cancel()
    except EngineError:
        if time.monotonic() < end:
            raise
        return None


def _demo() -> Path | None:
    """The demo model, where it is on the disk already."""
    for status in list_models(load_catalogue()):
        if status.state == "disk" and status.entry is not None and status.entry.package:
            return status.place
    return None
