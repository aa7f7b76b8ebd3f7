"""Runs a comparison: loads both sides, lets the aligned one answer, scores what it wrote.

Two ways, the same numbers. With both models in memory, each batch of positions is evaluated
on both and reduced at once. With room for one only, the aligned side's distributions of a
few items are put aside on disk, and scored against the base side when that one is loaded.

The compared answer is the greedy answer of the aligned side, without penalties whatever the
settings say, as it comes out of the evaluation that is scored: where decoding one token at a
time and evaluating a batch disagree on the most probable token (by rounding), the batch is
followed. So a model against itself is 100 % unshifted. Under a context with rules these choose the
answer, and what is scored is the model's own distributions, in which it need not be the best one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import msgspec

from urial_tui.compare.items import Query, ScoredItem
from urial_tui.compare.noise import Noise, measure_noise
from urial_tui.compare.reading import common_start, read_text, whole_characters
from urial_tui.compare.sides import Side, Task
from urial_tui.compare.vocab import TokenisedText, VocabInfo, VocabRelation, compare_bytes
from urial_tui.compare.vocabularies import Vocabularies, unread_context
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.protocol import (
    EngineOptions,
    Event,
    Finished,
    ModelInfo,
    Sampling,
    ScoreBoth,
    Scored,
    ScoreSide,
    Segment,
    StopRules,
    TextSegment,
    TokenSegment,
    Turn,
)
from urial_tui.engine.wire.scores import PositionScores
from urial_tui.errors import EngineDied, EngineError, UsageError
from urial_tui.models.header import compare_tokenizers
from urial_tui.prompting.context import SAMPLE, answer_rules, rules_of
from urial_tui.prompting.conversation import Exchanged, Shown, context_form, render_conversation
from urial_tui.prompting.rules import ruled
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.loading import load

GREEDY = Sampling(temperature=0.0)
"""How the compared answer is chosen; where the aligned side's context has rules, with these."""

Role = Literal["aligned", "base"]
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


Step = Event | Rechosen
"""What is told while a comparison runs."""


