"""Typing: which key sends, earlier questions, long pastes, one's own editor, and the mouse."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.events import Key
from textual.widgets.text_area import Selection

from tests.scripted import ScriptedEngine, answer, shown_turns
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Chatting
from tests.tui.terminals import Terminal
from urial_tui import paths
from urial_tui.chat.store import Store
from urial_tui.errors import EngineError, SettingsError, UrialError
from urial_tui.settings import ChatSettings, Settings
from urial_tui.tui.drawing.folds import Folds
from urial_tui.tui.frame.keys import ENTER_KEYS, keymap
from urial_tui.tui.widgets.editor import edit_text, editor_command
from urial_tui.tui.widgets.recall import Recall

NEWLINE = Settings(chat=ChatSettings(enter="newline"))

LONG = "\n".join(f"line {number}\tnaïve 日本 𝄞" for number in range(6000))
"""More than 100 kB."""


class TestEnter:
    @pytest.mark.parametrize("key", ["ctrl+j", "alt+enter", "ctrl+enter"])
    async def test_it_can_make_a_new_line_and_another_key_sends(
        self, chatting: Chatting, engine: ScriptedEngine, key: str
    ) -> None:
        async with chatting(settings=NEWLINE) as chat:
            assert chat.shows("Ctrl+J send   Enter new line")
            await chat.presses("a", "enter", "b", "shift+enter", "c")
            assert chat.prompt.text == "a\nb\nc"
            assert engine.requests == []
            await chat.presses(key)
            await chat.until(lambda: bool(engine.requests))
            assert "a\nb\nc\n" in shown_turns(engine.requests[0])

    async def test_hints_name_the_key_that_sends(self, chatting: Chatting) -> None:
        async with chatting(settings=NEWLINE) as chat:
            await chat.types("Hello")
            await chat.presses("ctrl+j")
            await chat.has_answers("Certainly.")
            await chat.is_ready()
            await chat.presses("f6")
            await chat.reads("Ctrl+J asks it")

    async def test_keys_of_ones_own_go_first(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        keys = {"prompt.submit": "ctrl+b"}
        async with chatting(settings=Settings(chat=NEWLINE.chat, keys=keys)) as chat:
            await chat.presses("a", "enter", "b", "ctrl+b")
            await chat.until(lambda: bool(engine.requests))
            assert "a\nb\n" in shown_turns(engine.requests[0])

    def test_a_key_that_sends_can_not_be_given_away(self) -> None:
        with pytest.raises(SettingsError, match=r"prompt\.submit"):
            keymap({"chat.undo": "ctrl+j"}, ENTER_KEYS["newline"])


class TestRecall:
    async def test_what_was_typed_comes_back(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("first", "One.")
            await chat.exchanges("second", "Two.")
            await chat.types("half a thought")
            seen = []
            for key in ("up", "up", "down", "down"):
                await chat.presses(key)
                seen.append(chat.prompt.text)
            assert seen == ["second", "first", "second", "half a thought"]

    async def test_the_cursor_moves_through_the_lines_before_it_leaves_them(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("older", "One.")
            await chat.exchanges("two\nlines", "Two.")
            await chat.types("x\ny")
            seen = []
            for key in ("up", "up", "up", "up", "down", "down", "down"):
                await chat.presses(key)
                seen.append((chat.prompt.text, chat.prompt.cursor_location[0]))
            assert seen == [
                ("x\ny", 0),
                ("two\nlines", 1),
                ("two\nlines", 0),
                ("older", 0),
                ("two\nlines", 1),
                ("x\ny", 1),
                ("x\ny", 1),
            ]

    async def test_lines_are_those_of_the_screen(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("older", "One.")
            text = "word " * 20
            chat.prompt.put(text)
            await chat.presses("up")
            assert chat.prompt.text == text
            await chat.presses("up")
            assert chat.prompt.text == "older"

    def test_changes_to_an_earlier_question_are_kept_until_one_is_sent(self) -> None:
        recall = Recall()
        recall.earlier = ["b", "a"]
        assert recall.step(1, "draft") == "b"
        assert recall.step(1, "b, changed") == "a"
        assert recall.step(1, "a") is None
        assert recall.step(-1, "a") == "b, changed"
        assert recall.step(-1, "b, changed") == "draft"
        assert recall.step(-1, "draft") is None
        recall.forget()
        assert recall.step(1, "") == "b"


class TestLongPastes:
    async def test_100_kb_are_one_label_and_are_sent_as_they_are(
        self, chatting: Chatting, store: Store
    ) -> None:
        assert len(LONG) > 100_000
        async with chatting() as chat:
            await chat.types("Look: ")
            await chat.pastes(LONG.replace("\n", "\r\n"))
            await chat.types(" What is this?")
            await chat.pauses()
            assert chat.prompt.text == "Look: [pasted text 1: 6,000 lines] What is this?"
            await chat.presses("enter")
            await chat.has_answers("Certainly.")
            (listed,) = store.conversations()
            assert store.turns(listed.id)[0].text == f"Look: {LONG} What is this?"

    async def test_a_short_paste_is_there_to_be_changed(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.pastes("two\nlines")
            assert chat.prompt.text == "two\nlines"

    async def test_a_label_is_taken_away_as_a_whole_and_comes_back_as_a_whole(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            await chat.pastes(LONG)
            await chat.presses("backspace")
            assert chat.prompt.text == ""
            await chat.presses("ctrl+z")
            assert chat.prompt.full_text == LONG

    async def test_nothing_is_written_into_a_label(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.pastes(LONG)
            await chat.presses("left", "left", "left", "x", "ctrl+j", "y")
            assert chat.prompt.full_text == f"{LONG}x\ny"

    async def test_a_selection_that_ends_in_labels_takes_all_of_them(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            await chat.pastes(LONG)
            await chat.types(" and ")
            await chat.pastes(LONG)
            await chat.presses("left", "left", *["shift+left"] * 50, "z")
            assert chat.prompt.text == "z"

    async def test_a_long_question_is_recalled_folded_and_sent_whole(
        self, chatting: Chatting, store: Store
    ) -> None:
        async with chatting() as chat:
            for _ in range(2):
                before = len(chat.answers)
                if before:
                    await chat.presses("up")
                    assert chat.prompt.text == "[long text 1: 6,000 lines]"
                else:
                    await chat.pastes(LONG)
                await chat.presses("enter")
                await chat.until(lambda: len(chat.answers) > before)  # noqa: B023
                await chat.is_ready()
            (listed,) = store.conversations()
            assert [turn.text == LONG for turn in store.turns(listed.id)][::2] == [True, True]

    def test_labels_that_nobody_made_are_text(self) -> None:
        folds = Folds()
        label = folds.fold("hidden", "pasted")
        assert label == "[pasted text 1: 6 characters]"
        text = f"{label} [pasted text 2: 6 characters] [long text 1: 9 lines]"
        assert folds.unfold(text) == "hidden [pasted text 2: 6 characters] [long text 1: 9 lines]"
        nested = folds.fold(label, "pasted")
        assert folds.unfold(nested) == label

    async def test_a_refused_question_comes_back_to_be_changed(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        engine.enqueue(EngineError("The question has 32273 tokens.", "Shorten it."))
        async with chatting() as chat:
            await chat.pastes(LONG)
            await chat.presses("enter")
            await chat.reads("The question has 32273 tokens.")
            await chat.reads("Editing the question")
            assert chat.prompt.full_text == LONG
            await chat.presses("backspace")
            await chat.asks("Shorter")
            await chat.has_answers("Certainly.")
            assert shown_turns(engine.requests[-1]).count("line 1") == 0
            assert chat.shows("‹ 2/2 ›")


@pytest.fixture
def editor(tmp_path: Path) -> Path:
    """An editor that says how it was called and adds to the text."""
    script = tmp_path / "an editor"
    script.write_text(
        "#!/bin/sh\n"
        f'ls -l "$2" > "{tmp_path}/seen"; ls -ld "$(dirname "$2")" >> "{tmp_path}/seen"\n'
        f'printf "%s\\n" "$1" "$2" > "{tmp_path}/arguments"\n'
        'printf ", changed\\n" >> "$2"\n'
    )
    script.chmod(0o755)
    return script


async def send(chat: ChatPage) -> None:
    """Send what is in the prompt, and wait for the end of the answer."""
    await chat.presses("enter")
    await chat.until(lambda: bool(chat.answers) and chat.ready)


INVISIBLE = "\u200fשלום\u200e \u202eevil\u202c\x1b[31m \x00\x85\u2028 \U00100000\U0010fffd\u200d"
"""What can't be drawn, and characters like those that stand for it in the prompt."""


