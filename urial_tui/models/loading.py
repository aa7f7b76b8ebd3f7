"""Loading a resolved model, with what is known of its file in front and behind.

The memory it needs is compared with what there is before the worker touches it; and where
the worker only knows that the library refused a file, the file itself is asked why.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Protocol

from urial_tui.engine.protocol import EngineOptions, Event, Notice, Slot
from urial_tui.errors import EngineDied, EngineError
from urial_tui.models.fit import check_fit
from urial_tui.models.header import inspect_header


class Loader(Protocol):
    """What loads a model (`engine.client.Engine` does)."""

    def load(
        self,
        path: Path,
        *,
        adapter: Path | None = None,
        options: EngineOptions | None = None,
        slot: Slot = "main",
    ) -> Generator[Event, None, None]:
        """Load a model, event by event."""
        ...


class LoadFile(Protocol):
    """Loads a model's file into an engine (`load` does)."""

    def __call__(
        self,
        engine: Loader,
        path: Path,
        *,
        adapter: Path | None = None,
        options: EngineOptions,
        slot: Slot = "main",
    ) -> Generator[Event, None, None]:
        """Load it, event by event."""
        ...


def load(
    engine: Loader,
    path: Path,
    *,
    adapter: Path | None = None,
    options: EngineOptions,
    slot: Slot = "main",
) -> Generator[Event, None, None]:
    """Load a model: Notice?, then the engine's own events.

    Raises:
        ModelError: It needs more memory than there is, or its file is damaged.
        EngineError: The worker refused it for another reason.
        EngineDied: The worker ended.
    """
    warning = check_fit(path, n_ctx=options.n_ctx, kv_type=options.kv_type)
    if warning:
        yield Notice(id=0, message=warning)
    try:
        yield from engine.load(path, adapter=adapter, options=options, slot=slot)
    except EngineDied:
        raise
    except EngineError:
        inspect_header(path)
        raise
