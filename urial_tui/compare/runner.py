"""Runs a comparison: loads both sides, lets the aligned one answer, scores what it wrote.

Two ways, the same numbers. With both models in memory, each batch of positions is evaluated
on both and reduced at once. With room for one only, the aligned side's distributions of a
few items are put aside on disk, and scored against the base side when that one is loaded.

The compared answer is the greedy answer of the aligned side, without penalties whatever the
settings say, as it comes out of the evaluation that is scored: where decoding one token at a
time and evaluating a batch disagree on the most probable token (by rounding), the batch is
followed. So a model against itself is 100 % unshifted.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np

from urial_tui.compare.contexts import answer_rules, render
from urial_tui.compare.items import ContextText, Query, ScoredItem
from urial_tui.compare.reading import common_start, read_text, whole_characters
from urial_tui.compare.sides import Side, Task
from urial_tui.compare.vocab import (
    TokenisedText,
    VocabInfo,
    VocabRelation,
    compare_bytes,
    compare_vocabularies,
)
from urial_tui.engine.client import Engine
from urial_tui.engine.protocol import (
    EngineOptions,
    Event,
    Finished,
    ModelInfo,
    Sampling,
    Score,
    Scored,
    Slot,
    StopRules,
    TextSegment,
    TokenSegment,
    Turn,
)
from urial_tui.engine.scores import PositionScores
from urial_tui.errors import EngineError, UsageError
from urial_tui.models.header import same_tokenizer
from urial_tui.models.loading import load

GREEDY = Sampling(temperature=0.0)
_CONTROL = 3
"""GGUF token type of control tokens."""


class Comparison:
    """Two sides on one engine.

    `open` first; then `run` for a list of tasks, or `answer` and `given` for one, which are
    iterators of the engine's events whose return value is the scored item.

    Args:
        engine: Its worker's slots are taken over: `main` is the aligned side.
        base: The base side. Its context may be `same`: the aligned side's token ids.
        aligned: The aligned side.
        options: For both models; both contexts are made alike.
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
        max_tokens: int = 300,
        top_k: int = 10,
    ) -> None:
        if aligned.context.is_same:
            raise UsageError(
                "The aligned side can't take the context `same`.", "Only the base side can."
            )
        self.base = base
        self.aligned = aligned
        self.relation = VocabRelation(relation="identical", base_size=0, aligned_size=0)
        self._engine = engine
        self._options = options
        self._max_tokens = max_tokens
        self._top_k = top_k
        self._base_info: ModelInfo | None = None
        self._aligned_info: ModelInfo | None = None
        self._vocab: VocabInfo | None = None
        self._base_vocab: VocabInfo | None = None
        self._texts: dict[int, str] = {}

    def open(self) -> Iterator[Event]:
        """Load both sides and compare their vocabularies.

        Raises:
            EngineError: A side can't be loaded.
            UsageError: The contexts do not fit these models.
        """
        with ThreadPoolExecutor(1) as pool:
            # Looked at while the models load: a vocabulary takes as long to read as a model.
            alike = pool.submit(same_tokenizer, self.base.path, self.aligned.path)
            yield from self._load_side(self.aligned, "main")
            yield from self._load_side(self.base, "second")
        self._vocab = self._read_vocabulary("main")
        sizes = {info.n_vocab for info in (self._base_info, self._aligned_info) if info}
        if alike.result() and len(sizes) == 1:
            self._base_vocab = self._vocab
        else:
            self._base_vocab = self._read_vocabulary("second")
        self.relation = compare_vocabularies(self._base_vocab, self._vocab)
        if self.base.context.is_same and not self.relation.by_id:
            raise UsageError(
                "The base side can't take the aligned side's tokens: "
                "the two vocabularies are different.",
                "Choose another --base-context.",
            )
        self._check_contexts()

    def _check_contexts(self) -> None:
        """A template that can't be rendered is better known before the first answer."""
        for side, info in ((self.aligned, self._aligned_info), (self.base, self._base_info)):
            if info is not None and not side.context.is_same:
                render(side.context, "?", info)

    def run(self, tasks: Iterable[Task]) -> Iterator[Event | ScoredItem]:
        """Carry out tasks: the engine's events, and each item when it is done."""
        for task in tasks:
            if task.text is None:
                yield (yield from self.answer(task.query))
            else:
                yield (yield from self.given(task.query, task.text, task.skip, task.ids))

    def answer(self, query: Query) -> Generator[Event, None, ScoredItem]:
        """The aligned side's greedy answer to a query, scored on both sides."""
        context = render(self.aligned.context, query.text, self._info(self.aligned))
        stops, close = answer_rules(self.aligned.context)
        accepted: tuple[int, ...] = ()
        parts: list[PositionScores] = []
        contexts: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        while True:
            done = yield from self._generate(
                (*context, *tokens(accepted)), len(accepted), stops=stops, close=close
            )
            end = () if done.end_token is None else (done.end_token,)
            ids = self._readable((*accepted, *done.ids, *end))
            if not ids[len(accepted) :] or not self.relation.by_id:
                break
            scored = yield from self._score_pair(
                query.text, context, accepted, ids[len(accepted) :], greedy=True
            )
            contexts = contexts or (scored.second_context, scored.context)
            parts.append(PositionScores.from_bytes(scored.scores))
            accepted = (*accepted, *scored.ids)
            if not scored.replaced or len(accepted) >= self._max_tokens:
                break
            if self._is_end(accepted[-1]) or accepted[-1] >= self.relation.base_size:
                break
        if not self.relation.by_id:
            text_ids = self._as_text(ids)
            text = self._spelled(text_ids).decode("utf-8")
            return (yield from self._by_bytes(query, context, text, text_ids, done.stop_reason))
        if contexts is None:
            same = self.base.context.is_same
            base = context if same else render(self.base.context, query.text, self._info(self.base))
            contexts = (self._ids_of(base), self._ids_of(context))
        scores = PositionScores.join(parts)
        reason = "eos" if accepted and self._is_end(accepted[-1]) else done.stop_reason
        return self._item(query, accepted, scores, contexts, reason)

    def given(
        self, query: Query, text: str, skip: int = 0, ids: tuple[int, ...] = ()
    ) -> Generator[Event, None, ScoredItem]:
        """A given text as the answer to a query, scored on both sides.

        Its first `skip` tokens, but never all, stand in both contexts and are not scored.
        `ids`: the tokens that wrote it or its start; left aside where they do not spell it.

        Raises:
            EngineError: The text is empty, or too long for a model.
        """
        context = render(self.aligned.context, query.text, self._info(self.aligned))
        ids = self._ids_behind(context, text, ids)
        if not self.relation.by_id:
            return (yield from self._by_bytes(query, context, text, ids, "given"))
        skip = max(min(skip, len(ids) - 1), 0)
        scored = yield from self._score_pair(query.text, context, ids[:skip], ids[skip:])
        scores = PositionScores.from_bytes(scored.scores)
        contexts = (scored.second_context, scored.context)
        return self._item(query, scored.ids, scores, contexts, "given")

    def windows(self, text: str, window: int) -> list[str]:
        """A long text in pieces of at most `window` tokens, cut between characters."""
        ids = self._engine.tokenize([(TextSegment(text=text),)])[0][0]
        pieces: list[str] = []
        rest = b""
        for start in range(0, len(ids), window):
            data = rest + b"".join(self._piece(token) for token in ids[start : start + window])
            piece, rest = whole_characters(data)
            pieces.append(piece)
        if rest and pieces:
            pieces[-1] += rest.decode("utf-8", "replace")
        return pieces

    def text_of(self, token: int) -> str:
        """A token's text; bytes that are no UTF-8 as \\xNN."""
        text = self._texts.get(token)
        if text is None:
            text = self._texts[token] = self._piece(token).decode("utf-8", "backslashreplace")
        return text

    @property
    def special(self) -> frozenset[int]:
        """Ids of the tokens that are no content: control tokens."""
        assert self._vocab is not None
        types = np.frombuffer(self._vocab.types, np.uint8)
        return frozenset(np.flatnonzero(types == _CONTROL).tolist())

    # -- steps ----------------------------------------------------------------------

    def _load_side(self, side: Side, slot: Slot) -> Iterator[Event]:
        yield from load(
            self._engine, side.path, adapter=side.adapter, options=self._options, slot=slot
        )
        info = self._engine.info if slot == "main" else self._engine.second_info
        assert info is not None
        if side.chat_template:
            info = msgspec.structs.replace(info, chat_template=side.chat_template)
        if side is self.aligned:
            self._aligned_info = info
        else:
            self._base_info = info

    def _read_vocabulary(self, slot: Slot) -> VocabInfo:
        read = self._engine.vocabulary(slot)
        return VocabInfo.of(read.pieces, read.types)

    def _info(self, side: Side) -> ModelInfo:
        info = self._aligned_info if side is self.aligned else self._base_info
        assert info is not None, "the comparison is not open"
        return info

    def _generate(
        self, turn: Turn, written: int, *, stops: StopRules, close: str
    ) -> Generator[Event, None, Finished]:
        finished: Finished | None = None
        for event in self._engine.generate(
            preamble=(),
            turns=[turn],
            sampling=GREEDY,
            stops=stops,
            close=close,
            max_tokens=max(1, self._max_tokens - written),
        ):
            if isinstance(event, Finished):
                finished = event
            yield event
        assert finished is not None
        if finished.stop_reason == "cancelled":
            raise EngineError("Stopped.")
        if finished.stop_reason == "stop":
            # The format's closing is no part of the answer.
            kept = self._within(finished.ids, finished.text)
            finished = msgspec.structs.replace(finished, ids=kept)
        return finished

    def _within(self, ids: Sequence[int], text: str) -> tuple[int, ...]:
        """The ids that lie inside the text."""
        return self._first_bytes(tuple(ids), len(text.encode("utf-8", "replace")))

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
        base = () if same else render(self.base.context, query, self._info(self.base))
        return (
            yield from scored(
                self._engine,
                Score(
                    id=0,
                    context=(*context, *tokens(accepted)),
                    second_context=() if same else (*base, *tokens(accepted)),
                    same_ids=same,
                    answer=TokenSegment(ids=ids),
                    greedy=greedy,
                    top_k=self._top_k,
                ),
            )
        )

    def _ids_behind(self, context: Turn, text: str, ids: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A given text as the aligned side reads it, without the space that a vocabulary puts in
        front of a text: a window of a longer text goes on from the one before.
        """
        sound = max(ids, default=0) < self.relation.aligned_size
        # Control tokens among them are not in the text.
        content = [token for token in ids if sound and token not in self.special]
        spelled = self._spelled(content).decode("utf-8", "replace")
        if spelled and text.startswith(spelled):
            rest = text[len(spelled) :]
            return (*ids, *self._ids_behind((*context, *tokens(ids)), rest)) if rest else ids
        return self._engine.tokenize([(*context, TextSegment(text=text))])[0][-1]

    def _ids_of(self, turn: Turn) -> tuple[int, ...]:
        (segments,) = self._engine.tokenize([turn])
        return tuple(token for segment in segments for token in segment)

    def _by_bytes(
        self, query: Query, context: Turn, text: str, ids: tuple[int, ...], stop_reason: str
    ) -> Generator[Event, None, ScoredItem]:
        """What two sides with different vocabularies say about one text.

        `ids`: the text as the aligned side reads or wrote it; none for an answer without text.
        """
        base_turn = render(self.base.context, query.text, self._info(self.base))
        contexts = (_unread(base_turn), _unread(context))
        base = aligned = TokenisedText(ends=(), logp=(), argmax=())
        if ids:
            request = Score(id=0, context=(), answer=TextSegment(text=text), alone=True, top_k=0)
            found_a = yield from scored(
                self._engine,
                msgspec.structs.replace(request, context=context, answer=TokenSegment(ids=ids)),
            )
            found_b = yield from scored(
                self._engine, msgspec.structs.replace(request, context=base_turn, slot="second")
            )
            reading_b = read_text(found_b, self._base_vocab, text)
            reading_a = read_text(found_a, self._vocab, text)
            start = common_start(reading_b, reading_a)
            base, aligned = reading_b.from_byte(start), reading_a.from_byte(start)
            contexts = (
                ContextText(text=_spell(found_b.context, self._base_vocab), ids=found_b.context),
                ContextText(text=_spell(found_a.context, self._vocab), ids=found_a.context),
            )
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
    ) -> ScoredItem:
        special = self.special
        content = b"".join(self._piece(token) for token in ids if token not in special)
        return ScoredItem(
            id=query.id,
            query=query.text,
            answer=content.decode("utf-8", "replace"),
            stop_reason=stop_reason,
            base_context=ContextText(text=_spell(contexts[0], self._base_vocab), ids=contexts[0]),
            aligned_context=ContextText(text=_spell(contexts[1], self._vocab), ids=contexts[1]),
            scores=scores,
            n_bytes=len(content),
            fields=query.fields,
        )

    def _readable(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The ids up to one that the base side lacks: it can't read on from there."""
        if not self.relation.by_id:
            return ids
        size = self.relation.base_size
        end = next((at for at, token in enumerate(ids, start=1) if token >= size), len(ids))
        return ids[:end]

    def _as_text(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The longest beginning whose tokens are together valid UTF-8; control tokens let go."""
        text_ids = tuple(token for token in ids if token not in self.special)
        while text_ids:
            data = self._spelled(text_ids)
            try:
                data.decode("utf-8")
            except UnicodeDecodeError as error:
                text_ids = self._first_bytes(text_ids, error.start)
            else:
                break
        return text_ids

    def _first_bytes(self, ids: tuple[int, ...], limit: int) -> tuple[int, ...]:
        """The ids that lie within the first `limit` bytes."""
        ends = np.cumsum([len(self._piece(token)) for token in ids])
        return ids[: int(np.searchsorted(ends, limit, side="right"))]

    def _spelled(self, ids: Iterable[int]) -> bytes:
        return b"".join(self._piece(token) for token in ids)

    def _piece(self, token: int) -> bytes:
        longer = self._vocab if self.relation.longer != "base" else self._base_vocab
        assert longer is not None
        return longer.piece(token)

    def _is_end(self, token: int) -> bool:
        return token in self.special


def scored(engine: Engine, request: Score) -> Generator[Event, None, Scored]:
    """Carry out a Score request; its final event is the return value."""
    for event in engine.score(request):
        if isinstance(event, Scored):
            return event
        yield event
    raise AssertionError("unreachable: a request ends with its final event")


def tokens(ids: tuple[int, ...]) -> Turn:
    """Ids as segments of a turn."""
    return (TokenSegment(ids=ids),) if ids else ()


def _spell(ids: Iterable[int], vocab: VocabInfo | None) -> str:
    assert vocab is not None
    return b"".join(vocab.piece(token) for token in ids).decode("utf-8", "replace")


def _unread(turn: Turn) -> ContextText:
    """A context that no model was shown."""
    return ContextText(
        text="".join(part.text for part in turn if isinstance(part, TextSegment)), ids=()
    )