class TestWhatCanNotBeDrawn:
    async def test_it_is_shown_as_pictures_and_sent_and_stored_as_it_was(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        async with chatting() as chat:
            await chat.pastes(f"a{INVISIBLE}b")
            drawn = chat.text
            assert "a�שלום� �evil�␛[31m ␀�� ��" in drawn
            assert not set(INVISIBLE) & set(drawn) - set("שלום evil[31m\u200d")
            await send(chat)
            assert f"a{INVISIBLE}b\n" in shown_turns(engine.requests[0])
            (listed,) = store.conversations()
            assert store.turns(listed.id)[0].text == f"a{INVISIBLE}b"

    async def test_it_is_edited_recalled_copied_and_cut_as_it_was(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.pastes(INVISIBLE)
            await send(chat)
            await chat.presses("up")
            assert chat.prompt.full_text == INVISIBLE
            await chat.presses("x", "down", "up")
            assert chat.prompt.full_text == f"{INVISIBLE}x"
            chat.prompt.clear_text()
            await chat.presses("f6")
            assert chat.prompt.full_text == INVISIBLE
            await chat.presses("ctrl+x")
            assert chat.prompt.full_text == ""
            assert chat.app.clipboard == INVISIBLE
            await chat.presses("ctrl+v", "ctrl+v", "ctrl+z", "left", "backspace")
            assert chat.prompt.full_text == INVISIBLE[:-2] + INVISIBLE[-1]

    async def test_the_cursor_takes_one_step_over_each(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.pastes("\u200f" * 100)
            assert chat.prompt.wrapped_document.height == 2
            await chat.presses("left", "delete")
            assert chat.prompt.full_text == "\u200f" * 99

    @pytest.mark.parametrize("character", ["\u200c", "\u200d", "\u200f"])
    async def test_a_key_for_a_mark_types_it(self, chatting: Chatting, character: str) -> None:
        async with chatting() as chat:
            chat.prompt.post_message(Key("unknown", character))
            await chat.pauses()
            assert chat.prompt.full_text == character

    async def test_what_was_copied_elsewhere_is_pasted_as_it_is(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            chat.app.copy_to_clipboard(f"{INVISIBLE}\r\nend")
            await chat.presses("ctrl+v")
            assert chat.prompt.full_text == f"{INVISIBLE}\nend"


STATES: dict[str, tuple[str, Selection]] = {
    "empty": ("", Selection()),
    "start of a line": ("one line", Selection()),
    "end of a line": ("one line", Selection.cursor((0, 8))),
    "empty last line": ("one\n\n", Selection.cursor((2, 0))),
    "empty line between": ("one\n\ntwo", Selection.cursor((1, 0))),
    "a selection": ("one\ntwo\nthree", Selection((0, 1), (2, 3))),
    "all, backwards": ("one\ntwo\n", Selection((2, 0), (0, 0))),
    "wide": ("日本語👩‍👩‍👧é\t𝄞", Selection.cursor((0, 4))),
    "wrapped": ("word " * 60, Selection.cursor((0, 150))),
    "pictures": (INVISIBLE, Selection((0, 2), (0, 9))),
    "a label": (LONG, Selection.cursor((0, 5))),
}
"""A text, and what of it is selected."""


class TestEveryKey:
    async def test_no_key_of_the_prompt_ends_the_application(
        self, chatting: Chatting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EDITOR", "true")
        async with chatting(ready=False) as chat:
            bindings = chat.prompt._bindings.key_to_bindings
            actions = {binding.action for bound in bindings.values() for binding in bound}
            assert len(actions) > 30
            for text, selection in STATES.values():
                for action in sorted(actions):
                    chat.prompt.put(text)
                    chat.prompt.selection = selection
                    # Twice, undone and done again; then what is left can be typed into.
                    for step in (action, action, "undo", "redo", "newline", "undo"):
                        await chat.prompt.run_action(step)
                await chat.presses("a")

    @pytest.mark.parametrize(
        ("text", "key", "left", "copied"),
        [
            ("", "ctrl+k", "", None),
            ("one\n", "ctrl+k", "one\n", None),
            ("", "ctrl+x", "", None),
            ("one", "ctrl+x", "", "one"),
            ("one\n", "ctrl+x", "one\n", None),
            ("", "ctrl+shift+k", "", None),
        ],
    )
    async def test_deleting_what_is_not_there(
        self, chatting: Chatting, text: str, key: str, left: str, copied: str | None
    ) -> None:
        async with chatting() as chat:
            chat.prompt.put(text)
            await chat.presses(key)
            assert chat.prompt.text == left
            assert chat.app.clipboard == (copied or "")


class TestEditor:
    def test_it_gets_a_file_that_only_its_owner_can_read_and_that_goes(
        self, editor: Path, tmp_path: Path
    ) -> None:
        command = editor_command({"VISUAL": f"{shlex.quote(str(editor))} -w", "EDITOR": "ed"})
        assert edit_text("naïve\ntext", command) == "naïve\ntext, changed"
        file, directory = (tmp_path / "seen").read_text().splitlines()
        assert file.startswith("-rw-------")
        assert directory.startswith("drwx------")
        option, path = (tmp_path / "arguments").read_text().splitlines()
        assert option == "-w"
        assert path.endswith(".md")
        assert not Path(path).parent.exists()

    def test_without_a_variable_a_usual_one_is_taken(self, tmp_path: Path) -> None:
        (tmp_path / "vi").write_text("#!/bin/sh\n")
        (tmp_path / "vi").chmod(0o755)
        assert editor_command({"PATH": str(tmp_path)}) == ["vi"]

    @pytest.mark.parametrize(
        ("environ", "message"),
        [
            ({}, "There is no editor."),
            ({"EDITOR": "no-such-editor -w"}, "The editor 'no-such-editor -w' is not there."),
            ({"EDITOR": 'broken "quote'}, "EDITOR is no command: No closing quotation."),
        ],
    )
    def test_one_that_is_missing_is_named(self, environ: dict[str, str], message: str) -> None:
        with pytest.raises(UrialError) as caught:
            editor_command(environ | {"PATH": "/nowhere"})
        assert caught.value.message == message

    def test_one_that_fails_changes_nothing_and_what_it_saved_is_kept(self, tmp_path: Path) -> None:
        script = tmp_path / "failing"
        script.write_text('#!/bin/sh\nprintf "saved" > "$1"\nexit 3\n')
        script.chmod(0o755)
        with pytest.raises(UrialError) as caught:
            edit_text("text", [str(script)])
        assert caught.value.message == "The editor ended with code 3; your text is as it was."
        kept = Path(caught.value.hint.removeprefix("What it saved is in ").removesuffix("."))
        assert kept.read_text() == "saved"
        assert edit_text("text", ["true"]) == "text"

    async def test_where_the_terminal_can_not_be_left_it_says_so(
        self, chatting: Chatting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EDITOR", "true")
        async with chatting() as chat:
            await chat.types("kept")
            await chat.presses("ctrl+g")
            await chat.until(lambda: bool(chat.notices))
            assert chat.notices == ["An editor can't be opened in this terminal."]
            assert chat.prompt.text == "kept"

    async def test_a_missing_one_is_a_sentence(
        self, chatting: Chatting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EDITOR", "no-such-editor")
        async with chatting() as chat:
            await chat.types("kept")
            await chat.presses("ctrl+g")
            await chat.until(lambda: bool(chat.notices))
            assert "'no-such-editor' is not there" in chat.notices[0]
            assert chat.prompt.text == "kept"


class TestInATerminal:
    @pytest.fixture
    def terminal(self, llama_gguf: Path, tmp_path: Path) -> Iterator[Terminal]:
        script = tmp_path / "editor"
        script.write_text(
            "#!/bin/sh\nstty -a > /dev/null || exit 9\nkill -INT $PPID\n"
            'printf "IN THE EDITOR"\nprintf ", changed" >> "$1"\n'
        )
        script.chmod(0o755)
        opened = Terminal(llama_gguf, VISUAL=str(script))
        opened.read_until(lambda: b"ready" in opened.output)
        yield opened
        opened.close()

    def sent(self, terminal: Terminal) -> str:
        """The first question, once it is stored."""
        with Store(paths.database_file()) as store:
            terminal.read_until(lambda: bool(store.conversations()))
            return store.turns(store.conversations()[0].id)[0].text

    def test_the_editor_has_the_terminal_and_gives_it_back(self, terminal: Terminal) -> None:
        """An interrupt that is the editor's ends nothing."""
        terminal.press(b"typed\x07")
        terminal.read_for(b"IN THE EDITOR")
        terminal.read_for(b", changed")
        terminal.press(b" and sent\r")
        assert self.sent(terminal) == "typed, changed and sent"
        terminal.press(b"\x11")
        assert terminal.wait() == 0
        terminal.check_restored()

    @pytest.mark.parametrize(
        ("keys", "text"),
        [
            (b"a\nb\x1b\rc\r", "a\nb\nc"),
            (b"a\x1b[13;2ub\x1b[13;3uc\r", "a\nb\nc"),
        ],
        ids=["Ctrl+J, Alt+Enter", "Shift+Enter, Alt+Enter in the newer protocol"],
    )
    def test_the_enters_of_a_terminal_are_told_apart(
        self, terminal: Terminal, keys: bytes, text: str
    ) -> None:
        terminal.press(keys)
        assert self.sent(terminal) == text

    def test_a_paste_of_100_kb_arrives_as_it_is(self, terminal: Terminal) -> None:
        data = f"\x1b[200~{LONG}\x1b[201~".encode()
        while data:
            data = data[os.write(terminal.master, data[:4096]) :]
            terminal.read_until(lambda: True)
        terminal.read_for(b"6,000 lines")
        terminal.press(b"\r")
        assert self.sent(terminal) == LONG


class TestMouse:
    async def test_a_click_on_the_mark_goes_to_the_other_version(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.gets_another("f5", "Two.")
            assert chat.answers == ["Two."]
            for sign, text in (("‹", "One."), ("›", "Two.")):
                author = chat.transcript.views[1].query_one(".author")
                at = str(author.render()).index(sign)
                await chat.pilot.click(author, offset=(at, 0))
                await chat.has_answers(text)
                assert chat.transcript.has_focus

    async def test_it_is_the_clicked_turn_whose_version_changes(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.presses("f6")
            await chat.types(" there")
            engine.enqueue(*answer("Two."))
            await chat.presses("enter")
            await chat.has_answers("Two.")
            await chat.is_ready()
            question = chat.transcript.views[0]
            at = str(question.render()).splitlines()[0].index("‹")
            await chat.pilot.click(question, offset=(at + 2, 0))
            await chat.has_answers("One.")

    async def test_clicks_elsewhere_do_no_harm(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.types("kept")
            for place in ((1, 0), (40, 0), (5, 23), (75, 23), (5, 10)):
                await chat.pilot.click(offset=place)
                await chat.pauses()
            assert chat.prompt.text == "kept"
            assert chat.answers == ["One."]
