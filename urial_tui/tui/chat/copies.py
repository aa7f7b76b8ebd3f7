"""Copying from a conversation to the clipboard: turns, code in them, or all, as written."""

from __future__ import annotations

import msgspec

from urial_tui.chat.markdown_form import to_markdown
from urial_tui.chat.turns import WholeConversation
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.open_conversation import OpenConversation
from urial_tui.tui.chat.pick_code import PickCodeScreen
from urial_tui.tui.drawing.code_blocks import CodeBlock, code_blocks
from urial_tui.tui.frame.messages import CopyRequested
from urial_tui.wording import amount


class Copies:
    """Posts what is to be copied; the application copies it.

    Args:
        view: Opens the dialog in which one of several is chosen.
        here: What is copied from.
    """

    def __init__(self, view: ChatView, here: OpenConversation) -> None:
        self._view = view
        self._here = here

    def turn(self) -> None:
        """Copy the text of the marked turn, else of the newest."""
        turn = self._here.target()
        self._copy("" if turn is None else turn.text)

    def answer(self) -> None:
        """Copy the text of the newest answer."""
        path = self._here.conversation.path
        answers = [turn.text for turn in path if turn.role == "assistant"]
        self._copy(answers[-1] if answers else "")

    def code(self) -> None:
        """Copy the code in the marked turn; the user chooses where there are several blocks."""
        self._view.work_alone("copy", self._code)

    async def _code(self) -> None:
        turn = self._here.target()
        blocks = code_blocks(turn.text) if turn is not None else []
        if not blocks:
            self._view.tell("There is no code block in this turn.")
            return
        block: CodeBlock | None = blocks[0]
        if len(blocks) > 1:
            block = await self._view.chosen_on(PickCodeScreen(blocks))
        if block is not None:
            self._copy(block.text)

    def all(self) -> None:
        """Copy the conversation as it is shown, in the Markdown of exports."""
        conversation = self._here.conversation
        leaf = conversation.leaf
        if leaf is None:
            self._copy("")
            return
        record = msgspec.structs.replace(conversation.record, leaf=leaf.id)
        text = to_markdown(WholeConversation(record, conversation.path))
        self._copy(text, f"the conversation ({amount(len(text), 'character')})")

    def _copy(self, text: str, what: str = "") -> None:
        if text:
            self._view.screen.post_message(CopyRequested(text, what))
        else:
            self._view.tell("There is nothing to copy yet.")
