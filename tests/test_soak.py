"""A thousand turns: memory stays flat on both sides, and no worker is left.

Resident memory is compared between the second and the last fifth of the turns, by medians:
the first fifth warms up (the context fills, allocators find their size).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.conftest import workers
from tests.loaded import newest, writer_of
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import PromptReady, TextDelta
from urial_tui.engine.wire.values import EngineOptions, Sampling

TURNS = 1000
CONVERSATION = 50
"""Turns in a conversation; its context is full after 40."""
N_CTX = 1024
TOLERANCE = 3_000_000
"""Bytes that a process may grow by from the second to the last fifth: 5 kB a turn."""


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What a process takes; `memory` in bytes, resident."""

    memory: int
    files: int
    threads: int

    @classmethod
    def of(cls, pid: int | str) -> Use:
        process = Path("/proc", str(pid))
        lines = (process / "status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        return cls(
            memory=int(status["VmRSS"].split()[0]) * 1024,
            files=len(list((process / "fd").iterdir())),
            threads=int(status["Threads"]),
        )


def assert_flat(uses: Sequence[Use]) -> None:
    """No more of anything in the last fifth than in the second."""
    fifth = len(uses) // 5
    warm, late = uses[fifth : 2 * fifth], uses[-fifth:]
    grown = statistics.median(use.memory for use in late) - statistics.median(
        use.memory for use in warm
    )
    assert grown < TOLERANCE, f"{grown / 1e6:.1f} MB more"
    assert max(use.files for use in late) <= max(use.files for use in warm)
    assert max(use.threads for use in late) <= max(use.threads for use in warm)


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is read from /proc, which is not here"
)


@needs_proc
def test_a_thousand_turns_leave_memory_as_it_was(
    llama_gguf: Path, tmp_path: Path, home: Path
) -> None:
    """New questions, answers again and answers that are left early, over full contexts."""
    mine: list[Use] = []
    workers_: list[Use] = []
    cancelled = 0
    with Store(tmp_path / "conversations.db") as store, Engine() as engine:
        for _ in engine.load(llama_gguf, options=EngineOptions(n_ctx=N_CTX, threads=1)):
            pass
        writer = writer_of(newest(engine))
        for number in range(TURNS):
            if number % CONVERSATION == 0:
                conversation = Conversation.new(store)
            again = number % 5 == 4
            if again:
                conversation.tree.stand_at(conversation.path[-1].parent_id)
            else:
                conversation.add_question(f"question {number}", writer.choice)
            sampling = Sampling(temperature=2.0, seed=number)
            with closing(conversation.answer(writer, sampling=sampling, max_tokens=8)) as events:
                for event in events:
                    if isinstance(event, PromptReady):
                        assert event.used <= N_CTX
                    if isinstance(event, TextDelta) and number % 7 == 6:
                        cancelled += 1
                        break
            if number % 5 == 0:
                assert engine.pid is not None
                mine.append(Use.of("self"))
                workers_.append(Use.of(engine.pid))
        assert conversation.dropped > 20
        assert cancelled > TURNS // 10
        assert sum(record.turns for record in store.conversations()) == TURNS + TURNS * 4 // 5
    assert_flat(mine)
    assert_flat(workers_)
    assert workers(home) == []
