"""`urial prompts measure`: contexts on a model, beside each other, without a judge.

What is done is kept, whatever ends it, and used again by its content. Progress goes to standard
error; the table, or one JSON object, to standard output.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from urial_tui import interrupts
from urial_tui.cli import shared_options
from urial_tui.cli.command_line import command_line
from urial_tui.cli.long_work import LongWork
from urial_tui.cli.names import NAME
from urial_tui.cli.numbers import COUNT
from urial_tui.wording import amount

if TYPE_CHECKING:
    from urial_tui.engine.client.engine import Engine
    from urial_tui.evaluate.measure_store import MeasureStore
    from urial_tui.evaluate.measuring import MeasureStep, Measuring
    from urial_tui.evaluate.planned_measuring import PlannedMeasuring
    from urial_tui.prompting.templates.renderer import TemplateRenderer

_GO_ON = "What was measured is kept: give the same command again, and it goes on."
_PENALTIES = ("settings", "none")


@click.command()
@click.argument("names", nargs=-1, type=NAME, metavar="[NAME]...")
@shared_options.MODEL
@click.option(
    "--answers",
    metavar="FILE",
    type=NAME,
    help="Questions with good answers: JSON lines of query and answer, or what `urial eval` reads "
    "as items with references.  [default: 60 that come with the program]",
)
@click.option(
    "--aligned",
    type=NAME,
    metavar="MODEL",
    help="Have a chat model of the same family read what is answered: how much of it it would have "
    "written otherwise.",
)
@click.option(
    "--penalties",
    type=click.Choice(_PENALTIES),
    default="settings",
    show_default=True,
    help="The penalties that questions are answered with, at temperature 0: those of the settings, "
    "as everywhere else, or none.",
)
@click.option("--limit", metavar="N", type=COUNT, help="Only the first N answers and questions.")
@shared_options.QUESTION_TOKENS
@shared_options.TOGETHER
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@shared_options.HTML
def measure(**options: Any) -> None:
    """Measure preambles on a model, and compare them.

    NAME is a preamble, chat or raw; without any, all preambles are measured, and compared with
    zero-shot.

    How many bits a byte of good answers takes tells how near the model comes to an assistant: the
    fewer, the better. Then everyday questions are answered: how the answers end, and what they copy
    from the examples.
    """
    from urial_tui.cli.named_files import check_written
    from urial_tui.engine.client.engine import Engine
    from urial_tui.evaluate.measure_store import MeasureStore
    from urial_tui.paths import measures_file
    from urial_tui.prompting.templates.renderer import TemplateRenderer

    check_written(options)
    with contextlib.ExitStack() as stack:
        templates = stack.enter_context(TemplateRenderer())
        # An empty cache of preambles: what reading one takes is measured.
        cache = stack.enter_context(tempfile.TemporaryDirectory(prefix="urial-measure-"))
        engine = stack.enter_context(Engine(cache_dir=Path(cache)))
        store = stack.enter_context(contextlib.closing(MeasureStore(measures_file())))
        invocation = _Measure(engine, templates, store, options)
        with invocation.going.interruptible():
            engine.start()
            code = invocation.run()
    click.get_current_context().exit(code)


class _Measure:
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
        self.going = LongWork(lambda: engine.busy, engine.cancel, _GO_ON)

    def run(self) -> int:
        """Measure, print: the exit code."""
        from urial_tui.evaluate.greedy import PLAIN
        from urial_tui.evaluate.planned_measuring import MeasureChoice, PlannedMeasuring
        from urial_tui.settings import load_settings

        given = self._options | {
            "sampling": {"settings": None, "none": PLAIN}[self._options["penalties"]]
        }
        chosen = {name: given[name] for name in MeasureChoice.__struct_fields__}
        planned = PlannedMeasuring(MeasureChoice(**chosen), load_settings(), self._store)
        if self._store.trouble:
            self._progress.say(self._store.trouble)
            self.going.kept = "What was measured is not kept."
        measuring: Measuring | None = None
        with self._progress, self.going.ending():
            measuring = self._loaded(planned)
            self.going.begin(measuring)
            aligned = planned.aligned_side(self._engine, self._templates)
            with contextlib.closing(measuring.steps(aligned)) as steps:
                for step in steps:
                    self._show(step)
        if measuring is None or self.going.interrupted:
            done = 0 if measuring is None else len(measuring.measured)
            total = amount(len(planned.contexts), "context")
            self._progress.say(f"Interrupted: {done} of {total} are measured. {self.going.kept}")
            return interrupts.EXIT_CODE
        for note in planned.notes:
            self._progress.say(note)
        self._progress.say_first(
            [f"Not measured under {trouble}" for trouble in measuring.troubles], "Not measured"
        )
        document = planned.document(measuring, command_line(click.get_current_context()))
        if self._options["html"] is not None:
            from urial_tui.evaluate.measures_html import write_measures_html

            write_measures_html(self._options["html"], document)
        _print(document, as_json=self._options["as_json"])
        return 0

    def _loaded(self, planned: PlannedMeasuring) -> Measuring:
        from urial_tui.engine.client.call import follow

        steps = planned.load(self._engine, self._templates, self._progress.unpacking)
        return follow(steps, self._show)

    def _show(self, step: MeasureStep) -> None:
        from urial_tui.engine.wire.events import Notice
        from urial_tui.evaluate.measuring import TextsRead
        from urial_tui.evaluate.run_progress import getting_ready

        match step:
            case Notice(message=message):
                self._progress.say(message)
            case TextsRead(name=name, what=what, done=done, total=total):
                self._progress.show(f"{name}: {done:,} of {amount(total, what)}")
            case _:
                if words := getting_ready(step, "Ctrl+C"):
                    self._progress.show(words)


def _print(document: dict[str, Any], *, as_json: bool) -> None:
    from urial_tui.cli.output import TableColumn, print_json, print_table
    from urial_tui.evaluate.measure_table import answered_words, measure_rows
    from urial_tui.sanitize import sanitize_line

    if as_json:
        print_json(document)
        return
    references, questions = document["references"], document["questions"]
    click.echo(
        f"{sanitize_line(document['model'])}: bits per byte of "
        f"{amount(references['texts'], 'answer')} in {sanitize_line(references['name'])}; answers "
        f"to {amount(questions['texts'], 'question')} of at most "
        f"{amount(document['max_tokens'], 'token')}."
    )
    click.echo(f"Answered {answered_words(document)}.")
    titles, rows = measure_rows(document)
    drops = {"PREFILL": 6, "CACHE": 5, "RAN ON": 4, "CUT": 3, "TOKENS": 2}
    columns = [
        TableColumn(title, right=at > 0, drop=drops.get(title, 0), shrink=16 if not at else 0)
        for at, title in enumerate(titles)
    ]
    print_table(columns, rows)
