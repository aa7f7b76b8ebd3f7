"""`urial eval report`: what was answered and judged, side by side."""

from __future__ import annotations

from typing import Any

import click

from urial_tui.cli import shared_options
from urial_tui.cli.names import FILE, NAME

_RUNS_AT_ONCE = 3
"""Runs beside each other in 80 columns, each with its interval."""
_GROUPED_BY = {
    "category": "category",
    "task-type": "task_types",
    "topic": "topics",
    "dataset": "dataset",
}


@click.command()
@click.argument("files", metavar="FILE…|votes", nargs=-1, required=True, type=NAME)
@click.option(
    "--items",
    metavar="FILE",
    type=NAME,
    help="The items that were answered, to group by what it tells of them.  [default: those that "
    "come with the program, where these were answered]",
)
@click.option(
    "-p",
    "--preamble",
    type=NAME,
    metavar="PREAMBLE",
    help="Look for the examples of this preamble, a name or a file, in answers whose file does not "
    "tell what they were written under.",
)
@click.option(
    "--reference",
    metavar="JUDGE",
    type=NAME,
    help="Hold the other judges to what this one says, and correct them by it.  [default: person, "
    "or else votes, where people have judged]",
)
@click.option(
    "--group-by",
    type=click.Choice(list(_GROUPED_BY)),
    multiple=True,
    help="Print the groups of this field, too; may be given again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@shared_options.HTML
@click.option(
    "--markdown",
    metavar="FILE",
    type=FILE,
    help="Write the tables to this file.",
)
def report(**options: Any) -> None:
    """Lay answers and judgements side by side.

    Each FILE holds answers (of `urial eval run`) or what a judge said of them; the official
    scorer's files are read as well. What can be measured without a judge comes first, and of each
    judge it says how far it can be trusted. "votes" stands for your votes in the chat.
    """
    from urial_tui.cli.eval_judge import VOTES
    from urial_tui.cli.named_files import check_written
    from urial_tui.cli.output import print_json
    from urial_tui.cli.progress_line import ProgressLine
    from urial_tui.cli.voted_pairs import voted_judgements
    from urial_tui.evaluate.evaluation import read_evaluation
    from urial_tui.evaluate.item_files import find_items
    from urial_tui.evaluate.report import report as report_of
    from urial_tui.evaluate.shown_preamble import known_preambles
    from urial_tui.paths import typed_path
    from urial_tui.prompting.preamble_file import find_preamble

    check_written(options)
    name = options["preamble"]
    known = known_preambles(None if name is None else find_preamble(name))
    items = None if options["items"] is None else find_items(options["items"])
    paths = [typed_path(text) for text in options["files"] if text != VOTES]
    votes = voted_judgements() if VOTES in options["files"] else ()
    evaluation = read_evaluation(paths, items, votes)
    with ProgressLine() as line:
        document = report_of(
            evaluation,
            preambles=known,
            reference=options["reference"],
            progress=line.show,
        )
    if options["markdown"] is not None:
        from urial_tui.evaluate.report_markdown import write_markdown

        write_markdown(options["markdown"], document)
    if options["html"] is not None:
        from urial_tui.evaluate.report_html import write_html

        write_html(options["html"], document)
    if options["as_json"]:
        print_json(document)
    else:
        _print(document, [_GROUPED_BY[field] for field in dict.fromkeys(options["group_by"])])


def _print(document: dict[str, Any], fields: list[str]) -> None:
    """The tables of the report, and the sentences around them."""
    from urial_tui.cli.report_output import print_tables
    from urial_tui.evaluate.report_tables import report_tables

    print_tables(report_tables(document, at_once=_RUNS_AT_ONCE, groups=fields))
