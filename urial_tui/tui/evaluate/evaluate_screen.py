"""Evaluations: those there are, new ones, and how far they are.

The screen owns nothing but what it shows: files are read from the directory whenever something has
changed, and what is done is the queue's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import ClassVar, TypeVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import OptionList, Static

from urial_tui.errors import UrialError
from urial_tui.evaluate.plan_file import Plan
from urial_tui.evaluate.shelf import Shelved, shelf
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings
from urial_tui.tui.evaluate.beginning import blind_path, jobs_of
from urial_tui.tui.evaluate.blind_screen import BlindScreen
from urial_tui.tui.evaluate.dialogs import Dialogs
from urial_tui.tui.evaluate.evaluation_list import EvaluationList, trouble_of
from urial_tui.tui.evaluate.items_screen import ItemsScreen
from urial_tui.tui.evaluate.job import JobState
from urial_tui.tui.evaluate.job_queue import JobQueue
from urial_tui.tui.evaluate.live_view import LiveView
from urial_tui.tui.evaluate.report_screen import ReportScreen
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.wording import amount

REDRAWN_EVERY = 0.25
"""Seconds: jobs are looked at so often, however fast their tokens come."""

_PAIR = 2
"""Runs of a comparison."""

_T = TypeVar("_T")


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
        self._settings = settings

    def compose(self) -> ComposeResult:
        """From the top: what it is, the list or what is being done, a notice, the keys."""
        yield Static(id="evaluate-heading", classes="evaluate-heading", markup=False)
        yield EvaluationList(id="evaluations")
        yield Static(id="evaluate-empty", markup=False)
        yield LiveView(id="evaluate-live")
        yield Static(id="evaluate-notice", classes="evaluate-notice", markup=False)
        yield HintLine(id="evaluate-hints")

    def on_mount(self) -> None:
        """Read what there is."""
        self.say(Content(""))
        self._live.display = False
        self.query_one("#evaluate-empty").display = False
        self.set_interval(REDRAWN_EVERY, self._redraw)

    def on_screen_resume(self) -> None:
        """Read what there is, at first and whenever somebody comes back from another screen."""
        self.action_look()

    async def on_unmount(self) -> None:
        """What runs goes with the screen, and its processes; what is done is kept."""
        await asyncio.to_thread(self.queue.close)

    @property
    def evaluations(self) -> EvaluationList:
        """The rows."""
        return self.query_one(EvaluationList)

    @property
    def _live(self) -> LiveView:
        return self.query_one(LiveView)

    # -- what there is ----------------------------------------------------------------

    @work(exclusive=True, group="look")
    async def action_look(self) -> None:
        """Read the directory again."""
        rows = await self._in_thread(lambda: shelf(self._directory))
        if rows is not None and has_widgets(self):
            self.evaluations.show(rows)
            self._show_parts()

    def action_mark(self) -> None:
        """Mark what is under the bar, or no longer."""
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
        dialog = await self._in_thread(self._dialogs.new_runs)
        if dialog is not None:
            plans = await self.app.push_screen_wait(dialog)
            self.begin(plans or [])

    @work(exclusive=True, group="begin")
    async def action_judge(self) -> None:
        """Have a model judge what is chosen, or compare two that are marked."""
        runs = self._runs()
        if not 0 < len(runs) <= _PAIR:
            self.say(Content("Choose a run that is finished, or mark two to compare them."))
            return
        dialog = await self._in_thread(lambda: self._dialogs.judge(runs))
        if dialog is not None:
            plan = await self.app.push_screen_wait(dialog)
            self.begin([] if plan is None else [plan])

    def action_go_on(self) -> None:
        """Go on with what is marked, or else with what is under the bar.

        From what was done: with all of that which was stopped.
        """
        chosen = self._stopped if self._live.display else self.evaluations.chosen
        plans = [row.plan for row in chosen if row.plan is not None and not row.trouble]
        if chosen and not plans:
            self._tell_no_plan(chosen[0])
        others = [row for row in self._stopped if row not in chosen]
        self.begin(plans)
        if plans and others:
            key = key_name(self, "evaluate.go_on")
            stand = "stand" if len(others) > 1 else "stands"
            self.say(
                Content(
                    f"{amount(len(others), 'other')} that {stand} still: {key} goes on with what "
                    "is marked in the list, or else with what is under the bar."
                )
            )

    @property
    def _stopped(self) -> list[Shelved]:
        """What was begun here, and stopped or failed before it was done."""
        stages = ("stopped", "failed")
        stopped = {job.out for job in self.queue.jobs if job.going.state.stage in stages}
        return [row for row in self.evaluations.rows if row.path in stopped and not row.finished]

    def _tell_no_plan(self, row: Shelved) -> None:
        """Why a file can't be gone on with."""
        if row.trouble:
            self._tell_why_not(row)
            return
        why = "Its plan can't be read" if row.plan_lost else "Nothing tells what it was begun with"
        self.say(Content(f"{why}: the command that began it goes on with it."))

    def begin(self, plans: Sequence[Plan]) -> None:
        """Do what was planned and is not being done, and show how far it is."""
        plans = [plan for plan in plans if plan.choice.out not in self._going]
        if plans:
            self.say(Content(""))
            self._live.display = True
            self._do(plans)

    @work(group="jobs")
    async def _do(self, plans: Sequence[Plan]) -> None:
        done = {row.path: row.done for row in self.evaluations.rows}
        self.queue.add(jobs_of(plans, self._stop_key, done))
        self._show_parts()
        await self.queue.work(self._settings)
        if has_widgets(self) and not self.queue.busy:
            self.say(Content(""))
            self._redraw()
            self.action_look()

    # -- what is looked at --------------------------------------------------------------

    @on(OptionList.OptionSelected)
    def action_report(self) -> None:
        """Lay what is chosen side by side, with what judges said of it."""
        found = self._finished()
        if found:
            self.app.push_screen(ReportScreen(found, self._directory))

    def action_items(self) -> None:
        """Look through the items of what is chosen, with all that was answered and said."""
        found = self._finished()
        if found:
            self.app.push_screen(ItemsScreen(found))

    def action_blind(self) -> None:
        """Judge the answers of two runs without knowing which is whose."""
        runs = [row.path for row in self._runs()]
        if len(runs) == _PAIR:
            first, second = runs
            self.app.push_screen(BlindScreen(first, second, blind_path(first, second)))
        else:
            self.say(Content("Mark the two runs that are to be judged."))

    def _runs(self) -> list[Shelved]:
        """The finished runs among what is chosen."""
        chosen = self.evaluations.chosen
        return [row for row in chosen if row.kind == "answers" and row.path.exists()]

    def _finished(self) -> list[Path]:
        """The files of what is chosen and of judgements about it, or nothing, which is told."""
        chosen = self.evaluations.chosen
        rows = [row for row in chosen if row.path.exists() and not row.trouble]
        if not rows and chosen:
            self._tell_why_not(chosen[0])
        return _with_judgements(rows, self.evaluations.rows)

    def _tell_why_not(self, row: Shelved) -> None:
        """Why there is nothing in a file to be looked at, and what to do."""
        if row.trouble:
            self.say(Content.styled(f"✖ {sanitize_line(trouble_of(row))}", "$error"))
        elif row.plan is None:
            self.say(Content("It is not finished yet; the command that began it goes on with it."))
        else:
            key = key_name(self, "evaluate.go_on")
            self.say(Content(f"It is not finished yet; {key} goes on with it."))

    def action_turn(self) -> None:
        """Change between the list and what is being done."""
        if self.queue.jobs:
            self._live.display = not self._live.display
            self._redraw()
            self._show_parts()

    def action_back(self) -> None:
        """Stop what is being done; else leave, from what was done to the list first."""
        if self.queue.busy and not self.queue.stopping:
            self.queue.stop()
            self.say(Content(f"Stopping; what is done is kept. {self._stop_key} again leaves."))
        elif self._live.display and not self.queue.busy:
            self._live.display = False
            self.say(Content(""))
        else:
            self.dismiss()
        self._show_parts()

    def on_resize(self, event: Resize) -> None:
        """Lines are laid out for another width."""
        self.call_after_refresh(self._redraw)

    # -- what is shown ------------------------------------------------------------------

    def say(self, notice: Content) -> None:
        """A sentence above the keys."""
        line = self.query_one("#evaluate-notice", Static)
        line.update(notice)
        line.display = bool(notice.plain)

    async def _in_thread(self, do: Callable[[], _T]) -> _T | None:
        """What comes of a function that reads files; None where it says what is wrong."""
        try:
            return await asyncio.to_thread(do)
        except UrialError as error:
            if has_widgets(self):
                message, hint = sanitize_line(error.message), sanitize_line(error.hint)
                self.say(Content.assemble((f"✖ {message}", "$error"), f" {hint}"))
            return None

    @property
    def _stop_key(self) -> str:
        return key_name(self, "evaluate.back")

    def _redraw(self) -> None:
        """How far the jobs are."""
        self.query_one(HintLine).state = self._state()
        self.evaluations.follow(self._going)
        if self._live.display and self.queue.jobs:
            self._live.show(self.queue.jobs)

    @property
    def _going(self) -> dict[Path, JobState]:
        """By their files, how far those are that are being done, or wait for that."""
        states = {job.out: job.going.state for job in self.queue.jobs}
        return {out: one for out, one in states.items() if one.stage in ("waiting", "going")}

    def _state(self) -> str:
        if not self.queue.busy:
            return ""
        if self.queue.stopping:
            return "stopping"
        begun = sum(job.going.state.stage != "waiting" for job in self.queue.jobs)
        return f"{begun:,} of {len(self.queue.jobs):,}" if len(self.queue.jobs) > 1 else "going"

    def _show_parts(self) -> None:
        """Show what there is something to show in, and the keys that do something."""
        rows, live = self.evaluations.rows, self._live.display
        self.evaluations.display = not live and bool(rows)
        empty = self.query_one("#evaluate-empty", Static)
        empty.display = not live and not rows
        empty.update(self._nothing())
        where = sanitize_line(str(self._directory))
        heading = Content.assemble(
            ("Evaluations", "bold $primary"), (f"  {len(rows):,} in {where}", "$quiet")
        )
        width = max(1, self.size.width - 2)
        self.query_one("#evaluate-heading", Static).update(heading.truncate(width, ellipsis=True))
        names = [(f"evaluate.{name}", what) for name, what in self._keys()]
        self.query_one(HintLine).keys = tuple(
            (key_name(self, name), what) for name, what in [*names, ("app.keys", "all keys")]
        )

    def _nothing(self) -> Content:
        """What can be done here, where nothing is done yet."""
        new, go_on, blind = (
            (key_name(self, f"evaluate.{name}"), "bold $secondary")
            for name in ("new", "go_on", "blind")
        )
        told = (
            " has models answer the 60 items that come with the program, or a list of yours. "
            "What they answer is measured, a judge may score it, and a report lays runs side "
            "by side. Nothing leaves this machine.\n\n"
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
        """The actions that do something now, and what they are called."""
        back = ("back", "stop" if self.queue.busy else "back")
        if self._live.display:
            stopped = [] if self.queue.busy or not self._stopped else [("go_on", "go on")]
            return [("turn", "list"), *stopped, back]
        keys = [("new", "new")]
        row, marked = self.evaluations.row, len(self.evaluations.marked)
        if row is not None:
            if row.plan is not None and not row.finished:
                keys.append(("go_on", "go on"))
            keys += [("report", "report"), ("items", "items"), ("judge", "judge")]
            keys += [("blind", "blind")] if marked == _PAIR else []
            keys.append(("mark", f"{marked} marked" if marked else "mark"))
        # The last ones give way where there is no room.
        return [*keys, back, *([("turn", "progress")] if self.queue.jobs else [])]


def _with_judgements(rows: Sequence[Shelved], every: Sequence[Shelved]) -> list[Path]:
    """The files of rows, and those of judgements that are about their answers and no others."""
    found = [row.path for row in rows]
    known = {*found, *(path for row in rows for paths in row.about.values() for path in paths)}
    for row in every:
        about = row.about and all(known.intersection(paths) for paths in row.about.values())
        if about and row.path not in found and row.path.exists():
            found.append(row.path)
    return found
