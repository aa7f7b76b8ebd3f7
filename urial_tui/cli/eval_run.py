"""`urial eval run`: answers to many items by one model, kept as they come.

What is done is kept whatever ends the run, and the same command goes on. Progress goes to standard
error; the summary, or one JSON object, to standard output.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from urial_tui import interrupts
from urial_tui.cli import shared_options
from urial_tui.cli.long_work import LongWork
from urial_tui.cli.names import FILE, NAME
from urial_tui.cli.numbers import COUNT, LAST_SEED, PARALLEL, Whole
from urial_tui.errors import UsageError
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount

if TYPE_CHECKING:
    from urial_tui.cli.eval_run_output import RunOutput
    from urial_tui.engine.client.engine import Engine
    from urial_tui.evaluate.items import ItemSet
    from urial_tui.evaluate.planned_run import PlannedRun
    from urial_tui.evaluate.run import Run
    from urial_tui.prompting.templates.renderer import TemplateRenderer
    from urial_tui.settings import Settings

_ENDPOINT_ONLY = ("rate", "price_in", "price_out")
_GO_ON = "What was answered is kept: give the same command again, and it goes on."


@click.command()
@shared_options.MODEL
@shared_options.PREAMBLE
@click.option(
    "--context",
    type=NAME,
    metavar="CONTEXT",
    help="Instead of a preamble: chat, raw or a preamble.",
)
@click.option(
    "--items",
    metavar="FILE",
    type=NAME,
    help="The items: JSON lines or a JSON list.  [default: those that come with the program]",
)
@click.option("--limit", metavar="N", type=COUNT, help="Only the first N items.")
@click.option(
    "--parallel",
    metavar="N",
    type=PARALLEL,
    help="Write N answers together; 1 gives those of `urial ask`.  [default: as in FILE.json, or "
    "the most of 16, 8, 4, 2 and 1 that the memory holds; of an endpoint 4]",
)
@click.option(
    "--engine",
    type=NAME,
    metavar="URL",
    help="Have an OpenAI-compatible endpoint go on with the prompts, in place of this machine; "
    "MODEL is a name there.",
)
@shared_options.RATE
@shared_options.PRICE_IN
@shared_options.PRICE_OUT
@shared_options.MAX_TOKENS
@shared_options.TEMPERATURE
@click.option(
    "--seed",
    type=Whole(0, LAST_SEED),
    metavar="S",
    help="Makes draws repeatable, where the temperature is above 0.",
)
@click.option(
    "--aligned",
    type=NAME,
    metavar="MODEL",
    help="Have another model of the same family read the answers afterwards: how many of their "
    "tokens it finds the likeliest.",
)
@click.option(
    "--aligned-context",
    type=NAME,
    metavar="CONTEXT",
    help="What that one is shown: chat, raw or a preamble.  [default: chat]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object about the run.")
@click.option(
    "--out",
    metavar="FILE.json",
    required=True,
    type=FILE,
    help="Write the answers to this file, and go on from it.",
)
def run(**options: Any) -> None:
    """Have a model answer items, and write the answers to a file.

    What is answered is kept at once: after Ctrl-C, or whatever else ends it, the same command goes
    on. An item is answered anew where it, the model, the context or the sampling has changed.

    Where items have reference answers, the model reads these at the end: how many bits a byte of
    them takes it.
    """
    from urial_tui.cli.named_files import check_written
    from urial_tui.engine.client.engine import Engine
    from urial_tui.prompting.templates.renderer import TemplateRenderer

    check_written(options)
    shared_options.check_endpoint(options, "engine", _ENDPOINT_ONLY, "urial eval run")
    if options["preamble"] is not None and options["context"] is not None:
        raise UsageError("--preamble and --context are one too many.", "Give one of them.")
    if options["aligned_context"] is not None and options["aligned"] is None:
        raise UsageError("--aligned-context goes with --aligned.", "See `urial eval run --help`.")
    with contextlib.ExitStack() as stack:
        templates = stack.enter_context(TemplateRenderer())
        engine = stack.enter_context(Engine())
        invocation = _Run(engine, templates, stack, options)
        with invocation.going.interruptible():
            if options["engine"] is None:
                # The worker needs as long to start as this process needs to read its files.
                engine.start()
            code = invocation.run()
    click.get_current_context().exit(code)


class _Run:
    """One invocation: its items, its file, its output."""

    def __init__(
        self,
        engine: Engine,
        templates: TemplateRenderer,
        stack: contextlib.ExitStack,
        options: dict[str, Any],
    ) -> None:
        from urial_tui.cli.eval_run_output import RunOutput
        from urial_tui.settings import load_settings

        self._engine = engine
        self._templates = templates
        self._stack = stack
        self._options = options
        self._settings: Settings = load_settings()
        self._output: RunOutput = RunOutput()
        stack.enter_context(self._output.line)
        self._run: Run | None = None
        self.going = LongWork(lambda: engine.busy, engine.cancel, _GO_ON)

    def run(self) -> int:
        """Answer, write, print: the exit code."""
        from urial_tui.evaluate.planned_run import PlannedRun, RunChoice

        chosen = {name: self._options[name] for name in RunChoice.__struct_fields__}
        planned = PlannedRun(RunChoice(**chosen), self._settings, self._output.line.say)
        self._stack.callback(planned.close)
        with self.going.ending():
            run = self._made(planned)
            self._output.begin(run, self._shown)
            # A model that was loaded before the interrupt reached the worker answers nothing.
            if not self.going.interrupted:
                self._answer(run)
        if self.going.interrupted:
            told = "Interrupted."
            if self._run is not None:
                total = amount(len(self._run), "item")
                told = f"Interrupted: {self._run.answered:,} of {total} are answered."
            self._output.line.say(f"{told} {_GO_ON}")
            return interrupts.EXIT_CODE
        run.finish()
        return self._print(run, planned.items)

    def _made(self, planned: PlannedRun) -> Run:
        """The run, once there is what answers."""
        from urial_tui.engine.client.call import follow

        if self._options["engine"] is not None:
            return follow(planned.at_endpoint(self._engine), self._output.take)
        steps = planned.load(self._engine, self._templates, self._output.line.unpacking)
        return follow(steps, self._output.take)

    def _answer(self, run: Run) -> None:
        self._run = run
        self.going.begin(run)
        with contextlib.closing(run.steps()) as steps:
            for step in steps:
                self._output.take(step)

    def _print(self, run: Run, items: ItemSet) -> int:
        from urial_tui.cli.eval_run_output import document, print_summary
        from urial_tui.evaluate.run_progress import not_answered, not_read

        self._output.line.clear()
        if self._options["as_json"]:
            from urial_tui.cli.output import print_json

            print_json(document(run, items, self._output))
        else:
            print_summary(run, self._shown)
        for told in (not_read(run), not_answered(run)):
            if told:
                self._output.line.say(told)
        return 1 if run.skipped else 0

    @property
    def _shown(self) -> str:
        """The file's name."""
        return sanitize_line(str(self._options["out"]))
