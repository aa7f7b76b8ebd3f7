"""A self-test: tiny models with random weights, through everything that an answer goes through.

Two things are looked at. The engine's own test (`engine.self_test`) sets the library's numbers
against numpy's, in a process that may die of it. Then a preamble is evaluated, kept, restored from
the disk and answered under, through the engine's client: on one thread, on all of them, and with
the layers on the GPUs where there are any. The answer has to be the same from a computed and from
a restored preamble, and on any number of threads.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from urial_tui.doctor.engine import MakeEngine, make_engine, within
from urial_tui.doctor.finding import Fact
from urial_tui.doctor.processor import REBUILD
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.self_test import WRONG
from urial_tui.engine.self_test.model import TinyModel
from urial_tui.engine.wire.values import EngineOptions, TokenSegment
from urial_tui.errors import EngineError, ModelError
from urial_tui.sanitize import sanitize_line, shortened

_LIMIT_S = 120.0
_KERNELS = (sys.executable, "-P", "-m", "urial_tui.engine.self_test")
_PREAMBLE = (TokenSegment(ids=tuple(259 + number % 250 for number in range(0, 384 * 7, 7))),)
_QUESTION = (TokenSegment(ids=(300, 411, 287, 500, 266)),)
_ANSWER = 24
_AGAIN = (
    "Close other programs and run `urial doctor` again; if that ends in the same way, `make setup` "
    "tests the engine, and replaces one that fails."
)


class Way(NamedTuple):
    """How the tiny model is computed. `threads` 0: all cores."""

    name: str
    threads: int
    gpu_layers: int


_CPU = (Way("1 thread", 1, 0), Way("all threads", 0, 0))
_GPU = Way("the GPU", 0, -1)


class _Answer(NamedTuple):
    """What an evaluation came to: where the preamble came from, and the tokens."""

    source: str
    ids: tuple[int, ...]


def kernels(command: Sequence[str] = _KERNELS, limit_s: float = _LIMIT_S) -> Iterator[Fact]:
    """Whether the library's numbers are those of numpy, for each type of matrix.

    Args:
        command: Runs the engine's self-test.
        limit_s: Seconds that it gets.
    """
    # An abort would start a debugger otherwise.
    environ = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield Fact(f"numbers: the test did not end within {limit_s:.0f} s", "warning", REBUILD)
        return
    except OSError as error:
        yield Fact(f"numbers: the test can't be started ({error.strerror})", "warning", _AGAIN)
        return
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    last = shortened(sanitize_line(lines[-1]), 200) if lines else "it said nothing"
    if done.returncode == 0:
        yield Fact(f"numbers: those of numpy, for {sum(':' in line for line in lines)} types")
    elif done.returncode == WRONG:
        yield Fact(f"numbers: wrong ({last})", "bad", REBUILD)
    elif done.returncode < 0 and -done.returncode not in (signal.SIGKILL, signal.SIGTERM):
        yield Fact(f"numbers: the library died of {_signal(done.returncode)}", "bad", REBUILD)
    else:
        yield Fact(f"numbers: the test could not be run ({last})", "warning", _AGAIN)


def answers(make: MakeEngine = make_engine, limit_s: float = _LIMIT_S) -> Iterator[Fact]:
    """Whether computed and restored preambles, and any number of threads, give one answer.

    Args:
        make: Makes an engine.
        limit_s: Seconds that all of it gets.

    Raises:
        EngineError: The engine can't be run.
    """
    with tempfile.TemporaryDirectory(prefix="urial-doctor-") as folder:
        path = Path(folder, "tiny.gguf")
        TinyModel("Q8_0").write(path)
        with make(Path(folder, "preambles")) as engine, within(limit_s, engine):
            gpu = any("gpu" in device.kind for device in engine.devices())
            yield from _compared(engine, path, (*_CPU, _GPU) if gpu else _CPU)


def _compared(engine: Engine, path: Path, ways: Sequence[Way]) -> Iterator[Fact]:
    first: dict[str, tuple[int, ...]] = {}
    for way in ways:
        options = EngineOptions(
            n_ctx=1024, threads=way.threads, gpu_layers=way.gpu_layers, parallel=1
        )
        try:
            computed = _answer(engine, path, options)
            restored = _answer(engine, path, options)
        except (EngineError, ModelError) as error:
            if not engine.alive:
                raise
            yield Fact(f"on {way.name}: {error.message}", "bad", error.hint)
            continue
        yield _verdict(way, computed, restored)
        first[way.name] = computed.ids
    one, every = (first.get(way.name) for way in _CPU)
    if one is not None and every is not None and one != every:
        yield Fact("one thread and all threads give different answers", "bad", REBUILD)


def _verdict(way: Way, computed: _Answer, restored: _Answer) -> Fact:
    if computed.ids != restored.ids:
        return Fact(
            f"on {way.name}: a restored preamble gives another answer than a computed one",
            "bad",
            REBUILD,
        )
    if restored.source == "computed":
        return Fact(
            f"on {way.name}: an evaluated preamble was not found again",
            "warning",
            "Look for room and rights in the directory of temporary files (TMPDIR).",
        )
    return Fact(f"on {way.name}: the same answer from a computed and a restored preamble")


def _answer(engine: Engine, path: Path, options: EngineOptions) -> _Answer:
    """Load the model afresh, have the preamble made ready, and answer under it."""
    model = engine.load(path, options=options).result()
    try:
        ready = model.prepare(_PREAMBLE).result()
        done = model.generate(preamble=_PREAMBLE, turns=[_QUESTION], max_tokens=_ANSWER).result()
    finally:
        if model.loaded:
            model.unload().result()
    return _Answer(ready.source, done.ids)


def _signal(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def self_test(
    make: MakeEngine = make_engine, run_kernels: Callable[[], Iterator[Fact]] = kernels
) -> Iterator[Fact]:
    """Run both self-tests: of the numbers, and of the answers."""
    yield from run_kernels()
    yield from answers(make)
