"""The token view of a preamble with a first question: the exact text that reaches the model."""

from __future__ import annotations

from pathlib import PurePath
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from urial_tui.errors import UrialError
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.render import open_turn, preamble_text
from urial_tui.prompting.token_check import QUERY
from urial_tui.runtime.cutter import ContextToken
from urial_tui.tui.drawing.token_strip import TokenStrip
from urial_tui.tui.drawing.token_text import quoted
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.frame.messages import CopyRequested
from urial_tui.tui.prompts.laboratory import Laboratory
from urial_tui.tui.prompts.reaching_strip import ReachingStrip, token_text
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.heading_line import HeadingLine
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.wording import amount

MOST = 20_000
"""Tokens that are shown: more than a context for which this program is made."""

_PARTS = {
    "start": "what the engine puts in front",
    "preamble": "the preamble",
    "turn": "the turn, up to where its answer opens",
}


class ReachingScreen(Screen[None]):
    """Shows the text at once, and the tokens when they are there.

    Args:
        laboratory: Cuts it.
        preamble: What is shown, sound or not.
        query: The question behind it.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../widgets/token_screens.tcss", "prompts.tcss"]
    AUTO_FOCUS = "ReachingStrip"
    BINDING_GROUP_TITLE = "What reaches the model"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Back", id="reaching.back"),
        Binding("y", "copy", "Copy the text", id="reaching.copy"),
    ]

    def __init__(self, laboratory: Laboratory, preamble: Preamble, query: str = QUERY) -> None:
        super().__init__()
        self._laboratory = laboratory
        self._preamble = preamble
        self._query = query
        self.tokens: tuple[ContextToken, ...] = ()

    def compose(self) -> ComposeResult:
        """From the top: what it is, the tokens, the one under the cursor, what is wrong, keys."""
        yield HeadingLine("What reaches the model")
        yield ReachingStrip(id="reaching")
        yield Static(id="reaching-token", markup=False)
        yield Banner(id="banner")
        yield HintLine(id="reaching-hints")

    def on_mount(self) -> None:
        """Show the text, and start to tokenise it."""
        self._head("reading its tokens")
        self.query_one(ReachingStrip).show_text(self.text)
        self.query_one(HintLine).keys = (
            ("←→↑↓", "token"),
            (key_name(self, "reaching.next_part"), "next part"),
            (key_name(self, "reaching.copy"), "copy the text"),
            (key_name(self, "reaching.back"), "back"),
            (key_name(self, "app.keys"), "all keys"),
        )
        self._cut()

    @property
    def text(self) -> str:
        """What reaches the model, but for what the engine puts in front."""
        return preamble_text(self._preamble) + open_turn(self._preamble, self._query)

    @work(exclusive=True, group="cut")
    async def _cut(self) -> None:
        try:
            found = await self._laboratory.tokens(self._preamble, self._query)
        except UrialError as error:
            if has_widgets(self):
                self._head("its text alone")
                self.query_one(Banner).trouble = error
            return
        if has_widgets(self):
            self.tokens = found
            shown = found[:MOST]
            cut = f", {MOST:,} shown" if len(found) > MOST else ""
            self._head(f"{amount(len(found), 'token')} by {self._laboratory.called}{cut}")
            self.query_one(ReachingStrip).show_context(shown)

    def action_copy(self) -> None:
        """Copy the text that reaches the model."""
        self.post_message(CopyRequested(self.text, "what reaches the model"))

    @on(TokenStrip.Moved)
    def show_token(self, event: TokenStrip.Moved) -> None:
        """The cursor is on another token."""
        token = self.tokens[event.index]
        control = ", a control token" if token.control else ""
        self.query_one("#reaching-token", Static).update(
            Content.assemble(
                (f"Token {event.index + 1:,} of {len(self.tokens):,}  ", "$quiet"),
                (quoted(token_text(token), token.id), "bold"),
                (f"  id {token.id:,}, bytes {token.data.hex(' ') or 'none'}{control}\n", "$quiet"),
                (_PARTS[token.part], "$secondary"),
            )
        )

    def _head(self, state: str) -> None:
        self.query_one(HeadingLine).beside = f"{self._preamble.name}: {state}"
