"""Running a function in a daemon thread, which the end of the application does not wait for.

A host may be silent for as long as it is waited for; who quits meanwhile is not to wait as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def asked(do: Callable[[], T]) -> T:
    """Await a function in a thread of its own; returns and raises what it does."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def tell(give: Callable[[], object]) -> None:
        def settle() -> None:
            if not answer.done():
                give()

        # Nobody is told when the loop has ended.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle)

    def work() -> None:
        try:
            found = do()
        except Exception as error:  # noqa: BLE001  # whoever awaits it gets it
            failure = error
            tell(lambda: answer.set_exception(failure))
        else:
            tell(lambda: answer.set_result(found))

    threading.Thread(target=work, daemon=True).start()
    return await answer
