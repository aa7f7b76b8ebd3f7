"""The preambles on this machine: what they cost with the loaded model, and what was measured.

The screen owns nothing but what it shows: files are read whenever something may have changed, what
is measured is the queue's. What takes long comes into the rows when it is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import ClassVar, TypeVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import OptionList, Static

from urial_tui import paths
from urial_tui.errors import UrialError
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.measure_store import MeasureStore
from urial_tui.evaluate.measured_before import KeptMeasures, MeasuredBefore
from urial_tui.evaluate.own_texts import own_questions, own_references
from urial_tui.evaluate.planned_measuring import MeasureChoice
from urial_tui.files import is_there
from urial_tui.prompting.context import Context
from urial_tui.prompting.own_preambles import bring_back_own, delete_own
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import PreambleEntry, list_preambles, read_preamble
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings
from urial_tui.tui.evaluate.job_queue import JobQueue
from urial_tui.tui.evaluate.live_view import LiveView
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.prompts.edit_screen import EditScreen
from urial_tui.tui.prompts.import_screen import ImportScreen
from urial_tui.tui.prompts.laboratory import Laboratory
from urial_tui.tui.prompts.measure_job import MeasureJob
from urial_tui.tui.prompts.preamble_list import PreambleList, PreambleRow, heading
from urial_tui.tui.prompts.preamble_words import BASE, detail
from urial_tui.tui.prompts.reaching_screen import ReachingScreen
from urial_tui.tui.prompts.versions_screen import VersionsScreen
from urial_tui.tui.widgets.hint_line import HintLine

REDRAWN_EVERY = 0.25
"""Seconds: what is measured, and which model is loaded, is looked at so often."""

_PAIR = 2
"""Preambles of a trial."""

_T = TypeVar("_T")


class PromptsScreen(Screen[Preamble | None]):
    """Opens over the chat; ends with the preamble that it is to go on under, if any.

    Args:
        laboratory: Counts, and keeps what is not saved.
        queue: Measures; it is closed with the screen.
        settings: The engine's options, sampling and the longest answer.
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

    def __init__(self, laboratory: Laboratory, queue: JobQueue, settings: Settings) -> None:
        super().__init__()
        self.queue = queue
        self.laboratory = laboratory
        self._settings = settings
        self._reading = threading.Lock()
        """Held while what is kept is read: one at a time may."""
        self._to_delete: PreambleEntry | None = None
        """What goes when it is said once more."""
        self._deleted: list[Path] = []
        """Where the files of those are that were deleted, the newest last."""
        self._go_to: str | None = None
        """What the bar is to be on when the files are read again."""
        self._seen: object | None = None
        """The model that the rows are counted with."""

    def compose(self) -> ComposeResult:
        """From the top: what it is, the rows and one of them in words, a notice, the keys."""
        yield Static(id="prompts-heading", classes="prompts-heading", markup=False)
        yield Static(id="prompts-columns", markup=False)
        yield PreambleList(id="preambles-list")
        yield VerticalScroll(Static(id="prompts-detail", markup=False), id="prompts-detail-pane")
        yield LiveView("What is measured appears here, preamble by preamble.", id="prompts-live")
        yield Static(id="prompts-notice", classes="prompts-notice", markup=False)
        yield HintLine(id="prompts-hints")

    def on_mount(self) -> None:
        """Watch what is measured, and the model."""
        self.say("")
        self._live.display = False
        self.set_interval(REDRAWN_EVERY, self._redraw)

    def on_screen_resume(self) -> None:
        """Read what there is, at first and whenever somebody comes back from another screen."""
        self.action_look()

    async def on_unmount(self) -> None:
        """What runs goes with the screen, and its processes; what is done is kept."""
        await asyncio.to_thread(self.queue.close)

    @property
    def preambles(self) -> PreambleList:
        """The rows."""
        return self.query_one(PreambleList)

    @property
    def _live(self) -> LiveView:
        return self.query_one(LiveView)

    # -- what there is ----------------------------------------------------------------

    @work(exclusive=True, group="look")
    async def action_look(self) -> None:
        """Read the files again, then count and look up what is known of them."""
        self._seen = self.laboratory.model
        entries = await self._in_thread(list_preambles)
        if entries is None or not has_widgets(self):
            return
        before = {row.name: row for row in self.preambles.rows}
        rows = [self._row(entry, before) for entry in self._with_drafts(entries)]
        self.preambles.show(rows, self._go_to)
        self._go_to = None
        self._show_parts()
        await self._count()
        await self._look_up()

    def _row(self, entry: PreambleEntry, before: dict[str, PreambleRow]) -> PreambleRow:
        """A row with what is still known of it."""
        drafted = entry.name in self.laboratory.drafted()
        known = before.get(entry.name)
        if known is None or known.entry.preamble != entry.preamble:
            return PreambleRow(entry=entry, drafted=drafted)
        return msgspec.structs.replace(known, entry=entry, drafted=drafted)

    def _with_drafts(self, entries: Sequence[PreambleEntry]) -> list[PreambleEntry]:
        """The files, and those that are gone while something of them is not saved."""
        names = {entry.name for entry in entries}
        gone = [
            PreambleEntry(
                name=name,
                path=paths.user_prompts_dir() / f"{name}.toml",
                origin="user",
                error="Its file is gone; what was changed and not saved is kept.",
            )
            for name in self.laboratory.drafted()
            if name not in names
        ]
        return sorted([*entries, *gone], key=lambda entry: entry.name)

    async def _count(self) -> None:
        """What each costs, and what is found in it."""
        for row in list(self.preambles.rows):
            preamble = row.entry.preamble
            if preamble is None:
                continue
            findings = await self.laboratory.check(preamble, row.entry.path)
            cost = await self.laboratory.cost(preamble)
            if not has_widgets(self):
                return
            self.know(row.name, findings=findings, cost=cost)

    async def _look_up(self) -> None:
        """What was measured with the model that is loaded."""
        # While something is measured, what is kept is in use.
        if self.queue.busy or self.laboratory.model is None:
            return
        contexts = _contexts(self.preambles.rows)
        found = await self._in_thread(lambda: self._kept(contexts))
        if found is None or not has_widgets(self):
            return
        for row in list(self.preambles.rows):
            self.know(row.name, kept=found.get(row.name))

    def _kept(self, contexts: Sequence[Context]) -> dict[str, KeptMeasures]:
        """In a thread: what is kept of contexts."""
        model = self.laboratory.model
        path = paths.measures_file()
        if model is None or not path.exists():
            return {}
        # A look that nobody waits for any more may still have the file.
        with self._reading, contextlib.closing(MeasureStore(path)) as store:
            if store.trouble:
                again = key_name(self, "prompts.look")
                raise EvaluateError(store.trouble, f"{again} looks again for measures.")
            before = MeasuredBefore(
                store,
                model,
                own_references(),
                own_questions(),
                max_tokens=self._settings.chat.max_tokens,
            )
            return before.look_up(contexts)

    def know(self, name: str, **values: object) -> None:
        """Show what is known of a preamble now (the fields of `PreambleRow`)."""
        row = next((row for row in self.preambles.rows if row.name == name), None)
        if row is not None:
            self.preambles.change(msgspec.structs.replace(row, **values))
            self._show_detail()

    @on(OptionList.OptionHighlighted)
    def show_row(self) -> None:
        """Another row has other keys."""
        row = self.preambles.row
        if row is None or row.entry != self._to_delete:
            self._to_delete = None
        self.query_one("#prompts-detail-pane", VerticalScroll).scroll_home(animate=False)
        self._show_parts()

    # -- the user -----------------------------------------------------------------------

    def action_mark(self) -> None:
        """Mark what is under the bar, or no longer."""
        self.preambles.toggle()
        self._show_parts()

    def action_findings(self) -> None:
        """Go to what was found, to scroll through it."""
        pane = self.query_one("#prompts-detail-pane", VerticalScroll)
        (self.preambles if pane.has_focus else pane).focus()

    def action_reload(self) -> None:
        """Have the chat load its model where none is."""
        if self.laboratory.model is None:
            self.laboratory.load_again()

    @on(OptionList.OptionSelected)
    @work(exclusive=True, group="edit")
    async def action_edit(self) -> None:
        """Change what is under the bar; go on with what was not saved of it."""
        row = self.preambles.row
        if row is None:
            return
        entry, draft = row.entry, self.laboratory.draft(row.name)
        if entry.preamble is None and not (draft is not None and not is_there(entry.path)):
            # It may be unsound, and be mended here, if it can be read at all.
            read = await self._in_thread(lambda: read_preamble(entry.path))
            if read is None and draft is None:
                return
            entry = msgspec.structs.replace(entry, preamble=read)
        preamble = draft or entry.preamble
        if preamble is None or not has_widgets(self):
            return
        saved = await self.app.push_screen_wait(EditScreen(self.laboratory, entry, preamble))
        if saved is not None:
            self._go_to = saved

    @work(exclusive=True, group="edit")
    async def action_import(self) -> None:
        """Make a preamble of a file."""
        found = await self.app.push_screen_wait(ImportScreen())
        if found is not None:
            self._go_to = found.preamble.name
            told = " ".join((f"{found.preamble.name} is among your preambles.", *found.notes))
            self.say(told)

    @work(exclusive=True, group="delete")
    async def action_delete(self) -> None:
        """Delete the user's own preamble under the bar, once that is confirmed."""
        row = self.preambles.row
        if row is None:
            return
        if row.entry.origin != "user":
            self.say(f"{row.name} comes with the program; only your own can be deleted.")
            return
        if self._to_delete != row.entry:
            self._to_delete = row.entry
            again = key_name(self, "prompts.delete")
            self.say(f"▲ {again} again deletes {row.name}, {row.entry.path}.")
            return
        self._to_delete = None
        kept = await self._in_thread(lambda: delete_own(row.entry.path))
        if kept is None or not has_widgets(self):
            return
        self._deleted.append(kept)
        back = key_name(self, "prompts.bring_back")
        self.action_look()
        self.say(f"{row.name} is deleted; {back} brings it back. Its file is {kept.name} now.")

    @work(exclusive=True, group="delete")
    async def action_bring_back(self) -> None:
        """Bring back what was deleted last."""
        if not self._deleted:
            self.say("No preamble was deleted here.")
            return
        kept = self._deleted[-1]
        path = await self._in_thread(lambda: bring_back_own(kept))
        if path is None or not has_widgets(self):
            return
        self._deleted.pop()
        self._go_to = path.stem
        self.action_look()
        self.say(f"{path.stem} is back.")

    def action_tokens(self) -> None:
        """Look at the tokens of what is under the bar."""
        preamble = self._usable()
        if preamble is not None:
            self.app.push_screen(ReachingScreen(self.laboratory, preamble))

    def action_try(self) -> None:
        """Ask a question under two that are marked, or under the base and what is chosen."""
        chosen = self.preambles.chosen
        if len(chosen) == 1:
            chosen = [*(row for row in self.preambles.rows if row.name == BASE), *chosen]
        pair = [(row.name, row.entry.preamble) for row in chosen if row.entry.preamble is not None]
        if len(pair) != _PAIR or pair[0] == pair[1]:
            self.say(f"Mark the two that are to be tried, or choose another one than {BASE}.")
            return
        screen = VersionsScreen(self.laboratory.versions, (pair[0], pair[1]))
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
        if row is not None and row.entry.preamble is None:
            self.say(f"✖ {row.name} can't be used.")
        return None if row is None else row.entry.preamble

    def action_measure(self) -> None:
        """Measure what is chosen, and what it is compared with."""
        chosen = [row for row in self.preambles.chosen if row.entry.preamble is not None]
        if not chosen:
            self.say("There is nothing here that can be measured.")
            return
        base = [row for row in self.preambles.rows if row.name == BASE and row.entry.preamble]
        rows = [*base, *(row for row in chosen if row.name != BASE)]
        self.say("")
        self._live.display = True
        self._measure(rows)

    @work(group="jobs")
    async def _measure(self, rows: Sequence[PreambleRow]) -> None:
        choice = MeasureChoice(
            # A name may stand for a context that is no preamble.
            names=tuple(str(row.entry.path.absolute()) for row in rows),
            model=self.laboratory.model_name,
        )
        title = f"{', '.join(row.name for row in rows)} on {self.laboratory.called}"
        self.queue.add([MeasureJob(choice, title, self._stop_key)])
        self._show_parts()
        await self.queue.work(self._settings)
        if has_widgets(self) and not self.queue.busy:
            self.say("")
            self._redraw()
            # It may have had to give way to what measured.
            self.action_reload()
            self.action_look()

    def action_turn(self) -> None:
        """Change between the list and what is being measured."""
        if self.queue.jobs:
            self._live.display = not self._live.display
            self._redraw()
            self._show_parts()

    def action_back(self) -> None:
        """Stop what is being measured; else leave, from that to the list first."""
        if self.queue.busy and not self.queue.stopping:
            self.queue.stop()
            self.say(f"Stopping; what is done is kept. {self._stop_key} again leaves.")
        elif self._live.display and not self.queue.busy:
            self._live.display = False
            self.say("")
        else:
            self.dismiss(None)
        self._show_parts()

    def on_resize(self, event: Resize) -> None:
        """Lines are laid out for another width."""
        self.call_after_refresh(self._show_parts)

    # -- what is shown ------------------------------------------------------------------

    def say(self, notice: str) -> None:
        """A sentence above the keys."""
        line = self.query_one("#prompts-notice", Static)
        line.update(Content(sanitize_line(notice)))
        line.display = bool(notice)

    async def _in_thread(self, do: Callable[[], _T]) -> _T | None:
        """What comes of a function that reads files; None where it says what is wrong."""
        try:
            return await asyncio.to_thread(do)
        except UrialError as error:
            if has_widgets(self):
                self.say(f"✖ {error}")
            return None

    @property
    def _stop_key(self) -> str:
        return key_name(self, "prompts.back")

    @property
    def _model_name(self) -> str:
        return "" if self.laboratory.model is None else self.laboratory.called

    def _redraw(self) -> None:
        """How far the jobs are; another model counts otherwise."""
        self.query_one(HintLine).state = (
            "" if not self.queue.busy else "stopping" if self.queue.stopping else "measuring"
        )
        if self._live.display and self.queue.jobs:
            self._live.show(self.queue.jobs)
        if self.laboratory.model is not self._seen and self.is_current:
            self._seen = self.laboratory.model
            for row in list(self.preambles.rows):
                self.know(row.name, cost=None, kept=None)
            self._show_parts()
            self.action_look()

    def _show_detail(self) -> None:
        row = self.preambles.row
        shown = self.query_one("#prompts-detail", Static)
        shown.update(
            _nothing()
            if row is None
            else detail(row, self._model_name, key_name(self, "prompts.measure"))
        )

    def _show_parts(self) -> None:
        """Show what there is something to show in, and the keys that do something."""
        rows, live = self.preambles.rows, self._live.display
        for part in ("#prompts-columns", "#preambles-list", "#prompts-detail-pane"):
            self.query_one(part).display = not live and (bool(rows) or part.endswith("pane"))
        width = max(1, self.size.width - 2)
        model = self._model_name
        with_model = f"counted by {model}" if model else "no model is loaded"
        title = Content.assemble(
            ("Preambles", "bold $primary"),
            (f"  {len(rows):,}, {sanitize_line(with_model)}", "$quiet"),
        )
        self.query_one("#prompts-heading", Static).update(title.truncate(width, ellipsis=True))
        inner = self.preambles.scrollable_content_region.width or width
        self.query_one("#prompts-columns", Static).update(heading(inner))
        self._show_detail()
        if not live and self.focused is None:
            # What is hidden loses it.
            self.preambles.focus()
        self.query_one(HintLine).keys = tuple(
            (key_name(self, name if "." in name else f"prompts.{name}"), what)
            for name, what in self._keys()
        )

    def _keys(self) -> list[tuple[str, str]]:
        """The actions that do something now, and what they are called."""
        back = ("back", "stop" if self.queue.busy else "back")
        if self._live.display:
            return [("turn", "list"), back, ("app.keys", "keys")]
        keys: list[tuple[str, str]] = []
        row, marked = self.preambles.row, len(self.preambles.marked)
        if row is not None:
            keys.append(("edit", "edit"))
            if row.entry.preamble is not None:
                keys += [("tokens", "tokens"), ("try", "try"), ("measure", "measure")]
            keys.append(("mark", f"{marked} marked" if marked else "mark"))
        if self.laboratory.model is None:
            keys.append(("reload", "load the model"))
        more = [("turn", "progress")] if self.queue.jobs else []
        if row is not None and row.entry.preamble is not None:
            more.append(("use", "use"))
        more.append(("import", "import"))
        # The last ones give way where there is no room.
        return [*keys, back, ("app.keys", "keys"), *more]


def _contexts(rows: Sequence[PreambleRow]) -> list[Context]:
    """The preambles that can be measured, what they are compared with first."""
    found = [
        Context(name=row.name, preamble=row.entry.preamble)
        for row in rows
        if row.entry.preamble is not None
    ]
    return sorted(found, key=lambda context: context.name != BASE)


def _nothing() -> Content:
    return Content.assemble(
        ("There are no preambles.\n\n", "bold"),
        ("Not even those that come with the program are there; it is not whole.", "$quiet"),
    )
