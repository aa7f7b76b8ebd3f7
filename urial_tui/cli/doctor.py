"""`urial doctor`: what this machine and this installation are, and what is wrong with them."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from urial_tui import interrupts
from urial_tui.cli.output import bold, in_colour, print_json
from urial_tui.cli.progress_line import ProgressLine

if TYPE_CHECKING:
    from urial_tui.doctor.finding import DoctorFinding, FindingState
    from urial_tui.errors import UrialError

_MARKS: dict[FindingState, tuple[str, str]] = {
    "good": ("ok", "green"),
    "note": ("note", "blue"),
    "warning": ("warn", "yellow"),
    "bad": ("BAD", "red"),
}
"""The word that stands in front of a finding, and its colour on terminals."""
_MARGIN = 6
_WIDTHS = (30, 100)
"""Columns: fewer are of no use, and longer lines are hard to read."""
_ELSEWHERE = 80


@click.command()
@click.option("--fast", is_flag=True, help="Leave out the self-test and the speed test.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def doctor(context: click.Context, fast: bool, as_json: bool) -> None:
    """Look for what is wrong with this machine or this installation, and say what to do.

    Nothing is changed. The exit code is 1 where something does not work.
    """
    from urial_tui.doctor.examination import examine
    from urial_tui.doctor.finding import worst
    from urial_tui.doctor.topics import topics

    chosen = [topic for topic in topics(_themes) if not (fast and topic.slow)]
    with ProgressLine() as line:

        def begin(topic: str) -> None:
            # Topics import much, where a Ctrl-C may be lost.
            interrupts.check()
            line.show(f"Looking at: {topic}")

        findings = list(examine(chosen, begin))
    state = worst(findings)
    if as_json:
        import msgspec

        print_json({"state": state, "fast": fast, "findings": msgspec.to_builtins(findings)})
    else:
        _print(findings, _width())
    if state == "bad":
        context.exit(1)


def _themes() -> tuple[int, Sequence[UrialError]]:
    from urial_tui.tui.frame.theme_files import read_themes

    themes, troubles = read_themes()
    return len(themes), troubles


def _print(findings: Sequence[DoctorFinding], width: int) -> None:
    topic = ""
    for finding in findings:
        if finding.topic != topic:
            if topic:
                click.echo()
            topic = finding.topic
            click.echo(bold(topic.capitalize()))
        _print_line(finding.state, finding.found, width)
    todo = [finding for finding in findings if finding.todo]
    click.echo()
    if not todo:
        click.echo("Nothing needs to be done.")
        return
    click.echo(bold("What to do"))
    for finding in todo:
        _print_line(finding.state, f"{finding.topic}: {finding.found}", width)
        click.echo(_wrapped(f"→ {finding.todo}", width, " " * _MARGIN))


def _print_line(state: FindingState, text: str, width: int) -> None:
    mark, colour = _MARKS[state]
    body = _wrapped(text, width, " " * _MARGIN)[_MARGIN:]
    padded = mark.ljust(_MARGIN - 1)
    click.echo(f"{click.style(padded, fg=colour) if in_colour() else padded} {body}")


def _wrapped(text: str, width: int, margin: str) -> str:
    lines = textwrap.wrap(
        text, width, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    )
    return "\n".join(lines) or margin


def _width() -> int:
    """Columns to fill: the terminal's, within bounds; a fixed number for files and pipes."""
    if not sys.stdout.isatty():
        return _ELSEWHERE
    least, most = _WIDTHS
    return max(least, min(most, shutil.get_terminal_size().columns))
