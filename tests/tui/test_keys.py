"""Keys: every action has one, says what it does, and can be given others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import urial_tui
from tests.scripted import Gate, ScriptedEngine, answer, shown_turns
from tests.tui.conftest import Chatting
from tools.keys import DOCUMENT, document
from urial_tui.errors import SettingsError
from urial_tui.settings import Settings
from urial_tui.tui.app import UrialApp
from urial_tui.tui.frame.keys import bindings, keyed, keymap, shown


class TestDeclared:
    def test_every_binding_has_an_id_and_says_what_it_does(self) -> None:
        bad = [(one.owner.__name__, one.keys) for one in bindings() if not (one.id and one.what)]
        assert not bad
        assert all(one.id.count(".") == 1 for one in bindings())

    def test_no_id_stands_for_two_actions(self) -> None:
        names = [one.id for one in bindings()]
        assert not {name for name in names if names.count(name) > 1}

    def test_the_document_lists_them(self) -> None:
        assert DOCUMENT.read_text(encoding="utf-8") == document(bindings()), (
            "python -m tools.keys writes docs/keys.md"
        )

    def test_keys_are_told_as_they_are_printed_on_a_keyboard(self) -> None:
        assert [shown(key) for key in ("ctrl+n", "N", "n", "question_mark", "alt+left")] == [
            "Ctrl+N",
            "Shift+N",
            "N",
            "?",
            "Alt+←",
        ]


class TestChosen:
    @pytest.mark.parametrize(
        ("written", "key"),
        [
            ("Ctrl+G", "ctrl+g"),
            ("Shift+Ctrl+Left", "ctrl+shift+left"),
            ("Esc", "escape"),
            ("Page Up", "pageup"),
            ("F5, Ctrl+G", "f5,ctrl+g"),
            ("!", "exclamation_mark"),
            ("N", "N"),
            ("+", "plus"),
            ("comma", "comma"),
            ("ctrl+G", "ctrl+g"),
            ("alt++", "alt+plus"),
        ],
    )
    def test_keys_are_read_as_people_write_them(self, written: str, key: str) -> None:
        assert keymap({"transcript.regenerate": written}) == {"transcript.regenerate": key}

    @pytest.mark.parametrize(
        ("chosen", "message"),
        [
            ({"chat.regenrate": "f5"}, "The key 'chat.regenrate' in [keys] names no action."),
            ({"chat.regenerate": "foo"}, "The setting keys.chat.regenerate holds 'foo'"),
            ({"chat.regenerate": ""}, "holds '', which is no key"),
            ({"chat.regenerate": "f5,"}, "holds '', which is no key"),
            ({"chat.regenerate": "hyper-x"}, "holds 'hyper-x', which is no key"),
            ({"chat.regenerate": "\x1b[31m"}, "which is no key"),
            ({"chat.regenerate": "f6"}, "is 'F6', which is the key of chat.edit as well"),
            ({"chat.regenerate": "ctrl+q"}, "which is the key of app.quit as well"),
            ({"chat.regenerate": "enter"}, "which is the key of prompt.submit as well"),
            ({"chat.undo": "f9", "chat.stop": "f9"}, "is 'F9', which is the key of chat.undo"),
            ({"chat.edit": "x"}, "keys.chat.edit can't be 'x'"),
        ],
    )
    def test_a_mistake_is_named(self, chosen: dict[str, str], message: str) -> None:
        with pytest.raises(SettingsError) as caught:
            keymap(chosen)
        assert message in caught.value.message
        assert "\x1b" not in str(caught.value)
        assert "settings.toml" in caught.value.hint
        with pytest.raises(SettingsError):
            UrialApp(settings=Settings(keys=chosen))

    def test_two_actions_can_change_their_keys(self) -> None:
        assert keymap({"chat.regenerate": "f6", "chat.edit": "f5"}) == {
            "chat.regenerate": "f6",
            "chat.edit": "f5",
        }

    def test_places_that_are_not_there_together_can_have_the_same_key(self) -> None:
        assert keymap({"compare.again": "f5"})


def mapped(**keys: str) -> Settings:
    return Settings(keys={name.replace("__", "."): key for name, key in keys.items()})


class TestUsed:
    async def test_the_new_key_does_it_and_the_old_one_does_not(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(settings=mapped(chat__regenerate="ctrl+b")) as chat:
            await chat.exchanges("Hi", "One.")
            await chat.presses("f5")
            engine.enqueue(*answer("Two."))
            await chat.presses("ctrl+b")
            await chat.has_answers("Two.")
            assert len(engine.requests) == 2

    async def test_the_prompt_sends_with_another_key(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        keys = mapped(prompt__submit="ctrl+j", prompt__newline="enter,shift+enter")
        async with chatting(settings=keys) as chat:
            gate = Gate()
            engine.enqueue(gate)
            await chat.asks("one")
            await chat.types("two")
            assert chat.prompt.text == "one\ntwo"
            await chat.presses("ctrl+j")
            await chat.until(gate.reached.is_set)
            (request,) = engine.requests
            assert "one\ntwo" in shown_turns(request)
            gate.open()
            await chat.is_ready()

    async def test_the_cursor_moves_where_up_recalls_nothing_any_more(
        self, chatting: Chatting
    ) -> None:
        async with chatting(settings=mapped(prompt__earlier="ctrl+up")) as chat:
            await chat.exchanges("Hi", "One.")
            await chat.presses("up")
            assert chat.prompt.full_text == ""
            await chat.types("a\nb")
            await chat.presses("up")
            assert chat.prompt.cursor_location == (0, 1)
            chat.prompt.clear_text()
            await chat.presses("ctrl+up")
            assert chat.prompt.text == "Hi"

    async def test_the_help_tells_the_new_key(self, chatting: Chatting) -> None:
        keys = mapped(app__keys="f12", chat__regenerate="ctrl+b")
        async with chatting(settings=keys, size=(120, 60)) as chat:
            await chat.presses("f12")
            await chat.reads("Ctrl+B")
            assert not chat.shows("F5 ")

    async def test_hints_tell_the_new_keys(self, chatting: Chatting) -> None:
        keys = mapped(
            prompt__newline="alt+n", chat__open="f10", compare__base="f6", compare__back="ctrl+b"
        )
        async with chatting(settings=keys) as chat:
            assert chat.shows("Alt+N new line")
            assert chat.shows("F10 open")
            await chat.presses("f2")
            await chat.reads("Ctrl+B chat")
            assert chat.shows("F6 change")
            assert chat.shows("F6 and F3 choose the sides")
            assert not chat.shows("Esc")


KEY_NAME = re.compile(r"\b(?:(?:Ctrl|Alt|Shift)\+\w+|F(?:[1-9]|1[0-2])\b|Esc\b|Page (?:Up|Down)\b)")
"""Enter, Tab, Space and the cursor keys are left out: in lists and lines they are Textual's own."""
NAMES_KEYS = {
    "tui/frame/keys.py",
    # What terminals do with keys, whatever they are bound to.
    "doctor/terminal.py",
    "engine/client/replay.py",
    # What the setting is about.
    "settings.py",
}


