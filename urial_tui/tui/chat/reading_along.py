"""The second side in the chat's engine: a model that reads answers along, and its contexts.

No error of it keeps an answer from being written: what goes wrong is told, and the chat goes on
without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from urial_tui.compare.side_choice import SideChoice, side_of
from urial_tui.engine.wire.events import Event
from urial_tui.engine.wire.values import EngineOptions, Watch
from urial_tui.mistakes import explaining
from urial_tui.prompting.conversation import Exchanged
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.host import FindModel, Unpacking
from urial_tui.runtime.in_thread import in_thread
from urial_tui.runtime.loading import LoadFile

if TYPE_CHECKING:
    from urial_tui.compare.second_side import SecondSide
    from urial_tui.engine.client.call import EventSteps
    from urial_tui.engine.client.engine import Engine
    from urial_tui.engine.client.model import Model


class ReadingAlong:
    """Loads, lends and frees the second side; in the event loop, but for `end`.

    Args:
        find: Looks its model up, in another thread.
        load_file: Loads a model that was found.
    """

    def __init__(self, find: FindModel, load_file: LoadFile) -> None:
        self._find = find
        self._load_file = load_file
        self._templates = TemplateRenderer()
        self._second: SecondSide | None = None
        self._opening: asyncio.Task[SecondSide] | None = None
        self.name = ""
        """Of the second side, in words."""

    def stop(self) -> None:
        """Stop waiting for it, if an answer does."""
        self._templates.cancel()

    def end(self) -> None:
        """End its processes; any thread."""
        self._templates.close()

    async def open(
        self,
        engine: Engine,
        writing: Model,
        choice: SideChoice,
        options: EngineOptions,
        take: Callable[[Event], object],
        unpacking: Unpacking,
    ) -> None:
        """Load a side beside the model that writes.

        Raises:
            UrialError: It can't be had.
            CancelledError: `cancel` came before it was loaded.
        """
        await self.close()

        def opening() -> EventSteps[SecondSide]:
            # It brings numpy along, which nobody should wait for who only chats.
            from urial_tui.compare.second_side import open_second_side

            side = side_of(choice, self._find(choice.model, unpacking))
            return (
                yield from open_second_side(
                    engine, side, options, self._templates, self._load_file, beside=writing
                )
            )

        def cancel() -> None:
            self._templates.cancel()
            engine.cancel()

        self._opening = asyncio.ensure_future(
            in_thread(opening(), take, cancel, discard=lambda late: late.model.unload())
        )
        try:
            with explaining():
                self._second = await self._opening
        finally:
            self._opening = None
        self.name = str(choice)

    def cancel(self) -> None:
        """End the loading of a side, if one is being loaded."""
        if self._opening is not None:
            self._opening.cancel()

    async def close(self) -> None:
        """Unload the model that reads along.

        Raises:
            EngineDied: The worker ended.
        """
        second, self._second = self._second, None
        if second is not None and second.model.loaded:
            await second.model.unload()

    @property
    def ready(self) -> bool:
        """Whether answers can be read along."""
        return self._second is not None and self._second.model.loaded

    @property
    def retrieving(self) -> Preamble | None:
        """The preamble of the second side, where its examples are retrieved for each question."""
        return None if self._second is None else self._second.retrieving

    async def watch(
        self, exchanges: Sequence[Exchanged], examples: tuple[Example, ...] | None
    ) -> Watch:
        """The contexts in which the second side ranks: questions with answers, the last one open.

        `examples`: those of the last one, where it is `retrieving`.

        Raises:
            UrialError: It can't be shown this.
        """
        second = self._second
        assert second is not None, "nothing reads along"
        with explaining():
            return await asyncio.to_thread(second.watch, exchanges, examples)
