"""The token screen: an answer, token by token, with probabilities and alternatives.

The tokens come in while they are read; what is there can be looked at. Choosing another
token ends the screen with the ids that an answer is to start with; the chat goes on from
them, beside this answer.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import PurePath
from typing import ClassVar, NamedTuple

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import OptionList, Static

from urial_tui.chat.answer_trace import AnswerTrace
from urial_tui.engine.wire.events import Event, PrefillProgress, Traced, TracedTokens
from urial_tui.engine.wire.values import ModelInfo, Sampling
from urial_tui.errors import EngineDied, InternalError, UrialError
from urial_tui.tui.drawing.curves import Curve
from urial_tui.tui.drawing.figures import number, percent
from urial_tui.tui.drawing.token_strip import TokenStrip
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.tokens.alternatives import DIGITS, Alternatives, AlternativesHeading
from urial_tui.tui.tokens.chain_table import ChainTable
from urial_tui.tui.tokens.token_facts import TokenFacts
from urial_tui.tui.tokens.trace_head import TraceHead
from urial_tui.tui.tokens.traced_answer import TracedAnswer
from urial_tui.tui.tokens.traced_strip import TracedStrip
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.wording import amount

NARROW = 100
"""Columns below which the answer and the token stand under each other."""
LOW = 34
"""Rows below which the curves have no room."""


class AnswerBranch(NamedTuple):
    """The ids that another answer is to start with. `again`: this one starts with them, too."""

    ids: tuple[int, ...]
    again: bool


class TokensScreen(Screen[AnswerBranch | None]):
    """A screen over the chat, whose engine reads the answer.

    Args:
        read: Has the answer read: its events.
        stop: Ends the reading.
        trace: What is read.
        info: The model that reads it.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../widgets/token_screens.tcss", "tokens.tcss"]
    AUTO_FOCUS = "TracedStrip"
    BINDING_GROUP_TITLE = "Tokens of an answer"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Stop reading; back to the chat", id="tokens.back"),
        *(
            Binding(
                digit,
                f"branch({place})",
                f"Write alternative {place + 1} instead",
                id=f"tokens.branch_{place + 1}",
            )
            for place, digit in enumerate(DIGITS)
        ),
    ]

    def __init__(
        self,
        read: Callable[[], AsyncGenerator[Event, None]],
        stop: Callable[[], None],
        trace: AnswerTrace,
        info: ModelInfo,
    ) -> None:
        super().__init__()
        self.answer = TracedAnswer(trace, info.n_vocab)
        self._read = read
        self._stopped = False
        self._stop = stop
        self._reading = True

    def compose(self) -> ComposeResult:
        """From the top: head, notes, the answer and the token, curves, the keys."""
        yield TraceHead(id="trace-head")
        yield Static(id="trace-notes", markup=False)
        yield Banner(id="banner")
        with Container(id="trace-body"):
            yield TracedStrip(id="strip")
            with Container(id="trace-token"):
                yield TokenFacts(self.answer, id="trace-facts")
                with Container(id="trace-tables"):
                    with Container(id="trace-instead"):
                        yield AlternativesHeading(id="trace-heading")
                        yield Alternatives(self.answer, id="trace-alternatives")
                    yield ChainTable(self.answer, id="trace-chain")
        with Container(id="trace-curves"):
            yield Curve("probability", shown=percent, full=1.0, id="trace-probability")
            yield Curve("entropy", shown=_nats, id="trace-entropy")
        yield HintLine(id="hints")

    def on_mount(self) -> None:
        """Start to read the answer."""
        head = self.query_one(TraceHead)
        head.model = self.answer.trace.answer.model
        head.facts = (told(self.answer.trace.sampling),)
        self._show_notes(0)
        self.query_one(TracedStrip).show_text(self.answer.trace.answer.text)
        self._show_keys()
        self._say("reading")
        self._follow()

    def on_unmount(self) -> None:
        """Cancel the reading."""
        if self._reading:
            self._end()

    # -- the user -------------------------------------------------------------------

    def action_back(self) -> None:
        """Stop the reading; leave once it is over, or while it has no token yet."""
        if not self._reading or not self.answer.tokens:
            self.dismiss(None)
        else:
            self._say("stopping")
            self._end()

    def _end(self) -> None:
        self._stopped = True
        self._stop()

    def action_alternatives(self) -> None:
        """Go to the list of the alternatives."""
        if self.answer.tokens:
            self.query_one(Alternatives).focus()

    def action_step(self, by: int) -> None:
        """Go to another token from within the alternatives."""
        self.query_one(TracedStrip).action_move(by)

    def action_branch(self, place: int) -> None:
        """Leave, to write the answer anew from the token at this place of the list."""
        token = self.query_one(Alternatives).token(place)
        if token is None:
            return
        if self.answer.ends(token):
            self.notify(
                f"{self.answer.quoted(token)} ends an answer: there is nothing to go on with.",
                markup=False,
            )
            return
        at = self.query_one(TracedStrip).cursor
        self.dismiss(
            AnswerBranch(self.answer.prefix(at, token), self.answer.tokens[at].id == token)
        )

    @on(OptionList.OptionSelected)
    def branch_to_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter or a click on an alternative."""
        self.action_branch(event.option_index)

    def on_resize(self, event: Resize) -> None:
        """Lay out for this size."""
        width, height = event.size
        self.set_class(width < NARROW, "-narrow")
        self.set_class(height < LOW, "-low")

    # -- the engine -----------------------------------------------------------------

    @work
    async def _follow(self) -> None:
        """Read the answer to its end, or until that is not wanted any more."""
        error: UrialError | None = None
        left_out = 0
        try:
            async with aclosing(self._read()) as events:
                async for event in events:
                    if isinstance(event, Traced):
                        left_out = event.left_out
                    elif has_widgets(self):
                        self._take(event)
        except UrialError as refused:
            # The one that is told of a stop says nothing new.
            told = isinstance(refused, EngineDied | InternalError) or not self._stopped
            error = refused if told else None
        if has_widgets(self):
            self._show_end(error, left_out)

    def _take(self, event: Event) -> None:
        match event:
            case PrefillProgress(done=done, total=total):
                self._say(f"reading {done:,} of {amount(total, 'token')}")
            case TracedTokens():
                self._show_tokens(event)
            case _:
                pass

    def _show_tokens(self, event: TracedTokens) -> None:
        """Show more tokens of the answer."""
        answer = self.answer
        first = not answer.tokens
        answer.add(event.tokens, event.pieces, event.total)
        self.query_one(TracedStrip).add_tokens(
            (answer.text(token.id), math.exp(token.logp)) for token in event.tokens
        )
        self.query_one("#trace-probability", Curve).values = tuple(
            math.exp(token.logp) for token in answer.tokens
        )
        self.query_one("#trace-entropy", Curve).values = tuple(
            token.entropy for token in answer.tokens
        )
        self._say(f"token {len(answer.tokens):,} of {event.total:,}")
        self._show_facts()
        if first:
            self._show_keys()
        self.query_one(TokenFacts).refresh()

    def _show_end(self, error: UrialError | None, left_out: int) -> None:
        """Show how the reading ended: done, stopped or failed; what is there stays."""
        self._reading = False
        self.query_one(Banner).trouble = error
        answer = self.answer
        if error is not None:
            self._say("failed")
        elif len(answer.tokens) < answer.total or not answer.tokens:
            self._say(f"stopped at token {len(answer.tokens):,} of {answer.total:,}")
        else:
            self._say(_count(answer.total))
        self._show_notes(left_out)
        self._show_keys()

    @on(TokenStrip.Moved)
    def show_token(self, event: TokenStrip.Moved) -> None:
        """Show the token under the cursor."""
        if event.index >= len(self.answer.tokens):
            return
        self.query_one(TokenFacts).index = event.index
        self.query_one(ChainTable).index = event.index
        self.query_one(Alternatives).show(event.index)
        for curve in self.query(Curve):
            curve.cursor = event.index

    # -- what is shown --------------------------------------------------------------

    def _say(self, state: str) -> None:
        self.query_one(HintLine).state = state

    def _show_facts(self) -> None:
        answer = self.answer
        facts = [told(answer.trace.sampling)]
        if (perplexity := answer.perplexity) is not None:
            facts.append(f"perplexity {number(perplexity, 1)}")
        self.query_one(TraceHead).facts = tuple(facts)

    def _show_notes(self, left_out: int) -> None:
        """Show notes on what could not be known, and what stands in for it."""
        trace, notes = self.answer.trace, []
        if not trace.own_tokens:
            notes.append(
                "Its own tokens are not known (edited, or another model or format): "
                "its text is tokenised."
            )
        if not trace.own_sampling:
            notes.append("How it was sampled is not known: the chain is that of the settings.")
        if not trace.own_examples:
            notes.append(
                "The examples that it was written behind are not known: those that its question "
                "has now stand for them."
            )
        if trace.gone_on:
            notes.append(
                "Its first tokens stood there before it was gone on from, and may have been chosen "
                "in another way."
            )
        if left_out:
            turns = "turn has" if left_out == 1 else f"{left_out} turns have"
            notes.append(f"The context is too small: the oldest {turns} no room in front of it.")
        shown = self.query_one("#trace-notes", Static)
        shown.update("\n".join(notes))
        shown.display = bool(notes)

    def _show_keys(self) -> None:
        keys: list[tuple[str, str]] = []
        self.set_class(not self.answer.tokens, "-unread")
        if self.answer.tokens:
            keys += [
                ("←→↑↓", "token"),
                (key_name(self, "tokens.next_improbable"), "improbable"),
                ("1-0", "instead"),
                (key_name(self, "app.keys"), "keys"),
            ]
        keys.append(
            (
                key_name(self, "tokens.back"),
                "stop" if self._reading and self.answer.tokens else "chat",
            )
        )
        self.query_one(HintLine).keys = tuple(keys)


def told(sampling: Sampling) -> str:
    """The sampling, in a word or two."""
    drawn = "greedy" if sampling.temperature <= 0 else f"temperature {sampling.temperature:g}"
    return drawn if sampling.rules is None else f"{drawn}, with rules"


def _nats(value: float) -> str:
    return number(value, 2)


def _count(tokens: int) -> str:
    return amount(tokens, "token")
