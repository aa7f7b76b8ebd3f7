"""The import of a preamble file: one of ours, or a text file as URIAL's authors publish them."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePath
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
from urial_tui.files import is_directory, is_file
from urial_tui.prompting.own_preambles import save_own
from urial_tui.prompting.preamble_file import read_preamble
from urial_tui.prompting.published import Imported, import_published, name_for
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.widgets.dialog import DialogKeys, DialogTitle
from urial_tui.tui.widgets.path_line import PathLine, PathSuggester, typed_path


class PreambleImportScreen(ModalScreen[Imported | None]):
    """A dialog dismissed with the imported preamble, which is the user's own now, or None."""

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../frame/first_run.tcss", "prompts.tcss"]
    BINDING_GROUP_TITLE = "Import a preamble"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="import_preamble.back")
    ]

    def __init__(self) -> None:
        super().__init__()
        self._confirmed: tuple[str, str] | None = None
        """The file and the name of which it was said that the name is taken."""

    def compose(self) -> ComposeResult:
        """A title, the file, the name, what is to be said of them, the keys."""
        offered = PathSuggester(lambda path: is_directory(path) or is_file(path))
        with Vertical(classes="dialog", id="import-preamble"):
            yield DialogTitle("Import a preamble")
            with Horizontal(classes="prompts-row"):
                yield Label("File")
                yield PathLine(
                    placeholder="a .toml of this program, or a published .txt",
                    suggester=offered,
                    id="import-file",
                    classes="prompts-line",
                )
            with Horizontal(classes="prompts-row"):
                yield Label("Name")
                yield PathLine(
                    placeholder="by the file's name", id="import-name", classes="prompts-line"
                )
            yield Static(id="preamble-verdict", markup=False)
            yield DialogKeys(
                "Enter imports it · → completes · Tab next · {import_preamble.back} back"
            )

    def on_mount(self) -> None:
        """Start with the file."""
        self.query_one("#import-file", PathLine).focus()

    @on(Input.Changed)
    def forget_verdict(self) -> None:
        """Clear the verdict: it was about what stood there before."""
        if self._typed() != self._confirmed:
            self._confirmed = None
            self.query_one("#preamble-verdict", Static).update("")

    @on(Input.Submitted)
    def submit(self) -> None:
        """Import it, if the name is free or it was confirmed that it need not be."""
        self._import(self._typed())

    def _typed(self) -> tuple[str, str]:
        file, name = (self.query_one(f"#import-{n}", PathLine).value for n in ("file", "name"))
        return file, name.strip()

    @work(exclusive=True, group="import")
    async def _import(self, typed: tuple[str, str]) -> None:
        path = typed_path(typed[0])
        if path is None:
            return
        try:
            found = await asyncio.to_thread(
                _imported, path, typed[1], replace=typed == self._confirmed
            )
        except UsageError as error:
            self._confirmed = typed
            self._say(f"▲ {sanitize_line(error.message)} Enter again replaces it.", "$warning")
        except UrialError as error:
            hint = "" if "--" in error.hint else f" {sanitize_line(error.hint)}"
            self._say(f"✖ {sanitize_line(error.message)}{hint}", "$error")
        else:
            self.dismiss(found)

    def _say(self, verdict: str, style: str) -> None:
        self.query_one("#preamble-verdict", Static).update(Content.styled(verdict, style))


def _imported(path: Path, name: str, *, replace: bool) -> Imported:
    """Import a file into the user's own preambles.

    Raises:
        UsageError: There is one of that name, and it is not to go.
        PreambleError: It is no preamble, or can't be kept under that name.
    """
    if path.suffix.lower() == ".toml":
        read = read_preamble(path)
        found = Imported(msgspec.structs.replace(read, name=name or read.name), ())
    else:
        found = import_published(path, name or name_for(path))
    return Imported(save_own(found.preamble, replace=replace), found.notes)
