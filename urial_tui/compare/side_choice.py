"""What the user chooses for a side: a model and a context, and what there is to choose from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import list_preambles

if TYPE_CHECKING:
    from urial_tui.compare.sides import Side
    from urial_tui.runtime.host import ModelFile

_CONTEXTS = (
    ("zero-shot", "headings only"),
    ("chat", "the model's template"),
    ("raw", "the question alone"),
)
_SAME = ("same", "the other side's tokens")


class SideChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What the user picked for a side. `preamble` is set where `context` is one's name."""

    model: str
    context: str
    preamble: Preamble | None = None

    def __str__(self) -> str:
        """In words, without the directories of files."""
        files = "+".join(Path(part).name for part in self.model.split("+"))
        return f"{files} ({self.context})"


def side_of(choice: SideChoice, model: ModelFile) -> Side:
    """The side that was chosen, from its model's files.

    Raises:
        PreambleError: There is no such preamble.
    """
    # These bring numpy along, which nobody should wait for who only chats.
    from urial_tui.compare.sides import Side
    from urial_tui.prompting.context import Context, find_context

    context = (
        find_context(choice.context)
        if choice.preamble is None
        else Context(name=choice.preamble.name, preamble=choice.preamble)
    )
    return Side.of(choice.model, model, context)


def contexts_of_side(*, same: bool) -> list[tuple[str, str]]:
    """(name, what it is) of the contexts that a side can have.

    Preambles that can't be read are left out. `same`: whether there is another side's.
    """
    found = [*_CONTEXTS, *([_SAME] if same else [])]
    known = {name for name, _ in found}
    return found + [
        (entry.name, "preamble")
        for entry in list_preambles()
        if entry.preamble is not None and entry.name not in known
    ]
