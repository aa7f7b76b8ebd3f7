"""The benchmark of an evaluation from end to end asks everybody for the same."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from benchmarks import evaluate
from tests.test_bench_parallel import preamble as preamble
from tests.test_bench_parallel import scripted_server as scripted_server
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.stops import answer_end, stop_rules


def test_a_server_ends_its_answers_where_ours_end(preamble: Path) -> None:
    found = find_preamble(str(preamble))
    form = msgspec.structs.replace(found.format, fence="```")
    fenced = msgspec.structs.replace(found, format=form)
    for text in ("A word.\n```\n\n# Query:", "A word.\n\n# Query:\n```"):
        ours = answer_end(text, stop_rules(fenced))
        ends = [text.find(stop) for stop in evaluate.server_stops(fenced)]
        assert ours == min(end for end in ends if end >= 0) == len("A word.")
    assert evaluate.server_stops(found) == found.format.stop


def test_a_server_is_given_the_same_items_and_stops(
    endless_gguf: Path, preamble: Path, scripted_server: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = evaluate.main(
        [
            *("--model", str(endless_gguf), "--preamble", str(preamble), "--threads", "1"),
            *("--llama-server", str(scripted_server), "--parallel", "2"),
            *("--items", "3", "--tokens", "6", "--rounds", "1"),
        ]
    )
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert "3 items, answers of at most 6 tokens" in shown.out
    for ratio in ("eval-run-2 / eval-run-1", "eval-run-2 / llama-server-2"):
        assert f"tokens_per_s: {ratio}" in shown.out
    _, *asked = scripted_server.with_name("llama-server.asked").read_text().splitlines()
    bodies = [json.loads(line.partition(" ")[2]) for line in asked if "/completion" in line]
    assert [body["n_predict"] for body in bodies].count(6) == 3
    assert {tuple(body["stop"]) for body in bodies} == {find_preamble(str(preamble)).format.stop}
