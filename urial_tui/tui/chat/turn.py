"""The widgets of a question and of an answer in the transcript."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Size
from textual.reactive import Reactive
from textual.style import Style
from textual.widgets import Static

from urial_tui.chat.tree import SiblingPlace
from urial_tui.chat.turns import TurnRecord
from urial_tui.compare.shift_map import ShiftMap
from urial_tui.sanitize import sanitize, sanitize_line
from urial_tui.tui.chat.xray_text import XrayText
from urial_tui.tui.drawing.answer_text import AnswerText
from urial_tui.wording import amount, rate

NOT_ANSWERED = "■ not answered"
"""What stands where the answer of a question would."""

VERSION = "version"
"""Under this name the text of a sibling mark tells which way a click on it leads."""


class QuestionView(Static):
    """What the user asked: as typed, behind a bar and under a name."""

    def __init__(self, question: TurnRecord, place: SiblingPlace = (1, 1)) -> None:
        name = Content.styled("You", "bold $secondary")
        super().__init__(
            Content.assemble(name, sibling_mark(place), "\n", sanitize(question.text)),
            markup=False,
        )
        self.turn_id = question.id
        self.place = place


class AnswerView(Vertical):
    """What the model answered: streaming Markdown, then how it ended.

    Args:
        author: The model's name.
        answer: What is stored; None for an answer that is to be written.
        place: Which of its siblings it is.
        reading: What a second side says of its tokens; None shows it as Markdown.
        change: What to say beside the author, if the preamble is another one than before.
        passed: Whether the conversation went on without an answer, so that none is to be written.
    """

    virtual_size = Reactive(Size(0, 0))  # see `AnswerText`

    def __init__(
        self,
        author: str,
        answer: TurnRecord | None = None,
        place: SiblingPlace = (1, 1),
        reading: ShiftMap | None = None,
        change: str = "",
        *,
        passed: bool = False,
    ) -> None:
        super().__init__()
        self._passed = passed
        self._author = sanitize_line(author)
        self._answer = answer
        self._reading = reading
        self.turn_id = None if answer is None else answer.id
        self.place = place
        self.change = change

    def compose(self) -> ComposeResult:
        """A name, the text, a last line."""
        yield Static(self._title(), classes="author", markup=False)
        text = self._answer.text if self._answer else ""
        markdown = AnswerText(sanitize(text))
        markdown.display = self._reading is None
        yield markdown
        yield XrayText(self._reading, text)
        end = Content.styled(NOT_ANSWERED, "$quiet") if self._passed else Content("")
        if self._answer:
            end = ending(self._answer)
        mark = Static(end, classes="mark", markup=False)
        mark.display = bool(end)
        yield mark

    def say(self, text: str) -> None:
        """Show, instead of an answer, what is waited for."""
        mark = self.query_one(".mark", Static)
        mark.display = bool(text)
        mark.update(Content.styled(sanitize_line(text), "$quiet"))

    @property
    def text(self) -> AnswerText:
        """The widget of the answer's text."""
        return self.query_one(AnswerText)

    def write(self, text: str) -> None:
        """Append to the answer."""
        xray = self.query_one(XrayText)
        if not xray.text:
            self.say("")
        xray.write(text)
        if xray.reading is None:
            self.text.append(sanitize(text))

    def xray(self, reading: ShiftMap | None) -> None:
        """Show the tokens in the colours of a reading, or Markdown again; also in mid-answer."""
        xray = self.query_one(XrayText)
        if xray.reading is not None and reading is None:
            self.text.update(sanitize(xray.text))
        xray.reading = reading
        self.text.display = reading is None

    def finish(self, answer: TurnRecord | None, place: SiblingPlace = (1, 1)) -> None:
        """Show the answer as it was stored, and how it ended."""
        if answer is None:
            self.say(NOT_ANSWERED)
            return
        self.turn_id, self.place = answer.id, place
        self._author = sanitize_line(answer.model)
        self.query_one(".author", Static).update(self._title())
        self.text.update(sanitize(answer.text))
        self.query_one(XrayText).finish(answer.text)
        mark = self.query_one(".mark", Static)
        mark.update(end := ending(answer))
        mark.display = bool(end)

    def _title(self) -> Content:
        change = f"  {sanitize_line(self.change)}" if self.change else ""
        return Content.assemble(
            (self._author, "bold $primary"), (change, "not bold $quiet"), sibling_mark(self.place)
        )


def sibling_mark(place: SiblingPlace) -> Content:
    """Which of several siblings a turn is; nothing where it is the only one."""
    number, count = place
    if count == 1:
        return Content("")
    return Content.assemble(
        ("  ", ""),
        (f"‹ {number}", Style.from_meta({VERSION: -1})),
        ("/", ""),
        (f"{count} ›", Style.from_meta({VERSION: 1})),
    ).stylize_before("$quiet")


def how_it_ended(answer: TurnRecord) -> Content:
    """How an answer ended, as a sign and words, where that is worth knowing."""
    match answer.stop_reason:
        case "cancelled":
            mark, style = "■ stopped", "$warning"
        case "length":
            mark, style = "✂ cut at the length limit", "$warning"
        case "died":
            mark, style = "✖ the engine died here", "$error"
        case "failed":
            mark, style = "✖ not answered", "$error"
        case None:
            mark, style = "… interrupted", "$warning"
        case "edited":
            mark, style = "✎ edited by you", "$quiet"
        case _:
            mark, style = "", "$quiet"
    return Content.styled(mark, f"bold {style}")


def ending(answer: TurnRecord) -> Content:
    """The line under an answer: how it ended where that is worth knowing, and what it cost."""
    mark = how_it_ended(answer)
    cost = []
    if answer.generated:
        cost.append(amount(answer.generated, "token"))
    if answer.timings.decode_tokens_per_s:
        cost.append(rate(answer.timings.decode_tokens_per_s))
    if answer.generated and answer.sampling is not None and answer.sampling.temperature:
        cost.append(f"temperature {answer.sampling.temperature:g}")
    if answer.stop_reason == "eos" and answer.stopped_by:
        cost.append(f"ended by {sanitize_line(answer.stopped_by)}")
    return Content.assemble(
        mark,
        "  " if mark and cost else "",
        (" · ".join(cost), "$quiet"),
    )
