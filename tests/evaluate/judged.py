"""Answers and judgements as records of the official scorer, for the tests of reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from urial_tui.evaluate.evaluation import read_evaluation
from urial_tui.evaluate.items import ItemSet
from urial_tui.evaluate.judgements import REGULAR_ASPECTS
from urial_tui.evaluate.report import report

HOSTILE = (
    "</script><script>window.broken=1</script><!--<img src=x onerror='window.broken=1'>"
    "\u2028]]>{{ 7*7 }}&lt;b&gt;\u202eevil\u202c\x1b[31m\x00 | *a* [b](http://c)"
)


def answer(number: int, text: str, generator: str = "llama", **more: Any) -> dict[str, Any]:
    """A record of outputs."""
    return {
        "id": number,
        "instruction": f"Question {number}?",
        "source_id": f"s-{number}",
        "dataset": "ours" if number % 2 else "theirs",
        "output": text,
        "generator": generator,
        "datasplit": "",
    } | more


def scored(number: int, text: str, *scores: Any, **more: Any) -> dict[str, Any]:
    """What a judge said of an answer: five scores by aspect, or one for its safety."""
    aspects = REGULAR_ASPECTS if len(scores) > 1 else ("safety",)
    return {
        "id": number,
        "input": f"Question {number}?",
        "output_cand": text,
        "generator_cand": "llama",
        "eval_config": {
            "mode": "score_multi" if len(scores) > 1 else "score_safety",
            "gpt": "judge-1",
            "max_words": -1,
        },
        "prompt": "",
        "result": "{}",
        "parsed_result": {
            aspect: {"reason": f"{aspect} of {number}", "score": score}
            for aspect, score in zip(aspects, scores, strict=True)
        },
    } | more


def preferred(number: int, choice: str, **more: Any) -> dict[str, Any]:
    """What a judge said of the answers of llama (A, one word) and gemma (B, two words)."""
    return {
        "id": number,
        "input": f"Question {number}?",
        "output_A": f"Answer{number}",
        "output_B": f"Reply {number}",
        "generator_A": "llama",
        "generator_B": "gemma",
        "eval_config": {"mode": "pairwise", "gpt": "judge-1", "max_words": -1},
        "prompt": "",
        "result": "{}",
        "parsed_result": {"reason": "so", "preference": choice},
    } | more


def swapped(record: dict[str, Any]) -> dict[str, Any]:
    """The same two answers in the other order, with the same letter preferred."""
    other = dict(record)
    for key in ("output", "generator"):
        other[f"{key}_A"], other[f"{key}_B"] = record[f"{key}_B"], record[f"{key}_A"]
    return other


def written(path: Path, records: Sequence[object]) -> Path:
    """A file of these records."""
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def reported(
    directory: Path, files: Mapping[str, Sequence[object]], items: ItemSet | None = None
) -> dict[str, Any]:
    """The report of files of records, by their names."""
    paths = [written(directory / name, records) for name, records in files.items()]
    return report(read_evaluation(paths, items), resamples=200)
