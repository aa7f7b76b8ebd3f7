"""The job of a run: a model answers items, on this machine or behind an endpoint."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Final

import msgspec

from urial_tui.engine.client.call import follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import TextDelta
from urial_tui.evaluate.endpoint_address import ENGINE
from urial_tui.evaluate.generate import Answered, Skipped
from urial_tui.evaluate.job import ASKED_HERE, HERE, Going, News
from urial_tui.evaluate.planned_run import PlannedRun, RunChoice
from urial_tui.evaluate.run import Read, ReadingBegun, Run, Unread
from urial_tui.evaluate.run_file import KIND as OUTPUTS
from urial_tui.evaluate.run_progress import RunProgress, not_read, taken_over
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.settings import Settings
from urial_tui.wording import amount

_OUTPUTS: Final = msgspec.structs.replace(OUTPUTS, **HERE)
_SERVICE: Final = msgspec.structs.replace(ENGINE, **ASKED_HERE)


class RunJob:
    """Has a model answer items, on this machine or behind an endpoint.

    Args:
        choice: What was chosen.
        title: What it is called.
        stop_key: What ends it.
        done, total: How many items are answered, and how many there are, as far as is known.
    """

    def __init__(
        self, choice: RunChoice, title: str, stop_key: str, *, done: int = 0, total: int = 0
    ) -> None:
        self.choice = choice
        self.going = Going(title, "item")
        self.going.change(done=done, total=total)
        self._progress = RunProgress(stop_key)

    @property
    def out(self) -> Path:
        """The file of the answers."""
        return self.choice.out

    def do(self, engine: Engine, templates: TemplateRenderer, settings: Settings) -> None:
        """Answer what is left; see `Job`."""
        going = self.going
        with going.ending(), contextlib.ExitStack() as stack:
            if self.choice.engine is None:
                # It needs as long to start as this process needs to read files.
                engine.start()
            planned = PlannedRun(self.choice, settings, going.note, _OUTPUTS)
            stack.callback(planned.close)
            going.change(total=len(planned.items.items))
            steps = (
                planned.load(engine, templates, going.unpacking)
                if self.choice.engine is None
                else planned.at_endpoint(engine, _SERVICE)
            )
            run = follow(steps, self._take)
            self._progress.begin(run)
            if run.changed:
                going.note(taken_over(run, "what is there"))
            going.begin(run)
            if self.choice.engine is not None and run.taken_over < len(run):
                going.change(words="waiting for the first answer")
            going.change(done=run.taken_over)
            with contextlib.closing(run.steps()) as made:
                for step in made:
                    self._take(step)
            if run.unread:
                going.note(not_read(run))
            told = self._summary(run)
            going.change(done=run.answered, total=len(run), reading=False, words=told)
            if not (going.cancelled or run.cancelled):
                run.finish()

    def _take(self, step: Any) -> None:
        going = self.going
        going.check(step)
        words = self._progress.take(step)
        if isinstance(step, Answered):
            exchange = step.written.exchange
            tokens = "" if exchange.tokens is None else amount(exchange.tokens, "token")
            ended = _ENDINGS.get(exchange.ending, exchange.ending)
            going.tell(
                News(
                    id=str(step.item.id),
                    question=exchange.instruction,
                    text=exchange.output,
                    ending=", ".join(filter(None, (ended, tokens))),
                )
            )
        if isinstance(step, Skipped):
            going.change(skipped=(*going.state.skipped, f"{step.item.id}: {step.reason}"))
        if isinstance(step, ReadingBegun):
            going.change(done=0, total=step.total, reading=True)
        if isinstance(step, Read | Unread):
            going.change(done=self._progress.read)
        if isinstance(step, TextDelta | Answered | Skipped) and not self._progress.reading:
            words = self._progress.pace or "answering"
            going.change(done=self._progress.items)
        if words:
            going.change(words=words)

    def _summary(self, run: Run) -> str:
        written = self._progress
        told = f"{amount(written.answers, 'answer')} written"
        return told if not run.taken_over else f"{told}, {run.taken_over:,} were there"


_ENDINGS: Final = {"end": "ended by itself", "stop": "at a stop string", "cut": "cut"}
