"""What finds a model for the application."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol


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
