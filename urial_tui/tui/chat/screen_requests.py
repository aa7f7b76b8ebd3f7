"""Requests for the screens over the chat, refused while an answer is written.

They are messages: what opens the screens (`openings`) imports them only then.
"""

from __future__ import annotations

from textual.message import Message

from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.model_loading import ModelLoading
from urial_tui.tui.chat.open_conversation import OpenConversation
from urial_tui.tui.chat.xray import Xray
from urial_tui.tui.frame.messages import (
    CompareRequested,
    EvaluateRequested,
    ModelsRequested,
    PromptsRequested,
    SidesRequested,
)


class ScreenRequests:
    """Posts the messages on which the application opens screens.

    Args:
        view: Posts them.
        models: What is in use.
        here: What is compared, and whether an answer is being written.
        xray: Knows what an answer is compared with.
    """

    def __init__(
        self, view: ChatView, models: ModelLoading, here: OpenConversation, xray: Xray
    ) -> None:
        self._view = view
        self._models = models
        self._here = here
        self._xray = xray

    def compare(self) -> None:
        """Compare two models on a question."""
        choice = self._models.choice
        self._post(CompareRequested(choice.model, choice.preamble))

    def compare_answer(self) -> None:
        """Compare the newest answer with the second side's ranks, if it has one; else with what
        the model says without the preamble.
        """
        choice, conversation = self._models.choice, self._here.conversation
        second = self._xray.second
        self._post(CompareRequested(choice.model, choice.preamble, conversation, second))

    def sides(self) -> None:
        """Ask two sides at once, and vote."""
        self._post(SidesRequested())

    def evaluate(self) -> None:
        """Evaluate models."""
        self._post(EvaluateRequested())

    def prompts(self) -> None:
        """Look after the preambles."""
        self._post(PromptsRequested())

    def models(self) -> None:
        """Look after the models. An answer goes on below that screen, as downloads do there."""
        self._view.screen.post_message(ModelsRequested())

    def _post(self, message: Message) -> None:
        if not self._here.refuse_while_busy():
            self._view.screen.post_message(message)
