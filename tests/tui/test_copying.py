"""Copying: what is copied, by which way, and what is said about it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scripted import Gate, ScriptedEngine, answer, delta
from tests.tui.conftest import Chatting
from tests.tui.terminals import Terminal
from urial_tui import paths
from urial_tui.chat.markdown_form import from_markdown
from urial_tui.chat.store import Store
from urial_tui.errors import UrialError
from urial_tui.tui.chat.pick_code import PickCodeScreen
from urial_tui.tui.drawing.code_blocks import code_blocks
from urial_tui.tui.frame import clipboard

CODE = """\
Two ways:

```python title
print("**one**")
```

- in a list:

  ```
  two
    lines
  ```

Done."""

_OSC_52 = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07")

SENT = "Sent 4 characters to the terminal's clipboard (OSC 52), which it may ignore."

LOCAL = {"DISPLAY": ":0"}
REMOTE = LOCAL | {"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}

FakePrograms = Callable[..., dict[str, str]]


@pytest.fixture
def programs(tmp_path: Path) -> FakePrograms:
    """Make programs that keep their input and arguments; the environment in which they are."""

    def make(*names: str, after: str = "exit 0") -> dict[str, str]:
        for name in names:
            script = tmp_path / name
            script.write_text(
                f'#!/bin/sh\nprintf "%s" "$*" > "{tmp_path}/{name}.arguments"\n'
                f'/bin/cat > "{tmp_path}/{name}.input"\n{after}\n'
            )
            script.chmod(0o755)
        return {"PATH": str(tmp_path)}

    return make


def given(directory: Path, program: str) -> tuple[str, str]:
    """What a program was given: its arguments and its input."""
    arguments, text = (directory / f"{program}.{part}" for part in ("arguments", "input"))
    return arguments.read_text(), text.read_text(encoding="utf-8")


class TestWays:
    def copied(self, text: str, environ: dict[str, str]) -> tuple[str, list[str]]:
        asked: list[str] = []
        return clipboard.copy(text, asked.append, environ=environ), asked

    def test_a_program_of_this_machine_gets_the_text_on_its_standard_input(
        self, programs: FakePrograms, tmp_path: Path
    ) -> None:
        text = '--version "$(rm -rf /)" \x1b]52;c;x\x07\nsecond line, naïve'
        told, asked = self.copied(text, programs("xclip") | LOCAL)
        assert told == f"Copied {len(text)} characters."
        assert given(tmp_path, "xclip") == ("-selection clipboard", text)
        assert not asked

    @pytest.mark.parametrize(
        ("variable", "program"),
        [("WAYLAND_DISPLAY", "wl-copy"), ("DISPLAY", "xsel")],
    )
    def test_the_display_tells_which(
        self, programs: FakePrograms, tmp_path: Path, variable: str, program: str
    ) -> None:
        environ = programs("wl-copy", "xsel") | {variable: "some"}
        assert self.copied("x", environ)[0] == "Copied 1 character."
        assert [path.stem for path in tmp_path.glob("*.input")] == [program]

    def test_one_that_fails_gives_way_to_the_next(
        self, programs: FakePrograms, tmp_path: Path
    ) -> None:
        programs("xclip", after="exit 1")
        told, _ = self.copied("text", programs("xsel") | LOCAL)
        assert told == "Copied 4 characters."
        assert given(tmp_path, "xsel")[1] == "text"

    def test_one_that_hangs_is_given_up(
        self, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clipboard, "_TIMEOUT", 0.2)
        environ = programs("xclip", after="exec /bin/sleep 60") | LOCAL
        told, asked = self.copied("text", environ)
        assert told == SENT
        assert asked == ["text"]

    def test_over_ssh_only_the_terminal_is_asked(
        self, programs: FakePrograms, tmp_path: Path
    ) -> None:
        told, asked = self.copied("text", programs("xclip", "xsel", "wl-copy") | REMOTE)
        assert told == SENT
        assert asked == ["text"]
        assert not list(tmp_path.glob("*.input"))

    @pytest.mark.parametrize(
        "environ",
        [{"TERM": "xterm-kitty"}, {"TERM": "foot-extra"}, {"WT_SESSION": "8d2"}],
        ids=lambda environ: next(iter(environ)),
    )
    def test_a_terminal_that_is_known_to_take_it_has_it(self, environ: dict[str, str]) -> None:
        told, asked = self.copied("text", environ)
        assert told == "Copied 4 characters through the terminal (OSC 52)."
        assert asked == ["text"]

    @pytest.mark.parametrize(
        ("environ", "helps"),
        [
            ({"VTE_VERSION": "7600", "TERM": "xterm-256color"}, ""),
            ({"VTE_VERSION": "7600", "WAYLAND_DISPLAY": "wayland-0"}, "wl-clipboard"),
            ({"VTE_VERSION": "7600"} | LOCAL, "xclip"),
            ({"VTE_VERSION": "7600"} | REMOTE, ""),
            ({"STY": "1.pts", "TERM": "screen"}, ""),
            ({"TERMINAL_EMULATOR": "JetBrains-JediTerm"}, ""),
        ],
    )
    def test_one_that_is_known_to_ignore_it_is_not_asked(
        self, programs: FakePrograms, environ: dict[str, str], helps: str
    ) -> None:
        told, asked = self.copied("text", programs() | environ)
        assert not asked
        assert told.startswith(f"Copied 4 characters to {paths.copied_file()}: this terminal")
        assert (helps or "us.") in told
        assert paths.copied_file().read_text() == "text"

    def test_in_tmux_the_text_goes_through_tmux(
        self, programs: FakePrograms, tmp_path: Path
    ) -> None:
        environ = programs("tmux") | REMOTE | {"TMUX": "/tmp/tmux-1/default,1,0"}
        told, asked = self.copied("text", environ)
        assert told == "Copied 4 characters through tmux."
        assert given(tmp_path, "tmux") == ("load-buffer -w -", "text")
        assert not asked

    def test_a_tmux_that_is_too_old_leaves_it_to_the_terminal(self, programs: FakePrograms) -> None:
        environ = programs("tmux", after="exit 1") | {"TMUX": "/tmp/tmux-1/default,1,0"}
        assert self.copied("text", environ)[1] == ["text"]

    def test_a_text_that_no_terminal_takes_goes_to_a_file_of_the_owner(
        self, programs: FakePrograms
    ) -> None:
        text = "ü" * (clipboard.TERMINAL_LIMIT // 2)
        assert self.copied(text, programs())[1] == [text]
        told, asked = self.copied(text + "é", programs())
        path = paths.copied_file()
        assert told == (
            f"Copied {len(text) + 1:,} characters to {path}: "
            "a terminal takes at most 74,994 bytes at once."
        )
        assert not asked
        assert path.read_text(encoding="utf-8") == text + "é"
        assert path.stat().st_mode & 0o777 == 0o600
        assert [one.name for one in path.parent.iterdir()] == ["copied.txt"]

    def test_a_console_without_a_clipboard_gets_a_file(self, programs: FakePrograms) -> None:
        told, asked = self.copied("text", programs() | {"TERM": "linux"})
        assert "this terminal has no clipboard" in told
        assert not asked
        assert paths.copied_file().read_text() == "text"

    def test_where_nothing_works_it_says_so(self, programs: FakePrograms) -> None:
        paths.copied_file().parent.parent.mkdir(parents=True, exist_ok=True)
        paths.copied_file().parent.write_text("in the way")
        with pytest.raises(UrialError, match="Nothing was copied"):
            self.copied("text", programs() | {"TERM": "linux"})


class TestCodeBlocks:
    def test_they_are_found_wherever_they_stand(self) -> None:
        assert code_blocks(CODE) == [
            ("python", 'print("**one**")\n'),
            ("", "two\n  lines\n"),
        ]
        assert code_blocks("> ```sh\n> ls\n> ```\n\n    indented\n") == [
            ("sh", "ls\n"),
            ("", "indented\n"),
        ]

    def test_one_that_is_not_closed_goes_to_the_end(self) -> None:
        assert code_blocks("```c\nint x;\nint y;") == [("c", "int x;\nint y;")]

    @pytest.mark.parametrize("text", ["", "no `code` here", "``` not a fence ``` x"])
    def test_there_may_be_none(self, text: str) -> None:
        assert code_blocks(text) == []


class TestKeys:
    async def test_y_copies_the_marked_turn_as_it_was_written(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            raw = "Some **bold** and a \x1b[31mcolour\x1b[0m."
            engine.enqueue(*answer(raw))
            await chat.asks("Hello")
            await chat.until(lambda: chat.ready and chat.shows("bold"))
            await chat.goes_to_transcript()
            await chat.presses("y")
            await chat.reads(f"Sent {len(raw)} characters")
            assert chat.notices[-1].endswith("(OSC 52), which it may ignore.")
            assert chat.app.clipboard == raw
            await chat.presses("up", "y")
            await chat.reads("Sent 5 characters")
            assert chat.app.clipboard == "Hello"

    async def test_alt_y_copies_the_newest_answer_from_the_prompt(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.presses("alt+y")
            await chat.reads("There is nothing to copy yet.")
            await chat.exchanges("Hi", "The **answer**.")
            await chat.types("kept")
            await chat.presses("alt+y")
            await chat.until(lambda: chat.app.clipboard == "The **answer**.")
            assert chat.shows("kept")

    async def test_c_copies_the_code_and_lets_one_choose(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("How?", CODE)
            await chat.goes_to_transcript()
            await chat.presses("c")
            await chat.is_on(PickCodeScreen)
            assert chat.shows("python · 1 line")
            await chat.presses("down", "enter")
            await chat.until(lambda: chat.app.clipboard == "two\n  lines\n")
            await chat.presses("c")
            await chat.is_on(PickCodeScreen)
            await chat.presses("escape")
            await chat.until(lambda: chat.app.screen is chat.app.screen_stack[0])
            await chat.presses("up", "c")
            await chat.reads("There is no code block in this turn.")

    async def test_a_single_code_block_is_copied_at_once(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("How?", "So:\n\n```\nls\n```")
            await chat.goes_to_transcript()
            await chat.presses("c")
            await chat.until(lambda: chat.app.clipboard == "ls\n")

    async def test_shift_y_copies_the_conversation_as_it_is_shown(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("One?", "First.")
            await chat.exchanges("Two?", "**Second.**")
            await chat.goes_to_transcript()
            await chat.presses("Y")
            await chat.reads("Sent the conversation")
            copied = from_markdown(chat.app.clipboard).turns
            assert [turn.text for turn in copied] == ["One?", "First.", "Two?", "**Second.**"]

    async def test_an_answer_that_is_being_written_can_not_be_copied_by_halves(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("Half"), gate)
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.reads("Half")
            await chat.goes_to_transcript()
            await chat.presses("y")
            await chat.reads("There is nothing to copy yet.")
            gate.open()

    async def test_ctrl_c_copies_what_is_selected_and_else_says_how_to_quit(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            await chat.types("half a question")
            await chat.presses("ctrl+c")
            await chat.reads("Ctrl+Q quits.")
            assert chat.shows("half a question")
            await chat.presses("shift+home", "ctrl+c")
            await chat.until(lambda: chat.app.clipboard == "half a question")

    async def test_text_that_is_marked_with_the_mouse_is_copied(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hello there", "Good day to you.")
            view = chat.transcript.views[1]
            await chat.pilot.mouse_down(view, offset=(2, 1))
            await chat.pilot.hover(view, offset=(10, 1))
            await chat.pilot.mouse_up(view, offset=(10, 1))
            await chat.presses("ctrl+c")
            await chat.until(lambda: chat.app.clipboard.startswith("Good day"))


def test_the_terminal_is_asked_with_osc_52(llama_gguf: Path) -> None:
    terminal = Terminal(llama_gguf)
    try:
        terminal.read_until(lambda: b"ready" in terminal.output)
        terminal.press(b"Hi\r")
        with Store(paths.database_file()) as store:
            terminal.read_until(lambda: bool(answered(store)))
            terminal.press(b"\x1by")
            terminal.read_until(lambda: bool(_OSC_52.search(terminal.output)))
            found = _OSC_52.findall(terminal.output)
            assert [base64.b64decode(one).decode() for one in found] == [answered(store)]
    finally:
        terminal.close()


def answered(store: Store) -> str:
    """The first answer, once it is over."""
    listed = store.conversations()
    turns = store.turns(listed[0].id) if listed else []
    return turns[1].text if len(turns) > 1 and turns[1].stop_reason else ""
