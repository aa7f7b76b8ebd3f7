"""The input of a judging: the answers of a run, or those of two runs beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judge import JudgeQuestion, pair_questions, score_questions
from urial_tui.evaluate.output_file import read_outputs
from urial_tui.evaluate.outputs import Output
from urial_tui.sanitize import sanitize_line


class JudgeChoice(msgspec.Struct, frozen=True, kw_only=True, tag="judge"):
    """What was chosen to be judged, and by whom.

    `out`: the file of the judgements. `outputs`, `against`: those of the run, and of another one to
    compare it with. `judge`: the model, on this machine or by its name at the `endpoint` with this
    address. `limit`: only the first answers. `parallel`: judgements at once, by default what the
    memory holds; of an endpoint 4.
    """

    out: Path
    outputs: Path
    judge: str
    against: Path | None = None
    limit: int | None = None
    parallel: int | None = None
    endpoint: str | None = None


def answers_of(path: Path) -> Sequence[Output]:
    """The answers of a run.

    Raises:
        EvaluateError: There is no such file, or it holds none.
    """
    try:
        return read_outputs(path)
    except FileNotFoundError as error:
        raise EvaluateError(
            f"There is no file {sanitize_line(str(path))}.", "`urial eval run` writes one."
        ) from error


def judge_questions(
    outputs: Path, judge: str, *, against: Path | None = None, limit: int | None = None
) -> list[JudgeQuestion]:
    """What a judge is asked of a run, or of two.

    Args:
        outputs: The file of the run.
        judge: What the judge is called in the file.
        against: That of another run over the same items; None to have scores.
        limit: Only the first answers.

    Raises:
        EvaluateError: A file can't be read, or the two share no item.
    """
    first = answers_of(outputs)[:limit]
    if against is None:
        return score_questions(first, judge)
    return pair_questions(first, answers_of(against), judge)
