"""A person's blind judging of pairs: the next pair, undo, and the tally.

A person sees each pair once, in one order, and says of the whole which answer is better; what is
passed over has no preference, and is counted. Nobody is told which run is which before the tally.
Safe to use from several threads.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Final, Literal

import msgspec

from urial_tui.evaluate.blind_file import BlindFile
from urial_tui.evaluate.blind_pairs import SharedItems, ShownPair, arranged, read_shared
from urial_tui.evaluate.judge_document import PREFERRED, pair_outcomes
from urial_tui.evaluate.judgements import PairChoice, PairJudgement, Preference
from urial_tui.evaluate.win_rates import WinRate, win_rate

PERSON: Final = "person"
"""What the one who judges is called, where no other name is given."""
VOTERS: Final = "votes"
"""What those who vote in the chat are called as a judge."""

BlindVerdict = Literal["left", "right", "same", "skip"]
"""The answer at the left is better, that at the right; both are as good; nothing is said."""

_CHOICES: dict[BlindVerdict, PairChoice | None] = {
    "left": "A",
    "right": "B",
    "same": "same",
    "skip": None,
}


class BlindTally(msgspec.Struct, frozen=True, kw_only=True):
    """What was judged so far, with the names.

    `wins`: of the first over the second; the skipped ones are missing in it. `skipped`, `left`:
    pairs that were passed over, and those that are still to be judged. `pairs`: all of them.
    """

    first: str
    second: str
    wins: WinRate
    skipped: int
    left: int
    pairs: int


class BlindJudging:
    """The pairs of two runs, of which some may be judged.

    What was passed over before comes again, behind all the rest.

    Args:
        shared: What is judged.
        file: Where the judgements are kept.
        judge: Whose they are.
    """

    def __init__(self, shared: SharedItems, file: BlindFile, judge: str = PERSON) -> None:
        self.shared = shared
        self._file = file
        self._judge = judge
        self._lock = threading.Lock()
        self._open = True
        first = shared.first
        judged = {one.key: one for one in file.judgements}
        before = {key: one.generator_a != first for key, one in judged.items()}
        every = {shown.pair.key: shown for shown in arranged(shared.pairs, file.seed, before)}
        settled = [key for key, one in judged.items() if not _is_skipped(one)]
        self._done = [every[key] for key in settled]
        fresh = [shown for key, shown in every.items() if key not in judged]
        again = [every[key] for key, one in judged.items() if _is_skipped(one)]
        self._next = deque([*fresh, *again])

    @property
    def lock_caution(self) -> str:
        """What to tell the user where another program can't be kept from writing, else ""."""
        return self._file.lock_caution

    @property
    def current(self) -> ShownPair | None:
        """The pair to be judged; None once all are."""
        return self._next[0] if self._next else None

    @property
    def done(self) -> int:
        """Pairs that were judged, or passed over since this was opened."""
        return len(self._done)

    @property
    def left(self) -> int:
        """Pairs that are to be judged."""
        return len(self._next)

    @property
    def has_judgements(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._file.judgements)

    def judge(self, verdict: BlindVerdict) -> None:
        """Store the verdict on the current pair; it is in the file when this returns.

        Raises:
            EvaluateError: It can't be written; the pair stays the current one.
        """
        with self._lock:
            if self._open and self._next:
                self._file.append(self._judgement(self._next[0], verdict))
                self._done.append(self._next.popleft())

    def undo(self) -> bool:
        """Take the last judgement back, whose pair is the current one then; whether there was one.

        Raises:
            EvaluateError: That can't be written; it still holds.
        """
        with self._lock:
            if not (self._open and self._done):
                return False
            self._file.take_back(self._done[-1].pair.key)
            self._next.appendleft(self._done.pop())
            return True

    def finish(self) -> None:
        """Write the file, and judge no more; once is enough.

        Raises:
            EvaluateError: It can't be written; what was judged stays in the journal.
        """
        with self._lock:
            if not self._open:
                return
            try:
                self._file.finish()
            finally:
                self._open = False
                self._file.close()

    def tally(self) -> BlindTally:
        """What was judged so far, with the names."""
        judged = self._file.judgements
        values: list[float | None] = []
        for one in pair_outcomes(judged, alone=True):
            value = None if one.outcome is None else PREFERRED[one.outcome]
            turned = one.first[0] != self.shared.first
            values.append(1.0 - value if turned and value is not None else value)
        skipped = sum(_is_skipped(one) for one in judged)
        return BlindTally(
            first=self.shared.first,
            second=self.shared.second,
            wins=win_rate(values),
            skipped=skipped,
            left=len(self.shared.pairs) - len(judged),
            pairs=len(self.shared.pairs),
        )

    def _judgement(self, shown: ShownPair, verdict: BlindVerdict) -> PairJudgement:
        choice = _CHOICES[verdict]
        left, right = shown.left, shown.right
        # Of several turns the last one is judged, as by any judge.
        asked, answer_a = left.exchanges[-1].instruction, left.exchanges[-1].output
        return PairJudgement(
            id=left.id,
            input=asked,
            output_a=answer_a,
            output_b=right.exchanges[-1].output,
            generator_a=left.generator,
            generator_b=right.generator,
            mode="pairwise",
            judge=self._judge,
            preferences={
                "overall": Preference(choice=choice, unscored="" if choice else "skipped")
            },
            parsed=choice is not None,
            key=shown.pair.key,
            seed=self._file.seed,
        )


def open_judging(first: Path, second: Path, out: Path, judge: str = PERSON) -> BlindJudging:
    """The judging of two files of outputs, where it was left.

    Args:
        first, second: The files.
        out: Where the judgements are kept.
        judge: Whose they are.

    Raises:
        EvaluateError: A file can't be read, is something else, or does not fit the others; or
            another program has the judgements.
    """
    shared = read_shared(first, second)
    keys = {pair.key for pair in shared.pairs}
    return BlindJudging(shared, BlindFile(out, judge, keys), judge)


def _is_skipped(judgement: PairJudgement) -> bool:
    return judgement.preferences["overall"].choice is None
