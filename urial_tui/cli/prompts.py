"""`urial prompts`: the preambles, shipped and the user's own, and what they are worth."""

from __future__ import annotations

import click

from urial_tui.cli.prompts_check import check
from urial_tui.cli.prompts_files import export, import_command
from urial_tui.cli.prompts_index import index
from urial_tui.cli.prompts_measure import measure
from urial_tui.cli.prompts_search import search
from urial_tui.cli.prompts_sweep import sweep


@click.group()
def prompts() -> None:
    """List, show, check, measure, search, sweep, index, import and export the preambles."""


@prompts.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_command(as_json: bool) -> None:
    """Show every preamble, and what is wrong with a file."""
    from urial_tui.cli.output import TableColumn, print_json, print_table
    from urial_tui.prompting.preamble import examples_in_short
    from urial_tui.prompting.preamble_file import list_preambles
    from urial_tui.sanitize import sanitize_line

    entries = list_preambles()
    if as_json:
        documents = []
        for entry in entries:
            preamble = entry.preamble
            documents.append(
                {
                    "name": entry.name,
                    "title": preamble.title if preamble else None,
                    "description": preamble.description if preamble else None,
                    "method": preamble.method if preamble else None,
                    "examples": len(preamble.examples) if preamble else None,
                    "origin": entry.origin,
                    "path": str(entry.path),
                    "error": entry.error or None,
                }
            )
        print_json({"preambles": documents})
        return
    columns = (
        TableColumn("NAME", shrink=20),
        TableColumn("METHOD", drop=2),
        TableColumn("EXAMPLES", right=True, drop=1),
        TableColumn("ORIGIN", drop=3),
        TableColumn("TITLE", shrink=30),
    )
    rows = []
    for entry in entries:
        preamble = entry.preamble
        rows.append(
            (
                entry.name,
                preamble.method if preamble else "",
                examples_in_short(preamble) if preamble else "",
                entry.origin,
                preamble.title if preamble else "(can't be used)",
            )
        )
    print_table(columns, rows)
    for entry in entries:
        if entry.preamble is None:
            click.echo(sanitize_line(f"urial: {entry.name} can't be used: {entry.error}"), err=True)


@prompts.command("show")
@click.argument("name")
@click.option(
    "--query",
    metavar="TEXT",
    default="…",
    show_default=True,
    help="The query that is put behind the preamble.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(name: str, query: str, as_json: bool) -> None:
    """Print what a model sees with the preamble NAME.

    NAME is a name of `urial prompts list`, or a preamble file.
    """
    import msgspec

    from urial_tui.cli.output import print_json
    from urial_tui.prompting.preamble_file import find_preamble
    from urial_tui.prompting.render import open_turn, preamble_text
    from urial_tui.sanitize import sanitize

    preamble = find_preamble(name)
    text = preamble_text(preamble) + open_turn(preamble, query)
    if not as_json:
        click.echo(sanitize(text), nl=not text.endswith("\n"))
        return
    print_json(
        {
            "name": preamble.name,
            "title": preamble.title,
            "description": preamble.description,
            "method": preamble.method,
            "system": preamble.system,
            "examples": [
                {"query": example.query, "answer": example.answer, "follows": example.follows}
                for example in preamble.examples
            ],
            "stop": list(preamble.format.stop),
            "fence": preamble.format.fence or None,
            "rules": msgspec.to_builtins(preamble.rules),
            "retrieval": msgspec.to_builtins(preamble.retrieval),
            "text": text,
        }
    )


for command in (check, measure, search, sweep, index, import_command, export):
    prompts.add_command(command)
