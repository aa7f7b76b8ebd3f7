"""A facade of a screen with a list, for its parts: the rows, a notice, the keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from textual.screen import Screen

from urial_tui.tui.frame.screen_view import ScreenView
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.notice_line import NoticeLine
from urial_tui.tui.widgets.row_list import RowList

ListT = TypeVar("ListT", bound=RowList[Any])
Found = TypeVar("Found")

STILL_READ = "The list is still being read."
"""What is told to who wants something of a row before there are any."""


class ListView(ScreenView, Generic[ListT]):
    """Makes and holds the list, the notice and the key hints; the screen lays them out.

    Args:
        screen: Has them.
        listed: Its list.
        notice: The id of its notice, by Textual's name.
    """

    def __init__(self, screen: Screen[Any], listed: ListT, notice: str) -> None:
        super().__init__(screen)
        self.listed = listed
        self.notice = NoticeLine(id=notice)
        self.hints = HintLine()
        self.say = self.notice.say
        self.in_thread = self.notice.in_thread
        self.is_read = False
        """Whether what the list shows was read once, or could not be, which was told."""

    async def read(self, read: Callable[[], Sequence[Found]]) -> Sequence[Found] | None:
        """Call what reads the rows in a thread, and tell its error; see `NoticeLine.in_thread`."""
        found = await self.in_thread(read)
        self.is_read = True
        if self.notice.told == STILL_READ:
            self.say("")
        return found

    def forget_notice(self) -> None:
        """Take away what was told, once the user has done something else."""
        if self.alive:
            self.say("")

    def comes_too_early(self) -> bool:
        """Whether a key comes before the rows that it is about; that is told."""
        if not self.is_read:
            self.say(STILL_READ)
        return not self.is_read
