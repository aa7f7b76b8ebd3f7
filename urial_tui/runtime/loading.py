"""Loading a resolved model, once its file was looked at.

The whole header is read first, while a worker that was just started gets ready: what is
damaged, no model that writes, or does not fit is refused before the library sees it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Protocol

from urial_tui.engine.client.call import Steps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.protocol import EngineOptions, KVType, Notice, Purpose
from urial_tui.errors import EngineDied, ModelError
from urial_tui.memory import memory_now
from urial_tui.models.fit import check_fit
from urial_tui.models.gguf_file import Header
from urial_tui.models.header import inspect_adapter, inspect_header
from urial_tui.models.shape import head_sizes
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
    ) -> Steps[Model]:
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
) -> Steps[Model]:
    """Load a model, which is returned: Notice?, then the engine's own events.

    Args:
        engine: Loads it.
        path: The model file.
        adapter: A LoRA adapter for it.
        options: How it is loaded.
        purpose: What for.
        instead_of: A model of this engine that is unloaded once the new one's file was looked at.

    Raises:
        ModelError: Its file is damaged or holds no model that writes text, the adapter is not
            for it, it can't have such a KV cache, or it needs more memory than there is.
        EngineError: The worker refused it for another reason.
        EngineDied: The worker ended.
    """
    header = inspect_header(path)
    if adapter is not None:
        inspect_adapter(adapter, header)
    _check_kv_type(path, header, options.kv_type)
    # What gives way is given back before the new one is loaded.
    alone = all(model is instead_of for model in engine.models)
    warning = _check(engine, path, options, purpose, alone=alone)
    if warning:
        yield Notice(id=0, message=warning)
    return (
        yield from load_unchecked(
            engine,
            path,
            adapter=adapter,
            options=options,
            purpose=purpose,
            instead_of=instead_of,
        )
    )


def load_unchecked(
    engine: Engine,
    path: Path,
    *,
    adapter: Path | None = None,
    options: EngineOptions,
    purpose: Purpose = "chat",
    instead_of: Model | None = None,
) -> Steps[Model]:
    """As `load`, without a look at the file, which need not be there for a recorded session."""
    if instead_of is not None and instead_of.loaded:
        with contextlib.suppress(EngineDied):
            yield from instead_of.unload().steps()
    return (yield from engine.load(path, adapter=adapter, options=options, purpose=purpose).steps())


def _check(
    engine: Engine, path: Path, options: EngineOptions, purpose: Purpose, *, alone: bool
) -> str:
    """As `check_fit`, which is told of graphics cards only where they could make a difference.

    `alone`: no other model stays in the engine.
    """
    memory = memory_now(leaving=engine.pid if alone else None)
    try:
        warning = check_fit(path, options, purpose, memory=memory, devices=())
    except ModelError:
        if not options.gpu_layers:
            raise
    else:
        if not warning or not options.gpu_layers:
            return warning
    return check_fit(path, options, purpose, memory=memory, devices=engine.devices())


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
