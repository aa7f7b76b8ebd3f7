"""The benchmark of a chat beside a pool, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import beside


def test_the_benchmark_tells_how_often_and_on_what(
    endless_gguf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", str(endless_gguf), "--preamble", "vanilla-icl"]
    assert beside.main([*arguments, "--sequences", "2", "--times", "3", "--threads", "1"]) == 0
    first, asked, batches, seconds = capfd.readouterr().out.splitlines()
    assert first.startswith("tiny-endless.gguf behind vanilla-icl, 2 answers in a pool, 1 threads;")
    assert asked == "a chat's question, 3 times, up to its first token"
    assert sum(int(part.split("(")[1].split()[0]) for part in batches.split(", ")) == 3
    assert seconds.startswith("seconds: median 0.")


def test_a_model_that_is_not_there_gives_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    assert beside.main(["--model", "nowhere.gguf"]) != 0
    error = capfd.readouterr().err.splitlines()[-1]
    assert error.startswith("beside: ")
    assert "nowhere.gguf" in error
