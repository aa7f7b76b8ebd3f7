"""The selection in the list of evaluations, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textual.content import Content

from urial_tui.evaluate.plan_file import Plan
from urial_tui.evaluate.shelf import Shelved
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.evaluate.evaluation_list import EvaluationList, trouble_of
from urial_tui.tui.evaluate.job_queue import JobQueue
from urial_tui.tui.widgets.list_view import ListView


class Chosen:
    """Finds what is wanted of what is marked, else of what is under the bar; tells why not.

    Args:
        view: Has the list.
        queue: Has what was begun here.
    """

    def __init__(self, view: ListView[EvaluationList], queue: JobQueue) -> None:
        self._view = view
        self._queue = queue

    @property
    def runs(self) -> list[Shelved]:
        """The finished runs among it."""
        chosen = self._view.listed.chosen
        return [row for row in chosen if row.kind == "answers" and row.path.exists()]

    @property
    def stopped(self) -> list[Shelved]:
        """What was begun here, chosen or not, and stopped or failed before it was done."""
        stages = ("stopped", "failed")
        stopped = {job.out for job in self._queue.jobs if job.going.state.stage in stages}
        return [row for row in self._view.listed.rows if row.path in stopped and not row.finished]

    def is_going(self, row: Shelved) -> bool:
        """Whether it is being done, or waits for that."""
        return any(
            job.out == row.path and job.going.state.stage in ("waiting", "going")
            for job in self._queue.jobs
        )

    def files(self) -> list[Path]:
        """The files of the selection, with judgements about it; none is told to the user."""
        chosen = self._view.listed.chosen
        rows = [row for row in chosen if row.path.exists() and not row.trouble]
        if not rows and chosen:
            self._tell_why_not(chosen[0])
        return _with_judgements(rows, self._view.listed.rows)

    def plans(self, chosen: Sequence[Shelved]) -> list[Plan]:
        """What these go on with, or nothing, which is told."""
        plans = [row.plan for row in chosen if row.plan is not None and not row.trouble]
        if chosen and not plans:
            if chosen[0].trouble:
                self._tell_why_not(chosen[0])
            else:
                lost = chosen[0].plan_lost
                why = "Its plan can't be read" if lost else "Nothing tells what it was begun with"
                self._view.say(f"{why}: the command that began it goes on with it.")
        return plans

    def _tell_why_not(self, row: Shelved) -> None:
        """Why there is nothing in a file to be looked at, and what to do."""
        if row.trouble:
            self._view.say(Content.styled(f"✖ {sanitize_line(trouble_of(row))}", "$error"))
        elif self.is_going(row):
            key = self._view.key("evaluate.turn")
            self._view.say(f"It is still being done; {key} shows how far it is.")
        elif row.plan is None:
            self._view.say("It is not finished yet; the command that began it goes on with it.")
        else:
            key = self._view.key("evaluate.go_on")
            self._view.say(f"It is not finished yet; {key} goes on with it.")


def _with_judgements(rows: Sequence[Shelved], every: Sequence[Shelved]) -> list[Path]:
    """The files of rows, and those of judgements that are about their answers and no others."""
    found = [row.path for row in rows]
    known = {*found, *(path for row in rows for paths in row.about.values() for path in paths)}
    for row in every:
        about = row.about and all(known.intersection(paths) for paths in row.about.values())
        if about and row.path not in found and row.path.exists():
            found.append(row.path)
    return found
