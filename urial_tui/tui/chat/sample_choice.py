"""A widget of several answers to one question, one below the other, to choose from.

While they are written each shows its last lines. When all are over each shows how it begins, one
of them is marked, and digits, the cursor keys with Enter or a click choose. The block only tells
what was chosen; it moves nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from urial_tui.chat.turns import TurnRecord
from urial_tui.sanitize import sanitize
from urial_tui.tui.chat.turn import how_it_ended
from urial_tui.wording import amount

MOST_LINES = 8
"""Lines of text that an answer shows at most while it is written."""
BEGINNING = 3
"""And when it is over: the one that is looked at is shown whole besides."""
FRAME_LINES = 14
"""Lines of the screen that are not for the answers: header, question, prompt, status."""


class SampleView(Widget):
    """One of the answers: a line about it, and some lines of its text.

    Args:
        number: Which one it is, from 1.
        seed: What it is drawn with.
    """

    class Clicked(Message):
        """The user clicked on an answer that is over."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, number: int, seed: int | None) -> None:
        super().__init__()
        self.number = number
        self.seed = seed
        self.text = ""
        self.generated = 0
        self.answer: TurnRecord | None = None
        """As it is stored, once all are over."""
        self.lines = 1
        """Lines of text; 0: what fits beside what is told of it."""
        self._over = False

    def write(self, text: str, generated: int) -> None:
        """Append to the answer."""
        self.text += text
        self.generated = max(self.generated, generated)
        self.refresh()

    def end(self) -> None:
        """Note that nothing is appended any more."""
        self._over = True
        self.refresh()

    def settle(self, answer: TurnRecord) -> None:
        """Show it as it was stored."""
        self.answer, self.text, self.generated = answer, answer.text, answer.generated
        self.refresh()

    def fit(self, lines: int) -> None:
        """Show so many lines of text."""
        self.lines = lines
        self.styles.height = 1 + lines
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Post that it was clicked, once it can be looked at."""
        if self.answer is not None:
            event.stop()
            self.post_message(self.Clicked(self.number))

    def render(self) -> Content:
        """Its number, seed and length, then its text: the end of it, or the beginning."""
        width = max(2, self.content_size.width)
        head = self._head()
        if not self.lines:
            beside = width - head.cell_length - 2
            if beside < 8:
                return head.truncate(width, ellipsis=True)
            (text,) = self._body(beside, 1) or [Content("")]
            return Content.assemble(head, "  ", text)
        return Content("\n").join(
            [head.truncate(width, ellipsis=True), *self._body(width, self.lines)]
        )

    def _head(self) -> Content:
        """The headline; shorter where it shares one line with the text."""
        marked = self.has_class("-marked")
        name = Content.styled(f"{'▸' if marked else ' '} {self.number}", "bold $primary")
        ended = Content("") if self.answer is None else how_it_ended(self.answer)
        told_length = self.generated and (self.lines or self.answer is None)
        written = amount(self.generated, "token") if told_length else ""
        done = "done" if self._over and self.answer is None else ""
        seed = f"seed {self.seed}" if self.lines and self.seed is not None else ""
        told = _quiet(" · ".join(filter(None, (written, done, seed))))
        return Content("  ").join([part for part in (name, ended, told) if part])

    def _body(self, width: int, lines: int) -> list[Content]:
        """The text's last lines while it grows, else its first ones; blank ones left out."""
        room = lines * width + width
        end = self.answer is None
        part = sanitize(self.text.strip())
        cut = part[-room:] if end else part[:room]
        wrapped = [
            line.rstrip()
            for row in cut.splitlines()
            if row.strip()
            for line in Content(row).wrap(width)
        ]
        if end:
            return wrapped[-lines:]
        shown = wrapped[:lines]
        if shown and (len(wrapped) > lines or len(part) > len(cut)):
            shown[-1] = Content.assemble(shown[-1].truncate(width - 1), "…")
        return shown


