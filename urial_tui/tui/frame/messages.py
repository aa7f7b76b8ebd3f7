"""Messages by which screens ask the application for something."""

from __future__ import annotations

from collections.abc import Sequence

from textual.message import Message

from urial_tui.chat.session import Conversation
from urial_tui.compare.side_choice import SideChoice
from urial_tui.prompting.preamble import Preamble


class ScreenRequested(Message):
    """Open a screen over the chat."""


class CompareRequested(ScreenRequested):
    """Open the compare screen with a model; on the newest answer of a conversation, if given.

    `second`: what the conversation's tokens are ranked on while they are written.
    """

    def __init__(
        self,
        model: str,
        preamble: Preamble,
        conversation: Conversation | None = None,
        second: SideChoice | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.preamble = preamble
        self.conversation = conversation
        self.second = second


class CopyRequested(Message):
    """Copy a text; `what` names it, its length unless given."""

    def __init__(self, text: str, what: str = "") -> None:
        super().__init__()
        self.text = text
        self.what = what


class EvaluateRequested(ScreenRequested):
    """Open the evaluation screen."""


class ModelsRequested(ScreenRequested):
    """Open the screen about models."""


class PromptsRequested(ScreenRequested):
    """Open the screen about preambles."""


class PullRequested(Message):
    """Download these models, one after another."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)


class SidesRequested(ScreenRequested):
    """Open the side-by-side screen on the chat's conversation."""
