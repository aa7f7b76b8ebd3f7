"""A download that is cancelled while it waits for a host that says nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable

from urial_tui.errors import ModelError
from urial_tui.models.attempts import Limits
from urial_tui.models.connection import Cancelled
from urial_tui.models.download import Downloader


def ends_of(work: Callable[[Downloader], object], waiting: threading.Event) -> list[type]:
    """With which errors `work` has ended some seconds after it was cancelled; none: it goes on.

    Args:
        work: Waits for a host, in a thread.
        waiting: Set once the host was asked.
    """
    ended: list[type] = []

    def run() -> None:
        try:
            work(downloader)
        except (Cancelled, ModelError) as error:
            ended.append(type(error))

    # Nobody waits as long as that, were it waited for.
    with Downloader(limits=Limits(silence=60)) as downloader:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert waiting.wait(10)
        downloader.cancel()
        thread.join(10)
        return list(ended)
