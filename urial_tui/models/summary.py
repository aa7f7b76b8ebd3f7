"""What a model file is, and whether it would run here, told before it is chosen."""

from __future__ import annotations

from pathlib import Path

import msgspec

from urial_tui.engine.wire.values import EngineOptions
from urial_tui.memory import MachineMemory, memory_now
from urial_tui.models.fit import check_fit
from urial_tui.models.header import inspect_header
from urial_tui.models.memory_need import memory_need


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A sound model file. Sizes in bytes; `name` and `architecture` are foreign text.

    `memory`: what it needs with the context of the settings; `available`: what is free,
    None where the system does not say. `warning`: why it may be slow, or nothing.
    """

    path: Path
    name: str
    architecture: str
    parameters: int
    size: int
    memory: int
    available: int | None
    warning: str = ""


def summarise(
    path: Path, options: EngineOptions, *, memory: MachineMemory | None = None
) -> ModelSummary:
    """Read a model file's header, and compare what it needs with what there is.

    Args:
        path: The file.
        options: How it would be loaded.
        memory: What the machine has, where that is not to be asked.

    Raises:
        ModelError: It is no model, is damaged, or does not fit into this machine.
    """
    header = inspect_header(path)
    memory = memory or memory_now()
    warning = check_fit(path, options, memory=memory)
    need = memory_need(path, header, msgspec.structs.replace(options, gpu_layers=0))
    return ModelSummary(
        path=path,
        name=header.name or path.name,
        architecture=header.architecture,
        parameters=header.parameters,
        size=need.weights,
        memory=need.total,
        available=memory.available,
        warning=warning,
    )
