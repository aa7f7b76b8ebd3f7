"""How far the evaluation of one batch has come, while it runs.

A batch of a large model takes seconds. The library polls its abort callback in front of every
node of the graph, in the thread that asked for the evaluation; while somebody listens, a
Python function stands in for the flag's own callback: it looks at the flag, counts the nodes
and tells their share. The batch before had as many, so this is counted and not guessed from
time; only the very first batch goes by an estimate. What is computed does not depend on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from urial_tui.engine.native.abort_flag import AbortFlag

PAUSE = 0.2
"""Seconds between two reports."""

_NODES_OF_LAYER = 32
"""About as many as a decoder's layer has, until a batch was counted."""


class BatchProgress:
    """Counts the nodes of a batch.

    Args:
        flag: Stops the evaluation, as without anybody who listens.
        layers: Of the model.
    """

    def __init__(self, flag: AbortFlag, layers: int) -> None:
        self._flag = flag
        self._expected = max(1, layers * _NODES_OF_LAYER)
        self._listener: Callable[[float], None] | None = None
        self._failure: BaseException | None = None
        self._polls = 0
        self._due = 0.0

    def listen(self, listener: Callable[[float], None] | None) -> None:
        """Tell `listener` the share of each batch that is done, now and then; None: nobody."""
        self._listener = listener

    def begin(self) -> None:
        """A batch is evaluated next."""
        self._polls = 0
        self._failure = None
        self._due = time.monotonic() + PAUSE

    def poll(self, _data: object = None) -> bool:
        """The library's abort callback: whether to stop."""
        self._polls += 1
        now = time.monotonic()
        if self._listener is not None and now >= self._due:
            self._due = now + PAUSE
            try:
                self._listener(min(self._polls, self._expected - 1) / self._expected)
            # Native code is between here and who may know it.
            except BaseException as error:  # noqa: BLE001
                self._failure = error
        return self._failure is not None or self._flag.is_set

    def end(self, *, whole: bool) -> None:
        """The evaluation is over, of the whole batch or not.

        Raises:
            BaseException: What the listener raised.
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if whole and self._polls:
            self._expected = self._polls
