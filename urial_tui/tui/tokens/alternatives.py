"""A list of the alternatives to a token; choosing one writes the answer anew from there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from urial_tui.engine.wire.values import Alternative, SamplerStage
from urial_tui.tui.drawing.figures import bar, fit, percent
from urial_tui.tui.tokens.traced_answer import TracedAnswer

DIGITS = "1234567890"
_FIXED = 20
"""Columns beside the name and the bar."""
_OUTCOME = 8


class Alternatives(OptionList):
    """The tokens of one place, the most probable first; the written one is marked.

    Each with the model's probability and the one with which the sampler chain chooses it, or
    the stage that cuts it.
    """

    BINDING_GROUP_TITLE = "Alternatives"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "screen.step(-1)", "Token before", id="tokens.before"),
        Binding("right", "screen.step(1)", "Token after", id="tokens.after"),
    ]

    def __init__(self, answer: TracedAnswer, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._answer = answer
        self._index = -1
        self._shown: list[Alternative] = []

    def show(self, index: int) -> None:
        """List the tokens of a place, the written one highlighted."""
        self._index = index
        self._shown = self._answer.alternatives(index)
        self._draw()
        written = self._answer.tokens[index].id
        self.highlighted = next(at for at, other in enumerate(self._shown) if other.id == written)

    def token(self, number: int) -> int | None:
        """The id of the token at a place of the list."""
        return self._shown[number].id if 0 <= number < len(self._shown) else None

    def on_resize(self) -> None:
        """The columns have other widths."""
        highlighted = self.highlighted
        self._draw()
        self.highlighted = highlighted

    def _draw(self) -> None:
        width = max(_FIXED + 10, self.content_size.width)
        self.set_options(
            Option(self._row(number, other, width)) for number, other in enumerate(self._shown)
        )

    def _row(self, number: int, other: Alternative, width: int) -> Content:
        answer = self._answer
        written = other.id == answer.tokens[self._index].id
        name_width = _name_width(width)
        style = "bold $primary" if written else ""
        stages = answer.trace.sampling.stages
        return Content.assemble(
            (DIGITS[number], "$quiet"),
            ("▸" if written else " ", style),
            (fit(answer.quoted(other.id), name_width), style),
            f" {percent(other.p):>6} ",
            (
                fit(bar(other.p, width - _FIXED - name_width), width - _FIXED - name_width),
                "$secondary",
            ),
            " ",
            outcome(other, stages),
        )


class AlternativesHeading(Widget):
    """The names of the columns; it has the list's width."""

    def render(self) -> Content:
        """One line."""
        width = max(_FIXED + 10, self.content_size.width)
        name_width = _name_width(width)
        gap = " " * (width - _FIXED - name_width + 1)
        return Content.styled(
            f"  {'instead':<{name_width}}  model {gap}{'chosen':>{_OUTCOME}}",
            "bold $secondary underline",
        )


def _name_width(width: int) -> int:
    return max(6, min(20, (width - _FIXED) * 2 // 3))


def outcome(other: Alternative, stages: Sequence[SamplerStage]) -> Content:
    """The probability of being chosen, or which stage cuts a token."""
    if other.passed == len(stages):
        return Content(f"{percent(other.chance):>{_OUTCOME}}")
    return Content.styled(f"✂ {stages[other.passed]:<6}".rjust(_OUTCOME), "$quiet")
