"""Which topics there are, in the order in which they are told."""

from __future__ import annotations

from urial_tui.doctor.directories import directories
from urial_tui.doctor.engine import engine
from urial_tui.doctor.examination import Topic
from urial_tui.doctor.memory import memory
from urial_tui.doctor.own_files import ReadThemes, caches, own_files
from urial_tui.doctor.processes import processes
from urial_tui.doctor.processor import processor
from urial_tui.doctor.self_test import self_test
from urial_tui.doctor.servers import servers
from urial_tui.doctor.speed import speed
from urial_tui.doctor.terminal import terminal, this_screen
from urial_tui.doctor.versions import versions


def topics(read_themes: ReadThemes) -> tuple[Topic, ...]:
    """All of them, for this machine.

    Args:
        read_themes: Reads the user's themes, which belong to the screens.
    """
    return (
        Topic("versions", versions),
        Topic("processor", processor),
        Topic("memory", memory),
        Topic("engine", engine),
        Topic("servers", servers),
        Topic("other engines", processes),
        Topic("directories", directories),
        Topic("own files", lambda: own_files(read_themes)),
        Topic("cache", caches),
        Topic("terminal", lambda: terminal(this_screen())),
        Topic("self-test", self_test, slow=True),
        Topic("speed", speed, slow=True),
    )
