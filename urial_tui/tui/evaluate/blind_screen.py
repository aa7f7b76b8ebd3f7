"""Judging two runs blind: an item, two answers, and a key for what holds of them.

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

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Static

from urial_tui.errors import UrialError
from urial_tui.evaluate.blind_judging import PERSON, BlindJudging, Verdict, open_judging
from urial_tui.mistakes import explaining
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.evaluate import blind_words
from urial_tui.tui.evaluate.answer_column import AnswerColumn
from urial_tui.tui.evaluate.blind_words import Phase
from urial_tui.tui.evaluate.own_pace import OwnPace
from urial_tui.tui.evaluate.verdict_row import VerdictRow
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.keys import key_name, keys_of, shown
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.wording import duration

NARROW = 78
"""Columns below which the answers stand one above the other."""

REST = 0.25
"""Seconds without a verdict before the next one counts: a key that is held down judges nothing."""

_VIEWS = ("", "-stacked", "-only-left", "-only-right")
_VERDICTS: dict[Verdict, str] = {
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
        judge: What the person is called there.
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
        judge: str = PERSON,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._files = first, second
        self._out = out
        self._judge_name = judge
        self._clock = clock
        self._opening: asyncio.Task[BlindJudging] | None = None
        self._judging: BlindJudging | None = None
        self._busy = False
        """Whether something is being written; the pair on the screen is judged already."""
        self._ending = False
        """Whether the judging has ended, or is about to."""
        self._order = asyncio.Lock()
        self._pressed = float("-inf")
        """When a verdict was given last, whether it counted or not."""
        self._pace = OwnPace()
        self.phase: Phase = "opening"

    def compose(self) -> ComposeResult:
        """From the top: how far it is, the question, both answers or a page, the verdicts."""
        yield Static(id="blind-head", markup=False)
        yield Banner(id="banner")
        yield Static(id="blind-notice", markup=False)
        with VerticalScroll(id="blind-question", can_focus=False):
            yield Static(id="blind-asked", markup=False)
        with Container(id="blind-answers"):
            yield AnswerColumn(id="blind-left")
            yield AnswerColumn(id="blind-right", classes="-beside")
        with VerticalScroll(id="blind-page", can_focus=False):
            yield Static(id="blind-told", markup=False)
        yield VerdictRow()
        yield HintLine(id="hints")

    def on_mount(self) -> None:
        """Read the files."""
        self.query_one("#blind-notice").display = False
        self.query_one(VerdictRow).name_keys(
            {verdict: self._key(name) for verdict, name in _VERDICTS.items()}
        )
        opening = asyncio.to_thread(open_judging, *self._files, self._out, self._judge_name)
        self._opening = asyncio.create_task(opening)
        self._show_page("opening", Content.styled("Reading the answers …", "$quiet"))
        self._begin()

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
        return (
            self.query_one("#blind-left", AnswerColumn),
            self.query_one("#blind-right", AnswerColumn),
        )

    @work(group="show")
    async def _begin(self) -> None:
        """Show the first pair once the files are read."""
        assert self._opening is not None
        try:
            with explaining():
                judging = await asyncio.shield(self._opening)
        except UrialError as error:
            if has_widgets(self):
                self._show_page("failed", blind_words.failed(error))
            return
        if not has_widgets(self):
            return
        self._judging = judging
        # Where a file is would tell what is judged.
        caution = judging.lock_caution.replace(sanitize_line(str(self._out)), "of the judgements")
        notices = [judging.shared.left_out, caution]
        self._notice("\n".join(notice for notice in notices if notice))
        await self._show_next(judging)

    # -- the user -------------------------------------------------------------------

    @on(VerdictRow.Chosen)
    def choose(self, event: VerdictRow.Chosen) -> None:
        """A verdict was clicked."""
        self.action_judge(event.verdict)

    def action_judge(self, verdict: Verdict) -> None:
        """Say what holds of the pair that is shown."""
        now = self._clock()
        rested, self._pressed = now - self._pressed >= REST, now
        judging = self._judging
        if self.phase == "judging" and rested and self._may_write and judging is not None:
            self._busy = True
            self._pace.done(now)
            self._do(judging, lambda judging: judging.judge(verdict))

    def action_undo(self) -> None:
        """Take the last judgement back, and show its pair."""
        judging = self._judging
        if self.phase not in ("judging", "judged") or not self._may_write or judging is None:
            return
        if not judging.done:
            self.notify("Nothing is judged that could be taken back.", markup=False)
            return
        self._busy = True
        self._do(judging, BlindJudging.undo)

    @work(group="show")
    async def _do(self, judging: BlindJudging, do: Callable[[BlindJudging], object]) -> None:
        """Have something written, and go on to what is to be judged then."""
        banner = self.query_one(Banner)
        async with self._order:
            try:
                with explaining():
                    await asyncio.to_thread(do, judging)
            except UrialError as error:
                if has_widgets(self):
                    banner.trouble = error
            else:
                if has_widgets(self):
                    banner.trouble = None
                    self._notice("")
                    await self._show_next(judging)
            finally:
                self._busy = False

    @property
    def _may_write(self) -> bool:
        return not (self._busy or self._ending)

    def action_back(self) -> None:
        """End the judging and show what it came to; leave from there, or where there is nothing."""
        judging = self._judging
        told = judging is not None and (judging.has_judgements or self._busy)
        if self.phase in ("judging", "judged") and judging is not None and told:
            self._end(judging)
        elif self.is_current:
            # A second key may have been on its way.
            self.dismiss(None)

    def action_result(self) -> None:
        """Show what it came to, once all is judged."""
        if self.phase == "judged" and self._judging is not None:
            self._end(self._judging)

    def _end(self, judging: BlindJudging) -> None:
        if not self._ending:
            self._ending = True
            self._show_result(judging)

    def action_view(self) -> None:
        """Lay the answers out in another way."""
        narrow = self.has_class("-narrow")
        views = tuple(view for view in _VIEWS if view != "-stacked") if narrow else _VIEWS
        now = next((at for at, view in enumerate(views) if view and self.has_class(view)), 0)
        self.remove_class(*_VIEWS[1:])
        if view := views[(now + 1) % len(views)]:
            self.add_class(view)

    def action_scroll_lines(self, lines: int) -> None:
        """Move through both answers, or the page."""
        if self.phase == "judging":
            for column in self.columns:
                column.scroll_lines(lines)
        else:
            self.query_one("#blind-page").scroll_relative(y=lines, animate=False)

    def action_scroll_pages(self, pages: int) -> None:
        """Move through both answers, or the page, by what is in view."""
        if self.phase == "judging":
            for column in self.columns:
                column.scroll_pages(pages)
        else:
            page = self.query_one("#blind-page")
            lines = pages * max(1, page.scrollable_content_region.height - 1)
            page.scroll_relative(y=lines, animate=False)

    def action_scroll_question(self, lines: int) -> None:
        """Move through the question."""
        self.query_one("#blind-question").scroll_relative(y=lines, animate=False)

    def on_resize(self, event: Resize) -> None:
        """Lay out for this size."""
        self.set_class(event.size.width < NARROW, "-narrow")

    # -- what is shown --------------------------------------------------------------

    async def _show_next(self, judging: BlindJudging) -> None:
        """The pair to be judged, or that there is none left."""
        pair = judging.current
        if pair is None:
            told = blind_words.all_judged(self._key("blind.undo"), self._key("blind.result"))
            self._show_page("judged", told)
            return
        self.query_one("#blind-asked", Static).update(blind_words.asked(pair.left))
        self.query_one("#blind-question").scroll_home(animate=False)
        for column, letter, output in zip(self.columns, "AB", (pair.left, pair.right), strict=True):
            await column.show(Content.styled(letter, "bold $primary"), blind_words.answers(output))
        self._pace.begin(self._clock())
        self._show_phase("judging")

    @work(group="show")
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
            if has_widgets(self):
                self.query_one(Banner).trouble = error
                self._notice("")
                self._show_page("result", blind_words.result(tally, self._out))

    def _show_page(self, phase: Phase, told: Content) -> None:
        """Show words in place of a pair."""
        self.query_one("#blind-told", Static).update(told)
        self.query_one("#blind-page").scroll_home(animate=False)
        self._show_phase(phase)

    def _show_phase(self, phase: Phase) -> None:
        """Show what belongs to a phase, and the keys that do something in it."""
        self.phase = phase
        self.set_class(phase == "judging", "-pair")
        judging = self._judging
        place = ""
        if phase == "judging" and judging is not None:
            place = f"pair {judging.done + 1:,} of {len(judging.shared.pairs):,}"
        self.query_one("#blind-head", Static).update(
            Content.assemble(("Blind judging", "bold $primary"), (f"  {place}", "$quiet"))
        )
        hints = self.query_one(HintLine)
        hints.keys, hints.state = self._hints(phase), self._time_left()

    def _hints(self, phase: Phase) -> tuple[tuple[str, str], ...]:
        back, result = self._key("blind.back"), self._key("blind.result")
        undo = (self._key("blind.undo"), "undo")
        if phase == "judging":
            return (
                (self._key("blind.up") + self._key("blind.down"), "scroll"),
                undo,
                (self._key("blind.view"), "view"),
                (back, "end"),
                (key_name(self, "app.keys"), "keys"),
            )
        if phase == "judged":
            return ((result, "result"), undo, (back, "end"))
        return ((back, "back"),)

    def _time_left(self) -> str:
        """What is left, at the pace so far."""
        judging = self._judging
        if self.phase != "judging" or judging is None:
            return ""
        seconds = self._pace.left(judging.left)
        return "" if seconds is None else f"about {duration(seconds)} left"

    def _notice(self, text: str) -> None:
        line = self.query_one("#blind-notice", Static)
        line.update(text)
        line.display = bool(text)

    def _key(self, name: str) -> str:
        """The first key of an action, as it is printed on a keyboard."""
        return shown(keys_of(self, name)[0])
