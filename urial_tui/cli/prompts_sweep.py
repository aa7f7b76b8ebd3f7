"""`urial prompts sweep`: one context under several settings, beside each other, without a judge.

What is answered is kept, whatever ends it, and used again by its content. Progress goes to standard
error; the table, or one JSON object, to standard output.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import click

from urial_tui import interrupts
from urial_tui.cli import shared_options
from urial_tui.cli.long_work import LongWork
from urial_tui.cli.names import NAME
from urial_tui.cli.numbers import COUNT, LAST_SEED, Real, Whole
from urial_tui.wording import amount, time_left

if TYPE_CHECKING:
    from urial_tui.engine.client.engine import Engine
    from urial_tui.evaluate.kept_answers import MeasureStep
    from urial_tui.evaluate.measure_store import MeasureStore
    from urial_tui.evaluate.planned_sweep import PlannedSweep
    from urial_tui.evaluate.sweeping import Sweeping
    from urial_tui.prompting.templates.renderer import TemplateRenderer

_SETTLED = 2.0
"""Seconds after which a rate says something."""
_GO_ON = "What was answered is kept: give the same command again, and it goes on."


class _Values(click.ParamType[tuple[float, ...]]):
    """Numbers in a range, with commas between them.

    Args:
        low, high: The range that the setting has.
    """

    name = "numbers"

    def __init__(self, low: float, high: float) -> None:
        self._one = Real(low, high)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """The numbers that were written."""
        if isinstance(value, tuple):
            return value
        return tuple(self._one.convert(part.strip(), param, ctx) for part in value.split(","))


_PENALTY = _Values(-10, 10)


@click.command()
@click.argument("name", required=False, type=NAME)
@shared_options.MODEL
@click.option(
    "--temperature",
    type=_Values(0, 100),
    metavar="T,…",
    default="0,0.7,1",
    show_default=True,
    help="The temperatures.",
)
@click.option(
    "--repetition-penalty",
    type=_Values(0.01, 10),
    metavar="R,…",
    default="1,1.1,1.2",
    show_default=True,
    help="The repetition penalties; 1 is off.",
)
@click.option(
    "--min-p",
    type=_Values(0, 1),
    metavar="P,…",
    help="Values of min-p.  [default: sampling.min_p]",
)
@click.option(
    "--frequency-penalty",
    type=_PENALTY,
    metavar="F,…",
    help="The frequency penalties.  [default: sampling.frequency_penalty]",
)
@click.option(
    "--presence-penalty",
    type=_PENALTY,
    metavar="F,…",
    help="The presence penalties.  [default: sampling.presence_penalty]",
)
@click.option(
    "--seed",
    type=Whole(0, LAST_SEED),
    metavar="S",
    default=0,
    show_default=True,
    help="Seed of what is drawn.",
)
@click.option("--limit", metavar="N", type=COUNT, help="Only the first N questions.")
@shared_options.QUESTION_TOKENS
@shared_options.TOGETHER
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def sweep(**options: Any) -> None:
    """Compare settings by the answers to everyday questions.

    NAME is a preamble, chat or raw; without it, chat.preamble. Each combination of the values is a
    setting, and the first of each makes the first setting, with which the others are compared.

    How the answers end, how long they are and how much they repeat; the setting to choose is named
    where the intervals tell it from the first one.
    """
    from urial_tui.engine.client.engine import Engine
    from urial_tui.evaluate.measure_store import MeasureStore
    from urial_tui.paths import measures_file
    from urial_tui.prompting.templates.renderer import TemplateRenderer

    with contextlib.ExitStack() as stack:
        templates = stack.enter_context(TemplateRenderer())
        engine = stack.enter_context(Engine())
        store = stack.enter_context(contextlib.closing(MeasureStore(measures_file())))
        invocation = _Sweep(engine, templates, store, options)
        with invocation.going.interruptible():
            code = invocation.run()
    click.get_current_context().exit(code)


class _Sweep:
    """One invocation."""

    def __init__(
        self,
        engine: Engine,
        templates: TemplateRenderer,
        store: MeasureStore,
        options: dict[str, Any],
    ) -> None:
        from urial_tui.cli.work_line import WorkLine

        self._engine = engine
        self._templates = templates
        self._store = store
        self._options = options
        self._progress = WorkLine()
        self._planned: PlannedSweep | None = None
        self._started = time.monotonic()
        self._written = 0
        self.going = LongWork(lambda: engine.busy, engine.cancel, _GO_ON)

    def run(self) -> int:
        """Sweep, print: the exit code."""
        from urial_tui.engine.client.call import follow
        from urial_tui.evaluate.planned_sweep import PlannedSweep, SweepChoice
        from urial_tui.evaluate.sweeping import Grid
        from urial_tui.settings import load_settings

        given = self._options
        grid = Grid(**{name: given[name] or () for name in Grid.__struct_fields__})
        others = [name for name in SweepChoice.__struct_fields__ if name != "grid"]
        choice = SweepChoice(grid=grid, **{name: given[name] for name in others})
        self._planned = planned = PlannedSweep(choice, load_settings(), self._store)
        if self._store.trouble:
            self._progress.say(self._store.trouble)
            self.going.kept = "What was answered is not kept."
        sweeping: Sweeping | None = None
        with self._progress, self.going.ending():
            sweeping = follow(
                planned.load(self._engine, self._templates, self._progress.unpacking), self._show
            )
            self.going.begin(sweeping)
            self._started = time.monotonic()
            with contextlib.closing(sweeping.steps()) as steps:
                for step in steps:
                    self._show(step, sweeping)
        if sweeping is None or self.going.interrupted:
            done = 0 if sweeping is None else len(sweeping.swept)
            total = amount(len(planned.samplings), "setting")
            self._progress.say(f"Interrupted: {done} of {total} are measured. {self.going.kept}")
            return interrupts.EXIT_CODE
        for note in planned.notes:
            self._progress.say(note)
        self._progress.say_first(
            [f"Not answered under {trouble}" for trouble in sweeping.troubles], "Not answered"
        )
        _print(planned.document(sweeping), as_json=given["as_json"])
        return 0

    def _show(self, step: MeasureStep, sweeping: Sweeping | None = None) -> None:
        from urial_tui.engine.wire.events import Notice
        from urial_tui.evaluate.kept_answers import TextsRead
        from urial_tui.evaluate.run_progress import getting_ready

        match step:
            case Notice(message=message):
                self._progress.say(message)
            case TextsRead(name=name, what=what, done=done, total=total):
                before = 0 if sweeping is None else len(sweeping.swept) * total
                self._written += 1
                words = f"{name}: {done:,} of {amount(total, what)}{self._left(before + done)}"
                self._progress.show(words)
            case _:
                if words := getting_ready(step, "Ctrl+C"):
                    self._progress.show(words)

    def _left(self, done: int) -> str:
        """The time that is left, once the rate says something."""
        seconds = time.monotonic() - self._started
        planned = self._planned
        if planned is None or seconds <= _SETTLED:
            return ""
        return f", {time_left(seconds, self._written, planned.answers - done, planned.at_once)}"


def _print(document: dict[str, Any], *, as_json: bool) -> None:
    from urial_tui.cli.output import TableColumn, print_json, print_table
    from urial_tui.evaluate.sweep import sweep_rows
    from urial_tui.sanitize import sanitize_line

    if as_json:
        print_json(document)
        return
    click.echo(
        f"{sanitize_line(document['model'])} under {sanitize_line(document['context'])}: answers "
        f"to {amount(document['questions']['texts'], 'question')} of at most "
        f"{amount(document['max_tokens'], 'token')}."
    )
    titles, rows = sweep_rows(document)
    drops = {"DISTINCT": 5, "WORDS": 4, "RAN ON": 3, "CUT": 2}
    print_table(
        [
            TableColumn(title, right=at > 0, drop=drops.get(title, 0))
            for at, title in enumerate(titles)
        ],
        rows,
    )
    if document["chosen"] is None:
        click.echo("No setting is better than the first one by more than chance may do.")
    else:
        click.echo(f"Better than the first one: {document['chosen']}.")
