"""A screen of one conversation from which text can be copied, as it was written."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from textual import work
from textual.binding import Binding, BindingType

from urial_tui.chat.markdown_form import to_markdown
from urial_tui.chat.turns import WholeConversation
from urial_tui.tui.chat.opening_screen import OpeningScreen
from urial_tui.tui.chat.pick_code import PickCodeScreen
from urial_tui.tui.drawing.code_blocks import CodeBlock, code_blocks
from urial_tui.tui.frame.messages import CopyRequested
from urial_tui.wording import amount


class CopyingScreen(OpeningScreen):
    """Asks the application to copy turns, code in them, or the conversation."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+y", "copy_answer", "Copy the newest answer", id="chat.copy_answer"),
    ]

    def action_copy_turn(self) -> None:
        """Copy the text of the marked turn, else of the newest."""
        turn = self.target()
        self._copy("" if turn is None else turn.text)

    def action_copy_answer(self) -> None:
        """Copy the text of the newest answer."""
        answers = [turn.text for turn in self.conversation.path if turn.role == "assistant"]
        self._copy(answers[-1] if answers else "")

    @work(exclusive=True, group="copy")
    async def action_copy_code(self) -> None:
        """Copy the code in the marked turn; the user chooses where there are several blocks."""
        turn = self.target()
        blocks = code_blocks(turn.text) if turn is not None else []
        if not blocks:
            self.notify("There is no code block in this turn.", markup=False)
            return
        block: CodeBlock | None = blocks[0]
        if len(blocks) > 1:
            block = await self.app.push_screen_wait(PickCodeScreen(blocks))
        if block is not None:
            self._copy(block.text)

    def action_copy_all(self) -> None:
        """Copy the conversation as it is shown, in the Markdown of exports."""
        leaf, path = self.conversation.leaf, self.conversation.path
        if leaf is None:
            self._copy("")
            return
        record = msgspec.structs.replace(self.conversation.record, leaf=leaf.id)
        text = to_markdown(WholeConversation(record, path))
        self._copy(text, f"the conversation ({amount(len(text), 'character')})")

    def _copy(self, text: str, what: str = "") -> None:
        if text:
            self.post_message(CopyRequested(text, what))
        else:
            self.notify("There is nothing to copy yet.", markup=False)
