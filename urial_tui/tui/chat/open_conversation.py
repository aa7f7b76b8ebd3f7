"""The current conversation: the tree, the state of what is asked, and what stands in the prompt."""

from __future__ import annotations

from urial_tui.chat.drafts import DraftPlace, Drafts, of_turn
from urial_tui.chat.session import Conversation
from urial_tui.chat.turns import TurnRecord
from urial_tui.tui.chat.asking import Asking
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.turn import AnswerView
from urial_tui.tui.widgets.prompt import edit_title


class OpenConversation:
    """The conversation that keys and answers act on.

    Args:
        view: Shows it.
        conversation: The first one.
        drafts: Keeps what is typed and not sent.
    """

    def __init__(self, view: ChatView, conversation: Conversation, drafts: Drafts) -> None:
        self._view = view
        self.conversation = conversation
        self.drafts = drafts
        self.asking = Asking()
        self.answer: AnswerView | None = None
        """Shows the answer that is written or waited for."""

    def target(self) -> TurnRecord | None:
        """The turn that keys act on: the marked one, else the newest."""
        marked = self._view.transcript.marked
        if marked is None:
            return self.conversation.leaf
        turn_id = marked.turn_id
        return None if turn_id is None else self.conversation.tree[turn_id]

    def target_answer(self) -> TurnRecord | None:
        """The answer that keys act on; a question stands for the one that follows it."""
        turn = self.target()
        if turn is None or turn.role == "assistant":
            return turn
        exchanges = self.conversation.exchanges
        return next((one.answer for one in exchanges if one.question.id == turn.id), None)

    def refuse_while_busy(self) -> bool:
        """Whether an answer is being written or waits, which the user is told then."""
        if self.asking.busy:
            self._view.tell(f"One answer at a time; {self._view.key('chat.stop')} stops this one.")
        return self.asking.busy

    def edit(self, turn: TurnRecord) -> None:
        """Put the text of a turn into the prompt."""
        self.asking.edit(turn)
        self._view.prompt.start_edit(turn.text, edit_title(self._view.screen, turn.role))

    def stop_editing(self) -> None:
        """Cancel editing: the prompt has what was typed there before."""
        edited = self.asking.stop_editing()
        if edited is not None:
            self.drafts.note(of_turn(self.conversation.record.id, edited.id), "")
            self._view.prompt.end_edit()

    def draft(self) -> tuple[DraftPlace, str]:
        """The draft: a question that is not sent, or the text of the turn that is edited.

        Returns:
            Where it belongs, and its text; "" where nothing was changed.
        """
        text, conversation = self._view.prompt.full_text, self.conversation.record.id
        edited = self.asking.edited
        if edited is None:
            return DraftPlace(conversation), text
        return of_turn(conversation, edited.id), text if text != edited.text else ""
