"""The welcome of an empty conversation: what this is, what answers, and how to start."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from urial_tui.engine.wire.server_address import whereabouts
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.keys import key_name

EXAMPLES = (
    "What is a base language model?",
    "Give me three tips for learning to cook.",
    "Write a short poem about a mountain sheep.",
)

_ASK = "Ask something below, or choose one of these (Tab, then Enter):"

_KEYS = (
    ("prompt.submit", "send"),
    ("prompt.newline", "new line"),
    ("chat.stop", "stop"),
    ("chat.open", "open"),
    ("app.keys", "all keys"),
    ("app.quit", "quit"),
)


class Welcome(VerticalScroll, can_focus=False):
    """A friendly first screen; the prompt's keys scroll it."""

    model: reactive[str] = reactive("")
    preamble: reactive[str] = reactive("")
    servers: reactive[tuple[str, ...]] = reactive(())
    """RPC servers that compute layers of the model."""

    class Chosen(Message):
        """The user picked an example question."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def compose(self) -> ComposeResult:
        """An explanation, what answers, the examples, the keys."""
        yield Static(id="welcome-text", markup=False)
        for name in ("model", "preamble"):
            with Horizontal(classes="welcome-fact"):
                yield Static(name, classes="welcome-name", markup=False)
                yield Static(id=f"welcome-{name}", markup=False)
        yield Static(_ASK, id="welcome-ask", markup=False)
        yield OptionList(*(Option(Content(text)) for text in EXAMPLES), id="examples", markup=False)
        yield Static(self._keys(), id="welcome-keys", markup=False)

    def on_mount(self) -> None:
        """Fill in the names."""
        self._tell()

    def watch_model(self) -> None:
        """Update the name of the model."""
        self._tell()

    def watch_preamble(self) -> None:
        """Update the name of the preamble."""
        self._tell()

    def watch_servers(self) -> None:
        """It is computed elsewhere, or here."""
        self._tell()

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Pass the question on."""
        event.stop()
        self.post_message(self.Chosen(EXAMPLES[event.option_index]))

    def _tell(self) -> None:
        if not self.is_mounted:
            return
        self.query_one("#welcome-text", Static).update(
            Content.assemble(
                ("Chat with a base model\n", "bold $primary"),
                "A base model only continues text; nobody has tuned it to help. A constant "
                "preamble in front of your question shows it how an assistant answers. ",
                whereabouts(self.servers),
            )
        )
        self.query_one("#welcome-model", Static).update(Content(sanitize_line(self.model)))
        self.query_one("#welcome-preamble", Static).update(Content(sanitize_line(self.preamble)))

    def _keys(self) -> Content:
        parts = [
            Content.assemble((key_name(self, name), "bold $secondary"), (f" {what}", "$quiet"))
            for name, what in _KEYS
        ]
        return Content("   ").join(parts)
