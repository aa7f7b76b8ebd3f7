"""Loading a resolved model, once its file was looked at.

The whole header is read first, while a worker that was just started gets ready: what is
damaged, no model for its purpose, or does not fit is refused before the library sees it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Protocol

from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import Notice
from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.values import EngineOptions, KVType
from urial_tui.errors import EngineDied, ModelError
from urial_tui.models.gguf_file import Header
from urial_tui.models.header import inspect_adapter, inspect_header
from urial_tui.models.kinds import kind_for
from urial_tui.models.shape import head_sizes
from urial_tui.runtime.memory_plan import PLAN, MemoryPlan
from urial_tui.sanitize import sanitize_line

KV_BLOCK = 32
"""Elements of a block of a quantised KV cache (q8_0 and q4_0 alike)."""


class LoadFile(Protocol):
    """Loads a model's file into an engine (`load` does)."""

    def __call__(
        self,
        engine: Engine,
        path: Path,
        *,
        adapter: Path | None = None,
        options: EngineOptions,
        purpose: Purpose = "chat",
        instead_of: Model | None = None,
        owner: object | None = None,
    ) -> EventSteps[Model]:
        """Load it, event by event."""
        ...


def load(
    engine: Engine,
    path: Path,
    *,
    adapter: Path | None = None,
    options: EngineOptions,
    purpose: Purpose = "chat",
    instead_of: Model | None = None,
    owner: object | None = None,
    plan: MemoryPlan = PLAN,
) -> EventSteps[Model]:
    """Load a model, which is returned: the end of what gives way, Notice?, the engine's events.

    Args:
        engine: Loads it.
        path: The model file.
        adapter: A LoRA adapter for it.
        options: How it is loaded.
        purpose: What for.
        instead_of: A model of this engine that is unloaded once the new one's file was looked at.
        owner: Whose it is, where he has several engines.
        plan: What else is in memory.

    Raises:
        ModelError: Its file is damaged or holds no model for the purpose, the adapter is not
            for it, it can't have such a KV cache, or it needs more memory than there is.
        EngineError: The worker refused it for another reason.
        EngineDied: The worker ended.
    """
    header = inspect_header(path, kind_for(purpose))
    if adapter is not None:
        inspect_adapter(adapter, header)
    _check_kv_type(path, header, options.kv_type)
    admitted = yield from plan.admit(
        engine, path, options, purpose, instead_of=instead_of, owner=owner
    )
    try:
        if admitted.warning:
            yield Notice(id=0, message=admitted.warning)
        model = yield from load_unchecked(
            engine,
            path,
            adapter=adapter,
            options=options,
            purpose=purpose,
            instead_of=instead_of,
        )
    except BaseException:
        admitted.entry.leave()
        raise
    admitted.entry.loaded(model)
    return model


def load_unchecked(
    engine: Engine,
    path: Path,
    *,
    adapter: Path | None = None,
    options: EngineOptions,
    purpose: Purpose = "chat",
    instead_of: Model | None = None,
    owner: object | None = None,
) -> EventSteps[Model]:
    """As `load`, without a look at the file, which need not be there for a recorded session."""
    if instead_of is not None and instead_of.loaded:
        with contextlib.suppress(EngineDied):
            yield from instead_of.unload().steps()
    return (yield from engine.load(path, adapter=adapter, options=options, purpose=purpose).steps())


def _check_kv_type(path: Path, header: Header, kv_type: KVType) -> None:
    """Quantised caches hold blocks of 32 elements, and a head has to be whole blocks."""
    odd = [size for size in head_sizes(header) if size % KV_BLOCK]
    if kv_type != "f16" and odd:
        raise ModelError(
            f"The model {sanitize_line(path.name)} has attention heads of {odd[0]} elements, "
            f'which a KV cache of engine.kv_type = "{kv_type}" can\'t hold: it takes multiples '
            f"of {KV_BLOCK}.",
            'Set engine.kv_type = "f16" for this model.',
        )
