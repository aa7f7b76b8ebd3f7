"""A facade of a screen with a list, for its parts: the rows, a notice, the keys."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from textual.screen import Screen

from urial_tui.tui.frame.screen_view import ScreenView
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.notice_line import NoticeLine
from urial_tui.tui.widgets.row_list import RowList

ListT = TypeVar("ListT", bound=RowList[Any])


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
