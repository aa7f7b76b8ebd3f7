"""A live view of the jobs, and of the newest answers of one of them."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from urial_tui.evaluate.job import Job
from urial_tui.tui.evaluate.job_lines import job_lines, news_lines


class LiveView(Vertical):
    """Shows jobs whenever it is told to.

    Args:
        nothing: what to say before anything has come; by default what the job makes.
        id: Textual's name.
    """

    def __init__(self, nothing: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._nothing = nothing

    def compose(self) -> ComposeResult:
        """The jobs above, the answers below."""
        yield VerticalScroll(Static(id="jobs", markup=False), id="jobs-pane")
        yield VerticalScroll(Static(id="news", markup=False), id="news-pane")

    def on_mount(self) -> None:
        """Show that there is nothing yet."""
        self._going: Job | None = None

    def show(self, jobs: Sequence[Job]) -> None:
        """How far these are now; one that has begun since is brought into view."""
        pane = self.query_one("#jobs-pane", VerticalScroll)
        # It has no size before it is laid out for the first time.
        width = pane.scrollable_content_region.width or self.screen.size.width - 3
        parts = [job_lines(job, width) for job in jobs]
        lines = [line for part in parts for line in part]
        self.query_one("#jobs", Static).update(Content("\n").join(lines))
        self.query_one("#news", Static).update(news_lines(_newest(jobs), self._nothing))
        places = [at for at, job in enumerate(jobs) if job.going.state.stage == "going"]
        if places and jobs[places[0]] is not self._going:
            self._going = jobs[places[0]]
            pane.scroll_to(y=max(0, sum(map(len, parts[: places[0]])) - 1), animate=False)


def _newest(jobs: Sequence[Job]) -> Job | None:
    """The job whose answers are looked at: the last one that has any, or else one that is going."""
    having = [job for job in jobs if job.going.state.news]
    going = [job for job in jobs if job.going.state.stage == "going"]
    return next(reversed([*jobs[-1:], *going, *having]), None)
