"""The plan of a search for examples: all that it takes, and what came of it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import Event
from urial_tui.errors import UsageError
from urial_tui.evaluate.example_losses import ExampleLosses, ReadWork, with_examples
from urial_tui.evaluate.example_search import ExampleSearch, SearchResult, TextRead, Tried, Trying
from urial_tui.evaluate.items import EvaluateError, Item
from urial_tui.evaluate.means import FEWEST, mean_of, paired_difference
from urial_tui.evaluate.measure_store import MeasureStore
from urial_tui.evaluate.own_texts import find_references
from urial_tui.evaluate.planned import Planned
from urial_tui.evaluate.search_estimate import SearchEstimate, count_lengths, estimate
from urial_tui.evaluate.search_parts import ExampleCandidates, candidates_of, parts_of
from urial_tui.models.registry import ResolvedModel, resolve
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.soundness import check_sound
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.host import Unpacking
from urial_tui.runtime.loading import load
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings, engine_options
from urial_tui.wording import amount, duration, fixed

_PLAIN: Final = "zero-shot"
"""What the examples are compared with beside the preamble without them."""

_SETTLED: Final = 5
"""So many readings tell how long one takes."""


class SearchChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What was chosen; None for what was not.

    `k`: most examples. `like`: the preamble whose system text and format they get, by default that
    of the chat. `answers`: a file of questions with good answers. `name`: of the preamble that
    comes of it. `budget`: most readings.
    """

    k: int
    name: str
    model: str | None = None
    like: str | None = None
    answers: str | None = None
    budget: int | None = None


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is with the held-out texts: context `at` of `of`."""

    name: str
    at: int
    of: int

    @property
    def in_words(self) -> str:
        """Held out, preamble 2 of 4 (zero-shot)."""
        return f"Held out, preamble {self.at} of {self.of} ({self.name})"


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What it will cost at most; `seconds` by the pace of a first reading."""

    estimate: SearchEstimate
    seconds: float

    @property
    def in_words(self) -> str:
        """At most 1,770 answers of 231,000 tokens are to be read, about 6 min."""
        expected = self.estimate
        return (
            f"At most {amount(expected.readings, 'answer')} are to be read, with "
            f"{amount(expected.tokens, 'token')}: about {duration(self.seconds)}, less what was "
            "read before."
        )


PlannedStep = Event | Trying | TextRead | HeldOut | Expected
"""What is told while examples are searched."""


