"""The screen of a model's details, from its header: here, or where it can be downloaded."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import PurePath
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Static

from urial_tui import wording
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import ModelError, UrialError
from urial_tui.mistakes import explaining
from urial_tui.models.addresses import FileAddress, HubAddress, hub_file, parse_address
from urial_tui.models.inspection import Inspection, inspect_file
from urial_tui.models.inspection_words import groups, title_of
from urial_tui.models.overview import Listed
from urial_tui.models.speed import load_speeds
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.frame.messages import CopyRequested
from urial_tui.tui.frame.stoppable import Ended, Stoppable
from urial_tui.tui.models.asking import asked
from urial_tui.tui.models.template_screen import TemplateScreen, shown_templates
from urial_tui.tui.widgets.heading_line import HeadingLine
from urial_tui.tui.widgets.hint_line import HintLine

_LABEL = 16
"""Cells of the labels."""
_SHORTEST, _NARROW = 12, 78
"""Cells of the shortest lines beside them, and of a screen before it is laid out."""

Inspect = Callable[[Callable[[int], object]], Inspection]
"""Reads the header, in a thread; told of a function that gets the bytes that were read of a file at
an address. Raises `UrialError`."""


class DetailsScreen(Screen[None]):
    """A screen with the rows that `urial models inspect` prints.

    Args:
        name: What the model is called.
        inspect: Reads it.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["models.tcss"]
    AUTO_FOCUS = "#model-details-pane"
    BINDING_GROUP_TITLE = "Details of a model"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="model_details.back"),
        Binding("t", "template", "The chat template", id="model_details.template"),
        Binding("y", "copy", "Copy its path", id="model_details.copy"),
    ]

    def __init__(self, name: str, inspect: Inspect) -> None:
        super().__init__()
        self._shown_name = name
        self._inspect = inspect
        self._told: Inspection | None = None
        self._reading: Stoppable[[int]] | None = None

    def compose(self) -> ComposeResult:
        """From the top: the title, the details, the keys."""
        yield HeadingLine("Details")
        with VerticalScroll(id="model-details-pane"):
            yield Static(id="model-details", markup=False)
        yield HintLine(id="model-details-hints")

    def on_mount(self) -> None:
        """Start to read the header."""
        self._say("Reading the header …")
        self._show_keys()
        self._read()

    def on_resize(self, event: Resize) -> None:
        """Lines are laid out for another width."""
        self.call_after_refresh(self._lay_out)

    def on_unmount(self) -> None:
        """Cancel the reading."""
        if self._reading is not None:
            self._reading.stop()

    @work(group="read")
    async def _read(self) -> None:
        self._reading = reading = Stoppable(self._say_reading)
        try:
            with explaining():
                try:
                    told = await asked(lambda: self._inspect(reading))
                except Ended:
                    return
        except UrialError as error:
            if has_widgets(self):
                self._say_error(error)
            return
        if has_widgets(self):
            self._told = told
            self._show()

    def action_template(self) -> None:
        """Show the chat template, if there is one."""
        told = self._told
        if told is None or not shown_templates(told):
            self.notify("There is no chat template that could be shown.", markup=False)
        else:
            self.app.push_screen(TemplateScreen(told))

    def action_copy(self) -> None:
        """Copy what names the file."""
        if self._told is not None:
            self.post_message(CopyRequested(self._told.place, "its place"))

    def _show(self) -> None:
        self._lay_out()
        self.query_one("#model-details-pane").scroll_home(animate=False)
        self._show_keys()

    def _lay_out(self) -> None:
        told = self._told
        if told is None:
            return
        width = self.query_one("#model-details-pane").scrollable_content_region.width
        text = details(told, key_name(self, "model_details.template"), width or _NARROW)
        self.query_one("#model-details", Static).update(text)

    def _show_keys(self) -> None:
        told = self._told
        beside = self._shown_name if told is None else title_of(told)
        self.query_one(HeadingLine).beside = beside
        keys = [("↑ ↓", "scroll")]
        if told is not None and shown_templates(told):
            keys.append((key_name(self, "model_details.template"), "template"))
        keys.append((key_name(self, "model_details.copy"), "copy"))
        keys.append((key_name(self, "model_details.back"), "back"))
        self.query_one(HintLine).keys = tuple(keys)

    def _say_reading(self, read: int) -> None:
        if has_widgets(self) and self._told is None:
            self._say(f"Reading the header: {wording.size(read)}")

    def _say(self, words: str) -> None:
        self.query_one("#model-details", Static).update(Content.styled(words, "$quiet"))

    def _say_error(self, error: UrialError) -> None:
        self.query_one("#model-details", Static).update(
            Content.assemble(
                (f"✖ {sanitize_line(error.message)}\n", "bold"), sanitize_line(error.hint)
            )
        )


def details(told: Inspection, template_key: str, width: int) -> Content:
    """All that is known, in groups, in lines of at most `width` cells."""
    lines = []
    for title, rows in groups(told, f"{template_key} shows it"):
        if title:
            lines += [Content(""), Content.styled(title, "bold $primary")]
        for label, text in rows:
            wrapped = textwrap.wrap(sanitize_line(text), max(_SHORTEST, width - _LABEL))
            for number, line in enumerate(wrapped or [""]):
                shown = f"{'' if number else label:<{_LABEL}}"
                colour = "$warning" if label == "!" else "$quiet"
                lines.append(Content.assemble((shown, colour), line))
    return Content("\n").join(lines)


def inspect_listed(listed: Listed, options: EngineOptions) -> Inspect:
    """A function that reads a model of the list: its file, or the header at its address."""

    def inspect(progress: Callable[[int], object]) -> Inspection:
        if listed.path is not None:
            return inspect_file(listed.path, options, speeds=load_speeds(options))
        # Only this opens a connection, and needs what does.
        from urial_tui.models.inspection import inspect_address
        from urial_tui.models.remote import Remote

        address = _address(listed)
        with Remote(progress) as remote:
            if isinstance(address, HubAddress):
                address = remote.find(address)
            return inspect_address(remote, address, options, speeds=load_speeds(options))

    return inspect


def _address(listed: Listed) -> FileAddress | HubAddress:
    """Where a model that is not here can be read.

    Raises:
        ModelError: It has no file of its own there.
    """
    entry = listed.entry
    if listed.state == "package":
        raise ModelError(
            f"The model {listed.name} is in a package, and has no file yet that could be read.",
            "Use it once, then there is one.",
        )
    if entry is not None and entry.base:
        raise ModelError(
            f"The model {listed.name} is {entry.base} with an adapter, and not here.",
            f"Look at {entry.base}.",
        )
    if entry is not None:
        return hub_file(entry.repository, entry.file)
    return parse_address(listed.name)
