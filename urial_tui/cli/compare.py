"""`urial compare`: what alignment tuning changes, token by token.

One query prints the coloured answer and its numbers; a list of queries runs with progress,
writes each item as it is done (--out) and goes on where it was interrupted.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from click.core import ParameterSource

from urial_tui.cli import shared_options
from urial_tui.cli.names import FILE, NAME
from urial_tui.cli.numbers import COUNT, TOKENS, Whole
from urial_tui.errors import UsageError
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount, capital, time_left

if TYPE_CHECKING:
    from urial_tui.cli.progress_line import ProgressLine
    from urial_tui.cli.stored_answer import StoredAnswer
    from urial_tui.compare.item_file import ItemFile
    from urial_tui.compare.items import Query
    from urial_tui.compare.run_terms import ComparisonTerms
    from urial_tui.compare.runner import Comparison
    from urial_tui.compare.side_pair import ComparisonStep
    from urial_tui.compare.sides import Side, Task
    from urial_tui.engine.client.engine import Engine
    from urial_tui.engine.wire.values import EngineOptions
    from urial_tui.prompting.templates.renderer import TemplateRenderer

_SOURCES = ("queries", "text_file", "conversation")
"""Options that name what is compared on; of these and a query, there is one."""
_GOES_WITH = {
    "limit": "queries",
    "group_by": "queries",
    "window": "text_file",
    "skip": "text_file",
    "answer": "conversation",
}
"""What options are for: the source of what is compared on."""


def _option(name: str) -> str:
    return "--text" if name == "text_file" else f"--{name.replace('_', '-')}"


@click.command()
@click.argument("query", required=False)
@click.option(
    "--base", type=NAME, metavar="MODEL", help="The base side's model: a name or a .gguf file."
)
@click.option(
    "--aligned",
    type=NAME,
    metavar="MODEL",
    help="The aligned side's model; NAME+ADAPTER adds a LoRA.",
)
@click.option(
    "--base-context",
    type=NAME,
    metavar="CONTEXT",
    default="zero-shot",
    show_default=True,
    help="zero-shot, same, raw, chat or a preamble.",
)
@click.option(
    "--aligned-context",
    type=NAME,
    metavar="CONTEXT",
    default=None,
    help="chat, raw or a preamble.  [default: chat; the answer's preamble with --conversation]",
)
@click.option(
    "--queries",
    metavar="FILE",
    type=FILE,
    help="A list of queries: JSON lines or a JSON list.",
)
@click.option("--limit", metavar="N", type=COUNT, help="With --queries: only the first N.")
@click.option(
    "--text",
    "text_file",
    metavar="FILE",
    type=FILE,
    help="Compare on a given text instead of an answer; - reads standard input.",
)
@click.option(
    "--conversation",
    metavar="ID|last",
    help="Compare on an answer of a stored conversation; by default its model in both contexts.",
)
@click.option(
    "--answer",
    type=COUNT,
    metavar="N",
    help="With --conversation: the N-th answer instead of the newest.",
)
@click.option(
    "--window",
    metavar="N",
    type=Whole(16, 1_000_000),
    default=2048,
    show_default=True,
    help="With --text: tokens that are evaluated together.",
)
@click.option(
    "--skip",
    metavar="N",
    type=Whole(0, 1_000_000),
    default=0,
    show_default=True,
    help="With --text: tokens at the start of each window that are only read.",
)
@click.option(
    "--max-tokens",
    metavar="N",
    type=TOKENS,
    default=300,
    show_default=True,
    help="Longest answer, in tokens.",
)
@click.option(
    "--top-k",
    metavar="N",
    type=Whole(0, 1000),
    default=10,
    show_default=True,
    help="Length of the lists of most probable tokens.",
)
@click.option(
    "--group-by",
    metavar="FIELD",
    multiple=True,
    help="A field of the queries to group by; may be given again.",
)
@click.option(
    "--memory",
    type=click.Choice(["auto", "both", "one"]),
    default="auto",
    show_default=True,
    help="Both models in memory, or one after the other.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@shared_options.HTML
@click.option(
    "--out",
    metavar="FILE",
    type=FILE,
    help="Write each item to this file as it is done, and go on from it.",
)
def compare(**options: Any) -> None:
    """Compare the token distributions of two models on the answer to QUERY.

    Or on the answers to a list (--queries), a text (--text) or an answer that is stored
    (--conversation). --base and --aligned are needed but for the last.
    """
    from urial_tui.cli.named_files import check_written
    from urial_tui.engine.client.engine import Engine
    from urial_tui.prompting.templates.renderer import TemplateRenderer

    check_written(options)
    with contextlib.ExitStack() as stack:
        templates = stack.enter_context(TemplateRenderer())
        engine = stack.enter_context(Engine())
        engine.start()
        _Run(engine, templates, stack, options).run(options["query"])


class _Run:
    """One invocation: its comparison, its items, its output."""

    def __init__(
        self,
        engine: Engine,
        templates: TemplateRenderer,
        stack: contextlib.ExitStack,
        options: dict[str, Any],
    ) -> None:
        from urial_tui.cli.progress_line import ProgressLine

        self._engine = engine
        self._templates = templates
        self._stack = stack
        self._options = options
        self._total = self._count = 0
        self._started = 0.0
        self._progress: ProgressLine = stack.enter_context(ProgressLine())

    def run(self, query: str | None) -> None:
        """Compare, write, print."""
        from urial_tui.compare.items import ScoredItem, document
        from urial_tui.compare.sides import Task

        queries = self._queries(query)
        stored = self._stored_answer()
        text = self._text()
        if text is not None:
            self._check_for_text()
        questions = [item.text for item in queries]
        if stored is not None:
            questions.append(stored.question.text)
        comparison = self._open(questions, stored)
        pieces: list[str] | None = None
        if text is not None:
            pieces = comparison.windows(text, self._options["window"])
            queries = _numbered(pieces)
        if stored is not None:
            tasks = [stored.task(comparison.aligned_info)]
        elif pieces is not None:
            skip = self._options["skip"]
            tasks = [
                Task(query=item, text=text, skip=skip)
                for item, text in zip(queries, pieces, strict=True)
            ]
        else:
            tasks = [Task(query=item) for item in queries]
        file = self._file(comparison, tasks)
        waiting = [task for task in tasks if not file.holds(task)]
        comparison.noise_wanted = not any(item["noise"] for item in file.documents(tasks))
        by_id = {task.query.id: task for task in waiting}
        self._total, self._count, self._started = len(waiting), 0, time.monotonic()
        for found in comparison.run(waiting):
            if isinstance(found, ScoredItem):
                item = document(found, comparison.text_of, comparison.special)
                file.append(by_id[found.id], item)
                self._count += 1
            else:
                self._show(found)
        with ThreadPoolExecutor(1) as helper:
            # The models' memory is given back meanwhile.
            helper.submit(self._engine.close)
            self._print(comparison, file, tasks)

    def _limits(self) -> tuple[str, ...]:
        """The options that limit what is compared, of those that mean something here."""
        text = self._options["text_file"] is not None
        return ("top_k", "window", "skip") if text else ("top_k", "max_tokens")

    def _queries(self, query: str | None) -> list[Query]:
        from urial_tui.compare.items import Query

        sources = [query, *(self._options[name] for name in _SOURCES)]
        if sum(source is not None for source in sources) != 1:
            raise UsageError(
                "There has to be one thing to compare on: a query, --queries, --text or "
                "--conversation.",
                "See `urial compare --help`.",
            )
        self._check_used()
        if query is not None and not query.strip():
            raise UsageError("The query is empty.", 'Say it in quotes: urial compare … "…".')
        if self._options["queries"] is not None:
            return self._listed(self._options["queries"])
        return [Query(id="1", text=query)] if query is not None else []

    def _listed(self, path: Path) -> list[Query]:
        from urial_tui.compare.queries import read_queries

        read = read_queries(path, self._options["limit"])
        for note in read.notes:
            self._say(note)
        return list(read.queries)

    def _stored_answer(self) -> StoredAnswer | None:
        """The answer of a conversation, where that is compared on; it fills in the sides."""
        options = self._options
        stored: StoredAnswer | None = None
        if options["conversation"] is not None:
            from urial_tui.cli.stored_answer import StoredAnswer

            stored = StoredAnswer(options["conversation"], options["answer"])
            answer = stored.answer
            options["aligned"] = options["aligned"] or answer.model
            options["base"] = options["base"] or answer.model
            if options["aligned_context"] is None and options["aligned"] == answer.model:
                options["aligned_context"] = answer.preamble
            if not stored.is_first:
                self._say("The turns before this question are left out.")
        for name in ("base", "aligned"):
            if options[name] is None:
                raise UsageError(f"--{name} is missing.", "Name the model of that side.")
        options["aligned_context"] = options["aligned_context"] or "chat"
        return stored

    def _text(self) -> str | None:
        path = self._options["text_file"]
        if path is None:
            return None
        from urial_tui.cli.compared_text import read_compared_text

        return read_compared_text(path, self._say)

    def _check_used(self) -> None:
        """Refuse what was given and would mean nothing.

        Raises:
            UsageError: An option belongs to something else to compare on.
        """
        told = click.get_current_context().get_parameter_source
        given = [name for name in self._options if told(name) is ParameterSource.COMMANDLINE]
        for name, source in _GOES_WITH.items():
            if name in given and self._options[source] is None:
                raise UsageError(
                    f"{_option(name)} goes with {_option(source)}.", "See `urial compare --help`."
                )
        written = [name for name in ("text_file", "conversation") if name in given]
        if "max_tokens" in given and written:
            raise UsageError(
                f"--max-tokens is of answers that are written, and with {_option(written[0])} "
                "none is.",
                "Leave it out.",
            )

    def _check_for_text(self) -> None:
        """A text has no question, which some contexts need.

        Raises:
            UsageError: A side's context is one of these.
        """
        from urial_tui.prompting.context import find_context

        for name in ("base", "aligned"):
            preamble = find_context(self._options[f"{name}_context"]).preamble
            if preamble is not None and preamble.retrieval is not None:
                raise UsageError(
                    f"A text has no question that the preamble {sanitize_line(preamble.name)} "
                    "could find examples for.",
                    f"Choose another --{name}-context, or compare on a query.",
                )

    def _open(self, questions: Sequence[str], stored: StoredAnswer | None) -> Comparison:
        from urial_tui.compare.runner import comparison_of
        from urial_tui.settings import engine_options, load_settings

        settings = load_settings()
        options = engine_options(settings)
        base = self._side("base", questions, stored, options)
        aligned = self._side("aligned", questions, stored, options)
        comparison = comparison_of(
            self._engine,
            base,
            aligned,
            options=options,
            templates=self._templates,
            max_tokens=self._options["max_tokens"],
            top_k=self._options["top_k"],
            memory=self._options["memory"],
        )
        for event in comparison.open():
            self._show(event)
        return comparison

    def _side(
        self,
        name: str,
        questions: Sequence[str],
        stored: StoredAnswer | None,
        options: EngineOptions,
    ) -> Side:
        from urial_tui.compare.sides import Side
        from urial_tui.engine.client.call import follow
        from urial_tui.models.registry import resolve
        from urial_tui.prompting.context import find_context
        from urial_tui.runtime.retriever import with_examples

        model = resolve(self._options[name], progress=self._progress.unpacking)
        context = find_context(self._options[f"{name}_context"])
        if stored is not None:
            again = stored.shown_again(context)
            if again is not None:
                return Side.of(self._options[name], model, again)
            if stored.lacks_examples(context):
                self._say(
                    "The examples that this answer was written behind are not stored: the "
                    f"{name} side is shown those that its question has now."
                )
        prepared = follow(with_examples(context, questions, self._engine, options), self._show)
        for note in prepared.notes:
            self._say(note)
        return Side.of(self._options[name], model, prepared.context)

    def _file(self, comparison: Comparison, tasks: Sequence[Task]) -> ItemFile:
        """Where items are kept; what is used of a file that is there, and what is not, is said."""
        from urial_tui.cli.comparison_output import reuse_line
        from urial_tui.compare.document import head
        from urial_tui.compare.item_file import ItemFile

        path = self._options["out"]
        if path is None:
            directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="urial-"))
            path = Path(directory) / "items.jsonl"
        file = ItemFile(path, head(comparison), self._terms(comparison))
        self._stack.callback(file.close)
        if self._options["out"] is None:
            return file
        if file.lock_trouble:
            self._say(
                f"The file {sanitize_line(str(path))} can't be locked ({file.lock_trouble}): "
                "don't let another comparison write to it meanwhile."
            )
        if said := reuse_line(file, tasks, path):
            self._say(said)
        return file

    def _terms(self, comparison: Comparison) -> ComparisonTerms:
        from urial_tui.compare.run_terms import ItemLimits, run_terms

        limits = ItemLimits(**{name: self._options[name] for name in self._limits()})
        if self._options["text_file"] is not None:
            return run_terms(comparison, "a text", limits)
        if self._options["conversation"] is not None:
            return run_terms(comparison, "a stored answer", ItemLimits(top_k=limits.top_k))
        return run_terms(comparison, "answers", limits)

    def _say(self, message: str) -> None:
        """A sentence on standard error."""
        self._progress.say(message)

    def _show(self, event: ComparisonStep) -> None:
        from urial_tui.engine.wire.events import (
            LoadProgress,
            Notice,
            PrefillProgress,
            Silence,
            TextDelta,
        )

        match event:
            case LoadProgress(fraction=fraction):
                self._progress.show(f"{self._label()}Loading: {fraction:.0%}")
            case TextDelta(generated=generated):
                self._progress.show(f"{self._label()}Answering: {amount(generated, 'token')}")
            case PrefillProgress(stage="score", done=done, total=total):
                self._progress.show(f"{self._label()}Scoring: {done:,} of {amount(total, 'token')}")
            case Silence():
                self._progress.show(capital(event.in_words("Ctrl+C")))
            case Notice(message=message):
                self._say(message)
            case _:
                pass

    def _label(self) -> str:
        """Where a list of queries is, with an estimate of what is left."""
        if self._total < 2:
            return ""
        left = ""
        if self._count:
            seconds = time.monotonic() - self._started
            left = f", {time_left(seconds, self._count, self._total - self._count)}"
        return f"Item {min(self._count + 1, self._total):,} of {self._total:,}{left}. "

    def _print(self, comparison: Comparison, file: ItemFile, tasks: Sequence[Task]) -> None:
        from urial_tui.cli.command_line import command_line
        from urial_tui.compare.document import aggregates, head
        from urial_tui.compare.provenance import provenance

        self._progress.show("Adding up")
        found = aggregates(
            file.documents(tasks),
            special=comparison.special,
            text_of=comparison.text_of,
            group_by=tuple(self._options["group_by"]),
        )
        record = provenance(
            comparison,
            limits={name: self._options[name] for name in self._limits()},
            command=command_line(click.get_current_context()),
        )
        summary = head(comparison) | found | {"run": msgspec.to_builtins(record)}
        self._progress.clear()
        self._print_out(summary, file, tasks)
        if self._options["html"] is not None:
            from urial_tui.compare.report import write_report

            self._progress.show("Writing the report")
            write_report(self._options["html"], summary, file.documents(tasks))

    def _print_out(self, summary: dict[str, Any], file: ItemFile, tasks: Sequence[Task]) -> None:
        from urial_tui.cli.comparison_output import print_answer, print_summary

        if self._options["as_json"]:
            from urial_tui.cli.output import print_json

            print_json(summary | {"items": list(file.documents(tasks))})
            return
        if len(tasks) == 1:
            for item in file.documents(tasks):
                print_answer(item)
        print_summary(summary)


def _numbered(pieces: list[str]) -> list[Query]:
    from urial_tui.compare.items import Query

    return [Query(id=str(number), text="") for number in range(1, len(pieces) + 1)]
