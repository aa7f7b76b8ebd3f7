"""Measuring preambles as a job: what is done is kept, and the same job goes on with it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from urial_tui import paths
from urial_tui.engine.client.call import follow
from urial_tui.engine.client.engine import Engine
from urial_tui.evaluate.context_measures import measures_document
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.job import Going, News
from urial_tui.evaluate.measure_store import MeasureStore
from urial_tui.evaluate.measuring import Measuring, TextsRead
from urial_tui.evaluate.planned_measuring import MeasureChoice, PlannedMeasuring
from urial_tui.evaluate.run_progress import getting_ready
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.settings import Settings
from urial_tui.wording import amount, duration, fixed


class TextPace:
    """How long the texts take that are left, by what those of their kind took.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._seconds: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._working = False

    def begin(self) -> None:
        """The first text comes next."""
        self._since, self._working = self._clock(), False

    def work(self) -> None:
        """Something is computed for the text that comes next."""
        self._working = True

    def done(self, kind: str) -> None:
        """A text is there; where nothing was computed for it, it says nothing of the pace."""
        now = self._clock()
        if self._working:
            self._seconds[kind] = self._seconds.get(kind, 0.0) + now - self._since
            self._counts[kind] = self._counts.get(kind, 0) + 1
        self._since, self._working = now, False

    def left(self, counts: dict[str, int]) -> float | None:
        """Seconds for so many more texts of each kind; None where that is not known yet."""
        seconds = 0.0
        for kind, count in counts.items():
            if not count:
                continue
            if kind not in self._counts:
                return None
            seconds += count * self._seconds[kind] / self._counts[kind]
        return seconds


class MeasureJob:
    """Has preambles measured on a model.

    Args:
        choice: What was chosen.
        title: What it is called.
        stop_key: What ends it.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        choice: MeasureChoice,
        title: str,
        stop_key: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.choice = choice
        self.going = Going(title, "text")
        self._stop_key = stop_key
        self._pace = TextPace(clock)
        self._order: list[str] = []
        self._kinds: tuple[int, int] = (0, 0)

    @property
    def out(self) -> Path:
        """The file of the measures."""
        return paths.measures_file()

    def do(self, engine: Engine, templates: TemplateRenderer, settings: Settings) -> None:
        """Measure what is left; see `Job`."""
        going = self.going
        with (
            going.ending(),
            contextlib.closing(MeasureStore(paths.measures_file())) as store,
        ):
            # It needs as long to start as this process needs to read files.
            engine.start()
            if store.trouble:
                raise EvaluateError(store.trouble, "Begin it again when that is over.")
            planned = PlannedMeasuring(self.choice, settings, store)
            self._order = [context.name for context in planned.contexts]
            self._kinds = len(planned.references.items), len(planned.questions.items)
            going.change(total=len(self._order) * sum(self._kinds))
            measuring = follow(planned.load(engine, templates, going.unpacking), self._take)
            for note in planned.notes:
                going.note(note)
            going.begin(measuring)
            self._pace.begin()
            told = 0
            with contextlib.closing(measuring.steps()) as steps:
                for step in steps:
                    self._take(step)
                    told = self._tell(planned, measuring, told)
            self._tell(planned, measuring, told)
            for trouble in measuring.troubles:
                going.note(f"Not measured under {trouble}")
            if not (going.cancelled or measuring.cancelled):
                going.change(done=going.state.total, words="")

    def _take(self, step: Any) -> None:
        self.going.check(step)
        if isinstance(step, TextsRead):
            kind = "reference answer" if step.what == "reference answer" else "answer"
            self._pace.done(kind)
            self._show(step)
            return
        self._pace.work()
        if words := getting_ready(step, self._stop_key):
            self.going.change(words=words)

    def _show(self, step: TextsRead) -> None:
        """How far it is, and how long it takes."""
        references, questions = self._kinds
        place = self._order.index(step.name)
        reading = step.what == "reference answer"
        here = step.done if reading else references + step.done
        behind = len(self._order) - place - 1
        seconds = self._pace.left(
            {
                "reference answer": behind * references + (references - step.done) * reading,
                "answer": behind * questions + questions - (0 if reading else step.done),
            }
        )
        left = "" if seconds is None else f", {duration(seconds)} left"
        self.going.change(
            done=place * sum(self._kinds) + here,
            words=f"{step.name}: {step.done:,} of {amount(step.total, step.what)}{left}",
        )

    def _tell(self, planned: PlannedMeasuring, measuring: Measuring, told: int) -> int:
        """Tell of contexts that are done; how many these are."""
        if len(measuring.measured) > told:
            questions = [item.turns[0] for item in planned.questions.items]
            for context in measures_document(measuring.measured, questions)["contexts"][told:]:
                bits = fixed(context["bits_per_byte"]["mean"], 4)
                self.going.tell(
                    News(id=context["name"], question="is measured", text=f"{bits} bits per byte")
                )
        return len(measuring.measured)
