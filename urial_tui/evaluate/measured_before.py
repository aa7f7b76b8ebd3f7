"""Cached measures of contexts: looked up from what was kept; nothing is computed.

Only a context of which all is kept has measures; of others it is told how much there is. Answers
that were written under another sampling are none of these. They depend on how many were written at
once, too: those count of which most are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.values import Sampling
from urial_tui.evaluate.context_measures import MeasuredContext, measures_document
from urial_tui.evaluate.items import ItemSet
from urial_tui.evaluate.measure_store import MeasuredTexts
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.readers import ReferenceReader, context_reader
from urial_tui.evaluate.run_terms import run_terms
from urial_tui.prompting.context import Context
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.memory_plan import PARALLEL
from urial_tui.runtime.retriever import without_examples


class KeptMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of a context. `texts`: how many of `total` are read or answered.

    `measures`: see docs/json.md (`urial prompts measure`); None where something is missing.
    """

    texts: int
    total: int
    measures: Mapping[str, Any] | None = None


class MeasuredBefore:
    """Looks up what was measured with a model that is loaded.

    Args:
        store: What was kept.
        model: It.
        references: Items with reference answers.
        questions: Items that were answered.
        sampling: How the tokens of the answers were chosen.
        max_tokens: The longest answer.
    """

    def __init__(
        self,
        store: MeasuredTexts,
        model: Model,
        references: ItemSet,
        questions: ItemSet,
        *,
        sampling: Sampling,
        max_tokens: int,
    ) -> None:
        self._store = store
        self._model = model
        self._references = references.items
        self._questions = questions.items
        self._sampling = sampling
        self._max_tokens = max_tokens

    def look_up(self, contexts: Sequence[Context]) -> dict[str, KeptMeasures]:
        """What there is of each, by its name.

        Args:
            contexts: Preambles; those that are measured are compared with the first.

        Raises:
            ModelError: A context can't be rendered for the model.
        """
        kept: dict[str, KeptMeasures] = {}
        measured: list[MeasuredContext] = []
        with TemplateRenderer() as templates:
            # Those whose index is gone have no measures.
            there_now = (without_examples(context) for context in contexts)
            for context in (one for one in there_now if one is not None):
                found = self._found(context, templates)
                texts = (*found.references, *found.answers)
                there = sum(text is not None for text in texts)
                kept[context.name] = KeptMeasures(texts=there, total=len(texts))
                if there == len(texts):
                    measured.append(found)
        first = contexts[0].name if contexts else ""
        document = measures_document(measured, [item.turns[0] for item in self._questions])
        for each in document["contexts"]:
            # Compared with another one than the first, it would look like what it is not.
            same = each["difference"] and each["difference"]["to"] == first
            measures = each if same else {**each, "difference": None}
            kept[each["name"]] = msgspec.structs.replace(kept[each["name"]], measures=measures)
        return kept

    def _found(self, context: Context, templates: TemplateRenderer) -> MeasuredContext:
        info = self._model.info
        reader = ReferenceReader(context_reader("", self._model, info, context, templates))
        readings = [
            self._store.reading(reader.key(item, (), turn))
            for item in self._references
            for turn in range(len(item.turns))
            if reader.has(item, (), turn)
        ]
        return MeasuredContext(
            context=context,
            # What a context takes is told by who counts it.
            tokens=0,
            prefill_s=None,
            cache_bytes=0,
            references=tuple(readings),
            answers=self._answers(context, templates),
        )

    def _answers(
        self, context: Context, templates: TemplateRenderer
    ) -> tuple[AnsweredTurn | None, ...]:
        """The answers, None for what is not there."""
        alone = run_terms(
            self._model.info,
            context,
            templates,
            sampling=self._sampling,
            max_tokens=self._max_tokens,
            parallel=1,
        )
        tries = []
        for parallel in PARALLEL:
            terms = msgspec.structs.replace(alone, parallel=parallel)
            found = [self._store.written(terms.key(item), 1) for item in self._questions]
            tries.append(tuple(written[0].exchange if written else None for written in found))
        return max(tries, key=lambda answers: sum(answer is not None for answer in answers))
