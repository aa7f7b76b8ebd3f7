"""Where a preamble that a command makes is written to: under its own name, and over nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click

from urial_tui.cli.names import FILE, NAME
from urial_tui.errors import UsageError
from urial_tui.files import is_directory, is_there
from urial_tui.sanitize import quoted, sanitize_line


class PreamblePlace(NamedTuple):
    """A preamble's name, and its file."""

    name: str
    path: Path


def placed(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options `name`, `out` and `force`, which `place_of` takes."""
    for option in (
        click.option("--force", is_flag=True, help="Replace what is there."),
        click.option(
            "-o",
            "--out",
            type=FILE,
            metavar="FILE.toml",
            help="Write this file.  [default: NAME.toml among your preambles]",
        ),
        click.option(
            "--name",
            type=NAME,
            metavar="NAME",
            help="What to call it.  [default: by the file's name]",
        ),
    ):
        command = option(command)
    return command


def place_of(name: str | None, out: Path | None, default: str, *, force: bool) -> PreamblePlace:
    """Where a preamble goes, by the options.

    Args:
        name: What it is to be called; None for the default.
        out: Its file; None for one among the user's own.
        default: Its name where neither says it; "" where there is none.
        force: Whether it may stand in for one that comes with the program.

    Raises:
        UsageError: It has no name, or one that no preamble can have, or its file another one, or
            there is no directory for that, or a preamble that comes with the program has this name.
    """
    from urial_tui import paths

    chosen = name or (out.stem if out is not None else default)
    if not chosen:
        raise UsageError("No name can be made of the file's name.", "Choose one with --name.")
    check_name(chosen)
    path = out if out is not None else paths.user_prompts_dir() / f"{chosen}.toml"
    if path.name != f"{chosen}.toml":
        raise UsageError(
            f"A preamble named {sanitize_line(chosen)} has to stand in a file named "
            f"{sanitize_line(chosen)}.toml.",
            "Change --name or --out.",
        )
    if out is not None:
        check_directory(out)
    if out is None and not force and is_there(paths.shipped_prompts_dir() / path.name):
        raise UsageError(
            f"The program has a preamble named {sanitize_line(chosen)}, which this one would stand "
            "in for.",
            "Choose another name with --name, or --force to use yours in its place.",
        )
    return PreamblePlace(chosen, path)


def check_name(name: str) -> None:
    """Refuse a name that no preamble can have.

    Raises:
        UsageError: It is one.
    """
    from urial_tui.prompting.soundness import NAME as POSSIBLE

    if not POSSIBLE.fullmatch(name):
        raise UsageError(
            f"A preamble can't be named {quoted(name)}: a name has lower-case letters and "
            "digits, and single dots or dashes between them.",
            "Choose another one with --name.",
        )


def check_directory(out: Path) -> None:
    """Refuse a file that was named in a directory that is not there.

    Raises:
        UsageError: It is not there: more likely mistyped than meant to be made.
    """
    if not is_directory(out.parent):
        raise UsageError(
            f"There is no directory {sanitize_line(str(out.parent))}.",
            "Make it, or choose another one with --out.",
        )