class SampleChoice(Vertical, can_focus=False):
    """The answers; once they are over, it can have the focus, and one of them is marked.

    Args:
        seeds: Of each answer.
        live: What to say below them while they are written.
        over: What to say when they are over and keys choose among them.
        aside: What to say when they are over and keys go elsewhere.
    """

    BINDING_GROUP_TITLE = "Several answers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "look(-1)", "Answer above", id="samples.above"),
        Binding("down,j", "look(1)", "Answer below", id="samples.below"),
        Binding("enter", "take", "Go on from the marked answer", id="samples.take"),
        *(
            Binding(
                str(number),
                f"take({number})",
                f"Go on from answer {number}",
                id=f"samples.take_{number}",
            )
            for number in (1, 2, 3)
        ),
        Binding("pageup", "screen.page_transcript(-1)", "Page up", id="samples.page_up"),
        Binding("pagedown", "screen.page_transcript(1)", "Page down", id="samples.page_down"),
    ]

    class Looked(Message):
        """The user looks at an answer, which is to be shown whole."""

        def __init__(self, answer: TurnRecord) -> None:
            super().__init__()
            self.answer = answer

    class Taken(Message):
        """The user goes on from this answer."""

        def __init__(self, answer: TurnRecord) -> None:
            super().__init__()
            self.answer = answer

    def __init__(self, seeds: Sequence[int | None], live: str, over: str, aside: str) -> None:
        super().__init__()
        self.samples = [SampleView(number, seed) for number, seed in enumerate(seeds, 1)]
        self._over, self._aside = over, aside
        self._hint = Static(_quiet(live), markup=False)

    def compose(self) -> ComposeResult:
        """The answers, and what can be done."""
        yield from self.samples
        yield self._hint

    def on_mount(self) -> None:
        """Fit into the window."""
        self.fit(self.app.size.height)

    def on_focus(self) -> None:
        """Say what keys do now."""
        self._hint.update(_quiet(self._over))

    def on_blur(self) -> None:
        """Say how keys come here again."""
        self._hint.update(_quiet(self._aside))

    @property
    def settled(self) -> bool:
        """Whether all answers are over."""
        return self.can_focus

    def fit(self, height: int) -> None:
        """Show as many lines as there is room for in a window of so many lines."""
        room = max(0, height - FRAME_LINES) // max(1, len(self.samples))
        lines = max(0, min(MOST_LINES, room - 1))
        for sample in self.samples:
            sample.fit(min(BEGINNING, (lines + 1) // 2) if self.settled else lines)
        self._hint.display = lines > 0

    async def settle(self, answers: Sequence[TurnRecord], marked: int) -> None:
        """End writing: show how each answer begins, and mark the turn `marked`."""
        gone = self.samples[len(answers) :]
        self.samples = self.samples[: len(answers)]
        for sample in gone:
            await sample.remove()
        for sample, answer in zip(self.samples, answers, strict=True):
            sample.settle(answer)
        self.can_focus = True
        self._hint.update(_quiet(self._over if self.has_focus else self._aside))
        self.mark(marked)
        self.fit(self.app.size.height)

    def mark(self, turn_id: int) -> None:
        """Mark the answer that is looked at."""
        for sample in self.samples:
            sample.set_class(sample.answer is not None and sample.answer.id == turn_id, "-marked")
            sample.refresh()

    @property
    def _marked(self) -> int:
        """The index of the marked answer."""
        return next((n for n, one in enumerate(self.samples) if one.has_class("-marked")), 0)

    def action_look(self, direction: int) -> None:
        """Look at the next answer."""
        self._look(self._marked + direction)

    def action_take(self, number: int = 0) -> None:
        """Go on from an answer; from the marked one without a number."""
        place = number - 1 if number else self._marked
        if 0 <= place < len(self.samples) and (answer := self.samples[place].answer) is not None:
            self.post_message(self.Taken(answer))

    def on_sample_view_clicked(self, event: SampleView.Clicked) -> None:
        """Look at the answer that was clicked."""
        event.stop()
        self.focus(scroll_visible=False)
        self._look(event.number - 1)

    def _look(self, place: int) -> None:
        if 0 <= place < len(self.samples) and (answer := self.samples[place].answer) is not None:
            # At once, for the next key may be there already.
            self.mark(answer.id)
            self.post_message(self.Looked(answer))


def _quiet(text: str) -> Content:
    return Content.styled(text, "$quiet")