class Comparison:
    """Two sides on one engine.

    `open` first; then `run` for a list of tasks, or `answer` and `given` for one, which are
    iterators of the engine's events whose return value is the scored item.

    Args:
        engine: It is taken over: what else is loaded in it is unloaded.
        base: The base side. Its context may be `same`: the aligned side's token ids.
        aligned: The aligned side.
        options: For both models; both contexts are made alike.
        templates: Renders chat templates.
        max_tokens: Longest answer.
        top_k: Length of the top lists.
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
        self.base = base
        self.aligned = aligned
        self.noise_wanted = True
        """Whether `run` still has to measure the noise floor, on the first item that serves."""
        self._engine = engine
        self._options = options
        self._templates = templates
        self._max_tokens = max_tokens
        self._top_k = top_k
        self._models: dict[Role, Model] = {}
        """What is loaded."""
        self._infos: dict[Role, ModelInfo] = {}
        self._read: Vocabularies | None = None

    def open(self) -> Iterator[Event]:
        """Load both sides and compare their vocabularies.

        Raises:
            EngineError: A side can't be loaded.
            UsageError: The contexts do not fit these models.
        """
        with ThreadPoolExecutor(1) as pool:
            # Looked at while the models load: a vocabulary takes as long to read as a model.
            alike = pool.submit(compare_tokenizers, self.base.path, self.aligned.path)
            yield from self._take_over()
            yield from self._load_side("aligned")
            yield from self._load_side("base")
        vocab = base_vocab = self._read_vocabulary("aligned")
        sizes = {info.n_vocab for info in self._infos.values()}
        if not (alike.result().same and len(sizes) == 1):
            base_vocab = self._read_vocabulary("base")
        self._read = Vocabularies(base_vocab, vocab, alike.result().cutting)
        if self.base.context.is_same and not self.relation.by_id:
            raise UsageError(
                "The base side can't take the aligned side's tokens: "
                "the two vocabularies are different.",
                "Choose another --base-context.",
            )
        self._check_contexts()

    def _check_contexts(self) -> None:
        """A template that can't be rendered is better known before the first answer."""
        for side in (self.aligned, self.base):
            if not side.context.is_same:
                self._shown(side, "?")

    @property
    def loaded(self) -> bool:
        """Whether it is open, and what it has in memory is still there."""
        models = self._models.values()
        return self._read is not None and bool(models) and all(model.loaded for model in models)

    def run(self, tasks: Iterable[Task]) -> Generator[Step | ScoredItem, None, None]:
        """Carry out tasks: their steps, and each item when it is done."""
        for task in tasks:
            if task.text is None:
                item = yield from self.answer(task.query)
            else:
                item = yield from self.given(task.query, task.text, task.skip, task.ids)
            noise = yield from self._measure(item.aligned_context.ids, item.scores.ids.tolist())
            yield msgspec.structs.replace(item, noise=noise)

    def answer(self, query: Query) -> Generator[Step, None, ScoredItem]:
        """The aligned side's greedy answer to a query, scored on both sides."""
        shown = self._shown(self.aligned, query.text)
        context = shown.context
        stops, close = answer_rules(self.aligned.context)
        accepted: tuple[int, ...] = ()
        rechosen = 0
        parts: list[PositionScores] = []
        contexts: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        while True:
            done = yield from self._generate(shown, accepted, stops=stops, close=close)
            end = () if done.end_token is None else (done.end_token,)
            ids = self._vocab.readable((*done.ids, *end))
            if not ids[len(accepted) :] or not self.relation.by_id:
                break
            scored = yield from self._score_pair(
                query.text, context, accepted, ids[len(accepted) :], greedy=self._follows_scores
            )
            contexts = contexts or (scored.base_context, scored.context)
            parts.append(PositionScores.from_bytes(scored.scores))
            accepted = (*accepted, *scored.ids)
            if not scored.replaced:
                break
            rechosen += 1
            yield self._rechosen(accepted, ids[len(accepted) - 1])
            if len(accepted) >= self._max_tokens:
                break
            if self._vocab.ends_at(accepted[-1]):
                break
        if not self.relation.by_id:
            text_ids = self._vocab.as_text(ids)
            text = self._vocab.spelled(text_ids).decode("utf-8")
            return (yield from self._by_bytes(query, context, text, text_ids, done.stop_reason))
        if contexts is None:
            same = self.base.context.is_same
            base = context if same else self._shown(self.base, query.text).context
            contexts = (self._ids_of("aligned", base), self._ids_of("aligned", context))
        scores = PositionScores.join(parts)
        reason = "eos" if accepted and accepted[-1] in self.special else done.stop_reason
        return self._item(query, accepted, scores, contexts, reason, rechosen=rechosen)

    def given(
        self, query: Query, text: str, skip: int = 0, ids: tuple[int, ...] = ()
    ) -> Generator[Step, None, ScoredItem]:
        """A given text as the answer to a query, scored on both sides.

        Its first `skip` tokens, but never all, stand in both contexts and are not scored.
        `ids`: the tokens that wrote it or its start; left aside where they do not spell it.

        Raises:
            EngineError: The text is empty, or too long for a model.
        """
        context = self._shown(self.aligned, query.text).context
        ids = self._ids_behind(context, text, ids)
        if not self.relation.by_id:
            return (yield from self._by_bytes(query, context, text, ids, "given"))
        skip = max(min(skip, len(ids) - 1), 0)
        scored = yield from self._score_pair(query.text, context, ids[:skip], ids[skip:])
        scores = PositionScores.from_bytes(scored.scores)
        contexts = (scored.base_context, scored.context)
        return self._item(query, scored.ids, scores, contexts, "given")

    def windows(self, text: str, window: int) -> list[str]:
        """A long text in pieces of at most `window` tokens, cut between characters."""
        turn = (TextSegment(text=text),)
        ids = self._models["aligned"].tokenize([turn]).result()[0][0]
        pieces: list[str] = []
        rest = b""
        for start in range(0, len(ids), window):
            data = rest + self._vocab.spelled(ids[start : start + window])
            piece, rest = whole_characters(data)
            pieces.append(piece)
        if rest and pieces:
            pieces[-1] += rest.decode("utf-8", "replace")
        return pieces

    def sample(self, side: Side) -> tuple[object, ...]:
        """What a side is shown of a question, and what ends its answer: all of its context."""
        return context_form(side.context, self._shown(side, SAMPLE))

    def text_of(self, token: int) -> str:
        """A token's text; bytes that are no UTF-8 as \\xNN."""
        return self._vocab.text_of(token)

    @property
    def base_info(self) -> ModelInfo:
        """The base side's model, once it was loaded."""
        return self._infos["base"]

    @property
    def aligned_info(self) -> ModelInfo:
        """The aligned side's model, once it was loaded."""
        return self._infos["aligned"]

    @property
    def relation(self) -> VocabRelation:
        """What the two vocabularies have in common."""
        return self._vocab.relation

    @property
    def special(self) -> frozenset[int]:
        """Ids of the tokens that are no content: control tokens."""
        return self._vocab.special

    def _measure(
        self, context: tuple[int, ...], ids: Iterable[int]
    ) -> Generator[Event, None, Noise | None]:
        """The noise floor on an answer behind a context of the aligned side, if still wanted."""
        if not self.noise_wanted:
            return None
        # BOS is added again.
        head = context[1:] if self.aligned_info.adds_bos else context
        noise = yield from measure_noise(self._models["aligned"], tokens(head), tuple(ids))
        self.noise_wanted = noise is None
        return noise

    # -- steps ----------------------------------------------------------------------

    def _take_over(self) -> Iterator[Event]:
        for model in self._engine.models:
            with contextlib.suppress(EngineDied):
                yield from model.unload().steps()

    def _load_side(self, role: Role, instead_of: Model | None = None) -> Iterator[Event]:
        side = self.aligned if role == "aligned" else self.base
        model = yield from load(
            self._engine,
            side.path,
            adapter=side.adapter,
            options=self._options,
            purpose=role,
            instead_of=instead_of,
        )
        self._models[role] = model
        self._infos[role] = side.told(model.info)

    def _read_vocabulary(self, role: Role) -> VocabInfo:
        read = self._models[role].vocabulary().result()
        return VocabInfo.of(read.pieces, read.types)

    @property
    def _vocab(self) -> Vocabularies:
        assert self._read is not None, "the comparison is not open"
        return self._read

    def _info(self, side: Side) -> ModelInfo:
        return self.aligned_info if side is self.aligned else self.base_info

    def _shown(self, side: Side, query: str) -> Shown:
        """What a side is shown of a question, as in a chat."""
        return render_conversation(
            side.context, [Exchanged(query)], self._info(side), self._templates
        )

    @property
    def _follows_scores(self) -> bool:
        """Whether the answer is what the scored distributions find best; with rules it need not be.

        These are the model's own: rules only choose.
        """
        return rules_of(self.aligned.context) is None

    def _generate(
        self, shown: Shown, written: tuple[int, ...], *, stops: StopRules, close: str
    ) -> Generator[Event, None, Finished]:
        """The answer as a chat would write it, from `written` on; its ids start with these."""
        call = self._models["aligned"].generate(
            preamble=shown.preamble,
            turns=shown.turns,
            lead=shown.lead,
            prefix=tokens(written),
            sampling=ruled(GREEDY, self.aligned.context.preamble),
            stops=stops,
            close=close,
            max_tokens=max(1, self._max_tokens - len(written)),
        )
        finished = yield from call.steps()
        if finished.stop_reason == "cancelled":
            raise EngineError("Stopped.")
        if finished.stop_reason == "stop":
            # The format's closing is no part of the answer.
            kept = self._within(finished.ids, finished.text)
            finished = msgspec.structs.replace(finished, ids=kept)
        return finished

    def _within(self, ids: Sequence[int], text: str) -> tuple[int, ...]:
        """The ids that lie inside the text."""
        return self._vocab.first_bytes(tuple(ids), len(text.encode("utf-8", "replace")))

    def _score_pair(
        self,
        query: str,
        context: Turn,
        accepted: tuple[int, ...],
        ids: tuple[int, ...],
        *,
        greedy: bool = False,
    ) -> Generator[Event, None, Scored]:
        same = self.base.context.is_same
        base = () if same else self._shown(self.base, query).context
        request = ScoreBoth(
            id=0,
            aligned=self._models["aligned"].handle,
            base=self._models["base"].handle,
            context=(*context, *tokens(accepted)),
            base_context=() if same else (*base, *tokens(accepted)),
            same_ids=same,
            answer=TokenSegment(ids=ids),
            greedy=greedy,
            top_k=self._top_k,
        )
        return (yield from self._engine.score_both(request).steps())

    def _score_side(
        self, role: Role, context: Turn, answer: Segment
    ) -> Generator[Event, None, Scored]:
        request = ScoreSide(id=0, model=0, context=context, answer=answer, top_k=0)
        return (yield from self._models[role].score(request).steps())

    def _ids_behind(self, context: Turn, text: str, ids: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A given text as the aligned side reads it, without the space that a vocabulary puts in
        front of a text: a window of a longer text goes on from the one before.
        """
        sound = max(ids, default=0) < self.relation.aligned_size
        # Control tokens among them are not in the text.
        content = [token for token in ids if sound and token not in self.special]
        spelled = self._vocab.spelled(content).decode("utf-8", "replace")
        if spelled and text.startswith(spelled):
            rest = text[len(spelled) :]
            return (*ids, *self._ids_behind((*context, *tokens(ids)), rest)) if rest else ids
        turn = (*context, TextSegment(text=text))
        return self._models["aligned"].tokenize([turn]).result()[0][-1]

    def _ids_of(self, role: Role, turn: Turn) -> tuple[int, ...]:
        """A context's ids as a side's model reads it, BOS included."""
        (segments,) = self._models[role].tokenize([turn], start=True).result()
        return tuple(token for segment in segments for token in segment)

    def _by_bytes(
        self, query: Query, context: Turn, text: str, ids: tuple[int, ...], stop_reason: str
    ) -> Generator[Step, None, ScoredItem]:
        """What two sides with different vocabularies say about one text.

        `ids`: the text as the aligned side reads or wrote it; none for an answer without text.
        """
        base_turn = self._shown(self.base, query.text).context
        contexts = (unread_context(base_turn), unread_context(context))
        base = aligned = TokenisedText(ends=(), logp=(), argmax=())
        if ids:
            found_a = yield from self._score_side("aligned", context, TokenSegment(ids=ids))
            found_b = yield from self._score_side("base", base_turn, TextSegment(text=text))
            reading_b = read_text(found_b, self._vocab.base, text)
            reading_a = read_text(found_a, self._vocab.aligned, text)
            start = common_start(reading_b, reading_a)
            base, aligned = reading_b.from_byte(start), reading_a.from_byte(start)
            contexts = self._vocab.contexts(found_b.context, found_a.context)
        agreement = compare_bytes(base, aligned)
        return ScoredItem(
            id=query.id,
            query=query.text,
            answer=text,
            stop_reason=stop_reason,
            base_context=contexts[0],
            aligned_context=contexts[1],
            scores=PositionScores.empty(0, 0, 0),
            n_bytes=agreement.n_bytes,
            fields=query.fields,
            bytes=agreement,
        )

    def _item(
        self,
        query: Query,
        ids: tuple[int, ...],
        scores: PositionScores,
        contexts: tuple[tuple[int, ...], tuple[int, ...]],
        stop_reason: str,
        *,
        rechosen: int | None = None,
    ) -> ScoredItem:
        content = self._vocab.spelled(token for token in ids if token not in self.special)
        base_context, aligned_context = self._vocab.contexts(*contexts)
        return ScoredItem(
            id=query.id,
            query=query.text,
            answer=content.decode("utf-8", "replace"),
            stop_reason=stop_reason,
            base_context=base_context,
            aligned_context=aligned_context,
            scores=scores,
            n_bytes=len(content),
            fields=query.fields,
            rechosen=rechosen,
        )

    def _rechosen(self, accepted: tuple[int, ...], written: int) -> Rechosen:
        """The last accepted token took the place of the `written` one."""
        return Rechosen(
            at=len(accepted) - 1,
            written=self.text_of(written),
            chosen=self.text_of(accepted[-1]),
            text="".join(map(self.text_of, accepted)),
            ids=accepted,
        )


def tokens(ids: tuple[int, ...]) -> Turn:
    """Ids as segments of a turn."""
    return (TokenSegment(ids=ids),) if ids else ()
