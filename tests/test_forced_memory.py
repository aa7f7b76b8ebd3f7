"""What stands in front of forced texts is read once; the numbers are those of a fresh memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from tests.wires import MODEL, Wire
from urial_tui.engine.native.context import LlamaContext
from urial_tui.engine.wire.commands import ScoreSide
from urial_tui.engine.wire.events import Failed, Scored
from urial_tui.engine.wire.limits import HEAD_BATCH
from urial_tui.engine.wire.values import EngineOptions, MemoryKind, TextSegment, TokenSegment, Turn
from urial_tui.engine.worker.forced_memory import ForcedMemory

KINDS = ["llama_gguf", "sliding_window_gguf", "recurrent_gguf", "hybrid_gguf"]
OPTIONS = EngineOptions(n_ctx=2048, threads=1)
CONTEXT: Turn = (TextSegment(text="# Query:\nHello world\n\n# Answer:\nhope it helps\n\n" * 30),)
LONGER: Turn = (*CONTEXT, TextSegment(text="And this stands behind it. " * 8))
OTHER: Turn = (TextSegment(text="Something else stands in front of this.\n" * 30),)
TEXTS = ("the list and the answer " * 8, "and this is it " * 40, "far away")


def asked(context: Turn, text: str) -> ScoreSide:
    answer = TextSegment(text=text)
    return ScoreSide(id=0, model=MODEL, context=context, answer=answer, top_k=3, n_ctx=1500)


def scored(wire: Wire, context: Turn, text: str) -> tuple[tuple[int, ...], bytes]:
    found = wire.run(asked(context, text)).one(Scored)
    return found.context, found.scores


ASKED = [
    (CONTEXT, TEXTS[0]),
    (CONTEXT, TEXTS[1]),
    (LONGER, TEXTS[0]),
    (CONTEXT, TEXTS[2]),
    (OTHER, TEXTS[0]),
    ((), TEXTS[1]),
    (CONTEXT, TEXTS[0]),
]


def check_as_fresh(path: Path, directory: Path, asked_for: Sequence[tuple[Turn, str]]) -> None:
    """Whatever was read before, a text has the numbers that it has in a new worker."""
    with Wire(directory / "one", path, OPTIONS) as wire:
        behind_others = [scored(wire, *one) for one in asked_for]
    assert len(behind_others[0][0]) > 2 * HEAD_BATCH, "more than one batch stands in front"
    for number, one in enumerate(asked_for[1:], start=1):
        with Wire(directory / f"fresh-{number}", path, OPTIONS) as wire:
            assert scored(wire, *one) == behind_others[number]


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_those_of_a_fresh_memory(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    check_as_fresh(request.getfixturevalue(kind), tmp_path, ASKED)


def test_the_demo_models_too(demo_model: Path, tmp_path: Path) -> None:
    front, behind = (*CONTEXT, *OTHER), TextSegment(text="And this stands behind it. " * 4)
    check_as_fresh(demo_model, tmp_path, [(front, "far away"), ((*front, behind), TEXTS[0])])


def test_nothing_is_left_of_what_failed(llama_gguf: Path, tmp_path: Path) -> None:
    with Wire(tmp_path / "one", llama_gguf, OPTIONS) as wire:
        expected = scored(wire, CONTEXT, TEXTS[0])
        wrong = ScoreSide(
            id=0, model=MODEL, context=CONTEXT, answer=TokenSegment(ids=(10**6, 1, 2)), top_k=3
        )
        assert wire.run(wrong).all(Failed)
        assert scored(wire, CONTEXT, TEXTS[0]) == expected


def test_a_text_that_is_cancelled_leaves_the_numbers_as_they_are(
    llama_gguf: Path, tmp_path: Path
) -> None:
    with Wire(tmp_path / "one", llama_gguf, OPTIONS) as wire:
        expected = scored(wire, CONTEXT, TEXTS[1])
        for context in (OTHER, CONTEXT):
            request = wire.send(asked(context, TEXTS[1]))
            wire.cancel(request)
            wire.wait(request)
        assert scored(wire, CONTEXT, TEXTS[1]) == expected


def test_what_is_no_number_is_not_put_aside(llama_gguf: Path, tmp_path: Path) -> None:
    """It would weigh on whoever is read into the same cells."""
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(llama_gguf.read_bytes()[:-64] + b"\xff" * 64)
    with Wire(tmp_path / "one", damaged, OPTIONS) as wire:
        for rows in ("", str(tmp_path / "rows")):
            request = msgspec.structs.replace(asked(CONTEXT, TEXTS[0]), rows=rows)
            assert "not finite numbers" in wire.run(request).one(Failed).message


# -- which batches stay ----------------------------------------------------------------


class Cells:
    """Counts the cells of one sequence."""

    def __init__(self) -> None:
        self.last = -1
        self.cleared = 0

    def clear(self) -> None:
        self.last = -1
        self.cleared += 1

    def remove(self, sequence: int, start: int, end: int) -> bool:
        self.last = min(self.last, start - 1)
        return True

    def first_position(self, sequence: int) -> int:
        return 0 if self.last >= 0 else -1

    def last_position(self, sequence: int) -> int:
        return self.last


def read(memory: ForcedMemory, cells: Cells, head: list[tuple[int, ...]], behind: int) -> int:
    """Read a text; how many of its leading batches were there."""
    kept = memory.start(head)
    assert cells.last + 1 == sum(map(len, head[:kept])), "nothing else is left"
    for part in head[kept:]:
        cells.last += len(part)
        memory.hold(part)
    cells.last += behind
    return kept


def batch(token: int, length: int = HEAD_BATCH) -> tuple[int, ...]:
    return (token,) * length


def memory_of(kind: MemoryKind) -> tuple[ForcedMemory, Cells]:
    cells = Cells()
    return ForcedMemory(cast(LlamaContext, cast(Any, cells)), kind), cells


@pytest.mark.parametrize("kind", ["attention", "sliding-window"])
def test_leading_batches_of_the_same_tokens_stay(kind: MemoryKind) -> None:
    memory, cells = memory_of(kind)
    a, b, c, short = batch(1), batch(2), batch(3), batch(2, 100)
    assert read(memory, cells, [a, b, c], 30) == 0
    assert read(memory, cells, [a, b, c], 99) == 3
    assert read(memory, cells, [a, b], 5) == 2
    assert read(memory, cells, [a, short], 5) == 1, "of another shape"
    assert read(memory, cells, [a, b], 5) == 1
    assert read(memory, cells, [b, a], 5) == 0
    assert read(memory, cells, [], 5) == 0
    memory.forget()
    assert read(memory, cells, [b, a], 5) == 0


@pytest.mark.parametrize("kind", ["recurrent", "hybrid"])
def test_what_can_not_be_cut_is_read_again(kind: MemoryKind) -> None:
    memory, cells = memory_of(kind)
    head = [batch(1)]
    assert [read(memory, cells, head, 3) for _ in range(3)] == [0, 0, 0]
    assert cells.cleared == 3


def test_a_memory_that_was_not_cut_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, cells = memory_of("attention")
    head = [batch(1)]
    read(memory, cells, head, 3)
    monkeypatch.setattr(cells, "remove", lambda *_: True)
    assert read(memory, cells, head, 3) == 0
