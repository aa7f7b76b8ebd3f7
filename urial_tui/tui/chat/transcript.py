"""The transcript: a scroll view that follows what is written only while its end is in view.

One turn is marked while the transcript has the focus: what the keys of a turn act on.

Of a long conversation only the questions and answers around the place that is looked at are
widgets; when one comes near to their end, those beyond are made, and what is in view stays where
it is. The newest answer is always there while it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.layout import DockArrangeResult
from textual.reactive import Reactive
from textual.scrollbar import ScrollBar
from textual.widget import Widget

from urial_tui.chat.tree import Exchange
from urial_tui.tui.chat.shown_turns import ShownTurns, TurnView
from urial_tui.tui.chat.turn import VERSION, AnswerView, QuestionView
from urial_tui.tui.chat.turn_mark import TurnMark
from urial_tui.tui.chat.window import Window


class KeptPlace(NamedTuple):
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
        Binding("a", "screen.several", "Three answers at once", id="transcript.several"),
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

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.turns = ShownTurns(id="turns")
        self.mark = TurnMark(self, self.turns)
        self.action_mark = self.mark.step
        self.moving = False
        """Whether more turns are being made."""
        self._place: KeptPlace | None = None
        """What is to be in view after the next layout."""

    def compose(self) -> ComposeResult:
        """The container of the turns."""
        yield self.turns

    @property
    def views(self) -> list[TurnView]:
        """The questions and answers that are made, oldest first."""
        return self.turns.views

    @property
    def marked(self) -> TurnView | None:
        """The turn that is marked, None without the focus."""
        return self.mark.turn

    async def show(self, exchanges: Sequence[Exchange]) -> AnswerView | None:
        """Show exchanges, the newest in view; widgets that they have already stay as they are.

        Returns:
            The newest answer, be it there or still to be written; None without turns.
        """
        async with self.batch():
            await self.turns.show(exchanges)
        self.anchor()
        self.call_after_refresh(self._look_beyond)
        newest = self.views[-1:]
        return newest[0] if newest and isinstance(newest[0], AnswerView) else None

    async def reveal(self, turn_id: int) -> bool:
        """Have a turn made and bring it to the top of the view, marked where keys act on turns.

        Returns:
            Whether it is a turn of this path.
        """
        number = self.turns.number_of(turn_id)
        if number is None:
            return False
        if not self.turns.window.holds(number):
            beside = Window.back_to if self.turns.writing else Window.around
            await self._move(lambda window: beside(window, number))
        self.release_anchor()
        view = next(view for view in self.views if view.turn_id == turn_id)
        self.mark.put(view)
        self.call_after_refresh(self.scroll_to_widget, view, animate=False, top=True)
        return True

    # -- which turns are made -------------------------------------------------------

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Near to the end of what is made, make more."""
        super().watch_scroll_y(old_value, new_value)
        self._look_beyond()
        if not self.is_anchored:
            self._follow_at_end()

    def on_resize(self) -> None:
        """Make more turns: a higher view may show the end of those that are made."""
        self._look_beyond()

    def _look_beyond(self) -> None:
        page, window = self.scrollable_content_region.height, self.turns.window
        above = window.first > 0 and self.scroll_y < page
        below = not window.at_end and self.max_scroll_y - self.scroll_y < page
        if page and not self.moving and (above or below):
            self.moving = True
            self.run_worker(self._make_earlier() if above else self._make_later())

    async def _make_earlier(self) -> None:
        await self._move(Window.with_earlier)
        self.call_after_refresh(self._trim, Window.without_later)

    async def _make_later(self) -> None:
        await self._move(Window.with_later)
        self.call_after_refresh(self._trim, Window.without_earlier)

    async def _trim(self, trimmed: Callable[[Window], Window]) -> None:
        """Remove widgets that are too many, at the far side of the view."""
        if not self.turns.writing:
            await self._move(trimmed)
        self.moving = False
        self.call_after_refresh(self._look_beyond)

    async def _move(self, to: Callable[[Window], Window]) -> None:
        """Have the turns of another window made and no others; what is in view stays there."""
        async with self.batch():
            before = self.turns.window
            window = to(before)
            if window == before:
                return
            if not window.at_end:
                self.anchor(False)
            await self.turns.move(window)
            if window.first != before.first:
                self._keep_place()

    def _keep_place(self) -> None:
        """Keep the scroll position: what is in view stays there, whatever comes or goes above."""
        height = self.virtual_size.height
        self._place = KeptPlace(height, height - round(self.scroll_y))

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
        """Stop following what is written, unless the view stays at its end."""
        super().release_anchor()
        self.call_next(self._follow_at_end)

    def _follow_at_end(self) -> None:
        if self.turns.window.at_end and not self.moving and self.is_vertical_scroll_end:
            self.anchor()

    def action_page_up(self) -> None:
        """Scroll up by a page, at once: a place can't be kept while the view moves."""
        self.scroll_page_up(animate=False)

    def action_page_down(self) -> None:
        """Scroll down by a page."""
        self.scroll_page_down(animate=False)

    async def action_first(self) -> None:
        """Go to the first question; while an answer is written, to the first that is made."""
        if self.turns.window.first > 0 and not self.turns.writing:
            await self._move(Window.oldest)
        self.call_after_refresh(self.scroll_home, animate=False)

    async def action_newest(self) -> None:
        """Go to the newest answer, and follow it."""
        if not self.turns.window.at_end:
            await self._move(Window.newest)
        self.anchor()
        self.call_after_refresh(self.scroll_end, animate=False)

    # -- the marked turn ------------------------------------------------------------

    def on_focus(self) -> None:
        """Mark the newest turn in view, unless one is marked."""
        if self.marked is None:
            self.mark.put_in_view()

    def on_click(self, event: events.Click) -> None:
        """Mark the turn that is clicked; on ‹ 2/3 ›, go to the other version."""
        widget = event.widget
        while widget is not None and not isinstance(widget, QuestionView | AnswerView):
            widget = widget.parent if widget is not self else None  # type: ignore[assignment]
        if widget is not None:
            self.focus(scroll_visible=False)
            self.mark.put(widget)
            if direction := event.style.meta.get(VERSION):
                # Behind the focus, which is given in the same way.
                self.app.call_later(self.run_action, f"screen.sibling({direction})")
