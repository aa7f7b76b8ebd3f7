"""A model for many answers at once: as many as are asked for, or have room."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.values import EngineOptions, ModelInfo
from urial_tui.runtime.host import ModelFile
from urial_tui.runtime.loading import load
from urial_tui.runtime.memory_plan import PLAN


class Together(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded model. `info`: with the chat template that counts. `parallel`: answers at once."""

    model: Model
    info: ModelInfo
    parallel: int


def load_together(
    engine: Engine,
    found: ModelFile,
    options: EngineOptions,
    pool_of: Callable[[int], int],
    asked: int | None = None,
) -> EventSteps[Together]:
    """Load a model that was found: the events of `loading.load`.

    Args:
        engine: Loads it.
        found: The model.
        options: How; how many answers and their context are set here.
        pool_of: Tokens of context that so many answers need together.
        asked: How many are wanted; by default as many as `MemoryPlan.together` finds room for.

    Raises:
        ModelError: As `load`; also where the machine could never hold so many.
        EngineError: The worker refused it.
        EngineDied: The worker ended.
    """

    def options_for(parallel: int) -> EngineOptions:
        return msgspec.structs.replace(options, parallel=parallel, pool=pool_of(parallel))

    chosen = PLAN.together(engine, found.path, options_for, asked)
    model = yield from load(
        engine,
        found.path,
        adapter=found.adapter,
        options=chosen,
        purpose="together" if chosen.parallel > 1 else "chat",
    )
    template = found.chat_template or model.info.chat_template
    info = msgspec.structs.replace(model.info, chat_template=template)
    return Together(model=model, info=info, parallel=chosen.parallel)
