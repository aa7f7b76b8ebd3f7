"""A run: it has items answered, then texts read, and keeps all of it in a resumable file.

Every answer, and whatever is said of a text, is kept before anybody is told of it. The outputs are
written once all is done that can be; until then a run that was ended goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from urial_tui.engine.wire.values import Sampling
from urial_tui.errors import EngineDied, EngineError, ModelError
from urial_tui.evaluate.generate import Answered, GenerateStep, Skipped
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.outputs import AnsweredTurn, Output, ShownPreamble
from urial_tui.evaluate.readers import Reader, ReadRole
from urial_tui.evaluate.run_file import RunFile, WrittenAnswer
from urial_tui.evaluate.token_reading import TextReading


class ReadingBegun(NamedTuple):
    """A reader begins with its texts, `total` of them; those that were read before count."""

    role: ReadRole
    total: int


class Read(NamedTuple):
    """A text was read for a turn of an item, `done` of `total` by this reader."""

    role: ReadRole
    item: Item
    turn: int
    reading: TextReading
    done: int
    total: int


class Unread(NamedTuple):
    """A text could not be read. `reason`: a sentence."""

    role: ReadRole
    item: Item
    turn: int
    reason: str


RunStep = GenerateStep | ReadingBegun | Read | Unread


class Answerer(Protocol):
    """The protocol of what answers items (`generate.AnswerGenerator` does)."""

    cancelled: bool

    @property
    def at_once(self) -> int:
        """Most answers that are on their way together."""
        ...

    def run(
        self, items: Sequence[tuple[Item, Sequence[WrittenAnswer]]]
    ) -> Generator[GenerateStep, None, None]:
        """Answer what is left of items: what happens, and what comes of each turn."""
        ...


class Terms(Protocol):
    """The protocol of what the answers of a run depend on (`run_terms.RunTerms`)."""

    @property
    def sampling(self) -> Sampling:
        """How tokens are chosen, without the seed."""
        ...

    @property
    def seed(self) -> int | None:
        """Of the run, None where nothing is drawn."""
        ...

    @property
    def max_tokens(self) -> int:
        """Longest answer."""
        ...

    @property
    def parallel(self) -> int | None:
        """How many answers are written together, None where that is not known."""
        ...

    def key(self, item: Item) -> str:
        """What the answers to an item depend on, as a hash."""
        ...


class Run:
    """Answers to all items, of which some may be there.

    Args:
        items: In their order.
        answers: Answers what is left.
        terms: What the answers depend on.
        file: Where they are kept.
        readers: Read what there is once all is answered, one after the other.
        generator: What the outputs call that which answers.
        datasplit: What they call the set of items.
        preamble: What the answers are written under, as the outputs tell it.
    """

    def __init__(
        self,
        items: Sequence[Item],
        answers: Answerer,
        terms: Terms,
        file: RunFile,
        readers: Sequence[Reader] = (),
        *,
        generator: str,
        datasplit: str,
        preamble: ShownPreamble | None = None,
    ) -> None:
        self._answers = answers
        self.terms = terms
        self.generator = generator
        self._file = file
        self._datasplit = datasplit
        self._preamble = preamble
        self._readers = readers
        self._items = [(item, terms.key(item)) for item in items]
        self._read_of: dict[tuple[str, int], dict[ReadRole, TextReading | None]] = {}
        """By an item's key and a turn, what its readers said; None where they could not."""
        self.skipped: list[Skipped] = []
        """What can't be answered, so far."""
        self.unread: list[Unread] = []
        """What can't be read, so far."""
        self.taken_over = sum(self._is_done(item, key) for item, key in self._items)
        """Items whose answers were there at the start."""
        self.changed = sum(file.has_other(item, key) for item, key in self._items)
        """Items of which there were answers, but made from something else."""

    def __len__(self) -> int:
        return len(self._items)

    @property
    def answered(self) -> int:
        """Items whose answers are all there."""
        return sum(self._is_done(item, key) for item, key in self._items)

    @property
    def new(self) -> int:
        """Items of which there were no answers at the start, or not all."""
        return len(self._items) - self.taken_over - self.changed

    @property
    def left(self) -> list[tuple[Item, Sequence[WrittenAnswer]]]:
        """Items that are not answered, each with the answers to its first turns that there are."""
        return [
            (item, self._file.written(item, key))
            for item, key in self._items
            if not self._is_done(item, key)
        ]

    @property
    def at_once(self) -> int:
        """Most answers that are on their way together."""
        return self._answers.at_once

    @property
    def cancelled(self) -> bool:
        """Whether it was ended before all was done."""
        return self._answers.cancelled

    def cancel(self) -> None:
        """Ask nothing more; what runs is ended by the engine's own `cancel`, after this."""
        self._answers.cancelled = True

    def steps(self) -> Generator[RunStep, None, None]:
        """Answer what is left, then read; what is told by a step is kept when it comes.

        Raises:
            EvaluateError: It can't be kept.
            ModelError: Who reads can't be loaded; what was answered is kept.
            EngineDied: The worker ended; what was done is kept.
        """
        yield from self._answer()
        for reader in self._readers:
            if not self.cancelled:
                yield from self._read(reader)

    def _answer(self) -> Generator[RunStep, None, None]:
        keys = {item.id: key for item, key in self._items}
        for step in self._answers.run(self.left):
            if isinstance(step, Answered):
                self._file.append(
                    step.item,
                    keys[step.item.id],
                    step.turn,
                    step.written,
                    parallel=self.terms.parallel,
                    seed=self.terms.seed,
                )
            elif isinstance(step, Skipped):
                self.skipped.append(step)
            yield step

    def _read(self, reader: Reader) -> Generator[RunStep, None, None]:
        """Have a reader read what there is for it."""
        texts: list[tuple[Item, str, int]] = []
        for item, key in self._items:
            if self._is_done(item, key):
                exchanges = self._exchanges(item, key)
                turns = [t for t in range(len(exchanges)) if reader.has(item, exchanges, t)]
                texts += [(item, key, turn) for turn in turns]
        if not texts:
            return
        yield ReadingBegun(reader.role, len(texts))
        yield from reader.open()
        for number, (item, key, turn) in enumerate(texts, start=1):
            if self.cancelled:
                return
            exchanges = self._exchanges(item, key)
            found = self._file.reading(reader.key(item, exchanges, turn))
            step: RunStep | None = None
            if found is None:
                try:
                    found = yield from reader.read(item, exchanges, turn)
                except EngineDied:
                    raise
                except (EngineError, ModelError) as error:
                    # Who is told to end may fail at that.
                    if self._answers.cancelled:
                        return
                    step = Unread(reader.role, item, turn, error.message)
                    self.unread.append(step)
                else:
                    self._file.append_reading(item, turn, found)
                    step = Read(reader.role, item, turn, found, number, len(texts))
            self._read_of.setdefault((key, turn), {})[reader.role] = found
            if step is not None:
                yield step

    def outputs(self) -> list[Output]:
        """What there is of whole items, in their order."""
        return [self._output(item, key) for item, key in self._items if self._is_done(item, key)]

    def finish(self) -> None:
        """Write the outputs of the run.

        Raises:
            EvaluateError: They can't be written.
        """
        self._file.finish(self.outputs())

    def _is_done(self, item: Item, key: str) -> bool:
        return len(self._file.written(item, key)) == len(item.turns)

    def _exchanges(self, item: Item, key: str) -> list[AnsweredTurn]:
        return [written.exchange for written in self._file.written(item, key)]

    def _output(self, item: Item, key: str) -> Output:
        return Output(
            id=item.id,
            exchanges=tuple(
                self._with_readings(exchange, (key, turn))
                for turn, exchange in enumerate(self._exchanges(item, key))
            ),
            generator=self.generator,
            category=item.category,
            dataset=item.dataset,
            source_id=item.source_id,
            datasplit=self._datasplit,
            key=key,
            parallel=self.terms.parallel,
            seed=self.terms.seed,
            preamble=self._preamble,
        )

    def _with_readings(self, exchange: AnsweredTurn, place: tuple[str, int]) -> AnsweredTurn:
        """An answer with what this run's readers say; what others said before stays."""
        said: dict[ReadRole, TextReading | None] = {reader.role: None for reader in self._readers}
        return msgspec.structs.replace(exchange, **said | self._read_of.get(place, {}))
