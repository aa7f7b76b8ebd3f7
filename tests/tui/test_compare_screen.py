"""The compare screen, driven by its keys: on a scripted comparison, and on a real worker."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.command import CommandList
from textual.pilot import Pilot
from textual.widgets import Input

from tests import tinygguf
from tests.conftest import TEMPLATE_WORKER, workers
from tests.hostile_templates import REFUSED, SLOW
from tests.scripted import Gate, ScriptedEngine, answer
from tests.tui.comparisons import Script, loading, scoring, written
from tests.tui.conftest import (
    Found,
    Opened,
    screen_text,
    shows,
    status,
    type_text,
    wait_until,
)
from urial_tui.chat.store import Store
from urial_tui.compare.one_by_one import OneByOne
from urial_tui.compare.runner import Comparison, comparison_of
from urial_tui.compare.side_pair import Rechosen
from urial_tui.compare.vocab import ByteAgreement, VocabRelation
from urial_tui.engine.client.engine import Engine
from urial_tui.errors import EngineDied, EngineError, ModelError
from urial_tui.memory import MachineMemory
from urial_tui.models.memory_need import PROCESS_BYTES
from urial_tui.models.registry import list_models
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.memory_plan import PLAN, MemoryPlan
from urial_tui.settings import ChatSettings, EngineSettings, Settings
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.compare.compare_screen import CompareScreen
from urial_tui.tui.compare.comparison_engine import ComparisonEngine
from urial_tui.tui.compare.token_detail import TokenDetail
from urial_tui.tui.drawing.curves import draw, heights
from urial_tui.tui.drawing.figures import bar, percent
from urial_tui.tui.drawing.token_strip import TokenStrip, lay_out
from urial_tui.tui.drawing.token_text import cell_width, quoted, visible
from urial_tui.tui.frame.factories import make_comparison_engine
from urial_tui.tui.widgets.prompt import Prompt

ANSWER = [
    ("Hello", 12),
    ("!", 2),
    (" Learning", 1),
    (" a", 1),
    (" language", 1),
    (" takes", 3),
    (" time", 1),
    (":", 1),
    ("\n\n", 1),
    ("1", 4),
    (".", 1),
    (" Listen", 250),
    (" a", 1),
    (" lot", 1),
    (".", 1),
    ("\n", 1),
    ("2", 1),
    (".", 1),
    (" Speak", 1),
    (" every", 2),
    (" day", 1),
    (".", 1),
    ("", 9),
]
"""A text that Markdown would number, with shifted tokens at 0, 9, 11 and its end."""
SHIFTED = [0, 9, 11, 22]


@pytest.fixture
def script() -> Script:
    return Script(ANSWER)


@pytest.fixture
def comparing(opened: Opened, script: Script) -> Opened:
    """Open the compare screen from the chat."""

    @contextlib.asynccontextmanager
    async def open_it(
        *, key: str = "f2", size: tuple[int, int] = (80, 24), **changes: Any
    ) -> AsyncIterator[Pilot[None]]:
        arguments: dict[str, Any] = {
            "comparison_factory": script.comparison_engine,
            "list_models": lambda: ["tiny", "tiny-chat"],
        }
        async with opened(size=size, **(arguments | changes)) as pilot:
            if key:
                await pilot.press(key)
                await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
                await pilot.pause()
            yield pilot

    return open_it


def screen(pilot: Pilot[None]) -> CompareScreen:
    found = pilot.app.screen
    assert isinstance(found, CompareScreen)
    return found


def strip(pilot: Pilot[None]) -> TokenStrip:
    return screen(pilot).query_one(TokenStrip)


def line(pilot: Pilot[None], number: int) -> str:
    return screen_text(pilot).split("\n")[number]


def tells(pilot: Pilot[None], text: str) -> bool:
    return text in status(pilot)


async def compare(pilot: Pilot[None], question: str = "How?") -> None:
    """Ask, and wait for the result."""
    await type_text(pilot, question)
    await pilot.press("enter")
    await done(pilot)


async def done(pilot: Pilot[None]) -> None:
    await wait_until(
        pilot,
        lambda: isinstance(pilot.app.screen, CompareScreen) and screen(pilot).result is not None,
    )
    await wait_until(pilot, lambda: "token" in status(pilot))


class TestOpening:
    async def test_a_key_opens_it_and_esc_goes_back_to_the_chat(self, comparing: Opened) -> None:
        async with comparing() as pilot:
            assert shows(pilot, "What does alignment change?")
            assert "tiny" in line(pilot, 0)
            assert "zero-shot" in line(pilot, 0)
            assert "urial-k1" in line(pilot, 1)
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))

    async def test_the_palette_opens_it(self, comparing: Opened) -> None:
        async with comparing(key="") as pilot:
            await pilot.press("ctrl+p")
            await type_text(pilot, "compare two")
            offers = pilot.app.screen.query_one(CommandList)
            first = "Compare two models  F2"
            await wait_until(
                pilot, lambda: [str(one.prompt) for one in offers.options[:1]] == [first]
            )
            await pilot.press("enter")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))

    async def test_an_aligned_partner_on_this_machine_is_proposed(self, comparing: Opened) -> None:
        async with comparing(
            key="", model="gemma-3-270m", find_model=lambda name, progress: Found(name=name)
        ) as pilot:
            here = {status.name for status in list_models() if status.state != "absent"}
            await pilot.press("f2")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
            expected = "gemma-3-270m-sft" if "gemma-3-270m-sft" in here else "urial-k1"
            assert expected in line(pilot, 1)

    async def test_the_newest_answer_is_compared_as_it_was_written(
        self, comparing: Opened, engine: ScriptedEngine, script: Script
    ) -> None:
        async with comparing(key="") as pilot:
            for question, reply in (("One?", "First."), ("Two?", "Second **answer**.")):
                engine.enqueue(*answer(reply))
                await type_text(pilot, question)
                await pilot.press("enter")
                await wait_until(pilot, partial(shows, pilot, reply[:6]))
                await wait_until(pilot, lambda: "ready" in status(pilot))
            await pilot.press("f3")
            await done(pilot)
            assert strip(pilot).has_focus
            assert script.given == ["Second **answer**."]
            assert script.queries == ["Two?"]
            ((base, aligned, _, _),) = script.opened
            assert (base.context.name, aligned.context.name) == ("zero-shot", "urial-k1")
            assert base.path == aligned.path
            assert shows(pilot, "left out of the")

    async def test_without_an_answer_it_says_so(self, comparing: Opened) -> None:
        async with comparing(key="") as pilot:
            await pilot.press("f3")
            await wait_until(pilot, lambda: shows(pilot, "no answer to compare yet"))
            assert isinstance(pilot.app.screen, ChatScreen)

    async def test_not_while_an_answer_is_written(
        self, comparing: Opened, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(gate)
        async with comparing(key="") as pilot:
            await type_text(pilot, "One?")
            await pilot.press("enter")
            await wait_until(pilot, gate.reached.is_set)
            await pilot.press("f2")
            await wait_until(pilot, lambda: shows(pilot, "One answer at a time"))
            assert isinstance(pilot.app.screen, ChatScreen)


class TestRunning:
    async def test_progress_is_told(self, comparing: Opened, script: Script) -> None:
        gates = [Gate() for _ in range(3)]
        script.opening = [*loading(0.4), gates[0]]
        script.writing = [*written("So it is"), gates[1]]
        script.scoring = [scoring(128, 500), gates[2]]
        async with comparing() as pilot:
            await type_text(pilot, "How?")
            await pilot.press("enter")
            for gate, told in zip(
                gates,
                ("loading the base side 40%", "answering: 3 tokens", "scoring 128 of 500"),
                strict=True,
            ):
                await wait_until(pilot, partial(tells, pilot, told))
                gate.open()
            await done(pilot)
            assert script.queries == ["How?"]

    async def test_stopped_while_it_is_written_the_answer_so_far_is_scored(
        self, comparing: Opened, script: Script
    ) -> None:
        script.writing = [*written("Only this much"), Gate()]
        async with comparing() as pilot:
            await type_text(pilot, "How?")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "Only this much"))
            await pilot.press("escape")
            await done(pilot)
            assert script.given == ["Only this much"]
            assert "stopped early" in status(pilot)

    async def test_that_the_streamed_answer_changes_is_said_before_it_does(
        self, comparing: Opened, script: Script
    ) -> None:
        gates = [Gate(), Gate()]
        chosen = Rechosen(at=2, written=" was", chosen=" is", text="So it is", ids=(1, 2, 3))
        script.writing = [*written("So it was not"), chosen, gates[0], *written("So it is so")]
        script.scoring = [gates[1]]
        script.rechosen = 1
        async with comparing() as pilot:
            await type_text(pilot, "How?")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "Token 3 becomes ·is"))
            assert shows(pilot, "So it was not")
            gates[0].open()
            await wait_until(pilot, gates[1].reached.is_set)
            await wait_until(pilot, lambda: shows(pilot, "So it is so"))
            assert "answering: 7 tokens" in status(pilot), "three, and four more"
            gates[1].open()
            await done(pilot)
            assert "1 rechosen" in status(pilot)

    async def test_stopped_behind_a_rechosen_token_what_is_valid_is_scored(
        self, comparing: Opened, script: Script
    ) -> None:
        chosen = Rechosen(at=2, written=" was", chosen=" is", text="So it is", ids=(1, 2, 3))
        script.writing = [*written("So it was not"), chosen, *written("So it is so"), Gate()]
        async with comparing() as pilot:
            await type_text(pilot, "How?")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "So it is so"))
            await pilot.press("escape")
            await done(pilot)
            assert script.given == ["So it is so"]

    async def test_stopped_while_it_is_scored_the_text_stays(
        self, comparing: Opened, script: Script
    ) -> None:
        gate = Gate()
        script.writing = written("All of it")
        script.scoring = [scoring(0, 10), gate]
        async with comparing() as pilot:
            await type_text(pilot, "How?")
            await pilot.press("enter")
            await wait_until(pilot, gate.reached.is_set)
            await pilot.press("escape")
            await wait_until(pilot, lambda: "stopped, not scored" in status(pilot))
            assert shows(pilot, "All of it")
            assert screen(pilot).result is None
            # And it can be made up for.
            script.scoring = []
            await pilot.press("ctrl+r")
            await done(pilot)

    @pytest.mark.parametrize(
        "error",
        [
            ModelError("The model tiny is not on this machine.", "Fetch it."),
            EngineError("The model has no chat template.", "Choose another context."),
            EngineDied("The engine stopped: it was ended by SIGKILL.", "Try again."),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_a_failure_is_a_banner_and_it_can_be_tried_again(
        self, comparing: Opened, script: Script, error: Exception
    ) -> None:
        script.opening = [error]
        async with comparing() as pilot:
            await type_text(pilot, "How?")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, f"✖ {str(error)[:25]}"))
            assert "failed" in status(pilot)
            script.opening = []
            await pilot.press("ctrl+r")
            await done(pilot)
            assert not shows(pilot, "✖")

    async def test_models_are_loaded_once_for_several_questions(
        self, comparing: Opened, script: Script
    ) -> None:
        async with comparing() as pilot:
            await compare(pilot, "One?")
            await pilot.press("shift+tab")
            await wait_until(pilot, lambda: screen(pilot).query_one(Prompt).has_focus)
            screen(pilot).query_one(Prompt).clear_text()
            await compare(pilot, "Two?")
            assert script.queries == ["One?", "Two?"]
            assert len(script.opened) == 1

    async def test_leaving_while_it_runs_takes_two_keys_and_leaves_no_worker(
        self, comparing: Opened, script: Script
    ) -> None:
        gate = Gate()
        script.opening = [gate]
        async with comparing() as pilot:
            await type_text(pilot, "How?")
            await pilot.press("enter")
            await wait_until(pilot, gate.reached.is_set)
            await pilot.press("escape")
            await wait_until(pilot, lambda: "stopped" in status(pilot))
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
            await wait_until(pilot, lambda: script.engine.closed)


class TestTokens:
    async def test_keys_move_over_the_tokens(self, comparing: Opened) -> None:
        async with comparing() as pilot:
            await compare(pilot)
            last = len(ANSWER) - 1
            for key, expected in (
                ("right", 1),
                ("left", 0),
                ("left", 0),
                ("end", last),
                ("right", last),
                ("home", 0),
                ("down", 9),
                ("down", 16),
                ("up", 9),
                ("up", 0),
            ):
                await pilot.press(key)
                await pilot.pause()
                assert strip(pilot).cursor == expected, key
                detail = screen(pilot).query_one(TokenDetail).position
                assert detail is not None
                assert detail.t == expected

    async def test_n_goes_from_one_shifted_token_to_the_next_and_back(
        self, comparing: Opened
    ) -> None:
        async with comparing() as pilot:
            await compare(pilot)
            seen = [strip(pilot).cursor]
            for _ in range(4):
                await pilot.press("n")
                seen.append(strip(pilot).cursor)
            assert seen == [*SHIFTED, SHIFTED[-1]]
            await pilot.press("N")
            assert strip(pilot).cursor == SHIFTED[-2]

    async def test_the_token_is_shown_with_both_sides_numbers(self, comparing: Opened) -> None:
        async with comparing() as pilot:
            await compare(pilot)
            await pilot.press("right")
            await wait_until(pilot, lambda: shows(pilot, "! "))
            text = screen_text(pilot)
            assert "~ marginal  base rank 2" in text
            assert "token 2 of 23" in text
            assert "KL(aligned‖base) 0.693  KL(base‖aligned) 0.347" in text
            assert "p base 30.0%  aligned 70.0%  entropy base 2.50  aligned 1.25" in text
            assert text.count("▸!") == 2
            # Ten of each side, the tenth among them.
            assert text.count("·other909") == 2

    async def test_blank_tokens_can_be_seen(self, comparing: Opened) -> None:
        async with comparing() as pilot:
            await compare(pilot)
            assert shows(pilot, "time:↵↵")
            assert shows(pilot, "lot.↵")

    async def test_a_click_goes_to_a_token(self, comparing: Opened) -> None:
        async with comparing() as pilot:
            await compare(pilot)
            await pilot.click(TokenStrip, offset=(4, 1))
            assert strip(pilot).cursor in (10, 11)

    async def test_where_there_is_no_room_f4_shows_the_answer_as_a_whole(
        self, comparing: Opened
    ) -> None:
        async with comparing() as pilot:
            await compare(pilot)
            assert shows(pilot, "unshifted 72.7%")
            assert not shows(pilot, "most shifted")
            await pilot.press("f4")
            await wait_until(pilot, lambda: shows(pilot, "most shifted"))
            assert shows(pilot, "Hello 1/1")
            assert shows(pilot, "base rank, log")
            assert not shows(pilot, "KL(base‖aligned)")

    async def test_where_there_is_room_everything_is_shown(self, comparing: Opened) -> None:
        async with comparing(size=(120, 40)) as pilot:
            await compare(pilot)
            for part in ("most shifted", "base rank, log", "KL(base‖aligned)", "special tokens"):
                assert shows(pilot, part), part

    async def test_another_size_keeps_the_cursor_in_view(self, comparing: Opened) -> None:
        async with comparing() as pilot:
            await compare(pilot)
            await pilot.press("end")
            await pilot.resize_terminal(50, 24)
            await pilot.pause()
            assert strip(pilot).cursor == len(ANSWER) - 1
            assert shows(pilot, "<end_of_turn>")

    async def test_foreign_text_is_no_markup_and_no_escape_sequence(
        self, comparing: Opened, script: Script
    ) -> None:
        script.answer = [("[bold]x[/]", 1), ("\x1b[31m", 7), ("\u202e", 1), ("$primary", 2)]
        async with comparing(size=(120, 40)) as pilot:
            await compare(pilot, "[red]How?")
            text = screen_text(pilot)
            assert "[bold]x[/]␛[31m" in text
            assert "$primary" in text
            assert "\x1b" not in text
            assert "\u202e" not in text

    async def test_an_answer_without_a_token(self, comparing: Opened, script: Script) -> None:
        script.answer = []
        async with comparing() as pilot:
            await compare(pilot)
            await pilot.press("right", "n", "end", "down", "f4")
            assert "0 tokens" in status(pilot)

    async def test_different_vocabularies_show_what_is_comparable(
        self, comparing: Opened, script: Script
    ) -> None:
        script.relation = VocabRelation(relation="different", base_size=9, aligned_size=7)
        script.agreement = ByteAgreement(
            n_bytes=40,
            bits_per_byte_base=1.5,
            bits_per_byte_aligned=0.75,
            boundaries=12,
            agreement=0.5,
            exact=0.25,
        )
        async with comparing() as pilot:
            await type_text(pilot, "How?")
            await pilot.press("enter")
            await wait_until(pilot, lambda: "compared by bytes" in status(pilot))
            assert shows(pilot, "Different vocabularies")
            assert shows(pilot, "base 1.500  aligned 0.750")
            assert shows(pilot, "50.0% of 12 places")
            assert shows(pilot, "Learning a language")


class TestSides:
    async def test_a_side_is_picked_from_lists(self, comparing: Opened, script: Script) -> None:
        async with comparing() as pilot:
            await compare(pilot)
            await pilot.press("f3")
            await wait_until(pilot, lambda: shows(pilot, "The aligned side: tiny"))
            assert not shows(pilot, "the other side's tokens")
            await pilot.press("down", "enter", "home", "down", "enter")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
            assert "tiny-chat" in line(pilot, 1)
            assert "context chat" in line(pilot, 1)
            # What was compared is no longer what is chosen.
            assert screen(pilot).result is None
            await pilot.press("ctrl+r")
            await done(pilot)
            assert script.opened[-1][1].name == "tiny-chat"
            assert script.opened[-1][1].context.name == "chat"

    async def test_a_path_is_a_model_and_same_is_for_the_base_side(
        self, comparing: Opened, script: Script
    ) -> None:
        async with comparing() as pilot:
            await pilot.press("f2")
            await wait_until(pilot, lambda: shows(pilot, "The base side"))
            assert shows(pilot, "the other side's tokens")
            pilot.app.screen.query_one(Input).focus()
            await type_text(pilot, "m/x.gguf")
            await pilot.press("enter", "home", *["down"] * 3, "enter")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
            assert "m/x.gguf" in line(pilot, 0)
            await compare(pilot)
            ((base, _, _, _),) = script.opened
            assert (base.name, base.context.name) == ("m/x.gguf", "same")

    async def test_esc_changes_nothing(self, comparing: Opened) -> None:
        async with comparing() as pilot:
            await compare(pilot)
            await pilot.press("f2")
            await wait_until(pilot, lambda: shows(pilot, "The base side"))
            await pilot.press("down", "escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
            assert screen(pilot).result is not None

    async def test_the_keys_are_listed(self, comparing: Opened) -> None:
        async with comparing(size=(120, 50)) as pilot:
            await compare(pilot)
            await pilot.press("f1")
            await wait_until(pilot, lambda: shows(pilot, "Next shifted token"))
            for what in ("Shift+N", "Change the base side", "Compare again", "First token"):
                assert shows(pilot, what), what


class TestRealWorker:
    """Two tiny models with one vocabulary and other weights."""

    @pytest.fixture
    def real(self, llama_gguf: Path, tmp_path: Path) -> dict[str, Any]:
        other = tinygguf.write_llama(tmp_path / "other.gguf", seed=7)
        files = {"tiny": llama_gguf, "tiny-chat": other}

        def find(name: str, progress: object) -> Found:
            return Found(name=name, path=files[name])

        return {
            "find_model": find,
            "comparison_factory": make_comparison_engine,
            "settings": Settings(
                chat=ChatSettings(max_tokens=40), engine=EngineSettings(context=1024, threads=1)
            ),
        }

    async def test_two_models_are_compared_and_the_worker_ends_with_the_screen(
        self, comparing: Opened, real: dict[str, Any], home: Path
    ) -> None:
        async with comparing(size=(120, 40), **real) as pilot:
            await pilot.press("f3")
            await wait_until(pilot, lambda: shows(pilot, "The aligned side"))
            await pilot.press("down", "enter", "home", "enter")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
            await compare(pilot, "Hello world")
            result = screen(pilot).result
            assert result is not None
            assert result.relation == "identical"
            assert 0 < len(result.positions) <= 41
            # Other weights: the base side does not say the same all the time.
            assert result.summary.unshifted is not None
            assert result.summary.unshifted < 1
            assert len(workers(home)) == 1
            await pilot.press("escape")
            await wait_until(pilot, lambda: not workers(home))

    async def test_quitting_in_the_middle_leaves_no_worker(
        self, comparing: Opened, real: dict[str, Any], home: Path, endless_gguf: Path
    ) -> None:
        changes: dict[str, Any] = {
            "find_model": lambda name, progress: Found(name=name, path=endless_gguf),
            "settings": Settings(
                chat=ChatSettings(max_tokens=3000), engine=EngineSettings(context=4096, threads=1)
            ),
        }
        async with comparing(**(real | changes)) as pilot:
            await pilot.press("f3")
            await wait_until(pilot, lambda: shows(pilot, "The aligned side"))
            await pilot.press("enter", "home", "enter")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
            await type_text(pilot, "Hello")
            await pilot.press("enter")
            await wait_until(pilot, lambda: "answering" in status(pilot))
            assert len(workers(home)) == 1
            await pilot.press("ctrl+q")
        assert not workers(home)

    async def test_a_model_against_itself_is_unshifted(
        self, comparing: Opened, real: dict[str, Any]
    ) -> None:
        async with comparing(**real) as pilot:
            await pilot.press("f3")
            await wait_until(pilot, lambda: shows(pilot, "The aligned side"))
            await pilot.press("enter", "home", "enter")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
            await compare(pilot, "Hello world")
            assert shows(pilot, "unshifted 100.0%")
            assert shows(pilot, "KL(aligned‖base) 0.000")

    async def test_without_room_for_both_they_are_loaded_one_after_the_other(
        self, comparing: Opened, real: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[Comparison] = []

        def make(*sides: Any, **how: Any) -> Comparison:
            plan = MemoryPlan(lambda **_: MachineMemory(total=10**12, available=1000))
            opened.append(comparison_of(*sides, **how, plan=plan))
            return opened[-1]

        real["comparison_factory"] = lambda find: ComparisonEngine(Engine, find, make)
        async with comparing(size=(120, 40), **real) as pilot:
            await pilot.press("f3")
            await wait_until(pilot, lambda: shows(pilot, "The aligned side"))
            await pilot.press("down", "enter", "home", "enter")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
            await compare(pilot, "Hello world")
            result = screen(pilot).result
            assert result is not None
            assert 0 < len(result.positions) <= 41
            (comparison,) = opened
            assert isinstance(comparison.strategy, OneByOne)

    async def test_the_chat_gives_way_and_is_loaded_again_when_one_comes_back(
        self, comparing: Opened, real: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def read(*, leaving: object, promised: dict[int, int]) -> MachineMemory:
            # Room for one worker, not for two.
            total = PROCESS_BYTES + 70_000_000
            return MachineMemory(total=total, available=total - sum(promised.values()))

        monkeypatch.setattr(PLAN, "_read_memory", read)
        chats = Engine()
        preamble = find_preamble("zero-shot")
        async with comparing(engine_factory=lambda: chats, preamble=preamble, **real) as pilot:
            await pilot.press("f3")
            await wait_until(pilot, lambda: shows(pilot, "The aligned side"))
            await pilot.press("enter", "home", "enter")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
            loaded = [len(chats.models)]
            await compare(pilot, "Hello world")
            loaded.append(len(chats.models))
            assert loaded == [1, 0]
            assert screen(pilot).result is not None
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
            await wait_until(pilot, lambda: "ready" in status(pilot))
            await wait_until(pilot, lambda: bool(chats.models))

    async def test_a_chat_answer_is_compared_with_its_own_tokens(
        self, comparing: Opened, real: dict[str, Any], store: Store
    ) -> None:
        """A model with random weights writes tokens that nobody would cut its text into."""
        async with comparing(
            key="", engine_factory=Engine, preamble=find_preamble("zero-shot"), **real
        ) as pilot:
            await type_text(pilot, "Query?")
            await pilot.press("enter")
            await wait_until(pilot, partial(answered, store))
            await pilot.press("f3")
            await done(pilot)
            result = screen(pilot).result
            assert result is not None
            (listed,) = store.conversations()
            ids = store.turns(listed.id)[-1].ids
            assert ids
            assert tuple(position.id for position in result.positions)[: len(ids)] == ids

    async def test_a_side_without_a_template_is_told_in_a_sentence(
        self, comparing: Opened, real: dict[str, Any], home: Path
    ) -> None:
        async with comparing(**real) as pilot:
            await pilot.press("f3")
            await wait_until(pilot, lambda: shows(pilot, "The aligned side"))
            await pilot.press("enter", "home", "down", "enter")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
            await type_text(pilot, "Hello")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "has no chat template"))

    @pytest.mark.parametrize("name", ["a macro that calls itself", "doubled text", "an open block"])
    async def test_a_hostile_template_is_told_in_a_sentence(
        self, comparing: Opened, real: dict[str, Any], home: Path, name: str
    ) -> None:
        real["find_model"] = with_template(real["find_model"], REFUSED[name])
        async with comparing(**real) as pilot:
            await choose_chat(pilot)
            await wait_until(pilot, lambda: shows(pilot, "The chat template of"))

    async def test_a_template_without_end_can_be_ended(
        self, comparing: Opened, real: dict[str, Any], home: Path
    ) -> None:
        real["find_model"] = with_template(real["find_model"], SLOW["nested ranges"])
        async with comparing(**real) as pilot:
            before = workers(home, TEMPLATE_WORKER)
            await choose_chat(pilot)
            await wait_until(pilot, lambda: workers(home, TEMPLATE_WORKER) != before)
            await pilot.press("escape")
            await wait_until(pilot, lambda: "stopped, not scored" in status(pilot))
            assert isinstance(pilot.app.screen, CompareScreen)


def with_template(find: Callable[..., Found], template: str) -> Callable[..., Found]:
    """Finds the same models, with this chat template."""

    def find_one(name: str, progress: object) -> Found:
        return msgspec.structs.replace(find(name, progress), chat_template=template)

    return find_one


async def choose_chat(pilot: Pilot[None]) -> None:
    """Ask a question of the aligned side under its chat template."""
    await pilot.press("f3")
    await wait_until(pilot, lambda: shows(pilot, "The aligned side"))
    await pilot.press("enter", "home", "down", "enter")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
    await type_text(pilot, "Hello")
    await pilot.press("enter")


def answered(store: Store) -> bool:
    """Whether the stored conversation ends with a whole answer."""
    listed = store.conversations()
    turns = store.turns(listed[0].id) if listed else []
    return bool(turns) and turns[-1].stop_reason is not None


# -- the parts ---------------------------------------------------------------------------


def test_lines_are_broken_between_words_and_every_token_is_shown_once() -> None:
    texts = ["The", " quick", " br", "own", " fox", "\n", "is", " 中", "文" * 30, "", "\u0301"]
    for width in range(1, 40):
        lines = lay_out(texts, width)
        assert all(sum(piece.width for piece in line) <= max(2, width) for line in lines)
        shown = [piece.at for line in lines for piece in line]
        assert sorted(set(shown)) == list(range(len(texts)))
        assert shown == sorted(shown)
    assert ["".join(piece.text for piece in line) for line in lay_out(texts[:6], 10)] == [
        "The quick",
        "brown fox↵",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" word", " word"),
        ("  ", "··"),
        ("\n", "↵"),
        ("\t", "→"),
        ("\u00a0", "␣"),
        ("\u200d", "<U+200D>"),
        ("\u0301", "<U+0301>"),
        ("", "⟨7⟩"),
        ("\x1b", "␛"),
    ],
)
def test_no_token_is_invisible(text: str, shown: str) -> None:
    assert visible(text, 7) == shown
    assert cell_width(shown) > 0


def test_a_token_alone_shows_its_spaces() -> None:
    assert quoted(" a word\n") == "·a·word↵"


def test_bars_and_figures() -> None:
    assert bar(1.0, 4) == "████"
    assert bar(0.0, 4) == ""
    assert bar(1e-9, 4) == "▏"
    assert bar(0.5, 1) == "▌"
    assert [percent(value) for value in (None, 0.0, 1e-9, 0.12345, 1.0)] == [
        "-",
        "0.0%",
        "<0.1%",
        "12.3%",
        "100.0%",
    ]


def test_a_curve_loses_no_peak_and_shows_what_is_not_zero() -> None:
    values = [0.0] * 1000
    values[517] = 1.0
    assert max(heights(values, 20, 8)) == 8
    assert heights([0.0, 0.001], 2, 8) == [0, 1]
    assert heights([], 20, 8) == []
    assert draw([8, 0], 2) == ["⡇", "⡇"]
    assert draw([1, 4], 2) == ["⠀", "⣸"]
