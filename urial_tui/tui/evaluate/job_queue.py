"""A job queue of evaluations, one after another, each with a worker of its own.

A job's worker is ended with the job: what it had in memory is free for the next one, and one that
died is nobody else's trouble. All of it runs in the application's event loop, but for the job.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence

from urial_tui.engine.client.engine import Engine
from urial_tui.errors import UrialError
from urial_tui.evaluate.job import Job
from urial_tui.mistakes import explaining
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.settings import Settings


class JobQueue:
    """Does jobs in their order; `stop` at any time.

    Args:
        make_engine: Makes an engine, in another thread; a job starts it if it needs it.
    """

    def __init__(self, make_engine: Callable[[], Engine]) -> None:
        self.jobs: tuple[Job, ...] = ()
        """Those of now: the ones that wait, and those that were done since it was idle."""
        self._make_engine = make_engine
        self._waiting: deque[Job] = deque()
        self._job: Job | None = None
        """What is being done."""
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._templates: TemplateRenderer | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a job is being done, or waits."""
        return self._job is not None or bool(self._waiting)

    @property
    def stopping(self) -> bool:
        """Whether what is being done was told to end, and has not yet."""
        job = self._job
        return job is not None and job.going.cancelled

    def add(self, jobs: Sequence[Job]) -> None:
        """Have jobs wait, behind those that do; `work` does them."""
        self.jobs = (*self.jobs, *jobs) if self.busy else tuple(jobs)
        self._waiting.extend(jobs)

    async def work(self, settings: Settings) -> None:
        """Run the queue until it is empty; each job tells its outcome by its state.

        Returns at once where that is being done already.
        """
        while self._waiting and self._job is None and not self._closed:
            job = self._job = self._waiting.popleft()
            # Who waits for the thread may be cancelled, and the job goes on until it is ended.
            await asyncio.to_thread(self._do, job, settings)

    def stop(self) -> None:
        """End what is being done, which keeps what it has, and begin no other; any thread."""
        while self._waiting:
            self._waiting.popleft().going.change(stage="stopped")
        job = self._job
        if job is not None:
            job.going.cancel()
        with self._lock:
            if self._templates is not None:
                self._templates.cancel()
            if self._engine is not None:
                self._engine.cancel()

    def close(self) -> None:
        """End what runs and its processes; any thread, safe to call twice."""
        self._closed = True
        self.stop()
        engine, templates = self._engine, self._templates
        if templates is not None:
            templates.close()
        if engine is not None:
            engine.close()

    def _do(self, job: Job, settings: Settings) -> None:
        """Do one, in another thread."""
        try:
            with (
                explaining(),
                self._make_engine() as engine,
                TemplateRenderer() as templates,
            ):
                with self._lock:
                    self._engine, self._templates = engine, templates
                if job.going.cancelled:
                    # It came before there was anything to end.
                    job.going.change(stage="stopped")
                    return
                job.do(engine, templates, settings)
        except UrialError as error:
            job.going.change(stage="failed", words="", error=error)
        finally:
            with self._lock:
                self._engine = self._templates = self._job = None
