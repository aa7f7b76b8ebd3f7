"""A recorded session in the application: what its user saw is seen again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import workers
from tests.scripted import ScriptedEngine
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Chatting, Found
from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.recording import read_recording
from urial_tui.engine.client.replay import Replay
from urial_tui.engine.wire.values import TextSegment, TokenSegment
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import open_turn
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings
from urial_tui.tui.replay import preamble_of, question_of, replay_app

SETTINGS = Settings(
    chat=ChatSettings(max_tokens=40),
    engine=EngineSettings(context=2048, threads=1),
    sampling=SamplingSettings(temperature=2.0, seed=1),
)


@pytest.fixture
async def session(
    chatting: Chatting, llama_gguf: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, list[str]]:
    """A recording, and the answers that were shown: one, a death, a reload, another one."""
    monkeypatch.setenv("URIAL_RECORD", str(home / "recordings"))
    async with chatting(
        engine_factory=Engine,
        find_model=lambda name, progress: Found(path=llama_gguf),
        preamble=find_preamble("urial-k1"),
        settings=SETTINGS,
    ) as chat:
        for question in ("one?", "two?"):
            await chat.asks(question)
            await chat.has_taken()
            (pid,) = workers(home)
            os.kill(pid, signal.SIGKILL)
            await chat.reads("SIGKILL")
            await chat.presses("ctrl+r")
            await chat.has_taken()
        shown = chat.answers
    monkeypatch.delenv("URIAL_RECORD")
    (file,) = (home / "recordings").iterdir()
    return file, shown


async def test_the_application_does_again_what_its_user_did(
    session: tuple[Path, list[str]], home: Path, engine: ScriptedEngine
) -> None:
    file, shown = session
    replay = Replay(read_recording(file), pace=0.0)
    preamble = preamble_of(replay)
    assert preamble.name == "urial-k1"
    app = replay_app(replay, preamble, SETTINGS)
    async with app.run_test(size=(80, 40), notifications=True) as pilot:
        chat = ChatPage(pilot, engine)
        await chat.reads("The recording ends here")
        assert chat.answers == shown
        assert chat.shows("one?")
        assert chat.shows("two?")
        assert chat.shows("not stored")
        assert not workers(home)
        # Beyond its end, a question has a sentence for an answer.
        await chat.asks("three?")
        await chat.reads("Leave the replay")


async def test_several_answers_are_written_again(
    chatting: Chatting,
    llama_gguf: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    store: Store,
    engine: ScriptedEngine,
) -> None:
    monkeypatch.setenv("URIAL_RECORD", str(home / "recordings"))
    async with chatting(
        engine_factory=Engine,
        find_model=lambda name, progress: Found(path=llama_gguf),
        preamble=find_preamble("urial-k1"),
        settings=SETTINGS,
    ) as chat:
        await chat.types("one?")
        await chat.presses("alt+a")
        await chat.reads("‹ 1/3 ›")
        await chat.has_taken()
    monkeypatch.delenv("URIAL_RECORD")
    (file,) = (home / "recordings").iterdir()
    replay = Replay(read_recording(file), pace=0.0)
    app = replay_app(replay, preamble_of(replay), SETTINGS)
    async with app.run_test(size=(80, 40), notifications=True) as pilot:
        chat = ChatPage(pilot, engine)
        await chat.reads("The recording ends here")
        path = app.chat.conversation.path
        seen = [turn.text for turn in app.chat.conversation.tree.children(path[0].id)]
    (listed,) = store.conversations()
    assert seen == [turn.text for turn in store.turns(listed.id)[1:]]


def test_a_session_is_printed_as_json(session: tuple[Path, list[str]]) -> None:
    file, _ = session
    done = subprocess.run(
        [sys.executable, "-m", "urial_tui", "replay", "--json", str(file)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert entries[0]["entry"] == "urial-recording"
    assert [e["command"]["cmd"] for e in entries if e["entry"] == "sent"][:3] == [
        "load",
        "prepare",
        "generate",
    ]
    finished = [e for e in entries if e.get("event", {}).get("ev") == "finished"]
    assert len(finished) == 2
    assert sum(e["entry"] == "died" for e in entries) == 2


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "evil\x1b[2J.urial"
    file.write_text("no recording")
    done = subprocess.run(
        [sys.executable, "-m", "urial_tui", "replay", "--json", str(file)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "is not a recording of a session" in done.stderr
    assert "\x1b" not in done.stderr


def test_questions_are_read_without_the_format_around_them() -> None:
    preamble = find_preamble("urial-k1")
    written = (TextSegment(text=open_turn(preamble, "Why?")),)
    assert question_of([(), written], preamble) == "Why?"
    assert question_of([(TextSegment(text="[bold]raw"),)], preamble) == "[bold]raw"
    assert question_of([(TokenSegment(ids=(1, 2)),)], preamble) == "(asked again)"
    assert question_of([], preamble) == "(asked again)"


async def test_without_a_terminal_a_replay_says_so(session: tuple[Path, list[str]]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "urial_tui", "replay", str(session[0])],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "A replay needs a terminal. `urial replay --json FILE` prints" in done.stderr
