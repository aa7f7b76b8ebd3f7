"""The presenter of a trial: what of two answers may be seen at which moment.

While the names are hidden, nothing on the screen tells which side is which: no title, no
speed, no error and no message of the engine.
"""

from __future__ import annotations

import asyncio
import time

from textual.timer import Timer
from textual.widgets import Static
from textual.worker import Worker

from urial_tui.engine.wire.events import (
    LoadProgress,
    Notice,
    PrefillProgress,
    PromptReady,
    Silence,
    TextDelta,
)
from urial_tui.errors import StoreError
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.chat.rate import Rate
from urial_tui.tui.duel.ballot import Ballot
from urial_tui.tui.duel.both_sides import BothSides
from urial_tui.tui.duel.contest import Contest
from urial_tui.tui.duel.duel import Duel, ModelSought, SideEnded, SideEvent
from urial_tui.tui.duel.side_view import SideView, blind_ending
from urial_tui.tui.duel.side_words import STATES, DuelPhase, header, keys, tally_line, what_failed
from urial_tui.tui.duel.trial import Trial, contestant
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.frame.prompt_screen import PromptScreen
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.prompt import Prompt
from urial_tui.wording import amount, rate

WAITING = 5.0
"""Seconds after which it is told how long the answers take."""


class TrialView:
    """Shows a contest on a screen, and follows what its sides do.

    Args:
        screen: Has the widgets of the side-by-side screen.
        duel: Has the sides answer.
        contest: What is shown.
    """

    def __init__(self, screen: PromptScreen, duel: Duel, contest: Contest) -> None:
        self._screen = screen
        self._duel = duel
        self._contest = contest
        self.both_sides = BothSides()
        self._progress: Timer | None = None
        self._asked_at = 0.0

    @property
    def sides(self) -> tuple[SideView, SideView]:
        """Left and right."""
        return self.both_sides.sides

    # -- the sides ------------------------------------------------------------------

    async def follow(self, trial: Trial) -> None:
        """Have the sides answer, and show what they do."""
        paces = Rate(), Rate()

        def take(place: int, event: SideEvent) -> None:
            if trial is self._contest.trial:
                self._show(trial, place, event, paces[place])

        await self._duel.answer(trial.question, take)
        if trial is self._contest.trial:
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
                self._say(place, event.in_words(key_name(self._screen, "sides.back")))
            case TextDelta():
                self._show_growth(place, event, pace.after(event))
            case Notice():
                self._show_notice(trial, sanitize_line(event.message))
            case SideEnded():
                self._show_end(trial, place, event)
            case _:
                pass

    def _say(self, place: int, state: str) -> None:
        """Show the state of a side that has no text yet."""
        if not self._contest.hidden:
            self.sides[place].say(state)

    def _show_growth(self, place: int, event: TextDelta, speed: float) -> None:
        """Show more of an answer; hidden sides are shown together at the end."""
        if not self._contest.hidden:
            side = self.sides[place]
            at = f" · {rate(speed)}" if speed else ""
            side.say(f"writing · {amount(event.generated, 'token')}{at}")
            side.write(event.text)

    def _show_notice(self, trial: Trial, text: str) -> None:
        """Notify the user of what the engine has to say."""
        if self._contest.hidden:
            trial.notices.append(text)
        else:
            self._screen.notify(text, markup=False)

    def _show_end(self, trial: Trial, place: int, event: SideEnded) -> None:
        """Show that one side is over."""
        trial.answers[place] = event.answer
        if isinstance(event.error, StoreError):
            # The answer is there but not on the disk.
            self._screen.complain(event.error)
        else:
            trial.errors[place] = event.error
        trial.over += 1
        self._tell_progress()
        if not trial.hidden:
            self.sides[place].finish(event.answer)
            self._show_failure(trial)

    def _show_both(self, trial: Trial) -> None:
        """Show both sides, which are over: a vote is possible where there are two answers."""
        good = trial.good
        # A stopped one without a text is stood at as well: the next question follows an answer.
        if there := good or [answer for answer in trial.answers if answer is not None]:
            self._contest.conversation.tree.select(there[0].id)
            self.keep_place()
        if len(good) < 2:
            # There is nothing to judge, so nothing has to stay hidden.
            self.reveal(trial, ("", ""))
            self._show_failure(trial)
            self._screen.query_one(Prompt).focus()
            return
        if trial.hidden:
            for side, answer in zip(self.sides, good, strict=True):
                side.write(answer.text)
                side.say(blind_ending(answer))
        self.show_phase("voting")

    def keep_place(self) -> Worker[None]:
        """Store the place at which the conversation opens again, in the background."""
        return self._screen.run_worker(self._keep_place, group="place", exclusive=True)

    async def _keep_place(self) -> None:
        try:
            await asyncio.to_thread(self._contest.conversation.keep_place)
        except StoreError as error:
            self._screen.complain(error)

    def reveal(self, trial: Trial, marks: tuple[str, str]) -> None:
        """Show whose answers these are, and what they cost."""
        if trial.hidden:
            for side, answer in zip(self.sides, trial.answers, strict=True):
                side.finish(answer)
        self.show_phase("over", marks=marks)
        for text in trial.notices:
            self._screen.notify(text, markup=False)
        trial.notices.clear()

    def _show_failure(self, trial: Trial) -> None:
        """Tell why a side failed, and that the other has not."""
        failed = what_failed(trial.errors)
        if failed is not None:
            self._screen.complain(*failed)

    # -- what is shown --------------------------------------------------------------

    def show_phase(self, phase: DuelPhase, *, marks: tuple[str, str] = ("", "")) -> None:
        """Show what belongs to a phase, and the keys that do something in it."""
        self._contest.phase = phase
        screen, empty = self._screen, phase == "empty"
        screen.query_one("#sides-introduction").display = empty
        screen.query_one("#sides-question").display = not empty
        self.both_sides.show_empty(empty)
        ballot = screen.query_one(Ballot)
        ballot.display = phase in ("answering", "voting")
        ballot.set_class(phase == "voting", "-open")
        if self._progress is None:
            self._progress = screen.set_interval(1, self._tell_progress, pause=True)
        if phase == "answering":
            self._asked_at = time.monotonic()
            self._progress.reset()
            self._progress.resume()
            self._tell_progress()
        else:
            self._progress.pause()
        self.show_names(marks)
        self.show_header()
        self.show_tally()
        hints = screen.query_one(HintLine)
        hints.keys, hints.state = keys(screen, phase), STATES[phase]

    def _tell_progress(self) -> None:
        """Show progress in the number of answers and the time, which tell nothing of a side."""
        trial = self._contest.trial
        number = 1 if trial is None else min(2, trial.over + 1)
        seconds = time.monotonic() - self._asked_at
        waiting = f" · {seconds:.0f} s" if seconds >= WAITING else ""
        self._screen.query_one(Ballot).tell(f"Answer {number} of 2 is on its way{waiting}")

    def show_names(self, marks: tuple[str, str] = ("", "")) -> None:
        """Say whose the sides are, and what the vote said."""
        contest = self._contest
        for side, choice, mark in zip(self.sides, contest.choices, marks, strict=True):
            side.name_it(None if contest.hidden else contestant(choice), mark)

    def show_header(self) -> None:
        """Say what the questions go on with."""
        contest = self._contest
        self._screen.query_one("#sides-header", Static).update(
            header(contest.conversation, contest.earlier, blind=contest.blind)
        )

    def show_tally(self) -> None:
        """Show the votes between these two; nothing while the names are hidden."""
        contest = self._contest
        shown = self._screen.query_one("#sides-tally", Static)
        shown.display = not (contest.hidden or contest.same)
        if shown.display:
            shown.update(tally_line(contest.tally, contest.blind))
