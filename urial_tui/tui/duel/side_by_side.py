"""The side-by-side screen: two sides answer one question, and the user votes.

The conversation is the chat's own, or a new one: both answers become siblings in it, and
what is voted for is what it goes on with.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from urial_tui.chat.drafts import DraftPlace
from urial_tui.chat.session import Conversation
from urial_tui.chat.votes import VotedFor
from urial_tui.errors import PreambleError, StoreError, UrialError, UsageError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.writer import WriterChoice
from urial_tui.sanitize import sanitize
from urial_tui.settings import Settings, engine_options, sampling
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.chat.choose import Measured, chooser
from urial_tui.tui.duel.ballot import TIGHT, Ballot
from urial_tui.tui.duel.both_sides import NARROW
from urial_tui.tui.duel.contest import Contest
from urial_tui.tui.duel.duel import Duel, SidesQuestion
from urial_tui.tui.duel.side_view import SideView
from urial_tui.tui.duel.side_words import MARKS, DuelPhase, introduction
from urial_tui.tui.duel.trial import Trial
from urial_tui.tui.duel.trial_view import TrialView
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.frame.prompt_screen import PromptScreen
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.prompt import Prompt

ZERO_SHOT, URIAL = "zero-shot", "urial-k3"
"""What the second side is under at first."""


def first_choices(used: WriterChoice) -> tuple[WriterChoice, WriterChoice]:
    """The sides to start with: what is in use, and that model without the preamble, or with one.

    Returns:
        What is chosen for the left side, and for the right one.
    """
    other = ZERO_SHOT if used.preamble.name != ZERO_SHOT else URIAL
    try:
        return used, WriterChoice(model=used.model, preamble=find_preamble(other))
    except PreambleError:
        # The user's own file of this name is damaged; the list says what is wrong with it.
        return used, used


class SideBySideScreen(PromptScreen):
    """A screen over the chat; its engines are its own and end with it.

    Args:
        duel: Has the sides answer.
        conversation: What the questions go on with; the chat's stays where it is.
        new_conversation: Makes an empty one.
        used: What the chat answers with: with this the conversation goes on.
        choices: The left and the right side.
        settings: Sampling, lengths and the engine's options.
        measured: Tokens of preambles that are known.
        blind: Whether names are hidden until the vote.
        swap: Draws whether the sides change places; from the system's randomness.
    """

    CSS_PATH = "sides.tcss"
    AUTO_FOCUS = "Prompt"
    BINDING_GROUP_TITLE = "Side by side"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Stop both; back to the chat", id="sides.back"),
        Binding("f2", "pick(0)", "Change side A", id="sides.pick_a"),
        Binding("f3", "pick(1)", "Change side B", id="sides.pick_b"),
        Binding("f4", "blind", "Names hidden until voted", id="sides.blind"),
        Binding("f6", "view", "Both sides, or one alone", priority=True, id="sides.view"),
        Binding("ctrl+n", "new", "A new conversation", priority=True, id="sides.new"),
    ]

    def __init__(
        self,
        duel: Duel,
        conversation: Conversation,
        new_conversation: Callable[[], Conversation],
        *,
        used: WriterChoice,
        choices: tuple[WriterChoice, WriterChoice],
        settings: Settings,
        measured: Measured,
        blind: bool = False,
        swap: Callable[[], bool] = lambda: bool(secrets.randbits(1)),
    ) -> None:
        super().__init__()
        self.duel = duel
        self.contest = Contest(conversation, choices, blind=blind)
        self.view = TrialView(self, duel, self.contest)
        self._new_conversation = new_conversation
        self._used = used
        self._settings = settings
        self._measured = measured
        self._swap = swap
        self.action_view = self.view.both_sides.show_next_view
        self.action_scroll_sides = self.view.both_sides.scroll_sides
        self.action_page_transcript = self.view.both_sides.page

    def compose(self) -> ComposeResult:
        """From the top: what goes on, the question, the sides, the vote, the prompt, the keys."""
        yield from super().compose()
        yield Static(id="sides-header", markup=False)
        yield Static(id="sides-question", markup=False)
        yield self.view.both_sides
        yield Static(introduction(self), id="sides-introduction", markup=False)
        yield Static(id="sides-tally", markup=False)
        yield Banner(id="banner")
        yield Ballot(id="ballot")
        yield Prompt(placeholder="A question for both sides", id="sides-prompt")
        yield HintLine(id="hints")

    def on_mount(self) -> None:
        """Show what would answer."""
        self.query_one(Prompt).put(self.drafts.of(self.draft()[0]))
        self.view.show_phase("empty")
        self._read_votes()

    async def on_unmount(self) -> None:
        """Close the engines; what was written is stored before."""
        self.workers.cancel_node(self)
        await asyncio.to_thread(self.duel.close)
        await self.duel.over()

    @property
    def conversation(self) -> Conversation:
        """What the questions go on with."""
        return self.contest.conversation

    @property
    def choices(self) -> list[WriterChoice]:
        """The left and the right side."""
        return self.contest.choices

    @property
    def phase(self) -> DuelPhase:
        """The state of the question that is asked."""
        return self.contest.phase

    @property
    def sides(self) -> tuple[SideView, SideView]:
        """Left and right."""
        return self.view.sides

    def draft(self) -> tuple[DraftPlace, str]:
        """A question for both sides; see `PromptScreen.draft`."""
        return DraftPlace(self.conversation.record.id, "both sides"), self.query_one(
            Prompt
        ).full_text

    @work(exclusive=True, group="votes")
    async def _read_votes(self) -> None:
        store = self.conversation.store
        if store is None:
            return
        try:
            self.contest.votes = await asyncio.to_thread(store.votes)
        except StoreError as error:
            self.complain(error)
        self.view.show_tally()

    # -- the user -------------------------------------------------------------------

    @on(Prompt.Submitted)
    def submit(self, event: Prompt.Submitted) -> None:
        """Have both sides answer."""
        if self.phase == "answering":
            stop = key_name(self, "sides.back")
            self.notify(f"One question at a time; {stop} stops both answers.", markup=False)
            return
        greedy = sampling(self._settings).temperature == 0
        if self.choices[0] == self.choices[1] and greedy:
            left, right = key_name(self, "sides.pick_a"), key_name(self, "sides.pick_b")
            self.notify(
                "Both sides are the same, and so would be their greedy answers: "
                f"{left} or {right} changes one.",
                markup=False,
            )
            return
        self.contest.trial = None
        self.view.show_phase("answering")
        self._ask(event.text)

    @work(group="ask")
    async def _ask(self, text: str) -> None:
        """Store the question as the next turn, and have both sides answer it."""
        conversation = self.conversation
        try:
            question = await asyncio.to_thread(conversation.add_question, text, self._used)
        except (StoreError, UsageError) as error:
            self.view.show_phase("empty")
            self.complain(error)
            return
        self.settle_trouble()
        self.query_one(Prompt).take(text)
        if self.contest.hidden:
            # What was said before may name a side.
            self.app.clear_notifications()
            if self._swap():
                self.choices.reverse()
        asked = SidesQuestion(
            conversation=conversation,
            id=question.id,
            sides=(self.choices[0], self.choices[1]),
            sampling=sampling(self._settings),
            max_tokens=self._settings.chat.max_tokens,
            options=engine_options(self._settings),
        )
        trial = self.contest.trial = Trial(asked, hidden=self.contest.blind)
        self.query_one("#sides-question", Static).update(
            Content.assemble(("You  ", "bold $secondary"), sanitize(question.text))
        )
        hidden = self.contest.hidden
        self.view.both_sides.clear(
            "both answers appear together" if hidden else "waits for its turn"
        )
        if not hidden:
            for side in self.sides:
                side.follow()
        self.view.show_names()
        self.query_one(Ballot).focus()
        await self.view.follow(trial)

    @on(Ballot.Voted)
    def vote(self, event: Ballot.Voted) -> None:
        """Store the vote, and go on with what is better."""
        if self.phase == "voting" and self.contest.trial is not None:
            self._cast(self.contest.trial, event.choice)
        elif self.phase == "answering":
            self.notify("Both answers have to be there first.", markup=False)

    @work(exclusive=True, group="vote")
    async def _cast(self, trial: Trial, choice: VotedFor) -> None:
        vote = trial.vote(choice)
        store = self.conversation.store
        try:
            if store is not None:
                await asyncio.to_thread(store.add_vote, vote)
        except StoreError as error:
            self.complain(error)
            return
        self.contest.votes.append(vote)
        trial.settle(choice)
        self.view.reveal(trial, MARKS[choice])
        self.view.keep_place()
        self.query_one(Prompt).focus()

    def action_back(self) -> None:
        """Stop what runs; else leave."""
        if self.phase == "answering":
            self.query_one(HintLine).state = "stopping"
            self.duel.stop()
        else:
            self.dismiss()

    def action_blind(self) -> None:
        """Hide the names from the next question on, or show them."""
        if not self._refuse_while_hidden():
            self.contest.blind = not self.contest.blind
            self.view.show_header()
            self.view.show_tally()

    @work(exclusive=True, group="pick")
    async def action_pick(self, place: int) -> None:
        """Open the dialog that chooses a side."""
        if self._refuse_while_hidden() or self._refuse_while_answering():
            return
        try:
            make = await asyncio.to_thread(chooser, engine_options(self._settings), self._measured)
        except UrialError as error:
            self.complain(error)
            return
        chosen = await self.app.push_screen_wait(
            make(f"Side {'AB'[place]}", self.choices[place], "models")
        )
        if chosen is not None and chosen != self.choices[place]:
            self.choices[place] = chosen
            self.settle_trouble()
            self.contest.trial = None
            self.view.show_phase("empty")

    def action_new(self) -> None:
        """Ask in a new conversation from now on."""
        if self._refuse_while_answering():
            return
        self.drafts.note(self.draft()[0], "")
        self.contest.conversation = self._new_conversation()
        self.drafts.note(*self.draft())
        self.settle_trouble()
        self.contest.trial = None
        self.view.show_phase("empty")
        self.query_one(Prompt).focus()

    def _refuse_while_hidden(self) -> bool:
        if self.contest.hidden:
            self.notify("Vote first: until then the names are hidden.", markup=False)
        return self.contest.hidden

    def _refuse_while_answering(self) -> bool:
        if self.phase == "answering":
            stop = key_name(self, "sides.back")
            self.notify(f"Both sides are answering; {stop} stops them.", markup=False)
        return self.phase == "answering"

    def on_resize(self, event: Resize) -> None:
        """Lay out for this size."""
        self.set_class(event.size.width < NARROW, "-narrow")
        self.set_class(event.size.width < TIGHT, "-tight")


def side_by_side(chat: ChatScreen, duel: Duel, last: SideBySideScreen | None) -> SideBySideScreen:
    """Make the screen on the chat's conversation, with the sides as the last one was left."""
    screen = SideBySideScreen(
        duel,
        chat.conversation,
        lambda: Conversation.new(chat.store),
        used=chat.choice,
        choices=first_choices(chat.choice) if last is None else (last.choices[0], last.choices[1]),
        settings=chat.settings,
        measured=chat.models.measured,
        blind=last is not None and last.contest.blind,
    )
    screen.drafts = chat.drafts
    return screen
