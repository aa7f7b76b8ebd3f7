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
from textual.widgets import Input

from tests import tinygguf
from tests.conftest import TEMPLATE_WORKER, workers
from tests.hostile_templates import REFUSED, SLOW
from tests.scripted import Gate, ScriptedEngine
from tests.tui.compare_page import ComparePage
from tests.tui.comparisons import Script, loading, scoring, written
from tests.tui.conftest import Chatting, Found
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
from urial_tui.tui.chat.factories import make_comparison_engine
from urial_tui.tui.compare.compare_screen import CompareScreen
from urial_tui.tui.compare.comparison_engine import ComparisonEngine
from urial_tui.tui.compare.token_detail import TokenDetail
from urial_tui.tui.drawing.curves import draw, heights
from urial_tui.tui.drawing.figures import bar, percent
from urial_tui.tui.drawing.token_strip import TokenStrip, lay_out
from urial_tui.tui.drawing.token_text import cell_width, quoted, visible

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


Comparing = Callable[..., contextlib.AbstractAsyncContextManager[ComparePage]]


@pytest.fixture
def in_chat(chatting: Chatting, script: Script) -> Chatting:
    """Open the chat, from which comparisons play the script."""
    return partial(
        chatting,
        comparison_factory=script.comparison_engine,
        list_models=lambda: ["tiny", "tiny-chat"],
    )


@pytest.fixture
def comparing(in_chat: Chatting) -> Comparing:
    """Open the compare screen from the chat."""

    @contextlib.asynccontextmanager
    async def open_it(**changes: Any) -> AsyncIterator[ComparePage]:
        async with in_chat(**changes) as chat:
            compare = await chat.leads_to(ComparePage)
            await compare.pauses()
            yield compare

    return open_it


