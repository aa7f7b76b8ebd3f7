"""The screen of evaluations: those there are, new ones, and their progress.

The screen owns nothing but what it shows: files are read from the directory whenever something has
changed, and what is done is the queue's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import OptionList, Static

from urial_tui.evaluate.beginning import blind_path, jobs_of
from urial_tui.evaluate.job import Job, JobState
from urial_tui.evaluate.plan_file import Plan
from urial_tui.evaluate.shelf import shelf
from urial_tui.settings import Settings
from urial_tui.tui.evaluate.blind_screen import BlindScreen
from urial_tui.tui.evaluate.chosen import Chosen
from urial_tui.tui.evaluate.dialogs import Dialogs
from urial_tui.tui.evaluate.evaluation_list import EvaluationList
from urial_tui.tui.evaluate.items_screen import ItemsScreen
from urial_tui.tui.evaluate.job_queue import JobQueue
from urial_tui.tui.evaluate.jobs import Jobs
from urial_tui.tui.evaluate.live_view import LiveView
from urial_tui.tui.evaluate.report_screen import ReportScreen
from urial_tui.tui.widgets.heading_line import HeadingLine
from urial_tui.tui.widgets.list_view import ListView
from urial_tui.wording import amount

REDRAWN_EVERY = 0.25
"""Seconds: jobs are looked at so often, however fast their tokens come."""

_PAIR = 2
"""Runs of a comparison."""


class EvaluateScreen(Screen[None]):
    """Opens over the chat; its workers are its own and end with it.

    While a model of it is loaded, that of the chat may have to give way; the chat loads it again.

    Args:
        queue: Does what is begun; it is closed with the screen.
        dialogs: What is asked before something is begun.
        directory: Where the evaluations are.
        settings: The engine's options, sampling and the longest answer.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../frame/first_run.tcss", "evaluate.tcss"]
    AUTO_FOCUS = "EvaluationList"
    BINDING_GROUP_TITLE = "Evaluate"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Stop; back to the chat", id="evaluate.back"),
        Binding("n", "new", "New runs", id="evaluate.new"),
        Binding("g", "go_on", "Go on with it", id="evaluate.go_on"),
        Binding("j", "judge", "Judge it, or two that are marked", id="evaluate.judge"),
        Binding("r", "report", "Report", id="evaluate.report"),
        Binding("i", "items", "Look through the items", id="evaluate.items"),
        Binding("b", "blind", "Judge two that are marked, blind", id="evaluate.blind"),
        Binding("space", "mark", "Mark, or no longer", id="evaluate.mark"),
        Binding("l", "turn", "What is being done, or the list", id="evaluate.turn"),
        Binding("f5", "look", "Look again", id="evaluate.look"),
    ]

    def __init__(
        self, queue: JobQueue, dialogs: Dialogs, *, directory: Path, settings: Settings
    ) -> None:
        super().__init__()
        self.queue = queue
        self._dialogs = dialogs
        self._directory = directory
        self.evaluations = EvaluationList(id="evaluations")
        view = self._view = ListView(self, self.evaluations, "evaluate-notice")
        self._chosen = Chosen(view, queue)
        self._live = LiveView(id="evaluate-live")
        jobs = self._jobs = Jobs(
            view, queue, self._live, settings, stop_key="evaluate.back", in_short=_in_short
        )
        jobs.when_turned = self._show_parts
        jobs.when_done = self.action_look
        self.action_turn = jobs.turn

    def compose(self) -> ComposeResult:
        """From the top: what it is, the list or what is being done, a notice, the keys."""
        yield HeadingLine("Evaluations")
        yield self.evaluations
        yield Static(id="evaluate-empty", markup=False)
        yield self._live
        yield self._view.notice
        yield self._view.hints

    def on_mount(self) -> None:
        """Read the directory."""
        self.query_one("#evaluate-empty").display = False
        self.set_interval(REDRAWN_EVERY, self._redraw)

    def on_screen_resume(self) -> None:
        """Refresh the list, at first and whenever the user comes back from another screen."""
        self.action_look()

    def on_screen_suspend(self) -> None:
        """What was told of the screen as it was is not true for ever."""
        self._view.forget_notice()

    async def on_unmount(self) -> None:
        """What runs goes with the screen, and its processes; what is done is kept."""
        await asyncio.to_thread(self.queue.close)

    # -- what there is ----------------------------------------------------------------

    @work(exclusive=True, group="look")
    async def action_look(self) -> None:
        """Read the directory again."""
        rows = await self._view.read(lambda: shelf(self._directory))
        if rows is not None:
            self._redraw()
            self.evaluations.show(rows)
            self._show_parts()

    def action_mark(self) -> None:
        """Mark what is under the bar, or no longer."""
        if self._view.comes_too_early():
            return
        self._view.forget_notice()
        self.evaluations.toggle()
        self._show_parts()

    @on(OptionList.OptionHighlighted)
    def show_row(self) -> None:
        """Another row has other keys."""
        self._show_parts()

    # -- what is begun ----------------------------------------------------------------

    @work(exclusive=True, group="begin")
    async def action_new(self) -> None:
        """Choose models and contexts, and run them."""
        dialog = await self._view.in_thread(self._dialogs.new_runs)
        if dialog is not None:
            plans = await self._view.chosen_on(dialog)
            self.begin(plans or [])

    @work(exclusive=True, group="begin")
    async def action_judge(self) -> None:
        """Have a model judge what is chosen, or compare two that are marked."""
        if self._view.comes_too_early():
            return
        runs = self._chosen.runs
        if not 0 < len(runs) <= _PAIR:
            self._view.say("Choose a run that is finished, or mark two to compare them.")
            return
        dialog = await self._view.in_thread(lambda: self._dialogs.judge(runs))
        plan = None if dialog is None else await self._view.chosen_on(dialog)
        self.begin([] if plan is None else [plan])

    def action_go_on(self) -> None:
        """Go on with what is marked, or else with what is under the bar.

        From what was done: with all of that which was stopped.
        """
        if self._view.comes_too_early():
            return
        stopped = self._chosen.stopped
        chosen = stopped if self._jobs.shown else self.evaluations.chosen
        plans = self._chosen.plans(chosen)
        self.begin(plans)
        others = [row for row in stopped if row not in chosen]
        if plans and others:
            key = self._view.key("evaluate.go_on")
            stand = "stand" if len(others) > 1 else "stands"
            self._view.say(
                f"{amount(len(others), 'other')} that {stand} still: {key} goes on with what "
                "is marked in the list, or else with what is under the bar."
            )

    def begin(self, plans: Sequence[Plan]) -> None:
        """Do what was planned and is not being done, and show how far it is."""
        plans = [plan for plan in plans if plan.choice.out not in self._going]
        if plans:
            done = {row.path: row.done for row in self.evaluations.rows}
            self._jobs.begin(jobs_of(plans, self._jobs.stop_key, done))

    # -- what is looked at --------------------------------------------------------------

    @on(OptionList.OptionSelected)
    def action_report(self) -> None:
        """Open the report of what is chosen: runs side by side, with what judges said of them."""
        if not self._view.comes_too_early() and (found := self._chosen.files()):
            self.app.push_screen(ReportScreen(found, self._directory))

    def action_items(self) -> None:
        """Look through the items of what is chosen, with all that was answered and said."""
        if not self._view.comes_too_early() and (found := self._chosen.files()):
            self.app.push_screen(ItemsScreen(found))

    def action_blind(self) -> None:
        """Judge the answers of two runs without knowing which is whose."""
        if self._view.comes_too_early():
            return
        runs = [row.path for row in self._chosen.runs]
        if len(runs) == _PAIR:
            first, second = runs
            self.app.push_screen(BlindScreen(first, second, blind_path(first, second)))
        else:
            self._view.say("Mark the two runs that are to be judged.")

    def action_back(self) -> None:
        """Stop what is being done; else leave, from what was done to the list first."""
        if not self._jobs.step_back():
            self.dismiss()

    def on_resize(self, event: Resize) -> None:
        """Lines are laid out for another width."""
        self.call_after_refresh(self._redraw)

    # -- what is shown ------------------------------------------------------------------

    def _redraw(self) -> None:
        """How far the jobs are."""
        self._jobs.redraw()
        self.evaluations.follow(self._going)

    @property
    def _going(self) -> dict[Path, JobState]:
        """By their files, how far those are that are being done, or wait for that."""
        states = {job.out: job.going.state for job in self.queue.jobs}
        return {out: one for out, one in states.items() if one.stage in ("waiting", "going")}

    def _show_parts(self) -> None:
        """Show the widgets that have something to show, and the keys that do something."""
        rows, shown = self.evaluations.rows, not self._jobs.shown
        hidden = not self.evaluations.display
        self.evaluations.display = shown and bool(rows)
        if self.evaluations.display and (self.focused is None or hidden):
            # What is hidden loses the focus, to what stands in its place.
            self.evaluations.focus()
        empty = self.query_one("#evaluate-empty", Static)
        empty.display = shown and not rows
        empty.update(self._nothing() if self._view.is_read else "")
        count = f"{len(rows):,} in " if self._view.is_read else ""
        self.query_one(HeadingLine).beside = f"{count}{self._directory}"
        self._view.hints.show([*self._keys(), ("app.keys", "all keys")])

    def _nothing(self) -> Content:
        """What can be done here, where nothing is done yet."""
        new, go_on, blind = (
            (self._view.key(f"evaluate.{name}"), "bold $secondary")
            for name in ("new", "go_on", "blind")
        )
        told = (
            " has models answer the 60 items that come with the program, or a list of yours. "
            "What they answer is measured, a judge may score it, and a report lays runs side "
            "by side. Nothing leaves this machine unless you name an endpoint.\n\n"
        )
        return Content.assemble(
            ("There are no evaluations yet.\n\n", "bold"),
            new,
            (told, "$quiet"),
            go_on,
            (" goes on with what was stopped, ", "$quiet"),
            blind,
            (" has you judge two runs without knowing which is whose.", "$quiet"),
        )

    def _keys(self) -> list[tuple[str, str]]:
        """The bindings that do something now, and what they are called."""
        back, go_on = self._jobs.back, ("evaluate.go_on", "go on")
        if self._jobs.shown:
            stopped = [] if self.queue.busy or not self._chosen.stopped else [go_on]
            return [("evaluate.turn", "list"), *stopped, back]
        keys = [("evaluate.new", "new")]
        row, marked = self.evaluations.row, len(self.evaluations.marked)
        if row is not None:
            unfinished = row.plan is not None and not row.finished
            keys += [go_on] if unfinished and not self._chosen.is_going(row) else []
            keys += [("evaluate.report", "report"), ("evaluate.items", "items")]
            keys.append(("evaluate.judge", "judge"))
            pair = marked == _PAIR == len(self._chosen.runs)
            keys += [("evaluate.blind", "blind")] if pair else []
            keys.append(("evaluate.mark", f"{marked} marked" if marked else "mark"))
        # The last ones give way where there is no room.
        return [*keys, back, *([("evaluate.turn", "progress")] if self.queue.jobs else [])]


def _in_short(jobs: Sequence[Job]) -> str:
    """How many of the jobs have begun, where there are several."""
    begun = sum(job.going.state.stage != "waiting" for job in jobs)
    return f"{begun:,} of {len(jobs):,}" if len(jobs) > 1 else "going"
