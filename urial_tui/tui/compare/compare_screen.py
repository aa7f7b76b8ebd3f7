"""The compare screen: two sides on one answer, token by token.

The screen reacts to the user's keys and to the steps of a comparison; what is shown as a result
stays until another one is there, or a side is changed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.events import Resize
from textual.widgets import Static

from urial_tui.chat.drafts import DraftPlace
from urial_tui.compare.comparison_result import ComparedToken, ComparisonResult
from urial_tui.compare.comparison_start import ComparisonSubject
from urial_tui.compare.side_choice import SideChoice, contexts_of_side
from urial_tui.compare.side_pair import ComparisonStep, Rechosen
from urial_tui.engine.wire.events import (
    Loaded,
    LoadProgress,
    Notice,
    PrefillProgress,
    Silence,
    TextDelta,
)
from urial_tui.errors import SettingsError, UrialError
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings, engine_options
from urial_tui.tui.compare.compared_strip import ComparedStrip
from urial_tui.tui.compare.comparison_engine import ComparisonEngine, SideKind
from urial_tui.tui.compare.comparison_introduction import introduction
from urial_tui.tui.compare.pick_side import PickSideScreen
from urial_tui.tui.compare.shares import Findings, SharesLine
from urial_tui.tui.compare.sides import Sides
from urial_tui.tui.compare.token_detail import TokenDetail
from urial_tui.tui.drawing.curves import Curve
from urial_tui.tui.drawing.figures import number, percent
from urial_tui.tui.drawing.token_text import quoted
from urial_tui.tui.frame.keys import key_name, keyed
from urial_tui.tui.frame.prompt_screen import PromptScreen
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.prompt import Prompt
from urial_tui.wording import amount

NARROW = 100
"""Columns below which the answer and the token stand under each other."""
LOW_NARROW, LOW_WIDE = 40, 32
"""Rows below which the token and the whole answer are shown in turns."""

_PLACE = DraftPlace(0, "comparison")
"""Of what is typed here: it belongs to no conversation."""

_ENDINGS = {"length": ", cut at the length limit", "cancelled": ", stopped early"}


class CompareScreen(PromptScreen):
    """A screen over the chat; its engine is its own and ends with it.

    Two models are loaded beside the chat's: the chat's worker is idle meanwhile, and its
    conversation need not be read again afterwards. Where the memory does not allow it, the
    check in front of each load says so.

    Args:
        engine: Compares; it is closed with the screen.
        list_models: Names of the models on this machine.
        base: The base side to start with.
        aligned: The aligned side to start with.
        settings: The engine's options and the longest answer.
        subject: What to compare at once; None waits for a question.
        note: A sentence to tell at the start.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../widgets/token_screens.tcss", "compare.tcss"]
    AUTO_FOCUS = "Prompt"
    BINDING_GROUP_TITLE = "Compare"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Stop; back to the chat", id="compare.back"),
        Binding("f2", "pick('base')", "Change the base side", id="compare.base"),
        Binding("f3", "pick('aligned')", "Change the aligned side", id="compare.aligned"),
        Binding("f4", "whole", "The token, or the whole answer", id="compare.whole"),
        Binding("ctrl+r", "again", "Compare again", priority=True, id="compare.again"),
    ]

    def __init__(
        self,
        engine: ComparisonEngine,
        list_models: Callable[[], Sequence[str]],
        *,
        base: SideChoice,
        aligned: SideChoice,
        settings: Settings,
        subject: ComparisonSubject | None = None,
        note: str = "",
    ) -> None:
        super().__init__()
        self.engine = engine
        self.result: ComparisonResult | None = None
        self._list_models = list_models
        self._choices: dict[SideKind, SideChoice] = {"base": base, "aligned": aligned}
        self._settings = settings
        self._subject = subject
        self._note = note
        self._comparing = False
        self._loading: SideKind = "aligned"

    def compose(self) -> ComposeResult:
        """From the top: sides, question, answer and token, the whole, the keys."""
        yield from super().compose()
        yield Sides(id="sides")
        yield Prompt(
            placeholder=keyed(self, "A question; {prompt.submit} compares the answer to it"),
            id="query",
        )
        yield Banner(id="banner")
        servers = engine_options(self._settings).servers
        yield Static(introduction(self, servers), id="introduction", markup=False)
        with Container(id="result"):
            yield ComparedStrip(id="strip")
            yield TokenDetail(id="detail")
        with Container(id="overview"):
            yield SharesLine(id="shares")
            with Container(id="curves"):
                yield Curve("KL(aligned‖base)", shown=number, id="curve-kl")
                yield Curve("base rank, log", shown=_rank, scale=math.log, id="curve-rank")
                yield Curve("p base", shown=percent, full=1.0, id="curve-probability")
            yield Findings(id="findings")
        yield HintLine(id="hints")

    def on_mount(self) -> None:
        """Start the comparison, if there is one to make."""
        self._show_sides()
        self._show_parts()
        if self._note:
            self.notify(self._note, markup=False)
        if self._subject is not None:
            self.query_one(Prompt).put(self._subject.query)
            self._run(self._subject)
            # There is nothing to type: the keys are for the tokens.
            self.query_one(ComparedStrip).focus()
        else:
            self.query_one(Prompt).put(self.drafts.of(_PLACE))

    async def on_unmount(self) -> None:
        """Close the engine: what runs goes with the screen."""
        self.workers.cancel_node(self)
        await asyncio.to_thread(self.engine.close)

    def draft(self) -> tuple[DraftPlace, str]:
        """A question that was not compared on yet; see `PromptScreen.draft`."""
        typed = self.query_one(Prompt).full_text
        compared = self._subject is not None and typed == self._subject.query
        return _PLACE, "" if compared else typed

    # -- the user -------------------------------------------------------------------

    @on(Prompt.Submitted)
    def submit(self, event: Prompt.Submitted) -> None:
        """Have the aligned side answer what is in the prompt."""
        self._run(ComparisonSubject(query=event.text))

    def action_again(self) -> None:
        """Compare on the same question, or the same given answer, once more."""
        typed = self.query_one(Prompt).full_text
        if self._subject is not None:
            self._run(self._subject)
        elif typed.strip():
            self._run(ComparisonSubject(query=typed))

    def action_back(self) -> None:
        """Stop what runs; else leave."""
        if self._comparing:
            self._say("stopping")
            self.engine.stop()
        else:
            self.dismiss()

    @work(exclusive=True, group="pick")
    async def action_pick(self, side: SideKind) -> None:
        """Open the dialog that chooses a side; a result that was made with another one goes."""
        if self._comparing:
            stop = key_name(self, "compare.back")
            self.notify(f"A comparison is running; {stop} stops it.", markup=False)
            return
        try:
            models = await asyncio.to_thread(self._list_models)
            contexts = await asyncio.to_thread(contexts_of_side, same=side == "base")
        except SettingsError as error:
            self.complain(error)
            return
        chosen = await self.app.push_screen_wait(
            PickSideScreen(side, self._choices[side], models, contexts)
        )
        if chosen is None or chosen == self._choices[side]:
            return
        self._choices[side] = chosen
        self.result = None
        self._show_sides()
        self._show_parts()

    def action_whole(self) -> None:
        """Toggle between the token and the whole answer, where both have no room."""
        self.toggle_class("-whole")

    def action_page_transcript(self, direction: int) -> None:
        """Move through the answer from within the prompt."""
        self.query_one(ComparedStrip).action_page(direction)

    def on_resize(self, event: Resize) -> None:
        """Lay out for this size."""
        width, height = event.size
        narrow = width < NARROW
        self.set_class(narrow, "-narrow")
        self.set_class(height < (LOW_NARROW if narrow else LOW_WIDE), "-low")
        self._show_parts()

    # -- the comparison -------------------------------------------------------------

    def _run(self, subject: ComparisonSubject) -> None:
        if self._comparing:
            stop = key_name(self, "compare.back")
            self.notify(f"One comparison at a time; {stop} stops this one.", markup=False)
            return
        self._comparing = True
        self._subject = subject
        self.drafts.note(*self.draft())
        self.result = None
        self.settle_trouble()
        self.query_one(Sides).vocabulary = ""
        self.query_one(ComparedStrip).show_text(subject.answer or "")
        self._say("starting")
        self._show_parts()
        self._compare(subject)

    @work(group="comparison")
    async def _compare(self, subject: ComparisonSubject) -> None:
        self._loading = "aligned"
        result: ComparisonResult | None = None
        error: UrialError | None = None
        try:
            result = await self.engine.compare(
                self._choices["base"],
                self._choices["aligned"],
                subject,
                engine_options(self._settings),
                self._settings.chat.max_tokens,
                take=self.take,
                unpacking=self.show_unpacking,
            )
        except UrialError as caught:
            error = caught
        if self.has_widgets:
            if result is not None:
                self.show_result(result)
            self.show_end(error)

    def take(self, step: ComparisonStep) -> None:
        """Show what happens on the way to a result."""
        if not self.has_widgets:
            return
        match step:
            case LoadProgress(fraction=fraction):
                self._say(f"loading the {self._loading} side {fraction:.0%}")
            case Loaded():
                self._loading = "base"
            case TextDelta():
                self.show_answer()
            case Rechosen():
                self.show_rechosen(step)
            case PrefillProgress(stage="score", done=done, total=total):
                self._say(f"scoring {done:,} of {total:,}")
            case Notice(message=message):
                self.notify(sanitize_line(message), markup=False)
            case Silence():
                # It may hang: say which key ends it.
                self._say(step.in_words(key_name(self, "compare.back")))
            case _:
                pass

    def show_unpacking(self, side: SideKind, done: int, total: int) -> None:
        """Show the progress of unpacking: a model's file is put together, once."""
        if self.has_widgets:
            self._say(f"unpacking the {side} side's model {done / max(1, total):.0%}")

    def show_answer(self) -> None:
        """Show more of the answer, in plain text."""
        written = self.engine.written
        self._say(f"answering: {amount(written.tokens, 'token')}")
        self.query_one(ComparedStrip).show_text(written.text)
        self._show_parts()

    def show_rechosen(self, step: Rechosen) -> None:
        """Warn that the text on the screen is about to change: which token, and why."""
        self.notify(
            f"Token {step.at + 1:,} becomes {quoted(step.chosen)} in place of "
            f"{quoted(step.written)}, a near tie that rounds otherwise as it is scored; "
            "it is written anew from there.",
            markup=False,
        )

    def show_result(self, result: ComparisonResult) -> None:
        """Show the result: the answer in colours, the cursor on its first token."""
        self.result = result
        self.query_one(Sides).vocabulary = (
            result.relation if result.cut_alike else f"{result.relation}, cut differently"
        )
        strip = self.query_one(ComparedStrip)
        if result.positions:
            strip.show_positions(result.positions)
        else:
            strip.show_text(result.answer)
        self.query_one(TokenDetail).count = len(result.positions)
        for name, values in (
            ("kl", [_or_infinite(position.kl_aligned_base) for position in result.positions]),
            ("rank", [_shown_rank(position) for position in result.positions]),
            ("probability", [position.p_base or 0.0 for position in result.positions]),
        ):
            curve = self.query_one(f"#curve-{name}", Curve)
            curve.values = tuple(values)
            curve.cursor = 0
        self.query_one(SharesLine).result = result
        self.query_one(Findings).result = result
        prompt = self.query_one(Prompt)
        if prompt.has_focus and self._subject is not None and prompt.text == self._subject.query:
            strip.focus()
        self._show_parts()

    def show_end(self, error: UrialError | None) -> None:
        """Show how it ended: done, stopped or failed; what is there stays."""
        self._comparing = False
        self.query_one(Banner).trouble = error
        if error is not None:
            self._say("failed")
        elif self.result is not None and self.result.bytes is not None:
            self._say("compared by bytes")
        elif self.result is not None:
            tokens = len(self.result.positions)
            ending = _ENDINGS.get(self.result.stop_reason, "")
            if self.result.rechosen:
                ending += f", {self.result.rechosen:,} rechosen"
            self._say(f"{amount(tokens, 'token')}{ending}")
        else:
            self._say("stopped, not scored")
        self._show_parts()

    @on(ComparedStrip.Moved)
    def show_position(self, event: ComparedStrip.Moved) -> None:
        """Show the position of the token under the cursor."""
        if self.result is None or event.index >= len(self.result.positions):
            return
        self.query_one(TokenDetail).position = self.result.positions[event.index]
        for curve in self.query(Curve):
            curve.cursor = event.index

    # -- what is shown --------------------------------------------------------------

    def _say(self, state: str) -> None:
        self.query_one(HintLine).state = state

    def _show_sides(self) -> None:
        sides = self.query_one(Sides)
        base, aligned = self._choices["base"], self._choices["aligned"]
        sides.base = (base.model, base.context)
        sides.aligned = (aligned.model, aligned.context)
        sides.vocabulary = ""
        self._say("")

    def _show_parts(self) -> None:
        """Show the widgets that have something to show, and the keys that do something."""
        result = self.result
        scored = result is not None and bool(result.positions)
        something = result is not None or bool(self.query_one(ComparedStrip).text)
        self.query_one("#introduction").display = not something
        self.query_one("#result").display = something
        self.set_class(result is not None and not scored, "-unscored")
        self.query_one(TokenDetail).styles.display = None if scored else "none"
        self.query_one("#overview").display = result is not None
        back, help_key = key_name(self, "compare.back"), key_name(self, "app.keys")
        keys: list[tuple[str, str]] = []
        if self._comparing:
            keys.append((back, "stop"))
        elif scored:
            keys += [("←→↑↓", "token"), ("n", "next shifted")]
            if self.has_class("-low"):
                keys.append((key_name(self, "compare.whole"), "token or answer"))
            keys += [(help_key, "all keys"), (back, "chat")]
        else:
            keys += [
                (key_name(self, "prompt.submit"), "compare"),
                (help_key, "all keys"),
                (back, "chat"),
            ]
        self.query_one(HintLine).keys = tuple(keys)


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


def _shown_rank(position: ComparedToken) -> float:
    return float(position.rank) if position.rank else math.inf


def _rank(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "none"
