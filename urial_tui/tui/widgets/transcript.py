"""The conversation so far; it follows what is written only while its end is in view.

One turn is marked while the transcript has the focus: what the keys of a turn act on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.reactive import Reactive
from textual.widgets import Static

from urial_tui.chat.tree import Exchange
from urial_tui.tui.reading import Reading
from urial_tui.tui.widgets.turn import AnswerView, QuestionView

TurnView = QuestionView | AnswerView


class Turns(Vertical):
    """Holds the questions and answers."""

    virtual_size = Reactive(Size(0, 0))  # see `AnswerText`


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
        Binding("r", "screen.regenerate", "Answer again", id="transcript.regenerate"),
        Binding("e", "screen.edit", "Edit the turn", id="transcript.edit"),
        Binding("g", "screen.go_on", "Go on with the answer", id="transcript.go_on"),
        Binding("u", "screen.undo", "Undo", id="transcript.undo"),
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
        self._readings: Mapping[int, Reading] = {}

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
        """Show these; what is shown of them already stays as it is.

        Returns:
            The newest answer, be it there or still to be written; None without turns.
        """
        same = 0
        for old, new in zip(self._shown, exchanges, strict=False):
            if _key(old) != _key(new) or new.answer is None:
                break
            same += 1
        self._shown = list(exchanges)
        views: list[TurnView] = []
        for exchange in exchanges[same:]:
            question, answer = exchange.question, exchange.answer
            views.append(QuestionView(question, exchange.question_place))
            author = question.model if answer is None else answer.model
            reading = None if answer is None else self._readings.get(answer.id)
            views.append(AnswerView(author, answer, exchange.answer_place, reading))
        async with self.batch():
            for child in self.views[2 * same :]:
                await child.remove()
            await self.turns.mount_all(views)
            await self._mark_left()
        self.anchor()
        newest = self.views[-1:]
        return newest[0] if newest and isinstance(newest[0], AnswerView) else None

    async def finish(self, exchanges: Sequence[Exchange]) -> None:
        """Show the newest answer as it was stored, without drawing it anew."""
        self._shown = list(exchanges)
        view = self.views[-1]
        if exchanges and isinstance(view, AnswerView):
            view.finish(exchanges[-1].answer, exchanges[-1].answer_place)
        await self._mark_left()

    def xray(self, readings: Mapping[int, Reading]) -> None:
        """Show answers in the colours of what was read along, by the answers' ids."""
        self._readings = readings
        for view in self.views:
            if isinstance(view, AnswerView) and view.turn_id is not None:
                view.xray(readings.get(view.turn_id))

    async def _mark_left(self) -> None:
        """Mark the place up to which the oldest turns are no longer shown to the model."""
        await self.query(".left-context").remove()
        left = sum(not exchange.in_context for exchange in self._shown)
        if 0 < left < len(self._shown):
            await self.turns.mount(context_mark(), before=self.views[2 * left])

    # -- the marked turn ------------------------------------------------------------

    def on_focus(self) -> None:
        """Mark the newest turn in view, unless one is marked."""
        if self.views and self.marked is None:
            bottom = self.scroll_offset.y + self.scrollable_content_region.height
            seen = [view for view in self.views if view.virtual_region.y < bottom]
            self._mark(seen[-1])

    def on_click(self, event: events.Click) -> None:
        """Mark the turn that is clicked."""
        widget = event.widget
        while widget is not None and not isinstance(widget, QuestionView | AnswerView):
            widget = widget.parent if widget is not self else None  # type: ignore[assignment]
        if widget is not None:
            self.focus(scroll_visible=False)
            self._mark(widget)

    def mark_turn(self, turn_id: int | None) -> None:
        """Mark a turn and go there, if the keys act on turns and it is there; else the newest."""
        if self.has_focus and self.views:
            found = (view for view in self.views if view.turn_id == turn_id)
            self._go_to(next(found, self.views[-1]), -1)

    def action_mark(self, direction: int) -> None:
        """Go to the next turn; in one that is longer than the view, first to its end."""
        marked = self.marked
        if marked is None:
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


def context_mark() -> Static:
    """The line under the turns that left the context."""
    text = "▲ no longer in the model's context"
    return Static(Content.styled(text, "$warning"), classes="left-context", markup=False)
