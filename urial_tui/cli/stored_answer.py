"""An answer of a stored conversation, as something to compare on."""

from __future__ import annotations

import itertools

from urial_tui.chat.answer_trace import stored_examples, wants_examples
from urial_tui.chat.shown import ids_key
from urial_tui.chat.store import Store
from urial_tui.chat.tree import TurnTree
from urial_tui.chat.turns import TurnRecord
from urial_tui.cli.chats import find_conversation
from urial_tui.compare.items import Query
from urial_tui.compare.sides import Task
from urial_tui.engine.wire.values import ModelInfo
from urial_tui.errors import PreambleError, UsageError
from urial_tui.prompting.context import Context
from urial_tui.prompting.preamble_file import find_preamble


class StoredAnswer:
    """A question and the answer to it, on the path where the conversation stood last.

    Args:
        chat: The conversation's id, or "last".
        number: Which of its answers, from 1; None for the newest.

    Raises:
        UsageError: There is no such conversation, or no such answer.
        StoreError: The database can't be read.
    """

    def __init__(self, chat: str, number: int | None) -> None:
        with Store() as store:
            found = find_conversation(store, chat)
            path = TurnTree(store.turns(found), store.conversation(found).leaf).path
        pairs = [
            (question, answer)
            for question, answer in itertools.pairwise(path)
            if question.role == "user" and answer.role == "assistant" and answer.text
        ]
        if not pairs:
            raise UsageError("The conversation has no answer yet.", "Name another one.")
        number = len(pairs) if number is None else number
        if number > len(pairs):
            raise UsageError(
                f"The conversation has {len(pairs)} answers, so there is no answer {number}.",
                "Give --answer a number from 1, the oldest, on.",
            )
        self.question: TurnRecord = pairs[number - 1][0]
        self.answer: TurnRecord = pairs[number - 1][1]
        self.is_first = self.question.parent_id is None

    def task(self, model: ModelInfo) -> Task:
        """To be scored with this model as the aligned side: by its tokens where they are its own.

        Of another model's answer, be it one of the same name, the text is tokenised anew.
        """
        answer = self.answer
        return Task(
            query=Query(id=str(answer.id), text=self.question.text),
            text=answer.text,
            ids=(answer.ids or ()) if self._is_by(model) else (),
        )

    def shown_again(self, context: Context) -> Context | None:
        """The context of the answer with the examples that stood in front of it; None where these
        are not stored, or it is another context.
        """
        preamble = context.preamble
        examples = None if preamble is None else stored_examples(self.answer, preamble)
        return None if examples is None else context.shown_again(self.question.text, examples)

    def lacks_examples(self, context: Context) -> bool:
        """Whether it was written in this context, and its examples are not stored."""
        preamble = context.preamble
        return (
            preamble is not None
            and preamble.name == self.answer.preamble
            and wants_examples(self.answer, preamble)
        )

    def _is_by(self, model: ModelInfo) -> bool:
        try:
            preamble = find_preamble(self.answer.preamble)
        except PreambleError:
            return False
        return self.answer.ids_key == ids_key(model, preamble)
