"""Lazy imports and factories: the real engines, threads and screens, imported when they are made.

The first screen is there before any of them is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.screen import Screen

from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import UrialError
from urial_tui.runtime.host import FindModel, ModelFile, Unpacking

if TYPE_CHECKING:
    from urial_tui.engine.client.engine import Engine
    from urial_tui.tui.compare.comparison_engine import ComparisonEngine
    from urial_tui.tui.duel.duel import Duel
    from urial_tui.tui.evaluate.job_queue import JobQueue

MakeDuel = Callable[[FindModel], "Duel"]
MakeComparisonEngine = Callable[[FindModel], "ComparisonEngine"]
MakeJobQueue = Callable[[], "JobQueue"]


def make_engine() -> Engine:
    """The real engine; imported when it is needed, for the screen comes first."""
    from urial_tui.engine.client.engine import Engine

    return Engine()


def find_model(name: str, progress: Unpacking) -> ModelFile:
    """Look a model up in the registry; imported when it is needed."""
    from urial_tui.models.registry import resolve

    return resolve(name, progress=progress)


def make_comparison_engine(find_model: FindModel) -> ComparisonEngine:
    """The real comparison engine, on an engine of its own."""
    from urial_tui.tui.compare.comparison_engine import ComparisonEngine

    return ComparisonEngine(make_engine, find_model)


def make_duel(find_model: FindModel) -> Duel:
    """The real duel, on engines of its own."""
    from urial_tui.tui.duel.duel import Duel

    return Duel(make_engine, find_model)


def make_job_queue() -> JobQueue:
    """The real job queue, on engines of its own."""
    from urial_tui.tui.evaluate.job_queue import JobQueue

    return JobQueue(make_engine)


def make_first_run(trouble: UrialError, options: EngineOptions) -> Screen[str | None]:
    """The screen that helps to a model; it is seldom needed."""
    from urial_tui.tui.frame.first_run import first_run

    return first_run(trouble, options)


def list_models() -> Sequence[str]:
    """Names of the models on this machine, for the compare screen."""
    from urial_tui.models.registry import list_models as registered

    return [status.name for status in registered() if status.state != "absent"]
