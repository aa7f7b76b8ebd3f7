"""An answer's tokens coloured by the probability that the model gave them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType

from urial_tui.tui.drawing.token_strip import StripToken, TokenStrip

LEVELS: tuple[tuple[str, float], ...] = (
    ("sure", 0.9),
    ("likely", 0.5),
    ("open", 0.2),
    ("unlikely", 0.05),
    ("rare", 0.0),
)
"""Names of the steps and the probabilities from which they reach, downwards."""

_IMPROBABLE = ("unlikely", "rare")


def level(p: float) -> str:
    """The step that a probability is on."""
    return next((name for name, least in LEVELS if p >= least), LEVELS[-1][0])


class TracedStrip(TokenStrip):
    """Shows tokens by their probability."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "halt(1)", "Next improbable token", id="tokens.next_improbable"),
        Binding("N", "halt(-1)", "Improbable token before", id="tokens.previous_improbable"),
        Binding("enter", "screen.alternatives", "To the alternatives", id="tokens.alternatives"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"token-strip--{name}" for name, _ in LEVELS}

    def add_tokens(self, tokens: Iterable[tuple[str, float]]) -> None:
        """Show more tokens, each with its probability."""
        levels = [(text, level(p)) for text, p in tokens]
        self.add([StripToken(text, name, name in _IMPROBABLE) for text, name in levels])
