"""What reads an answer along while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from urial_tui.engine.wire.protocol import Watch
from urial_tui.prompting.conversation import Exchanged


class Reader(Protocol):
    """Says what a model is shown that reads along (`compare.second_side.SecondSide` does)."""

    def watch(self, exchanges: Sequence[Exchanged]) -> Watch | None:
        """What it is shown of questions with their answers, the last one open; None: nothing."""
        ...
