"""`urial cache`: what is kept on disk only to save time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from urial_tui.cli.numbers import Real

if TYPE_CHECKING:
    from pathlib import Path

    from urial_tui.errors import UrialError


@click.group()
def cache() -> None:
    """Look after what is kept to save time.

    These are evaluated preambles, and more. All of it can be cleared at any time.
    """


@cache.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_command(as_json: bool) -> None:
    """Show the evaluated preambles and the other parts.

    The last used comes first.
    """
    from datetime import UTC, datetime

    from urial_tui import paths, wording
    from urial_tui.cli.output import TableColumn, print_json, print_table
    from urial_tui.engine.preamble_store import PreambleStore
    from urial_tui.settings import load_settings

    limit = load_settings().engine.cache_limit_mb * 1_000_000
    directory = paths.preamble_cache_dir()
    try:
        entries = PreambleStore(directory, limit).entries()
        others = [(part, path, _size(path)) for part in _HELD for path in _files(part)]
    except OSError as error:
        raise _unreadable(error) from error
    size = sum(entry.size for entry in entries)
    if as_json:
        print_json(
            {
                "directory": str(directory),
                "size": size,
                "limit": limit,
                "preambles": [
                    {
                        "path": str(entry.path),
                        "model": entry.model,
                        "tokens": entry.tokens,
                        "size": entry.size,
                        "used": datetime.fromtimestamp(entry.used, UTC).isoformat(
                            timespec="seconds"
                        ),
                    }
                    for entry in entries
                ],
                "others": [
                    {"part": part, "path": str(path), "size": size} for part, path, size in others
                ],
            }
        )
        return
    columns = (
        TableColumn("MODEL", shrink=20, middle=True),
        TableColumn("TOKENS", right=True),
        TableColumn("SIZE", right=True),
        TableColumn("LAST USED", drop=1),
        TableColumn("FILE", drop=2),
    )
    rows = [
        (
            entry.model,
            f"{entry.tokens:,}",
            wording.size(entry.size),
            datetime.fromtimestamp(entry.used).astimezone().strftime("%Y-%m-%d %H:%M"),
            str(entry.path),
        )
        for entry in entries
    ]
    if rows:
        print_table(columns, rows)
    click.echo(
        f"{wording.amount(len(entries), 'evaluated preamble')}, {wording.size(size)} of at most "
        f"{wording.size(limit)}.",
        err=True,
    )
    for part, held in _HELD.items():
        if size := sum(size for other, _, size in others if other == part):
            click.echo(f"{held} (`{part}`): {wording.size(size)}.", err=True)


@cache.command("clear")
@click.argument(
    "part", type=click.Choice(["preambles", "measures", "headers", "vectors"]), required=False
)
@click.option(
    "--older-than",
    type=Real(0, 100_000),
    metavar="DAYS",
    help="Only what was not used for so long.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def clear(part: str | None, older_than: float | None, as_json: bool) -> None:
    """Remove the evaluated preambles, or another PART.

    \b
    preambles  evaluated preambles (the default); evaluated again when needed
    measures   what was measured of contexts; measured again when asked for
    headers    what was seen in the headers of model files; read again when listed
    vectors    of indexes that were begun and not finished; made again when built
    """
    from urial_tui import paths, wording
    from urial_tui.cli.output import print_json
    from urial_tui.engine.preamble_store import PreambleStore

    try:
        if part in _HELD:
            if older_than is not None:
                raise click.UsageError(f"--older-than is for preambles; {part} go as a whole.")
            freed = sum(_remove(path) for path in _files(part))
        else:
            # No limit is needed to clear, so that it works beside a damaged settings file.
            store = PreambleStore(paths.preamble_cache_dir(), 0)
            freed = store.clear(None if older_than is None else older_than * 86_400)
    except OSError as error:
        raise _unreadable(error) from error
    if as_json:
        print_json({"freed": freed})
    else:
        click.echo(f"Freed {wording.size(freed)}.")


_HELD = {
    "measures": "What was measured of contexts",
    "headers": "What was seen in the headers of model files",
    "vectors": "Vectors of indexes that were begun and not finished",
}
"""What parts hold, beside the preambles."""


def _files(part: str) -> list[Path]:
    """The files of a part, which need not be there."""
    from urial_tui import paths
    from urial_tui.prompting.retrieval_index import begun_files

    match part:
        case "measures":
            return [paths.measures_file()]
        case "headers":
            return [paths.model_index_file()]
        case _:
            return begun_files()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _remove(path: Path) -> int:
    """Remove a file that nobody else writes to; the bytes it had.

    Raises:
        UrialError: Another program writes to it.
        OSError: It can't be removed.
    """
    from urial_tui.errors import UrialError
    from urial_tui.file_lock import InUse
    from urial_tui.journal import Journal
    from urial_tui.sanitize import sanitize_line

    size = _size(path)
    if size:
        try:
            Journal(path).remove()
        except InUse as error:
            raise UrialError(
                f"{sanitize_line(str(path))} is in use by another program.",
                "Wait until it is done, or stop it.",
            ) from error
    return size


def _unreadable(error: OSError) -> UrialError:
    from urial_tui import paths
    from urial_tui.errors import UrialError
    from urial_tui.sanitize import sanitize_line

    place = sanitize_line(str(error.filename or paths.preamble_cache_dir()))
    return UrialError(
        f"What is kept to save time can't be reached: {place}: {error.strerror or error}.",
        "Check who may read and write there.",
    )
