"""What reads answers along while another model writes them: a model and a context.

It is in the engine's second slot, beside the model that writes. It ranks the tokens that are
written, so both models must have the same tokens, by id, as for a comparison.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

import msgspec

from urial_tui.compare.sides import Side
from urial_tui.compare.vocab import VocabInfo, compare_vocabularies
from urial_tui.engine.wire.protocol import (
    EngineOptions,
    Event,
    ModelInfo,
    Slot,
    Turn,
    VocabularyRead,
    Watch,
)
from urial_tui.errors import EngineError, ModelError
from urial_tui.models.loading import Loader, LoadFile, load
from urial_tui.prompting.context import Context
from urial_tui.prompting.conversation import Exchanged, render_conversation
from urial_tui.prompting.templates.renderer import TemplateRenderer


class TwoSlots(Loader, Protocol):
    """What a second side needs of an engine (`engine.client.engine.Engine` has it)."""

    info: ModelInfo | None
    second_info: ModelInfo | None

    def prepare(self, preamble: Turn, slot: Slot = "main") -> Generator[Event, None, None]:
        """Pin a preamble."""
        ...

    def vocabulary(self, slot: Slot) -> VocabularyRead:
        """All tokens of a model."""
        ...


class SecondSide(msgspec.Struct, frozen=True, kw_only=True):
    """A side that is loaded. `name`: what the user called its model."""

    name: str
    context: Context
    model: ModelInfo
    templates: TemplateRenderer

    def watch(self, exchanges: Sequence[Exchanged]) -> Watch:
        """What it is shown of questions with their answers, while the last one is answered.

        Raises:
            ModelError: The chat template can't render it.
        """
        if self.context.is_same:
            return Watch(same_ids=True)
        shown = render_conversation(self.context, exchanges, self.model, self.templates)
        return Watch(preamble=shown.preamble, turns=shown.turns)


def open_second_side(
    engine: TwoSlots,
    side: Side,
    options: EngineOptions,
    templates: TemplateRenderer,
    load_file: LoadFile = load,
) -> Generator[Event, None, SecondSide]:
    """Load a side beside the model that is loaded, and pin its preamble: the engine's events.

    Raises:
        ModelError: It has no chat template, other tokens, or needs more memory than there is.
        EngineError: The worker refused it.
        EngineDied: The worker ended.
    """
    yield from load_file(engine, side.path, adapter=side.adapter, options=options, slot="second")
    main, info = engine.info, engine.second_info
    if main is None or info is None:
        raise EngineError("No model is loaded.", "Load a model first.")
    if info.path != main.path:
        _require_same_tokens(engine, side.name)
    second = SecondSide(
        name=side.name, context=side.context, model=side.told(info), templates=templates
    )
    preamble = second.watch([Exchanged("?")]).preamble
    if preamble:
        yield from engine.prepare(preamble, slot="second")
    return second


def _require_same_tokens(engine: TwoSlots, name: str) -> None:
    second, main = (
        VocabInfo.of(read.pieces, read.types)
        for read in (engine.vocabulary("second"), engine.vocabulary("main"))
    )
    if not compare_vocabularies(second, main).by_id:
        raise ModelError(
            f"{name} has other tokens than the model that writes, so it can't rank them.",
            "Choose a model of the same family.",
        )