def written_keys(source: str) -> list[str]:
    """The strings of a file, but for its docstrings, that name a key."""
    tree = ast.parse(source)
    told = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node not in told and isinstance(node.value, str)
        # Interrupting is the terminal's own.
        if KEY_NAME.search(node.value.replace("Ctrl+C", ""))
    ]


def test_no_sentence_names_a_key_by_hand() -> None:
    """Keys can be changed, so sentences take them from the bindings (`keyed`, `key_name`)."""
    package = Path(urial_tui.__file__).parent
    found = {
        str(path.relative_to(package)): words
        for path in package.rglob("*.py")
        if (words := written_keys(path.read_text(encoding="utf-8")))
    }
    assert {name: words for name, words in found.items() if name not in NAMES_KEYS} == {}


def test_keys_in_sentences_are_found() -> None:
    source = "def stop():\n    '''Esc stops.'''\n    tell(f'{what}, Esc stops it')"
    assert written_keys(source) == [", Esc stops it"]


async def test_sentences_name_the_keys_that_the_user_has_chosen(chatting: Chatting) -> None:
    async with chatting(settings=Settings(keys={"chat.stop": "f12"})) as chat:
        assert keyed(chat.app.screen, "{chat.stop} stops, {app.quit} quits") == (
            "F12 stops, Ctrl+Q quits"
        )
