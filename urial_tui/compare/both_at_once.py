"""The strategy with both models in memory: each batch of positions is evaluated on both, and
reduced at once.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from urial_tui.compare.items import Query, ScoredItem
from urial_tui.compare.noise import Measure
from urial_tui.compare.reading import common_start, read_text
from urial_tui.compare.side_pair import (
    ComparisonStep,
    ScoredAnswer,
    SidePair,
    SideRole,
    ids_with_end,
    tokens,
)
from urial_tui.compare.sides import Task
from urial_tui.compare.vocab import TokenisedText, compare_bytes
from urial_tui.compare.vocabularies import Vocabularies, unread_context
from urial_tui.engine.wire.commands import ScoreBoth, ScoreSide
from urial_tui.engine.wire.events import Event, Scored
from urial_tui.engine.wire.scores import PositionScores
from urial_tui.engine.wire.values import Segment, TextSegment, TokenSegment, Turn
from urial_tui.errors import UsageError
from urial_tui.models.header import compare_tokenizers


class BothAtOnce:
    """The strategy for two models in memory, which may have different vocabularies.

    Args:
        pair: The two sides.
    """

    def __init__(self, pair: SidePair) -> None:
        self._pair = pair

    def open(self) -> Iterator[Event]:
        """Load both sides and read their vocabularies.

        Raises:
            EngineError: A side can't be loaded.
            UsageError: The base side is to take tokens that it does not have.
        """
        pair = self._pair
        with ThreadPoolExecutor(1) as pool:
            # Looked at while the models load: a vocabulary takes as long to read as a model.
            alike = pool.submit(compare_tokenizers, *pair.paths)
            yield from pair.take_over()
            yield from pair.load("aligned")
            yield from pair.load("base")
        vocab = base_vocab = pair.read_vocabulary("aligned")
        sizes = {info.n_vocab for info in pair.infos.values()}
        if not (alike.result().same and len(sizes) == 1):
            base_vocab = pair.read_vocabulary("base")
        pair.vocabularies = Vocabularies(base_vocab, vocab, alike.result().cutting)
        if pair.base.context.is_same and not pair.relation.by_id:
            raise UsageError(
                "The base side can't take the aligned side's tokens: "
                "the two vocabularies are different.",
                "Choose another --base-context.",
            )

    def run(
        self, tasks: Iterable[Task], measure: Measure
    ) -> Generator[ComparisonStep | ScoredItem, None, None]:
        """Carry out tasks, one after the other."""
        for task in tasks:
            item = yield from self._item(task)
            noise = yield from measure(item.aligned_context.ids, item.scores.ids.tolist())
            yield msgspec.structs.replace(item, noise=noise)

    def _item(self, task: Task) -> Generator[ComparisonStep, None, ScoredItem]:
        pair, query = self._pair, task.query
        shown = pair.shown(pair.aligned, query.text)
        context = shown.context
        if not pair.relation.by_id:
            if task.text is not None:
                ids = pair.ids_behind(context, task.text, task.ids)
                return (yield from self._by_bytes(query, context, task.text, ids, "given"))
            done = yield from pair.generate(shown, ())
            ids = pair.vocabularies.as_text(ids_with_end(done))
            text = pair.vocabularies.spelled(ids).decode("utf-8")
            return (yield from self._by_bytes(query, context, text, ids, done.stop_reason))

        def score(front: tuple[int, ...], ids: tuple[int, ...]) -> Generator[Event, None, Scored]:
            return self._score(task, context, front, ids)

        answered = yield from pair.answered(task, shown, score)
        scores = PositionScores.join(
            [PositionScores.from_bytes(piece.scores) for piece in answered.pieces]
        )
        return pair.item(query, answered, scores, self._contexts(query, context, answered))

    def _contexts(
        self, query: Query, context: Turn, answered: ScoredAnswer
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What the base and the aligned side were shown, as ids."""
        pair = self._pair
        if answered.pieces:
            return answered.pieces[0].base_context, answered.pieces[0].context
        same = pair.base.context.is_same
        base = context if same else pair.shown(pair.base, query.text).context
        return pair.ids_of("aligned", base), pair.ids_of("aligned", context)

    def _score(
        self, task: Task, context: Turn, front: tuple[int, ...], ids: tuple[int, ...]
    ) -> Generator[Event, None, Scored]:
        pair = self._pair
        same = pair.base.context.is_same
        base = () if same else pair.shown(pair.base, task.query.text).context
        request = ScoreBoth(
            id=0,
            aligned=pair.models["aligned"].handle,
            base=pair.models["base"].handle,
            context=(*context, *tokens(front)),
            base_context=() if same else (*base, *tokens(front)),
            same_ids=same,
            answer=TokenSegment(ids=ids),
            greedy=pair.is_greedy(task),
            top_k=pair.top_k,
        )
        return (yield from pair.engine.score_both(request).steps())

    # -- different vocabularies -----------------------------------------------------

    def _by_bytes(
        self, query: Query, context: Turn, text: str, ids: tuple[int, ...], stop_reason: str
    ) -> Generator[ComparisonStep, None, ScoredItem]:
        """What two sides with different vocabularies say about one text.

        `ids`: the text as the aligned side reads or wrote it; none for an answer without text.
        """
        pair, vocab = self._pair, self._pair.vocabularies
        base_turn = pair.shown(pair.base, query.text).context
        contexts = (unread_context(base_turn), unread_context(context))
        base = aligned = TokenisedText(ends=(), logp=(), argmax=())
        if ids:
            found_a = yield from self._score_side("aligned", context, TokenSegment(ids=ids))
            found_b = yield from self._score_side("base", base_turn, TextSegment(text=text))
            reading_b = read_text(found_b, vocab.base, text)
            reading_a = read_text(found_a, vocab.aligned, text)
            start = common_start(reading_b, reading_a)
            base, aligned = reading_b.from_byte(start), reading_a.from_byte(start)
            contexts = vocab.contexts(found_b.context, found_a.context)
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

    def _score_side(
        self, role: SideRole, context: Turn, answer: Segment
    ) -> Generator[Event, None, Scored]:
        request = ScoreSide(id=0, model=0, context=context, answer=answer, top_k=0)
        return (yield from self._pair.models[role].score(request).steps())
