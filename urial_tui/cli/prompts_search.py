"""`urial prompts search`: the examples of a pool behind which good answers are likeliest.

What is read is kept, whatever ends it, and used again by its content. Progress goes to standard
error; the tables, or one JSON object, to standard output.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from urial_tui import interrupts
from urial_tui.cli import shared_options
from urial_tui.cli.long_work import LongWork
from urial_tui.cli.names import FILE, NAME
from urial_tui.cli.numbers import COUNT, Whole
from urial_tui.cli.preamble_place import PreamblePlace, place_of, placed
from urial_tui.errors import UsageError
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount, capital, duration

if TYPE_CHECKING:
    from urial_tui.engine.client.engine import Engine
    from urial_tui.evaluate.planned_search import PlannedSearch, PlannedStep
    from urial_tui.prompting.templates.renderer import TemplateRenderer

_GO_ON = "What was read is kept: give the same command again, and it goes on."


@click.command()
@click.argument("pool", type=FILE, metavar="POOL.jsonl")
@click.option(
    "-k", "k", type=Whole(1, 32), required=True, metavar="K", help="How many examples, at most."
)
@shared_options.MODEL
@click.option(
    "--like",
    type=NAME,
    metavar="PREAMBLE",
    help="Take the system text and the format of this one.  [default: chat.preamble]",
)
@click.option(
    "--answers",
    metavar="FILE",
    type=NAME,
    help="Questions with good answers, as for `urial prompts measure`.  [default: 60 that come "
    "with the program]",
)
@click.option("--limit", metavar="N", type=COUNT, help="Only the first N pairs of the pool.")
@click.option(
    "--budget",
    metavar="N",
    type=COUNT,
    help="Read at most N answers, those included that were read before; the best so far is kept.",
)
@placed
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def search(**options: Any) -> None:
    """Choose a preamble's examples from a pool.

    It goes by what a model says of good answers. POOL.jsonl has lines such as
    {"query": "…", "answer": "…"}. One example after another is added that lowers the bits per byte
    of one half of the good answers by more than noise. What that is worth is told by the other
    half, which played no part in the choice.
    """
    from urial_tui.cli.named_files import check_written
    from urial_tui.engine.client.engine import Engine
    from urial_tui.files import is_there
    from urial_tui.prompting.published import name_for
    from urial_tui.prompting.templates.renderer import TemplateRenderer

    # Hours before it would be found out.
    check_written(options)
    stem = name_for(options["pool"])
    default = f"{stem}-k{options['k']}" if stem else ""
    place = place_of(options["name"], options["out"], default, force=options["force"])
    if is_there(place.path) and not options["force"]:
        raise UsageError(
            f"{sanitize_line(str(place.path))} is there already.", "--force replaces it."
        )
    with contextlib.ExitStack() as stack:
        templates = stack.enter_context(TemplateRenderer())
        engine = stack.enter_context(Engine())
        invocation = _Search(engine, templates, place, options)
        with invocation.going.interruptible():
            engine.start()
            code = invocation.run(stack)
    click.get_current_context().exit(code)


class _Search:
    """One invocation."""

    def __init__(
        self,
        engine: Engine,
        templates: TemplateRenderer,
        place: PreamblePlace,
        options: dict[str, Any],
    ) -> None:
        from urial_tui.cli.work_line import WorkLine

        self._engine = engine
        self._templates = templates
        self._place = place
        self._options = options
        self._progress = WorkLine()
        self._words = ""
        self._started = time.monotonic()
        self.going = LongWork(lambda: engine.busy, engine.cancel, _GO_ON)

    def run(self, stack: contextlib.ExitStack) -> int:
        """Search, write, print: the exit code."""
        planned = self._planned(stack)
        with self._progress, self.going.ending():
            self._load(planned)
            self.going.begin(planned)
            with contextlib.closing(planned.steps()) as steps:
                for step in steps:
                    self._show(planned, step)
        if self.going.interrupted or not planned.done:
            read = amount(planned.work.readings, "answer") if planned.estimate else "Nothing"
            self._progress.say(f"Interrupted: {read} read now. {self.going.kept}")
            return interrupts.EXIT_CODE
        written = self._write(planned)
        document = planned.document() | {"written": None if written is None else str(written)}
        self._progress.say_first([capital(each) for each in document["troubles"]], "Not read")
        _print(document, as_json=self._options["as_json"])
        if written is None:
            self._progress.say(
                "Nothing is written: no example of this pool makes good answers likelier."
            )
        else:
            self._progress.say(f"Wrote {written}. `urial ask -p {self._shown_name} …` uses it.")
        return 0

    def _planned(self, stack: contextlib.ExitStack) -> PlannedSearch:
        from urial_tui.evaluate.measure_store import MeasureStore
        from urial_tui.evaluate.planned_search import PlannedSearch, SearchChoice
        from urial_tui.paths import measures_file
        from urial_tui.prompting.pool import read_pool
        from urial_tui.prompting.preamble import Example
        from urial_tui.settings import load_settings

        options = self._options
        pool = read_pool(options["pool"])
        for note in pool.notes:
            self._progress.say(capital(note))
        pairs = [
            (number, Example(query=pair.query, answer=pair.answer))
            for number, pair in enumerate(pool.pairs[: options["limit"]], start=1)
        ]
        store = stack.enter_context(contextlib.closing(MeasureStore(measures_file())))
        if store.trouble:
            self._progress.say(store.trouble)
            self.going.kept = "What was read is not kept."
        choice = SearchChoice(
            k=options["k"],
            name=self._place.name,
            model=options["model"],
            like=options["like"],
            answers=options["answers"],
            budget=options["budget"],
        )
        return PlannedSearch(choice, options["pool"].name, pairs, load_settings(), store)

    def _load(self, planned: PlannedSearch) -> None:
        from urial_tui.engine.client.call import follow

        steps = planned.load(self._engine, self._templates, self._progress.unpacking)
        follow(steps, lambda event: self._show(planned, event))

    def _show(self, planned: PlannedSearch, step: PlannedStep) -> None:
        from urial_tui.engine.wire.events import Notice
        from urial_tui.evaluate.example_search import TextRead, Trying
        from urial_tui.evaluate.planned_search import Expected, HeldOut
        from urial_tui.evaluate.run_progress import getting_ready

        match step:
            case Notice(message=message):
                self._progress.say(message)
            case Expected():
                self._progress.say(capital(step.in_words))
            case Trying():
                self._words = step.in_words
            case HeldOut():
                self._words = step.in_words
            case TextRead():
                left = planned.seconds_left
                time_left = "" if left is None else f", at most {duration(left)} left"
                self._progress.show(f"{self._words}: {step.in_words}{time_left}")
            case _:
                if words := getting_ready(step, "Ctrl+C"):
                    self._progress.show(words)

    def _write(self, planned: PlannedSearch) -> Path | None:
        """Write what was found; None where nothing was."""
        from urial_tui.prompting.preamble_file import toml_text, write_preamble_file

        preamble = planned.preamble
        if preamble is None:
            return None
        write_preamble_file(self._place.path, toml_text(preamble), replace=self._options["force"])
        return self._place.path

    @property
    def _shown_name(self) -> str:
        return self._place.name if self._options["out"] is None else str(self._place.path)


def _print(document: dict[str, Any], *, as_json: bool) -> None:
    from urial_tui.cli.output import TableColumn, print_json, print_table
    from urial_tui.evaluate.search_table import (
        held_out_rows,
        left_out_notes,
        search_notes,
        step_rows,
    )

    if as_json:
        print_json(document)
        return
    pool, references = document["pool"], document["references"]
    click.echo(
        f"{sanitize_line(document['model'])}, in the format of {sanitize_line(document['like'])}: "
        f"{amount(pool['candidates'], 'candidate')} of {amount(pool['pairs'], 'pair')} in "
        f"{sanitize_line(pool['name'])}; {amount(references['train'], 'answer')} of "
        f"{sanitize_line(references['name'])} to choose by, {references['held_out']:,} held out."
    )
    for note in left_out_notes(document):
        click.echo(note)
    click.echo("\nBits per byte of the answers to choose by, as each example was added:")
    print_table(
        (
            TableColumn("", right=True),
            TableColumn("EXAMPLE", shrink=20),
            TableColumn("TRIED", right=True, drop=1),
            TableColumn("BITS/BYTE", right=True),
            TableColumn("DIFFERENCE", right=True),
        ),
        step_rows(document),
    )
    for note in search_notes(document):
        click.echo(note)
    click.echo("\nBits per byte of the answers held out, and how what was found differs from each:")
    print_table(
        (
            TableColumn("PREAMBLE", shrink=20),
            TableColumn("BITS/BYTE", right=True),
            TableColumn("DIFFERENCE", right=True),
        ),
        held_out_rows(document),
    )
    work = document["work"]
    click.echo(
        f"\nRead: {amount(work['readings'], 'answer')} ({work['kept']:,} were there), "
        f"{amount(work['tokens'], 'token')} evaluated, {work['prefix']:,} of them in front of the "
        "examples that were tried."
    )
