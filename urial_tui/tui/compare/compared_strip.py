"""The compared answer: its tokens coloured by how far the base side is from writing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from urial_tui.compare.comparison_result import ComparedToken
from urial_tui.tui.drawing.token_strip import StripToken, TokenStrip


class ComparedStrip(TokenStrip):
    """Shows positions by their class."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "halt(1)", "Next shifted token", id="compare.next_shifted"),
        Binding("N", "halt(-1)", "Shifted token before", id="compare.previous_shifted"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "token-strip--unshifted",
        "token-strip--marginal",
        "token-strip--shifted",
        "token-strip--absent",
    }

    def show_positions(self, positions: Sequence[ComparedToken]) -> None:
        """Show scored tokens, the cursor on the first."""
        self.show([_shown(position) for position in positions])


def _shown(position: ComparedToken) -> StripToken:
    quiet = position.special and position.kind == "unshifted"
    return StripToken(
        position.text,
        "special" if quiet else position.kind,
        halt=position.kind in ("shifted", "absent"),
    )
