"""`urial models add` and `remove`: names for files, and taking models away."""

from __future__ import annotations

import sys

import click

from urial_tui.cli.names import NAME


@click.command()
@click.argument("file", type=NAME)
@click.option(
    "--name",
    type=NAME,
    metavar="NAME",
    help="What it will be called, with .gguf at its end; else as the file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def add(file: str, name: str | None, as_json: bool) -> None:
    """Give a .gguf FILE of anywhere a name.

    It gets a link in the models directory. Nothing is copied: the file has to stay where it is.
    With a name of the catalogue it is taken for that model's file.
    """
    from urial_tui.cli.model_output import call_of
    from urial_tui.cli.output import print_json
    from urial_tui.models.placing import add as add_model
    from urial_tui.paths import typed_path
    from urial_tui.sanitize import sanitize_line

    links = add_model(typed_path(file), name or "")
    if as_json:
        print_json({"name": links[0].name, "files": [str(link) for link in links]})
        return
    for link in links:
        click.echo(sanitize_line(str(link)))
    if call := call_of(links[0], links[0].name):
        click.echo(f"`{call}` uses it.", err=True)


@click.command()
@click.argument("name", type=NAME)
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def remove(name: str, yes: bool, as_json: bool) -> None:
    """Remove the model NAME from this machine, after asking.

    What else uses its file is told first. Of a link in the models directory the link alone is
    removed, and in Hugging Face's cache what another revision has stays.
    """
    from urial_tui import wording
    from urial_tui.cli.output import print_json
    from urial_tui.errors import UsageError
    from urial_tui.models import placing
    from urial_tui.sanitize import sanitize_line

    planned = placing.removal(name)
    for use in planned.uses:
        click.echo(f"urial: {sanitize_line(use)}.", err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("Nobody can be asked whether to remove it.", "Say so with --yes.")
        for path in planned.files:
            click.echo(sanitize_line(str(path)), err=True)
        if not click.confirm(f"Remove it, and free {wording.size(planned.frees)}?", err=True):
            click.echo("Nothing was removed.", err=True)
            return
    freed = placing.remove(planned)
    if as_json:
        print_json(
            {
                "name": planned.name,
                "files": [str(path) for path in planned.files],
                "uses": list(planned.uses),
                "freed": freed,
            }
        )
    else:
        files = wording.amount(len(planned.files), "file")
        click.echo(f"Removed {files}, {wording.size(freed)} freed.")
