"""What models of real sizes take: `python -m benchmarks.real_size llama-1b gemma-1b --help`.

The models are those of `tools.synthetic`: real shapes with random weights, written into a
directory and removed again. Everything runs in the worker, as in the program. Memory is that
of the worker process: the most it had for itself (`RssAnon`, looked at ten times a second) and its
peak with the mapped file (`VmHWM`), beside the estimate that is made before a model is loaded.
Weights that the library repacks, and those in huge pages, are its own; the file's pages that they
were made from are given back when memory is wanted.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from tools.synthetic import SHAPES, write_model
from urial_tui import wording
from urial_tui.compare.both_at_once import BothAtOnce
from urial_tui.compare.items import Query
from urial_tui.compare.one_by_one import OneByOne
from urial_tui.compare.runner import Comparison
from urial_tui.compare.side_pair import SidePair
from urial_tui.compare.sides import Side, Task
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import Loaded, PreambleReady, PrefillProgress
from urial_tui.engine.wire.values import EngineOptions, TextSegment
from urial_tui.errors import EngineError, UrialError
from urial_tui.models.fit import need_of
from urial_tui.models.memory_need import PROCESS_BYTES
from urial_tui.processor import processor_name
from urial_tui.prompting.context import find_context
from urial_tui.prompting.templates.renderer import TemplateRenderer

_WORDS = "the rivers carry stones and sand from the hills to the sea and every bend is a story "
_SAMPLE = 0.1
"""Seconds between two looks at the worker's memory."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Of a worker, in bytes: the most it had for itself, with mapped files, and the estimate."""

    own: int
    peak: int
    estimate: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One model. Seconds, bytes, tokens a second; None for what was not measured.

    `longest_wait`: between two reports while the preamble is computed. `cancel`: from the
    request to stop it to its end.
    """

    shape: str
    parameters: int
    file: int
    write_s: float
    load_s: float
    preamble_tokens: int
    computed_s: float
    longest_wait: float
    cancel_s: float | None
    restored_s: float
    state_file: int
    decode: float
    prefill: float
    chat: Memory
    both_s: float | None = None
    both: Memory | None = None
    one_s: float | None = None
    one: Memory | None = None


class Watched:
    """What a process has in memory at most, while this is entered."""

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self._pid = pid
        self._over = threading.Event()
        self.own = self.peak = 0

    def _look(self) -> None:
        try:
            text = Path(f"/proc/{self._pid()}/status").read_text()
        except OSError:
            return
        table = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        self.own = max(self.own, 1024 * int(table.get("RssAnon", "0").split()[0]))
        self.peak = max(self.peak, 1024 * int(table.get("VmHWM", "0").split()[0]))

    @contextmanager
    def run(self) -> Iterator[Watched]:
        """Look until the end."""

        def look() -> None:
            while not self._over.wait(_SAMPLE):
                self._look()

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield self
            self._look()
        finally:
            self._over.set()
            thread.join()


def drain(events: Iterable[object], kind: type[Any]) -> Any:
    """Run a request to its end: its last event of a kind."""
    found = None
    for event in events:
        if isinstance(event, kind):
            found = event
    return found


def text_of(tokens: int) -> str:
    """A text of about so many tokens."""
    return (_WORDS * (tokens // 20 + 1))[: 3 * tokens]


def computed(model: Model, tokens: int) -> tuple[PreambleReady, float]:
    """The preamble's final event, and the longest time without a report."""
    longest, last = 0.0, time.perf_counter()
    ready: PreambleReady | None = None
    for event in model.prepare((TextSegment(text=text_of(tokens)),)):
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
        if isinstance(event, PreambleReady):
            ready = event
        else:
            assert isinstance(event, PrefillProgress)
    assert ready is not None
    return ready, longest


def cancelled(model: Model, tokens: int, after: float) -> float | None:
    """Seconds that a preamble goes on after it is stopped; None where it ended before."""
    asked = 0.0
    call = model.prepare((TextSegment(text=f"Another one: {text_of(tokens)}"),))

    def stop() -> None:
        nonlocal asked
        asked = time.perf_counter()
        call.cancel()

    timer = threading.Timer(after, stop)
    timer.start()
    try:
        call.result()
    except EngineError:
        return time.perf_counter() - asked
    finally:
        timer.cancel()
        timer.join()
    return None


def measure(shape: str, directory: Path, options: EngineOptions, tokens: int) -> Figures:
    """All that one engine is asked for."""
    started = time.perf_counter()
    path = write_model(directory / f"{shape}.gguf", SHAPES[shape])
    write_s = time.perf_counter() - started
    cache = directory / f"{shape}-cache"
    need = need_of(path, msgspec.structs.replace(options, gpu_layers=0))
    log = directory / "engine.log"
    with Engine(cache_dir=cache, log_file=log) as engine, Watched(lambda: engine.pid).run() as seen:
        loading = engine.load(path, options=options)
        loaded: Loaded = drain(loading, Loaded)
        model = loading.result()
        model.prepare((TextSegment(text="A short one."),)).result()
        ready, longest = computed(model, tokens)
        state = max((file.stat().st_size for file in cache.glob("*.kv")), default=0)
        answer = model.generate(
            preamble=(TextSegment(text=text_of(tokens)),),
            turns=[(TextSegment(text="What do rivers carry?"),)],
            max_tokens=24,
        ).result()
        stopped = cancelled(model, tokens, min(2.0, ready.seconds / 2))
    with Engine(cache_dir=cache, log_file=log) as engine:
        restored, _ = computed(engine.load(path, options=options).result(), tokens)
        assert restored.source == "disk", restored.source
    return Figures(
        shape=shape,
        parameters=SHAPES[shape].parameters,
        file=path.stat().st_size,
        write_s=write_s,
        load_s=loaded.load_s,
        preamble_tokens=ready.tokens,
        computed_s=ready.seconds,
        longest_wait=longest,
        cancel_s=stopped,
        restored_s=restored.seconds,
        state_file=state,
        decode=answer.decode_tokens_per_s,
        prefill=ready.tokens / ready.seconds,
        chat=Memory(own=seen.own, peak=seen.peak, estimate=need.total),
    )


