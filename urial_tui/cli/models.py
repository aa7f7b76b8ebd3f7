"""`urial models`: what the catalogue knows and what is on this machine."""

from __future__ import annotations

import click


@click.group()
def models() -> None:
    """List the models of the catalogue, and fetch them."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_command(as_json: bool) -> None:
    """Show every model, and where it is or how to get it."""
    from urial_tui import paths
    from urial_tui.cli.output import Column, format_size, print_json, print_table
    from urial_tui.models.registry import ModelStatus, list_models
    from urial_tui.sanitize import sanitize_line

    def document(status: ModelStatus) -> dict[str, object]:
        entry = status.entry
        return {
            "name": status.name,
            "title": entry.title if entry else None,
            "role": entry.role if entry else None,
            "partner": (entry.partner or None) if entry else None,
            "parameters": entry.parameters if entry else None,
            "size": status.size or None,
            "licence": entry.licence if entry else None,
            "licence_url": entry.licence_url if entry else None,
            "source": entry.source_url if entry else None,
            "state": status.state,
            "path": str(status.place) if status.state == "disk" else None,
            "place": str(status.place),
            "command": status.pull_command or None,
        }

    def where(status: ModelStatus) -> str:
        if status.state == "package":
            return "installed (unpacked at first use)"
        return status.pull_command or str(status.place)

    found = list_models()
    if as_json:
        print_json(
            {"directory": str(paths.models_dir()), "models": [document(model) for model in found]}
        )
        return
    columns = (
        Column("NAME"),
        Column("TITLE", drop=4),
        Column("ROLE", drop=1),
        Column("PARTNER", drop=3),
        Column("SIZE", right=True),
        Column("LICENCE", drop=2),
        Column("ON DISK, OR HOW TO GET IT"),
    )
    rows = []
    for model in found:
        entry = model.entry
        rows.append(
            (
                model.name,
                entry.title if entry else "",
                entry.role if entry else "",
                entry.partner if entry else "",
                format_size(model.size) if model.size else "",
                entry.licence if entry else "",
                where(model),
            )
        )
    print_table(columns, rows)
    click.echo(f"Files put by hand belong in {sanitize_line(str(paths.models_dir()))}.", err=True)


@models.command("pull")
@click.argument("name")
def pull(name: str) -> None:
    """Put the model NAME into the models directory."""
    from urial_tui.cli.output import ProgressLine, format_size
    from urial_tui.errors import ModelError
    from urial_tui.models.catalogue import find_entry, load_catalogue
    from urial_tui.models.registry import how_to_place, model_status, resolve
    from urial_tui.sanitize import sanitize_line

    entry = find_entry(name, load_catalogue())
    if model_status(entry).state == "absent":
        raise ModelError(
            f"This version does not download models yet, and {entry.name} is not on this machine.",
            f"{how_to_place(entry)}.",
        )
    with ProgressLine() as line:
        resolved = resolve(
            entry.name,
            progress=lambda done, total: line.show(
                f"Unpacking {entry.name}: {format_size(done)} of {format_size(total)}"
            ),
        )
    click.echo(sanitize_line(str(resolved.path)))
