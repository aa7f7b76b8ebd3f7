"""The engine's self-test: the engine at hand passes, and what is really wrong does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from urial_tui.engine.self_test.model import TYPES, TinyModel

DAMAGED = """
import sys
from urial_tui.engine.native import llama
from urial_tui.engine.self_test.model import TinyModel
from urial_tui.engine.self_test.trial import EngineTrial
llama.initialise()
type_name, path = sys.argv[1:]
for fault in EngineTrial(TinyModel(type_name)).faults(path, [1]):
    print(fault)
"""
"""The file holds other weights than numpy is told of: as if the build computed wrong.
A process of its own, as each test that uses the native library."""


def test_the_installed_engine_passes() -> None:
    command = [sys.executable, "-m", "urial_tui.engine.self_test"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines if ":" in line] == list(TYPES)


def swap_blocks(model: TinyModel) -> None:
    """Two neighbouring blocks of one matrix change places."""
    size = {"Q8_0": 34, "Q6_K": 210}[model.type.name]
    blocks = model.blocks["blk.0.attn_output"].reshape(-1, size)
    blocks[[40, 41]] = blocks[[41, 40]]


def zero_tile_row(model: TinyModel) -> None:
    """One of the sixteen rows of each tile stays zero, in one matrix."""
    model.blocks["blk.0.ffn_up"][5::16] = 0


def nothing(model: TinyModel) -> None:
    """The right weights."""


@pytest.mark.parametrize(
    ("damage", "faults"), [(swap_blocks, True), (zero_tile_row, True), (nothing, False)]
)
@pytest.mark.parametrize("type_name", ["Q8_0", "Q6_K"])
def test_a_wrong_block_and_a_lost_row_are_found(
    tmp_path: Path, type_name: str, damage: Callable[[TinyModel], None], faults: bool
) -> None:
    model = TinyModel(type_name)
    damage(model)
    path = tmp_path / "damaged.gguf"
    model.write(path)
    command = [sys.executable, "-c", DAMAGED, type_name, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = done.stdout.splitlines()
    if not faults:
        assert found == []
        return
    assert any(line.startswith(f"{type_name}: prefill in batches of 512") for line in found), found
    assert any(line.startswith(f"{type_name}: decoding on 1 thread") for line in found), found
    assert any(line.startswith(f"{type_name}: decoding behind a restored") for line in found), found
