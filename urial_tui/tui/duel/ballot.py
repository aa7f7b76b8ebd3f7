"""The ballot: a line of buttons and keys that say which of two answers is better.

Until both answers are there it asks nothing, and tells how far they are.
"""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Button, Static

from urial_tui.chat.votes import VotedFor

TIGHT = 60
"""Columns of a screen below which the buttons alone have room."""

_BUTTONS: tuple[tuple[VotedFor, str], ...] = (
    ("left", "A"),
    ("right", "B"),
    ("tie", "T tie"),
    ("neither", "N neither"),
)


class Ballot(Horizontal, can_focus=True):
    """One line that has the keys while the answers are read."""

    BINDING_GROUP_TITLE = "Vote"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "vote('left')", "A is better", id="sides.a"),
        Binding("b", "vote('right')", "B is better", id="sides.b"),
        Binding("t", "vote('tie')", "Equally good", id="sides.tie"),
        Binding("n", "vote('neither')", "Both are bad", id="sides.neither"),
        Binding("up,k", "screen.scroll_sides(-1)", "Line above", id="sides.up"),
        Binding("down,j", "screen.scroll_sides(1)", "Line below", id="sides.down"),
        Binding("pageup", "screen.page_transcript(-1)", "Page up", id="sides.page_up"),
        Binding("pagedown", "screen.page_transcript(1)", "Page down", id="sides.page_down"),
    ]

    class Voted(Message):
        """The user chose."""

        def __init__(self, choice: VotedFor) -> None:
            super().__init__()
            self.choice = choice

    def compose(self) -> ComposeResult:
        """How far the answers are; the question, and a button for each choice."""
        yield Static(id="ballot-progress", markup=False)
        yield Static("Which is better?", id="ballot-question", markup=False)
        for choice, label in _BUTTONS:
            button = Button(label, id=f"vote-{choice}", compact=True)
            # The keys are the ballot's: Enter must not vote for what happens to be first.
            button.can_focus = False
            yield button

    def tell(self, progress: str) -> None:
        """Say how far the answers are."""
        self.query_one("#ballot-progress", Static).update(progress)

    def action_vote(self, choice: VotedFor) -> None:
        """Post the vote."""
        self.post_message(self.Voted(choice))

    @on(Button.Pressed)
    def press(self, event: Button.Pressed) -> None:
        """Vote by a click."""
        event.stop()
        name = (event.button.id or "").removeprefix("vote-")
        self.action_vote(next(choice for choice, _ in _BUTTONS if choice == name))
