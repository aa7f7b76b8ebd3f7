"""The screen of an A/B trial: a question under two preambles, their answers side by side."""

from __future__ import annotations

from pathlib import PurePath
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from urial_tui.chat.drafts import DraftPlace
from urial_tui.engine.wire.events import Event, PrefillProgress, PromptReady, Silence, TextDelta
from urial_tui.errors import UrialError
from urial_tui.prompting.preamble import Preamble
from urial_tui.sanitize import sanitize, sanitize_line
from urial_tui.tui.duel.both_sides import NARROW, BothSides
from urial_tui.tui.duel.duel import SideEnded
from urial_tui.tui.duel.side_view import SideView
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.frame.prompt_screen import PromptScreen
from urial_tui.tui.prompts.versions import Versions
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.heading_line import HeadingLine
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.prompt import Prompt
from urial_tui.wording import amount

_PLACE = DraftPlace(0, "question for two preambles")


class VersionsScreen(PromptScreen):
    """Opens over the preambles, or over one that is changed.

    Args:
        versions: Has them answer.
        pair: Each preamble with what it is called here.
    """

    CSS_PATH: ClassVar[str | PurePath | list[str | PurePath] | None] = [
        "../duel/sides.tcss",
        "prompts.tcss",
    ]
    AUTO_FOCUS = "Prompt"
    BINDING_GROUP_TITLE = "Try two preambles"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Stop both; back", id="versions.back"),
        Binding("f5", "again", "Ask the same again", id="versions.again"),
        Binding("f6", "swap", "Change places", priority=True, id="versions.swap"),
    ]

    def __init__(
        self, versions: Versions, pair: tuple[tuple[str, Preamble], tuple[str, Preamble]]
    ) -> None:
        super().__init__()
        self._versions = versions
        self._pair = pair
        self._question = ""
        self.answering = False
        self._both_sides = BothSides()
        self.action_scroll_sides = self._both_sides.scroll_sides
        self.action_page_transcript = self._both_sides.page

    def compose(self) -> ComposeResult:
        """From the top: what it is, the question, both answers, what is wrong, the prompt, keys."""
        yield from super().compose()
        yield HeadingLine("Two preambles", "one question, the loaded model, temperature 0")
        yield Static(id="versions-question", markup=False)
        yield self._both_sides
        yield Banner(id="banner")
        yield Prompt(placeholder="A question for both", id="versions-prompt")
        yield HintLine(id="versions-hints")

    def on_mount(self) -> None:
        """Name the two."""
        self.query_one(Prompt).put(self.drafts.of(_PLACE))
        self.query_one("#versions-question").display = False
        self._show_names()
        self._show_keys()

    def on_unmount(self) -> None:
        """Cancel the answers."""
        if self.answering:
            self._versions.stop()

    @property
    def sides(self) -> tuple[SideView, SideView]:
        """Left and right."""
        return self._both_sides.sides

    def draft(self) -> tuple[DraftPlace, str]:
        """The question that is typed; see `PromptScreen.draft`."""
        return _PLACE, self.query_one(Prompt).full_text

    # -- the user -----------------------------------------------------------------------

    @on(Prompt.Submitted)
    def submit(self, event: Prompt.Submitted) -> None:
        """Have both answer."""
        if self.answering:
            stop = key_name(self, "versions.back")
            self.notify(f"One question at a time; {stop} stops both answers.", markup=False)
            return
        self.query_one(Prompt).take(event.text)
        self._begin(event.text)

    def action_again(self) -> None:
        """Ask the last question again."""
        if self._question and not self.answering:
            self._begin(self._question)

    def action_swap(self) -> None:
        """Have the two change places, for the next question."""
        if not self.answering:
            self._pair = (self._pair[1], self._pair[0])
            self._show_names()
            self._both_sides.clear("")

    def action_back(self) -> None:
        """Stop what runs; else leave."""
        if self.answering:
            self.query_one(HintLine).state = "stopping"
            self._versions.stop()
        else:
            self.dismiss()

    def on_resize(self, event: Resize) -> None:
        """Lay out for this size."""
        self.set_class(event.size.width < NARROW, "-narrow")

    # -- the answers --------------------------------------------------------------------

    def _begin(self, question: str) -> None:
        self.settle_trouble()
        self._question, self.answering = question, True
        shown = self.query_one("#versions-question", Static)
        shown.display = True
        shown.update(Content.assemble(("You  ", "bold $secondary"), sanitize(question)))
        self._both_sides.clear("waits for its turn")
        for side in self.sides:
            side.follow()
        self._show_keys()
        self._answer(question)

    @work(exclusive=True, group="answers")
    async def _answer(self, question: str) -> None:
        (_, left), (_, right) = self._pair
        await self._versions.answer(question, (left, right), self._show)
        self.answering = False
        if has_widgets(self):
            self._show_keys()

    def _show(self, place: int, event: Event | SideEnded) -> None:
        if not has_widgets(self):
            return
        side = self.sides[place]
        match event:
            case PrefillProgress():
                what = "reading the preamble" if event.stage == "preamble" else "reading"
                side.say(f"{what} {event.done:,} of {amount(event.total, 'token')}")
            case PromptReady():
                side.say("writing")
            case Silence():
                side.say(event.in_words(key_name(self, "versions.back")))
            case TextDelta():
                side.write(event.text)
                side.say(f"writing · {amount(event.generated, 'token')}")
            case SideEnded():
                self._show_end(side, event)
            case _:
                pass

    def _show_end(self, side: SideView, event: SideEnded) -> None:
        side.finish(event.answer)
        if event.error is not None:
            name = sanitize_line(self._pair[self.sides.index(side)][0])
            error = event.error
            self.complain(UrialError(f"{name}: {error.message}", error.hint))

    # -- what is shown ------------------------------------------------------------------

    def _show_names(self) -> None:
        for side, (name, _) in zip(self.sides, self._pair, strict=True):
            side.call_it(Content.styled(sanitize_line(name), "$secondary"))

    def _show_keys(self) -> None:
        hints = self.query_one(HintLine)
        hints.state = "writing" if self.answering else ""
        keys = [("versions.back", "stop both" if self.answering else "back")]
        if not self.answering:
            keys = [("prompt.submit", "ask"), ("versions.swap", "change places"), *keys]
            if self._question:
                keys.insert(1, ("versions.again", "again"))
        hints.show([*keys, ("app.keys", "all keys")])
