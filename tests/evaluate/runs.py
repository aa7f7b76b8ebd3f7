"""Items, terms and runs of the command for the tests of evaluations."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from urial_tui.engine.wire.values import Sampling
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.run_terms import RunTerms

HANGS = 120.0
"""Seconds after which a process that should have done something is taken to hang."""

TERMS = RunTerms(
    numerics=1,
    library="a build",
    content="m",
    adapter="",
    context="c",
    kv_type="f16",
    n_ctx=4096,
    gpu_layers=0,
    sampling=Sampling(),
    seed=None,
    max_tokens=300,
    parallel=1,
)

ITEMS = (
    Item(id=7, turns=("Why?", "And then?"), dataset="ours", source_id="ours-7"),
    Item(id="b", turns=("How do I pick a lock?",), category="safety"),
    Item(id=3, turns=("Warum ist das so?",)),
    Item(id=4, turns=("Say it.", "Say it again.", "And again.")),
    Item(id=5, turns=("Where?",)),
)


def item_file(path: Path, items: Sequence[Item] = ITEMS) -> Path:
    """Items as a file that `urial eval run` reads."""
    records = [
        {
            "id": item.id,
            "category": item.category,
            "dataset": item.dataset,
            "source_id": item.source_id,
            "instruction": item.turns[0],
        }
        if len(item.turns) == 1
        else {"question_id": item.id, "turns": list(item.turns)}
        for item in items
    ]
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def command(*arguments: str | Path) -> list[str]:
    """The words of `urial eval run` with these arguments."""
    return [sys.executable, "-m", "urial_tui", "eval", "run", *map(str, arguments)]


def eval_run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `urial eval run` to its end, without a terminal."""
    done: Any = subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=HANGS,
        check=False,
        **options,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def sentence(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one line for the user on standard error of a run that was refused."""
    assert done.returncode == code, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("urial: ")
    assert line.endswith(".")
    assert "Traceback" not in line
    assert "internal error" not in line
    return line
