"""`urial models verify`: whether model files are whole, and whether the catalogue's sources are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from urial_tui.cli.names import NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from urial_tui.models.verification import CheckedFile, CheckedSource


@click.command()
@click.argument("names", type=NAME, nargs=-1, metavar="[NAME]...")
@click.option("--catalogue", is_flag=True, help="Ask the catalogue's sources instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def verify(ctx: click.Context, names: tuple[str, ...], catalogue: bool, as_json: bool) -> None:
    """Check whether the files of models are whole.

    That is header, size, parts and checksum. Without a NAME all of the catalogue, of the models
    directory and of Hugging Face's cache are checked. The exit code is 1 if anything is wrong.
    """
    from urial_tui.errors import UsageError

    if catalogue and names:
        raise UsageError("--catalogue asks for all of the catalogue.", "Leave the names out.")
    ctx.exit(_sources(as_json) if catalogue else _files(names, as_json))


def _files(names: Sequence[str], as_json: bool) -> int:
    import msgspec

    from urial_tui import wording
    from urial_tui.cli.output import TableColumn, print_json, print_table
    from urial_tui.cli.progress_line import ProgressLine
    from urial_tui.models.verification import verify as verify_files

    with ProgressLine() as line:

        def show(done: int, total: int) -> None:
            line.show(f"Reading {wording.size(done)} of {wording.size(total)}")

        found = list(verify_files(names, show))
    if as_json:
        print_json({"files": msgspec.to_builtins(found, enc_hook=str)})
    elif found:
        columns = (
            TableColumn("NAME", shrink=24, middle=True),
            TableColumn("SIZE", right=True),
            TableColumn("RESULT"),
            TableColumn("FILE", drop=1),
        )
        rows = [(one.name, wording.size(one.size), _result(one), str(one.path)) for one in found]
        print_table(columns, rows)
    return _end(found, "file")


def _result(file: CheckedFile) -> str:
    if file.wrong:
        return " ".join(file.wrong)
    return "whole; no checksum is known" if file.checked_by == "nothing" else "right checksum"


def _sources(as_json: bool) -> int:
    import msgspec

    from urial_tui import wording
    from urial_tui.cli.output import TableColumn, print_json, print_table
    from urial_tui.cli.progress_line import ProgressLine
    from urial_tui.models.attempts import Limits
    from urial_tui.models.download import Downloader
    from urial_tui.models.verification import verify_sources

    found = []
    # Who is busy is asked thrice, not as often as for a download.
    line = ProgressLine()

    def retry(why: str) -> None:
        line.change(f"Trying again: {why}")

    with line, Downloader(limits=Limits(attempts=3), retry=retry) as downloader:
        for one in verify_sources(downloader):
            found.append(one)
            line.show(f"{wording.amount(len(found), 'source')} asked: {one.name}")
    if as_json:
        print_json({"sources": msgspec.to_builtins(found)})
    else:
        columns = (
            TableColumn("NAME", shrink=24, middle=True),
            TableColumn("STATUS", right=True),
            TableColumn("SIZE", right=True),
            TableColumn("RESULT"),
        )
        rows = [
            (
                one.name,
                str(one.status or wording.UNKNOWN),
                wording.size(one.size) if one.size else wording.UNKNOWN,
                " ".join((*one.wrong, *one.notes)) or one.unchecked or "there and the same",
            )
            for one in found
        ]
        print_table(columns, rows)
    checked = [one for one in found if not one.unchecked]
    return _end(checked, "source", len(found) - len(checked))


def _end(
    found: Sequence[CheckedFile] | Sequence[CheckedSource], what: str, unchecked: int = 0
) -> int:
    from urial_tui import wording

    wrong = sum(bool(one.wrong) for one in found)
    checked = wording.amount(len(found), what)
    said = f"{wrong:,} of them wrong" if wrong else "nothing wrong"
    rest = f" {unchecked:,} could not be checked." if unchecked else ""
    click.echo(f"Checked {checked}: {said}.{rest}", err=True)
    return 1 if wrong else 0