class TestOpening:
    async def test_a_key_opens_it_and_esc_goes_back_to_the_chat(self, comparing: Comparing) -> None:
        async with comparing() as compare:
            assert compare.shows("What does alignment change?")
            assert "tiny" in compare.base
            assert "zero-shot" in compare.base
            assert "urial-k1" in compare.aligned
            await compare.presses("escape")
            await compare.is_on(ChatScreen)

    async def test_the_palette_opens_it(self, in_chat: Chatting) -> None:
        async with in_chat() as chat:
            await chat.presses("ctrl+p")
            await chat.types("compare two")
            offers = chat.app.screen.query_one(CommandList)
            first = "Compare two models  F2"
            await chat.until(lambda: [str(one.prompt) for one in offers.options[:1]] == [first])
            await chat.presses("enter")
            await chat.is_on(CompareScreen)

    async def test_an_aligned_partner_on_this_machine_is_proposed(self, in_chat: Chatting) -> None:
        async with in_chat(
            model="gemma-3-270m", find_model=lambda name, progress: Found(name=name)
        ) as chat:
            here = {status.name for status in list_models() if status.state != "absent"}
            compare = await chat.leads_to(ComparePage)
            expected = "gemma-3-270m-sft" if "gemma-3-270m-sft" in here else "urial-k1"
            assert expected in compare.aligned

    async def test_the_newest_answer_is_compared_as_it_was_written(
        self, in_chat: Chatting, engine: ScriptedEngine, script: Script
    ) -> None:
        async with in_chat() as chat:
            for question, reply in (("One?", "First."), ("Two?", "Second **answer**.")):
                await chat.exchanges(question, reply)
            compare = await chat.leads_to(ComparePage, "f3")
            await compare.is_compared()
            assert compare.strip.has_focus
            assert script.given == ["Second **answer**."]
            assert script.queries == ["Two?"]
            ((base, aligned, _, _),) = script.opened
            assert (base.context.name, aligned.context.name) == ("zero-shot", "urial-k1")
            assert base.path == aligned.path
            assert compare.shows("left out of the")

    async def test_without_an_answer_it_says_so(self, in_chat: Chatting) -> None:
        async with in_chat() as chat:
            await chat.presses("f3")
            await chat.reads("no answer to compare yet")
            assert isinstance(chat.app.screen, ChatScreen)

    async def test_not_while_an_answer_is_written(
        self, in_chat: Chatting, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(gate)
        async with in_chat() as chat:
            await chat.asks("One?")
            await chat.until(gate.reached.is_set)
            await chat.presses("f2")
            await chat.reads("One answer at a time")
            assert isinstance(chat.app.screen, ChatScreen)


class TestRunning:
    async def test_progress_is_told(self, comparing: Comparing, script: Script) -> None:
        gates = [Gate() for _ in range(3)]
        script.opening = [*loading(0.4), gates[0]]
        script.writing = [*written("So it is"), gates[1]]
        script.scoring = [scoring(128, 500), gates[2]]
        async with comparing() as compare:
            await compare.asks("How?")
            for gate, told in zip(
                gates,
                ("loading the base side 40%", "answering: 3 tokens", "scoring 128 of 500"),
                strict=True,
            ):
                await compare.status_reads(told)
                gate.open()
            await compare.is_compared()
            assert script.queries == ["How?"]

    async def test_stopped_while_it_is_written_the_answer_so_far_is_scored(
        self, comparing: Comparing, script: Script
    ) -> None:
        script.writing = [*written("Only this much"), Gate()]
        async with comparing() as compare:
            await compare.asks("How?")
            await compare.reads("Only this much")
            await compare.presses("escape")
            await compare.is_compared()
            assert script.given == ["Only this much"]
            assert "stopped early" in compare.status

    async def test_that_the_streamed_answer_changes_is_said_before_it_does(
        self, comparing: Comparing, script: Script
    ) -> None:
        gates = [Gate(), Gate()]
        chosen = Rechosen(at=2, written=" was", chosen=" is", text="So it is", ids=(1, 2, 3))
        script.writing = [*written("So it was not"), chosen, gates[0], *written("So it is so")]
        script.scoring = [gates[1]]
        script.rechosen = 1
        async with comparing() as compare:
            await compare.asks("How?")
            await compare.reads("Token 3 becomes ·is")
            assert compare.shows("So it was not")
            gates[0].open()
            await compare.until(gates[1].reached.is_set)
            await compare.reads("So it is so")
            assert "answering: 7 tokens" in compare.status, "three, and four more"
            gates[1].open()
            await compare.is_compared()
            assert "1 rechosen" in compare.status

    async def test_stopped_behind_a_rechosen_token_what_is_valid_is_scored(
        self, comparing: Comparing, script: Script
    ) -> None:
        chosen = Rechosen(at=2, written=" was", chosen=" is", text="So it is", ids=(1, 2, 3))
        script.writing = [*written("So it was not"), chosen, *written("So it is so"), Gate()]
        async with comparing() as compare:
            await compare.asks("How?")
            await compare.reads("So it is so")
            await compare.presses("escape")
            await compare.is_compared()
            assert script.given == ["So it is so"]

    async def test_stopped_while_it_is_scored_the_text_stays(
        self, comparing: Comparing, script: Script
    ) -> None:
        gate = Gate()
        script.writing = written("All of it")
        script.scoring = [scoring(0, 10), gate]
        async with comparing() as compare:
            await compare.asks("How?")
            await compare.until(gate.reached.is_set)
            await compare.presses("escape")
            await compare.status_reads("stopped, not scored")
            assert compare.shows("All of it")
            assert compare.screen.result is None
            # And it can be made up for.
            script.scoring = []
            await compare.presses("ctrl+r")
            await compare.is_compared()

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
        self, comparing: Comparing, script: Script, error: Exception
    ) -> None:
        script.opening = [error]
        async with comparing() as compare:
            await compare.asks("How?")
            await compare.reads(f"✖ {str(error)[:25]}")
            assert "failed" in compare.status
            script.opening = []
            await compare.presses("ctrl+r")
            await compare.is_compared()
            assert not compare.shows("✖")

    async def test_models_are_loaded_once_for_several_questions(
        self, comparing: Comparing, script: Script
    ) -> None:
        async with comparing() as compare:
            await compare.compares("One?")
            await compare.presses("shift+tab")
            await compare.until(lambda: compare.prompt.has_focus)
            compare.prompt.clear_text()
            await compare.compares("Two?")
            assert script.queries == ["One?", "Two?"]
            assert len(script.opened) == 1

    async def test_leaving_while_it_runs_takes_two_keys_and_leaves_no_worker(
        self, comparing: Comparing, script: Script
    ) -> None:
        gate = Gate()
        script.opening = [gate]
        async with comparing() as compare:
            await compare.asks("How?")
            await compare.until(gate.reached.is_set)
            await compare.presses("escape")
            await compare.status_reads("stopped")
            await compare.presses("escape")
            await compare.is_on(ChatScreen)
            await compare.until(lambda: script.engine.closed)


