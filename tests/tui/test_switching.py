"""Another model or preamble within a conversation, chosen with the keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from tests.scripted import Gate, ScriptedEngine, answer, prefill, shown_turns
from tests.tui.conftest import Found, Opened, screen_text, shows, status, type_text, wait_until
from urial_tui import paths
from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.protocol import LoadProgress
from urial_tui.errors import EngineDied, EngineError, ModelError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import (
    ChatSettings,
    EngineSettings,
    SamplingSettings,
    Settings,
    load_settings,
)
from urial_tui.tui.app import UrialApp
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


async def choose(pilot: Pilot[None], name: str, list_id: str = "#models") -> None:
    """Open the dialog, move the bar of a list to a name, and take it."""
    await pilot.press("ctrl+t")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
    await pilot.press("left" if list_id == "#models" else "right")
    await move_to(pilot, name, list_id)
    await pilot.press("enter")
    await wait_until(pilot, lambda: not isinstance(pilot.app.screen, ChooseScreen))


async def move_to(pilot: Pilot[None], name: str, list_id: str) -> None:
    listed = pilot.app.screen.query_one(list_id, OptionList)
    await pilot.press("home")
    for _ in range(listed.option_count):
        assert listed.highlighted is not None
        prompt = str(listed.get_option_at_index(listed.highlighted).prompt)
        if name in prompt.split():
            return
        await pilot.press("down")
    raise AssertionError(f"{name} is not in the list:\n{screen_text(pilot)}")


async def ask(pilot: Pilot[None], text: str) -> None:
    await type_text(pilot, text)
    await pilot.press("enter")
    await wait_until(pilot, lambda: "ready" in status(pilot) and not shows(pilot, f"│ {text}"))


def written_with(store: Store) -> list[tuple[str, str]]:
    """Model and preamble of each answer."""
    (head,) = store.conversations()
    turns = store.turns(head.id)
    return [(turn.model, turn.preamble) for turn in turns if turn.role == "assistant"]


class TestPreamble:
    async def test_another_preamble_does_not_load_the_model_again(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened() as pilot:
            engine.enqueue(*answer("One."))
            await ask(pilot, "first")
            await choose(pilot, "zero-shot", "#preambles")
            await wait_until(pilot, lambda: "ready" in status(pilot))
            engine.enqueue(*answer("Two."))
            await ask(pilot, "second")
            assert len(engine.loads) == 1
            assert written_with(store) == [("tiny", "urial-k1"), ("tiny", "zero-shot")]
            assert shows(pilot, "tiny  under zero-shot, before under urial-k1")
            assert "tiny · zero-shot" in screen_text(pilot).splitlines()[0]

    async def test_the_model_is_shown_the_new_preamble_and_the_turns_in_its_format(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            engine.enqueue(*answer("One."))
            await ask(pilot, "first")
            await choose(pilot, "vanilla-icl", "#preambles")
            await ask(pilot, "second")
            before, after = engine.requests
            assert after.preamble != before.preamble
            assert "first" in shown_turns(after)
            assert "One." in shown_turns(after)

    async def test_a_preamble_that_does_not_fit_leaves_the_one_in_use(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened() as pilot:
            engine.enqueue_prepare(EngineError("The preamble is too long.", "Take a shorter one."))
            await choose(pilot, "urial-k8", "#preambles")
            await wait_until(pilot, lambda: shows(pilot, "✖ The preamble is too long."))
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert shows(pilot, "tiny under urial-k1 goes on.")
            await ask(pilot, "first")
            assert written_with(store) == [("tiny", "urial-k1")]

    async def test_a_question_waits_for_the_preamble(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        gate = Gate()
        async with opened() as pilot:
            engine.enqueue_prepare(prefill("preamble", 100, 1190), gate)
            await choose(pilot, "urial-k3", "#preambles")
            await wait_until(
                pilot, lambda: "reading the preamble 100 of 1,190 tokens" in status(pilot)
            )
            await type_text(pilot, "early")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "waits for the model"))
            gate.open()
            await wait_until(pilot, lambda: shows(pilot, "Certainly."))
            assert written_with(store) == [("tiny", "urial-k3")]

    async def test_what_it_costs_is_told_where_it_was_measured(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await pilot.press("ctrl+t")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
            await pilot.press("right")
            await wait_until(pilot, lambda: shows(pilot, "512 tokens for tiny"))
            await move_to(pilot, "urial-k8", "#preambles")
            await wait_until(pilot, lambda: shows(pilot, "8 examples"))
            assert not shows(pilot, "tokens for tiny")

    async def test_an_unsound_one_says_why_and_is_not_taken(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        own = paths.user_prompts_dir()
        own.mkdir(parents=True)
        (own / "broken.toml").write_text("title = 3\n")
        async with opened() as pilot:
            await pilot.press("ctrl+t")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
            await pilot.press("right")
            await move_to(pilot, "broken", "#preambles")
            await wait_until(pilot, lambda: shows(pilot, "a mistake"))
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "can't be used"))
            assert isinstance(pilot.app.screen, ChooseScreen)


class TestKeeping:
    async def test_what_is_in_use_can_be_kept_for_the_next_start(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        file = paths.settings_file()
        file.parent.mkdir(parents=True)
        file.write_text('# mine\n[chat]\nmodel = "old"  # of last year\n')
        async with opened() as pilot:
            await choose(pilot, "urial-k8", "#preambles")
            await wait_until(pilot, lambda: "ready" in status(pilot))
            await pilot.press("alt+t")
            await wait_until(pilot, lambda: shows(pilot, "from now on"))
        chat = load_settings().chat
        assert (chat.model, chat.preamble) == ("tiny", "urial-k8")
        assert "# of last year" in file.read_text()

    async def test_unsound_settings_are_left_alone(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        file = paths.settings_file()
        async with opened() as pilot:
            file.parent.mkdir(parents=True)
            file.write_text("[chat\n")
            await pilot.press("alt+t")
            await wait_until(pilot, lambda: shows(pilot, "✖"))
            assert file.read_text() == "[chat\n"


@pytest.mark.usefixtures("second")
class TestModel:
    async def test_the_conversation_goes_on_with_another_model(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened(find_model=find) as pilot:
            engine.enqueue(*answer("One."))
            await ask(pilot, "first")
            await choose(pilot, "second.gguf")
            await wait_until(pilot, lambda: "ready" in status(pilot))
            await ask(pilot, "second")
            assert [model for model, _ in written_with(store)] == ["tiny", "second.gguf"]
            assert "One." in shown_turns(engine.requests[-1])
            assert len(engine.loads) == 2

    async def test_loading_is_shown_while_it_lasts(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        async with opened(find_model=find) as pilot:
            engine.enqueue_load(LoadProgress(id=0, fraction=0.3), gate)
            await choose(pilot, "second.gguf")
            await wait_until(pilot, lambda: "loading 30%" in status(pilot))
            await pilot.press("ctrl+t")
            await wait_until(pilot, lambda: shows(pilot, "A model is being loaded"))
            gate.open()
            await wait_until(pilot, lambda: "ready" in status(pilot))

    async def test_one_that_is_not_found_leaves_the_one_that_is_loaded(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        def find_one(name: str, progress: object) -> Found:
            if name != "tiny":
                raise ModelError("There is no such model.", "Look again.")
            return Found(name=name)

        async with opened(find_model=find_one) as pilot:
            await choose(pilot, "second.gguf")
            await wait_until(pilot, lambda: shows(pilot, "✖ There is no such model."))
            await wait_until(pilot, lambda: "ready" in status(pilot))
            await ask(pilot, "first")
            assert written_with(store) == [("tiny", "urial-k1")]
            assert len(engine.loads) == 1

    @pytest.mark.parametrize(
        "error", [EngineError("It is damaged.", "Get it again."), EngineDied("It died.", "Again.")]
    )
    async def test_one_that_fails_to_load_brings_the_one_before_back(
        self, opened: Opened, engine: ScriptedEngine, store: Store, error: EngineError
    ) -> None:
        async with opened(find_model=find) as pilot:
            engine.enqueue_load(LoadProgress(id=0, fraction=0.3), error)
            await choose(pilot, "second.gguf")
            await wait_until(pilot, lambda: shows(pilot, f"✖ {error.message}"))
            assert shows(pilot, "tiny under urial-k1 goes on.")
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert len(engine.loads) == 3
            await ask(pilot, "first")
            assert written_with(store) == [("tiny", "urial-k1")]

    async def test_not_while_an_answer_is_written(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(gate)
        async with opened(find_model=find) as pilot:
            await type_text(pilot, "first")
            await pilot.press("enter")
            await wait_until(pilot, gate.reached.is_set)
            await pilot.press("ctrl+t")
            await wait_until(pilot, lambda: shows(pilot, "An answer is being written"))
            assert not isinstance(pilot.app.screen, ChooseScreen)
            gate.open()
            await wait_until(pilot, lambda: "ready" in status(pilot))

    async def test_another_answer_names_who_wrote_it(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        async with opened(find_model=find) as pilot:
            engine.enqueue(*answer("One."))
            await ask(pilot, "first")
            await choose(pilot, "second.gguf")
            await wait_until(pilot, lambda: "ready" in status(pilot))
            engine.enqueue(gate)
            await pilot.press("f5")
            await wait_until(pilot, gate.reached.is_set)
            assert "second.gguf" in [line.strip() for line in screen_text(pilot).splitlines()]
            gate.open()
            await wait_until(pilot, lambda: shows(pilot, "second.gguf  ‹ 2/2 ›"))

    async def test_a_file_is_taken_by_its_path(
        self, opened: Opened, engine: ScriptedEngine, tiny_models: Path, store: Store
    ) -> None:
        async with opened(find_model=find, size=(120, 40)) as pilot:
            await pilot.press("ctrl+t")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
            await pilot.press("end", "enter")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickFileScreen))
            pilot.app.screen.query_one("#file-path").focus()
            path = str(tiny_models / "tiny-llama.gguf")
            await type_text(pilot, path)
            await wait_until(pilot, lambda: shows(pilot, "Enter takes it."))
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "tiny-llama.gguf under urial-k1"))
            await pilot.press("enter")
            await wait_until(pilot, lambda: "ready" in status(pilot))
            await ask(pilot, "first")
            assert written_with(store) == [(path, "urial-k1")]

    async def test_escape_changes_nothing(self, opened: Opened, engine: ScriptedEngine) -> None:
        async with opened(find_model=find) as pilot:
            await pilot.press("ctrl+t")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
            await pilot.press("down", "escape")
            await wait_until(pilot, lambda: not isinstance(pilot.app.screen, ChooseScreen))
            assert "ready" in status(pilot)
            assert len(engine.loads) == 1

    async def test_the_palette_leads_to_the_preambles(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(find_model=find) as pilot:
            commands = pilot.app.get_system_commands(pilot.app.screen)
            next(command for command in commands if command.title == "Preamble").callback()
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
            assert pilot.app.focused is not None
            assert pilot.app.focused.id == "preambles"


async def test_tiny_models_take_over_from_each_other(
    opened: Opened, store: Store, llama_gguf: Path, sliding_window_gguf: Path
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
    async with opened(
        engine_factory=Engine,
        find_model=lambda name, progress: Found(name=name, path=files[name]),
        preamble=find_preamble("zero-shot"),
        settings=settings,
    ) as pilot:
        await ask(pilot, "one")
        await choose(pilot, "second.gguf")
        await wait_until(pilot, lambda: "ready" in status(pilot))
        await ask(pilot, "two")
        (head,) = store.conversations()
        await wait_until(pilot, lambda: store.turns(head.id)[-1].stop_reason is not None)
        assert [model for model, _ in written_with(store)] == ["tiny", "second.gguf"]
        keys = {turn.ids_key for turn in store.turns(head.id) if turn.role == "assistant"}
        assert len(keys) == 2


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("key", ["left", "right"], ids=["models", "preambles"])
def test_the_dialog_looks_the_same(
    snap_compare: Callable[..., bool],
    make_app: Callable[..., UrialApp],
    size: tuple[int, int],
    key: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("urial_tui.models.fit.memory_now", lambda **_: _memory())
    monkeypatch.setattr("urial_tui.models.registry.is_packaged", lambda entry: entry.package != "")

    async def prepare(pilot: Pilot[Any]) -> None:
        await wait_until(pilot, lambda: "ready" in status(pilot))
        await pilot.press("ctrl+t")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
        await pilot.press("down", "down", key, *(["down"] if key == "right" else []))
        await wait_until(pilot, lambda: shows(pilot, "LoRA" if key == "left" else "examples"))

    assert snap_compare(make_app(find_model=find), terminal_size=size, run_before=prepare)


def _memory() -> object:
    from urial_tui.memory import MachineMemory

    return MachineMemory(total=8_000_000_000, available=4_000_000_000)
