"""A cache of answers to questions of one turn: written where none of the same terms is kept."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import NamedTuple

from urial_tui.engine.wire.events import Event
from urial_tui.engine.wire.values import Sampling
from urial_tui.evaluate.generate import Answered, AnswerGenerator, Skipped
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.measure_store import MeasureStore
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.rate_limit import Postponed
from urial_tui.evaluate.run_terms import run_terms
from urial_tui.prompting.context import Context
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.together import Together


class TextsRead(NamedTuple):
    """How far it is: `done` of `total` texts under a `name`, `what` they are, or of all of them."""

    name: str
    what: str
    done: int
    total: int


MeasureStep = Event | Postponed | TextsRead
"""What is told while something is measured."""


class KeptAnswers:
    """Has questions answered, and keeps each answer before anybody is told of it.

    Args:
        loaded: The model, for answers together.
        questions: Items of one turn each.
        templates: Renders chat templates.
        store: Keeps what is done.
        max_tokens: Longest answer.
        troubles: Gets a sentence for each question that can't be answered.
    """

    def __init__(
        self,
        loaded: Together,
        questions: Sequence[Item],
        templates: TemplateRenderer,
        store: MeasureStore,
        *,
        max_tokens: int,
        troubles: list[str],
    ) -> None:
        self._loaded = loaded
        self._questions = questions
        self._templates = templates
        self._store = store
        self._max_tokens = max_tokens
        self._troubles = troubles
        self._answers: AnswerGenerator | None = None
        self.cancelled = False
        """Whether nothing more is begun."""

    def cancel(self) -> None:
        """Begin nothing more; what runs is ended by the engine's own `cancel`, after this."""
        self.cancelled = True
        if self._answers is not None:
            self._answers.cancelled = True

    def run(
        self, name: str, context: Context, sampling: Sampling
    ) -> Generator[MeasureStep, None, list[AnsweredTurn | None]]:
        """The answers to all questions, None for what can't be answered.

        Args:
            name: What people call it, for progress and troubles.
            context: What the model is shown.
            sampling: How tokens are chosen; its seed is that of all of them.

        Raises:
            EvaluateError: What was done can't be kept, or the preamble fills the context.
            ModelError: The context can't be rendered for the model.
            EngineDied: The worker ended.
        """
        loaded, store = self._loaded, self._store
        terms = run_terms(
            loaded.info,
            context,
            self._templates,
            sampling=sampling,
            max_tokens=self._max_tokens,
            parallel=loaded.parallel,
        )
        self._answers = AnswerGenerator(loaded.model, loaded.info, context, self._templates, terms)
        if self.cancelled:
            return []
        left = [item for item in self._questions if not store.written(terms.key(item), 1)]
        done = len(self._questions) - len(left)
        for step in self._answers.run([(item, ()) for item in left]):
            match step:
                case Answered():
                    store.keep_written(terms.key(step.item), step.turn, step.written)
                    done += 1
                    yield TextsRead(name, "answer", done, len(self._questions))
                case Skipped(reason=reason):
                    self._troubles.append(f"{name}: {reason}")
                case _:
                    yield step
        if self._answers.cancelled:
            self.cancelled = True
        found = [store.written(terms.key(item), 1) for item in self._questions]
        return [written[0].exchange if written else None for written in found]
