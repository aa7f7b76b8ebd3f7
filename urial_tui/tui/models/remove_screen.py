"""The confirmation before a model is removed: its files, what else uses them, what that frees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from urial_tui import wording
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.widgets.dialog import DialogKeys, DialogTitle

_SHOWN = 20
"""Files that are listed; a model may have a thousand parts."""


class RemoveScreen(ModalScreen[bool]):
    """A dialog dismissed with whether to remove it.

    Args:
        name: What is removed.
        files: Its files.
        frees: Bytes that are freed.
        uses: What else uses them, clauses.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../frame/first_run.tcss", "models.tcss"]
    BINDING_GROUP_TITLE = "Remove a model"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Remove it", id="remove_model.remove"),
        Binding("escape", "dismiss(False)", "Back", id="remove_model.back"),
    ]

    def __init__(self, name: str, files: Sequence[Path], frees: int, uses: Sequence[str]) -> None:
        super().__init__()
        self._shown_name = name
        self._files = files
        self._frees = frees
        self._uses = uses

    def compose(self) -> ComposeResult:
        """A title, what goes, what else uses it, the keys."""
        with Vertical(classes="dialog", id="remove-model"):
            yield DialogTitle("Remove ", self._shown_name)
            with VerticalScroll(classes="models-body"):
                yield Static(Content("\n").join(self._lines()), markup=False)
            yield DialogKeys("{remove_model.remove} removes it · {remove_model.back} back")

    def _lines(self) -> list[Content]:
        lines = [Content(sanitize_line(str(path))) for path in self._files[:_SHOWN]]
        if len(self._files) > _SHOWN:
            lines.append(Content.styled(f"and {len(self._files) - _SHOWN:,} more", "$quiet"))
        uses = [
            Content.styled(f"▲ {sanitize_line(wording.capital(use))}.", "$warning")
            for use in self._uses
        ]
        return [*lines, *uses, Content(f"This frees {wording.size(self._frees)}.")]
