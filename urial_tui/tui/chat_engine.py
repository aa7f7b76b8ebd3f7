"""What the application needs of an engine, and of whatever finds a model for it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Protocol

from urial_tui.chat.answerer import Answerer
from urial_tui.engine.wire.protocol import Event, ModelInfo, Slot, Trace, Turn, VocabularyRead
from urial_tui.errors import EngineDied
from urial_tui.models.loading import Loader


class ChatEngine(Answerer, Loader, Protocol):
    """What the application needs of an engine (`engine.client.engine.Engine` has it)."""

    second_info: ModelInfo | None

    def prepare(
        self, preamble: Turn, slot: Slot = "main", *, turns: Sequence[Turn] = ()
    ) -> Generator[Event, None, None]:
        """Pin a preamble, and read the turns behind it."""
        ...

    def vocabulary(self, slot: Slot) -> VocabularyRead:
        """All tokens of the model in a slot."""
        ...

    def unload(self, slot: Slot) -> None:
        """Free what is loaded in a slot."""
        ...

    def trace(self, request: Trace) -> Generator[Event, None, None]:
        """Read an answer again, token by token."""
        ...

    def watch(self, listener: Callable[[], None]) -> None:
        """Have `listener` called, in any thread, when a worker has ended."""
        ...

    def take_death(self) -> EngineDied | None:
        """Why the worker ended while nothing was asked of it; told once."""
        ...

    def cancel(self) -> None:
        """Stop the running request; any thread."""
        ...

    def close(self) -> None:
        """End the worker; any thread."""
        ...


class ModelFile(Protocol):
    """A model that was found on the disk (`models.registry.ResolvedModel`)."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...

    @property
    def path(self) -> Path:
        """The GGUF file."""
        ...

    @property
    def adapter(self) -> Path | None:
        """A LoRA to put on it."""
        ...

    @property
    def chat_template(self) -> str:
        """Replaces the file's own; "" where it need not."""
        ...


FindModel = Callable[[str, Callable[[int, int], None]], ModelFile]
"""Looks a model up by its name; reports `done` of `total` bytes where it has to copy."""
