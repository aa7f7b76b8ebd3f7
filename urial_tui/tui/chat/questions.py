"""Asking: a new question, an edited one, another answer, one that goes on; and stopping.

Each first moves in the conversation's tree, then has the question there answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from urial_tui.chat.answer_start import AnswerStart, by_chance, with_seed
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire.values import Sampling, TokenSegment
from urial_tui.errors import StoreError, UsageError
from urial_tui.settings import sampling
from urial_tui.tui.chat.answers import Answers
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.model_loading import ModelLoading
from urial_tui.tui.chat.moves import Moves
from urial_tui.tui.chat.open_conversation import OpenConversation
from urial_tui.tui.chat.samples import Samples
from urial_tui.tui.chat.xray import Xray

SAMPLES = 3
"""Answers that are written side by side."""


class Questions:
    """Stores questions and has them answered; `stop` cancels what is under way.

    Args:
        view: Tells the user.
        models: What answers.
        here: What is asked in.
        moves: Shows where one stands.
        samples: Shows several answers to one question.
        xray: What may be on its way as well.
        answers: Has the questions answered.
    """

    def __init__(
        self,
        view: ChatView,
        models: ModelLoading,
        here: OpenConversation,
        moves: Moves,
        samples: Samples,
        xray: Xray,
        answers: Answers,
    ) -> None:
        self._view = view
        self._models = models
        self._here = here
        self._moves = moves
        self._samples = samples
        self._xray = xray
        self._answers = answers

    @property
    def _sampling(self) -> Sampling:
        """The sampling of the settings."""
        return sampling(self._models.settings())

    # -- questions ------------------------------------------------------------------

    def submit(self, text: str) -> None:
        """Ask what is in the prompt, or keep what was edited there."""
        edited = self._here.asking.edited
        if edited is not None and edited.role == "assistant":
            self._view.work_alone("ask", self._keep, text)
        else:
            self.ask(text)

    def ask(self, text: str, start: AnswerStart | None = None) -> None:
        """Ask a question, or what was made of the one that is edited."""
        here = self._here
        edited = here.asking.edited
        if here.refuse_while_busy():
            return
        here.asking.store()
        conversation, choice = here.conversation, self._models.choice

        def add() -> TurnRecord:
            if edited is None:
                return conversation.add_question(text, choice)
            return conversation.edit_question(edited.id, text, choice)

        self._view.work_alone("ask", self._store, text, add, start or AnswerStart(self._sampling))

    def ask_example(self, text: str) -> None:
        """Ask an example question."""
        self._view.prompt.focus()
        self.ask(text)

    async def _store(self, text: str, add: Callable[[], TurnRecord], start: AnswerStart) -> None:
        """Store the question, show it, and have it answered as soon as the engine is ready."""
        here, conversation = self._here, self._here.conversation
        try:
            question = await asyncio.to_thread(add)
        except (StoreError, UsageError) as error:
            here.asking.fail()
            self._view.complain(error)
            return
        if conversation is not here.conversation:
            return
        prompt = self._view.prompt
        if here.asking.edited is None:
            prompt.take(text)
        here.stop_editing()
        prompt.earlier = [question.text, *(old for old in prompt.earlier if old != question.text)]
        self._view.header.title_text = conversation.record.title
        await self._answers.answer_leaf(start)

    # -- other answers --------------------------------------------------------------

    def regenerate(self) -> None:
        """Answer a question again; the answer that is there stays beside the new one."""
        turn = self._here.target()
        if turn is None or self._here.refuse_while_busy():
            return
        question = turn.id if turn.role == "user" else turn.parent_id
        again = bool(self._here.conversation.tree.children(question))
        chosen = self._other_sampling() if again else self._sampling
        self._answer_again(question, AnswerStart(chosen))

    def several(self) -> None:
        """Ask what is typed, or the last question again, and have several answers written."""
        self._view.work_alone("several", self._several)

    async def _several(self) -> None:
        here = self._here
        marked = self._view.transcript.marked
        text = "" if marked is not None else self._view.prompt.full_text
        turn = here.target()
        if not text.strip() and turn is None:
            return
        if here.refuse_while_busy():
            return
        if self._models.ready and not await self._samples.has_room():
            return
        if here.refuse_while_busy():
            return
        edited = here.asking.edited
        if edited is not None and edited.role == "assistant":
            send = self._view.key("prompt.submit")
            self._view.tell(f"An answer is being edited; {send} keeps it.")
        elif text.strip():
            self.ask_several(text)
        elif turn is not None and turn.id in here.conversation.tree:
            question = turn.id if turn.role == "user" else turn.parent_id
            self._answer_again(question, self._several_start(SAMPLES))

    def ask_several(self, text: str, samples: int = SAMPLES) -> None:
        """Ask a question, or what was made of the one that is edited, for several answers."""
        self.ask(text, self._several_start(samples))

    def _several_start(self, samples: int) -> AnswerStart:
        return AnswerStart(with_seed(self._other_sampling(samples)), samples=samples)

    def _other_sampling(self, samples: int = 1) -> Sampling:
        """The sampling of another answer, or of several: random, for greedy ones are the same."""
        chosen, why = by_chance(self._sampling, samples)
        if why:
            self._view.tell(why)
        return chosen

    def go_on(self) -> None:
        """Go on with an answer from where it ends, in a new one beside it."""
        edited = self._here.asking.edited
        if edited is not None and edited.role == "assistant":
            self._view.work_alone("ask", self._keep_and_go_on, self._view.prompt.full_text)
            return
        turn = self._here.target()
        if turn is None or self._here.refuse_while_busy():
            return
        if turn.role == "user":
            self._view.tell("There is no answer here to go on with.")
            return
        self._answer_again(turn.parent_id, self._continued(turn))

    def go_on_from(self, answer: TurnRecord, ids: tuple[int, ...], *, again: bool) -> None:
        """Answer again with these tokens as the beginning; `again`: by chance."""
        if not self._here.refuse_while_busy():
            chosen = self._other_sampling() if again else self._sampling
            start = AnswerStart(chosen, (TokenSegment(ids=ids),), goes_on=answer)
            self._answer_again(answer.parent_id, start)

    def _continued(self, answer: TurnRecord) -> AnswerStart:
        models = self._models
        prefix = self._here.conversation.continuation(answer.id, models.info, models.preamble)
        return AnswerStart(self._sampling, prefix, goes_on=answer)

    def _answer_again(self, question_id: int | None, start: AnswerStart) -> None:
        self._view.work_alone("ask", self._answer, question_id, start)

    async def _answer(self, question_id: int | None, start: AnswerStart) -> None:
        self._here.conversation.tree.stand_at(question_id)
        await self._answers.answer_leaf(start)

    # -- editing --------------------------------------------------------------------

    def edit(self) -> None:
        """Put the text of a question or an answer into the prompt."""
        here = self._here
        if here.refuse_while_busy():
            return
        turn = here.target()
        if turn is not None and self._view.transcript.marked is None:
            turn = here.conversation.exchanges[-1].question
        if turn is None:
            self._view.tell("There is nothing to edit yet.")
            return
        here.edit(turn)

    async def _keep(self, text: str) -> None:
        if await self._stored_edit(text) is not None:
            await self._moves.show_path()

    async def _keep_and_go_on(self, text: str) -> None:
        kept = await self._stored_edit(text)
        if kept is not None:
            await self._answer(kept.parent_id, self._continued(kept))

    async def _stored_edit(self, text: str) -> TurnRecord | None:
        """Store the edited answer as another version; None where it could not be."""
        here = self._here
        edited = here.asking.edited
        if edited is None or here.refuse_while_busy():
            return None
        try:
            kept = await asyncio.to_thread(here.conversation.edit_answer, edited.id, text)
        except (StoreError, UsageError) as error:
            self._view.complain(error)
            return None
        here.stop_editing()
        return kept

    # -- the end --------------------------------------------------------------------

    def stop(self) -> None:
        """Cancel what is under way: the answer that is written or waits, loading, or editing.

        What is written stays. An error that was told has been read.
        """
        asking, models = self._here.asking, self._models
        if asking.idle and self._xray.state == "coming":
            self._xray.turn_off()
            return
        if asking.idle and not models.silent:
            self._samples.close()
        self._view.settle_trouble()
        if models.silent and not asking.answering:
            self._view.show_status(state="stopping")
            models.engine.interrupt()
        elif asking.waiting is not None:
            self._answers.give_up()
        elif asking.busy:
            self._view.show_status(state="stopping")
            models.engine.stop()
        elif asking.edited is not None:
            self._here.stop_editing()
        else:
            self._view.prompt.focus()
