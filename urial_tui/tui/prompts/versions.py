"""An A/B trial: one question, answered under two preambles by the loaded model in turn.

Nothing is drawn, and the penalties are the settings' own, so that what differs comes of the
preambles, and is what a chat would get; nothing is stored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

from urial_tui.chat.answer_start import AnswerStart
from urial_tui.chat.session import Conversation
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire.events import Event
from urial_tui.errors import UrialError
from urial_tui.evaluate.greedy import greedy_sampling
from urial_tui.prompting.preamble import Preamble
from urial_tui.runtime.writer import WriterChoice
from urial_tui.settings import Settings
from urial_tui.tui.chat.chat_engine import ChatEngine
from urial_tui.tui.duel.duel import SideEnded

OnVersionEvent = Callable[[int, Event | SideEnded], object]
"""Gets a version's place (0 or 1) and what happens there."""


class Versions:
    """Has both versions answer; `stop` at any time.

    Args:
        engine: The chat's, with its model.
        model: What that is called.
        settings: The penalties, and the longest answer.
    """

    def __init__(self, engine: ChatEngine, model: str, settings: Settings) -> None:
        self._engine = engine
        self._model = model
        self._sampling = greedy_sampling(settings)
        self._max_tokens = settings.chat.max_tokens
        self._stopped = False

    async def answer(
        self, question: str, pair: tuple[Preamble, Preamble], take: OnVersionEvent
    ) -> None:
        """Answer a question under both; `take` gets a `SideEnded` of each, the first one's first.

        Args:
            question: What is asked.
            pair: What it is answered under.
            take: Told what happens.
        """
        self._stopped = False
        for place, preamble in enumerate(pair):
            answer: TurnRecord | None = None
            error: UrialError | None = None
            conversation = Conversation.new(None)
            try:
                choice = WriterChoice(model=self._model, preamble=preamble)
                conversation.add_question(question, choice)
                if not self._stopped:
                    await self._write(conversation, preamble, partial(take, place))
            except UrialError as failure:
                error = failure
            leaf = conversation.leaf
            if leaf is not None and leaf.role == "assistant":
                answer = leaf
            take(place, SideEnded(answer=answer, error=error))

    async def _write(
        self, conversation: Conversation, preamble: Preamble, take: Callable[[Event], object]
    ) -> None:
        events = self._engine.answer(
            conversation,
            preamble,
            AnswerStart(self._sampling),
            self._max_tokens,
            watched=lambda name: None,
            told=lambda why: None,
        )
        async with contextlib.aclosing(events):
            async for event in events:
                take(event)

    def stop(self) -> None:
        """End what is written, and begin nothing more; what is there stays."""
        self._stopped = True
        self._engine.stop()
