"""A journal: lines that outlive their program, and one program at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest

from urial_tui import file_lock
from urial_tui.file_lock import InUse
from urial_tui.files import Refused
from urial_tui.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines"


def lines(path: Path) -> list[int]:
    """The numbers of a journal that `write` has made."""
    found: list[int] = []
    journal = Journal(path)
    journal.read(lambda place, line: not found.append(json.loads(line)["n"]))  # type: ignore[func-returns-value]
    journal.close()
    return found


def write(path: Path, *numbers: int) -> None:
    journal = Journal(path)
    for number in numbers:
        place = journal.append({"n": number})
        assert json.loads(journal.line(place)) == {"n": number}
    journal.close()


def test_lines_are_read_in_the_order_in_which_they_were_written(path: Path) -> None:
    write(path, 1, 2)
    write(path, 3)
    assert lines(path) == [1, 2, 3]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_torn_line_is_cut_off_wherever_it_is_torn(path: Path) -> None:
    write(path, 1, 2)
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    for length in range(second, len(whole)):
        path.write_bytes(whole[:length])
        assert lines(path) == [1]
        assert path.read_bytes() == whole[:second]


def test_what_is_refused_is_cut_off_with_all_behind_it(path: Path) -> None:
    write(path, 1, 2, 3)
    journal = Journal(path)
    journal.read(lambda place, line: json.loads(line)["n"] != 2)
    journal.append({"n": 4})
    journal.close()
    assert lines(path) == [1, 4]


def test_another_file_without_a_line_end_is_not_cut(path: Path) -> None:
    path.write_bytes(b"precious")

    def check(place: int, line: bytes) -> bool:
        raise ValueError(line)

    journal = Journal(path)
    with pytest.raises(ValueError, match="precious"):
        journal.read(check)
    journal.close()
    assert path.read_bytes() == b"precious"


def test_a_line_is_there_when_its_program_is_killed_right_behind_it(path: Path) -> None:
    code = (
        "import os, signal, sys, pathlib\n"
        "from urial_tui.journal import Journal\n"
        "journal = Journal(pathlib.Path(sys.argv[1]))\n"
        "journal.append({'n': 1})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    assert lines(path) == [1]


def test_a_second_program_is_refused_until_the_first_is_done(path: Path) -> None:
    journal = Journal(path)
    assert journal.lock_trouble == ""
    with pytest.raises(InUse):
        Journal(path)
    journal.close()
    Journal(path).close()


def test_who_opens_a_journal_that_is_removed_meanwhile_gets_a_new_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Journal(path)
    first.append({"n": 1})
    lock = file_lock._lock

    def late(file: FileIO) -> str:
        if path.exists() and path.stat().st_size:
            first.remove()
        return lock(file)

    with monkeypatch.context() as patch:
        patch.setattr(file_lock, "_lock", late)
        second = Journal(path)
    second.append({"n": 2})
    second.close()
    assert lines(path) == [2]


def test_a_full_disk_leaves_no_half_of_a_line(path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    write(path, 1)
    size = path.stat().st_size
    journal = Journal(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 3, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            journal.append({"n": 22222})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.stat().st_size == size
    journal.append({"n": 3})
    journal.close()
    assert lines(path) == [1, 3]


def test_a_pipe_is_no_journal(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(Refused, match="pipe"):
        Journal(path)
