"""A row of buttons for the verdict on two answers, which keys press as well as clicks."""

from __future__ import annotations

from collections.abc import Mapping

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Button, Static

from urial_tui.evaluate.blind_judging import BlindVerdict

_LABELS: tuple[tuple[BlindVerdict, str], ...] = (
    ("left", "A better"),
    ("right", "B better"),
    ("same", "as good"),
    ("skip", "skip"),
)


class VerdictRow(Horizontal):
    """One line with a button for each verdict; none of them ever has the focus."""

    class Chosen(Message):
        """A verdict was clicked."""

        def __init__(self, verdict: BlindVerdict) -> None:
            super().__init__()
            self.verdict = verdict

    def compose(self) -> ComposeResult:
        """The question, and a button for each answer to it."""
        yield Static("Which is better?", markup=False)
        for verdict, label in _LABELS:
            button = Button(label, id=f"verdict-{verdict}", compact=True)
            button.can_focus = False
            yield button

    def name_keys(self, keys: Mapping[BlindVerdict, str]) -> None:
        """Say which keys stand for the verdicts."""
        for verdict, label in _LABELS:
            key = keys[verdict]
            told = label if label.startswith(f"{key} ") else f"{key} {label}"
            self.query_one(f"#verdict-{verdict}", Button).label = told

    @on(Button.Pressed)
    def press(self, event: Button.Pressed) -> None:
        """A click is a verdict."""
        event.stop()
        name = (event.button.id or "").removeprefix("verdict-")
        self.post_message(self.Chosen(next(one for one, _ in _LABELS if one == name)))
