"""`urial prompts import` and `export`: the text files of URIAL's authors, and back."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from urial_tui.cli.names import FILE, NAME
from urial_tui.cli.preamble_place import check_directory, place_of, placed
from urial_tui.sanitize import sanitize_line

_FORCE = click.option("--force", is_flag=True, help="Replace what is there.")


@click.command("import")
@click.argument("file", type=FILE, metavar="FILE")
@placed
def import_command(file: Path, name: str | None, out: Path | None, force: bool) -> None:
    """Make a preamble of a published URIAL file.

    The model is shown the same text as by their runner, to the character. What is left out is told.
    """
    from urial_tui.prompting.preamble_file import toml_text, write_preamble_file
    from urial_tui.prompting.published import import_published, name_for
    from urial_tui.wording import amount

    chosen, place = place_of(name, out, name_for(file), force=force)
    imported = import_published(file, chosen)
    write_preamble_file(place, toml_text(imported.preamble), replace=force)
    _tell(imported.notes)
    examples = amount(len(imported.preamble.examples), "example")
    click.echo(f"Wrote {sanitize_line(str(place))}, with {examples}.", err=True)


@click.command()
@click.argument("name", metavar="FILE|NAME", type=NAME)
@click.option(
    "-o", "--out", type=FILE, metavar="FILE", help="Write this file instead of standard output."
)
@_FORCE
def export(name: str, out: Path | None, force: bool) -> None:
    """Write a preamble as a published URIAL file.

    What such a file has no room for is told.
    """
    from urial_tui.prompting.preamble_file import find_preamble, write_preamble_file
    from urial_tui.prompting.published import published_text

    if out is not None:
        check_directory(out)
    published = published_text(find_preamble(name))
    if out is None:
        # UTF-8 whatever the locale says, and no newline that is not in it.
        sys.stdout.flush()
        sys.stdout.buffer.write(published.text.encode())
        sys.stdout.buffer.flush()
    else:
        write_preamble_file(out, published.text, replace=force)
    _tell(published.notes)
    if out is not None:
        click.echo(f"Wrote {sanitize_line(str(out))}.", err=True)


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        click.echo(f"urial: {sanitize_line(note)}", err=True)
