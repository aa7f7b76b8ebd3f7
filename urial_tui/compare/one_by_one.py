"""A comparison with room for one model at a time.

The aligned model answers a few items and leaves its distributions on disk; then the base
model is loaded in its place and scored against them. How many items go together depends on
the disk space that is granted. The numbers are those of `Comparison`.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import msgspec

from urial_tui.compare.items import Query, ScoredItem
from urial_tui.compare.noise import Noise
from urial_tui.compare.runner import Comparison, Role, Step, tokens
from urial_tui.compare.sides import Side, Task
from urial_tui.compare.vocabularies import Vocabularies
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.protocol import (
    EngineOptions,
    Event,
    Purpose,
    ScoreSide,
    ScoreStored,
    TokenSegment,
    Turn,
)
from urial_tui.engine.wire.scores import PositionScores
from urial_tui.errors import UsageError
from urial_tui.models.header import compare_tokenizers
from urial_tui.prompting.context import answer_rules
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.memory_plan import PLAN, MemoryPlan

SPILL_BYTES = 4_000_000_000
"""Disk space for one batch of items, unless another is granted."""

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
    shown: tuple[int, ...]
    context: tuple[int, ...]
    parts: tuple[_Part, ...]
    stop_reason: str
    rechosen: int | None
    noise: Noise | None


class OneByOne(Comparison):
    """`Comparison` with its two models one after the other, each instead of the other.

    `run` has to be read to its end or closed: it keeps files in a temporary directory.
    """

    spill_bytes = SPILL_BYTES
    _files = 0

    def open(self) -> Iterator[Event]:
        """Load each side once, for its vocabulary; the aligned one stays.

        Raises:
            EngineError, UsageError: As `Comparison.open`; also for different vocabularies.
        """
        yield from self._take_over()
        yield from self._swap("base")
        base_vocab = self._read_vocabulary("base")
        yield from self._swap("aligned")
        cutting = compare_tokenizers(self.base.path, self.aligned.path).cutting
        self._read = Vocabularies(base_vocab, self._read_vocabulary("aligned"), cutting)
        if not self.relation.by_id:
            raise UsageError(
                "Two models with different vocabularies can be compared only with both in memory.",
                "Choose smaller models, or close other programs.",
            )
        self._check_contexts()

    def run(self, tasks: Iterable[Task]) -> Generator[Step | ScoredItem, None, None]:
        """Carry out tasks, as many at a time as the disk space allows."""
        waiting = list(tasks)
        with tempfile.TemporaryDirectory(prefix="urial-rows-") as name:
            directory = Path(name)
            row = self.relation.aligned_size * _FLOAT
            budget = min(self.spill_bytes, shutil.disk_usage(directory).free // 2)
            while waiting:
                batch: list[_Spilled] = []
                rows = 0
                yield from self._swap("aligned")
                while waiting and (not batch or (rows + self._max_tokens) * row <= budget):
                    spilled = yield from self._spill(waiting.pop(0), directory)
                    rows += sum(len(part.ids) for part in spilled.parts)
                    batch.append(spilled)
                yield from self._swap("base")
                for spilled in batch:
                    yield (yield from self._against(spilled))

    def answer(self, query: Query) -> Generator[Step, None, ScoredItem]:
        """As `Comparison.answer`."""
        return (yield from self._alone(Task(query=query)))

    def given(
        self, query: Query, text: str, skip: int = 0, ids: tuple[int, ...] = ()
    ) -> Generator[Step, None, ScoredItem]:
        """As `Comparison.given`."""
        return (yield from self._alone(Task(query=query, text=text, skip=skip, ids=ids)))

    def _alone(self, task: Task) -> Generator[Step, None, ScoredItem]:
        found: ScoredItem | None = None
        with contextlib.closing(self.run([task])) as steps:
            for step in steps:
                if isinstance(step, ScoredItem):
                    found = step
                else:
                    yield step
        assert found is not None
        return found

    def _swap(self, role: Role) -> Iterator[Event]:
        if role not in self._models:
            other = next(iter(self._models.values()), None)
            self._models.clear()
            yield from self._load_side(role, instead_of=other)

    def _spill(self, task: Task, directory: Path) -> Generator[Step, None, _Spilled]:
        query = task.query
        shown = self._shown(self.aligned, query.text)
        context = shown.context
        n_base = self._base_length(query.text, context)
        stops, close = answer_rules(self.aligned.context)
        parts: list[_Part] = []
        given = () if task.text is None else self._ids_behind(context, task.text, task.ids)
        skip = max(min(task.skip, len(given) - 1), 0)
        accepted = given[:skip]
        context_ids: tuple[int, ...] = ()
        reason = "given"
        rechosen = 0
        while True:
            if task.text is None:
                done = yield from self._generate(shown, accepted, stops=stops, close=close)
                end = () if done.end_token is None else (done.end_token,)
                ids = self._vocab.readable((*done.ids, *end))[len(accepted) :]
                reason = done.stop_reason
                if not ids:
                    break
            else:
                ids = given[skip:]
            self._files += 1
            file = directory / f"{self._files}.rows"
            request = ScoreSide(
                id=0,
                model=0,
                context=(*context, *tokens(accepted)),
                answer=TokenSegment(ids=ids),
                rows=str(file),
                greedy=task.text is None and self._follows_scores,
                bare=n_base + len(accepted) == 0,
                other_vocab=self.relation.base_size,
                n_ctx=n_base + len(accepted) + len(ids),
            )
            result = yield from self._models["aligned"].score(request).steps()
            parts.append(
                _Part(
                    file=file,
                    written=accepted,
                    evaluated=ids,
                    ids=result.ids,
                    bare=bool(result.unscored),
                )
            )
            context_ids = context_ids or result.context
            accepted = (*accepted, *result.ids)
            if not result.replaced:
                break
            rechosen += 1
            yield self._rechosen(accepted, ids[len(result.ids) - 1])
            if len(accepted) >= self._max_tokens:
                break
            if self._vocab.ends_at(accepted[-1]):
                break
        if accepted and accepted[-1] in self.special:
            reason = "eos"
        context_ids = context_ids or self._ids_of("aligned", context)
        noise = yield from self._measure(context_ids, (t for part in parts for t in part.ids))
        return _Spilled(
            task=task,
            shown=self._ids_of("aligned", context),
            context=context_ids,
            noise=noise,
            parts=tuple(parts),
            stop_reason=reason,
            rechosen=rechosen if task.text is None else None,
        )

    def _against(self, spilled: _Spilled) -> Generator[Event, None, ScoredItem]:
        query = spilled.task.query
        base = self._base_turn(query.text, spilled.shown)
        parts: list[PositionScores] = []
        context_ids: tuple[int, ...] = ()
        ids: tuple[int, ...] = ()
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
                top_k=self._top_k,
            )
            result = yield from self._models["base"].score(request).steps()
            context_ids = context_ids or result.context
            parts.append(PositionScores.from_bytes(result.scores))
            ids = (*ids, *part.ids)
            part.file.unlink(missing_ok=True)
        contexts = (context_ids or self._ids_of("base", base), spilled.context)
        scores = PositionScores.join(parts)
        item = self._item(
            query, ids, scores, contexts, spilled.stop_reason, rechosen=spilled.rechosen
        )
        return msgspec.structs.replace(item, noise=spilled.noise)

    def _base_length(self, query: str, aligned: Turn) -> int:
        """Tokens in front of the answer on the base side, as the aligned side counts them: the
        tokens are the same, and the sides' contexts need equal room.
        """
        same = self.base.context.is_same
        turn = aligned if same else self._shown(self.base, query).context
        return len(self._ids_of("aligned", turn))

    def _base_turn(self, query: str, aligned_ids: tuple[int, ...]) -> Turn:
        info = self._info(self.base)
        if not self.base.context.is_same:
            return self._shown(self.base, query).context
        # BOS is added again.
        return tokens(aligned_ids[1:] if info.adds_bos else aligned_ids)


def comparison_of(
    engine: Engine,
    base: Side,
    aligned: Side,
    *,
    options: EngineOptions,
    templates: TemplateRenderer,
    max_tokens: int = 300,
    top_k: int = 10,
    plan: MemoryPlan = PLAN,
) -> Comparison:
    """A comparison with both models in memory, or one by one where there is no room for both.

    Args:
        engine, base, aligned, options, templates, max_tokens, top_k: As of `Comparison`.
        plan: What else is in memory.

    Raises:
        ModelError: A file is no model.
    """
    models: list[tuple[Path, Purpose]] = [(aligned.path, "aligned"), (base.path, "base")]
    both = plan.fits(models, options, owner=engine, replacing=engine)
    kind = Comparison if both else OneByOne
    return kind(
        engine,
        base,
        aligned,
        options=options,
        templates=templates,
        max_tokens=max_tokens,
        top_k=top_k,
    )
