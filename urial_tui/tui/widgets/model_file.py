"""Choosing a model file: a path that completes itself, what the file is, and the files there are.

A file is looked at while its path is typed; only a sound one that fits into this machine
can be chosen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import DirectoryTree, Input, Static

from urial_tui.errors import ModelError
from urial_tui.files import is_directory, is_there
from urial_tui.models.summary import ModelSummary
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.widgets.path_line import PathLine, PathSuggester, completion, typed_path

ReadSummary = Callable[[Path], ModelSummary]
"""Reads a model file; raises ModelError."""


class ModelTree(DirectoryTree):
    """Directories and the .gguf files in them."""

    ICON_NODE = "▸ "
    ICON_NODE_EXPANDED = "▾ "
    ICON_FILE = "  "

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Leave out what is hidden, and all files that are no models by their name."""
        return [path for path in paths if is_offered(path)]

    def process_label(self, label: str | Text) -> Text:
        """Escape a file's name: no name is markup."""
        return Text(sanitize_line(label if isinstance(label, str) else label.plain))


class ModelFileField(Vertical):
    """A line for a path, what is known of that file, and a tree to pick it from.

    Args:
        start: The directory that the tree shows.
        look: Reads a file, in a thread.
    """

    class Chosen(Message):
        """The user took a sound model file."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    def __init__(self, start: Path, look: ReadSummary) -> None:
        super().__init__()
        self._start = start
        self._look = look
        self._sound: Path | None = None

    def compose(self) -> ComposeResult:
        """The line, the verdict, the tree."""
        yield PathLine(
            placeholder="Path of a .gguf file; → completes it",
            suggester=PathSuggester(is_offered),
            id="file-path",
        )
        yield Static(id="file-verdict", markup=False)
        yield ModelTree(self._start, id="file-tree")

    def on_mount(self) -> None:
        """Say how a file is chosen."""
        self._say(Content.styled("or pick one below; directories open with Enter", "$quiet"))

    @on(Input.Changed, "#file-path")
    def look_at_path(self, event: Input.Changed) -> None:
        """Say what is at that path."""
        self._sound = None
        self._show_verdict(event.value)

    @on(DirectoryTree.FileSelected)
    def take_from_tree(self, event: DirectoryTree.FileSelected) -> None:
        """Put the file into the line; taking it is another Enter."""
        event.stop()
        line = self.query_one("#file-path", Input)
        line.value = str(event.path)
        line.cursor_position = len(line.value)
        line.focus()

    @on(Input.Submitted, "#file-path")
    async def take(self, event: Input.Submitted) -> None:
        """Post the file as chosen, if it is sound; show a directory in the tree."""
        event.stop()
        path = typed_path(event.value)
        if path is not None and is_directory(path):
            tree = self.query_one(ModelTree)
            tree.path = path
            tree.focus()
            return
        if self._sound is None:
            await self._show_verdict(event.value).wait()
        if self._sound is not None:
            self.post_message(self.Chosen(self._sound))

    @work(exclusive=True, group="look")
    async def _show_verdict(self, text: str) -> None:
        path = typed_path(text)
        if path is None:
            self._say(Content.styled("or pick one below; directories open with Enter", "$quiet"))
            return
        if await asyncio.to_thread(is_directory, path):
            self._say(Content.styled("A directory: Enter shows its models below.", "$quiet"))
            return
        if await asyncio.to_thread(_is_start_of_path, path, text):
            self._say(Content.styled("Type on; → completes it.", "$quiet"))
            return
        try:
            summary = await asyncio.to_thread(self._look, path)
        except ModelError as error:
            self._say(
                Content.assemble(
                    (f"✖ {sanitize_line(error.message)} ", "bold $error"),
                    sanitize_line(error.hint),
                )
            )
            return
        self._sound = path
        self._say(described(summary))

    def _say(self, verdict: Content) -> None:
        self.query_one("#file-verdict", Static).update(verdict)


def is_offered(path: Path) -> bool:
    """Whether a path is shown to be chosen: a directory or a .gguf file.

    Not if it is hidden, or if its name can't be drawn as it is.
    """
    if path.name.startswith(".") or sanitize_line(path.name) != path.name:
        return False
    return path.suffix.lower() == ".gguf" or is_directory(path)


def _is_start_of_path(path: Path, text: str) -> bool:
    return not is_there(path) and completion(text, is_offered) is not None


def described(summary: ModelSummary) -> Content:
    """A sound model in one or two lines."""
    parts = [
        sanitize_line(summary.architecture)[:40],
        f"{count(summary.parameters)} parameters" if summary.parameters else "",
        f"{size(summary.size)} file",
        f"needs {size(summary.memory)} of memory",
        "" if summary.available is None else f"{size(summary.available)} free",
    ]
    return Content.assemble(
        (f"✔ {sanitize_line(summary.name)[:60]}", "bold $success"),
        f"  {' · '.join(part for part in parts if part)}. Enter takes it.",
        (f"\n{sanitize_line(summary.warning)}" if summary.warning else "", "$warning"),
    )


def count(parameters: int) -> str:
    """A number of parameters as models are called by it: 270M, 7.25B."""
    number, _, prefix = size(parameters, "").partition(" ")
    return number + {"k": "K", "G": "B"}.get(prefix, prefix)


def size(number: int, unit: str = "B") -> str:
    """Bytes (or what `unit` says) with three digits: 253 MB, 4.92 GB."""
    value, prefix = float(number), ""
    for prefix in ("", "k", "M", "G", "T"):
        if value < 999.5 or prefix == "T":
            break
        value /= 1000
    digits = 0 if not prefix or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {prefix}{unit}".strip()
