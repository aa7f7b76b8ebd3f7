"""The dialog that saves a preamble: its name, and a description."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import PurePath
from typing import ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from urial_tui.errors import UrialError, UsageError
from urial_tui.prompting.preamble import Preamble
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.widgets.dialog import DialogKeys, DialogTitle
from urial_tui.tui.widgets.path_line import PathLine

Save = Callable[[Preamble, bool], Preamble]
"""Keeps it; whether what has its name goes. Called in a thread, raises `UrialError`: a `UsageError`
where only the second one is missing."""


class SaveScreen(ModalScreen[Preamble | None]):
    """A dialog dismissed with the preamble as it was saved, or None.

    Args:
        preamble: What is kept, with the name that is proposed.
        save: Keeps it.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../frame/first_run.tcss", "prompts.tcss"]
    BINDING_GROUP_TITLE = "Save a preamble"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="save.back")
    ]

    def __init__(self, preamble: Preamble, save: Save) -> None:
        super().__init__()
        self._preamble = preamble
        self._save = save
        self._confirmed = ""
        """The name of which it was said that it is taken."""

    def compose(self) -> ComposeResult:
        """A title, the name, the words about it, what is to be said of that, the keys."""
        preamble = self._preamble
        with Vertical(classes="dialog", id="save-preamble"):
            yield DialogTitle("Save among your preambles")
            for label, line, text in (
                ("Name", "name", preamble.name),
                ("Title", "title", preamble.title),
                ("In a line", "description", preamble.description),
            ):
                with Horizontal(classes="prompts-row"):
                    yield Label(label)
                    yield PathLine(value=text, id=f"save-{line}", classes="prompts-line")
            yield Static(id="save-verdict", markup=False)
            yield DialogKeys("Enter saves it · Tab next · {save.back} back")

    def on_mount(self) -> None:
        """Start with the name."""
        self.query_one("#save-name", PathLine).focus()

    def _typed(self, line: str) -> str:
        return self.query_one(f"#save-{line}", PathLine).value.strip()

    @on(Input.Changed)
    def forget_confirmation(self) -> None:
        """Cancel the confirmation: another name has to be confirmed anew."""
        if self._typed("name") != self._confirmed:
            self._confirmed = ""
            self.query_one("#save-verdict", Static).update("")

    @on(Input.Submitted)
    def submit(self) -> None:
        """Keep it, if the name is free or it was confirmed that it need not be."""
        self._keep(self._typed("name"))

    @work(exclusive=True, group="save")
    async def _keep(self, name: str) -> None:
        verdict = self.query_one("#save-verdict", Static)
        named = msgspec.structs.replace(
            self._preamble,
            name=name,
            title=self._typed("title"),
            description=self._typed("description"),
        )
        confirmed = bool(name) and name == self._confirmed
        try:
            saved = await asyncio.to_thread(self._save, named, confirmed)
        except UsageError as error:
            self._confirmed = name
            message = sanitize_line(error.message)
            verdict.update(Content.styled(f"▲ {message} Enter again replaces it.", "$warning"))
        except UrialError as error:
            verdict.update(
                Content.assemble(
                    (f"✖ {sanitize_line(error.message)}", "$error"), f" {sanitize_line(error.hint)}"
                )
            )
        else:
            self.dismiss(saved)
