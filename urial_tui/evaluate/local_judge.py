"""A judge that is a chat model on this machine, held to the form of a judgement by a grammar.

It is asked through its own chat template, at temperature 0. What is the same for all answers is
read once: it is a preamble to the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, NamedTuple

from urial_tui.engine.client.call import Call, EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import Event, Finished, Probabilities
from urial_tui.engine.wire.values import (
    EngineOptions,
    Grammar,
    ModelInfo,
    Sampling,
    TextSegment,
    Turn,
)
from urial_tui.errors import EngineError, ModelError
from urial_tui.evaluate.judge import JudgeQuestion, JudgeReply
from urial_tui.evaluate.judge_prompts import max_tokens
from urial_tui.evaluate.judgements import Judgement
from urial_tui.evaluate.judging import local_terms
from urial_tui.evaluate.pool_room import pool_room, reckoned
from urial_tui.evaluate.score_chances import score_chances
from urial_tui.evaluate.together import read_together
from urial_tui.models.registry import resolve
from urial_tui.prompting.context import find_context
from urial_tui.prompting.conversation import Exchanged, Shown, render_conversation
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.host import Unpacking
from urial_tui.runtime.together import load_together

GREEDY: Final = Sampling(temperature=0.0)

TOP: Final = 40
"""How many of the likeliest tokens are looked at for the chances of the scores."""


def pool_tokens(questions: Sequence[JudgeQuestion], *, n_ctx: int) -> Callable[[int], int]:
    """How many tokens of context so many judgements need together (`pool_room`).

    Args:
        questions: All that may be asked.
        n_ctx: Tokens of a context for one, 0 for the program's choice.
    """
    heads = {question.prompt.head for question in questions}
    sizes = (
        reckoned(question.prompt.body) + max_tokens(len(question.aspects)) for question in questions
    )
    return pool_room(sizes, sum(map(reckoned, heads)), n_ctx)


class LocalJudge:
    """Judges with a model that is loaded.

    Args:
        model: The model, loaded for answers together where `parallel` is more than 1.
        info: What was loaded, with the chat template that counts.
        templates: Renders that.
        parallel: Most judgements at once.
    """

    def __init__(
        self, model: Model, info: ModelInfo, templates: TemplateRenderer, parallel: int
    ) -> None:
        self._cancelled = False
        self._model = model
        self._info = info
        self._templates = templates
        self.at_once: Final = parallel
        """Most judgements that are written together."""
        pieces = model.vocabulary().result().pieces
        self._piece = pieces.__getitem__

    def cancel(self) -> None:
        """Ask no more; called before the engine is told to end what runs. From any thread."""
        self._cancelled = True

    @property
    def cancelled(self) -> bool:
        """Whether no more is asked."""
        return self._cancelled

    def run(
        self, questions: Sequence[JudgeQuestion]
    ) -> Generator[Event | tuple[JudgeQuestion, JudgeReply], None, None]:
        """Have questions answered: the engine's events, and each reply when it is there.

        Those of one head follow each other in the engine.

        Raises:
            ModelError: The model has no chat template.
            EngineDied: The worker ended; all replies before have been told.
        """
        heads: dict[str, list[JudgeQuestion]] = {}
        for question in questions:
            heads.setdefault(question.prompt.head, []).append(question)
        for group in heads.values():
            if self.at_once > 1:
                yield from self._ask(group)
                continue
            for question in group:
                yield from self._ask([question])

    def _ask(
        self, group: Sequence[JudgeQuestion]
    ) -> Generator[Event | tuple[JudgeQuestion, JudgeReply], None, None]:
        if self.cancelled:
            return
        calls = self._calls(group)
        written: dict[int, list[Probabilities]] = {}
        for number, event in read_together(calls, self.at_once):
            question = group[number]
            match event:
                case EngineError():
                    if not self.cancelled:
                        yield question, JudgeReply(trouble="failed", detail=event.message)
                case Probabilities():
                    written.setdefault(number, []).append(event)
                case Finished(stop_reason="cancelled"):
                    self.cancel()
                case Finished():
                    yield question, self._reply(question, event, written.pop(number, []))
                case _:
                    yield event

    def _calls(self, group: Sequence[JudgeQuestion]) -> list[Call[Finished]]:
        """Ask all at once; none begins before the last one has come."""
        shown = [(question, self._shown(question)) for question in group]
        calls = [
            self._model.generate(
                preamble=front.preamble,
                turns=front.turns,
                sampling=GREEDY,
                max_tokens=max_tokens(len(question.aspects)),
                grammar=Grammar(kind="json-schema", text=question.schema),
                logprobs=TOP,
                together=self.at_once > 1,
                more=number < len(shown),
            )
            for number, (question, front) in enumerate(shown, start=1)
        ]
        if self.cancelled:
            # It came before all were asked, and has ended only those that were.
            for call in calls:
                call.cancel()
        return calls

    def _reply(
        self, question: JudgeQuestion, event: Finished, written: Sequence[Probabilities]
    ) -> JudgeReply:
        if event.stop_reason == "length":
            return JudgeReply(text=event.text, trouble="cut")
        if not isinstance(question.asked, Judgement):
            return JudgeReply(text=event.text)
        chances = score_chances(
            question.aspects,
            [token for part in written for token in part.ids],
            [logp for part in written for logp in part.logps],
            [top for part in written for top in part.tops],
            self._piece,
        )
        return JudgeReply(text=event.text, chances=chances)

    def _shown(self, question: JudgeQuestion) -> Shown:
        """What the model reads; what all questions of a head share is the preamble.

        Raises:
            ModelError: The model has no chat template, or it can't be rendered.
        """
        prompt = question.prompt
        shown = render_conversation(
            find_context("chat"), [Exchanged(prompt.text)], self._info, self._templates
        )
        (turn,) = shown.turns
        for number, segment in enumerate(turn):
            if isinstance(segment, TextSegment) and segment.text.startswith(prompt.head):
                rest = segment.text.removeprefix(prompt.head)
                before: Turn = (*turn[:number], TextSegment(text=prompt.head))
                behind: Turn = (TextSegment(text=rest), *turn[number + 1 :])
                return Shown((*shown.preamble, *before), (behind,))
        return shown


class LoadedJudge(NamedTuple):
    """A judge, and what its judgements depend on beside the questions."""

    judge: LocalJudge
    terms: dict[str, Any]


def load_judge(
    engine: Engine,
    templates: TemplateRenderer,
    name: str,
    questions: Sequence[JudgeQuestion],
    options: EngineOptions,
    *,
    parallel: int | None = None,
    unpacking: Unpacking = lambda done, total: None,
) -> EventSteps[LoadedJudge]:
    """Load a model that judges: the events of `load_together`, and the judge.

    Args:
        engine: Loads it.
        templates: Renders what it is shown.
        name: The model's.
        questions: All that it may be asked.
        options: How it is loaded; how many judgements and their context are set here.
        parallel: Judgements at once; by default what the memory holds.
        unpacking: Told how far a packaged model is.

    Raises:
        ModelError: There is none, it does not fit, or it can't judge.
        EngineError: The worker refused it.
        EngineDied: The worker ended.
    """
    resolved = resolve(name, progress=unpacking)
    pool_of = pool_tokens(questions, n_ctx=options.n_ctx)
    loaded = yield from load_together(engine, resolved, options, pool_of, parallel)
    check_judge(loaded.info, templates)
    judge = LocalJudge(loaded.model, loaded.info, templates, loaded.parallel)
    return LoadedJudge(judge, local_terms(loaded.info, loaded.parallel))


def check_judge(info: ModelInfo, templates: TemplateRenderer) -> None:
    """Refuse a model that can't judge, before anything is asked.

    Raises:
        ModelError: It has no chat template, or it can't be rendered.
    """
    try:
        render_conversation(find_context("chat"), [Exchanged("?")], info, templates)
    except ModelError as error:
        raise ModelError(
            error.message, "Choose a chat model as the judge, or ask an endpoint."
        ) from error
