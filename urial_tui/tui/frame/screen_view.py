"""A facade of a screen for its parts: its keys, background tasks, screens over it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, ParamSpec, TypeVar

from textual.screen import Screen
from textual.worker import Worker

from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.keys import key_name

P = ParamSpec("P")
T = TypeVar("T")


class ScreenView:
    """A screen as its parts, which are plain objects, may use it.

    Args:
        screen: Has the children.
    """

    screen: Screen[Any]

    def __init__(self, screen: Screen[Any]) -> None:
        self.screen = screen

    @property
    def alive(self) -> bool:
        """Whether the screen still has its widgets; see `ending`."""
        return has_widgets(self.screen)

    def key(self, binding_id: str) -> str:
        """The key of a binding as it is printed on the keyboard, for a sentence."""
        return key_name(self.screen, binding_id)

    def work(
        self,
        group: str,
        doing: Callable[P, Coroutine[Any, Any, T]],
        *args: P.args,
        **named: P.kwargs,
    ) -> Worker[T]:
        """Run a coroutine function as a background task, beside those of its group."""
        # Called only when it runs: what is cancelled before would never be awaited.
        return self.screen.run_worker(partial(doing, *args, **named), group=group)

    def work_alone(
        self,
        group: str,
        doing: Callable[P, Coroutine[Any, Any, T]],
        *args: P.args,
        **named: P.kwargs,
    ) -> Worker[T]:
        """Run a coroutine function as a background task, and cancel those of its group."""
        call = partial(doing, *args, **named)
        return self.screen.run_worker(call, group=group, exclusive=True)

    async def chosen_on(self, screen: Screen[T]) -> T | None:
        """Open a dialog over the screen, and await what the user chooses there."""
        return await self.screen.app.push_screen_wait(screen)
