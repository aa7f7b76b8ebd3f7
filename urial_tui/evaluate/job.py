"""A background job of an evaluation: a run, or the judging of one.

A job is done by a thread that nobody waits for; meanwhile anybody may look at its state, whose
values are replaced as a whole, and cancel it. What is done is kept whatever ends it, and the same
job done again goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import msgspec

from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import LoadProgress, Notice
from urial_tui.errors import EngineDied, EngineError, ModelError, UrialError
from urial_tui.evaluate.endpoint_errors import EndpointError
from urial_tui.evaluate.items import EvaluateError
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.settings import Settings
from urial_tui.wording import unpacked

JobStage = Literal["waiting", "going", "done", "stopped", "failed"]

KEPT: Final = 40
"""The newest answers that are kept to be looked at."""

GO_ON: Final = "What is done is kept: start it again, and it goes on."

HERE: Final[Mapping[str, str]] = {
    "another": "begin one of another name",
    "again": "start it again",
    "unlimited": "begin a run of all items",
    "that_set": "begin a run of that set",
}
"""What can be done on a screen where a file is none to go on with."""

ASKED_HERE: Final[Mapping[str, str]] = {
    "model": "the model's name",
    "address": "the address",
    "again": "start it again",
}
"""What can be looked at and done on a screen where an endpoint does not answer."""


class News(msgspec.Struct, frozen=True, kw_only=True):
    """An answer or a judgement that has come. All of it is foreign text."""

    id: str
    question: str
    text: str
    ending: str = ""


class JobState(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of a job.

    `title`: what it is. `unit`: what is counted, "item" or "judgement". `reading`: whether texts
    are read, and counted, now that all is answered. `words`: what is being done, or how fast.
    `notes`: sentences for the user, `skipped` those of what can't be done. `news`: the newest
    first.
    """

    title: str
    unit: str
    stage: JobStage = "waiting"
    done: int = 0
    total: int = 0
    reading: bool = False
    words: str = ""
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    news: tuple[News, ...] = ()
    error: UrialError | None = None


class Work(Protocol):
    """What a job has going while it is done."""

    def cancel(self) -> None:
        """Cancel the work: nothing more is begun."""
        ...


class Going:
    """The state of a job that is being done, and its end.

    Args:
        title: What it is.
        unit: What is counted.
    """

    def __init__(self, title: str, unit: str) -> None:
        self.state = JobState(title=title, unit=unit)
        self.cancelled = False
        self._work: Work | None = None

    def change(self, **values: Any) -> None:
        """Have the state hold other values; only who does the job calls this."""
        self.state = msgspec.structs.replace(self.state, **values)

    def note(self, sentence: str) -> None:
        """Report a sentence for the user."""
        self.change(notes=(*self.state.notes, sentence))

    def tell(self, news: News) -> None:
        """Report what has come."""
        self.change(news=(news, *self.state.news[: KEPT - 1]))

    def unpacking(self, done: int, total: int) -> None:
        """A packaged model is put together: bytes done and in all.

        Raises:
            EngineError: It is not wanted any more.
        """
        if self.cancelled:
            raise EngineError("Stopped.")
        self.change(words=unpacked(done, total))

    def check(self, step: object) -> None:
        """Look whether what a step is of is still wanted: nothing may have been there to cancel.

        A notice is noted.

        Raises:
            EngineError: It is not, and the model is being loaded.
        """
        if self.cancelled and isinstance(step, LoadProgress):
            raise EngineError("Stopped.")
        if isinstance(step, Notice):
            self.note(step.message)

    def begin(self, work: Work) -> None:
        """The work begins; at once it ends, where it is not wanted any more."""
        self._work = work
        if self.cancelled:
            work.cancel()

    def cancel(self) -> None:
        """Begin nothing more; any thread, before the engine is told to end what runs."""
        self.cancelled = True
        if self._work is not None:
            self._work.cancel()

    @contextlib.contextmanager
    def ending(self) -> Generator[None, None, None]:
        """What fails because it was ended is no failure; any other error is the state's."""
        self.change(stage="going", words="starting", error=None)
        try:
            yield
        except UrialError as error:
            # Engines and renderers of templates that are ended say so in their own ways.
            if self.cancelled and isinstance(error, EngineError | ModelError):
                self.change(stage="stopped")
            else:
                self.change(stage="failed", words="", error=self._told(error))
        else:
            self.change(stage="stopped" if self.cancelled else "done")

    def _told(self, error: UrialError) -> UrialError:
        """An error, which says that what was done is kept, once something may have been.

        What to look at of an endpoint is more use: going on alone would not help.
        """
        if isinstance(error, EndpointError):
            return error
        if self._work is not None and isinstance(error, EngineDied | EvaluateError):
            return type(error)(error.message, GO_ON)
        return error


class Job(Protocol):
    """Something to be done (`run_job` and `judge_job` have what)."""

    going: Going

    @property
    def out(self) -> Path:
        """The file that it writes."""
        ...

    def do(self, engine: Engine, templates: TemplateRenderer, settings: Settings) -> None:
        """Do it, in this thread; whatever goes wrong is told by its state."""
        ...
