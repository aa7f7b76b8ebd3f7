"""A screen's jobs: they are started, watched in place of its list, and stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from urial_tui.evaluate.job import Job
from urial_tui.settings import Settings
from urial_tui.tui.evaluate.job_queue import JobQueue
from urial_tui.tui.evaluate.live_view import LiveView
from urial_tui.tui.widgets.list_view import ListView


class Jobs:
    """What a screen has its queue do.

    Args:
        view: Of the screen.
        queue: Does them.
        live: Shows how far they are.
        settings: The engine's options, sampling and the longest answer.
        stop_key: The id of the binding that stops them.
        in_short: Tells how far these are, in a word or two.
    """

    def __init__(
        self,
        view: ListView[Any],
        queue: JobQueue,
        live: LiveView,
        settings: Settings,
        *,
        stop_key: str,
        in_short: Callable[[Sequence[Job]], str],
    ) -> None:
        self._view = view
        self._queue = queue
        self._live = live
        self._settings = settings
        self._stop_key = stop_key
        self._in_short = in_short
        live.display = False
        self.when_turned: Callable[[], object] = lambda: None
        """Called where other things are shown, and other keys do something."""
        self.when_done: Callable[[], object] = lambda: None

    @property
    def shown(self) -> bool:
        """Whether they are looked at in place of the list."""
        return self._live.display

    @property
    def stop_key(self) -> str:
        """What stops them, as it is printed on the keyboard."""
        return self._view.key(self._stop_key)

    @property
    def back(self) -> tuple[str, str]:
        """The binding that stops them, and else leaves, with what it does now."""
        return self._stop_key, "stop" if self._queue.busy else "back"

    def begin(self, jobs: Sequence[Job]) -> None:
        """Have these done, and show how far they are."""
        self._view.say("")
        self._live.display = True
        self._queue.add(jobs)
        self._view.work("jobs", self._work)
        self.when_turned()

    def turn(self) -> None:
        """Change between the list and what is being done."""
        if self._queue.jobs:
            self._live.display = not self.shown
            self.redraw()
            self.when_turned()

    def step_back(self) -> bool:
        """Stop what is being done, or go from what was done to the list; whether there was any."""
        if self._queue.busy and not self._queue.stopping:
            self._queue.stop()
            self._view.say(f"Stopping; what is done is kept. {self.stop_key} again leaves.")
        elif self.shown and not self._queue.busy:
            self._live.display = False
            self._view.say("")
        else:
            return False
        self.when_turned()
        return True

    def redraw(self) -> None:
        """Show how far they are now."""
        queue = self._queue
        going = "stopping" if queue.stopping else self._in_short(queue.jobs)
        self._view.hints.state = going if queue.busy else ""
        if self.shown and queue.jobs:
            self._live.show(queue.jobs)

    async def _work(self) -> None:
        await self._queue.work(self._settings)
        if self._view.alive and not self._queue.busy:
            self._view.say("")
            self.redraw()
            self.when_done()
