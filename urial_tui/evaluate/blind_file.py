"""The file of a person's blind judging: judgements of pairs, and while it goes on a journal.

Each judgement is a line of the journal before the next pair is shown, and so is each that is taken
back. On leaving the file is written whole, as any judge's: in the order in which the pairs were
judged. A file that holds anything but one person's judgements of these very answers is refused and
stays as it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judge import Judged
from urial_tui.evaluate.judge_file import journalled, whole_judgements
from urial_tui.evaluate.judgement_files import document, write_judgements
from urial_tui.evaluate.judgements import PairJudgement
from urial_tui.evaluate.part_file import ListKind, PartFile
from urial_tui.sanitize import quoted

_TAKEN_BACK = "taken_back"
"""The key of a journal's line that names a judgement which does not hold any more."""
_CHOOSE = "Choose another file."
_SEED_BITS = 53
"""So many every reader of JSON keeps."""

_KIND = ListKind(
    name="blind judgements",
    # Raised with every change of the journal that an older program would misread.
    version=1,
    one="A judgement",
    held="judgements are kept there while they are made",
    another="choose another file",
    again="open it again",
)


def new_seed() -> int:
    """A seed that nobody knows in advance."""
    return secrets.randbits(_SEED_BITS)


class BlindFile:
    """The judgements of a person, in a file that is resumed.

    Args:
        path: Where it goes.
        judge: Whose judgements they are.
        keys: Of the pairs that are to be judged.
        draw: Gives the seed of a file that is new.

    Raises:
        EvaluateError: The file is something else, another person's, or of other answers; another
            program uses it; or it can't be read or written.
    """

    def __init__(
        self,
        path: Path,
        judge: str,
        keys: Collection[str],
        draw: Callable[[], int] = new_seed,
    ) -> None:
        self._judge = judge
        self._keys = keys
        self._by_key: dict[str, PairJudgement] = {}
        self._seed: int | None = None
        self._part = PartFile(path, _KIND)
        self._part.read(self._read_whole, self._take)
        self.seed = draw() if self._seed is None else self._seed
        """Draws the order of the pairs and the places of the answers."""

    @property
    def lock_caution(self) -> str:
        """What to tell the user where another program can't be kept from writing, else ""."""
        return self._part.lock_caution

    @property
    def judgements(self) -> tuple[PairJudgement, ...]:
        """Those that hold, in the order in which they were made."""
        return tuple(self._by_key.values())

    def append(self, judgement: PairJudgement) -> None:
        """Keep a judgement, in place of an older one of the pair; on its way to the disk.

        Raises:
            EvaluateError: It can't be written.
        """
        self._part.append(document(judgement))
        self._note(judgement)

    def take_back(self, key: str) -> None:
        """Let a judgement hold no more.

        Raises:
            EvaluateError: That can't be written; it still holds.
        """
        self._part.append({_TAKEN_BACK: key})
        self._by_key.pop(key, None)

    def finish(self) -> None:
        """Write what holds, and remove the journal; there is no file where nothing holds.

        Raises:
            EvaluateError: It can't be written; the journal stays.
        """
        self._part.finish(self._write)

    def close(self) -> None:
        """Let others have the file; a journal without judgements is removed."""
        self._part.close()

    def _write(self, path: Path) -> None:
        if self._by_key:
            write_judgements(path, self._by_key.values())
        else:
            path.unlink(missing_ok=True)

    # -- reading --------------------------------------------------------------------------

    def _read_whole(self) -> None:
        for judgement in whole_judgements(self._part):
            self._check(judgement)

    def _take(self, line: bytes) -> bool:
        judgement = journalled(line)
        if judgement is None:
            return self._take_taken_back(line)
        self._check(judgement)
        return True

    def _take_taken_back(self, line: bytes) -> bool:
        try:
            key = msgspec.json.decode(line, type=dict[str, str])[_TAKEN_BACK]
        except (msgspec.MsgspecError, ValueError, RecursionError, KeyError):
            return False
        self._by_key.pop(key, None)
        return True

    def _check(self, judgement: Judged) -> None:
        """Take a judgement that is this person's, of a pair that is to be judged."""
        shown = self._part.shown
        pair = judgement if isinstance(judgement, PairJudgement) else None
        if pair is None or pair.seed is None or pair.mode != "pairwise":
            raise self._part.holding("judgements of another kind")
        if pair.judge != self._judge:
            raise EvaluateError(
                f"The judgements in {shown} are those of {quoted(pair.judge, 40)}, not of "
                f"{quoted(self._judge, 40)}.",
                _CHOOSE,
            )
        if pair.key not in self._keys:
            raise EvaluateError(
                f"The judgements in {shown} are of other answers, such as those to item "
                f"{quoted(str(pair.id), 40)}: the answers were written anew, or are other "
                "runs'.",
                _CHOOSE,
            )
        self._seed = pair.seed
        self._note(pair)

    def _note(self, judgement: PairJudgement) -> None:
        # The newest is the last.
        self._by_key.pop(judgement.key, None)
        self._by_key[judgement.key] = judgement
