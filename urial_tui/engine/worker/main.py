"""The worker process: commands in, events out.

It speaks on pipes of its own: fds 0 and 1 are moved away at once and replaced, so that whatever
native code prints lands in the log file (fd 2). Every native call is made by the main thread, but
for those that `llama` names.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from urial_tui.engine.wire.events import Event, Failed, Ready
from urial_tui.engine.wire.frames import VERSION, write_frame

_LAST_BREATH = 2.0
"""Seconds that native code gets to notice the abort flag after the client has gone."""


def _end_soon() -> None:
    """End the process, whatever it is doing."""
    timer = threading.Timer(_LAST_BREATH, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _own_pipes() -> tuple[int, int]:
    """Move commands and events to fds of their own; native code keeps only the log."""
    commands, events = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return commands, events


def main() -> None:
    """Serve one client until it closes the pipe or says Shutdown."""
    commands_fd, events_fd = _own_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        from urial_tui.engine.native import devices, llama
        from urial_tui.engine.native.abort_flag import AbortFlag
        from urial_tui.engine.worker.commands import CommandTable
        from urial_tui.engine.worker.inbox import Inbox
        from urial_tui.engine.worker.scheduler import Scheduler

        llama.initialise()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        traceback.print_exc()
        write_frame(
            events_fd,
            Failed(
                id=0,
                message=f"llama.cpp can't be loaded: {error}.",
                hint="Install llama-cpp-python again (`make setup` in a checkout).",
            ),
        )
        return

    def emit(event: Event) -> None:
        try:
            write_frame(events_fd, event)
        except OSError:  # nobody listens any more
            os._exit(0)

    flag = AbortFlag()
    inbox = Inbox(commands_fd, flag, _end_soon)
    commands = CommandTable(emit, Path(sys.argv[1]), flag)
    emit(
        Ready(
            version=VERSION,
            library=llama.system_info(),
            devices=devices.devices(),
            backends=devices.backends(),
        )
    )
    Scheduler(inbox, commands, emit).run()
    commands.close()


if __name__ == "__main__":
    main()
