"""What `urial eval judge` shows: how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import msgspec

from urial_tui.cli.output import print_json
from urial_tui.cli.work_line import WorkLine
from urial_tui.engine.wire.events import Event
from urial_tui.evaluate.judge_document import judge_document
from urial_tui.evaluate.judge_progress import JudgeProgress
from urial_tui.evaluate.judging import Judging, Made
from urial_tui.evaluate.rate_limit import Postponed
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount, fixed

if TYPE_CHECKING:
    from urial_tui.evaluate.endpoint_asking import Usage


class JudgeOutput:
    """The line of progress, and sentences beside it, on standard error."""

    def __init__(self) -> None:
        self.spending: Callable[[], Usage | None] = lambda: None
        """Tells what an endpoint was asked."""
        self.line = WorkLine()
        self._progress = JudgeProgress("Ctrl+C")

    def begin(self, judging: Judging) -> None:
        """The time counts from here."""
        self._progress.begin(judging)

    def take(self, step: Event | Postponed | Made) -> None:
        """The callback for each step of judging: shows what has come."""
        self.line.tell(step, self._progress.take(step))

    def end(self, judging: Judging, judge: str, shown: str, as_json: bool) -> None:
        """Print what came of it."""
        self.line.clear()
        found = judge_document(list(judging.judgements()))
        usage = self.spending()
        if as_json:
            written = {"judgements": self._progress.made, "seconds": self._progress.seconds}
            spent = None if usage is None else msgspec.structs.asdict(usage)
            print_json(
                {**found, "taken_over": judging.taken_over, "written": written, "usage": spent}
            )
            return
        click.echo(
            f"{amount(found['judgements'], 'judgement')} by {sanitize_line(judge)}, in {shown}."
        )
        for aspect, one in found["aspects"].items():
            click.echo(f"  {aspect:12} {_figures(one)}")
        if usage is not None and usage.requests:
            click.echo(_spent(usage))
        for detail, count in self._progress.troubles.most_common():
            self.line.say(f"{amount(count, 'judgement')} could not be had: {detail}")


def _figures(one: dict[str, Any]) -> str:
    """The figures of an aspect in words."""
    why = ", ".join(f"{count:,} {reason}" for reason, count in one["unscored"].items())
    unscored = f"; unscored: {why}" if why else ""
    if "mean" in one:
        return f"{fixed(one['mean'], 2)}  ({one['scored']:,} scored{unscored})"
    return (
        f"{one['wins']:,} won, {one['ties']:,} tied, {one['losses']:,} lost; with the order turned "
        f"{one['flips']:,} of {one['pairs']:,}{unscored}"
    )


def _spent(usage: Usage) -> str:
    """What an endpoint was asked, in words."""
    read, written = usage.prompt_tokens, usage.completion_tokens
    tokens = (
        "of whose tokens it told nothing"
        if read is None or written is None
        else f"{amount(read, 'token')} read and {written:,} written"
    )
    untold = f" (of {usage.untold:,} replies it told nothing)" if usage.untold and read else ""
    return f"{amount(usage.requests, 'request')}, {tokens}{untold}."
