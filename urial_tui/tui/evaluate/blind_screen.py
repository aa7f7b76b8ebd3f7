"""The screen for blind judging of two runs: an item, two answers, and a key for each verdict.

Nothing on the screen tells which run a side is before the judging ends: no name, no file, no
number. Every judgement is on its way to the disk before the next pair is shown, so whatever ends
the screen, the judging goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Static

from urial_tui.errors import UrialError
from urial_tui.evaluate.blind_judging import BlindJudging, BlindVerdict, open_judging
from urial_tui.evaluate.blind_sitting import BlindSitting, SittingPhase
from urial_tui.mistakes import explaining
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.evaluate import blind_words
from urial_tui.tui.evaluate.answer_column import AnswerColumn
from urial_tui.tui.evaluate.blind_pair import BlindPairView
from urial_tui.tui.evaluate.item_words import failed
from urial_tui.tui.evaluate.verdict_row import VerdictRow
from urial_tui.tui.frame.screen_view import ScreenView
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.heading_line import HeadingLine
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.wording import duration

NARROW = 78
"""Columns below which the answers stand one above the other."""
TIGHT = 72
"""Columns below which the verdicts alone have room."""

_VERDICTS: dict[BlindVerdict, str] = {
    "left": "blind.left",
    "right": "blind.right",
    "same": "blind.same",
    "skip": "blind.skip",
}


class BlindScreen(Screen[None]):
    """Opens over the evaluation; goes on where the judging was left.

    Args:
        first, second: The outputs of two runs.
        out: Where the judgements are kept.
        clock: Measures the person's pace, in seconds.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["columns.tcss", "blind.tcss"]
    AUTO_FOCUS = ""
    BINDING_GROUP_TITLE = "Blind judging"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "End with the result; back", id="blind.back"),
        Binding("a", "judge('left')", "A is better", id="blind.left"),
        Binding("b", "judge('right')", "B is better", id="blind.right"),
        Binding("t", "judge('same')", "Equally good", id="blind.same"),
        Binding("s", "judge('skip')", "Skip: say nothing of them", id="blind.skip"),
        Binding("u", "undo", "Take the last judgement back", id="blind.undo"),
        Binding("r", "result", "Result, once all are judged", id="blind.result"),
        Binding("v", "view", "Beside each other, stacked, or one alone", id="blind.view"),
        Binding("up,k", "scroll_lines(-1)", "Line above", id="blind.up"),
        Binding("down,j", "scroll_lines(1)", "Line below", id="blind.down"),
        Binding("pageup", "scroll_pages(-1)", "Page up", id="blind.page_up"),
        Binding("pagedown,space", "scroll_pages(1)", "Page down", id="blind.page_down"),
        Binding("shift+up,K", "scroll_question(-1)", "Question: above", id="blind.question_up"),
        Binding("shift+down,J", "scroll_question(1)", "Question: below", id="blind.question_down"),
    ]

    def __init__(
        self,
        first: Path,
        second: Path,
        out: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._files = first, second
        self._out = out
        self._opening: asyncio.Task[BlindJudging] | None = None
        self._order = asyncio.Lock()
        self.sitting = BlindSitting(clock)
        self._view = ScreenView(self)
        self._head = HeadingLine("Blind judging")
        self._banner = Banner(id="banner")
        self._notice = Static(id="blind-notice", markup=False)
        self._notice.display = False
        self._pair = BlindPairView(self)
        self._hints = HintLine(id="hints")
        self.action_view = self._pair.turn
        self.action_scroll_lines = self._pair.scroll_lines
        self.action_scroll_pages = self._pair.scroll_pages
        self.action_scroll_question = self._pair.scroll_question

    def compose(self) -> ComposeResult:
        """From the top: how far it is, the question, both answers or a page, the verdicts."""
        yield self._head
        yield self._banner
        yield self._notice
        yield from self._pair.widgets
        yield VerdictRow()
        yield self._hints

    def on_mount(self) -> None:
        """Read the files."""
        self.query_one(VerdictRow).name_keys(
            {verdict: self._view.key(name) for verdict, name in _VERDICTS.items()}
        )
        opening = asyncio.to_thread(open_judging, *self._files, self._out)
        self._opening = asyncio.create_task(opening)
        self._show_page("opening", Content.styled("Reading the answers …", "$quiet"))
        self._view.work("show", self._begin, self._opening)

    async def on_unmount(self) -> None:
        """Write the file: all that was judged is in it."""
        if self._opening is not None:
            # What can't be written stays in the journal, and what could not be read was told.
            with contextlib.suppress(Exception):
                judging = await self._opening
                await asyncio.to_thread(judging.finish)

    @property
    def columns(self) -> tuple[AnswerColumn, AnswerColumn]:
        """Left and right."""
        return self._pair.columns

    async def _begin(self, opening: asyncio.Task[BlindJudging]) -> None:
        """Show the first pair once the files are read."""
        try:
            with explaining():
                judging = await asyncio.shield(opening)
        except UrialError as error:
            if self._view.alive:
                self._show_page("failed", failed(error))
            return
        if not self._view.alive:
            return
        self.sitting.judging = judging
        # Where a file is would tell what is judged.
        caution = judging.lock_caution.replace(sanitize_line(str(self._out)), "of the judgements")
        notices = [judging.shared.left_out, caution]
        self._say("\n".join(notice for notice in notices if notice))
        await self._show_next(judging)

    # -- the user -------------------------------------------------------------------

    @on(VerdictRow.Chosen)
    def choose(self, event: VerdictRow.Chosen) -> None:
        """A verdict was clicked."""
        self.action_judge(event.verdict)

    def action_judge(self, verdict: BlindVerdict) -> None:
        """Say what holds of the pair that is shown."""
        judging = self.sitting.take_verdict()
        if judging is not None:
            self._view.work("show", self._do, judging, lambda judging: judging.judge(verdict))

    def action_undo(self) -> None:
        """Take the last judgement back, and show its pair."""
        if not self.sitting.may_undo:
            return
        judging = self.sitting.take_undo()
        if judging is None:
            self.notify("Nothing is judged that could be taken back.", markup=False)
        else:
            self._view.work("show", self._do, judging, BlindJudging.undo)

    async def _do(self, judging: BlindJudging, do: Callable[[BlindJudging], object]) -> None:
        """Have something written, and go on to what is to be judged then."""
        async with self._order:
            try:
                with explaining():
                    await asyncio.to_thread(do, judging)
            except UrialError as error:
                if self._view.alive:
                    self._banner.trouble = error
            else:
                if self._view.alive:
                    self._banner.trouble = None
                    self._say("")
                    await self._show_next(judging)
            finally:
                self.sitting.end_writing()

    def action_back(self) -> None:
        """End the judging and show what it came to; leave from there, or where there is nothing."""
        if self.sitting.has_result:
            self._end()
        elif self.is_current:
            # A second key may have been on its way.
            self.dismiss(None)

    def action_result(self) -> None:
        """Show what it came to, once all is judged."""
        if self.sitting.phase == "judged":
            self._end()

    def _end(self) -> None:
        judging = self.sitting.end()
        if judging is not None:
            self._view.work("show", self._show_result, judging)

    def on_resize(self, event: Resize) -> None:
        """Lay out for this size."""
        self.set_class(event.size.width < NARROW, "-narrow")
        self.set_class(event.size.width < TIGHT, "-tight")

    # -- what is shown --------------------------------------------------------------

    async def _show_next(self, judging: BlindJudging) -> None:
        """The pair to be judged, or that there is none left."""
        pair = judging.current
        if pair is None:
            undo, result = self._view.key("blind.undo"), self._view.key("blind.result")
            self._show_page("judged", blind_words.all_judged(undo, result))
            return
        await self._pair.show(pair)
        self.sitting.begin_pair()
        self._show_keys()

    async def _show_result(self, judging: BlindJudging) -> None:
        """End the judging: the names, and what it came to."""
        error: UrialError | None = None
        async with self._order:
            try:
                with explaining():
                    await asyncio.to_thread(judging.finish)
            except UrialError as failure:
                error = failure
            tally = await asyncio.to_thread(judging.tally)
            if self._view.alive:
                self._banner.trouble = error
                self._say("")
                self._show_page("result", blind_words.result(tally, self._out))

    def _show_page(self, phase: SittingPhase, told: Content) -> None:
        """Show words in place of a pair."""
        self.sitting.phase = phase
        self._pair.show_page(told)
        self._show_keys()

    def _show_keys(self) -> None:
        """Tell how far it is, and the keys that do something at this moment."""
        self._head.beside = self.sitting.place
        seconds = self.sitting.seconds_left
        self._hints.state = "" if seconds is None else f"about {duration(seconds)} left"
        key = self._view.key
        match self.sitting.phase:
            case "judging":
                self._hints.keys = (
                    (key("blind.up") + key("blind.down"), "scroll"),
                    (key("blind.undo"), "undo"),
                    (key("blind.view"), "view"),
                    (key("blind.back"), "end"),
                    (key("app.keys"), "keys"),
                )
            case "judged":
                done = (("result", "result"), ("undo", "undo"), ("back", "end"))
                self._hints.show((f"blind.{name}", what) for name, what in done)
            case _:
                self._hints.show([("blind.back", "back")])

    def _say(self, text: str) -> None:
        self._notice.update(text)
        self._notice.display = bool(text)
