"""The conversation so far; it follows what is written only while its end is in view.

One turn is marked while the transcript has the focus: what the keys of a turn act on.

Of a long conversation only the questions and answers around the place that is looked at are
widgets; when one comes near to their end, those beyond are made, and what is in view stays where
it is. The newest answer is always there while it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.layout import DockArrangeResult
from textual.reactive import Reactive
from textual.scrollbar import ScrollBar
from textual.widget import Widget
from textual.widgets import Static

from urial_tui.chat.tree import Exchange
from urial_tui.compare.shift_map import ShiftMap
from urial_tui.tui.chat.turn import VERSION, AnswerView, QuestionView
from urial_tui.wording import amount

TurnView = QuestionView | AnswerView

SHOWN = 16
"""Questions with their answers that are made at first."""
MORE = 8
"""How many are made when one comes near to the end of those that are there."""
MOST = 48
"""How many there are at most, unless an answer is being written."""


class Turns(Vertical):
    """Holds the questions and answers, and a line for those beyond."""

    virtual_size = Reactive(Size(0, 0))  # see `AnswerText`

    def compose(self) -> ComposeResult:
        """The lines above and below; what is in between is mounted later."""
        yield Static(classes="beyond", id="earlier", markup=False)
        yield Static(classes="beyond", id="later", markup=False)

    def tell_beyond(self, earlier: int, later: int) -> None:
        """Say how many questions there are above and below."""
        for name, sign, count in (("earlier", "▲", earlier), ("later", "▼", later)):
            line = self.query_one(f"#{name}", Static)
            line.display = count > 0
            line.update(Content.styled(f"{sign} {amount(count, f'{name} question')}", "$quiet"))


class Place(NamedTuple):
    """Where one is: lines of the whole text, and from the top of the view to its end."""

    height: int
    below: int


class Transcript(VerticalScroll):
    """Questions and answers, oldest first.

    They stand in a container that is never lower than the view: an anchored scroll view
    would otherwise push what is shorter than itself to its lower edge.
    """

    BINDING_GROUP_TITLE = "Transcript"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "mark(-1)", "Turn before, or up in a long one", id="transcript.before"),
        Binding("down,j", "mark(1)", "Turn after, or down in a long one", id="transcript.after"),
        Binding(
            "left,h", "screen.sibling(-1)", "Other version before", id="transcript.version_before"
        ),
        Binding(
            "right,l", "screen.sibling(1)", "Other version after", id="transcript.version_after"
        ),
        Binding("home", "first", "First question", id="transcript.first"),
        Binding("end", "newest", "Newest answer, and follow it", id="transcript.newest"),
        Binding("r", "screen.regenerate", "Answer again", id="transcript.regenerate"),
        Binding(
            "a",
            "screen.several",
            "Three answers at once",
            id="transcript.several",
        ),
        Binding("e", "screen.edit", "Edit the turn", id="transcript.edit"),
        Binding("g", "screen.go_on", "Go on with the answer", id="transcript.go_on"),
        Binding("u", "screen.undo", "Undo", id="transcript.undo"),
        Binding("t", "screen.tokens", "Tokens of the answer", id="transcript.tokens"),
        Binding("y", "screen.copy_turn", "Copy the turn", id="transcript.copy"),
        Binding("c", "screen.copy_code", "Copy code of the turn", id="transcript.copy_code"),
        Binding("Y", "screen.copy_all", "Copy the conversation", id="transcript.copy_all"),
        Binding("x", "screen.xray", "X-ray on or off", id="transcript.xray"),
    ]

    virtual_size = Reactive(Size(0, 0))  # see `AnswerText`; scroll bars ask for a layout themselves

    LINES = 3
    """How far the cursor keys scroll in a turn that is longer than the view."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: list[Exchange] = []
        self._readings: Mapping[int, ShiftMap] = {}
        self._first = self._end = 0
        """Which of them are made: from one to the one before another."""
        self._place: Place | None = None
        """What is to be in view after the next layout."""
        self._moving = False
        """Whether more of them are being made."""
        self.writer: tuple[str, str] | None = None
        """Model and preamble of an answer that is to be written; the question's unless given."""

    def compose(self) -> ComposeResult:
        """The container of the turns."""
        yield Turns(id="turns")

    @property
    def turns(self) -> Turns:
        """What holds the questions and answers."""
        return self.query_one("#turns", Turns)

    @property
    def views(self) -> list[TurnView]:
        """The questions and answers, oldest first."""
        return [view for view in self.turns.children if isinstance(view, QuestionView | AnswerView)]

    @property
    def marked(self) -> TurnView | None:
        """The turn that is marked, None without the focus."""
        if not self.has_focus:
            return None
        return next((view for view in self.views if view.has_class("-marked")), None)

    async def show(self, exchanges: Sequence[Exchange]) -> AnswerView | None:
        """Show these, the newest in view; what is shown of them already stays as it is.

        Returns:
            The newest answer, be it there or still to be written; None without turns.
        """
        same = 0
        for old, new in zip(self._shown, exchanges, strict=False):
            if _key(old) != _key(new) or new.answer is None:
                break
            same += 1
        at_end = self._end == len(self._shown)
        self._shown = list(exchanges)
        first = max(0, len(exchanges) - SHOWN)
        async with self.batch():
            if at_end and max(self._first, first) <= same:
                await self._cut(max(self._first, first), same)
                await self._make(same, len(exchanges))
            else:
                await self._replace(first, len(exchanges))
            await self._settle()
        self.anchor()
        self.call_after_refresh(self._look_beyond)
        newest = self.views[-1:]
        return newest[0] if newest and isinstance(newest[0], AnswerView) else None

    async def finish(self, exchanges: Sequence[Exchange]) -> None:
        """Show the newest answer as it was stored, without drawing it anew."""
        self._shown = list(exchanges)
        view = self.views[-1]
        if exchanges and isinstance(view, AnswerView):
            answer = exchanges[-1].answer
            if answer is not None:
                before = preamble_before(exchanges, len(exchanges) - 1)
                view.change = preamble_change(before, answer.preamble)
            view.finish(answer, exchanges[-1].answer_place)
        await self._settle()

    def xray(self, readings: Mapping[int, ShiftMap]) -> None:
        """Show answers in the colours of what was read along, by the answers' ids."""
        self._readings = readings
        for view in self.views:
            if isinstance(view, AnswerView) and view.turn_id is not None:
                view.xray(readings.get(view.turn_id))

    async def reveal(self, turn_id: int) -> bool:
        """Have a turn made and bring it to the top of the view, marked where keys act on turns.

        Returns:
            Whether it is a turn of this path.
        """
        number = self._number_of(turn_id)
        if number is None:
            return False
        if not self._first <= number < self._end:
            first = max(0, number - MORE)
            async with self.batch():
                if self._writing:
                    await self._make_before(first)
                else:
                    await self._replace(first, min(len(self._shown), first + SHOWN))
                await self._settle()
        self.release_anchor()
        view = next(view for view in self.views if view.turn_id == turn_id)
        self._mark(view)
        self.call_after_refresh(self.scroll_to_widget, view, animate=False, top=True)
        return True

    # -- which turns are made -------------------------------------------------------

    @property
    def _writing(self) -> bool:
        """Whether the newest answer is yet to end."""
        newest = self._shown[-1].answer if self._shown else None
        return bool(self._shown) and (newest is None or newest.stop_reason is None)

    def _number_of(self, turn_id: int) -> int | None:
        for number, exchange in enumerate(self._shown):
            answer = exchange.answer
            if turn_id in (exchange.question.id, None if answer is None else answer.id):
                return number
        return None

    def _views_of(self, number: int) -> tuple[TurnView, TurnView]:
        exchange = self._shown[number]
        question, answer = exchange.question, exchange.answer
        asked = self.writer or (question.model, question.preamble)
        author, preamble = asked if answer is None else (answer.model, answer.preamble)
        change = preamble_change(preamble_before(self._shown, number), preamble)
        reading = None if answer is None else self._readings.get(answer.id)
        return (
            QuestionView(question, exchange.question_place),
            AnswerView(author, answer, exchange.answer_place, reading, change),
        )

    async def _make(self, first: int, end: int) -> None:
        """Make these, behind those that are there."""
        views = [view for number in range(first, end) for view in self._views_of(number)]
        await self.turns.mount_all(views, before="#later")
        self._end = end

    async def _make_before(self, first: int) -> None:
        """Make those from `first` on in front of those that are there; the view stays."""
        views = [view for number in range(first, self._first) for view in self._views_of(number)]
        await self.turns.mount_all(views, after="#earlier")
        self._first = first
        self._keep_place()

    async def _cut(self, first: int, end: int) -> None:
        """Take away all but these."""
        views = self.views
        start = 2 * (first - self._first)
        gone = [*views[:start], *views[2 * (end - self._first) :]]
        if gone:
            await self.turns.remove_children(gone)
        self._first, self._end = first, end
        if end < len(self._shown):
            self.anchor(False)

    async def _replace(self, first: int, end: int) -> None:
        await self._cut(self._first, self._first)
        self._first = first
        await self._make(first, end)

    async def _settle(self) -> None:
        """Tell what is beyond, and mark the place up to which turns have left the context."""
        self.turns.tell_beyond(self._first, len(self._shown) - self._end)
        await self.query(".left-context").remove()
        left = sum(not exchange.in_context for exchange in self._shown)
        if left and self._first <= left < self._end:
            await self.turns.mount(context_mark(), before=self.views[2 * (left - self._first)])

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Near to the end of what is made, make more."""
        super().watch_scroll_y(old_value, new_value)
        self._look_beyond()
        if not self.is_anchored:
            self._follow_at_end()

    def on_resize(self) -> None:
        """A higher view may show the end of what is made."""
        self._look_beyond()

    def _look_beyond(self) -> None:
        page = self.scrollable_content_region.height
        above = self._first > 0 and self.scroll_y < page
        below = self._end < len(self._shown) and self.max_scroll_y - self.scroll_y < page
        if page and not self._moving and (above or below):
            self._moving = True
            self.run_worker(self._make_earlier() if above else self._make_later())

    async def _make_earlier(self) -> None:
        async with self.batch():
            await self._make_before(max(0, self._first - MORE))
            await self._settle()
        self.call_after_refresh(self._trim, self._first, self._first + MOST)

    async def _make_later(self) -> None:
        async with self.batch():
            await self._make(self._end, min(len(self._shown), self._end + MORE))
            await self._settle()
        self.call_after_refresh(self._trim, self._end - MOST, self._end)

    async def _trim(self, first: int, end: int) -> None:
        """Leave only so many, on the side where one is."""
        if self._end - self._first > MOST and not self._writing:
            async with self.batch():
                if first > self._first:
                    self._keep_place()
                await self._cut(first, end)
                await self._settle()
        self._moving = False
        self.call_after_refresh(self._look_beyond)

    def _keep_place(self) -> None:
        """What is in view stays there, whatever comes or goes above it."""
        height = self.virtual_size.height
        self._place = Place(height, height - round(self.scroll_y))

    def arrange(self, size: Size, optimal: bool = False) -> DockArrangeResult:
        """Lay out; a place that is to be kept is found here, before anything is drawn."""
        result = super().arrange(size, optimal)
        height = result.total_region.bottom
        if self._place is not None and height != self._place.height:
            top = max(0, height - self._place.below)
            self._place = None
            self.set_reactive(Widget.scroll_y, top)
            self.set_reactive(Widget.scroll_target_y, top)
            self.vertical_scrollbar.set_reactive(ScrollBar.position, top)
        return result

    def release_anchor(self) -> None:
        """Stop to follow what is written, unless one stays at the end of it."""
        super().release_anchor()
        self.call_next(self._follow_at_end)

    def _follow_at_end(self) -> None:
        newest = self._end == len(self._shown) and not self._moving
        if newest and self.is_vertical_scroll_end:
            self.anchor()

    def action_page_up(self) -> None:
        """Scroll up by a page, at once: a place can't be kept while the view moves."""
        self.scroll_page_up(animate=False)

    def action_page_down(self) -> None:
        """Scroll down by a page."""
        self.scroll_page_down(animate=False)

    async def action_first(self) -> None:
        """Go to the first question; while an answer is written, to the first that is made."""
        if self._first > 0 and not self._writing:
            async with self.batch():
                await self._replace(0, min(len(self._shown), SHOWN))
                await self._settle()
        self.call_after_refresh(self.scroll_home, animate=False)

    async def action_newest(self) -> None:
        """Go to the newest answer, and follow it."""
        if self._end < len(self._shown):
            async with self.batch():
                await self._replace(max(0, len(self._shown) - SHOWN), len(self._shown))
                await self._settle()
        self.anchor()
        self.call_after_refresh(self.scroll_end, animate=False)

    # -- the marked turn ------------------------------------------------------------

    def on_focus(self) -> None:
        """Mark the newest turn in view, unless one is marked."""
        if self.marked is None:
            self._mark_seen()

    def _mark_seen(self) -> None:
        bottom = self.scroll_offset.y + self.scrollable_content_region.height
        seen = [view for view in self.views if view.virtual_region.y < bottom]
        if seen:
            self._mark(seen[-1])

    def on_click(self, event: events.Click) -> None:
        """Mark the turn that is clicked; on ‹ 2/3 ›, go to the other version."""
        widget = event.widget
        while widget is not None and not isinstance(widget, QuestionView | AnswerView):
            widget = widget.parent if widget is not self else None  # type: ignore[assignment]
        if widget is not None:
            self.focus(scroll_visible=False)
            self._mark(widget)
            if direction := event.style.meta.get(VERSION):
                # Behind the focus, which is given in the same way.
                self.app.call_later(self.run_action, f"screen.sibling({direction})")

    def mark_turn(self, turn_id: int | None) -> None:
        """Mark a turn and go there, if the keys act on turns and it is there; else the newest."""
        if self.has_focus and self.views:
            found = (view for view in self.views if view.turn_id == turn_id)
            self._go_to(next(found, self.views[-1]), -1)

    def action_mark(self, direction: int) -> None:
        """Go to the next turn; in one that is longer than the view, first to its end."""
        marked = self.marked
        if marked is None:
            # It went away, being far from what is in view.
            self._mark_seen()
            return
        if self._rest(marked, direction) > 0:
            self.release_anchor()
            self.scroll_relative(y=direction * self.LINES, animate=False)
            return
        place = self.views.index(marked) + direction
        if 0 <= place < len(self.views):
            self._go_to(self.views[place], direction)

    def _rest(self, turn: TurnView, direction: int) -> int:
        """Lines of a turn that are still out of view in a direction."""
        region, top = turn.virtual_region, self.scroll_offset.y
        bottom = top + self.scrollable_content_region.height
        return top - region.y if direction < 0 else region.bottom - bottom

    def _go_to(self, turn: TurnView, direction: int) -> None:
        """Mark a turn and bring it into view; of a long one, the end that one comes to first."""
        self._mark(turn)
        self.release_anchor()
        region, height = turn.virtual_region, self.scrollable_content_region.height
        if region.height <= height:
            self.scroll_to_widget(turn, animate=False)
        else:
            self.scroll_to(y=region.bottom - height if direction < 0 else region.y, animate=False)

    def _mark(self, turn: TurnView) -> None:
        for view in self.views:
            view.set_class(view is turn, "-marked")


def _key(exchange: Exchange) -> tuple[object, ...]:
    """What the drawing of an exchange depends on: turns that have ended do not change."""
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
