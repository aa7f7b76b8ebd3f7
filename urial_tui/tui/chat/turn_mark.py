"""The turn that the keys of a turn act on: marked while the transcript has the focus."""

from __future__ import annotations

from textual.containers import VerticalScroll

from urial_tui.tui.chat.shown_turns import ShownTurns, TurnView

LINES = 3
"""How far the cursor keys scroll in a turn that is longer than the view."""


class TurnMark:
    """Moves from turn to turn, and brings the marked one into view.

    Args:
        view: Scrolls.
        turns: Those that there are.
    """

    def __init__(self, view: VerticalScroll, turns: ShownTurns) -> None:
        self._view = view
        self._turns = turns

    @property
    def turn(self) -> TurnView | None:
        """The turn that is marked, None without the focus."""
        if not self._view.has_focus:
            return None
        return next((view for view in self._turns.views if view.has_class("-marked")), None)

    def put(self, turn: TurnView) -> None:
        """Mark this turn."""
        for view in self._turns.views:
            view.set_class(view is turn, "-marked")

    def put_in_view(self) -> None:
        """Mark the newest turn in view."""
        bottom = self._view.scroll_offset.y + self._view.scrollable_content_region.height
        seen = [view for view in self._turns.views if view.virtual_region.y < bottom]
        if seen:
            self.put(seen[-1])

    def go_to(self, turn_id: int | None) -> None:
        """Mark a turn and go there, if the keys act on turns and it is there; else the newest."""
        views = self._turns.views
        if self._view.has_focus and views:
            self._bring(next((view for view in views if view.turn_id == turn_id), views[-1]), -1)

    def step(self, direction: int) -> None:
        """Go to the next turn; in one that is longer than the view, first to its end."""
        marked = self.turn
        if marked is None:
            # It went away, being far from what is in view.
            self.put_in_view()
            return
        if self._rest(marked, direction) > 0:
            self._view.release_anchor()
            self._view.scroll_relative(y=direction * LINES, animate=False)
            return
        views = self._turns.views
        place = views.index(marked) + direction
        if 0 <= place < len(views):
            self._bring(views[place], direction)

    def _rest(self, turn: TurnView, direction: int) -> int:
        """How many lines of a turn are still out of view in a direction."""
        region, top = turn.virtual_region, self._view.scroll_offset.y
        bottom = top + self._view.scrollable_content_region.height
        return top - region.y if direction < 0 else region.bottom - bottom

    def _bring(self, turn: TurnView, direction: int) -> None:
        """Mark a turn and bring it into view; of a long one, the end that one comes to first."""
        self.put(turn)
        view = self._view
        view.release_anchor()
        region, height = turn.virtual_region, view.scrollable_content_region.height
        if region.height <= height:
            view.scroll_to_widget(turn, animate=False)
        else:
            view.scroll_to(y=region.bottom - height if direction < 0 else region.y, animate=False)