class TestTokens:
    async def test_keys_move_over_the_tokens(self, comparing: Comparing) -> None:
        async with comparing() as compare:
            await compare.compares()
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
                await compare.presses(key)
                assert compare.strip.cursor == expected, key
                detail = compare.screen.query_one(TokenDetail).position
                assert detail is not None
                assert detail.t == expected

    async def test_n_goes_from_one_shifted_token_to_the_next_and_back(
        self, comparing: Comparing
    ) -> None:
        async with comparing() as compare:
            await compare.compares()
            seen = [compare.strip.cursor]
            for _ in range(4):
                await compare.presses("n")
                seen.append(compare.strip.cursor)
            assert seen == [*SHIFTED, SHIFTED[-1]]
            await compare.presses("N")
            assert compare.strip.cursor == SHIFTED[-2]

    async def test_the_token_is_shown_with_both_sides_numbers(self, comparing: Comparing) -> None:
        async with comparing() as compare:
            await compare.compares()
            await compare.presses("right")
            await compare.reads("! ")
            text = compare.text
            assert "~ marginal  base rank 2" in text
            assert "token 2 of 23" in text
            assert "KL(aligned‖base) 0.693  KL(base‖aligned) 0.347" in text
            assert "p base 30.0%  aligned 70.0%  entropy base 2.50  aligned 1.25" in text
            assert text.count("▸!") == 2
            # Ten of each side, the tenth among them.
            assert text.count("·other909") == 2

    async def test_blank_tokens_can_be_seen(self, comparing: Comparing) -> None:
        async with comparing() as compare:
            await compare.compares()
            assert compare.shows("time:↵↵")
            assert compare.shows("lot.↵")

    async def test_a_click_goes_to_a_token(self, comparing: Comparing) -> None:
        async with comparing() as compare:
            await compare.compares()
            await compare.pilot.click(TokenStrip, offset=(4, 1))
            assert compare.strip.cursor in (10, 11)

    async def test_where_there_is_no_room_f4_shows_the_answer_as_a_whole(
        self, comparing: Comparing
    ) -> None:
        async with comparing() as compare:
            await compare.compares()
            assert compare.shows("unshifted 72.7%")
            assert not compare.shows("most shifted")
            await compare.presses("f4")
            await compare.reads("most shifted")
            assert compare.shows("Hello 1/1")
            assert compare.shows("base rank, log")
            assert not compare.shows("KL(base‖aligned)")

    async def test_where_there_is_room_everything_is_shown(self, comparing: Comparing) -> None:
        async with comparing(size=(120, 40)) as compare:
            await compare.compares()
            for part in ("most shifted", "base rank, log", "KL(base‖aligned)", "special tokens"):
                assert compare.shows(part), part

    async def test_another_size_keeps_the_cursor_in_view(self, comparing: Comparing) -> None:
        async with comparing() as compare:
            await compare.compares()
            await compare.presses("end")
            await compare.resizes(50, 24)
            await compare.pauses()
            assert compare.strip.cursor == len(ANSWER) - 1
            assert compare.shows("<end_of_turn>")

    async def test_the_sides_are_named_where_there_is_little_room(
        self, comparing: Comparing
    ) -> None:
        async with comparing() as compare:
            await compare.compares()
            assert compare.aligned.endswith("vocabularies: identical   F3 change")
            await compare.resizes(40, 24)
            await compare.pauses()
            assert compare.base.split()[:2] == ["base", "tiny"]
            assert compare.aligned.split()[:2] == ["aligned", "tiny"]
            assert not compare.shows("vocabularies")

    async def test_foreign_text_is_no_markup_and_no_escape_sequence(
        self, comparing: Comparing, script: Script
    ) -> None:
        script.answer = [("[bold]x[/]", 1), ("\x1b[31m", 7), ("\u202e", 1), ("$primary", 2)]
        async with comparing(size=(120, 40)) as compare:
            await compare.compares("[red]How?")
            text = compare.text
            assert "[bold]x[/]␛[31m" in text
            assert "$primary" in text
            assert "\x1b" not in text
            assert "\u202e" not in text

    async def test_an_answer_without_a_token(self, comparing: Comparing, script: Script) -> None:
        script.answer = []
        async with comparing() as compare:
            await compare.compares()
            await compare.presses("right", "n", "end", "down", "f4")
            assert "0 tokens" in compare.status

    async def test_different_vocabularies_show_what_is_comparable(
        self, comparing: Comparing, script: Script
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
        async with comparing() as compare:
            await compare.asks("How?")
            await compare.status_reads("compared by bytes")
            assert compare.shows("Different vocabularies")
            assert compare.shows("base 1.500  aligned 0.750")
            assert compare.shows("50.0% of 12 places")
            assert compare.shows("Learning a language")


class TestSides:
    async def test_a_side_is_picked_from_lists(self, comparing: Comparing, script: Script) -> None:
        async with comparing() as compare:
            await compare.compares()
            await compare.presses("f3")
            await compare.reads("The aligned side: tiny")
            assert not compare.shows("the other side's tokens")
            await compare.presses("down", "enter", "home", "down", "enter")
            await compare.is_back()
            assert "tiny-chat" in compare.aligned
            assert "context chat" in compare.aligned
            # What was compared is no longer what is chosen.
            assert compare.screen.result is None
            await compare.presses("ctrl+r")
            await compare.is_compared()
            assert script.opened[-1][1].name == "tiny-chat"
            assert script.opened[-1][1].context.name == "chat"

    async def test_a_path_is_a_model_and_same_is_for_the_base_side(
        self, comparing: Comparing, script: Script
    ) -> None:
        async with comparing() as compare:
            await compare.presses("f2")
            await compare.reads("The base side")
            assert compare.shows("the other side's tokens")
            compare.app.screen.query_one(Input).focus()
            await compare.types("m/x.gguf")
            await compare.presses("enter", "home", *["down"] * 3, "enter")
            await compare.is_back()
            assert "m/x.gguf" in compare.base
            await compare.compares()
            ((base, _, _, _),) = script.opened
            assert (base.name, base.context.name) == ("m/x.gguf", "same")

    async def test_esc_changes_nothing(self, comparing: Comparing) -> None:
        async with comparing() as compare:
            await compare.compares()
            await compare.changes_base("down", "escape")
            assert compare.screen.result is not None

    async def test_the_keys_are_listed(self, comparing: Comparing) -> None:
        async with comparing(size=(120, 50)) as compare:
            await compare.compares()
            await compare.presses("f1")
            await compare.reads("Next shifted token")
            for what in ("Shift+N", "Change the base side", "Compare again", "First token"):
                assert compare.shows(what), what


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
        self, comparing: Comparing, real: dict[str, Any], home: Path
    ) -> None:
        async with comparing(size=(120, 40), **real) as compare:
            await compare.changes_aligned("down", "enter", "home", "enter")
            await compare.compares("Hello world")
            result = compare.screen.result
            assert result is not None
            assert result.relation == "identical"
            assert 0 < len(result.positions) <= 41
            # Other weights: the base side does not say the same all the time.
            assert result.summary.unshifted is not None
            assert result.summary.unshifted < 1
            assert len(workers(home)) == 1
            await compare.presses("escape")
            await compare.until(lambda: not workers(home))

    async def test_quitting_in_the_middle_leaves_no_worker(
        self, comparing: Comparing, real: dict[str, Any], home: Path, endless_gguf: Path
    ) -> None:
        changes: dict[str, Any] = {
            "find_model": lambda name, progress: Found(name=name, path=endless_gguf),
            "settings": Settings(
                chat=ChatSettings(max_tokens=3000), engine=EngineSettings(context=4096, threads=1)
            ),
        }
        async with comparing(**(real | changes)) as compare:
            await compare.changes_aligned("enter", "home", "enter")
            await compare.asks("Hello")
            await compare.status_reads("answering")
            assert len(workers(home)) == 1
            await compare.presses("ctrl+q")
        assert not workers(home)

    async def test_a_model_against_itself_is_unshifted(
        self, comparing: Comparing, real: dict[str, Any]
    ) -> None:
        async with comparing(**real) as compare:
            await compare.changes_aligned("enter", "home", "enter")
            await compare.compares("Hello world")
            assert compare.shows("unshifted 100.0%")
            assert compare.shows("KL(aligned‖base) 0.000")

    async def test_without_room_for_both_they_are_loaded_one_after_the_other(
        self, comparing: Comparing, real: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[Comparison] = []

        def make(*sides: Any, **how: Any) -> Comparison:
            plan = MemoryPlan(lambda **_: MachineMemory(total=10**12, available=1000))
            opened.append(comparison_of(*sides, **how, plan=plan))
            return opened[-1]

        real["comparison_factory"] = lambda find: ComparisonEngine(Engine, find, make)
        async with comparing(size=(120, 40), **real) as compare:
            await compare.changes_aligned("down", "enter", "home", "enter")
            await compare.compares("Hello world")
            result = compare.screen.result
            assert result is not None
            assert 0 < len(result.positions) <= 41
            (comparison,) = opened
            assert isinstance(comparison.strategy, OneByOne)

    async def test_the_chat_gives_way_and_is_loaded_again_when_one_comes_back(
        self, comparing: Comparing, real: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def read(*, leaving: object, promised: dict[int, int]) -> MachineMemory:
            # Room for one worker, not for two.
            total = PROCESS_BYTES + 70_000_000
            return MachineMemory(total=total, available=total - sum(promised.values()))

        monkeypatch.setattr(PLAN, "_read_memory", read)
        chats = Engine()
        preamble = find_preamble("zero-shot")
        async with comparing(engine_factory=lambda: chats, preamble=preamble, **real) as compare:
            await compare.changes_aligned("enter", "home", "enter")
            loaded = [len(chats.models)]
            await compare.compares("Hello world")
            loaded.append(len(chats.models))
            assert loaded == [1, 0]
            assert compare.screen.result is not None
            await compare.presses("escape")
            await compare.is_on(ChatScreen)
            await compare.status_reads("ready")
            await compare.until(lambda: bool(chats.models))

    async def test_a_chat_answer_is_compared_with_its_own_tokens(
        self, in_chat: Chatting, real: dict[str, Any], store: Store
    ) -> None:
        """A model with random weights writes tokens that nobody would cut its text into."""
        async with in_chat(
            engine_factory=Engine, preamble=find_preamble("zero-shot"), **real
        ) as chat:
            await chat.asks("Query?")
            await chat.until(partial(answered, store))
            await chat.is_ready()
            compare = await chat.leads_to(ComparePage, "f3")
            await compare.is_compared()
            result = compare.screen.result
            assert result is not None
            (listed,) = store.conversations()
            ids = store.turns(listed.id)[-1].ids
            assert ids
            assert tuple(position.id for position in result.positions)[: len(ids)] == ids

    async def test_a_side_without_a_template_is_told_in_a_sentence(
        self, comparing: Comparing, real: dict[str, Any], home: Path
    ) -> None:
        async with comparing(**real) as compare:
            await compare.changes_aligned("enter", "home", "down", "enter")
            await compare.asks("Hello")
            await compare.reads("has no chat template")

    @pytest.mark.parametrize("name", ["a macro that calls itself", "doubled text", "an open block"])
    async def test_a_hostile_template_is_told_in_a_sentence(
        self, comparing: Comparing, real: dict[str, Any], home: Path, name: str
    ) -> None:
        real["find_model"] = with_template(real["find_model"], REFUSED[name])
        async with comparing(**real) as compare:
            await choose_chat(compare)
            await compare.reads("The chat template of")

    async def test_a_template_without_end_can_be_ended(
        self, comparing: Comparing, real: dict[str, Any], home: Path
    ) -> None:
        real["find_model"] = with_template(real["find_model"], SLOW["nested ranges"])
        async with comparing(**real) as compare:
            before = workers(home, TEMPLATE_WORKER)
            await choose_chat(compare)
            await compare.until(lambda: workers(home, TEMPLATE_WORKER) != before)
            await compare.presses("escape")
            await compare.status_reads("stopped, not scored")
            assert isinstance(compare.app.screen, CompareScreen)


def with_template(find: Callable[..., Found], template: str) -> Callable[..., Found]:
    """Finds the same models, with this chat template."""

    def find_one(name: str, progress: object) -> Found:
        return msgspec.structs.replace(find(name, progress), chat_template=template)

    return find_one


async def choose_chat(compare: ComparePage) -> None:
    """Ask a question of the aligned side under its chat template."""
    await compare.changes_aligned("enter", "home", "down", "enter")
    await compare.asks("Hello")


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
