"""`urial cache`: the evaluated preambles on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from urial_tui.cli.numbers import Real

if TYPE_CHECKING:
    from urial_tui.errors import UrialError


@click.group()
def cache() -> None:
    """Look after the evaluated preambles on disk.

    They make a start faster and can be cleared at any time.
    """


@cache.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_command(as_json: bool) -> None:
    """Show the evaluated preambles, the last used first."""
    from datetime import UTC, datetime

    from urial_tui import paths, wording
    from urial_tui.cli.output import Column, print_json, print_table
    from urial_tui.engine.preamble_store import PreambleStore
    from urial_tui.settings import load_settings

    limit = load_settings().engine.cache_limit_mb * 1_000_000
    directory = paths.preamble_cache_dir()
    try:
        entries = PreambleStore(directory, limit).entries()
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
            }
        )
        return
    columns = (
        Column("MODEL", shrink=20, middle=True),
        Column("TOKENS", right=True),
        Column("SIZE", right=True),
        Column("LAST USED", drop=1),
        Column("FILE", drop=2),
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


@cache.command("clear")
@click.option(
    "--older-than",
    type=Real(0, 100_000),
    metavar="DAYS",
    help="Only what was not used for so long.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def clear(older_than: float | None, as_json: bool) -> None:
    """Remove the evaluated preambles.

    One that is needed again is evaluated again.
    """
    from urial_tui import paths, wording
    from urial_tui.cli.output import print_json
    from urial_tui.engine.preamble_store import PreambleStore

    # No limit is needed to clear, so that it works beside a damaged settings file.
    store = PreambleStore(paths.preamble_cache_dir(), 0)
    try:
        freed = store.clear(None if older_than is None else older_than * 86_400)
    except OSError as error:
        raise _unreadable(error) from error
    if as_json:
        print_json({"freed": freed})
    else:
        click.echo(f"Freed {wording.size(freed)}.")


def _unreadable(error: OSError) -> UrialError:
    from urial_tui import paths
    from urial_tui.errors import UrialError
    from urial_tui.sanitize import sanitize_line

    place = sanitize_line(str(error.filename or paths.preamble_cache_dir()))
    return UrialError(
        f"The evaluated preambles can't be reached: {place}: {error.strerror or error}.",
        "Check who may read and write there.",
    )
