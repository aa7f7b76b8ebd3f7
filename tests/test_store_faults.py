"""The store fails in the middle of an answer: the answer goes on, and nothing stored is lost.

Faults are real where they can be had: another process that holds the lock, a file system
without room, a limit on the size of files.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loaded import writer_of
from tests.scripted import TINY, ScriptedEngine, answer, delta
from tests.test_faults import assert_sentence
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.engine.wire.events import Finished, PromptReady, TextDelta
from urial_tui.errors import StoreError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.writer import Writer

PART = "A long part of an answer that takes some room on the disk. " * 400
"""24 kB."""

_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


class Fault:
    """Something that keeps the store from writing from `begin` to `end`."""

    said = ""

    def __init__(self, file: Path) -> None:
        self.file = file

    def begin(self) -> None: ...

    def end(self) -> None: ...


class LockedByAnotherProcess(Fault):
    said = "is in use by another program"

    def begin(self) -> None:
        command = [sys.executable, "-c", _LOCK, str(self.file)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"locked\n"

    def end(self) -> None:
        self._process.communicate()


class FilesMayNotGrow(Fault):
    said = "can't be written"

    def begin(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = max(path.stat().st_size for path in self.file.parent.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, self._limits[1]))

    def end(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)


class FullDisk(Fault):
    said = "the disk is full"

    def begin(self) -> None:
        with (self.file.parent / "filler").open("wb", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while filler.write(bytes(65536)) == 65536:
                    pass
            with contextlib.suppress(OSError):
                while filler.write(bytes(512)) == 512:
                    pass

    def end(self) -> None:
        (self.file.parent / "filler").unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(params=[LockedByAnotherProcess, FilesMayNotGrow, FullDisk])
def fault(request: pytest.FixtureRequest, tmp_path: Path) -> Fault:
    kind: type[Fault] = request.param
    place = request.getfixturevalue("small_disk") if kind is FullDisk else tmp_path
    return kind(place / "conversations.db")


@pytest.fixture
def store(fault: Fault) -> Iterator[Store]:
    with Store(fault.file, busy_timeout=0.02) as store:
        yield store


@pytest.fixture
def writer(script: ScriptedEngine) -> Writer:
    return writer_of(script.load(TINY).result(), find_preamble("urial-k1"))


@pytest.fixture
def conversation(store: Store, script: ScriptedEngine, writer: Writer) -> Conversation:
    """One whole exchange, stored; its clock has every piece of text stored at once."""
    ticks = itertools.count()
    conversation = Conversation.new(store, clock=lambda: float(next(ticks)))
    script.enqueue(*answer("Hi there."))
    list(conversation.ask(writer, "Hello?"))
    return conversation


def stored(conversation: Conversation, file: Path) -> list[str]:
    """The texts on the disk, as another program sees them."""
    with Store(file) as other:
        return [turn.text for turn in other.turns(conversation.record.id)]


def test_a_fault_that_passes_during_the_answer_is_not_even_told(
    conversation: Conversation, script: ScriptedEngine, writer: Writer, fault: Fault
) -> None:
    during: list[StoreError | None] = []

    def note() -> None:
        during.append(conversation.store_error)

    script.enqueue(delta(PART), delta(PART), delta(PART))
    after = iter(((fault.begin,), (note, fault.end), (note,)))
    for event in conversation.ask(writer, "More?"):
        if isinstance(event, TextDelta):
            for action in next(after):
                action()
    assert isinstance(event, Finished)
    assert fault.said in str(during[0])
    assert during[1] is None
    assert stored(conversation, fault.file) == ["Hello?", "Hi there.", "More?", 3 * PART]


def test_a_fault_that_stays_is_told_and_made_good_when_it_is_over(
    conversation: Conversation, script: ScriptedEngine, writer: Writer, fault: Fault
) -> None:
    script.enqueue(delta(PART), delta(PART), delta(PART))
    events = iter(conversation.ask(writer, "More?"))
    assert any(isinstance(event, TextDelta) for event in events)
    fault.begin()
    assert any(isinstance(event, Finished) for event in events)
    with pytest.raises(StoreError) as caught:
        list(events)
    assert_sentence(caught.value)
    assert fault.said in caught.value.message
    # It stays visible whole, and what was on the disk before is there.
    assert [turn.text for turn in conversation.path][2:] == ["More?", 3 * PART]
    # A question that can't be stored is not asked; the answer is tried again, in vain.
    for attempt in (lambda: conversation.add_question(PART, writer.choice), conversation.save_rest):
        with pytest.raises(StoreError):
            attempt()
    assert conversation.path[-1].text == 3 * PART
    fault.end()
    assert stored(conversation, fault.file) == ["Hello?", "Hi there.", "More?", PART]
    conversation.save_rest()
    assert stored(conversation, fault.file) == ["Hello?", "Hi there.", "More?", 3 * PART]
    list(conversation.ask(writer, "And now?"))
    reopened = stored(conversation, fault.file)
    assert reopened == [turn.text for turn in conversation.path]
    assert reopened[4:] == ["And now?", "Certainly."]


def test_a_fault_from_the_start_of_an_answer_loses_no_part_of_it(
    conversation: Conversation, script: ScriptedEngine, writer: Writer, fault: Fault
) -> None:
    script.enqueue(*answer(3 * PART))
    events = iter(conversation.ask(writer, "More?"))
    assert any(isinstance(event, PromptReady) for event in events)
    fault.begin()
    with pytest.raises(StoreError):
        list(events)
    assert stored(conversation, fault.file) == ["Hello?", "Hi there.", "More?"]
    fault.end()
    list(conversation.ask(writer, "And now?"))
    assert stored(conversation, fault.file)[2:] == ["More?", 3 * PART, "And now?", "Certainly."]
