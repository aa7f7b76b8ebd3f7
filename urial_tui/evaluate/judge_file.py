"""The file that judging writes, and goes on from: judgements, and while it goes on a journal.

They are written in the order in which they were asked. What says something of every aspect is used
again by its key, which stands for all that it depends on; what was unscored is asked again, and
never kept as a result.

A file that holds something else than judgements of this program is refused and stays as it is; so
is one with judgements that are not among those wanted, which would be gone at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judge import Judged, JudgeQuestion, is_scored
from urial_tui.evaluate.judgement_files import (
    document,
    judgement_of,
    read_judgements,
    write_judgements,
)
from urial_tui.evaluate.judgements import Judgement, PairJudgement
from urial_tui.evaluate.part_file import ListKind, PartFile
from urial_tui.files import is_there
from urial_tui.wording import amount, capital

KIND = ListKind(
    name="judgements",
    # Raised with every change of the journal that an older program would misread.
    version=1,
    one="A judgement",
    held="judgements are kept there while they are made",
)


class JudgeFile:
    """Judgements that were made before, and are made now.

    Args:
        path: Where they go.
        kind: What it holds, in the words of whoever has it judged.

    Raises:
        EvaluateError: The file is something else; another program uses it; or it can't be read or
            written.
    """

    def __init__(self, path: Path, kind: ListKind = KIND) -> None:
        self._by_key: dict[str, Judged] = {}
        self._held: set[tuple[str, ...]] = set()
        """What the file has judgements of, scored or not."""
        self._kind = kind
        self._part = PartFile(path, kind)
        self._part.read(self._read_whole, self._take)

    @property
    def lock_caution(self) -> str:
        """What to tell the user where another program can't be kept from writing, else ""."""
        return self._part.lock_caution

    def get(self, key: str) -> Judged | None:
        """The judgement with a key, where it says something of every aspect."""
        return self._by_key.get(key)

    def check_wanted(self, questions: Sequence[JudgeQuestion]) -> None:
        """Refuse a file that holds more than what is asked: the rest would be lost at the end.

        A judgement of the same answer's place (item, run, judge and kind) is one of those wanted,
        whatever the answer was; it is made anew where it does not fit.

        Raises:
            EvaluateError: It does; it stays as it is.
        """
        others = self._held - {_place(question.asked) for question in questions}
        if others:
            raise EvaluateError(
                f"The file {self._part.shown} also holds {amount(len(others), 'judgement')} of "
                "other answers, or by another judge, which would be lost.",
                f"{capital(self._kind.another)}; or, where only the first answers are asked for, "
                f"{self._kind.unlimited}.",
            )

    def append(self, judgement: Judged) -> None:
        """Keep a judgement; it is on its way to the disk when this returns.

        Raises:
            EvaluateError: It can't be written.
        """
        self._part.append(document(judgement))
        self._note(judgement)

    def finish(self, judgements: Iterable[Judged]) -> None:
        """Write all judgements in their order, and remove the journal.

        Raises:
            EvaluateError: They can't be written; the journal stays.
        """
        self._part.finish(lambda path: write_judgements(path, judgements))

    def close(self) -> None:
        """Let others have the file; a journal without judgements is removed."""
        self._part.close()

    # -- reading --------------------------------------------------------------------------

    def _read_whole(self) -> None:
        for judgement in whole_judgements(self._part):
            if not judgement.key:
                raise self._part.of_another_program()
            if isinstance(judgement, PairJudgement) and judgement.seed is not None:
                raise self._part.holding("judgements of a person")
            self._note(judgement)

    def _take(self, line: bytes) -> bool:
        judgement = journalled(line)
        if judgement is None:
            return False
        self._note(judgement)
        return True

    def _note(self, judgement: Judged) -> None:
        self._held.add(_place(judgement))
        if is_scored(judgement):
            self._by_key[judgement.key] = judgement


def _place(judgement: Judged) -> tuple[str, ...]:
    """Which judgement it is, whatever was answered and said."""
    names = (
        (judgement.generator,)
        if isinstance(judgement, Judgement)
        else (judgement.generator_a, judgement.generator_b)
    )
    return (judgement.mode, judgement.judge, str(judgement.id), *names)


def whole_judgements(part: PartFile) -> tuple[Judged, ...]:
    """The judgements of a file that was written whole, in its order; none where there is none.

    Raises:
        EvaluateError: It is something else, which is not written over.
    """
    if not is_there(part.path):
        return ()
    try:
        found = read_judgements(part.path)
    except EvaluateError as error:
        raise part.not_over(error) from error
    return (*found.judgements, *found.pairs)


def journalled(line: bytes) -> Judged | None:
    """The judgement of a line of a journal; None where it is none."""
    try:
        return judgement_of(msgspec.json.decode(line), 1, "the journal")
    except (msgspec.MsgspecError, ValueError, RecursionError, EvaluateError):
        return None
