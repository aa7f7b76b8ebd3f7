"""The dialog that chooses one of several code blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from urial_tui.sanitize import sanitize, sanitize_line
from urial_tui.tui.drawing.code_blocks import CodeBlock
from urial_tui.tui.widgets.dialog import DialogKeys, DialogTitle

PREVIEW_LINES = 3


class PickCodeScreen(ModalScreen[CodeBlock | None]):
    """A list of the blocks with their first lines, dismissed with the chosen one, or None."""

    BINDING_GROUP_TITLE = "Code"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="pick_code.back")
    ]

    def __init__(self, blocks: Sequence[CodeBlock]) -> None:
        super().__init__()
        self._blocks = blocks

    def compose(self) -> ComposeResult:
        """A title, the blocks, the keys."""
        with Vertical(classes="dialog"):
            yield DialogTitle("Copy which code block?")
            yield OptionList(*map(_option, self._blocks), markup=False)
            yield DialogKeys("Enter copies, {pick_code.back} goes back")

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Dismiss the screen with the choice."""
        self.dismiss(self._blocks[event.option_index])


def _option(block: CodeBlock) -> Option:
    lines = block.text.rstrip("\n").split("\n")
    count = f"{len(lines)} line{'s' if len(lines) != 1 else ''}"
    preview = [Content(f"  {sanitize(line)}") for line in lines[:PREVIEW_LINES]]
    about = Content.styled(
        " · ".join(filter(None, (sanitize_line(block.language), count))), "$quiet"
    )
    return Option(Content("\n").join([about, *preview]))
