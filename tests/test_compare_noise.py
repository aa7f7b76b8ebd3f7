"""The noise floor: measured once a run, the same however the run is done."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.test_compare import arguments as arguments
from tests.test_compare import compare, document_of
from tests.test_compare import other_gguf as other_gguf
from tests.test_compare import queries as queries
from tests.test_compare_memory import compared
from urial_tui import paths
from urial_tui.compare.both_at_once import BothAtOnce
from urial_tui.compare.items import Query
from urial_tui.compare.noise import BATCH, LEAST, MOST
from urial_tui.compare.one_by_one import OneByOne
from urial_tui.compare.sides import Task


@pytest.fixture(autouse=True)
def settings(home: Path) -> None:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text("[engine]\nthreads = 1")


def test_it_is_measured_on_the_first_item_that_serves(llama_gguf: Path, other_gguf: Path) -> None:
    texts = ("the", "the list and the answer " * 20, "and this is it " * 20)
    tasks = tuple(
        Task(query=Query(id=str(number), text=""), text=text) for number, text in enumerate(texts)
    )
    found = [
        [item.noise for item in compared(kind, llama_gguf, other_gguf, tasks=tasks)]
        for kind in (BothAtOnce, OneByOne)
    ]
    assert found[0] == found[1], "in both ways of using the memory"
    none, noise, later = found[0]
    assert none is None
    assert later is None
    assert noise is not None
    assert LEAST <= noise.positions == MOST
    assert noise.batch == BATCH < MOST
    assert 0 <= noise.kl_mean <= noise.kl_max < 0.1
    assert 0 <= noise.js_mean <= noise.js_max < math.log(2)
    assert noise.js_mean <= noise.kl_mean + 1e-9
    assert 0.9 <= noise.top1_agreement <= 1


def test_a_resumed_run_tells_it_too(arguments: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    first = compare(*arguments, "--json", "--limit", "2", "--out", out)
    noise = json.loads(first.stdout)["noise"]
    assert noise is not None
    whole = document_of(*arguments, "--out", out)
    assert whole["noise"] == noise
    assert [item["noise"] is None for item in whole["items"]].count(False) == 1
    shown = compare(*arguments, "--out", out).stdout.decode()
    assert "Rounding alone makes a KL of" in shown


@pytest.mark.parametrize("query", ["Name three rivers."])
def test_the_demo_model_has_one(demo_model: Path, query: str) -> None:
    """Its quantised kernels round by the shape of a batch; nobody's divergence is below that."""
    task = Task(query=Query(id="1", text=query))
    (item,) = compared(
        BothAtOnce, demo_model, demo_model, contexts=("raw", "raw"), tasks=(task,), max_tokens=24
    )
    assert item.noise is not None
    assert item.noise.kl_mean < 0.05
    assert not item.scores.kl_aligned_base.any(), "in batches of one shape there is none"
