"""The dialogs for the file to which a conversation is exported, or from which some are imported."""

from __future__ import annotations

import asyncio
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

from urial_tui.chat.export import (
    Form,
    exported,
    form_of,
    free_path,
    read_file,
    whole_conversation,
    write_file,
)
from urial_tui.chat.store import Added, Store
from urial_tui.chat.turns import ConversationRecord
from urial_tui.errors import UrialError
from urial_tui.files import is_directory
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.conversations.conversation_words import trouble
from urial_tui.tui.widgets.dialog import DialogKeys, DialogTitle
from urial_tui.tui.widgets.path_line import PathLine, PathSuggester, typed_path

_FORMS: tuple[tuple[Form, str, str], ...] = (
    ("md", "Markdown", "the turns as you see them, to read and edit"),
    ("json", "JSON", "everything: other versions and tokens too"),
)


class ExportScreen(ModalScreen[Path | None]):
    """A dialog that exports, dismissed with the file that was written, or None.

    Args:
        store: Has the conversation.
        record: The conversation.
        directory: Where to put the file, if nothing else is typed.
    """

    BINDING_GROUP_TITLE = "Export"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="export.back"),
        Binding("tab", "change_form", "The other form", id="export.form"),
    ]

    def __init__(self, store: Store, record: ConversationRecord, directory: Path) -> None:
        super().__init__()
        self._store = store
        self._record = record
        self._directory = directory
        self._replaces: Path | None = None
        """The file that another Enter replaces."""

    def compose(self) -> ComposeResult:
        """A title, the path, the forms, what is wrong, the keys."""
        with Vertical(classes="dialog"):
            yield Static(
                f"Export “{sanitize_line(self._record.title) or '(no title)'}”",
                classes="dialog-title",
                markup=False,
            )
            yield PathLine(
                str(self._proposed("md")), suggester=PathSuggester(is_export), id="export-path"
            )
            yield Static(id="export-form", markup=False)
            yield Static(id="export-verdict", markup=False)
            yield DialogKeys(
                "Enter writes it, {export.form} changes the form, → completes, "
                "{export.back} goes back"
            )

    def on_mount(self) -> None:
        """Select the name of the file, to be typed over."""
        line = self.query_one(PathLine)
        line.select_on_focus = False
        line.action_end()
        self._show_form()

    @property
    def form(self) -> Form:
        """The format by the suffix of the path."""
        return form_of(Path(self.query_one(PathLine).value))

    @on(Click, "#export-form")
    def action_change_form(self) -> None:
        """Toggle the format: give the path the suffix of the other one."""
        line = self.query_one(PathLine)
        path = Path(line.value)
        ending = f".{'md' if self.form == 'json' else 'json'}"
        if path.name:
            named = path.suffix.lower() in (".md", ".json")
            line.value = str(path.with_suffix(ending) if named else f"{path}{ending}")
            line.action_end()

    @on(Input.Changed)
    def change_path(self) -> None:
        """Show the format."""
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
            path /= self._proposed(self.form).name
        try:
            await asyncio.to_thread(self._export, path, self.form, self._replaces == path)
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
            self.dismiss(path)

    def _export(self, path: Path, form: Form, replace: bool) -> None:
        """Export, in a thread. FileExistsError where it may not replace."""
        text = exported([whole_conversation(self._store, self._record.id)], form)
        write_file(path, text, replace=replace)

    def _proposed(self, form: Form) -> Path:
        return free_path(self._directory, self._record.title, form)

    def _say(self, verdict: Content) -> None:
        self.query_one("#export-verdict", Static).update(verdict)


class ConversationImportScreen(ModalScreen[Added | None]):
    """A dialog that imports, dismissed with what was imported, or None.

    Args:
        store: Takes it in.
    """

    BINDING_GROUP_TITLE = "Import"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="import.back")
    ]

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def compose(self) -> ComposeResult:
        """A title, the path, what is wrong, the keys."""
        with Vertical(classes="dialog"):
            yield DialogTitle("Import conversations")
            yield PathLine(
                placeholder="Path of a .md or .json file; → completes it",
                suggester=PathSuggester(is_export),
                id="import-path",
            )
            yield Static(_WHAT_IS_READ, id="import-verdict", markup=False)
            yield DialogKeys("Enter takes it in, → completes the path, {import.back} goes back")

    @on(Input.Changed)
    def change_path(self) -> None:
        """Clear the verdict: it was about another path."""
        self._say(_WHAT_IS_READ)

    @on(Input.Submitted)
    def submit(self, event: Input.Submitted) -> None:
        """Import the file."""
        path = typed_path(event.value)
        if path is None:
            self._say(Content.styled("Type the path of a file.", "$warning"))
        else:
            self._read_file(path)

    @work(exclusive=True, group="file")
    async def _read_file(self, path: Path) -> None:
        try:
            added = await asyncio.to_thread(lambda: self._store.add(read_file(path)))
        except UrialError as error:
            self._say(trouble(error))
        else:
            self.dismiss(added)

    def _say(self, verdict: Content) -> None:
        self.query_one("#import-verdict", Static).update(verdict)


_WHAT_IS_READ = Content.styled(
    "Files that were exported here, and Markdown with “## You” and “## Assistant” in front of "
    "the turns. Each becomes a conversation of its own.",
    "$quiet",
)


def is_export(path: Path) -> bool:
    """Whether a path is offered: a directory, or a file of one of the forms."""
    if path.name.startswith(".") or sanitize_line(path.name) != path.name:
        return False
    return path.suffix.lower() in (".md", ".json") or is_directory(path)
