"""What a conversation needs to be answered: an engine, and what may read its answers along."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from urial_tui.engine.wire.protocol import Event, ModelInfo, Sampling, StopRules, Turn, Watch
from urial_tui.prompting.conversation import Exchanged


class Answerer(Protocol):
    """What a conversation needs of an engine (`engine.client.engine.Engine` has it)."""

    info: ModelInfo | None

    def generate(
        self,
        *,
        preamble: Turn,
        turns: Sequence[Turn],
        sampling: Sampling | None = None,
        stops: StopRules | None = None,
        close: str = "",
        max_tokens: int = 512,
        prefix: Turn = (),
        watch: Watch | None = None,
        samples: int = 1,
    ) -> Generator[Event, None, None]:
        """Answer the last turn, event by event; `samples` times, side by side."""
        ...


class Reader(Protocol):
    """What reads an answer along (`compare.second_side.SecondSide` does)."""

    def watch(self, exchanges: Sequence[Exchanged]) -> Watch | None:
        """What it is shown of questions with their answers, the last one open; None: nothing."""
        ...
