"""Jobs one after another, with engines that do nothing: order, failures, and ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.evaluate.judged import answer, scored, written
from urial_tui.engine.client.engine import Engine
from urial_tui.errors import EngineDied, EngineError, InternalError
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.job import GO_ON, Going, JobState
from urial_tui.evaluate.judge_job import JudgeJob
from urial_tui.evaluate.judged_runs import JudgeChoice
from urial_tui.evaluate.planned_run import RunChoice
from urial_tui.evaluate.run_job import RunJob
from urial_tui.evaluate.shelf import Shelved
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.settings import Settings
from urial_tui.tui.evaluate.evaluation_list import count_of
from urial_tui.tui.evaluate.job_queue import JobQueue

PATIENCE = 60.0


class StillEngine(Engine):
    """Starts no process, and counts how often it was asked for its end."""

    def __init__(self) -> None:
        super().__init__()
        self.cancelled = threading.Event()
        self.closed = threading.Event()

    def start(self) -> None:
        pass

    def cancel(self) -> None:
        self.cancelled.set()

    def close(self) -> None:
        self.closed.set()
        self.cancelled.set()


class Doing:
    """A job that does something."""

    def __init__(self, do: Callable[[StillEngine], None] = lambda engine: None) -> None:
        self.going = Going("a job", "item")
        self.out = Path("job.json")
        self.begun = threading.Event()
        self._do = do

    def do(self, engine: Engine, templates: TemplateRenderer, settings: Settings) -> None:
        assert isinstance(engine, StillEngine)
        with self.going.ending():
            self.begun.set()
            self._do(engine)

    @property
    def stage(self) -> str:
        return self.going.state.stage


def endless(engine: StillEngine) -> None:
    """Goes on until the engine is told to end it, and fails then as engines do."""
    assert engine.cancelled.wait(PATIENCE)
    raise EngineError("The answer was ended.")


def failing(error: Exception) -> Callable[[StillEngine], None]:
    def fail(engine: StillEngine) -> None:
        raise error

    return fail


@pytest.fixture
def engines() -> list[StillEngine]:
    return []


@pytest.fixture
def queue(engines: list[StillEngine]) -> JobQueue:
    def make() -> Engine:
        engines.append(StillEngine())
        return engines[-1]

    return JobQueue(make)


async def begun(job: Doing) -> None:
    assert await asyncio.to_thread(job.begun.wait, PATIENCE)


async def test_jobs_are_done_in_their_order_each_with_an_engine_of_its_own(
    queue: JobQueue, engines: list[StillEngine]
) -> None:
    order: list[int] = []
    jobs = [Doing(lambda engine, n=n: order.append(n)) for n in range(3)]  # type: ignore[misc]
    queue.add(jobs)
    await queue.work(Settings())
    assert order == [0, 1, 2]
    assert [job.stage for job in jobs] == ["done"] * 3
    assert len(engines) == 3
    assert all(engine.closed.is_set() for engine in engines)
    assert not queue.busy


async def test_one_that_fails_keeps_no_other_from_being_done(queue: JobQueue) -> None:
    died = EngineDied("It was ended by SIGKILL.", "Load it again.")
    jobs = [Doing(failing(died)), Doing(failing(ZeroDivisionError("oh"))), Doing()]
    queue.add(jobs)
    await queue.work(Settings())
    assert [job.stage for job in jobs] == ["failed", "failed", "done"]
    assert jobs[0].going.state.error is not None
    assert jobs[0].going.state.error.hint == "Load it again."
    assert isinstance(jobs[1].going.state.error, InternalError)


async def test_a_worker_that_dies_in_the_middle_has_kept_what_is_done(queue: JobQueue) -> None:
    def die(engine: StillEngine) -> None:
        job.going.begin(job.going)
        raise EngineDied("It was ended by SIGKILL.", "Load it again.")

    job = Doing(die)
    queue.add([job])
    await queue.work(Settings())
    assert job.going.state.error is not None
    assert job.going.state.error.hint == GO_ON


async def test_a_full_disk_is_told_with_what_to_do_on_a_screen(queue: JobQueue) -> None:
    def fill(engine: StillEngine) -> None:
        job.going.begin(job.going)
        raise EvaluateError("An answer can't be written.", "Give the same command again.")

    job = Doing(fill)
    queue.add([job])
    await queue.work(Settings())
    error = job.going.state.error
    assert error is not None
    assert (error.message, error.hint) == ("An answer can't be written.", GO_ON)


async def test_a_file_that_is_in_the_way_says_what_can_be_done_on_a_screen(
    queue: JobQueue, tmp_path: Path
) -> None:
    out = written(tmp_path / "out.json", [answer(99, "Of another set.")])
    run = RunJob(RunChoice(out=out, model="none", context="raw"), "a run", "Esc")
    judged = written(tmp_path / "judged.json", [scored(1, "By another program.", 5)])
    choice = JudgeChoice(out=judged, outputs=out, judge="none")
    queue.add([run, JudgeJob(choice, "a judging", "Esc")])
    await queue.work(Settings())
    errors = [job.going.state.error for job in queue.jobs]
    assert [error and error.hint for error in errors] == [
        "Begin one of another name.",
        "Begin one of another name.",
    ]


def test_texts_that_are_read_are_not_taken_for_answers_in_the_list(tmp_path: Path) -> None:
    row = Shelved(path=tmp_path / "out.json", kind="answers", done=5, total=5, finished=False)
    state = JobState(title="a run", unit="item", stage="going", done=5, total=5)
    assert count_of(row, state).plain == "● 5 of 5"
    state = msgspec.structs.replace(state, done=0, total=2, reading=True)
    assert count_of(row, state).plain == "● reading 0 of 2"
    assert count_of(row, None).plain == "■ 5 of 5"


async def test_stopping_ends_what_is_done_and_begins_no_other(
    queue: JobQueue, engines: list[StillEngine]
) -> None:
    jobs = [Doing(endless), Doing()]
    queue.add(jobs)
    working = asyncio.ensure_future(queue.work(Settings()))
    await begun(jobs[0])
    queue.stop()
    assert queue.stopping
    await asyncio.wait_for(working, PATIENCE)
    assert [job.stage for job in jobs] == ["stopped", "stopped"]
    assert jobs[0].going.state.error is None
    assert not jobs[1].begun.is_set()
    assert not queue.busy
    assert engines[0].closed.is_set()


async def test_what_is_added_meanwhile_is_done_behind(queue: JobQueue) -> None:
    first, second = Doing(endless), Doing()
    queue.add([first])
    working = asyncio.ensure_future(queue.work(Settings()))
    await begun(first)
    queue.stop()
    queue.add([second])
    await queue.work(Settings())
    await asyncio.wait_for(working, PATIENCE)
    assert (first.stage, second.stage) == ("stopped", "done")
    assert queue.jobs == (first, second)


async def test_what_is_closed_begins_nothing(queue: JobQueue) -> None:
    jobs = [Doing(endless), Doing()]
    queue.add(jobs)
    working = asyncio.ensure_future(queue.work(Settings()))
    await begun(jobs[0])
    await asyncio.to_thread(queue.close)
    await asyncio.wait_for(working, PATIENCE)
    queue.add([jobs[1]])
    await queue.work(Settings())
    assert not jobs[1].begun.is_set()


async def test_a_job_is_ended_although_nobody_waits_for_it_any_more(
    queue: JobQueue, engines: list[StillEngine]
) -> None:
    job = Doing(endless)
    queue.add([job])
    working = asyncio.ensure_future(queue.work(Settings()))
    await begun(job)
    working.cancel()
    await asyncio.wait([working])
    await asyncio.to_thread(queue.close)
    assert job.going.cancelled
    assert engines[0].closed.is_set()


async def test_a_job_that_is_not_wanted_before_it_begins_starts_no_worker(queue: JobQueue) -> None:
    job = Doing()
    job.going.cancel()
    queue.add([job])
    await queue.work(Settings())
    assert job.stage == "stopped"
    assert not job.begun.is_set()
