"""`urial bench`: what this machine does with a model.

The table (or with --json the document) goes to standard output when all runs are done, or
when Ctrl-C ends them early; progress goes to standard error.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

import click

from urial_tui import interrupts, wording
from urial_tui.cli import shared_options
from urial_tui.cli.numbers import Whole
from urial_tui.cli.output import TableColumn, print_json, print_table
from urial_tui.cli.progress_line import ProgressLine
from urial_tui.errors import UrialError
from urial_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from urial_tui.benchmark.report import Report, Spread
    from urial_tui.benchmark.runs import Benchmark
    from urial_tui.engine.wire.values import EngineOptions
    from urial_tui.models.registry import ResolvedModel


@click.command()
@shared_options.MODEL
@shared_options.PREAMBLE
@click.option(
    "--runs",
    type=Whole(1, 1000),
    default=5,
    show_default=True,
    metavar="N",
    help="How often to measure everything.",
)
@click.option(
    "--tokens",
    type=Whole(2, 100_000),
    default=128,
    show_default=True,
    metavar="N",
    help="Tokens to generate for a decoding speed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def bench(
    context: click.Context,
    model: str | None,
    preamble: str | None,
    runs: int,
    tokens: int,
    as_json: bool,
) -> None:
    """Measure what this machine does with a model: speed, and time to the first token."""
    from urial_tui.benchmark.report import busy_warning, load_average
    from urial_tui.benchmark.runs import Benchmark
    from urial_tui.models.fit import check_fit
    from urial_tui.models.registry import resolve
    from urial_tui.prompting.preamble_file import find_preamble
    from urial_tui.settings import engine_options, load_settings

    settings = load_settings()
    preamble = preamble or settings.chat.preamble
    model = model or settings.chat.model
    options = engine_options(settings)
    chosen = find_preamble(preamble)
    progress = _Progress(runs)
    resolved = resolve(model, progress=progress.unpacking)
    for warning in (
        check_fit(resolved.path, options),
        busy_warning(load_average(), os.cpu_count() or 1),
    ):
        if warning:
            progress.say(warning)
    failure: UrialError | None = None
    with Benchmark(
        model=(model, resolved), preamble=(preamble, chosen), options=options, tokens=tokens
    ) as benchmark:
        try:
            _measure(benchmark, runs, progress)
        except UrialError as error:
            if not benchmark.has_figures:
                raise
            failure = error
        finally:
            progress.clear()
        report = benchmark.report(progress.finished, complete=progress.finished == runs)
    if trouble := _remember(resolved, options, report):
        progress.say(trouble)
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(report))
    else:
        _print_tables(report)
    if failure is not None:
        raise failure
    if not report.complete:
        context.exit(interrupts.EXIT_CODE)


def _remember(model: ResolvedModel, options: EngineOptions, report: Report) -> str:
    """Keep the speeds for `urial models inspect`; why they can't be kept, or nothing.

    An adapter's are not the model's.
    """
    from urial_tui.files import reason
    from urial_tui.models.speed import MemorySpeed, ModelSpeed, mark_of, remember

    rates, memory = report.decode_tokens_per_s, report.memory
    if model.adapter is not None or rates.empty is None:
        return ""
    try:
        read, weights = memory.read_bytes_per_s, memory.weight_bytes_per_token
        remember(
            options,
            mark_of(model.path),
            ModelSpeed(
                name=model.title,
                empty=rates.empty.median,
                preamble=rates.preamble.median if rates.preamble else None,
            ),
            MemorySpeed(name=model.title, read=read.median, decoding=rates.empty.median * weights)
            if read and weights
            else None,
        )
    except (OSError, UrialError) as error:
        return f"The speeds are not kept for `urial models inspect`: {reason(error)}."
    return ""


def _measure(benchmark: Benchmark, runs: int, progress: _Progress) -> None:
    """Take all steps of all runs, or those that come before Ctrl-C."""
    from urial_tui.benchmark.runs import Interrupted

    with _interrupt(benchmark), contextlib.suppress(Interrupted):
        progress.show("Loading the model")
        benchmark.warm_up()
        names = [name for name, _ in benchmark.steps]
        for run in range(1, runs + 1):
            for name, step in benchmark.steps:
                progress.start(run, name, names)
                step()
                progress.end(name)
            progress.end_run(run)


@contextlib.contextmanager
def _interrupt(benchmark: Benchmark) -> Iterator[None]:
    """The first Ctrl-C ends the measuring and keeps what is there, a second one the program."""
    asked = False

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        benchmark.interrupt()

    with interrupts.handled(interrupt):
        yield


class _Progress(ProgressLine):
    """Where the runs are, on standard error: a line that changes, or a line a run."""

    def __init__(self, runs: int) -> None:
        super().__init__()
        self.finished = 0
        self._runs = runs
        self._seconds: dict[str, list[float]] = {}
        self._started = 0.0

    def start(self, run: int, name: str, steps: list[str]) -> None:
        """A step begins; the rest of this run and the other runs are still to come."""
        self._started = time.monotonic()
        left = steps[steps.index(name) :] + steps * (self._runs - run)
        self.show(f"Run {run} of {self._runs}: {name}{self._estimate(left)}")

    def end(self, name: str) -> None:
        """A step is done."""
        self._seconds.setdefault(name, []).append(time.monotonic() - self._started)

    def end_run(self, run: int) -> None:
        """A run is done."""
        self.finished = run
        if not self.live and run < self._runs:
            left = list(self._seconds) * (self._runs - run)
            self.say(f"Run {run} of {self._runs} is done{self._estimate(left)}.")

    def _estimate(self, left: list[str]) -> str:
        """The time that these steps will take, once each has been seen."""
        if any(name not in self._seconds for name in left):
            return ""
        means = {name: sum(times) / len(times) for name, times in self._seconds.items()}
        seconds = sum(means[name] for name in left)
        return f", about {wording.duration(seconds)} left"


def _print_tables(report: Report) -> None:
    """The report for people to read."""
    ended = "" if report.complete else " (ended early)"
    machine = report.machine
    for line in (
        f"{report.model}: {report.description or 'not loaded'}",
        f"{report.preamble}: {wording.amount(report.preamble_tokens, 'token')}",
        f"{machine.processor}, {wording.amount(machine.cores, 'core')}; {report.library}",
        f"{wording.amount(report.runs, 'run')} of {wording.amount(report.tokens, 'token')}, "
        f"{wording.amount(report.threads, 'thread')}{ended}",
    ):
        click.echo(sanitize_line(line))
    click.echo()
    rate, first = report.decode_tokens_per_s, report.first_token_s
    figures: list[tuple[str, Spread | None, str]] = [
        ("prefill", report.prefill_tokens_per_s, "tokens/s"),
        ("decode, empty context", rate.empty, "tokens/s"),
        ("decode, behind the preamble", rate.preamble, "tokens/s"),
        ("first token, running process", first.running, "s"),
        ("first token, new process, preamble on disk", first.disk, "s"),
        ("first token, new process, preamble computed", first.cold, "s"),
        ("load", report.load_s, "s"),
        ("memory, read by numpy", _scaled(report.memory.read_bytes_per_s, 1e-9), "GB/s"),
        ("decode's reading of weights, of that", _scaled(report.memory.share, 100), "%"),
    ]
    columns = [
        TableColumn(""),
        TableColumn("median", right=True),
        TableColumn("lowest", right=True, drop=1),
        TableColumn("highest", right=True, drop=1),
        TableColumn("unit"),
    ]
    print_table(columns, [(words, *_cells(figure), unit) for words, figure, unit in figures])
    for note in report.notes:
        click.echo(f"\n{sanitize_line(note)}")


def _cells(figure: Spread | None) -> tuple[str, ...]:
    if figure is None:
        return (wording.UNKNOWN,) * 3
    return tuple(map(wording.three_digits, (figure.median, figure.low, figure.high)))


def _scaled(figure: Spread | None, factor: float) -> Spread | None:
    """The same figure in another unit."""
    from urial_tui.benchmark.report import spread

    return None if figure is None else spread([factor * value for value in figure.values])
