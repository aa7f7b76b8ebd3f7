"""A job that stands still once it has done so much, until it is told to go on.

A tiny model may be through with everything before a test has seen that it began, and on a busy
machine it often is.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from urial_tui.evaluate.job import Going


class Held:
    """Holds the first job that has done `done`, in the thread that does it.

    Args:
        patch: What the test changes.
        done: How many of its items or texts.
    """

    def __init__(self, patch: pytest.MonkeyPatch, done: int) -> None:
        self._reached = threading.Event()
        self._open = threading.Event()
        change = Going.change

        def held(going: Going, **values: Any) -> None:
            change(going, **values)
            # A job that is made tells what was done before.
            in_work = threading.current_thread() is not threading.main_thread()
            if values.get("done", 0) >= done and in_work and not self._reached.is_set():
                self._reached.set()
                self._open.wait(120)

        patch.setattr(Going, "change", held)

    def there(self) -> bool:
        """Whether it stands still."""
        return self._reached.is_set()

    def go_on(self) -> None:
        """Let it go on."""
        self._open.set()
