"""A virtual list of questions and answers: widgets in a window, and lines for those beyond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Size
from textual.reactive import Reactive
from textual.widgets import Static

from urial_tui.chat.tree import Exchange
from urial_tui.compare.shift_map import ShiftMap
from urial_tui.tui.chat.turn import AnswerView, QuestionView
from urial_tui.tui.chat.window import Window
from urial_tui.wording import amount

TurnView = QuestionView | AnswerView


class ShownTurns(Vertical):
    """Mounts and removes two widgets for each exchange as its window moves, oldest first."""

    virtual_size = Reactive(Size(0, 0))  # see `AnswerText`

    def __init__(self, id: str | None = None) -> None:  # Textual's name
        super().__init__(id=id)
        self.window = Window()
        self.writer: tuple[str, str] | None = None
        """Model and preamble of an answer that is to be written; the question's unless given."""
        self._exchanges: list[Exchange] = []
        self._readings: Mapping[int, ShiftMap] = {}

    def compose(self) -> ComposeResult:
        """The lines above and below; what is in between is mounted later."""
        yield Static(classes="beyond", id="earlier", markup=False)
        yield Static(classes="beyond", id="later", markup=False)

    @property
    def views(self) -> list[TurnView]:
        """The questions and answers, oldest first."""
        return [view for view in self.children if isinstance(view, QuestionView | AnswerView)]

    @property
    def writing(self) -> bool:
        """Whether the newest answer is yet to end."""
        newest = self._exchanges[-1].answer if self._exchanges else None
        return bool(self._exchanges) and (newest is None or newest.stop_reason is None)

    def number_of(self, turn_id: int) -> int | None:
        """The number of the exchange that a turn belongs to; None where it is not of this path."""
        for number, exchange in enumerate(self._exchanges):
            answer = exchange.answer
            if turn_id in (exchange.question.id, None if answer is None else answer.id):
                return number
        return None

    async def show(self, exchanges: Sequence[Exchange]) -> None:
        """Show other exchanges, the newest of them; what is shown of them already stays as it is.

        To be called in a batch.
        """
        same = 0
        for old, new in zip(self._exchanges, exchanges, strict=False):
            if _key(old) != _key(new) or new.answer is None:
                break
            same += 1
        self._exchanges = list(exchanges)
        window = Window(total=len(exchanges)).newest()
        first = max(self.window.first, window.first)
        if self.window.at_end and first <= same:
            window = window._replace(first=first)
        await self._cut(window.first, same)
        await self.move(window)

    async def move(self, window: Window) -> None:
        """Make those that are missing in a window, and take away what is not in it.

        To be called in a batch.
        """
        await self._cut(window.first, window.end)
        before = self.window
        if before.first == before.end:
            before = Window(window.first, window.first)
        self.window = window
        if earlier := self._made(window.first, before.first):
            await self.mount_all(earlier, after="#earlier")
        if later := self._made(before.end, window.end):
            await self.mount_all(later, before="#later")
        await self._tell_beyond()

    async def finish(self, exchanges: Sequence[Exchange]) -> None:
        """Show the newest answer as it was stored, without drawing it anew."""
        self._exchanges = list(exchanges)
        view = self.views[-1]
        if exchanges and isinstance(view, AnswerView):
            answer = exchanges[-1].answer
            if answer is not None:
                before = preamble_before(exchanges, len(exchanges) - 1)
                view.change = preamble_change(before, answer.preamble)
            view.finish(answer, exchanges[-1].answer_place)
        await self._tell_beyond()

    def xray(self, readings: Mapping[int, ShiftMap]) -> None:
        """Show answers in the colours of what was read along, by the answers' ids."""
        self._readings = readings
        for view in self.views:
            if isinstance(view, AnswerView) and view.turn_id is not None:
                view.xray(readings.get(view.turn_id))

    async def _cut(self, first: int, end: int) -> None:
        """Remove the widgets of all exchanges but these."""
        views, window = self.views, self.window
        first = min(max(first, window.first), window.end)
        end = min(max(first, end), window.end)
        gone = [*views[: 2 * (first - window.first)], *views[2 * (end - window.first) :]]
        if gone:
            await self.remove_children(gone)
        self.window = window._replace(first=first, end=end)

    def _made(self, first: int, end: int) -> list[TurnView]:
        return [view for number in range(first, end) for view in self._views_of(number)]

    def _views_of(self, number: int) -> tuple[TurnView, TurnView]:
        exchange = self._exchanges[number]
        question, answer = exchange.question, exchange.answer
        asked = self.writer or (question.model, question.preamble)
        author, preamble = asked if answer is None else (answer.model, answer.preamble)
        change = preamble_change(preamble_before(self._exchanges, number), preamble)
        reading = None if answer is None else self._readings.get(answer.id)
        return (
            QuestionView(question, exchange.question_place),
            AnswerView(
                author,
                answer,
                exchange.answer_place,
                reading,
                change,
                passed=answer is None and number < len(self._exchanges) - 1,
            ),
        )

    async def _tell_beyond(self) -> None:
        """Say how many there are above and below, and which have left the context."""
        window = self.window
        beyond = (("earlier", "▲", window.first), ("later", "▼", window.total - window.end))
        for name, sign, count in beyond:
            line = self.query_one(f"#{name}", Static)
            line.display = count > 0
            line.update(Content.styled(f"{sign} {amount(count, f'{name} question')}", "$quiet"))
        await self.query(".left-context").remove()
        left = sum(not exchange.in_context for exchange in self._exchanges)
        if left and window.holds(left):
            await self.mount(context_mark(), before=self.views[2 * (left - window.first)])


def _key(exchange: Exchange) -> tuple[object, ...]:
    """A cache key: what the drawing of an exchange depends on; ended turns do not change."""
    answer = exchange.answer
    ended = answer and (answer.id, answer.stop_reason)
    return exchange.question.id, exchange.question_place, ended, exchange.answer_place


def preamble_before(exchanges: Sequence[Exchange], number: int) -> str:
    """What the answer before an exchange was written under; "" without one."""
    answers = (exchanges[before].answer for before in range(number - 1, -1, -1))
    return next((answer.preamble for answer in answers if answer is not None), "")


def preamble_change(before: str, preamble: str) -> str:
    """What to say of an answer's preamble: something where it is not that of the answer before."""
    return f"under {preamble}, before under {before}" if before not in ("", preamble) else ""


def context_mark() -> Static:
    """The line under the turns that left the context."""
    text = "▲ no longer in the model's context"
    return Static(Content.styled(text, "$warning"), classes="left-context", markup=False)
