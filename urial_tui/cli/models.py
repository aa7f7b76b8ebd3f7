"""`urial models`: what the catalogue knows and what is on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from urial_tui.cli.models_discover import discover_command
from urial_tui.cli.models_inspect import inspect
from urial_tui.cli.models_place import add, remove
from urial_tui.cli.models_pull import pull
from urial_tui.cli.models_show import show
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
    """Show the models of the catalogue and of this machine."""
    from urial_tui import paths, wording
    from urial_tui.cli.model_output import document
    from urial_tui.cli.output import TableColumn, print_json, print_table
    from urial_tui.models.registry import in_order, list_models
    from urial_tui.sanitize import sanitize_line

    found = list_models()
    if as_json:
        print_json({"directory": str(paths.models_dir()), "models": list(map(document, found))})
        return
    columns = (
        TableColumn("NAME", shrink=24, middle=True),
        TableColumn("TITLE", drop=3),
        TableColumn("ROLE", drop=1),
        TableColumn("PARTNER", drop=4),
        TableColumn("SIZE", right=True),
        TableColumn("LICENCE", drop=2),
        TableColumn("HERE"),
        TableColumn("FILE", drop=5),
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
        for model in in_order(found)
    ]
    print_table(columns, rows)
    here = sum(model.state != "absent" for model in found)
    click.echo(
        f"Of {wording.amount(len(found), 'model')} {here:,} are here. `urial models show NAME` "
        "tells more, and how to get what is not. Files belong in "
        f"{sanitize_line(str(paths.models_dir()))}.",
        err=True,
    )


models.add_command(inspect)
models.add_command(show)


def _embedding(model: ModelStatus) -> str:
    """The role of an embedding model, with how it pools; "" for other files."""
    from urial_tui.cli.model_output import pooling

    how = pooling(model)
    return f"embedding ({how})" if how else ""


models.add_command(discover_command)
models.add_command(pull)
models.add_command(add)
models.add_command(remove)
models.add_command(verify)
