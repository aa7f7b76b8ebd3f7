"""The same question gets the same answer, to the last bit of each row of logits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)


def _answers(model: Path, directory: Path, length: int, lines: int) -> dict[str, dict[str, Any]]:
    result = directory / "rows.json"
    for threads in ("2", "1"):
        done = subprocess.run(
            [
                sys.executable, "-m", "tests.answer_rows",
                str(model), str(directory / "cache"), str(result), threads, str(length), str(lines),
            ],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(result.read_text())
    assert isinstance(found, dict)
    return found


def _check(model: Path, directory: Path, length: int, lines: int) -> None:
    found = _answers(model, directory, length, lines)
    for name, answer in found.items():
        first = name.removesuffix(", repeated").split(", ")[0]
        if "drawn" in name:
            first = "one, drawn"
        reference = found.get(first) or found["two, read ahead"]
        assert answer["rows"], name
        assert answer["ids"] == reference["ids"], name
        assert answer["rows"] == reference["rows"], name
    assert found["one"]["rows"][0] != found["long"]["rows"][0], "another question has other rows"


@pytest.mark.parametrize(
    "kind", ["llama_gguf", "sliding_window_gguf", "recurrent_gguf", "hybrid_gguf"]
)
def test_an_answer_does_not_depend_on_what_ran_before_or_on_the_threads(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    _check(request.getfixturevalue(kind), tmp_path, length=24, lines=120)


def test_an_answer_of_the_demo_model_does_not_depend_on_what_ran_before(
    demo_model: Path, tmp_path: Path
) -> None:
    _check(demo_model, tmp_path, length=8, lines=20)
