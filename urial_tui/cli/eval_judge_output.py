"""What `urial eval judge` shows: how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click
import msgspec

from urial_tui.cli.output import ProgressLine, print_json
from urial_tui.engine.wire.protocol import Event, Notice
from urial_tui.evaluate.judge_document import judge_document
from urial_tui.evaluate.judge_progress import JudgeProgress
from urial_tui.evaluate.judging import Judging, Made
from urial_tui.evaluate.pace import Waiting
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount, fixed, unpacked

if TYPE_CHECKING:
    from urial_tui.evaluate.endpoint_asking import Usage


class JudgeOutput:
    """The line of progress, and sentences beside it, on standard error."""

    def __init__(self) -> None:
        self.spending: Callable[[], Usage | None] = lambda: None
        """Tells what an endpoint was asked."""
        self._line = ProgressLine()
        self._progress = JudgeProgress("Ctrl+C")
        self._waited_for: set[str] = set()
        """Why something is waited for, where that was said."""

    def begin(self, judging: Judging) -> None:
        """The time counts from here."""
        self._progress.begin(judging)

    def take(self, step: Event | Waiting | Made) -> None:
        """Show what has come."""
        if isinstance(step, Notice):
            self.say(step.message)
            return
        words = self._progress.take(step)
        if isinstance(step, Waiting) and words and step.why not in self._waited_for:
            # Whoever sees no line, or a new one only now and then, would wonder why nothing comes.
            self._waited_for.add(step.why)
            self.say(words)
        elif words:
            self._line.show(words)

    def end(self, judging: Judging, judge: str, shown: str, as_json: bool) -> None:
        """Print what came of it."""
        self._line.clear()
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
            self.say(f"{amount(count, 'judgement')} could not be had: {detail}")

    def unpacking(self, done: int, total: int) -> None:
        """A packaged model is put together: bytes done and in all."""
        self._line.show(unpacked(done, total))

    def say(self, message: str) -> None:
        """A sentence for the user."""
        self._line.clear()
        click.echo(f"urial: {sanitize_line(message)}", err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._line.clear()


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
        "tokens that it did not count"
        if read is None or written is None
        else f"{amount(read, 'token')} read and {written:,} written"
    )
    untold = f" (of {usage.untold:,} replies it told nothing)" if usage.untold and read else ""
    return f"{amount(usage.requests, 'request')}, {tokens}{untold}."
