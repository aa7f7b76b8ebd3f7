"""The strategy with room for one model at a time: the two of a comparison one after the other.

The aligned model answers a few items and leaves its distributions on disk; then the base
model is loaded in its place and scored against them. How many items go together depends on
the disk space that is granted. The numbers are those of `BothAtOnce`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import msgspec

from urial_tui.compare.items import ScoredItem
from urial_tui.compare.noise import Measure, Noise
from urial_tui.compare.side_pair import ComparisonStep, ScoredAnswer, SidePair, SideRole, tokens
from urial_tui.compare.sides import Task
from urial_tui.compare.vocabularies import Vocabularies
from urial_tui.engine.wire.commands import ScoreSide, ScoreStored
from urial_tui.engine.wire.events import Event, Scored
from urial_tui.engine.wire.scores import PositionScores
from urial_tui.engine.wire.values import TokenSegment, Turn
from urial_tui.errors import UsageError
from urial_tui.models.header import compare_tokenizers

SPILL_BYTES = 4_000_000_000
"""Disk space for one batch of items."""

_FLOAT = 4


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """Rows on disk: `written` stands between the context and the forced `ids`.

    `evaluated`: the tokens that were read for them: `ids`, or more where these were cut. `bare`:
    the first of those has no row, for nothing stands in front of it on one of the sides.
    """

    file: Path
    written: tuple[int, ...]
    evaluated: tuple[int, ...]
    ids: tuple[int, ...]
    bare: bool


class _Spilled(msgspec.Struct, frozen=True, kw_only=True):
    """An answer whose aligned half is done.

    `shown`: what the aligned side was shown, BOS included. `context`: that, and the tokens behind
    it that are not scored.
    """

    task: Task
    answered: ScoredAnswer
    shown: tuple[int, ...]
    context: tuple[int, ...]
    parts: tuple[_Part, ...]
    noise: Noise | None


class OneByOne:
    """The strategy for one model in memory at a time, each loaded instead of the other.

    `run` has to be read to its end or closed: it keeps files in a temporary directory.

    Args:
        pair: The two sides; their vocabularies have to be one.
    """

    def __init__(self, pair: SidePair) -> None:
        self._pair = pair
        self._files = 0

    def open(self) -> Iterator[Event]:
        """Load each side once, for its vocabulary; the aligned one stays.

        Raises:
            EngineError: A side can't be loaded.
            UsageError: The vocabularies are different.
        """
        pair = self._pair
        yield from pair.take_over()
        yield from self._swap("base")
        base_vocab = pair.read_vocabulary("base")
        yield from self._swap("aligned")
        cutting = compare_tokenizers(*pair.paths).cutting
        pair.vocabularies = Vocabularies(base_vocab, pair.read_vocabulary("aligned"), cutting)
        if not pair.relation.by_id:
            raise UsageError(
                "Two models with different vocabularies can be compared only with both in memory.",
                "Choose smaller models, or close other programs.",
            )

    def run(
        self, tasks: Iterable[Task], measure: Measure
    ) -> Generator[ComparisonStep | ScoredItem, None, None]:
        """Carry out tasks, as many at a time as the disk space allows."""
        waiting = list(tasks)
        with tempfile.TemporaryDirectory(prefix="urial-rows-") as name:
            directory = Path(name)
            row = self._pair.relation.aligned_size * _FLOAT
            budget = min(SPILL_BYTES, shutil.disk_usage(directory).free // 2)
            while waiting:
                batch: list[_Spilled] = []
                rows = 0
                yield from self._swap("aligned")
                while waiting and (not batch or (rows + self._pair.max_tokens) * row <= budget):
                    spilled = yield from self._spill(waiting.pop(0), directory, measure)
                    rows += len(spilled.answered.ids)
                    batch.append(spilled)
                yield from self._swap("base")
                for spilled in batch:
                    yield (yield from self._against(spilled))

    def _swap(self, role: SideRole) -> Iterator[Event]:
        models = self._pair.models
        if role not in models:
            other = next(iter(models.values()), None)
            models.clear()
            yield from self._pair.load(role, instead_of=other)

    def _spill(
        self, task: Task, directory: Path, measure: Measure
    ) -> Generator[ComparisonStep, None, _Spilled]:
        pair = self._pair
        shown = pair.shown(pair.aligned, task.query.text)
        context = shown.context
        n_base = self._base_length(task.query.text, context)
        parts: list[_Part] = []

        def score(front: tuple[int, ...], ids: tuple[int, ...]) -> Generator[Event, None, Scored]:
            self._files += 1
            file = directory / f"{self._files}.rows"
            request = ScoreSide(
                id=0,
                model=0,
                context=(*context, *tokens(front)),
                answer=TokenSegment(ids=ids),
                rows=str(file),
                greedy=pair.is_greedy(task),
                bare=n_base + len(front) == 0,
                other_vocab=pair.relation.base_size,
                n_ctx=n_base + len(front) + len(ids),
            )
            scored = yield from pair.models["aligned"].score(request).steps()
            bare = bool(scored.unscored)
            parts.append(_Part(file=file, written=front, evaluated=ids, ids=scored.ids, bare=bare))
            return scored

        answered = yield from pair.answered(task, shown, score)
        read = pair.ids_of("aligned", context)
        front = answered.pieces[0].context if answered.pieces else read
        noise = yield from measure(front, answered.ids)
        return _Spilled(
            task=task,
            answered=answered,
            shown=read,
            context=front,
            parts=tuple(parts),
            noise=noise,
        )

    def _against(self, spilled: _Spilled) -> Generator[Event, None, ScoredItem]:
        pair, query = self._pair, spilled.task.query
        base = self._base_turn(query.text, spilled.shown)
        parts: list[PositionScores] = []
        context_ids: tuple[int, ...] = ()
        for part in spilled.parts:
            request = ScoreStored(
                id=0,
                model=0,
                context=(*base, *tokens(part.written)),
                answer=TokenSegment(ids=part.evaluated),
                rows=str(part.file),
                scored=part.ids,
                model_is_base=True,
                bare=part.bare,
                n_ctx=len(spilled.context) + len(part.written) + len(part.evaluated),
                top_k=pair.top_k,
            )
            result = yield from pair.models["base"].score(request).steps()
            context_ids = context_ids or result.context
            parts.append(PositionScores.from_bytes(result.scores))
            part.file.unlink(missing_ok=True)
        contexts = (context_ids or pair.ids_of("base", base), spilled.context)
        item = pair.item(query, spilled.answered, PositionScores.join(parts), contexts)
        return msgspec.structs.replace(item, noise=spilled.noise)

    def _base_length(self, query: str, aligned: Turn) -> int:
        """Tokens in front of the answer on the base side, as the aligned side counts them: the
        tokens are the same, and the sides' contexts need equal room.
        """
        pair = self._pair
        turn = aligned if pair.base.context.is_same else pair.shown(pair.base, query).context
        return len(pair.ids_of("aligned", turn))

    def _base_turn(self, query: str, aligned_ids: tuple[int, ...]) -> Turn:
        pair = self._pair
        if not pair.base.context.is_same:
            return pair.shown(pair.base, query).context
        # BOS is added again.
        return tokens(aligned_ids[1:] if pair.infos["base"].adds_bos else aligned_ids)
