"""A chat's first token while a pool of answers is written: `python -m benchmarks.beside --help`.

One worker, one model: questions are kept on their way in a pool, as an evaluation does, and now and
then a question is asked as a chat does, one answer alone. What is told of it is how many batches
the pool was given between the question and its first token, and how long that took. A batch is told
by its texts: each answer of the pool gets a token of each.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks.parallel import chosen_items, make_work
from benchmarks.parallel_items import ITEMS
from benchmarks.parallel_work import Work
from benchmarks.speed import at_least
from benchmarks.worker_line import WorkerLine
from urial_tui.benchmark.report import busy_warning, this_machine
from urial_tui.engine.native.threads import physical_cores
from urial_tui.engine.wire.commands import Generate
from urial_tui.engine.wire.events import Event, Finished, TextDelta
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import UrialError
from urial_tui.models.registry import resolve
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.sanitize import sanitize_line

_CHAT_TOKENS = 8
"""Of each answer of the chat."""
_SETTLED = 4
"""Batches that the pool is given before the chat is asked again."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question of the chat. `batches`: of the pool, up to its first token, after `seconds`."""

    batches: int
    seconds: float


class Beside:
    """A chat beside a pool.

    Args:
        line: The worker, with the model loaded.
        work: What is asked.
        sequences: Answers of the pool at the same time.
    """

    def __init__(self, line: WorkerLine, work: Work, sequences: int) -> None:
        self._line = line
        self._work = work
        self._sequences = sequences
        self._written: Counter[int] = Counter()
        """Tokens of each answer of the pool that is being written."""
        self._waiting = self._questions()

    def measure(self, times: int) -> list[Asked]:
        """Ask so many times; what became of each."""
        self._line.prepare(self._work.preamble)
        for _ in range(self._sequences):
            self._next_of_pool()
        found = []
        for number in range(times):
            self._settle()
            found.append(self._ask(number))
        return found

    def _questions(self) -> Iterator[Generate]:
        prompts = deque(self._work.prompts)
        while True:
            prompt = prompts[0]
            prompts.rotate(-1)
            yield self._line.question(self._work, prompt, together=True)

    def _next_of_pool(self) -> None:
        question = next(self._waiting)
        self._written[question.id] = 0
        self._line.send(question)

    def _settle(self) -> None:
        """Wait until all of the pool are writing, and have written a little more."""
        while len(self._written) < self._sequences or not all(self._written.values()):
            self._take(self._line.receive())
        before = self._written.copy()
        while self._batches(before) < _SETTLED:
            self._take(self._line.receive())

    def _ask(self, number: int) -> Asked:
        prompt = self._work.prompts[number % len(self._work.prompts)]
        short = msgspec.structs.replace(prompt, limit=_CHAT_TOKENS)
        question = self._line.question(self._work, short, together=False)
        before, began = self._written.copy(), time.perf_counter()
        self._line.send(question)
        first: Asked | None = None
        while True:
            match self._line.receive():
                case TextDelta(id=question.id) | Finished(id=question.id) as event:
                    if first is None:
                        seconds = time.perf_counter() - began
                        first = Asked(batches=self._batches(before), seconds=seconds)
                    if isinstance(event, Finished):
                        return first
                case event:
                    self._take(event)

    def _batches(self, before: Counter[int]) -> int:
        """Batches since, by the answer that got the most tokens; one may have begun anew."""
        return max((written - before[one] for one, written in self._written.items()), default=0)

    def _take(self, event: Event) -> None:
        match event:
            case TextDelta() if event.id in self._written:
                self._written[event.id] = max(self._written[event.id], event.generated)
            case Finished() if event.id in self._written:
                del self._written[event.id]
                self._next_of_pool()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    chosen = _parser().parse_args(arguments)
    machine = this_machine()
    if warning := busy_warning(machine.load_average, machine.cores):
        _say(warning)
    try:
        with tempfile.TemporaryDirectory(prefix="urial-beside-") as name:
            work, library = make_work(
                resolve(chosen.model).path.absolute(),
                find_preamble(chosen.preamble),
                chosen_items(len(ITEMS), 1.0),
                threads=chosen.threads,
                rest=0.0,
                directory=Path(name),
            )
            options = EngineOptions(
                n_ctx=work.n_ctx,
                threads=work.threads,
                parallel=chosen.sequences,
                pool=work.pool(chosen.sequences),
            )
            with WorkerLine(Path(name)) as line:
                line.load(work.model, options)
                found = Beside(line, work, chosen.sequences).measure(chosen.times)
    except UrialError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    batches = Counter(asked.batches for asked in found)
    seconds = sorted(asked.seconds for asked in found)
    print(
        f"{Path(work.model).name} behind {chosen.preamble}, {chosen.sequences} answers in a "
        f"pool, {work.threads} threads; {machine.processor}, {machine.cores} cores; "
        f"{sanitize_line(library)}"
    )
    print(f"a chat's question, {len(found)} times, up to its first token")
    print(
        "batches of the pool: "
        + ", ".join(f"{number} ({batches[number]} times)" for number in sorted(batches))
    )
    print(
        f"seconds: median {statistics.median(seconds):.3f}, "
        f"lowest {seconds[0]:.3f}, highest {seconds[-1]:.3f}"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.beside",
        description="Measure a chat's first token while a pool of answers is written.",
    )
    parser.add_argument("--model", default="gemma-3-270m", help="a .gguf file, or a catalogue name")
    parser.add_argument("--preamble", default="urial-k3", help="a name or a file")
    parser.add_argument("--sequences", type=at_least(1), default=16)
    parser.add_argument("--times", type=at_least(1), default=40, help="questions of the chat")
    parser.add_argument("--threads", type=at_least(1), default=physical_cores())
    return parser


def _say(sentence: str) -> None:
    print(f"beside: {sanitize_line(sentence)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
