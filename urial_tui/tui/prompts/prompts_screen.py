"""The screen of preambles: what they cost with the loaded model, and what was measured.

The screen owns nothing but what it shows: files are read whenever something may have changed, what
is measured is the queue's. What takes long comes into the rows when it is there.
"""

from __future__ import annotations

import asyncio
from pathlib import PurePath
from typing import ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus, Resize
from textual.screen import Screen
from textual.widgets import OptionList, Static

from urial_tui.evaluate.measure_job import MeasureJob
from urial_tui.evaluate.planned_measuring import MeasureChoice
from urial_tui.files import is_there
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import read_preamble
from urial_tui.settings import Settings
from urial_tui.tui.evaluate.job_queue import JobQueue
from urial_tui.tui.evaluate.jobs import Jobs
from urial_tui.tui.evaluate.live_view import LiveView
from urial_tui.tui.prompts.deletions import Deletions
from urial_tui.tui.prompts.edit_screen import EditScreen
from urial_tui.tui.prompts.import_screen import PreambleImportScreen
from urial_tui.tui.prompts.known_preambles import KnownPreambles
from urial_tui.tui.prompts.laboratory import Laboratory
from urial_tui.tui.prompts.preamble_list import BASE, PreambleList, heading
from urial_tui.tui.prompts.preamble_words import detail
from urial_tui.tui.prompts.reaching_screen import ReachingScreen
from urial_tui.tui.prompts.versions_screen import VersionsScreen
from urial_tui.tui.widgets.heading_line import HeadingLine
from urial_tui.tui.widgets.list_view import ListView

REDRAWN_EVERY = 0.25
"""Seconds: what is measured, and which model is loaded, is looked at so often."""


