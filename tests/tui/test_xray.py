"""The x-ray: a second side ranks the answer's tokens while they are written."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import workers
from tests.hostile_templates import REFUSED, SLOW
from tests.scripted import Gate, ScriptedEngine, delta, finished, prefill
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Chatting, Found, raising
from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import LoadProgress, Notice, Shifts
from urial_tui.errors import EngineDied, EngineError, ModelError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings
from urial_tui.tui.chat.xray_text import XrayText
from urial_tui.tui.compare.pick_side import PickSideScreen
from urial_tui.tui.drawing.answer_text import AnswerText

HOSTILE = ("a macro that calls itself", "multiplied text", "an open block", "a long complaint")
LOOP = SLOW["nested ranges"]
TEXT = "Good **day**."
TOKENS = (("Good", 1), (" **", 2), ("day", 7), ("**.", 1))


def find(name: str, progress: Callable[[int, int], None]) -> Found:
    return Found(name=name)


def opening(**changes: Any) -> dict[str, Any]:
    """The arguments of an application with a second model to choose."""
    return {"find_model": find, "list_models": lambda: ["tiny", "other"]} | changes


def shifts(tokens: tuple[tuple[str, int], ...] = TOKENS, start: int = 0) -> Shifts:
    ends = []
    end = start
    for text, _ in tokens:
        end += len(text)
        ends.append(end)
    ranks = tuple(rank for _, rank in tokens)
    return Shifts(
        id=0, start=start, ends=tuple(ends), ranks=ranks, probabilities=(0.5,) * len(ends)
    )


async def ask(chat: ChatPage, text: str = "Hello") -> None:
    await chat.asks(text)


async def converse(chat: ChatPage, engine: ScriptedEngine) -> None:
    """Have a question answered, and the answer ranked."""
    engine.enqueue(delta(TEXT), shifts(), finished(TEXT))
    asked = len(engine.requests)
    await ask(chat)
    await chat.until(lambda: len(engine.requests) > asked and chat.ready)


def templated(template: str) -> Callable[[str, Callable[[int, int], None]], Found]:
    """Finds models that have this chat template."""
    return lambda name, progress: Found(name=name, chat_template=template)


async def choose_chat(chat: ChatPage) -> None:
    """Take the model itself under its chat template."""
    await chat.presses("f8")
    await chat.is_on(PickSideScreen)
    await chat.presses("enter", "home", "down", "enter")


def xray(chat: ChatPage) -> XrayText:
    return chat.transcript.query(XrayText).last()


def markdown(chat: ChatPage) -> AnswerText:
    return chat.transcript.query(AnswerText).last()


class TestChoosing:
    async def test_the_offer_is_the_model_itself_without_the_preamble(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            assert engine.watched_loads == [(Found().path, None)]

    async def test_the_aligned_partner_is_offered_where_there_is_one(
        self, chatting: Chatting
    ) -> None:
        async with chatting(**opening(model="gemma-3-270m")) as chat:
            await chat.presses("f8")
            await chat.reads("The second side")
            assert chat.shows("gemma-3-270m-sft under chat")
            assert chat.shows("gemma-3-270m writes; this side ranks each token it writes.")

    async def test_the_base_model_is_offered_for_an_aligned_one(self, chatting: Chatting) -> None:
        async with chatting(**opening(model="gemma-3-270m-sft")) as chat:
            await chat.presses("f8")
            await chat.reads("gemma-3-270m under zero-shot")

    async def test_another_model_and_context_can_be_chosen(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            await chat.presses("f8")
            await chat.is_on(PickSideScreen)
            await chat.presses("down", "enter", "down", "down", "down", "enter")
            await chat.status_reads("x-ray other (same)")
            await converse(chat, engine)
            assert engine.requests[-1].watch is not None
            assert engine.requests[-1].watch.same_ids

    async def test_nothing_is_chosen_by_going_back(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            await chat.presses("f8")
            await chat.is_on(PickSideScreen)
            await chat.presses("escape")
            await chat.is_back()
            assert "x-ray" not in chat.status
            assert not engine.watched_loads

    async def test_the_second_time_it_is_not_asked_again(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await chat.presses("f8")
            await chat.until(lambda: "x-ray" not in chat.status)
            await chat.until(lambda: len(engine.models) == 1)
            await chat.presses("f8")
            await chat.status_reads("x-ray tiny (zero-shot)")
            assert len(engine.watched_loads) == 2

    async def test_the_palette_offers_it(self, chatting: Chatting) -> None:
        async with chatting(**opening()) as chat:
            await chat.opens_commands()
            await chat.types("another second")
            await chat.reads("X-ray with another second side")
            await chat.presses("enter")
            await chat.is_on(PickSideScreen)

    async def test_a_path_is_named_without_its_directories(
        self, chatting: Chatting, llama_gguf: Path
    ) -> None:
        async with chatting(**opening(model=str(llama_gguf))) as chat:
            await chat.turns_xray_on(f"{llama_gguf.name} (zero-shot)")


class TestWriting:
    async def test_several_answers_at_once_have_none(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await converse(chat, engine)
            engine.enqueue(*(delta(TEXT, sample=number) for number in range(3)))
            await chat.presses("alt+a")
            await chat.reads("written together have no x-ray")
            await chat.reads("‹ 2/4 ›")
            assert engine.requests[-1].watch is None
            await converse(chat, engine)
            assert engine.requests[-1].watch is not None

    async def test_the_answer_colours_itself_while_it_is_written(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        read, end = Gate(), Gate()
        engine.enqueue(delta("Good **"), read, shifts(TOKENS[:2]), delta("day**."), end)
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await ask(chat)
            await chat.reads("Good **")
            assert chat.shows("x-ray: ranks on tiny (zero-shot)")
            assert not chat.shows("unshifted")
            read.open()
            await chat.reads("Good **day**.")
            await chat.reads("50% unshifted · 50% marginal")
            assert colours(chat, "Good") == ["unshifted"]
            assert colours(chat, "day") == ["quiet"]
            end.open()
            await chat.is_ready()

    async def test_after_its_end_it_stays_coloured_until_it_is_turned_off(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await converse(chat, engine)
            assert chat.shows(TEXT)
            assert chat.shows("50% unshifted · 25% marginal · 25% shifted")
            assert colours(chat, "day") == ["shifted"]
            await chat.presses("f8")
            await chat.reads("Good day.")
            assert not chat.shows("unshifted")
            await chat.presses("f8")
            await chat.reads(TEXT)

    async def test_the_conversation_is_shown_to_the_second_side(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await converse(chat, engine)
            await converse(chat, engine)
            watch = engine.requests[-1].watch
            assert watch is not None
            assert watch.preamble == ()
            assert len(watch.turns) == len(engine.requests[-1].turns) == 2

    async def test_without_it_nothing_is_read_along(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            await converse(chat, engine)
            assert engine.requests[-1].watch is None
            assert chat.shows("Good day.")
            await chat.turns_xray_on()
            assert chat.shows("Good day.")
            await chat.reads("compares the one that is there")

    async def test_turned_off_in_mid_answer_it_goes_on_as_markdown(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        more, end = Gate(), Gate()
        engine.enqueue(delta("Good **"), shifts(TOKENS[:2]), more, delta("day**."), end)
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await ask(chat)
            await chat.reads("50% unshifted")
            await chat.presses("f8")
            await chat.loses("unshifted")
            more.open()
            await chat.reads("Good day.")
            end.open()
            await chat.is_ready()
            assert markdown(chat).source == TEXT
            await chat.until(lambda: len(engine.models) == 1)

    async def test_turned_on_again_in_mid_answer_it_shows_what_it_knows(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        end = Gate()
        engine.enqueue(delta(TEXT), shifts(), end)
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await ask(chat)
            await chat.reads("50% unshifted")
            await chat.presses("f8")
            await chat.loses("unshifted")
            await chat.presses("f8")
            await chat.reads("50% unshifted")
            end.open()
            await chat.status_reads("x-ray tiny (zero-shot)")
            assert chat.shows(TEXT)

    async def test_control_characters_do_not_reach_the_terminal(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        text = "a\x1b[31mb\u202e汉🐑"
        told = shifts((("a", 1), ("\x1b[31m", 9), ("b", 2), ("\u202e", 1), ("汉🐑", 4)))
        engine.enqueue(delta(text), told, finished(text))
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await ask(chat)
            await chat.reads("40% shifted")
            assert chat.shows("a␛[31mb<U+202E>汉🐑")
            assert colours(chat, "b<U") == ["marginal", "unshifted"]
            assert colours(chat, "汉🐑") == ["shifted"]

    async def test_a_long_answer_is_drawn_whole(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        lines = [f"Line {number} of a long answer\n" for number in range(100)]
        steps: list[Any] = []
        start = 0
        for number, line in enumerate(lines):
            steps += [delta(line), shifts(((line, 1 + number % 5),), start)]
            start += len(line)
        engine.enqueue(*steps)
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await ask(chat)
            await chat.reads("20% unshifted")
            await chat.is_ready()
            assert xray(chat).query(".xray-block")
            assert drawn(xray(chat)) == "".join(lines)

    async def test_another_version_and_back_keeps_the_colours(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await converse(chat, engine)
            engine.enqueue(delta("No."), shifts((("No", 9), (".", 1))), finished("No."))
            await chat.presses("f5")
            await chat.reads("50% shifted")
            await chat.is_ready()
            await chat.presses("alt+left")
            await chat.reads("25% shifted")
            assert colours(chat, "day") == ["shifted"]

    async def test_what_an_answer_goes_on_from_is_not_coloured(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            engine.enqueue(delta("Start"), finished("Start", "length"))
            await ask(chat)
            await chat.reads("cut at the length limit")
            await chat.turns_xray_on()
            engine.enqueue(delta(" end"), shifts(((" end", 9),), 5), finished("Start end"))
            await chat.presses("f7")
            await chat.reads("100% shifted")
            assert colours(chat, "Start") == ["quiet"]
            assert colours(chat, "end") == ["shifted"]

    async def test_x_turns_it_on_and_off_in_the_transcript(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await converse(chat, engine)
            chat.transcript.focus()
            await chat.presses("x")
            await chat.reads("Good day.")


class TestTrouble:
    async def test_loading_shows_how_far_it_is_and_can_be_ended(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            gate = Gate()
            engine.enqueue_load(LoadProgress(id=0, fraction=0.4), gate)
            await chat.presses("f8")
            await chat.is_on(PickSideScreen)
            await chat.presses("enter", "enter")
            await chat.status_reads("x-ray loading 40%")
            await chat.presses("escape")
            await chat.until(lambda: "x-ray" not in chat.status)
            await chat.until(lambda: len(engine.models) == 1)
            assert not chat.shows("✖")
            await converse(chat, engine)
            assert engine.requests[-1].watch is None

    async def test_the_preamble_of_the_second_side_is_read_in_view(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening(preamble=find_preamble("zero-shot"))) as chat:
            gate = Gate()
            engine.enqueue_prepare(prefill("preamble", 256, 512), gate)
            await chat.presses("f8")
            await chat.is_on(PickSideScreen)
            await chat.presses("enter", "end", "enter")
            await chat.status_reads("x-ray reading the preamble 50%")
            gate.open()
            await chat.until(lambda: "(zero-shot)" not in chat.status)

    async def test_a_side_that_can_not_be_loaded_is_a_sentence_and_the_chat_goes_on(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            engine.enqueue_load(EngineError("It is too big.", "Choose a smaller one."))
            await chat.presses("f8")
            await chat.is_on(PickSideScreen)
            await chat.presses("enter", "enter")
            await chat.reads("✖ It is too big.")
            assert chat.shows("The x-ray is off; F8 chooses another second side.")
            assert "x-ray" not in chat.status
            await converse(chat, engine)
            assert chat.shows("Good day.")
            await chat.presses("f8")
            await chat.is_on(PickSideScreen)

    @pytest.mark.parametrize("mistake", [RecursionError("too deep"), KeyError("secret")])
    async def test_a_mistake_of_ours_is_a_sentence_too(
        self, chatting: Chatting, engine: ScriptedEngine, mistake: Exception
    ) -> None:
        mistakes = [mistake]

        def find(name: str, progress: Callable[[int, int], None]) -> Found:
            if engine.loads and mistakes:
                raise mistakes.pop()
            return Found(name=name)

        async with chatting(**opening(find_model=find)) as chat:
            await chat.types("draft")
            await chat.presses("f8")
            await chat.is_on(PickSideScreen)
            await chat.presses("enter", "enter")
            await chat.reads(f"happened: {type(mistake).__name__}")
            assert chat.shows("draft")
            await chat.presses("escape")
            await converse(chat, engine)
            assert chat.shows("Good day.")

    async def test_a_model_that_is_not_there_is_told(self, chatting: Chatting) -> None:
        def find_one(name: str, progress: Callable[[int, int], None]) -> Found:
            if name != "tiny":
                return raising(ModelError(f"There is no model {name}."))(name, progress)
            return Found(name=name)

        async with chatting(**opening(find_model=find_one)) as chat:
            await chat.presses("f8")
            await chat.is_on(PickSideScreen)
            await chat.presses("tab", "tab", *"nowhere", "enter", "enter")
            await chat.reads("✖ There is no model nowhere.")

    async def test_other_tokens_are_refused(
        self, chatting: Chatting, engine: ScriptedEngine, endless_gguf: Path
    ) -> None:
        def find_both(name: str, progress: Callable[[int, int], None]) -> Found:
            return Found(name=name) if name == "tiny" else Found(name=name, path=endless_gguf)

        engine.pieces["watched"] = (b"x", b"y")
        async with chatting(**opening(find_model=find_both)) as chat:
            await chat.presses("f8")
            await chat.is_on(PickSideScreen)
            await chat.presses("down", "enter", "enter")
            await chat.reads("✖ other has other tokens than")

    @pytest.mark.parametrize("name", HOSTILE)
    async def test_a_hostile_chat_template_is_a_sentence_and_the_chat_goes_on(
        self, chatting: Chatting, engine: ScriptedEngine, name: str
    ) -> None:
        async with chatting(**opening(find_model=templated(REFUSED[name]))) as chat:
            await choose_chat(chat)
            await chat.reads("✖ The chat template of")
            assert chat.shows("Choose another context for it")
            assert "x-ray" not in chat.status
            await converse(chat, engine)
            assert chat.shows("Good day.")

    async def test_a_chat_template_without_end_can_be_ended(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening(find_model=templated(LOOP))) as chat:
            await choose_chat(chat)
            await chat.status_reads("x-ray loading")
            await chat.presses("escape")
            await chat.until(lambda: "x-ray" not in chat.status)
            await chat.until(lambda: len(engine.models) == 1)
            assert not chat.shows("✖")
            await converse(chat, engine)
            assert engine.requests[-1].watch is None

    async def test_a_chat_template_that_fails_later_leaves_the_answer_alone(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        later = (
            "{% for m in messages %}{{ m.content }}{% if m.content == 'Hello' %}{{ 1 // 0 }}"
            + ("{% endif %}{% endfor %}")
        )
        async with chatting(**opening(find_model=templated(later))) as chat:
            await choose_chat(chat)
            await chat.status_reads("x-ray tiny (chat)")
            engine.enqueue(delta(TEXT), finished(TEXT))
            await ask(chat)
            await chat.reads("This answer has no x-ray.")
            await chat.reads("Good day.")

    async def test_what_the_second_side_can_not_read_on_is_told_and_the_answer_goes_on(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        reason = "The second side stops reading along: its context of 512 tokens is full."
        engine.enqueue(
            delta("Good **"), shifts(TOKENS[:2]), Notice(id=0, message=reason), delta("day**.")
        )
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await ask(chat)
            await chat.reads("stops reading along")
            await chat.is_ready()
            assert chat.shows(TEXT)
            assert colours(chat, "day") == ["quiet"]

    async def test_a_stopped_answer_keeps_its_colours(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(delta(TEXT), shifts(TOKENS[:2]), Gate())
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await ask(chat)
            await chat.reads("50% unshifted")
            await chat.presses("escape")
            await chat.reads("■ stopped")
            assert colours(chat, "Good") == ["unshifted"]
            assert "x-ray tiny" in chat.status

    async def test_a_new_load_of_the_model_loads_the_second_side_too(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            await chat.presses("ctrl+r")
            await chat.until(lambda: len(engine.watched_loads) == 2)
            await chat.status_reads("x-ray tiny (zero-shot)")
            await converse(chat, engine)
            assert engine.requests[-1].watch is not None

    async def test_a_worker_that_dies_takes_the_second_side_along_until_it_is_loaded_again(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            await chat.turns_xray_on()
            engine.die(EngineDied("The engine stopped.", "Load the model again."))
            await chat.status_reads("x-ray waits for the model")
            await chat.status_reads("no model")
            await chat.asks("Hello")
            await chat.until(lambda: chat.screen.here.asking.waiting is not None)
            engine.enqueue(delta(TEXT), shifts(), finished(TEXT))
            await chat.presses("ctrl+r")
            await chat.reads("50% unshifted")
            assert engine.requests[-1].watch is not None

    async def test_a_worker_that_the_second_side_ends_leaves_it_off(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(**opening()) as chat:
            engine.enqueue_load(EngineDied("The engine stopped.", "Load the model again."))
            await chat.presses("f8")
            await chat.is_on(PickSideScreen)
            await chat.presses("enter", "enter")
            await chat.reads("so the x-ray")
            assert chat.shows("Ctrl+R loads the model again.")
            await chat.presses("ctrl+r")
            await chat.is_ready()
            assert "x-ray" not in chat.status

    async def test_chosen_before_the_model_is_there_it_waits_for_it(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue_load(gate)
        async with chatting(ready=False, **opening()) as chat:
            await chat.presses("f8")
            await chat.is_on(PickSideScreen)
            await chat.presses("enter", "enter")
            await chat.status_reads("x-ray waits for the model")
            gate.open()
            await chat.status_reads("x-ray tiny (zero-shot)")


# -- with a real worker ------------------------------------------------------------------


@pytest.fixture
def real(endless_gguf: Path) -> dict[str, Any]:
    """The arguments that make the application a real one."""
    return {
        "engine_factory": Engine,
        "find_model": lambda name, progress: Found(name=name, path=endless_gguf),
        "list_models": lambda: ["tiny"],
        "preamble": find_preamble("zero-shot"),
        "settings": Settings(
            chat=ChatSettings(max_tokens=60),
            engine=EngineSettings(context=1024, threads=1),
            sampling=SamplingSettings(temperature=2.0, seed=1),
        ),
    }


async def test_a_real_worker_ranks_a_real_answer(
    chatting: Chatting, real: dict[str, Any], store: Store, home: Path
) -> None:
    async with chatting(**real) as chat:
        await chat.turns_xray_on("tiny (raw)")
        for number, question in enumerate(("one", "two"), start=1):
            await ask(chat, question)
            await chat.reads("unshifted")
            await chat.until(
                lambda count=number: (
                    len(chat.transcript.query(XrayText)) == count  # type: ignore[misc]
                    and chat.ready
                )
            )
        (listed,) = store.conversations()
        answers = [turn for turn in store.turns(listed.id) if turn.role == "assistant"]
        for view, stored in zip(chat.transcript.query(XrayText), answers, strict=True):
            assert view.text == stored.text
            assert view.reading is not None
            assert view.reading.counts(len(stored.text)).total() == 60
            assert view.reading.through >= len(stored.text) - 1


async def test_the_death_of_a_real_worker_is_survived(
    chatting: Chatting, real: dict[str, Any], home: Path
) -> None:
    async with chatting(**real) as chat:
        await chat.turns_xray_on("tiny (raw)")
        (pid,) = workers(home)
        os.kill(pid, signal.SIGKILL)
        await chat.status_reads("x-ray waits for the model")
        await chat.presses("ctrl+r")
        await chat.status_reads("x-ray tiny (raw)")
        await ask(chat, "one")
        await chat.reads("unshifted")
        await chat.is_ready()


# -- what is on the screen ----------------------------------------------------------------


def colours(chat: ChatPage, text: str) -> list[str]:
    """The classes in which a text stands on the screen, in its order."""
    variables = chat.app.theme_variables
    names = {
        variables[name].upper(): name
        for name in ("unshifted", "marginal", "shifted", "absent", "quiet")
    }
    at = chat.text.replace("\n", "").find(text)
    assert at >= 0, text
    for strip in chat.app.screen._compositor.render_strips():
        line = "".join(segment.text for segment in strip)
        at = line.find(text)
        if at < 0:
            continue
        found: list[str] = []
        here = 0
        for segment in strip:
            style = segment.style
            overlaps = here < at + len(text) and here + len(segment.text) > at
            if overlaps and style is not None and style.color is not None:
                triplet = style.color.triplet
                assert triplet is not None
                name = nearest(names, triplet.hex.upper())
                if found[-1:] != [name]:
                    found.append(name)
            here += len(segment.text)
        return found
    raise AssertionError(text)


def nearest(names: dict[str, str], colour: str) -> str:
    """The name of a colour; the screen may round it by one."""

    def distance(other: str) -> int:
        return sum(
            abs(int(colour[at : at + 2], 16) - int(other[at : at + 2], 16)) for at in (1, 3, 5)
        )

    return names[min(names, key=distance)]


def drawn(view: XrayText) -> str:
    """The text of the blocks and of what still changes."""
    statics = view.query(".xray-block, .xray-tail")
    return "\n".join(str(static.render()) for static in statics)
