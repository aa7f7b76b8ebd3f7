"""`urial models discover`: the model files that this and other programs have on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from urial_tui.models.discovery import Discovery, FoundModel
    from urial_tui.models.stores.sighting import LeftOut

_TITLES = {
    "models": "The models directory",
    "directory": "Your directories",
    "hub": "Hugging Face's cache",
    "llama.cpp": "llama.cpp's older cache",
    "lmstudio": "LM Studio",
    "ollama": "Ollama",
}
"""The stores in the order in which they are shown."""
_KINDS = {"model": "model", "embedding": "embedding model", "adapter": "adapter"}


@click.command("discover")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def discover_command(as_json: bool) -> None:
    """Find the models that other programs have on this machine.

    Looks into the caches of Hugging Face and llama.cpp, the models of LM Studio and Ollama, the
    models directory, and the directories of the setting models.directories. Nothing is copied;
    each NAME works wherever a MODEL is asked for. Below stands what was left out, and why.
    """
    from urial_tui import wording
    from urial_tui.cli.output import bold, print_json
    from urial_tui.cli.progress_line import ProgressLine
    from urial_tui.models.discovery import discover

    with ProgressLine() as line:

        def show(done: int, total: int) -> None:
            line.show(wording.looked_at(done, total))

        found = discover(progress=show)
    if as_json:
        print_json(_document(found))
        return
    for store, title in _TITLES.items():
        models = [model for model in found.models if model.store == store]
        if models:
            together = wording.size(sum(model.size for model in models))
            click.echo(bold(f"{title}: {wording.amount(len(models), 'file')}, {together}"))
            _print_models(models)
            click.echo()
    if found.left_out:
        click.echo(bold(f"Left out: {len(found.left_out):,}"))
        _print_left_out(found.left_out)
        click.echo()
    if not found.models:
        click.echo("No model was found.")
    click.echo(
        "A NAME works wherever a MODEL is asked for. More directories can be named in the setting "
        "models.directories.",
        err=True,
    )


def _print_models(models: Sequence[FoundModel]) -> None:
    from urial_tui import wording
    from urial_tui.cli.output import TableColumn, print_table

    columns = (
        TableColumn("NAME", shrink=24, middle=True),
        TableColumn("SIZE", right=True),
        TableColumn("QUANTISATION", drop=1),
        TableColumn("ARCHITECTURE", shrink=8, drop=2),
        TableColumn("WHAT", shrink=5),
        TableColumn("FILE", drop=3),
    )
    rows = []
    for model in models:
        what = [_KINDS[model.kind]]
        if model.parts > 1:
            what.append(f"in {wording.amount(model.parts, 'part')}")
        what += model.problems
        rows.append(
            (
                model.name,
                wording.size(model.size),
                model.quantisation,
                model.architecture,
                ", ".join(what),
                str(model.path),
            )
        )
    print_table(columns, rows)


def _print_left_out(left_out: Sequence[LeftOut]) -> None:
    from urial_tui.cli.output import TableColumn, print_table

    columns = (TableColumn("FILE", shrink=24, middle=True), TableColumn("WHY", shrink=24))
    print_table(columns, [(str(one.path), one.why) for one in left_out])


def _document(found: Discovery) -> dict[str, object]:
    return {
        "models": [
            {
                "name": model.name,
                "kind": model.kind,
                "store": model.store,
                "path": str(model.path),
                "parts": model.parts,
                "size": model.size,
                "quantisation": model.quantisation or None,
                "architecture": model.architecture or None,
                "repository": model.repository or None,
                "file": model.file or None,
                "revision": model.revision or None,
                "tag": model.tag or None,
                "aliases": model.aliases,
                "problems": model.problems,
            }
            for model in found.models
        ],
        "left_out": [
            {"path": str(one.path), "store": one.store, "why": one.why} for one in found.left_out
        ],
        "headers_read": found.headers_read,
    }
