"""Loads models for whoever needs them: from a name and a context to what answers.

For every edge of the program: a model is looked up, its file is looked at, it is checked against
the memory, loaded, and its preamble is pinned. All of it are steps, which a thread reads (`follow`)
or a task has read by one (`in_thread`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.runtime.loading import LoadFile, load
from urial_tui.runtime.writer import Writer, WriterChoice

Unpacking = Callable[[int, int], object]
"""Called with the bytes done and the bytes in all, in the thread that reads the steps."""


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


FindModel = Callable[[str, Unpacking], ModelFile]
"""Looks a model up by its name."""


class Host:
    """Loads what answers into the memory of an engine.

    Args:
        engine: Where it is loaded.
        find: Looks models up.
        load_file: Loads one that was found.
        owner: Whose it is, where he has several engines.
    """

    def __init__(
        self,
        engine: Engine,
        find: FindModel,
        load_file: LoadFile = load,
        *,
        owner: object | None = None,
    ) -> None:
        self._engine = engine
        self._find = find
        self._load_file = load_file
        self._owner = owner

    def load(
        self,
        choice: WriterChoice,
        options: EngineOptions,
        *,
        purpose: Purpose = "chat",
        unpacking: Unpacking = lambda done, total: None,
        instead_of: Model | None = None,
    ) -> EventSteps[Writer]:
        """Load what is to answer; its preamble is not pinned yet.

        Args:
            choice: What it is; the writer has the name that the model was found under.
            options: How it is loaded.
            purpose: What for.
            unpacking: Told where the model's file has to be made first.
            instead_of: What is unloaded for it.

        Raises:
            ModelError: There is no such model, its file is unsound, or memory is too small.
            EngineError: The worker refused it.
            EngineDied: The worker ended.
        """
        found = self._find(choice.model, unpacking)
        model = yield from self._load_file(
            self._engine,
            found.path,
            adapter=found.adapter,
            options=options,
            purpose=purpose,
            instead_of=instead_of,
            owner=self._owner,
        )
        return Writer(choice=WriterChoice(model=found.name, preamble=choice.preamble), model=model)
