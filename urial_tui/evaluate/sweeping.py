"""A sweep (grid) over sampling settings: one context, and the same questions under each.

Every setting answers every question; whatever is answered is kept, and used again by its key.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import product

import msgspec

from urial_tui.engine.wire.values import Sampling
from urial_tui.evaluate.items import ItemSet
from urial_tui.evaluate.kept_answers import KeptAnswers, MeasureStep
from urial_tui.evaluate.measure_store import MeasureStore
from urial_tui.evaluate.sweep import SweptSetting
from urial_tui.prompting.context import Context
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.together import Together


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """Values of the settings, in their order; an empty one leaves a setting as it is."""

    temperature: tuple[float, ...] = ()
    repetition_penalty: tuple[float, ...] = ()
    min_p: tuple[float, ...] = ()
    frequency_penalty: tuple[float, ...] = ()
    presence_penalty: tuple[float, ...] = ()

    def settings(self, plain: Sampling) -> tuple[Sampling, ...]:
        """All combinations over a plain one, the last setting changing first, each chain once.

        At temperature 0 nothing is drawn, so what only a draw looks at makes no other setting.
        """
        names = [name for name in self.__struct_fields__ if getattr(self, name)]
        found: dict[Sampling, None] = {}
        for values in product(*(getattr(self, name) for name in names)):
            chosen = msgspec.structs.replace(plain, **dict(zip(names, values, strict=True)))
            if chosen.temperature <= 0:
                chosen = msgspec.structs.replace(chosen, min_p=plain.min_p)
            found[chosen] = None
        return tuple(found)


def setting_name(sampling: Sampling) -> str:
    """A setting in words: temperature 0.7, repetition penalty 1.1, min-p 0.05."""
    parts = {
        "temperature": sampling.temperature,
        "repetition penalty": sampling.repetition_penalty,
        "min-p": sampling.min_p if sampling.temperature > 0 else 0.0,
        "frequency penalty": sampling.frequency_penalty,
        "presence penalty": sampling.presence_penalty,
    }
    always = ("temperature", "repetition penalty")
    return ", ".join(
        f"{name} {value:g}" for name, value in parts.items() if value or name in always
    )


class Sweeping:
    """Settings that are to be measured.

    Args:
        loaded: The model, for answers together.
        context: What it is shown.
        settings: In their order.
        questions: Items of one turn each.
        templates: Renders chat templates.
        store: Keeps what is done.
        max_tokens: Longest answer.
    """

    def __init__(
        self,
        loaded: Together,
        context: Context,
        settings: Sequence[Sampling],
        questions: ItemSet,
        templates: TemplateRenderer,
        store: MeasureStore,
        *,
        max_tokens: int,
    ) -> None:
        self.troubles: list[str] = []
        """What could not be answered, and why: sentences."""
        self.swept: list[SweptSetting] = []
        """The settings of which all is done that can be."""
        self._context = context
        self._settings = settings
        self._answers = KeptAnswers(
            loaded,
            questions.items,
            templates,
            store,
            max_tokens=max_tokens,
            troubles=self.troubles,
        )

    def cancel(self) -> None:
        """Begin nothing more; what runs is ended by the engine's own `cancel`, after this."""
        self._answers.cancel()

    def steps(self) -> Generator[MeasureStep, None, None]:
        """Answer what is left; raises what `KeptAnswers.run` does."""
        for sampling in self._settings:
            name = setting_name(sampling)
            answers = yield from self._answers.run(name, self._context, sampling)
            if self._answers.cancelled:
                return
            self.swept.append(SweptSetting(name=name, sampling=sampling, answers=tuple(answers)))
