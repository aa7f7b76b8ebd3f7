"""`urial models inspect`: what a model file is, told from its header, here or at an address."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from urial_tui.cli.names import NAME
from urial_tui.cli.numbers import Real

if TYPE_CHECKING:
    from urial_tui.models.inspection import Inspection, TemplateTold
    from urial_tui.models.registry import ResolvedModel


@click.command()
@click.argument("model", type=NAME)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--template", is_flag=True, help="Print the chat template alone.")
@click.option("--render", metavar="QUESTION", help="Print what the template makes of a question.")
@click.option(
    "--named",
    type=NAME,
    metavar="NAME",
    help="With --template or --render: the template of this name, not the one that is used.",
)
@click.option(
    "--card",
    "cards",
    type=Real(0.1, 100_000),
    multiple=True,
    metavar="GIB",
    help="Tell how many layers fit into so much graphics memory.",
)
def inspect(
    model: str,
    as_json: bool,
    template: bool,
    render: str | None,
    named: str | None,
    cards: tuple[float, ...],
) -> None:
    """Tell what the model file MODEL is and needs, without loading it.

    MODEL is a file, a name of `urial models list`, hf.co/OWNER/REPO[:QUANT],
    hf.co/OWNER/REPO/FILE.gguf, or the https:// address of a file. Of what is not on this machine
    the header alone is read.
    """
    import msgspec

    from urial_tui.cli.inspection_output import print_inspection
    from urial_tui.cli.output import print_json
    from urial_tui.errors import UsageError
    from urial_tui.models.rendered_question import chosen_template

    if as_json + template + (render is not None) > 1:
        raise UsageError(
            "--json, --template and --render each print something of their own.", "Give one."
        )
    if named is not None and not template and render is None:
        raise UsageError(
            "--named chooses a template to be shown or used.", "Give --template or --render, too."
        )
    told = _inspect(model, [int(card * (1 << 30)) for card in cards])
    if template:
        _print_template(chosen_template(told, named or ""))
    elif render is not None:
        _print_rendered(told, chosen_template(told, named or ""), render)
    elif as_json:
        print_json(msgspec.to_builtins(told))
    else:
        print_inspection(told)


def _inspect(model: str, cards: Sequence[int]) -> Inspection:
    """The inspection of what MODEL stands for; only an address opens a connection.

    Raises:
        UrialError: There is no such model, or it can't be read.
    """
    from urial_tui.models.addresses import is_address
    from urial_tui.models.inspection import CARDS, inspect_file
    from urial_tui.models.speed import load_speeds
    from urial_tui.sanitize import sanitize_line
    from urial_tui.settings import engine_options, load_settings

    options = engine_options(load_settings())
    speeds = load_speeds(options)
    cards = cards or CARDS
    path = _path(model)
    if path is None and is_address(model):
        path = _here(model)
        if path is None:
            return _inspect_address(model, cards)
    if path is None:
        found = _resolved(model)
        path = found.path
        if found.adapter is not None:
            base = sanitize_line(str(found.path))
            click.echo(f"urial: This is the adapter; the model below it is {base}.", err=True)
            path = found.adapter
    return inspect_file(path, options, speeds=speeds, cards=cards)


def _path(model: str) -> Path | None:
    """The file that a path, or a name in the models directory, stands for; None for others."""
    from urial_tui import paths
    from urial_tui.files import is_directory, is_there

    typed = paths.typed_path(model)
    inside = paths.models_dir() / model
    for path in (typed, inside):
        # A directory may have the name of a model; a path to one is a mistake to be told.
        if is_there(path) and (os.sep in model or not is_directory(path)):
            return path
    return typed if os.sep in model and model.startswith((".", "~", os.sep)) else None


def _here(model: str) -> Path | None:
    """The file of a repository that is on this machine already; None where none is."""
    from urial_tui.errors import ModelError
    from urial_tui.models.registry import resolve

    if "://" in model:
        return None
    try:
        return resolve(model).path
    except ModelError:
        return None


def _resolved(model: str) -> ResolvedModel:
    """The files of a name, whatever kind of model it is.

    Raises:
        ModelError: There is no such model.
    """
    from urial_tui.cli.progress_line import ProgressLine
    from urial_tui.errors import ModelError
    from urial_tui.models.registry import resolve

    with ProgressLine() as line:
        try:
            return resolve(model, progress=line.unpacking)
        except ModelError:
            try:
                return resolve(model, progress=line.unpacking, kind="embedding")
            except ModelError:
                # What is wrong with it as a model tells more.
                pass
            raise


def _inspect_address(model: str, cards: Sequence[int]) -> Inspection:
    from urial_tui import wording
    from urial_tui.cli.progress_line import ProgressLine
    from urial_tui.models.addresses import HubAddress, parse_address
    from urial_tui.models.inspection import inspect_address
    from urial_tui.models.remote import Remote
    from urial_tui.models.speed import load_speeds
    from urial_tui.settings import engine_options, load_settings

    address = parse_address(model)
    with ExitStack() as stack:
        line = stack.enter_context(ProgressLine())
        remote = stack.enter_context(
            Remote(lambda count: line.show(f"Reading the header: {wording.size(count)}"))
        )
        if isinstance(address, HubAddress):
            address = remote.find(address)
        options = engine_options(load_settings())
        speeds = load_speeds(options)
        return inspect_address(remote, address, options, speeds=speeds, cards=cards)


def _print_template(template: TemplateTold) -> None:
    """Print the template as it stands in the file, made safe where that is shown."""
    from urial_tui.sanitize import sanitize

    click.echo(sanitize(template.source), nl=not template.source.endswith("\n"))


def _print_rendered(told: Inspection, template: TemplateTold, question: str) -> None:
    """Print what the template makes of a question, up to where the answer starts.

    Raises:
        ModelError: It can't be rendered.
    """
    from urial_tui.models.rendered_question import render_question
    from urial_tui.prompting.templates.renderer import TemplateRenderer
    from urial_tui.sanitize import sanitize

    with TemplateRenderer() as renderer:
        pieces = render_question(renderer, told, template, question)
    text = sanitize("".join(piece.text for piece in pieces))
    # On a terminal the prompt should not stand behind it.
    click.echo(text, nl=sys.stdout.isatty() and not text.endswith("\n"))
