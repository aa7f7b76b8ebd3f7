"""Two sides on one engine: their models, what each is shown, and how the aligned one answers.

The compared answer is the greedy answer of the aligned side, without penalties whatever the
settings say, as it comes out of the evaluation that is scored: where decoding one token at a
time and evaluating a batch disagree on the most probable token (by rounding), the batch is
followed. So a model against itself is 100 % unshifted. Under a context with rules these choose the
answer, and what is scored is the model's own distributions, in which it need not be the best one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from urial_tui.compare.items import Query, ScoredItem
from urial_tui.compare.sides import Side, Task
from urial_tui.compare.vocab import VocabInfo, VocabRelation
from urial_tui.compare.vocabularies import Vocabularies
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import Event, Finished, Scored
from urial_tui.engine.wire.scores import PositionScores
from urial_tui.engine.wire.values import (
    EngineOptions,
    ModelInfo,
    Sampling,
    TextSegment,
    TokenSegment,
    Turn,
)
from urial_tui.errors import EngineDied, EngineError, UsageError
from urial_tui.prompting.context import answer_rules, rules_of
from urial_tui.prompting.conversation import Exchanged, Shown, render_conversation
from urial_tui.prompting.rules import ruled
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.loading import load

GREEDY = Sampling(temperature=0.0)
"""How the compared answer is chosen; where the aligned side's context has rules, with these."""

SideRole = Literal["aligned", "base"]
"""Which side; also the purpose that its model is loaded for."""


class Rechosen(msgspec.Struct, frozen=True, kw_only=True):
    """Scoring found another token most probable than decoding did: the answer goes on from it.

    `at`: its index in the answer. `written`, `chosen`: the texts of the one that was streamed and
    of the one that took its place. `text`, `ids`: the answer up to there, with the latter.
    """

    at: int
    written: str
    chosen: str
    text: str
    ids: tuple[int, ...]


ComparisonStep = Event | Rechosen
"""What is told while a comparison runs."""

ScoreTokens = Callable[[tuple[int, ...], tuple[int, ...]], Generator[Event, None, Scored]]
"""Scores tokens of an answer: those that stand in front of them, and they."""


class ScoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer whose tokens have been scored, in one or more pieces.

    `ids`: those that were. `rechosen`: how many of them decoding had not chosen, None for a given
    text. `stop_reason`: how it ended.
    """

    ids: tuple[int, ...]
    stop_reason: str
    pieces: tuple[Scored, ...]
    rechosen: int | None = None


class SidePair:
    """Two sides of a comparison, and the engine that holds their models.

    Args:
        engine: It is taken over: what else is loaded in it is unloaded.
        base: The base side. Its context may be `same`: the aligned side's token ids.
        aligned: The aligned side.
        options: For both models; both contexts are made alike.
        templates: Renders chat templates.
        max_tokens: Longest answer.
        top_k: Length of the top lists.

    Raises:
        UsageError: The aligned side's context is `same`.
    """

    def __init__(
        self,
        engine: Engine,
        base: Side,
        aligned: Side,
        *,
        options: EngineOptions,
        templates: TemplateRenderer,
        max_tokens: int = 300,
        top_k: int = 10,
    ) -> None:
        if aligned.context.is_same:
            raise UsageError(
                "The aligned side can't take the context `same`.", "Only the base side can."
            )
        self.engine = engine
        self.base = base
        self.aligned = aligned
        self.max_tokens = max_tokens
        self.top_k = top_k
        self.models: dict[SideRole, Model] = {}
        """What is loaded."""
        self.infos: dict[SideRole, ModelInfo] = {}
        """Of what was loaded, also where it had to go again."""
        self._options = options
        self._templates = templates
        self._vocabularies: Vocabularies | None = None

    # -- the models -----------------------------------------------------------------

    @property
    def paths(self) -> tuple[Path, Path]:
        """The files of the models: of the base side, of the aligned one."""
        return self.base.path, self.aligned.path

    def take_over(self) -> Iterator[Event]:
        """Unload whatever the engine holds."""
        for model in self.engine.models:
            with contextlib.suppress(EngineDied):
                yield from model.unload().steps()

    def load(self, role: SideRole, instead_of: Model | None = None) -> Iterator[Event]:
        """Load a side's model.

        Raises:
            EngineError: It can't be loaded.
        """
        side = self.aligned if role == "aligned" else self.base
        model = yield from load(
            self.engine,
            side.path,
            adapter=side.adapter,
            options=self._options,
            purpose=role,
            instead_of=instead_of,
        )
        self.models[role] = model
        self.infos[role] = side.told(model.info)

    def read_vocabulary(self, role: SideRole) -> VocabInfo:
        """The vocabulary of a model that is loaded."""
        read = self.models[role].vocabulary().result()
        return VocabInfo.of(read.pieces, read.types)

    @property
    def is_read(self) -> bool:
        """Whether both vocabularies were read."""
        return self._vocabularies is not None

    @property
    def vocabularies(self) -> Vocabularies:
        """Those of both sides, once they were read."""
        assert self._vocabularies is not None, "the comparison is not open"
        return self._vocabularies

    @vocabularies.setter
    def vocabularies(self, read: Vocabularies) -> None:
        self._vocabularies = read

    @property
    def relation(self) -> VocabRelation:
        """What the two vocabularies have in common."""
        return self.vocabularies.relation

    # -- what the sides are shown ---------------------------------------------------

    def shown(self, side: Side, query: str) -> Shown:
        """What a side is shown of a question, as in a chat."""
        info = self.infos["aligned" if side is self.aligned else "base"]
        return render_conversation(side.context, [Exchanged(query)], info, self._templates)

    def ids_of(self, role: SideRole, turn: Turn) -> tuple[int, ...]:
        """A context's ids as a side's model reads it, BOS included."""
        (segments,) = self.models[role].tokenize([turn], start=True).result()
        return tuple(token for segment in segments for token in segment)

    def ids_behind(self, context: Turn, text: str, ids: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A given text as the aligned side reads it, without the space that a vocabulary puts in
        front of a text: a window of a longer text goes on from the one before.

        Args:
            context: What stands in front.
            text: It.
            ids: The tokens that wrote it or its start; left aside where they do not spell it.
        """
        sound = max(ids, default=0) < self.relation.aligned_size
        # Control tokens among them are not in the text.
        special = self.vocabularies.special
        content = [token for token in ids if sound and token not in special]
        spelled = self.vocabularies.spelled(content).decode("utf-8", "replace")
        if spelled and text.startswith(spelled):
            rest = text[len(spelled) :]
            return (*ids, *self.ids_behind((*context, *tokens(ids)), rest)) if rest else ids
        turn = (*context, TextSegment(text=text))
        return self.models["aligned"].tokenize([turn]).result()[0][-1]

    # -- the answer -----------------------------------------------------------------

    def is_greedy(self, task: Task) -> bool:
        """Whether the answer is what the scored distributions find best.

        A given text is what it is, and rules only choose: the distributions are the model's own.
        """
        return task.text is None and rules_of(self.aligned.context) is None

    def answered(
        self, task: Task, shown: Shown, score: ScoreTokens
    ) -> Generator[ComparisonStep, None, ScoredAnswer]:
        """The answer to a task: the aligned side's greedy one, or the text that was given.

        Args:
            task: What is asked. Of a text, the first `skip` tokens, but never all, are not scored.
            shown: What the aligned side is shown of it.
            score: Scores what was written or given.

        Raises:
            EngineError: The text is empty, or too long for a model; or it was stopped.
        """
        if task.text is not None:
            ids = self.ids_behind(shown.context, task.text, task.ids)
            skip = max(min(task.skip, len(ids) - 1), 0)
            scored = yield from score(ids[:skip], ids[skip:])
            return ScoredAnswer(ids=scored.ids, stop_reason="given", pieces=(scored,))
        accepted: tuple[int, ...] = ()
        pieces: list[Scored] = []
        rechosen = 0
        while True:
            done = yield from self.generate(shown, accepted)
            ids = self.vocabularies.readable(ids_with_end(done))[len(accepted) :]
            if not ids:
                break
            scored = yield from score(accepted, ids)
            pieces.append(scored)
            accepted = (*accepted, *scored.ids)
            if not scored.replaced:
                break
            rechosen += 1
            yield self._rechosen(accepted, ids[len(scored.ids) - 1])
            if len(accepted) >= self.max_tokens or self.vocabularies.ends_at(accepted[-1]):
                break
        ended = bool(accepted) and accepted[-1] in self.vocabularies.special
        reason = "eos" if ended else done.stop_reason
        return ScoredAnswer(
            ids=accepted, stop_reason=reason, pieces=tuple(pieces), rechosen=rechosen
        )

    def generate(self, shown: Shown, written: tuple[int, ...]) -> Generator[Event, None, Finished]:
        """The answer as a chat would write it, from `written` on; its ids start with these."""
        stops, close = answer_rules(self.aligned.context)
        call = self.models["aligned"].generate(
            preamble=shown.preamble,
            turns=shown.turns,
            lead=shown.lead,
            prefix=tokens(written),
            sampling=ruled(GREEDY, self.aligned.context.preamble),
            stops=stops,
            close=close,
            max_tokens=max(1, self.max_tokens - len(written)),
        )
        finished = yield from call.steps()
        if finished.stop_reason == "cancelled":
            raise EngineError("Stopped.")
        if finished.stop_reason == "stop":
            # The format's closing is no part of the answer.
            kept = self._within(finished.ids, finished.text)
            finished = msgspec.structs.replace(finished, ids=kept)
        return finished

    def item(
        self,
        query: Query,
        answered: ScoredAnswer,
        scores: PositionScores,
        contexts: tuple[tuple[int, ...], tuple[int, ...]],
    ) -> ScoredItem:
        """A scored answer.

        Args:
            query: What was asked.
            answered: The answer.
            scores: What both sides say of its tokens.
            contexts: The ids that the base and the aligned side were shown.
        """
        special = self.vocabularies.special
        content = self.vocabularies.spelled(t for t in answered.ids if t not in special)
        base_context, aligned_context = self.vocabularies.contexts(*contexts)
        return ScoredItem(
            id=query.id,
            query=query.text,
            answer=content.decode("utf-8", "replace"),
            stop_reason=answered.stop_reason,
            base_context=base_context,
            aligned_context=aligned_context,
            scores=scores,
            n_bytes=len(content),
            fields=query.fields,
            rechosen=answered.rechosen,
        )

    def _within(self, ids: Sequence[int], text: str) -> tuple[int, ...]:
        """The ids that lie inside the text."""
        return self.vocabularies.first_bytes(tuple(ids), len(text.encode("utf-8", "replace")))

    def _rechosen(self, accepted: tuple[int, ...], written: int) -> Rechosen:
        """The last accepted token took the place of the `written` one."""
        text_of = self.vocabularies.text_of
        return Rechosen(
            at=len(accepted) - 1,
            written=text_of(written),
            chosen=text_of(accepted[-1]),
            text="".join(map(text_of, accepted)),
            ids=accepted,
        )


def tokens(ids: tuple[int, ...]) -> Turn:
    """Ids as segments of a turn."""
    return (TokenSegment(ids=ids),) if ids else ()


def ids_with_end(done: Finished) -> tuple[int, ...]:
    """The ids of an answer, with the token that ended it where there is one."""
    return done.ids if done.end_token is None else (*done.ids, done.end_token)
