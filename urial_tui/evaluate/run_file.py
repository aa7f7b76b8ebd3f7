"""The file that a run writes, and goes on from: outputs, and while it runs a journal beside them.

Each answer is a line of the journal as soon as it is whole, and so is what is said of each text
that is read afterwards: a run that is killed loses at most what is under way. At the end the
outputs are written whole, in the order of the items, and the journal is removed. What was kept is
used again by its key, which stands for all that it depends on; of an item that has changed, the
answers are written anew.

A file that holds something else than outputs of such a run, or outputs of other items, is refused
and stays as it is. One program at a time: the journal is locked where the file system can do that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from urial_tui.evaluate.items import EvaluateError, Item
from urial_tui.evaluate.output_file import read_outputs, write_outputs
from urial_tui.evaluate.outputs import AnsweredTurn, Output
from urial_tui.evaluate.part_file import ListKind, PartFile
from urial_tui.evaluate.token_reading import TextReading
from urial_tui.sanitize import quoted
from urial_tui.wording import amount, capital

KIND = ListKind(
    name="outputs",
    # Raised with every change of the journal that an older program would misread.
    version=2,
    one="An answer",
    held="answers are kept there while a run goes on",
)


class WrittenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is whole.

    `tail`: the text behind its tokens, as both stand in front of the next turn; "" where there is
    none.
    """

    exchange: AnsweredTurn
    tail: str = ""


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the journal. `turn`: which of the item's, from 0."""

    id: int | str
    turn: int
    key: str
    parallel: int | None
    seed: int | None
    written: WrittenAnswer


class _Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the journal: what was said of a text that was read for a turn."""

    id: int | str
    turn: int
    reading: TextReading


class RunFile:
    """What a run has written before, and writes now.

    Args:
        path: Where the outputs go.
        items: All that the run is about.
        beyond: Those of the set that a limit leaves out.
        kind: What it holds, in the words of whoever runs it.

    Raises:
        EvaluateError: The file is something else, or of other items; another program uses it;
            or it can't be read or written.
    """

    def __init__(
        self, path: Path, items: Sequence[Item], beyond: Sequence[Item] = (), kind: ListKind = KIND
    ) -> None:
        self._kind = kind
        self._known = {item.id for item in items}
        self._beyond = {item.id for item in beyond}
        self._by_key: dict[str, dict[int, WrittenAnswer]] = {}
        self._readings: dict[str, TextReading] = {}
        self._ids: dict[int | str, str] = {}
        """By id, the key of its newest answer."""
        self.parallel: int | None = None
        """How many answers were written together in what is there; None where nothing is."""
        self.seed: int | None = None
        """Of the run that wrote what is there."""
        self._part = PartFile(path, kind)
        self._part.read(self._read_whole, self._take)

    @property
    def journal_path(self) -> Path:
        """Where answers go until all are there."""
        return self._part.journal_path

    @property
    def lock_caution(self) -> str:
        """What to tell the user where another program can't be kept from writing, else ""."""
        return self._part.lock_caution

    def written(self, item: Item, key: str) -> tuple[WrittenAnswer, ...]:
        """The answers to an item's first turns that are there, of those with this key."""
        there = self._by_key.get(key, {})
        turns: list[WrittenAnswer] = []
        while len(turns) < len(item.turns) and len(turns) in there:
            turns.append(there[len(turns)])
        return tuple(turns)

    def has_other(self, item: Item, key: str) -> bool:
        """Whether answers to the item are there, but made from something else."""
        return item.id in self._ids and key not in self._by_key

    def append(
        self,
        item: Item,
        key: str,
        turn: int,
        written: WrittenAnswer,
        *,
        parallel: int | None,
        seed: int | None,
    ) -> None:
        """Keep an answer; it is on its way to the disk when this returns.

        Raises:
            EvaluateError: It can't be written.
        """
        line = _Line(id=item.id, turn=turn, key=key, parallel=parallel, seed=seed, written=written)
        self._part.append(msgspec.to_builtins(line))
        self._note(line)

    def reading(self, key: str) -> TextReading | None:
        """What was said of a text, with this key."""
        return self._readings.get(key)

    def append_reading(self, item: Item, turn: int, reading: TextReading) -> None:
        """Keep what was said of a text that was read for a turn.

        Raises:
            EvaluateError: It can't be written.
        """
        line = _Reading(id=item.id, turn=turn, reading=reading)
        self._part.append(msgspec.to_builtins(line))
        self._readings[reading.key] = reading

    def finish(self, outputs: Iterable[Output]) -> None:
        """Write all outputs in their order, and remove the journal.

        Raises:
            EvaluateError: They can't be written; the journal stays.
        """
        self._part.finish(lambda path: write_outputs(path, outputs))

    def close(self) -> None:
        """Let others have the file; a journal without answers is removed."""
        self._part.close()

    # -- reading --------------------------------------------------------------------------

    def _read_whole(self) -> None:
        try:
            outputs = read_outputs(self._part.path)
        except FileNotFoundError:
            return
        except EvaluateError as error:
            raise self._part.not_over(error) from error
        for output in outputs:
            if not output.key:
                raise self._part.of_another_program()
            self._check_id(output.id)
            self._by_key[output.key] = {
                turn: WrittenAnswer(exchange=exchange)
                for turn, exchange in enumerate(output.exchanges)
            }
            self._ids[output.id] = output.key
            self.parallel, self.seed = output.parallel, output.seed
            for exchange in output.exchanges:
                for reading in (exchange.reference, exchange.aligned):
                    if reading is not None:
                        self._readings[reading.key] = reading

    def _take(self, line: bytes) -> bool:
        found = _decoded(line)
        if found is None:
            return False
        self._check_id(found.id)
        if isinstance(found, _Reading):
            self._readings[found.reading.key] = found.reading
        else:
            self._note(found)
        return True

    def _check_id(self, id_: int | str) -> None:
        if id_ in self._known:
            return
        if id_ in self._beyond:
            raise EvaluateError(
                f"The file {self._part.shown} has answers to items that the limit of "
                f"{amount(len(self._known), 'item')} leaves out, such as {quoted(id_, 40)}.",
                f"{capital(self._kind.unlimited)}, or {self._kind.another}.",
            )
        raise EvaluateError(
            f"The file {self._part.shown} has answers to items of another set, such as "
            f"{quoted(id_, 40)}.",
            f"{capital(self._kind.that_set)}, or {self._kind.another}.",
        )

    def _note(self, line: _Line) -> None:
        self._by_key.setdefault(line.key, {})[line.turn] = line.written
        self._ids[line.id] = line.key
        self.parallel, self.seed = line.parallel, line.seed


def _decoded(line: bytes) -> _Line | _Reading | None:
    kinds: tuple[type[_Line | _Reading], ...] = (_Line, _Reading)
    for kind in kinds:
        with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError):
            return msgspec.json.decode(line, type=kind)
    return None