class PlannedSearch(Planned[None]):
    """The plan of a search: its pool, texts and candidates, found; its model, once it is loaded.

    Args:
        choice: What was chosen.
        pool: What the pool is called.
        pairs: Its pairs, with their numbers.
        settings: What counts where nothing was chosen.
        store: Keeps what is read.

    Raises:
        EvaluateError: The good answers can't be read or are too few, or no pair can be an example.
        PreambleError: There is no such preamble.
        UsageError: The preamble can't have examples, or the budget is too small.
    """

    def __init__(
        self,
        choice: SearchChoice,
        pool: str,
        pairs: Sequence[tuple[int, Example]],
        settings: Settings,
        store: MeasureStore,
    ) -> None:
        self._choice = choice
        self._settings = settings
        self._store = store
        self._pool = pool
        self._pairs = len(pairs)
        self.like = find_preamble(choice.like or settings.chat.preamble)
        self.base = _base(self.like)
        references = find_references(choice.answers)
        self.references = references.name
        self.parts = parts_of(references.items)
        _check_parts(references.name, self.parts.train, self.parts.held_out)
        texts = (*self.parts.train, *self.parts.held_out)
        self.candidates: ExampleCandidates = candidates_of(pairs, self.base, texts)
        if not self.candidates.candidates:
            raise EvaluateError(
                f"No pair of {sanitize_line(pool)} can be an example: their questions are those "
                "of the good answers, or their texts would end an answer of this format.",
                "Name another pool, or another preamble with --like.",
            )
        first = with_examples(self.base, (self.candidates.candidates[0].example,))
        named = msgspec.structs.replace(first, name=choice.name)
        check_sound(named, Path(f"{choice.name}.toml"))
        self._most = self._most_sets()
        self._model: ResolvedModel | None = None
        self._losses: ExampleLosses | None = None
        self._search: ExampleSearch | None = None
        self.estimate: SearchEstimate | None = None
        self.found: SearchResult | None = None
        self._held: list[tuple[str, list[float | None]]] = []
        self.cancelled = False
        """Whether it was ended before all was done."""

    def load(
        self,
        engine: Engine,
        templates: TemplateRenderer,
        unpacking: Unpacking = lambda done, total: None,
    ) -> EventSteps[None]:
        """Load the model, as `planned.Planned` says, and count what it will have to read."""
        resolved = resolve(self._choice.model or self._settings.chat.model, progress=unpacking)
        # Texts are read one after another, in the batches of a model that reads along.
        loaded = yield from load(
            engine,
            resolved.path,
            adapter=resolved.adapter,
            options=engine_options(self._settings),
            purpose="watched",
        )
        self._model = resolved
        examples = [candidate.example for candidate in self.candidates.candidates]
        self._losses = ExampleLosses(
            loaded,
            resolved.title,
            self.base,
            examples,
            self.parts.train,
            templates,
            self._store,
        )
        self._search = ExampleSearch(self._losses, len(examples), self._choice.k, self._most)
        lengths = yield from count_lengths(loaded, self.base, examples, *self.parts)
        self.estimate = estimate(
            lengths, self._choice.k, self._most, 1 + len(self._compared(self.base))
        )

    def cancel(self) -> None:
        """Begin nothing more; what runs is ended by the engine's own `cancel`, after this."""
        self.cancelled = True
        if self._losses is not None:
            self._losses.cancelled = True
        if self._search is not None:
            self._search.cancelled = True

    def steps(self) -> Generator[PlannedStep, None, None]:
        """Search, and read the held-out texts.

        Raises:
            EvaluateError: What was read can't be kept, or too few good answers can be read.
            EngineDied: The worker ended; what was read is kept.
        """
        losses = self._reader
        assert self._search is not None, "nothing is loaded"
        told = False
        search = self._search.steps()
        while True:
            try:
                step = next(search)
            except StopIteration as end:
                self.found = end.value
                break
            yield step
            if not told and isinstance(step, TextRead) and losses.work.readings:
                told = True
                assert self.estimate is not None
                pace = losses.work.seconds / max(1, losses.work.tokens - losses.work.prefix)
                yield Expected(estimate=self.estimate, seconds=pace * self.estimate.tokens)
        if self.cancelled:
            return
        if self.found is None:
            why = next(iter(losses.unread.values()), "")
            raise EvaluateError(
                f"Fewer than {FEWEST} good answers to choose by can be read. {why}".rstrip(),
                "Name other ones with --answers, or raise the setting engine.context.",
            )
        yield from self._hold_out(losses)

    @property
    def done(self) -> bool:
        """Whether all is read."""
        return self.found is not None and not self.cancelled

    @property
    def work(self) -> ReadWork:
        """What was read so far."""
        return self._reader.work

    @property
    def seconds_left(self) -> float | None:
        """What is left to be read takes so many seconds at most; None while nothing tells."""
        work = self.work
        if self.estimate is None or work.readings < _SETTLED:
            return None
        left = self.estimate.readings - work.readings - work.kept
        return work.seconds / work.readings * max(0, left)

    @property
    def preamble(self) -> Preamble | None:
        """The result, as a preamble of the chosen name; None where no example was found."""
        assert self.found is not None, "nothing is found yet"
        chosen = self.found.best.examples
        if not chosen:
            return None
        assert self._model is not None, "nothing is loaded"
        pool = sanitize_line(self._pool)
        found = self._reader.with_examples(chosen)
        held_out = mean_of(self._held[0][1])
        return msgspec.structs.replace(
            found,
            name=self._choice.name,
            title=f"{amount(len(chosen), 'example')} of {pool}",
            description=(
                f"Found by urial prompts search for {sanitize_line(self._model.title)}: "
                f"{fixed(held_out.mean, 4)} bits per byte of {amount(held_out.count, 'answer')} "
                "that played no part in the choice."
            ),
        )

    def document(self) -> dict[str, Any]:
        """What came of it, see docs/json.md."""
        assert self.found is not None, "nothing is found yet"
        assert self._model is not None, "nothing is loaded"
        found, work = self.found, self.work
        left_out = self.candidates.left_out
        steps = [
            self._step(one, count) for one, count in zip(found.steps, found.tried, strict=False)
        ]
        refused = None
        if found.refused is not None:
            refused = self._step(found.refused, found.tried[-1])
        document = {
            "model": self._model.title,
            "like": self.like.name,
            "k": self._choice.k,
            "budget": self._choice.budget,
            "pool": {
                "name": self._pool,
                "pairs": self._pairs,
                "candidates": len(self.candidates.candidates),
                "left_out": {
                    "asked": left_out.get("asked", 0),
                    "unsound": left_out.get("unsound", 0),
                    "unread": len(found.unread),
                },
            },
            "references": {
                "name": self.references,
                "train": len(self._reader.texts),
                "held_out": len(self.parts.held_out),
                "unread": len(self._reader.unread),
            },
            "start": mean_of(found.start.losses),
            "steps": steps,
            "stopped": found.stopped,
            "refused": refused,
            "orders": {
                "tried": found.orders,
                "changed": found.order is not None and found.order.lowers,
                "difference": None if found.order is None else found.order.difference,
            },
            "examples": [self._example(place) for place in found.best.examples],
            "bits_per_byte": mean_of(found.best.losses),
            "held_out": self._compared_on_held_out(),
            "estimate": self.estimate,
            "work": work,
            "troubles": self._troubles(),
        }
        builtins: dict[str, Any] = msgspec.to_builtins(document)
        return builtins

    def _hold_out(self, losses: ExampleLosses) -> Generator[PlannedStep, None, None]:
        assert self.found is not None
        compared = self._compared(losses.with_examples(self.found.best.examples))
        for at, (name, preamble) in enumerate(compared, start=1):
            yield HeldOut(name=name, at=at, of=len(compared))
            values = yield from losses.held_out(preamble, self.parts.held_out)
            if self.cancelled:
                return
            self._held.append((name, values))

    def _compared(self, found: Preamble) -> list[tuple[str, Preamble]]:
        """What the held-out texts are read under, and what it is called: what was found is first,
        unless that has no example.
        """
        like = self.like
        compared = [(f"{like.name} without examples", self.base)]
        if found.examples:
            compared.insert(0, (self._choice.name, found))
        if like.examples:
            compared.append((f"{like.name} as it is", like))
        if like.name != _PLAIN:
            compared.append((_PLAIN, find_preamble(_PLAIN)))
        return compared

    def _compared_on_held_out(self) -> list[dict[str, Any]]:
        first = self._held[0][1]
        return [
            {
                "name": name,
                "bits_per_byte": mean_of(values),
                "difference": paired_difference(first, values) if at else None,
            }
            for at, (name, values) in enumerate(self._held)
        ]

    def _step(self, tried: Tried, count: int) -> dict[str, Any]:
        return {
            **self._example(tried.examples[-1]),
            "tried": count,
            "bits_per_byte": mean_of(tried.losses),
            "difference": tried.difference,
        }

    def _example(self, place: int) -> dict[str, Any]:
        candidate = self.candidates.candidates[place]
        example = candidate.example
        return {"pair": candidate.number, "query": example.query, "answer": example.answer}

    def _troubles(self) -> list[str]:
        """What could not be read, and why."""
        candidates = self.candidates.candidates
        texts = [f"The answer to item {id_}: {why}" for id_, why in self._reader.unread.items()]
        sets = [
            f"Pair {candidates[examples[-1]].number} as example {len(examples)}: {why}"
            for examples, why in self._reader.troubles.items()
        ]
        return [*texts, *sets]

    def _most_sets(self) -> int | None:
        budget = self._choice.budget
        if budget is None:
            return None
        contexts = 1 + len(self._compared(self.base))
        held_out = contexts * len(self.parts.held_out)
        train = len(self.parts.train)
        least = held_out + 2 * train
        if budget < least:
            raise UsageError(
                f"With a budget of {amount(budget, 'reading')} not even one example can be tried: "
                f"there are {train:,} good answers to choose by, and {len(self.parts.held_out):,} "
                f"are held out for {amount(contexts, 'preamble')}.",
                f"Give at least --budget {least}.",
            )
        return (budget - held_out) // train

    @property
    def _reader(self) -> ExampleLosses:
        assert self._losses is not None, "nothing is loaded"
        return self._losses


def _base(like: Preamble) -> Preamble:
    """A preamble without its examples."""
    if like.method == "rules":
        raise UsageError(
            f"The preamble {sanitize_line(like.name)} has rules in place of examples.",
            "Name another one with --like.",
        )
    return with_examples(like, ())


def _check_parts(name: str, train: Sequence[Item], held_out: Sequence[Item]) -> None:
    if min(len(train), len(held_out)) < FEWEST:
        raise EvaluateError(
            f"Of the good answers in {sanitize_line(name)}, {len(train):,} are there to choose by "
            f"and {len(held_out):,} are held out; each part needs {FEWEST}.",
            "Name a larger file with --answers.",
        )
