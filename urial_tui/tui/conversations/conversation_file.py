"""Asking for the file that a conversation is written to, or read from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from urial_tui.chat.export import Form, form_of
from urial_tui.errors import UrialError
from urial_tui.files import is_directory
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.keys import keyed
from urial_tui.tui.widgets.path_line import PathLine, PathSuggester, typed_path

Write = Callable[[Path, Form, bool], Path]
"""Writes the file: where, in what form, whether one that is there is replaced."""
Read = Callable[[Path], Sequence[str]]
"""Takes in what is in a file; the titles."""

_FORMS: tuple[tuple[Form, str, str], ...] = (
    ("md", "Markdown", "the turns as you see them, to read and edit"),
    ("json", "JSON", "everything: other versions and tokens too"),
)


class ExportScreen(ModalScreen[Path | None]):
    """Ends with the file that was written, or None.

    Args:
        title: Of the conversation.
        propose: A path for a form.
        write: Called in a thread; FileExistsError where it may not replace.
    """

    BINDING_GROUP_TITLE = "Export"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="export.back"),
        Binding("tab", "change_form", "The other form", id="export.form"),
    ]

    def __init__(self, title: str, propose: Callable[[Form], Path], write: Write) -> None:
        super().__init__()
        self._title = title
        self._propose = propose
        self._write = write
        self._replaces: Path | None = None
        """The file that another Enter replaces."""

    def compose(self) -> ComposeResult:
        """A title, the path, the forms, what is wrong, the keys."""
        with Vertical(classes="dialog"):
            yield Static(
                f"Export “{sanitize_line(self._title) or '(no title)'}”",
                classes="dialog-title",
                markup=False,
            )
            yield PathLine(
                str(self._propose("md")), suggester=PathSuggester(is_export), id="export-path"
            )
            yield Static(id="export-form", markup=False)
            yield Static(id="export-verdict", markup=False)
            yield Static(
                keyed(
                    self,
                    "Enter writes it, {export.form} changes the form, → completes, "
                    "{export.back} goes back",
                ),
                classes="dialog-keys",
                markup=False,
            )

    def on_mount(self) -> None:
        """The name of the file can be typed over at once."""
        line = self.query_one(PathLine)
        line.select_on_focus = False
        line.action_end()
        self._show_form()

    @property
    def form(self) -> Form:
        """The form that the ending of the path stands for."""
        return form_of(Path(self.query_one(PathLine).value))

    @on(Click, "#export-form")
    def action_change_form(self) -> None:
        """Give the path the ending of the other form."""
        line = self.query_one(PathLine)
        path = Path(line.value)
        ending = f".{'md' if self.form == 'json' else 'json'}"
        if path.name:
            named = path.suffix.lower() in (".md", ".json")
            line.value = str(path.with_suffix(ending) if named else f"{path}{ending}")
            line.action_end()

    @on(Input.Changed)
    def change_path(self) -> None:
        """Show what form that is."""
        self._say(Content(""))
        self._replaces = None
        self._show_form()

    def _show_form(self) -> None:
        chosen = self.form
        lines = [
            Content.assemble(
                ("▸ " if form == chosen else "  ", "$primary"),
                (f"{name:<10}", "bold" if form == chosen else "$quiet"),
                (what, "" if form == chosen else "$quiet"),
            )
            for form, name, what in _FORMS
        ]
        self.query_one("#export-form", Static).update(Content("\n").join(lines))

    @on(Input.Submitted)
    def submit(self, event: Input.Submitted) -> None:
        """Write the file."""
        path = typed_path(event.value)
        if path is None:
            self._say(Content.styled("Type where to write it.", "$warning"))
        else:
            self._write_file(path)

    @work(exclusive=True, group="file")
    async def _write_file(self, path: Path) -> None:
        if await asyncio.to_thread(is_directory, path):
            path /= self._propose(self.form).name
        try:
            written = await asyncio.to_thread(self._write, path, self.form, self._replaces == path)
        except FileExistsError:
            self._replaces = path
            self._say(
                Content.styled(
                    f"{sanitize_line(path.name)} is there already. Enter again replaces it.",
                    "bold $warning",
                )
            )
        except UrialError as error:
            self._say(trouble(error))
        else:
            self.dismiss(written)

    def _say(self, verdict: Content) -> None:
        self.query_one("#export-verdict", Static).update(verdict)


class ImportScreen(ModalScreen[Sequence[str] | None]):
    """Ends with the titles of what was taken in, or None.

    Args:
        read: Called in a thread.
    """

    BINDING_GROUP_TITLE = "Import"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="import.back")
    ]

    def __init__(self, read: Read) -> None:
        super().__init__()
        self._read = read

    def compose(self) -> ComposeResult:
        """A title, the path, what is wrong, the keys."""
        with Vertical(classes="dialog"):
            yield Static("Import conversations", classes="dialog-title", markup=False)
            yield PathLine(
                placeholder="Path of a .md or .json file; → completes it",
                suggester=PathSuggester(is_export),
                id="import-path",
            )
            yield Static(_WHAT_IS_READ, id="import-verdict", markup=False)
            yield Static(
                keyed(self, "Enter takes it in, → completes the path, {import.back} goes back"),
                classes="dialog-keys",
                markup=False,
            )

    @on(Input.Changed)
    def change_path(self) -> None:
        """What was wrong was wrong with another path."""
        self._say(_WHAT_IS_READ)

    @on(Input.Submitted)
    def submit(self, event: Input.Submitted) -> None:
        """Take the file in."""
        path = typed_path(event.value)
        if path is None:
            self._say(Content.styled("Type the path of a file.", "$warning"))
        else:
            self._read_file(path)

    @work(exclusive=True, group="file")
    async def _read_file(self, path: Path) -> None:
        try:
            titles = await asyncio.to_thread(self._read, path)
        except UrialError as error:
            self._say(trouble(error))
        else:
            self.dismiss(titles)

    def _say(self, verdict: Content) -> None:
        self.query_one("#import-verdict", Static).update(verdict)


_WHAT_IS_READ = Content.styled(
    "Files that were exported here, and Markdown with “## You” and “## Assistant” in front of "
    "the turns. Each becomes a conversation of its own.",
    "$quiet",
)


def trouble(error: UrialError) -> Content:
    """What went wrong, and what helps."""
    return Content.assemble(
        (f"✖ {sanitize_line(error.message)} ", "bold $error"), sanitize_line(error.hint)
    )


def is_export(path: Path) -> bool:
    """Whether a path is offered: a directory, or a file of one of the forms."""
    if path.name.startswith(".") or sanitize_line(path.name) != path.name:
        return False
    return path.suffix.lower() in (".md", ".json") or is_directory(path)
