"""Which topics there are, in the order in which they are told."""

from __future__ import annotations

from urial_tui.doctor.directories import directories
from urial_tui.doctor.engine import engine
from urial_tui.doctor.examination import ExaminationTopic
from urial_tui.doctor.memory import memory
from urial_tui.doctor.own_files import ReadThemes, caches, own_files
from urial_tui.doctor.processes import processes
from urial_tui.doctor.processor import processor
from urial_tui.doctor.self_test import self_test
from urial_tui.doctor.servers import servers
from urial_tui.doctor.speed import speed
from urial_tui.doctor.terminal import terminal, this_screen
from urial_tui.doctor.versions import versions


def topics(read_themes: ReadThemes) -> tuple[ExaminationTopic, ...]:
    """All of them, for this machine.

    Args:
        read_themes: Reads the user's themes, which belong to the screens.
    """
    return (
        ExaminationTopic("versions", versions),
        ExaminationTopic("processor", processor),
        ExaminationTopic("memory", memory),
        ExaminationTopic("engine", engine),
        ExaminationTopic("servers", servers),
        ExaminationTopic("other engines", processes),
        ExaminationTopic("directories", directories),
        ExaminationTopic("own files", lambda: own_files(read_themes)),
        ExaminationTopic("cache", caches),
        ExaminationTopic("terminal", lambda: terminal(this_screen())),
        ExaminationTopic("self-test", self_test, slow=True),
        ExaminationTopic("speed", speed, slow=True),
    )
