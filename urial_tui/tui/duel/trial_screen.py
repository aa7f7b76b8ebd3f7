"""A screen on which a question is answered by two sides: what of that may be seen when.

While the names are hidden, nothing on the screen tells which side is which: no title, no
speed, no error and no message of the engine.
"""

from __future__ import annotations

import asyncio
import time

from textual import work
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize
from textual.timer import Timer
from textual.widgets import Static

from urial_tui.chat.drafts import Place
from urial_tui.chat.session import Conversation
from urial_tui.chat.votes import Vote, tally_of
from urial_tui.engine.wire.protocol import (
    LoadProgress,
    Notice,
    PrefillProgress,
    PromptReady,
    Silence,
    TextDelta,
)
from urial_tui.errors import StoreError
from urial_tui.runtime.writer import Choice
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.chat.rate import Rate
from urial_tui.tui.duel.ballot import Ballot
from urial_tui.tui.duel.duel import Duel, ModelSought, SideEnded, SideEvent
from urial_tui.tui.duel.side_view import SideView, how_it_ended
from urial_tui.tui.duel.side_words import (
    KEYS,
    STATES,
    Phase,
    header,
    introduction,
    tally_line,
    what_failed,
)
from urial_tui.tui.duel.trial import Trial, contestant
from urial_tui.tui.frame.prompt_screen import PromptScreen
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.prompt import Prompt
from urial_tui.wording import amount, rate

NARROW = 78
"""Columns below which the sides stand one above the other."""

WAITING = 5.0
"""Seconds after which it is told how long the answers take."""

_VIEWS = ("", "-only-left", "-only-right")


class TrialScreen(PromptScreen):
    """Shows two sides, and follows what they do.

    Args:
        duel: Has the sides answer.
        conversation: What the questions go on with.
        choices: The left and the right side.
        blind: Whether names are hidden until the vote.
    """

    def __init__(
        self,
        duel: Duel,
        conversation: Conversation,
        *,
        choices: tuple[Choice, Choice],
        blind: bool,
    ) -> None:
        super().__init__()
        self.duel = duel
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
        """Show what would answer."""
        self.query_one(Prompt).put(self.drafts.of(self._place()))
        self._answering = self.set_interval(1, self._tell_progress, pause=True)
        self.show_phase("empty")
        self._read_votes()

    async def on_unmount(self) -> None:
        """The workers go with the screen; what was written is stored before."""
        self.workers.cancel_node(self)
        await asyncio.to_thread(self.duel.close)
        await self.duel.over()

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

    # -- the sides ------------------------------------------------------------------

    async def follow(self, trial: Trial) -> None:
        """Have the sides answer, and show what they do."""
        paces = Rate(), Rate()

        def take(place: int, event: SideEvent) -> None:
            if trial is self.trial:
                self._show(trial, place, event, paces[place])

        await self.duel.answer(trial.question, take)
        if trial is self.trial:
            self._show_both(trial)

    def _show(self, trial: Trial, place: int, event: SideEvent, pace: Rate) -> None:
        match event:
            case ModelSought(total=0):
                self._say(place, "loading")
            case ModelSought():
                self._say(place, f"unpacking the model {event.done / event.total:.0%}")
            case LoadProgress():
                self._say(place, f"loading {event.fraction:.0%}")
            case PrefillProgress():
                what = "reading the preamble" if event.stage == "preamble" else "reading"
                self._say(place, f"{what} {event.done:,} of {amount(event.total, 'token')}")
            case PromptReady():
                self._say(place, "writing")
            case Silence():
                self._say(place, event.in_words("Esc"))
            case TextDelta():
                self._show_growth(place, event, pace.after(event))
            case Notice():
                self._show_notice(trial, sanitize_line(event.message))
            case SideEnded():
                self._show_end(trial, place, event)
            case _:
                pass

    def _say(self, place: int, state: str) -> None:
        """Something has to be done before there is text."""
        if not self.hidden:
            self.sides[place].say(state)

    def _show_growth(self, place: int, event: TextDelta, speed: float) -> None:
        """More of an answer; hidden sides are shown together at the end."""
        if not self.hidden:
            side = self.sides[place]
            at = f" · {rate(speed)}" if speed else ""
            side.say(f"writing · {amount(event.generated, 'token')}{at}")
            side.write(event.text)

    def _show_notice(self, trial: Trial, text: str) -> None:
        """The engine has something to say."""
        if self.hidden:
            trial.notices.append(text)
        else:
            self.notify(text, markup=False)

    def _show_end(self, trial: Trial, place: int, event: SideEnded) -> None:
        """One side is over."""
        trial.answers[place] = event.answer
        if isinstance(event.error, StoreError):
            # The answer is there but not on the disk.
            self.complain(event.error)
        else:
            trial.errors[place] = event.error
        trial.over += 1
        self._tell_progress()
        if not trial.hidden:
            self.sides[place].finish(event.answer)
            self._show_failure(trial)

    def _show_both(self, trial: Trial) -> None:
        """Both sides are over: a vote is possible where there are two answers."""
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
            side.name_it(None if self.hidden else contestant(choice), mark)

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
        one, other = map(contestant, self.choices)
        shown.display = not self.hidden and one != other
        if shown.display:
            counted = tally_of(self.votes, one, other, blind=self.blind)
            shown.update(tally_line(counted, self.blind))

    def _show_failure(self, trial: Trial) -> None:
        """Tell why a side failed, and that the other has not."""
        failed = what_failed(trial.errors)
        if failed is not None:
            self.complain(*failed)
