"""A widget of one of two sides: who answers, the answer as it streams, and its state.

While the names are hidden, nothing that this widget holds tells who answers: the answer's
record is given to it only with `finish`.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from urial_tui.chat.turns import TurnRecord
from urial_tui.chat.votes import Contestant
from urial_tui.sanitize import sanitize, sanitize_line, short_name
from urial_tui.tui.chat.turn import ending
from urial_tui.tui.drawing.answer_text import AnswerText


class SideView(Vertical):
    """A title, an answer that scrolls, a line about it.

    Args:
        letter: What the side is called.
    """

    def __init__(self, letter: str, *, id: str) -> None:  # Textual's name
        super().__init__(id=id)
        self.letter = letter

    def compose(self) -> ComposeResult:
        """From the top."""
        yield Static(classes="side-title", markup=False)
        # The text's container is never lower than the view: what is anchored and shorter would
        # hang at the lower edge.
        answer = VerticalScroll(classes="side-answer", can_focus=False)
        with answer, Vertical(classes="side-text"):
            yield AnswerText()
        yield Static(classes="side-state", markup=False)

    def name_it(self, contestant: Contestant | None, mark: str = "") -> None:
        """Say who answers; None hides it. `mark`: what the vote said."""
        if contestant is None:
            who = Content.styled("name hidden", "$quiet")
        else:
            who = Content.assemble(
                short_name(contestant.model),
                (" · ", "$quiet"),
                (sanitize_line(contestant.preamble), "$secondary"),
            )
        self.call_it(Content.assemble(who, (f"  {mark}" if mark else "", "bold $success")))

    def call_it(self, name: Content) -> None:
        """Name what stands behind the letter."""
        self.query_one(".side-title", Static).update(
            Content.assemble((self.letter, "bold $primary"), "  ", name)
        )

    def say(self, state: Content | str) -> None:
        """Say how far the answer is."""
        self.query_one(".side-state", Static).update(
            Content.styled(state, "$quiet") if isinstance(state, str) else state, layout=False
        )

    @property
    def text(self) -> AnswerText:
        """The widget of the answer's text."""
        return self.query_one(AnswerText)

    def clear(self) -> None:
        """Make room for another answer."""
        self.text.update("")
        scroll = self.query_one(VerticalScroll)
        scroll.release_anchor()
        scroll.scroll_home(animate=False)

    def follow(self) -> None:
        """Keep the end of the answer in view while it grows."""
        self.query_one(VerticalScroll).anchor()

    def write(self, text: str) -> None:
        """Append to the answer."""
        self.text.append(sanitize(text))

    def finish(self, answer: TurnRecord | None) -> None:
        """Show the answer as it was stored, and what it cost."""
        if answer is None:
            self.say("■ not answered")
            return
        self.text.update(sanitize(answer.text))
        self.say(ending(answer))

    def scroll_by(self, lines: int) -> None:
        """Scroll the answer."""
        scroll = self.query_one(VerticalScroll)
        scroll.release_anchor()
        scroll.scroll_relative(y=lines, animate=False)

    def page(self, direction: int) -> None:
        """Move through the answer by what is in view."""
        height = self.query_one(VerticalScroll).scrollable_content_region.height
        self.scroll_by(direction * max(1, height - 1))


def blind_ending(answer: TurnRecord) -> str:
    """How an answer ended in words that do not tell who wrote it."""
    match answer.stop_reason:
        case "cancelled":
            return "■ stopped"
        case "length":
            return "✂ cut at the length limit"
        case _:
            return ""