def compare(
    kind: type[BothAtOnce | OneByOne],
    paths: tuple[Path, Path],
    directory: Path,
    options: EngineOptions,
    tokens: int,
) -> tuple[float, Memory]:
    """Seconds and memory of one given text on two models."""
    raw = find_context("raw")
    base, aligned = (Side(name=path.name, path=path, context=raw) for path in paths)
    cpu = msgspec.structs.replace(options, gpu_layers=0)
    needs = [need_of(aligned.path, cpu, "aligned"), need_of(base.path, cpu, "base")]
    if kind is OneByOne:
        needs = [max(needs, key=lambda need: need.total)]
    started = time.perf_counter()
    with (
        Engine(cache_dir=directory / "cache", log_file=directory / "engine.log") as engine,
        TemplateRenderer() as templates,
        Watched(lambda: engine.pid).run() as seen,
    ):
        pair = SidePair(engine, base, aligned, templates=templates, options=options)
        comparison = Comparison(pair, kind)
        drain(comparison.open(), object)
        query = Query(id="1", text="Tell me of the rivers.")
        drain(comparison.run([Task(query=query, text=text_of(tokens))]), object)
    return time.perf_counter() - started, Memory(
        own=seen.own,
        peak=seen.peak,
        estimate=sum(need.weights + need.buffers for need in needs) + PROCESS_BYTES,
    )


def compared(figures: Figures, directory: Path, options: EngineOptions, tokens: int) -> Figures:
    """The same with a second model of the shape, in both ways of using memory."""
    first = directory / f"{figures.shape}.gguf"
    second = write_model(directory / "other.gguf", SHAPES[figures.shape], seed=1)
    both_s, both = compare(BothAtOnce, (first, second), directory, options, tokens)
    one_s, one = compare(OneByOne, (first, second), directory, options, tokens)
    second.unlink()
    return msgspec.structs.replace(figures, both_s=both_s, both=both, one_s=one_s, one=one)


def table(rows: Iterable[Figures]) -> str:
    """The figures as a Markdown table, a column for each model."""
    rows = list(rows)
    size = wording.size

    def memory(found: Memory | None) -> str:
        if found is None:
            return wording.UNKNOWN
        return f"{size(found.own)}, {size(found.peak)} / {size(found.estimate)}"

    def fixed(value: float | None, digits: int = 1) -> str:
        return wording.fixed(value, digits)

    lines: dict[str, list[str]] = {
        "model": [row.shape for row in rows],
        "file": [size(row.file) for row in rows],
        "load, s": [fixed(row.load_s, 2) for row in rows],
        "preamble computed, s": [
            f"{fixed(row.computed_s)} ({row.preamble_tokens} tokens)" for row in rows
        ],
        "preamble restored, s": [fixed(row.restored_s, 2) for row in rows],
        "its file": [size(row.state_file) for row in rows],
        "prefill, tokens/s": [fixed(row.prefill) for row in rows],
        "decode, tokens/s": [fixed(row.decode) for row in rows],
        "longest wait for a report, s": [fixed(row.longest_wait, 2) for row in rows],
        "cancelled after, s": [fixed(row.cancel_s, 2) for row in rows],
        "chat: own memory, peak with the file / estimate": [memory(row.chat) for row in rows],
        "compare, both in memory, s": [fixed(row.both_s) for row in rows],
        "its memory / estimate": [memory(row.both) for row in rows],
        "compare, one at a time, s": [fixed(row.one_s) for row in rows],
        "its memory / estimate ": [memory(row.one) for row in rows],
    }
    head, *rest = (f"| {name.strip()} | {' | '.join(cells)} |" for name, cells in lines.items())
    return "\n".join([head, "| --- |" + " --- |" * len(rows), *rest])


def main() -> int:
    """Measure the shapes that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real_size",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shapes", nargs="+", choices=SHAPES)
    parser.add_argument("--tokens", type=int, default=512, help="of the preamble, about")
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--compare", action="store_true", help="two models of each shape as well")
    parser.add_argument("--compared-tokens", type=int, default=128)
    parser.add_argument("--directory", type=Path, help="where there is room for the files")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    options = EngineOptions(n_ctx=arguments.context)
    rows: list[Figures] = []
    for shape in arguments.shapes:
        with tempfile.TemporaryDirectory(dir=arguments.directory, prefix="urial-size-") as name:
            try:
                row = measure(shape, Path(name), options, arguments.tokens)
                if arguments.compare:
                    row = compared(row, Path(name), options, arguments.compared_tokens)
            except UrialError as error:
                print(f"{shape}: {error.message}", file=sys.stderr)
                return 1
        rows.append(row)
        print(table(rows), end="\n\n", flush=True)
    print(f"{processor_name()}, {os.cpu_count()} threads")
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.encode(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
