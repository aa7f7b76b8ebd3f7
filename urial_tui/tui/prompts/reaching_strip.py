"""A token strip of what reaches the model: blocks that can be told from each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from urial_tui.runtime.cutter import ContextToken
from urial_tui.tui.drawing.token_strip import StripToken, TokenStrip


class ReachingStrip(TokenStrip):
    """Shows tokens by what they are; every second one is set off from its neighbours."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "halt(1)", "Next part of it", id="reaching.next_part"),
        Binding("N", "halt(-1)", "Part before", id="reaching.part_before"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "token-strip--control",
        "token-strip--even",
        "token-strip--odd",
        "token-strip--asked-even",
        "token-strip--asked-odd",
    }

    def show_context(self, tokens: Sequence[ContextToken]) -> None:
        """Show the tokens of a context, the cursor on the first."""
        self.show([_shown(place, token, tokens) for place, token in enumerate(tokens)])


def token_text(token: ContextToken) -> str:
    """A token's text; bytes that are no UTF-8 as \\xNN."""
    return token.data.decode("utf-8", "backslashreplace")


def _shown(place: int, token: ContextToken, tokens: Sequence[ContextToken]) -> StripToken:
    style = "odd" if place % 2 else "even"
    if token.control:
        style = "control"
    elif token.part == "turn":
        style = f"asked-{style}"
    begins = place == 0 or tokens[place - 1].part != token.part
    return StripToken(token_text(token), style, begins or token.control)
