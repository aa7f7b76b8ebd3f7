"""The judges of a report, each held to a reference: people, or a judge that is trusted more.

The reference is one of those who have judged the runs of the report. Whether a judge can be
trusted is said of each, also where nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from urial_tui.errors import UsageError
from urial_tui.evaluate.blind_judging import PERSON, VOTERS
from urial_tui.evaluate.calibration import Calibration, calibrate
from urial_tui.evaluate.calibration_words import trust
from urial_tui.evaluate.evaluation import Evaluation
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judge import Judged
from urial_tui.evaluate.report_cells import judge_name
from urial_tui.sanitize import sanitize_line


def calibration_document(found: Calibration) -> dict[str, Any]:
    """A calibration as its document, see docs/json.md."""
    built: dict[str, Any] = msgspec.to_builtins(found)
    return {**built, "trust": trust(found)}


def held_judges(evaluation: Evaluation, reference: str | None = None) -> list[dict[str, Any]]:
    """Documents of the calibrations of all judges but the reference, runs by their names.

    Args:
        evaluation: What was judged.
        reference: Who is right; unless given, people, who have judged blind or voted.

    Raises:
        UsageError: Nobody of that name has judged the runs.
    """
    judges = _judges(evaluation)
    if reference is not None and reference not in judges:
        named = ", ".join(sanitize_line(judge_name(judge)) for judge in judges) or "nobody"
        raise UsageError(
            f"“{sanitize_line(reference)}” has judged none of these runs.",
            f"Who has: {named}.",
        )
    right = reference or (PERSON if PERSON in judges or VOTERS not in judges else VOTERS)
    return [
        document
        for judge in judges
        if judge != right
        for document in _held(evaluation, judge, right)
    ]


def _judges(evaluation: Evaluation) -> list[str]:
    scored = [judge for run in evaluation.runs for judge in run.judged]
    return list(dict.fromkeys([*scored, *(one.judgement.judge for one in evaluation.comparisons)]))


def _held(evaluation: Evaluation, judge: str, right: str) -> Iterator[dict[str, Any]]:
    known = False
    for kind in (_scores, _pairs):
        ours, theirs = kind(evaluation, judge), kind(evaluation, right)
        if not ours or not theirs:
            continue
        try:
            yield calibration_document(calibrate(ours, theirs))
        except EvaluateError:
            # They have judged no answer in common.
            continue
        known = True
    if not known:
        yield _unknown(judge)


def _scores(evaluation: Evaluation, judge: str) -> list[Judged]:
    return [
        msgspec.structs.replace(one, generator=run.name)
        for run in evaluation.runs
        for said in run.judged.get(judge, {}).values()
        for one in said
    ]


def _pairs(evaluation: Evaluation, judge: str) -> list[Judged]:
    return [
        msgspec.structs.replace(one.judgement, generator_a=one.first, generator_b=one.second)
        for one in evaluation.comparisons
        if one.judgement.judge == judge
    ]


def _unknown(judge: str) -> dict[str, Any]:
    return {
        "judge": judge,
        "reference": None,
        "pairs": None,
        "matched": 0,
        "judged_alone": 0,
        "reference_alone": 0,
        "aspects": {},
        "trust": [
            "That is not known: nobody who is right has judged the same answers in these files. "
            "Judge some of them yourself on the evaluation screen, or lay a better judge's file "
            "beside and name that judge with --reference."
        ],
    }
