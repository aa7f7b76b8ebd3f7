"""Opening the token screen on an answer of the chat, and going on from another token."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from urial_tui.chat.answer_trace import trace_of, wants_examples
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire.commands import Trace
from urial_tui.engine.wire.events import Event, Silence
from urial_tui.errors import EngineDied, UrialError
from urial_tui.prompting.preamble import Example
from urial_tui.runtime.writer import Writer
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import sampling
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.model_loading import ModelLoading
from urial_tui.tui.chat.open_conversation import OpenConversation
from urial_tui.tui.chat.questions import Questions


class TokenScreens:
    """Opens the token screen.

    Args:
        view: What it opens over.
        models: What reads the answer again.
        here: The conversation that the answer is in.
        questions: Goes on from a chosen token.
    """

    def __init__(
        self, view: ChatView, models: ModelLoading, here: OpenConversation, questions: Questions
    ) -> None:
        self._view = view
        self._models = models
        self._here = here
        self._questions = questions

    def look(self) -> None:
        """Look at an answer token by token; go on from another token where one is chosen."""
        self._view.work_alone("tokens", self._look)

    async def _look(self) -> None:
        here, models = self._here, self._models
        if here.refuse_while_busy():
            return
        answer = here.target_answer()
        if answer is None:
            self._view.tell("There is no answer here to look at.")
            return
        writer = models.engine.writer
        if writer is None or not models.ready:
            self._view.tell("The model has to be loaded first.")
            return
        from urial_tui.tui.tokens.tokens_screen import TokensScreen

        conversation = here.conversation
        try:
            examples = await self._examples_for(answer, writer)
            if conversation is not here.conversation:
                return
            trace = trace_of(conversation, answer, writer, sampling(models.settings()), examples)
        except UrialError as error:
            self._view.tell(sanitize_line(str(error)))
            return
        branch = await self._view.chosen_on(
            TokensScreen(
                lambda: self._traced(trace.request), models.engine.stop, trace, writer.model.info
            )
        )
        if branch is not None and conversation is here.conversation:
            self._questions.go_on_from(answer, branch.ids, again=branch.again)

    async def _examples_for(self, answer: TurnRecord, writer: Writer) -> tuple[Example, ...] | None:
        """The examples that an answer's question has now, where they are needed to look at it."""
        if not wants_examples(answer, writer.preamble) or answer.parent_id is None:
            return None
        question = self._here.conversation.tree[answer.parent_id].text
        return await self._models.engine.examples(question, writer.preamble)

    async def _traced(self, request: Trace) -> AsyncGenerator[Event, None]:
        """The events of a trace; where an error of it ends the engine, the chat says so, too."""
        try:
            async with aclosing(self._models.engine.trace(request)) as events:
                async for event in events:
                    if isinstance(event, Silence):
                        self._models.take(event)
                    yield event
        except EngineDied as error:
            self._models.lose(error)
            raise
