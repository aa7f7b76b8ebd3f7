"""The chat screen's children by name and type, and how its parts speak to the user.

Parts of the chat are plain objects; this is all that they know of the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Literal, ParamSpec, TypeVar

import msgspec
from textual.screen import Screen
from textual.worker import Worker

from urial_tui.errors import UrialError
from urial_tui.tui.chat.header_line import HeaderLine
from urial_tui.tui.chat.status_line import Status, StatusLine
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.chat.welcome import Welcome
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.frame.prompt_screen import PromptScreen
from urial_tui.tui.widgets.prompt import Prompt

P = ParamSpec("P")
T = TypeVar("T")


class ChatView:
    """What of the chat screen its parts may use.

    Args:
        screen: Has the children.
    """

    def __init__(self, screen: PromptScreen) -> None:
        self.screen = screen

    @property
    def header(self) -> HeaderLine:
        """The first line."""
        return self.screen.query_one(HeaderLine)

    @property
    def welcome(self) -> Welcome:
        """What an empty conversation shows."""
        return self.screen.query_one(Welcome)

    @property
    def transcript(self) -> Transcript:
        """The conversation."""
        return self.screen.query_one(Transcript)

    @property
    def prompt(self) -> Prompt:
        """Where the user types."""
        return self.screen.query_one(Prompt)

    @property
    def status(self) -> Status:
        """What the last line says."""
        return self.screen.query_one(StatusLine).status

    @property
    def alive(self) -> bool:
        """Whether there is something to show anything in; see `ending`."""
        return self.screen.has_widgets

    def show_status(self, **changes: object) -> None:
        """Change what the last line says (the fields of `Status`)."""
        line = self.screen.query_one(StatusLine)
        line.status = msgspec.structs.replace(line.status, **changes)

    def show_transcript(self, show: bool) -> None:
        """Show the conversation, or the welcome where it is empty."""
        self.transcript.display = show
        self.welcome.display = not show

    def complain(self, error: UrialError, key: str = "") -> None:
        """Tell what went wrong, and which key helps."""
        self.screen.complain(error, key)

    def settle_trouble(self) -> None:
        """Take away what is told of an error."""
        self.screen.settle_trouble()

    def tell(
        self,
        text: str,
        severity: Literal["information", "warning"] = "information",
        timeout: float | None = None,
    ) -> None:
        """Notify the user of something, for a while (seconds)."""
        self.screen.notify(text, severity=severity, timeout=timeout, markup=False)

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
        """Run a coroutine function in the background, beside what runs in its group."""
        # Called only when it runs: what is cancelled before would never be awaited.
        return self.screen.run_worker(partial(doing, *args, **named), group=group)

    def work_alone(
        self,
        group: str,
        doing: Callable[P, Coroutine[Any, Any, T]],
        *args: P.args,
        **named: P.kwargs,
    ) -> Worker[T]:
        """Run a coroutine function in the background, and cancel what runs in its group."""
        call = partial(doing, *args, **named)
        return self.screen.run_worker(call, group=group, exclusive=True)

    async def chosen_on(self, screen: Screen[T]) -> T | None:
        """Open a screen over the chat, and wait for what the user chooses there."""
        return await self.screen.app.push_screen_wait(screen)
