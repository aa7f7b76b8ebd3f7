"""The screen of models: those that are here, those to download, and what is done with them.

The screen owns nothing but what it shows: files are looked through whenever something may have
changed, downloads are the application's and go on without it. What takes long comes into the rows
when it is there, for those that are in view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static

from urial_tui.engine.wire.values import Device
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings, engine_options
from urial_tui.tui.frame.messages import CopyRequested
from urial_tui.tui.models.details_screen import DetailsScreen, inspect_listed
from urial_tui.tui.models.download_panel import DownloadPanel
from urial_tui.tui.models.downloads import Downloads, DownloadState, told
from urial_tui.tui.models.file_check import FileCheck
from urial_tui.tui.models.finding import ListFilter
from urial_tui.tui.models.known_models import KnownModels
from urial_tui.tui.models.model_list import LISTED, ModelList, heading
from urial_tui.tui.models.model_search import ModelSearch
from urial_tui.tui.models.model_use import ModelUse
from urial_tui.tui.models.model_words import (
    detail,
    found_words,
    nothing,
    row_keys,
    unlisted,
)
from urial_tui.tui.models.pulls import Pulls
from urial_tui.tui.models.removals import Removals
from urial_tui.tui.models.scan import Scan
from urial_tui.tui.widgets.heading_line import HeadingLine
from urial_tui.tui.widgets.list_view import ListView

REDRAWN_EVERY = 0.25
"""Seconds: downloads, and what is in view, are looked at so often."""


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
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (12, "-short"), (18, "-roomy")]  # noqa: RUF012
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
        Binding("shift+up,K", "scroll_told(-1)", "What is told of it: up", id="models.told_up"),
        Binding(
            "shift+down,J", "scroll_told(1)", "What is told of it: down", id="models.told_down"
        ),
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
        self._options = options = engine_options(settings)
        self._open: tuple[tuple[str, bool], ...] = ()
        """The downloads when they were looked at last, and whether they were open."""
        self._wanted = 0
        """How many rows there are, shown or not."""
        self.models = ModelList(id="models-list")
        view = self._view = ListView(self, self.models, "models-notice")
        self._search = ModelSearch(
            placeholder="Search names, kinds, quantisations", id="models-search"
        )
        finding = self._finding = ListFilter(self._search, self.models)
        scan = self.scan = Scan(view)
        self._known = KnownModels(view, scan, downloads, options, in_use=in_use, devices=devices)
        self.pulls = Pulls(view, scan, downloads, options, devices)
        self._check = FileCheck(view)
        removals, use = Removals(view, scan, downloads), ModelUse(view, scan)
        scan.when_told = self._show_heading
        scan.when_found = finding.when_changed = self._list
        self._known.when_read = self._show_detail
        finding.when_turned = self._show_parts

        # What the bindings of this screen and of its children name.
        self.action_pull = self.pulls.choose
        self.action_address = self.pulls.ask_address
        self.action_stop = self.pulls.stop
        self.action_use = use.chat
        self.action_default = use.start
        self.action_verify = self._check.begin
        self.action_remove = removals.remove
        self.action_search = finding.search
        self.action_leave_search = finding.leave
        self.action_move = finding.move
        self.action_filter = finding.turn

    def compose(self) -> ComposeResult:
        """From the top: what it is, search, rows and one of them in words, downloads, the keys."""
        yield HeadingLine("Models")
        yield self._search
        yield Static(id="models-columns", markup=False)
        yield self.models
        yield VerticalScroll(
            Static(id="models-detail", markup=False), id="models-detail-pane", can_focus=False
        )
        yield DownloadPanel(id="models-downloads", markup=False)
        yield self._view.notice
        yield self._view.hints

    def on_mount(self) -> None:
        """Watch the downloads."""
        self._show_parts()
        self.set_interval(REDRAWN_EVERY, self._redraw)

    def on_screen_resume(self) -> None:
        """Scan for files, at first and whenever the user comes back from another screen."""
        self.scan.look()

    def on_unmount(self) -> None:
        """Read no more; downloads go on."""
        self.scan.stop()
        self._check.stop()

    @property
    def is_settled(self) -> bool:
        """Whether all that is in view was looked at, and is told as it is now."""
        if not (self.scan.is_over and self._known.is_settled):
            return False
        return self._open == _open(self.downloads.states) and all(
            (now := self.downloads.state(row.name)) is None or row.is_coming == now.is_open
            for row in self.models.rows
        )

    # -- the user -----------------------------------------------------------------------

    def action_look_again(self) -> None:
        """Look for files again, and what is free now."""
        self._known.forget()
        # What was wrong may be mended.
        self._view.say("")
        self.scan.look()

    @on(Input.Changed)
    def change_search(self, event: Input.Changed) -> None:
        """List what has these words."""
        event.stop()
        self._list()

    def action_back(self) -> None:
        """Stop a check, leave the search, and then the screen."""
        if not (self._check.stop() or self._finding.end()) and self.is_current:
            self.dismiss(None)

    @on(OptionList.OptionHighlighted)
    def show_row(self) -> None:
        """Another row has other keys."""
        self.query_one("#models-detail-pane").scroll_home(animate=False)
        self._show_parts()

    @on(OptionList.OptionSelected)
    def open_row(self) -> None:
        """Look at one that is here; download one that is not."""
        row = self.models.row
        if row is not None and row.listed.is_here:
            self.action_details()
        else:
            self.pulls.choose()

    def action_details(self) -> None:
        """Tell all that its header says."""
        row = self.models.row
        if row is not None:
            inspect = inspect_listed(row.listed, self._options)
            self.app.push_screen(DetailsScreen(row.name, inspect))

    def action_scroll_told(self, lines: int) -> None:
        """Scroll what is told of the row under the bar."""
        self.query_one("#models-detail-pane").scroll_relative(y=lines, animate=False)

    def tell_ended(self, state: DownloadState) -> None:
        """Say what came of a download, unless what is told of its row says so."""
        if not self._view.alive:
            return
        row, failed = self.models.row, state.stage == "failed"
        pane = self.query_one("#models-detail-pane")
        if self.downloads.state(state.name) is None:
            # It was taken off the list meanwhile, which was told.
            return
        if failed and pane.display and row is not None and row.name == state.name:
            return
        words = sanitize_line(told(state))
        self._view.say(Content.styled(f"✖ {words}", "$error") if failed else words)

    def action_copy(self) -> None:
        """Copy where its file is."""
        row = self.models.row
        if row is None:
            return
        if row.listed.path is None:
            self._view.say(f"{row.name} has no file here yet.")
        else:
            self.post_message(CopyRequested(str(row.listed.path), "the path"))

    # -- what is shown ------------------------------------------------------------------

    def on_resize(self, event: Resize) -> None:
        """Lines are laid out for another width."""
        self.call_after_refresh(self._show_parts)

    def _list(self) -> None:
        """Show the rows that are wanted, with what is known of them."""
        rows = [row for row in self._known.rows if self._finding.takes(row)]
        self._wanted = len(rows)
        self.models.show(rows[:LISTED])
        self._show_parts()

    def _redraw(self) -> None:
        """How far downloads are; what came into view."""
        states = self.downloads.states
        is_open = _open(states)
        if is_open != self._open:
            self._open = is_open
            # Something came, or is on its way.
            self._list()
            self.scan.look()
        under_bar = self.models.row
        for row in list(self.models.rows):
            download = self.downloads.state(row.name)
            if download is not row.download:
                self.models.change(msgspec.structs.replace(row, download=download))
                if row is under_bar:
                    self._show_detail()
        self.query_one(DownloadPanel).show(states)
        self._known.read()

    def _show_detail(self) -> None:
        row = self.models.row
        if row is not None:
            words = detail(row, self.scan.partners(row.listed), self._view.key)
        elif self.scan.overview is None:
            words = Content.styled("Looking for models on this machine …", "$quiet")
        elif self.scan.failed and not self.scan.models:
            words = unlisted(self._view.key)
        else:
            words = nothing(self._finding.words, self._finding.only_here, self._view.key)
        told = self.query_one("#models-detail", Static)
        # Each header that is read asks for it, and another text lays out the whole screen.
        if not (isinstance(told.content, Content) and told.content.is_same(words)):
            told.update(words)

    def _show_heading(self) -> None:
        overview, finding = self.scan.overview, self._finding
        if overview is None or self.scan.progress:
            words = self.scan.progress or "looking for them"
        elif self.scan.failed and not overview.models:
            words = ""
        else:
            words = found_words(overview, self._wanted, finding.narrowed, bool(finding.words))
        self.query_one(HeadingLine).beside = words

    @on(ModelList.Refitted)
    def _show_parts(self) -> None:
        """Show the widgets that have something to show, and the keys that do something."""
        rows, columns = self.models.rows, self.query_one("#models-columns", Static)
        self.models.display = columns.display = bool(rows)
        self._show_heading()
        columns.update(heading(self.models.drawn_in or max(1, self.size.width - 3)))
        self._show_detail()
        if rows and self.focused is None:
            # What is hidden loses it.
            self.models.focus()
        if self.focused is self._search:
            self._view.hints.show(
                [("models.found", "to what was found"), ("models.back", "leave the search")]
            )
        else:
            self._view.hints.show(row_keys(self.models.row, self._finding.shown))


def _open(states: Sequence[DownloadState]) -> tuple[tuple[str, bool], ...]:
    """The downloads by name, and which of them wait or go on."""
    return tuple((state.name, state.is_open) for state in states)
