"""The benchmark of batches of several sequences."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import batches


def test_a_gain_is_the_median_of_the_rounds() -> None:
    lines = batches.report({1: [0.02, 0.04, 0.02], 16: [0.16, 0.16, 0.08]}).splitlines()
    # 16 · 0.02 / 0.16 = 2, 16 · 0.04 / 0.16 = 4, 16 · 0.02 / 0.08 = 4
    assert lines[0].split() == ["sequences", "ms/batch", "tokens/s", "times", "1"]
    assert lines[1].split() == ["1", "20.0", "50.0", "1.00"]
    assert lines[2].split() == ["16", "160.0", "100.0", "4.00"]


def test_all_sizes_are_measured_on_a_model(
    llama_gguf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", str(llama_gguf), "--sequences", "1", "3", "--depth", "40"]
    monkeypatch.setattr(sys, "argv", ["batches", *arguments, "--turns", "3", "--rounds", "2"])
    assert batches.main() == 0
    _, _, _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["1", "3"]
    assert all(float(value) > 0 for row in rows for value in row.split()[1:])


def test_a_missing_model_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["batches", "--model", str(tmp_path / "none.gguf")])
    assert batches.main() == 1
    assert capsys.readouterr().err.startswith("batches: ")
