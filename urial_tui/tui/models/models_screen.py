"""The models that are here and those that can be downloaded, and what is done with them.

The screen owns nothing but what it shows: files are looked through whenever something may have
changed, downloads are the application's and go on without it. What takes long comes into the rows
when it is there, for those that are in view.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import ClassVar, TypeVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static

from urial_tui import wording
from urial_tui.engine.wire.protocol import Device
from urial_tui.errors import UrialError
from urial_tui.mistakes import explaining
from urial_tui.models import placing
from urial_tui.models.overview import Listed, Looked, Overview, look, overview
from urial_tui.models.unfinished import discard
from urial_tui.models.verification import CheckedFile, verify
from urial_tui.sanitize import sanitize_line, shortened
from urial_tui.settings import Settings, described, engine_options
from urial_tui.settings_file import read_settings_file
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.frame.messages import CopyRequested, PullRequested
from urial_tui.tui.frame.settings_screen import SettingsScreen
from urial_tui.tui.models.address_screen import AddressScreen
from urial_tui.tui.models.details_screen import DetailsScreen, inspect_listed
from urial_tui.tui.models.downloads import Downloads
from urial_tui.tui.models.model_list import LISTED, ModelList, ModelRow, heading
from urial_tui.tui.models.model_search import ModelSearch
from urial_tui.tui.models.model_words import detail, download_lines, nothing, store_words
from urial_tui.tui.models.pull_screen import PullScreen
from urial_tui.tui.models.pulling import pull_of_address, pull_of_listed
from urial_tui.tui.models.remove_screen import RemoveScreen
from urial_tui.tui.widgets.hint_line import HintLine

REDRAWN_EVERY = 0.25
"""Seconds: downloads, and what is in view, are looked at so often."""
_TELL_EVERY = 0.1

_FILTERS = ("all", "here", "to download")
_T = TypeVar("_T")


class _Ended(Exception):
    """What was being read is not wanted any more."""


class ModelsScreen(Screen[str | None]):
    """Opens over the chat; ends with the model that it is to go on with, if any.

    Args:
        downloads: Downloads models; the application's.
        settings: The engine's options.
        in_use: What the chat's model is called.
        devices: What the engine computes on; None where that is not known yet.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../frame/first_run.tcss", "models.tcss"]
    AUTO_FOCUS = "ModelList"
    BINDING_GROUP_TITLE = "Models"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Leave the search; back to the chat", id="models.back"),
        Binding("i", "details", "Details, from its header", id="models.details"),
        Binding("p", "pull", "Download it, or go on with it", id="models.pull"),
        Binding("a", "address", "Download one of an address", id="models.address"),
        Binding("s", "stop", "Stop its download; what came is kept", id="models.stop"),
        Binding("u", "use", "Chat with it", id="models.use"),
        Binding("d", "default", "Start with it from now on", id="models.default"),
        Binding("v", "verify", "Check its files", id="models.verify"),
        Binding("y", "copy", "Copy its path", id="models.copy"),
        Binding("delete,x", "remove", "Remove it", id="models.remove"),
        Binding("slash", "search", "Search", id="models.search"),
        Binding("f", "filter", "Those here, those to download, or all", id="models.filter"),
        Binding("f5", "look_again", "Look again", id="models.look"),
    ]

    def __init__(
        self,
        downloads: Downloads,
        settings: Settings,
        *,
        in_use: str,
        devices: Callable[[], Sequence[Device] | None] = lambda: None,
    ) -> None:
        super().__init__()
        self.downloads = downloads
        self._options = engine_options(settings)
        self._in_use = in_use
        self._devices = devices
        self._overview: Overview | None = None
        self._looked: dict[tuple[str, str, int], Looked] = {}
        self._looking = False
        self._scanning = ""
        """How far the files are looked through."""
        self._filter = _FILTERS[0]
        self._go_to: str | None = None
        self._seen_open: tuple[str, ...] = ()
        """The downloads that were open when that was looked at last."""
        self._checking: threading.Event | None = None
        """Ends the check that runs."""
        self._ended = threading.Event()

    def compose(self) -> ComposeResult:
        """From the top: what it is, search, rows and one of them in words, downloads, the keys."""
        yield Static(id="models-heading", classes="models-heading", markup=False)
        yield ModelSearch(placeholder="Search names, kinds, quantisations", id="models-search")
        yield Static(id="models-columns", markup=False)
        yield ModelList(id="models-list")
        yield VerticalScroll(
            Static(id="models-detail", markup=False), id="models-detail-pane", can_focus=False
        )
        yield Static(id="models-downloads", markup=False)
        yield Static(id="models-notice", classes="models-notice", markup=False)
        yield HintLine(id="models-hints")

    def on_mount(self) -> None:
        """Watch the downloads."""
        self.say("")
        self.query_one(ModelSearch).display = False
        self._show_parts()
        self.set_interval(REDRAWN_EVERY, self._redraw)

    def on_screen_resume(self) -> None:
        """Look what there is, at first and whenever somebody comes back from another screen."""
        self._look()

    def on_unmount(self) -> None:
        """Read no more; downloads go on."""
        self._ended.set()
        if self._checking is not None:
            self._checking.set()

    @property
    def models(self) -> ModelList:
        """The rows."""
        return self.query_one(ModelList)

    @property
    def is_settled(self) -> bool:
        """Whether all that is in view was looked at."""
        return self._overview is not None and not self._looking and not self._unlooked()

    # -- what there is ----------------------------------------------------------------

    def action_look_again(self) -> None:
        """Look for files again, and what is free now."""
        self._looked = {}
        self._look()

    @work(exclusive=True, group="look")
    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        told = 0.0

        def progress(done: int, total: int) -> None:
            nonlocal told
            if self._ended.is_set():
                raise _Ended
            now = time.monotonic()
            if now - told >= _TELL_EVERY:
                told = now
                loop.call_soon_threadsafe(self._tell_scan, wording.looked_at(done, total))

        def find() -> Overview | None:
            try:
                return overview(progress)
            except _Ended:
                return None

        found = await self._in_thread(find)
        if not has_widgets(self):
            return
        self._scanning = ""
        if found is None:
            # What is wrong was said.
            self._overview = self._overview or Overview(models=(), left_out=0)
        else:
            self._overview = found
        self._list()

    def _tell_scan(self, words: str) -> None:
        self._scanning = words
        if has_widgets(self):
            self._show_heading()

    def _list(self) -> None:
        """Show the rows that are wanted, with what is known of them."""
        rows = self._rows()
        self.models.show(rows[:LISTED], self._go_to)
        self._go_to = None
        self._show_parts()

    def _rows(self) -> list[ModelRow]:
        found = () if self._overview is None else self._overview.models
        known = {one.name for one in found}
        more = [
            Listed(name=state.name, state="unfinished", size=state.pace.total)
            for state in self.downloads.states
            if state.name not in known and (state.is_open or state.stage == "failed")
        ]
        listed = [*(one for one in found if one.is_here), *more]
        coming = {state.name for state in self.downloads.states if state.is_open}
        absent = [one for one in found if not one.is_here]
        listed += sorted(absent, key=lambda one: one.name not in coming)
        words = self.query_one(ModelSearch).value.casefold().split()
        return [row for one in listed if self._is_wanted(row := self._row(one), words)]

    def _row(self, listed: Listed) -> ModelRow:
        return ModelRow(
            listed=listed,
            looked=self._looked.get(_key(listed)),
            download=self.downloads.state(listed.name),
            in_use=self._in_use in (listed.name, str(listed.path)),
        )

    def _is_wanted(self, row: ModelRow, words: Sequence[str]) -> bool:
        if self._filter != _FILTERS[0] and row.listed.is_here != (self._filter == _FILTERS[1]):
            return False
        if not words:
            return True
        listed, entry = row.listed, row.listed.entry
        parts = [row.name, row.role, listed.quantisation, listed.architecture, listed.state]
        parts += [entry.title, entry.parameters, entry.licence] if entry else []
        parts += [store_words(listed.store), listed.path.name] if listed.path else []
        text = " ".join(parts).casefold()
        return all(word in text for word in words)

    def _partner(self, listed: Listed) -> Listed | None:
        models = () if self._overview is None else self._overview.models
        return next((one for one in models if one.name == listed.partner), None)

    # -- what takes longer --------------------------------------------------------------

    def _unlooked(self) -> list[Listed]:
        return [row.listed for row in self.models.in_view if row.looked is None]

    @work(exclusive=True, group="headers")
    async def _look_at_rows(self) -> None:
        """Read the headers of what is in view, one after another."""
        self._looking = True
        try:
            while has_widgets(self) and (waiting := self._unlooked()):
                listed = waiting[0]
                looked = await asyncio.to_thread(self._look_at, listed, self._devices())
                self._looked[_key(listed)] = looked
                if has_widgets(self):
                    self.models.change(self._row(listed))
                    self._show_detail()
        finally:
            self._looking = False

    def _look_at(self, listed: Listed, devices: Sequence[Device] | None) -> Looked:
        """In a thread."""
        try:
            with explaining():
                return look(listed, self._options, devices)
        except UrialError as error:
            return Looked(trouble=error.message)

    # -- finding ------------------------------------------------------------------------

    def action_search(self) -> None:
        """Type what is looked for."""
        search = self.query_one(ModelSearch)
        search.display = True
        search.focus()
        self._show_parts()

    @on(Input.Changed)
    def change_search(self, event: Input.Changed) -> None:
        """List what has these words."""
        event.stop()
        self._list()

    def action_leave_search(self) -> None:
        """Go to what was found."""
        search = self.query_one(ModelSearch)
        search.display = bool(search.value)
        self.models.focus()
        self._show_parts()

    def action_move(self, rows: int) -> None:
        """Select another row while one types."""
        if rows < 0:
            self.models.action_cursor_up()
        else:
            self.models.action_cursor_down()

    def action_filter(self) -> None:
        """Show those here, those that can be downloaded, or all."""
        self._filter = _FILTERS[(_FILTERS.index(self._filter) + 1) % len(_FILTERS)]
        self._list()

    def action_back(self) -> None:
        """Stop a check, leave the search, and then the screen."""
        search = self.query_one(ModelSearch)
        if self._checking is not None and not self._checking.is_set():
            self._checking.set()
        elif search.display:
            search.value = ""
            self.action_leave_search()
        elif self.is_current:
            self.dismiss(None)

    @on(OptionList.OptionHighlighted)
    def show_row(self) -> None:
        """Another row has other keys."""
        self.query_one("#models-detail-pane", VerticalScroll).scroll_home(animate=False)
        self._show_parts()

    # -- the user -----------------------------------------------------------------------

    @on(OptionList.OptionSelected)
    def open_row(self) -> None:
        """Look at one that is here; download one that is not."""
        row = self.models.row
        if row is not None:
            if row.listed.is_here:
                self.action_details()
            else:
                self.action_pull()

    def action_details(self) -> None:
        """Tell all that its header says."""
        row = self.models.row
        if row is not None:
            inspect = inspect_listed(row.listed, self._options)
            self.app.push_screen(DetailsScreen(row.name, inspect))

    def action_use(self) -> None:
        """Leave, and chat with what is under the bar."""
        row = self._usable("It can't be chatted with")
        if row is not None:
            self.dismiss(row.name)

    @work(exclusive=True, group="default")
    async def action_default(self) -> None:
        """Have the settings name it."""
        row = self._usable("It can't be the one to start with")
        if row is None:
            return
        setting = next(one for one in described() if one.key == "chat.model")
        name = row.name

        def write() -> bool:
            before = read_settings_file()
            before.with_value(setting, name).save(before)
            return True

        if await self._in_thread(write) and has_widgets(self):
            self.post_message(SettingsScreen.Changed(setting, name))
            self.say(f"urial starts with {name} from now on.")
            self._look()

    def _usable(self, what: str) -> ModelRow | None:
        """The row under the bar, if a chat can answer with it; else it is told why not."""
        row = self.models.row
        if row is None:
            return None
        why = ""
        if not row.listed.is_here:
            why = f"it is not on this machine yet; {self._key('pull')} downloads it"
        elif row.listed.kind != "model":
            why = "it is an adapter" if row.listed.kind == "adapter" else "it writes no text"
        elif row.looked is not None and row.looked.trouble:
            why = row.looked.trouble.rstrip(".")
        if why:
            self.say(f"{what}: {why}.")
            return None
        return row

    def action_copy(self) -> None:
        """Copy where its file is."""
        row = self.models.row
        if row is None:
            return
        if row.listed.path is None:
            self.say(f"{row.name} has no file here yet.")
        else:
            self.post_message(CopyRequested(str(row.listed.path), "the path"))

    # -- downloading --------------------------------------------------------------------

    @work(exclusive=True, group="dialog")
    async def action_pull(self) -> None:
        """Choose what of a model is downloaded; what was interrupted goes on at once."""
        row = self.models.row
        if row is None:
            return
        listed = row.listed
        if listed.is_here and listed.entry is None:
            self.say(f"{row.name} is here already.")
            return
        if (row.download is not None and row.download.is_open) or listed.state == "unfinished":
            self.pull([row.name])
            return
        if listed.entry is not None and listed.entry.base:
            base = listed.entry.base
            models = () if self._overview is None else self._overview.models
            found = next((one for one in models if one.name == base), listed)
            if found.is_here:
                self.say(f"{row.name} is here: it is {base} with an adapter.")
                return
            listed = found
        partner = self._partner(listed)
        screen = await self._in_thread(
            lambda: pull_of_listed(listed, partner, self._options, self._devices())
        )
        await self._pull_by(screen)

    @work(exclusive=True, group="dialog")
    async def action_address(self) -> None:
        """Download what is in no list."""
        address = await self.app.push_screen_wait(AddressScreen())
        if address is None:
            return
        screen = await self._in_thread(
            lambda: pull_of_address(address, self._options, self._devices())
        )
        if isinstance(screen, str):
            self.pull([screen])
        else:
            await self._pull_by(screen)

    async def _pull_by(self, screen: PullScreen | None) -> None:
        if screen is None or not has_widgets(self):
            return
        names = await self.app.push_screen_wait(screen)
        if names:
            self.pull(names)

    def pull(self, names: Sequence[str]) -> None:
        """Have the application download these."""
        self.say("")
        self._go_to = names[0]
        self.post_message(PullRequested(names))

    def action_stop(self) -> None:
        """Stop the download under the bar, else the one that goes on."""
        row = self.models.row
        states = [state for state in self.downloads.states if state.is_open]
        under = [state for state in states if row is not None and state.name == row.name]
        for state in (under or states)[:1]:
            self.downloads.stop(state.name)
            self.say(f"The download of {state.name} stops; what came is kept.")
        if not states:
            self.say("Nothing is being downloaded.")

    # -- files --------------------------------------------------------------------------

    @work(exclusive=True, group="dialog")
    async def action_remove(self) -> None:
        """Remove it, after telling what else uses it."""
        row = self.models.row
        if row is None:
            return
        if row.download is not None and row.download.is_open:
            self.say(f"{row.name} is being downloaded; {self._key('stop')} stops that first.")
            return
        if row.listed.state == "unfinished" and row.listed.left:
            await self._discard(row.listed)
            return
        planned = await self._in_thread(lambda: placing.removal(row.name))
        if planned is None or not has_widgets(self):
            return
        uses = list(planned.uses)
        if row.listed.store == "hub":
            uses.insert(0, "it is in Hugging Face's cache, where other programs may use it, too")
        if row.in_use:
            uses.insert(0, "the chat answers with it")
        dialog = RemoveScreen(planned.name, planned.files, planned.frees, uses)
        if await self.app.push_screen_wait(dialog):
            freed = await self._in_thread(lambda: placing.remove(planned))
            if freed is not None and has_widgets(self):
                self.say(f"{planned.name} was removed; {wording.size(freed)} are free.")
                self._look()

    async def _discard(self, listed: Listed) -> None:
        """Remove what came of an interrupted download."""
        dialog = RemoveScreen(listed.name, listed.left, listed.done, ["it is unfinished"])
        if await self.app.push_screen_wait(dialog):
            freed = await self._in_thread(lambda: discard(listed.left))
            if freed is not None and has_widgets(self):
                self.say(f"What came of {listed.name} was removed.")
                self._look()

    @work(exclusive=True, group="verify")
    async def action_verify(self) -> None:
        """Check header, size, parts and checksum."""
        row = self.models.row
        if row is None:
            return
        if row.listed.state != "here":
            self.say(f"{row.name} has no file here yet that could be checked.")
            return
        if self._checking is not None:
            return
        self._checking = ended = threading.Event()
        loop = asyncio.get_running_loop()

        def progress(done: int, total: int) -> None:
            if ended.is_set():
                raise _Ended
            share = f"{done / total:.0%}" if total else ""
            loop.call_soon_threadsafe(self._tell_check, f"checking {share}")

        def check() -> list[CheckedFile]:
            try:
                return list(verify([row.name], progress))
            except _Ended:
                return []

        self.say(f"Checking {row.name}. {self._key('back')} stops that.")
        files = await self._in_thread(check)
        self._checking = None
        if not has_widgets(self) or files is None:
            return
        self._tell_check("")
        self.say(checked_words(row.name, files) if files else "The check was stopped.")

    def _tell_check(self, words: str) -> None:
        if has_widgets(self):
            self.query_one(HintLine).state = words if self._checking is not None else ""

    # -- what is shown ------------------------------------------------------------------

    def on_resize(self, event: Resize) -> None:
        """Lines are laid out for another width."""
        self.call_after_refresh(self._show_parts)

    def say(self, notice: str) -> None:
        """A sentence above the keys."""
        line = self.query_one("#models-notice", Static)
        line.update(Content(sanitize_line(notice)))
        line.display = bool(notice)

    async def _in_thread(self, do: Callable[[], _T]) -> _T | None:
        """What comes of a function that reads files; None where it says what is wrong."""
        try:
            with explaining():
                return await asyncio.to_thread(do)
        except UrialError as error:
            if has_widgets(self):
                self.say(f"✖ {error}")
            return None

    def _key(self, name: str) -> str:
        return key_name(self, f"models.{name}")

    def _redraw(self) -> None:
        """How far downloads are; what came into view."""
        states = self.downloads.states
        is_open = tuple(state.name for state in states if state.is_open)
        if is_open != self._seen_open:
            self._seen_open = is_open
            # Something came, or is on its way.
            self._list()
            self._look()
        for row in list(self.models.rows):
            state = self.downloads.state(row.name)
            if state is not row.download:
                self.models.change(msgspec.structs.replace(row, download=state))
        self._show_downloads()
        if self._overview is not None and not self._looking and self._unlooked():
            self._look_at_rows()

    def _show_downloads(self) -> None:
        line = self.query_one("#models-downloads", Static)
        states = self.downloads.states
        line.display = any(state.is_open for state in states)
        if line.display:
            line.update(
                download_lines(states, max(20, self.size.width - 2), 3 if self._is_high else 1)
            )

    @property
    def _is_high(self) -> bool:
        return self.size.height >= 18  # as "-roomy"

    def _show_detail(self) -> None:
        row, shown = self.models.row, self.query_one("#models-detail", Static)
        if row is not None:
            shown.update(detail(row, self._partner(row.listed), self._key))
        elif self._overview is None:
            shown.update(Content.styled("Looking for models on this machine …", "$quiet"))
        else:
            words = self.query_one(ModelSearch).value
            shown.update(nothing(words, self._filter == _FILTERS[1], self._key))

    def _show_heading(self) -> None:
        width = max(1, self.size.width - 2)
        if self._overview is None or self._scanning:
            told = self._scanning or "looking for them"
        else:
            here = sum(one.is_here for one in self._overview.models)
            told = f"{here:,} here, {len(self._overview.models) - here:,} to download"
            shown = self._filter if self._filter != _FILTERS[0] else ""
            parts = [f"shown: {shown}" if shown else ""]
            rows = len(self._rows())
            if self.query_one(ModelSearch).value:
                parts.append(f"{rows:,} found")
            if rows > LISTED:
                parts.append(f"the first {LISTED:,} are shown")
            if self._overview.left_out:
                left = self._overview.left_out
                parts.append(f"{left:,} left out (`urial models discover`)")
            told = " · ".join([told, *(part for part in parts if part)])
        title = Content.assemble(("Models", "bold $primary"), (f"  {told}", "$quiet"))
        self.query_one("#models-heading", Static).update(title.truncate(width, ellipsis=True))

    def _show_parts(self) -> None:
        """Show what there is something to show in, and the keys that do something."""
        rows = self.models.rows
        for part in ("#models-columns", "#models-list"):
            self.query_one(part).display = bool(rows)
        self._show_heading()
        inner = self.models.scrollable_content_region.width or max(1, self.size.width - 3)
        self.query_one("#models-columns", Static).update(heading(inner))
        self._show_detail()
        if rows and self.focused is None:
            # What is hidden loses it.
            self.models.focus()
        self.query_one(HintLine).keys = tuple(
            (key_name(self, name if "." in name else f"models.{name}"), what)
            for name, what in self._keys()
        )

    def _keys(self) -> list[tuple[str, str]]:
        """The actions that do something now, and what they are called."""
        if isinstance(self.focused, ModelSearch):
            return [("models.found", "to what was found"), ("back", "leave the search")]
        row = self.models.row
        keys: list[tuple[str, str]] = []
        if row is not None and row.listed.is_here:
            keys += [("details", "details"), ("use", "use"), ("default", "default")]
            keys += [("verify", "check"), ("remove", "remove")]
        elif row is not None:
            is_open = row.download is not None and row.download.is_open
            keys += [("stop", "stop")] if is_open else [("pull", "download")]
            keys.append(("details", "details"))
            if row.listed.state == "unfinished" and not is_open:
                keys.append(("remove", "remove"))
        keys += [("search", "search"), ("back", "back"), ("app.keys", "keys")]
        # The last ones give way where there is no room.
        return [*keys, ("filter", self._filter), ("address", "address")]


def checked_words(name: str, files: Sequence[CheckedFile]) -> str:
    """What came of a check, a sentence or two."""
    wrong = [(file, why) for file in files for why in file.wrong]
    if wrong:
        more = f" And {len(wrong) - 1:,} more." if len(wrong) > 1 else ""
        of = f" ({wrong[0][0].path.name})" if len(files) > 1 else ""
        return shortened(f"✖ {name} is not whole{of}: {wrong[0][1]}{more}", 400)
    by = {file.checked_by for file in files}
    if by == {"nothing"}:
        return f"✔ {name} is whole, as far as its header tells; no checksum is known."
    whose = "the catalogue's" if "catalogue" in by else "the hub's"
    return f"✔ {name} is whole: its checksum is {whose}."


def _key(listed: Listed) -> tuple[str, str, int]:
    return listed.name, listed.state, listed.size
