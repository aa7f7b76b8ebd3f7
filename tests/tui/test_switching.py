"""Another model or preamble within a conversation, chosen with the keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from tests.scripted import Gate, ScriptedEngine, answer, prefill, shown_turns
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Chatting, Found, Looks, ready
from urial_tui import paths
from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import LoadProgress
from urial_tui.errors import EngineDied, EngineError, ModelError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import (
    ChatSettings,
    EngineSettings,
    SamplingSettings,
    Settings,
    load_settings,
)
from urial_tui.tui.chat.choose import ChooseScreen, PickFileScreen


@pytest.fixture
def second(llama_gguf: Path) -> Path:
    """Another model in the models directory; and the one that the tests start with."""
    directory = paths.models_dir()
    directory.mkdir(parents=True)
    for name in ("tiny.gguf", "second.gguf"):
        (directory / name).symlink_to(llama_gguf)
    return directory / "second.gguf"


def find(name: str, progress: object) -> Found:
    """A registry that knows every name."""
    return Found(name=name)


async def choose(chat: ChatPage, name: str, list_id: str = "#models") -> None:
    """Open the dialog, move the bar of a list to a name, and take it."""
    await chat.presses("ctrl+t")
    await chat.is_on(ChooseScreen)
    await chat.presses("left" if list_id == "#models" else "right")
    await move_to(chat, name, list_id)
    await chat.presses("enter")
    await chat.until(lambda: not isinstance(chat.app.screen, ChooseScreen))


async def move_to(chat: ChatPage, name: str, list_id: str) -> None:
    listed = chat.app.screen.query_one(list_id, OptionList)
    await chat.presses("home")
    for _ in range(listed.option_count):
        assert listed.highlighted is not None
        prompt = str(listed.get_option_at_index(listed.highlighted).prompt)
        if name in prompt.split():
            return
        await chat.presses("down")
    raise AssertionError(f"{name} is not in the list:\n{chat.text}")


async def ask(chat: ChatPage, text: str) -> None:
    await chat.asks(text)
    await chat.until(lambda: chat.ready and not chat.shows(f"│ {text}"))


def written_with(store: Store) -> list[tuple[str, str]]:
    """Model and preamble of each answer."""
    (head,) = store.conversations()
    turns = store.turns(head.id)
    return [(turn.model, turn.preamble) for turn in turns if turn.role == "assistant"]


class TestPreamble:
    async def test_another_preamble_does_not_load_the_model_again(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        async with chatting() as chat:
            engine.enqueue(*answer("One."))
            await ask(chat, "first")
            await choose(chat, "zero-shot", "#preambles")
            await chat.is_ready()
            engine.enqueue(*answer("Two."))
            await ask(chat, "second")
            assert len(engine.loads) == 1
            assert written_with(store) == [("tiny", "urial-k1"), ("tiny", "zero-shot")]
            assert chat.shows("tiny  under zero-shot, before under urial-k1")
            assert "tiny · zero-shot" in chat.lines[0]

    async def test_the_model_is_shown_the_new_preamble_and_the_turns_in_its_format(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            engine.enqueue(*answer("One."))
            await ask(chat, "first")
            await choose(chat, "vanilla-icl", "#preambles")
            await ask(chat, "second")
            before, after = engine.requests
            assert after.preamble != before.preamble
            assert "first" in shown_turns(after)
            assert "One." in shown_turns(after)

    async def test_a_preamble_that_does_not_fit_leaves_the_one_in_use(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        async with chatting() as chat:
            engine.enqueue_prepare(EngineError("The preamble is too long.", "Take a shorter one."))
            await choose(chat, "urial-k8", "#preambles")
            await chat.reads("✖ The preamble is too long.")
            await chat.is_ready()
            assert chat.shows("tiny under urial-k1 goes on.")
            await ask(chat, "first")
            assert written_with(store) == [("tiny", "urial-k1")]

    async def test_a_question_waits_for_the_preamble(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        gate = Gate()
        async with chatting() as chat:
            engine.enqueue_prepare(prefill("preamble", 100, 1190), gate)
            await choose(chat, "urial-k3", "#preambles")
            await chat.status_reads("reading the preamble 100 of 1,190 tokens")
            await chat.asks("early")
            await chat.reads("waits for the model")
            gate.open()
            await chat.reads("Certainly.")
            assert written_with(store) == [("tiny", "urial-k3")]

    async def test_what_it_costs_is_told_where_it_was_measured(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.presses("ctrl+t")
            await chat.is_on(ChooseScreen)
            await chat.presses("right")
            await chat.reads("512 tokens for tiny")
            await move_to(chat, "urial-k8", "#preambles")
            await chat.reads("8 examples")
            assert not chat.shows("tokens for tiny")

    async def test_an_unsound_one_says_why_and_is_not_taken(self, chatting: Chatting) -> None:
        own = paths.user_prompts_dir()
        own.mkdir(parents=True)
        (own / "broken.toml").write_text("title = 3\n")
        async with chatting() as chat:
            await chat.presses("ctrl+t")
            await chat.is_on(ChooseScreen)
            await chat.presses("right")
            await move_to(chat, "broken", "#preambles")
            await chat.reads("a mistake")
            await chat.presses("enter")
            await chat.reads("can't be used")
            assert isinstance(chat.app.screen, ChooseScreen)


class TestKeeping:
    async def test_what_is_in_use_can_be_kept_for_the_next_start(self, chatting: Chatting) -> None:
        file = paths.settings_file()
        file.parent.mkdir(parents=True)
        file.write_text('# mine\n[chat]\nmodel = "old"  # of last year\n')
        async with chatting() as chat:
            await choose(chat, "urial-k8", "#preambles")
            await chat.is_ready()
            await chat.presses("alt+t")
            await chat.reads("from now on")
        kept = load_settings().chat
        assert (kept.model, kept.preamble) == ("tiny", "urial-k8")
        assert "# of last year" in file.read_text()

    async def test_unsound_settings_are_left_alone(self, chatting: Chatting) -> None:
        file = paths.settings_file()
        async with chatting() as chat:
            file.parent.mkdir(parents=True)
            file.write_text("[chat\n")
            await chat.presses("alt+t")
            await chat.reads("✖")
            assert file.read_text() == "[chat\n"


@pytest.mark.usefixtures("second")
class TestModel:
    async def test_the_conversation_goes_on_with_another_model(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        async with chatting(find_model=find) as chat:
            engine.enqueue(*answer("One."))
            await ask(chat, "first")
            await choose(chat, "second.gguf")
            await chat.is_ready()
            await ask(chat, "second")
            assert [model for model, _ in written_with(store)] == ["tiny", "second.gguf"]
            assert "One." in shown_turns(engine.requests[-1])
            assert len(engine.loads) == 2

    async def test_loading_is_shown_while_it_lasts(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        async with chatting(find_model=find) as chat:
            engine.enqueue_load(LoadProgress(id=0, fraction=0.3), gate)
            await choose(chat, "second.gguf")
            await chat.status_reads("loading 30%")
            await chat.presses("ctrl+t")
            await chat.reads("A model is being loaded")
            gate.open()
            await chat.is_ready()

    async def test_one_that_is_not_found_leaves_the_one_that_is_loaded(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        def find_one(name: str, progress: object) -> Found:
            if name != "tiny":
                raise ModelError("There is no such model.", "Look again.")
            return Found(name=name)

        async with chatting(find_model=find_one) as chat:
            await choose(chat, "second.gguf")
            await chat.reads("✖ There is no such model.")
            await chat.is_ready()
            await ask(chat, "first")
            assert written_with(store) == [("tiny", "urial-k1")]
            assert len(engine.loads) == 1

    @pytest.mark.parametrize(
        "error", [EngineError("It is damaged.", "Get it again."), EngineDied("It died.", "Again.")]
    )
    async def test_one_that_fails_to_load_brings_the_one_before_back(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store, error: EngineError
    ) -> None:
        async with chatting(find_model=find) as chat:
            engine.enqueue_load(LoadProgress(id=0, fraction=0.3), error)
            await choose(chat, "second.gguf")
            await chat.reads(f"✖ {error.message}")
            assert chat.shows("tiny under urial-k1 goes on.")
            await chat.is_ready()
            assert len(engine.loads) == 3
            await ask(chat, "first")
            assert written_with(store) == [("tiny", "urial-k1")]

    async def test_not_while_an_answer_is_written(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(gate)
        async with chatting(find_model=find) as chat:
            await chat.asks("first")
            await chat.until(gate.reached.is_set)
            await chat.presses("ctrl+t")
            await chat.reads("An answer is being written")
            assert not isinstance(chat.app.screen, ChooseScreen)
            gate.open()
            await chat.is_ready()

    async def test_another_answer_names_who_wrote_it(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        async with chatting(find_model=find) as chat:
            engine.enqueue(*answer("One."))
            await ask(chat, "first")
            await choose(chat, "second.gguf")
            await chat.is_ready()
            engine.enqueue(gate)
            await chat.presses("f5")
            await chat.until(gate.reached.is_set)
            assert "second.gguf" in [line.strip() for line in chat.lines]
            gate.open()
            await chat.reads("second.gguf  ‹ 2/2 ›")

    async def test_a_file_is_taken_by_its_path(
        self, chatting: Chatting, tiny_models: Path, store: Store
    ) -> None:
        async with chatting(find_model=find, size=(120, 40)) as chat:
            await chat.presses("ctrl+t")
            await chat.is_on(ChooseScreen)
            await chat.presses("end", "enter")
            await chat.is_on(PickFileScreen)
            chat.app.screen.query_one("#file-path").focus()
            path = str(tiny_models / "tiny-llama.gguf")
            await chat.types(path)
            await chat.reads("Enter takes it.")
            await chat.presses("enter")
            await chat.reads("tiny-llama.gguf under urial-k1")
            await chat.presses("enter")
            await chat.is_ready()
            await ask(chat, "first")
            assert written_with(store) == [(path, "urial-k1")]

    async def test_escape_changes_nothing(self, chatting: Chatting, engine: ScriptedEngine) -> None:
        async with chatting(find_model=find) as chat:
            await chat.presses("ctrl+t")
            await chat.is_on(ChooseScreen)
            await chat.presses("down", "escape")
            await chat.until(lambda: not isinstance(chat.app.screen, ChooseScreen))
            assert "ready" in chat.status
            assert len(engine.loads) == 1

    async def test_the_palette_leads_to_the_preambles(self, chatting: Chatting) -> None:
        async with chatting(find_model=find) as chat:
            commands = chat.app.get_system_commands(chat.app.screen)
            next(command for command in commands if command.title == "Preamble").callback()
            await chat.is_on(ChooseScreen)
            assert chat.app.focused is not None
            assert chat.app.focused.id == "preambles"
            await move_to(chat, "urial-k3", "#preambles")
            await chat.reads("URIAL, K = 3  3 examples")
            assert chat.shows("A system text and three examples: facts, a refusal and advice.")


async def test_tiny_models_take_over_from_each_other(
    chatting: Chatting, store: Store, llama_gguf: Path, sliding_window_gguf: Path
) -> None:
    """The real worker: another vocabulary reads the same conversation."""
    files = {"tiny": llama_gguf, "second.gguf": sliding_window_gguf}
    directory = paths.models_dir()
    directory.mkdir(parents=True)
    (directory / "second.gguf").symlink_to(sliding_window_gguf)
    settings = Settings(
        chat=ChatSettings(max_tokens=20),
        engine=EngineSettings(context=2048, threads=1),
        sampling=SamplingSettings(temperature=2.0, seed=1),
    )
    async with chatting(
        engine_factory=Engine,
        find_model=lambda name, progress: Found(name=name, path=files[name]),
        preamble=find_preamble("zero-shot"),
        settings=settings,
    ) as chat:
        await ask(chat, "one")
        await choose(chat, "second.gguf")
        await chat.is_ready()
        await ask(chat, "two")
        (head,) = store.conversations()
        await chat.until(lambda: store.turns(head.id)[-1].stop_reason is not None)
        assert [model for model, _ in written_with(store)] == ["tiny", "second.gguf"]
        keys = {turn.ids_key for turn in store.turns(head.id) if turn.role == "assistant"}
        assert len(keys) == 2


def test_the_dialog(looks: Looks, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urial_tui.models.fit.memory_now", lambda **_: _memory())
    monkeypatch.setattr("urial_tui.models.registry.is_packaged", lambda entry: entry.package != "")

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        chat = ChatPage(pilot, engine)
        await chat.presses("ctrl+t")
        await chat.is_on(ChooseScreen)
        await chat.presses("down", "down", "left")
        await chat.reads("LoRA")

    assert looks(prepare, keys="Enter takes both · ← → other list · Esc back", find_model=find)


def _memory() -> object:
    from urial_tui.memory import MachineMemory

    return MachineMemory(total=8_000_000_000, available=4_000_000_000)
