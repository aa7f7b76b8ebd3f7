"""The process in which chat templates are rendered, one chat at a time.

It speaks frames on pipes of its own and has nothing to do with the terminal: its standard input
and output are moved away at once. The system bounds its memory and, for each chat, its computing,
where it can. When the client goes away the process does so too, whatever it is doing.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading

from urial_tui.engine.wire.frames import ProtocolError, read_frame, write_frame
from urial_tui.prompting.templates.protocol import (
    Render,
    Rendered,
    RenderedPiece,
    RendererReady,
    RenderFailed,
    Reply,
    decode_render,
    encodable,
)
from urial_tui.prompting.templates.rendering import Unrenderable, render

MEMORY = 512 * 1024 * 1024
"""Bytes of address space."""

_STACK = 512 * 1024
"""Bytes of the reading thread's stack, which counts as address space."""


def main() -> None:
    """Render until the client goes away."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    _bound("RLIMIT_AS", MEMORY)
    _bound("RLIMIT_FSIZE", 0)
    _bound("RLIMIT_CORE", 0)
    requests: queue.SimpleQueue[Render] = queue.SimpleQueue()
    threading.stack_size(_STACK)
    threading.Thread(target=_read, args=(source, requests), daemon=True).start()
    write_frame(sink, RendererReady())
    while True:
        request = requests.get()
        _bound_computing(request.cpu)
        write_frame(sink, _answer(request))


def _answer(request: Render) -> Reply:
    try:
        pieces = render(request)
    except Unrenderable as error:
        return RenderFailed(reason=encodable(str(error)))
    return Rendered(pieces=tuple(RenderedPiece(owner, encodable(text)) for owner, text in pieces))


def _read(source: int, requests: queue.SimpleQueue[Render]) -> None:
    """Pass requests on; end the process, also in the middle of one, when there is no client."""
    with contextlib.suppress(ProtocolError, OSError, ValueError):
        while (frame := read_frame(source)) is not None:
            requests.put(decode_render(frame))
    os._exit(0)


def _bound(name: str, value: int) -> None:
    """Set a limit of the system's, where there is such a one."""
    with contextlib.suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        kind = getattr(resource, name)
        _, most = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY:
            value = min(value, most)
        resource.setrlimit(kind, (value, most))


def _bound_computing(seconds: int) -> None:
    """End this process when it has computed for so long from now on."""
    spent = os.times()
    _bound("RLIMIT_CPU", int(spent.user + spent.system) + seconds + 1)


if __name__ == "__main__":
    main()