class PromptsScreen(Screen[Preamble | None]):
    """Opens over the chat; ends with the preamble that it is to go on under, if any.

    Args:
        laboratory: Counts, and keeps what is not saved.
        queue: Measures; it is closed with the screen.
        settings: The engine's options, sampling and the longest answer.
        in_use: The name of the preamble on which the bar stands at first.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = [
        "../frame/first_run.tcss",
        "../evaluate/evaluate.tcss",
        "prompts.tcss",
    ]
    AUTO_FOCUS = "PreambleList"
    BINDING_GROUP_TITLE = "Preambles"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Stop measuring; back to the chat", id="prompts.back"),
        Binding("e", "edit", "Change it, as your own", id="prompts.edit"),
        Binding("t", "tokens", "What reaches the model", id="prompts.tokens"),
        Binding("y", "try", "Try two that are marked, or it against the base", id="prompts.try"),
        Binding("u", "use", "Use it in the chat", id="prompts.use"),
        Binding("m", "measure", "Measure it, or those that are marked", id="prompts.measure"),
        Binding("d", "delete", "Delete it, if it is your own", id="prompts.delete"),
        Binding("alt+u", "bring_back", "Bring the deleted one back", id="prompts.bring_back"),
        Binding("i", "import", "Import a file", id="prompts.import"),
        Binding("space", "mark", "Mark, or no longer", id="prompts.mark"),
        Binding("c", "findings", "All that was found in it", id="prompts.findings"),
        Binding("l", "turn", "What is being measured, or the list", id="prompts.turn"),
        Binding("f5", "look", "Look again", id="prompts.look"),
        Binding("ctrl+r", "reload", "Load the model again", id="prompts.reload"),
    ]

    def __init__(
        self, laboratory: Laboratory, queue: JobQueue, settings: Settings, *, in_use: str = ""
    ) -> None:
        super().__init__()
        self.queue = queue
        self.laboratory = laboratory
        self.preambles = PreambleList(id="preambles-list")
        self.preambles.seek(in_use)
        self._detail = Static(id="prompts-detail", markup=False)
        self._pane = VerticalScroll(self._detail, id="prompts-detail-pane")
        view = self._view = ListView(self, self.preambles, "prompts-notice")
        self._live = LiveView(
            "What is measured appears here, preamble by preamble.", id="prompts-live"
        )
        jobs = self._jobs = Jobs(
            view,
            queue,
            self._live,
            settings,
            stop_key="prompts.back",
            in_short=lambda jobs: "measuring",
        )
        known = self.known = KnownPreambles(view, laboratory, queue, settings)
        self._deletions = Deletions(view, known)
        known.when_listed = jobs.when_turned = self._show_parts
        known.when_known = self._show_detail
        jobs.when_done = self._look_at_measures

        # What the bindings name.
        self.action_look = known.look
        self.action_delete = self._deletions.delete
        self.action_bring_back = self._deletions.bring_back
        self.action_turn = jobs.turn

    def compose(self) -> ComposeResult:
        """From the top: what it is, the rows and one of them in words, a notice, the keys."""
        yield HeadingLine("Preambles")
        yield Static(id="prompts-columns", markup=False)
        yield self.preambles
        yield self._pane
        yield self._live
        yield self._view.notice
        yield self._view.hints

    def on_mount(self) -> None:
        """Watch what is measured, and the model."""
        self.set_interval(REDRAWN_EVERY, self._redraw)

    def on_screen_resume(self) -> None:
        """Refresh the list, at first and whenever the user comes back from another screen."""
        self.known.look()

    def on_screen_suspend(self) -> None:
        """What was told of the screen as it was is not true for ever."""
        self._view.forget_notice()
        self._deletions.forget()

    async def on_unmount(self) -> None:
        """Close the queue: what runs goes with the screen, what is done is kept."""
        await asyncio.to_thread(self.queue.close)

    @on(DescendantFocus)
    def show_keys(self) -> None:
        """Elsewhere there are other keys."""
        self._view.hints.show(self._keys())

    @on(OptionList.OptionHighlighted)
    def show_row(self) -> None:
        """Another row has other keys."""
        self._deletions.look_at_row()
        self._pane.scroll_home(animate=False)
        self._show_parts()

    # -- the user -----------------------------------------------------------------------

    def action_mark(self) -> None:
        """Mark what is under the bar, or no longer."""
        if self._view.comes_too_early():
            return
        self._view.forget_notice()
        self._deletions.forget()
        self.preambles.toggle()
        self._show_parts()

    def action_findings(self) -> None:
        """Go to what was found, to scroll through it."""
        (self.preambles if self._pane.has_focus else self._pane).focus()

    def action_reload(self) -> None:
        """Have the chat load its model where none is."""
        if self.laboratory.model is None:
            self.laboratory.load_again()

    @on(OptionList.OptionSelected)
    @work(exclusive=True, group="edit")
    async def action_edit(self) -> None:
        """Edit the preamble under the bar, or its draft."""
        row = self.preambles.row
        if self._view.comes_too_early() or row is None:
            return
        entry, draft = row.entry, self.laboratory.draft(row.name)
        if entry.preamble is None and not (draft is not None and not is_there(entry.path)):
            # It may be unsound, and be mended here, if it can be read at all.
            read = await self._view.in_thread(lambda: read_preamble(entry.path))
            if read is None and draft is None:
                return
            entry = msgspec.structs.replace(entry, preamble=read)
        preamble = draft or entry.preamble
        if preamble is None or not self._view.alive:
            return
        saved = await self.app.push_screen_wait(EditScreen(self.laboratory, entry, preamble))
        if saved is not None:
            self.preambles.seek(saved)

    @work(exclusive=True, group="edit")
    async def action_import(self) -> None:
        """Make a preamble of a file."""
        found = await self.app.push_screen_wait(PreambleImportScreen())
        if found is not None:
            self.preambles.seek(found.preamble.name)
            told = " ".join((f"{found.preamble.name} is among your preambles.", *found.notes))
            self._view.say(told)

    def action_tokens(self) -> None:
        """Look at the tokens of what is under the bar."""
        preamble = self._usable()
        if preamble is not None:
            self.app.push_screen(ReachingScreen(self.laboratory, preamble))

    def action_try(self) -> None:
        """Ask a question under two that are marked, or under the base and what is chosen."""
        pair = self.preambles.pair
        if self._view.comes_too_early():
            return
        if pair is None:
            self._view.say(f"Mark the two that are to be tried, or choose another one than {BASE}.")
            return
        screen = VersionsScreen(self.laboratory.versions, pair)
        screen.drafts = self.laboratory.drafts
        self.app.push_screen(screen)

    def action_use(self) -> None:
        """Leave, and go on with what is under the bar."""
        preamble = self._usable()
        if preamble is not None:
            self.dismiss(preamble)

    def _usable(self) -> Preamble | None:
        """What is under the bar; where it can't be used, that is told."""
        row = self.preambles.row
        if self._view.comes_too_early():
            return None
        if row is not None and row.entry.preamble is None:
            self._view.say(f"✖ {row.name} can't be used.")
        return None if row is None else row.entry.preamble

    def action_measure(self) -> None:
        """Measure what is chosen, and what it is compared with."""
        if self._view.comes_too_early():
            return
        chosen = [row for row in self.preambles.chosen if row.entry.preamble is not None]
        if not chosen:
            self._view.say("There is nothing here that can be measured.")
            return
        base = [row for row in self.preambles.rows if row.name == BASE and row.entry.preamble]
        rows = [*base, *(row for row in chosen if row.name != BASE)]
        choice = MeasureChoice(
            # A name may stand for a context that is no preamble.
            names=tuple(str(row.entry.path.absolute()) for row in rows),
            model=self.laboratory.model_name,
        )
        title = f"{', '.join(row.name for row in rows)} on {self.laboratory.called}"
        self._jobs.begin([MeasureJob(choice, title, self._jobs.stop_key)])

    def _look_at_measures(self) -> None:
        # It may have had to give way to what measured.
        self.action_reload()
        self.known.look()

    def action_back(self) -> None:
        """Out of what was found to the list; stop what is measured; or leave, by the list."""
        if self._pane.has_focus:
            self.preambles.focus()
        elif not self._jobs.step_back():
            self.dismiss(None)

    # -- what is shown ------------------------------------------------------------------

    def on_resize(self, event: Resize) -> None:
        """Lines are laid out for another width."""
        self.call_after_refresh(self._show_parts)

    def _redraw(self) -> None:
        """How far the jobs are; another model counts otherwise."""
        self._jobs.redraw()
        self.known.follow_model()

    def _show_detail(self) -> None:
        row = self.preambles.row
        measure = self._view.key("prompts.measure")
        if row is None:
            told = _NOTHING if self._view.is_read else Content()
        else:
            told = detail(row, self.laboratory.counted_by, measure)
        self._detail.update(told)

    @on(PreambleList.Refitted)
    def _show_parts(self) -> None:
        """Show the widgets that have something to show, and the keys that do something."""
        rows, shown = self.preambles.rows, not self._jobs.shown
        columns = self.query_one("#prompts-columns", Static)
        hidden = not self.preambles.display
        self.preambles.display = columns.display = shown and bool(rows)
        self._pane.display = shown
        model = self.laboratory.counted_by
        counted = f"counted by {model}" if model else "no model is loaded"
        count = f"{len(rows):,}, " if self._view.is_read else ""
        self.query_one(HeadingLine).beside = f"{count}{counted}"
        columns.update(heading(self.preambles.drawn_in or max(1, self.size.width - 2)))
        self._show_detail()
        if shown and (self.focused is None or (hidden and rows)):
            # What is hidden loses it, to what stands below.
            self.preambles.focus()
        self._view.hints.show(self._keys())

    def _keys(self) -> list[tuple[str, str]]:
        """The bindings that do something now, and what they are called."""
        back, every = self._jobs.back, ("app.keys", "keys")
        if self._jobs.shown:
            return [("prompts.turn", "list"), back, every]
        keys: list[tuple[str, str]] = []
        row, marked = self.preambles.row, len(self.preambles.marked)
        usable = row is not None and row.entry.preamble is not None
        if self._pane.has_focus:
            back = ("prompts.back", "list")
        if row is not None:
            keys.append(("prompts.edit", "edit"))
            if usable:
                keys.append(("prompts.tokens", "tokens"))
            if self.preambles.pair is not None:
                keys.append(("prompts.try", "try"))
            if any(chosen.entry.preamble is not None for chosen in self.preambles.chosen):
                keys.append(("prompts.measure", "measure"))
            keys.append(("prompts.mark", f"{marked} marked" if marked else "mark"))
        if self.laboratory.model is None:
            keys.append(("prompts.reload", "load the model"))
        more = [("prompts.turn", "progress")] if self.queue.jobs else []
        more += [("prompts.use", "use")] if usable else []
        more.append(("prompts.import", "import"))
        if row is not None and row.entry.origin == "user":
            more.append(("prompts.delete", "delete"))
        if self._deletions.can_bring_back:
            more.append(("prompts.bring_back", "undelete"))
        if row is not None and not self._pane.has_focus:
            more.append(("prompts.findings", "details"))
        # The last ones give way where there is no room.
        return [*keys, back, every, *more]


_NOTHING = Content.assemble(
    ("There are no preambles.\n\n", "bold"),
    ("Not even those that come with the program are there; it is not whole.", "$quiet"),
)
