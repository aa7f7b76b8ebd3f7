"""A screen on which a question is answered by two sides: what of that may be seen when.

While the names are hidden, nothing on the screen tells which side is which: no title, no
speed, no error and no message of the engine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from urial_tui.chat.drafts import Place
from urial_tui.chat.session import Conversation
from urial_tui.chat.votes import Vote, tally_of
from urial_tui.errors import StoreError
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.choice import Choice
from urial_tui.tui.messages import EngineBug, EngineTrouble
from urial_tui.tui.screens.prompt_screen import PromptScreen
from urial_tui.tui.side_messages import SideEnded, SideGrew, SideNotice, SidesEnded, SideWaits
from urial_tui.tui.side_words import (
    KEYS,
    STATES,
    Phase,
    header,
    introduction,
    tally_line,
    what_failed,
)
from urial_tui.tui.sides_thread import SidesThread
from urial_tui.tui.trial import Trial
from urial_tui.tui.widgets.ballot import Ballot
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.prompt import Prompt
from urial_tui.tui.widgets.side_view import SideView, how_it_ended
from urial_tui.wording import amount, rate

NARROW = 78
"""Columns below which the sides stand one above the other."""

MakeSidesThread = Callable[[Callable[[Message], object]], SidesThread]
"""Makes the thread that posts to a screen."""

WAITING = 5.0
"""Seconds after which it is told how long the answers take."""

_VIEWS = ("", "-only-left", "-only-right")


class TrialScreen(PromptScreen):
    """Shows two sides, and follows what their thread tells.

    Args:
        make_thread: Makes the thread that posts to this screen.
        conversation: What the questions go on with.
        choices: The left and the right side.
        blind: Whether names are hidden until the vote.
    """

    def __init__(
        self,
        make_thread: MakeSidesThread,
        conversation: Conversation,
        *,
        choices: tuple[Choice, Choice],
        blind: bool,
    ) -> None:
        super().__init__()
        self.thread = make_thread(self.post_message)
        self.conversation = conversation
        self.choices = list(choices)
        self.blind = blind
        self.phase: Phase = "empty"
        self.trial: Trial | None = None
        """The question that is on the screen."""
        self._answering: Timer | None = None
        self._asked_at = 0.0
        self.votes: list[Vote] = []

    def compose(self) -> ComposeResult:
        """From the top: what goes on, the question, the sides, the vote, the prompt, the keys."""
        yield from super().compose()
        yield Static(id="sides-header", markup=False)
        yield Static(id="sides-question", markup=False)
        with Container(id="both-sides"):
            yield SideView("A", id="left-side")
            yield SideView("B", id="right-side")
        yield Static(introduction(), id="sides-introduction", markup=False)
        yield Static(id="sides-tally", markup=False)
        yield Banner(id="banner")
        yield Ballot(id="ballot")
        yield Prompt(placeholder="A question for both sides", id="sides-prompt")
        yield HintLine(id="hints")

    def on_mount(self) -> None:
        """Start the thread; show what would answer."""
        self.query_one(Prompt).put(self.drafts.of(self._place()))
        self.thread.start()
        self._answering = self.set_interval(1, self._tell_progress, pause=True)
        self.show_phase("empty")
        self._read_votes()

    async def on_unmount(self) -> None:
        """The workers go with the screen."""
        await asyncio.to_thread(self.thread.close)

    def draft(self) -> tuple[Place, str]:
        """A question for both sides."""
        return self._place(), self.query_one(Prompt).full_text

    def _place(self) -> Place:
        return Place(self.conversation.record.id, "both sides")

    @property
    def hidden(self) -> bool:
        """Whether names are hidden at this moment."""
        return self.phase in ("answering", "voting") and (
            self.blind if self.trial is None else self.trial.hidden
        )

    @property
    def sides(self) -> tuple[SideView, SideView]:
        """Left and right."""
        return self.query_one("#left-side", SideView), self.query_one("#right-side", SideView)

    # -- the thread -----------------------------------------------------------------

    def _trial_of(self, question_id: int) -> Trial | None:
        """What is shown, if the message is about that."""
        trial = self.trial
        return trial if trial is not None and trial.question.id == question_id else None

    @on(SideWaits)
    def show_waiting(self, event: SideWaits) -> None:
        """Something has to be done before there is text."""
        if self._trial_of(event.question_id) is not None and not self.hidden:
            self.sides[event.place].say(event.state)

    @on(SideGrew)
    def show_growth(self, event: SideGrew) -> None:
        """More of an answer; hidden sides are shown together at the end."""
        if self._trial_of(event.question_id) is None or self.hidden:
            return
        side = self.sides[event.place]
        speed = f" · {rate(event.rate)}" if event.rate else ""
        side.say(f"writing · {amount(event.generated, 'token')}{speed}")
        side.write(event.text)

    @on(SideNotice)
    def show_notice(self, event: SideNotice) -> None:
        """The engine has something to say."""
        text = sanitize_line(event.text)
        if self.hidden and self.trial is not None:
            self.trial.notices.append(text)
        else:
            self.notify(text, markup=False)

    @on(SideEnded)
    def show_end(self, event: SideEnded) -> None:
        """One side is over."""
        trial = self._trial_of(event.question_id)
        if trial is None:
            return
        trial.answers[event.place] = event.answer
        trial.errors[event.place] = event.error
        trial.over += 1
        self._tell_progress()
        if not trial.hidden:
            self.sides[event.place].finish(event.answer)
            self._show_failure(trial)

    @on(SidesEnded)
    def show_both(self, event: SidesEnded) -> None:
        """Both sides are over: a vote is possible where there are two answers."""
        trial = self._trial_of(event.question_id)
        if trial is None:
            return
        good = trial.good
        if good:
            self.conversation.tree.select(good[0].id)
            self.keep_place()
        if len(good) < 2:
            # There is nothing to judge, so nothing has to stay hidden.
            self.reveal(trial, ("", ""))
            self._show_failure(trial)
            self.query_one(Prompt).focus()
            return
        if trial.hidden:
            for side, answer in zip(self.sides, good, strict=True):
                side.write(answer.text)
                side.say(how_it_ended(answer))
        self.show_phase("voting")

    @work(exclusive=True, group="place")
    async def keep_place(self) -> None:
        """Where one stands now is where the conversation opens again."""
        try:
            await asyncio.to_thread(self.conversation.keep_place)
        except StoreError as error:
            self.complain(error)

    @on(EngineTrouble)
    def show_trouble(self, event: EngineTrouble) -> None:
        """An answer is there but not on the disk."""
        self.complain(event.error)

    @on(EngineBug)
    def crash(self, event: EngineBug) -> None:
        """A mistake in this program: end with a trace; what was stored is stored."""
        raise event.error

    def reveal(self, trial: Trial, marks: tuple[str, str]) -> None:
        """Show whose answers these are, and what they cost."""
        if trial.hidden:
            for side, answer in zip(self.sides, trial.answers, strict=True):
                side.finish(answer)
        self.show_phase("over", marks=marks)
        for text in trial.notices:
            self.notify(text, markup=False)
        trial.notices.clear()

    def action_view(self) -> None:
        """Show both sides, then each alone."""
        both = self.query_one("#both-sides")
        place = next((n for n, name in enumerate(_VIEWS) if name and both.has_class(name)), 0)
        both.remove_class(*_VIEWS[1:])
        following = _VIEWS[(place + 1) % len(_VIEWS)]
        if following:
            both.add_class(following)

    def action_scroll_sides(self, lines: int) -> None:
        """Move through both answers."""
        for side in self.sides:
            side.scroll_by(lines)

    def action_page_transcript(self, direction: int) -> None:
        """Move through both answers by a page."""
        for side in self.sides:
            side.page(direction)

    def on_resize(self, event: Resize) -> None:
        """Lay out for this size."""
        self.set_class(event.size.width < NARROW, "-narrow")

    # -- what is shown --------------------------------------------------------------

    @work(exclusive=True, group="votes")
    async def _read_votes(self) -> None:
        store = self.conversation.store
        if store is None:
            return
        try:
            self.votes = await asyncio.to_thread(store.votes)
        except StoreError as error:
            self.complain(error)
        self.show_tally()

    def show_phase(self, phase: Phase, *, marks: tuple[str, str] = ("", "")) -> None:
        """Show what belongs to a phase, and the keys that do something in it."""
        self.phase = phase
        empty = phase == "empty"
        self.query_one("#sides-introduction").display = empty
        self.query_one("#sides-question").display = not empty
        for part in (self.query_one("#both-sides"), *self.sides):
            part.set_class(empty, "-empty")
        ballot = self.query_one(Ballot)
        ballot.display = phase in ("answering", "voting")
        ballot.set_class(phase == "voting", "-open")
        if self._answering is not None:
            if phase == "answering":
                self._asked_at = time.monotonic()
                self._answering.reset()
                self._answering.resume()
                self._tell_progress()
            else:
                self._answering.pause()
        self.show_names(marks)
        self.show_header()
        self.show_tally()
        hints = self.query_one(HintLine)
        hints.keys, hints.state = (*KEYS[phase], ("F1", "all keys")), STATES[phase]

    def _tell_progress(self) -> None:
        """Say that something happens, in nothing that tells a side: by which answer, and time."""
        number = 1 if self.trial is None else min(2, self.trial.over + 1)
        seconds = time.monotonic() - self._asked_at
        waiting = f" · {seconds:.0f} s" if seconds >= WAITING else ""
        self.query_one(Ballot).tell(f"Answer {number} of 2 is on its way{waiting}")

    def show_names(self, marks: tuple[str, str] = ("", "")) -> None:
        """Say whose the sides are, and what the vote said."""
        for side, choice, mark in zip(self.sides, self.choices, marks, strict=True):
            side.name_it(None if self.hidden else choice.contestant, mark)

    def show_header(self) -> None:
        """Say what the questions go on with."""
        path = self.conversation.path
        asked = None if self.trial is None else self.trial.question.id
        earlier = sum(turn.role == "user" and turn.id != asked for turn in path)
        self.query_one("#sides-header", Static).update(
            header(self.conversation, earlier, blind=self.blind)
        )

    def show_tally(self) -> None:
        """The votes between these two; nothing while the names are hidden."""
        shown = self.query_one("#sides-tally", Static)
        one, other = (choice.contestant for choice in self.choices)
        shown.display = not self.hidden and one != other
        if shown.display:
            counted = tally_of(self.votes, one, other, blind=self.blind)
            shown.update(tally_line(counted, self.blind))

    def _show_failure(self, trial: Trial) -> None:
        """Tell why a side failed, and that the other has not."""
        failed = what_failed(trial.errors)
        if failed is not None:
            self.complain(*failed)
