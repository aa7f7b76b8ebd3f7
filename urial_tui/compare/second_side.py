"""A second model that ranks the tokens of answers while another one writes them.

It is loaded beside the model that writes. It ranks the tokens that are written, so both models
must have the same tokens, by id, as for a comparison.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import msgspec

from urial_tui.compare.sides import Side
from urial_tui.compare.vocab import VocabInfo, compare_vocabularies
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import Event
from urial_tui.engine.wire.values import EngineOptions, ModelInfo, Watch
from urial_tui.errors import ModelError
from urial_tui.prompting.context import SAMPLE, Context
from urial_tui.prompting.conversation import Exchanged, render_conversation
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.loading import LoadFile, load


class SecondSide(msgspec.Struct, frozen=True, kw_only=True):
    """A side that is loaded. `name`: what the user called its model. `info`: the model as its
    context is rendered for.
    """

    name: str
    context: Context
    model: Model
    info: ModelInfo
    templates: TemplateRenderer

    @property
    def retrieving(self) -> Preamble | None:
        """The preamble that it is shown, where its examples are retrieved for each question."""
        preamble = self.context.preamble
        return preamble if preamble is not None and preamble.retrieval is not None else None

    def watch(
        self, exchanges: Sequence[Exchanged], examples: tuple[Example, ...] | None = None
    ) -> Watch:
        """What it is shown of questions with their answers, while the last one is answered.

        Args:
            exchanges: These.
            examples: What was retrieved for the last question, where it is `retrieving`.

        Raises:
            ModelError: The chat template can't render it.
            UsageError: There are no examples, and it is retrieving.
        """
        context = self.context
        if context.is_same:
            return Watch(model=self.model.handle, same_ids=True)
        if examples is not None:
            context = context.shown_again(exchanges[-1].query, examples)
        shown = render_conversation(context, exchanges, self.info, self.templates)
        return Watch(
            model=self.model.handle, preamble=shown.preamble, turns=shown.turns, lead=shown.lead
        )


def open_second_side(
    engine: Engine,
    side: Side,
    options: EngineOptions,
    templates: TemplateRenderer,
    load_file: LoadFile = load,
    *,
    beside: Model,
) -> Generator[Event, None, SecondSide]:
    """Load a side beside the model that writes, and pin its preamble: the engine's events.

    Args:
        engine: Where that one is loaded.
        side: What is to read along.
        options: How it is loaded.
        templates: Renders its chat template.
        load_file: Loads its model.
        beside: The model that writes.

    Raises:
        ModelError: It has no chat template, other tokens, or needs more memory than there is.
        EngineError: The worker refused it.
        EngineDied: The worker ended.
    """
    model = yield from load_file(
        engine, side.path, adapter=side.adapter, options=options, purpose="watched"
    )
    try:
        if model.info.path != beside.info.path:
            _require_same_tokens(model, beside, side.name)
        second = SecondSide(
            name=side.name,
            context=side.context,
            model=model,
            info=side.told(model.info),
            templates=templates,
        )
        preamble = second.watch([Exchanged(SAMPLE)], () if second.retrieving else None).preamble
        if preamble:
            yield from model.prepare(preamble).steps()
    except BaseException:
        model.unload()
        raise
    return second


def _require_same_tokens(model: Model, beside: Model, name: str) -> None:
    second, first = (
        VocabInfo.of(read.pieces, read.types)
        for read in (model.vocabulary().result(), beside.vocabulary().result())
    )
    if not compare_vocabularies(second, first).by_id:
        raise ModelError(
            f"{name} has other tokens than the model that writes, so it can't rank them.",
            "Choose a model of the same family.",
        )
