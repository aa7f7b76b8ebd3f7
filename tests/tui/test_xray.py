"""The x-ray: a second side ranks the answer's tokens while they are written."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.conftest import workers
from tests.hostile_templates import REFUSED, SLOW
from tests.scripted import Gate, ScriptedEngine, delta, finished, prefill
from tests.tui.conftest import (
    Found,
    Opened,
    raising,
    screen_text,
    shows,
    status,
    type_text,
    wait_until,
)
from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.protocol import LoadProgress, Notice, Shifts
from urial_tui.errors import EngineDied, EngineError, ModelError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.chat.transcript import Transcript
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


async def turn_on(pilot: Pilot[None], name: str = "tiny (zero-shot)") -> None:
    """Take what is offered."""
    await pilot.press("f8")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))
    await pilot.press("enter", "enter")
    await wait_until(pilot, lambda: f"x-ray {name}" in status(pilot))


async def ask(pilot: Pilot[None], text: str = "Hello") -> None:
    await type_text(pilot, text)
    await pilot.press("enter")


async def converse(pilot: Pilot[None], engine: ScriptedEngine) -> None:
    """Have a question answered, and the answer ranked."""
    engine.enqueue(delta(TEXT), shifts(), finished(TEXT))
    asked = len(engine.requests)
    await ask(pilot)
    await wait_until(pilot, lambda: len(engine.requests) > asked and "ready" in status(pilot))


def templated(template: str) -> Callable[[str, Callable[[int, int], None]], Found]:
    """Finds models that have this chat template."""
    return lambda name, progress: Found(name=name, chat_template=template)


async def choose_chat(pilot: Pilot[None]) -> None:
    """Take the model itself under its chat template."""
    await pilot.press("f8")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))
    await pilot.press("enter", "home", "down", "enter")


def xray(pilot: Pilot[None]) -> XrayText:
    return transcript(pilot).query(XrayText).last()


def markdown(pilot: Pilot[None]) -> AnswerText:
    return transcript(pilot).query(AnswerText).last()


def transcript(pilot: Pilot[None]) -> Transcript:
    return pilot.app.screen_stack[0].query_one(Transcript)


class TestChoosing:
    async def test_the_offer_is_the_model_itself_without_the_preamble(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            assert engine.watched_loads == [(Found().path, None)]

    async def test_the_aligned_partner_is_offered_where_there_is_one(self, opened: Opened) -> None:
        async with opened(**opening(model="gemma-3-270m")) as pilot:
            await pilot.press("f8")
            await wait_until(pilot, lambda: shows(pilot, "The second side"))
            assert shows(pilot, "gemma-3-270m-sft under chat")
            assert shows(pilot, "gemma-3-270m writes; this side ranks each token it writes.")

    async def test_the_base_model_is_offered_for_an_aligned_one(self, opened: Opened) -> None:
        async with opened(**opening(model="gemma-3-270m-sft")) as pilot:
            await pilot.press("f8")
            await wait_until(pilot, lambda: shows(pilot, "gemma-3-270m under zero-shot"))

    async def test_another_model_and_context_can_be_chosen(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            await pilot.press("f8")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))
            await pilot.press("down", "enter", "down", "down", "down", "enter")
            await wait_until(pilot, lambda: "x-ray other (same)" in status(pilot))
            await converse(pilot, engine)
            assert engine.requests[-1].watch is not None
            assert engine.requests[-1].watch.same_ids

    async def test_nothing_is_chosen_by_going_back(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            await pilot.press("f8")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
            assert "x-ray" not in status(pilot)
            assert not engine.watched_loads

    async def test_the_second_time_it_is_not_asked_again(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await pilot.press("f8")
            await wait_until(pilot, lambda: "x-ray" not in status(pilot))
            await wait_until(pilot, lambda: len(engine.models) == 1)
            await pilot.press("f8")
            await wait_until(pilot, lambda: "x-ray tiny (zero-shot)" in status(pilot))
            assert len(engine.watched_loads) == 2

    async def test_the_palette_offers_it(self, opened: Opened) -> None:
        async with opened(**opening()) as pilot:
            await pilot.press("ctrl+p", *"another second", "enter")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))

    async def test_a_path_is_named_without_its_directories(
        self, opened: Opened, llama_gguf: Path
    ) -> None:
        async with opened(**opening(model=str(llama_gguf))) as pilot:
            await turn_on(pilot, f"{llama_gguf.name} (zero-shot)")


class TestWriting:
    async def test_several_answers_at_once_have_none(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await converse(pilot, engine)
            engine.enqueue(*(delta(TEXT, sample=number) for number in range(3)))
            await pilot.press("alt+a")
            await wait_until(pilot, lambda: shows(pilot, "written together have no x-ray"))
            await wait_until(pilot, lambda: shows(pilot, "‹ 2/4 ›"))
            assert engine.requests[-1].watch is None
            await converse(pilot, engine)
            assert engine.requests[-1].watch is not None

    async def test_the_answer_colours_itself_while_it_is_written(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        read, end = Gate(), Gate()
        engine.enqueue(delta("Good **"), read, shifts(TOKENS[:2]), delta("day**."), end)
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await ask(pilot)
            await wait_until(pilot, lambda: shows(pilot, "Good **"))
            assert shows(pilot, "x-ray: ranks on tiny (zero-shot)")
            assert not shows(pilot, "unshifted")
            read.open()
            await wait_until(pilot, lambda: shows(pilot, "Good **day**."))
            await wait_until(pilot, lambda: shows(pilot, "50% unshifted · 50% marginal"))
            assert colours(pilot, "Good") == ["unshifted"]
            assert colours(pilot, "day") == ["quiet"]
            end.open()
            await wait_until(pilot, lambda: "ready" in status(pilot))

    async def test_after_its_end_it_stays_coloured_until_it_is_turned_off(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await converse(pilot, engine)
            assert shows(pilot, TEXT)
            assert shows(pilot, "50% unshifted · 25% marginal · 25% shifted")
            assert colours(pilot, "day") == ["shifted"]
            await pilot.press("f8")
            await wait_until(pilot, lambda: shows(pilot, "Good day."))
            assert not shows(pilot, "unshifted")
            await pilot.press("f8")
            await wait_until(pilot, lambda: shows(pilot, TEXT))

    async def test_the_conversation_is_shown_to_the_second_side(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await converse(pilot, engine)
            await converse(pilot, engine)
            watch = engine.requests[-1].watch
            assert watch is not None
            assert watch.preamble == ()
            assert len(watch.turns) == len(engine.requests[-1].turns) == 2

    async def test_without_it_nothing_is_read_along(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            await converse(pilot, engine)
            assert engine.requests[-1].watch is None
            assert shows(pilot, "Good day.")
            await turn_on(pilot)
            assert shows(pilot, "Good day.")
            await wait_until(pilot, lambda: shows(pilot, "compares the one that is there"))

    async def test_turned_off_in_mid_answer_it_goes_on_as_markdown(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        more, end = Gate(), Gate()
        engine.enqueue(delta("Good **"), shifts(TOKENS[:2]), more, delta("day**."), end)
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await ask(pilot)
            await wait_until(pilot, lambda: shows(pilot, "50% unshifted"))
            await pilot.press("f8")
            await wait_until(pilot, lambda: not shows(pilot, "unshifted"))
            more.open()
            await wait_until(pilot, lambda: shows(pilot, "Good day."))
            end.open()
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert markdown(pilot).source == TEXT
            await wait_until(pilot, lambda: len(engine.models) == 1)

    async def test_turned_on_again_in_mid_answer_it_shows_what_it_knows(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        end = Gate()
        engine.enqueue(delta(TEXT), shifts(), end)
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await ask(pilot)
            await wait_until(pilot, lambda: shows(pilot, "50% unshifted"))
            await pilot.press("f8")
            await wait_until(pilot, lambda: not shows(pilot, "unshifted"))
            await pilot.press("f8")
            await wait_until(pilot, lambda: shows(pilot, "50% unshifted"))
            end.open()
            await wait_until(pilot, lambda: "x-ray tiny (zero-shot)" in status(pilot))
            assert shows(pilot, TEXT)

    async def test_control_characters_do_not_reach_the_terminal(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        text = "a\x1b[31mb\u202e汉🐑"
        told = shifts((("a", 1), ("\x1b[31m", 9), ("b", 2), ("\u202e", 1), ("汉🐑", 4)))
        engine.enqueue(delta(text), told, finished(text))
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await ask(pilot)
            await wait_until(pilot, lambda: shows(pilot, "40% shifted"))
            assert shows(pilot, "a␛[31mb<U+202E>汉🐑")
            assert colours(pilot, "b<U") == ["marginal", "unshifted"]
            assert colours(pilot, "汉🐑") == ["shifted"]

    async def test_a_long_answer_is_drawn_whole(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        lines = [f"Line {number} of a long answer\n" for number in range(100)]
        steps: list[Any] = []
        start = 0
        for number, line in enumerate(lines):
            steps += [delta(line), shifts(((line, 1 + number % 5),), start)]
            start += len(line)
        engine.enqueue(*steps)
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await ask(pilot)
            await wait_until(pilot, lambda: shows(pilot, "20% unshifted"))
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert xray(pilot).query(".xray-block")
            assert drawn(xray(pilot)) == "".join(lines)

    async def test_another_version_and_back_keeps_the_colours(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await converse(pilot, engine)
            engine.enqueue(delta("No."), shifts((("No", 9), (".", 1))), finished("No."))
            await pilot.press("f5")
            await wait_until(pilot, lambda: shows(pilot, "50% shifted"))
            await wait_until(pilot, lambda: "ready" in status(pilot))
            await pilot.press("alt+left")
            await wait_until(pilot, lambda: shows(pilot, "25% shifted"))
            assert colours(pilot, "day") == ["shifted"]

    async def test_what_an_answer_goes_on_from_is_not_coloured(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            engine.enqueue(delta("Start"), finished("Start", "length"))
            await ask(pilot)
            await wait_until(pilot, lambda: shows(pilot, "cut at the length limit"))
            await turn_on(pilot)
            engine.enqueue(delta(" end"), shifts(((" end", 9),), 5), finished("Start end"))
            await pilot.press("f7")
            await wait_until(pilot, lambda: shows(pilot, "100% shifted"))
            assert colours(pilot, "Start") == ["quiet"]
            assert colours(pilot, "end") == ["shifted"]

    async def test_x_turns_it_on_and_off_in_the_transcript(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await converse(pilot, engine)
            transcript(pilot).focus()
            await pilot.press("x")
            await wait_until(pilot, lambda: shows(pilot, "Good day."))


class TestTrouble:
    async def test_loading_shows_how_far_it_is_and_can_be_ended(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            gate = Gate()
            engine.enqueue_load(LoadProgress(id=0, fraction=0.4), gate)
            await pilot.press("f8")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))
            await pilot.press("enter", "enter")
            await wait_until(pilot, lambda: "x-ray loading 40%" in status(pilot))
            await pilot.press("escape")
            await wait_until(pilot, lambda: "x-ray" not in status(pilot))
            await wait_until(pilot, lambda: len(engine.models) == 1)
            assert not shows(pilot, "✖")
            await converse(pilot, engine)
            assert engine.requests[-1].watch is None

    async def test_the_preamble_of_the_second_side_is_read_in_view(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening(preamble=find_preamble("zero-shot"))) as pilot:
            gate = Gate()
            engine.enqueue_prepare(prefill("preamble", 256, 512), gate)
            await pilot.press("f8")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))
            await pilot.press("enter", "end", "enter")
            await wait_until(pilot, lambda: "x-ray reading the preamble 50%" in status(pilot))
            gate.open()
            await wait_until(pilot, lambda: "(zero-shot)" not in status(pilot))

    async def test_a_side_that_can_not_be_loaded_is_a_sentence_and_the_chat_goes_on(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            engine.enqueue_load(EngineError("It is too big.", "Choose a smaller one."))
            await pilot.press("f8")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))
            await pilot.press("enter", "enter")
            await wait_until(pilot, lambda: shows(pilot, "✖ It is too big."))
            assert shows(pilot, "The x-ray is off; F8 chooses another second side.")
            assert "x-ray" not in status(pilot)
            await converse(pilot, engine)
            assert shows(pilot, "Good day.")
            await pilot.press("f8")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))

    @pytest.mark.parametrize("mistake", [RecursionError("too deep"), KeyError("secret")])
    async def test_a_mistake_of_ours_is_a_sentence_too(
        self, opened: Opened, engine: ScriptedEngine, mistake: Exception
    ) -> None:
        mistakes = [mistake]

        def find(name: str, progress: Callable[[int, int], None]) -> Found:
            if engine.loads and mistakes:
                raise mistakes.pop()
            return Found(name=name)

        async with opened(**opening(find_model=find)) as pilot:
            await type_text(pilot, "draft")
            await pilot.press("f8")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))
            await pilot.press("enter", "enter")
            await wait_until(pilot, lambda: shows(pilot, f"happened: {type(mistake).__name__}"))
            assert shows(pilot, "draft")
            await pilot.press("escape")
            await converse(pilot, engine)
            assert shows(pilot, "Good day.")

    async def test_a_model_that_is_not_there_is_told(self, opened: Opened) -> None:
        def find_one(name: str, progress: Callable[[int, int], None]) -> Found:
            if name != "tiny":
                return raising(ModelError(f"There is no model {name}."))(name, progress)
            return Found(name=name)

        async with opened(**opening(find_model=find_one)) as pilot:
            await pilot.press("f8")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))
            await pilot.press("tab", "tab", *"nowhere", "enter", "enter")
            await wait_until(pilot, lambda: shows(pilot, "✖ There is no model nowhere."))

    async def test_other_tokens_are_refused(
        self, opened: Opened, engine: ScriptedEngine, endless_gguf: Path
    ) -> None:
        def find_both(name: str, progress: Callable[[int, int], None]) -> Found:
            return Found(name=name) if name == "tiny" else Found(name=name, path=endless_gguf)

        engine.pieces["watched"] = (b"x", b"y")
        async with opened(**opening(find_model=find_both)) as pilot:
            await pilot.press("f8")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))
            await pilot.press("down", "enter", "enter")
            await wait_until(pilot, lambda: shows(pilot, "✖ other has other tokens than"))

    @pytest.mark.parametrize("name", HOSTILE)
    async def test_a_hostile_chat_template_is_a_sentence_and_the_chat_goes_on(
        self, opened: Opened, engine: ScriptedEngine, name: str
    ) -> None:
        async with opened(**opening(find_model=templated(REFUSED[name]))) as pilot:
            await choose_chat(pilot)
            await wait_until(pilot, lambda: shows(pilot, "✖ The chat template of"))
            assert shows(pilot, "Choose another context for it")
            assert "x-ray" not in status(pilot)
            await converse(pilot, engine)
            assert shows(pilot, "Good day.")

    async def test_a_chat_template_without_end_can_be_ended(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening(find_model=templated(LOOP))) as pilot:
            await choose_chat(pilot)
            await wait_until(pilot, lambda: "x-ray loading" in status(pilot))
            await pilot.press("escape")
            await wait_until(pilot, lambda: "x-ray" not in status(pilot))
            await wait_until(pilot, lambda: len(engine.models) == 1)
            assert not shows(pilot, "✖")
            await converse(pilot, engine)
            assert engine.requests[-1].watch is None

    async def test_a_chat_template_that_fails_later_leaves_the_answer_alone(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        later = (
            "{% for m in messages %}{{ m.content }}{% if m.content == 'Hello' %}{{ 1 // 0 }}"
            + ("{% endif %}{% endfor %}")
        )
        async with opened(**opening(find_model=templated(later))) as pilot:
            await choose_chat(pilot)
            await wait_until(pilot, lambda: "x-ray tiny (chat)" in status(pilot))
            engine.enqueue(delta(TEXT), finished(TEXT))
            await ask(pilot)
            await wait_until(pilot, lambda: shows(pilot, "This answer has no x-ray."))
            await wait_until(pilot, lambda: shows(pilot, "Good day."))

    async def test_what_the_second_side_can_not_read_on_is_told_and_the_answer_goes_on(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        reason = "The second side stops reading along: its context of 512 tokens is full."
        engine.enqueue(
            delta("Good **"), shifts(TOKENS[:2]), Notice(id=0, message=reason), delta("day**.")
        )
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await ask(pilot)
            await wait_until(pilot, lambda: shows(pilot, "stops reading along"))
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert shows(pilot, TEXT)
            assert colours(pilot, "day") == ["quiet"]

    async def test_a_stopped_answer_keeps_its_colours(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(delta(TEXT), shifts(TOKENS[:2]), Gate())
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await ask(pilot)
            await wait_until(pilot, lambda: shows(pilot, "50% unshifted"))
            await pilot.press("escape")
            await wait_until(pilot, lambda: shows(pilot, "■ stopped"))
            assert colours(pilot, "Good") == ["unshifted"]
            assert "x-ray tiny" in status(pilot)

    async def test_a_new_load_of_the_model_loads_the_second_side_too(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            await pilot.press("ctrl+r")
            await wait_until(pilot, lambda: len(engine.watched_loads) == 2)
            await wait_until(pilot, lambda: "x-ray tiny (zero-shot)" in status(pilot))
            await converse(pilot, engine)
            assert engine.requests[-1].watch is not None

    async def test_a_worker_that_dies_takes_the_second_side_along_until_it_is_loaded_again(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            await turn_on(pilot)
            engine.die(EngineDied("The engine stopped.", "Load the model again."))
            await wait_until(pilot, lambda: "x-ray waits for the model" in status(pilot))
            await type_text(pilot, "Hello")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "waits for the model"))
            engine.enqueue(delta(TEXT), shifts(), finished(TEXT))
            await pilot.press("ctrl+r")
            await wait_until(pilot, lambda: shows(pilot, "50% unshifted"))
            assert engine.requests[-1].watch is not None

    async def test_a_worker_that_the_second_side_ends_leaves_it_off(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(**opening()) as pilot:
            engine.enqueue_load(EngineDied("The engine stopped.", "Load the model again."))
            await pilot.press("f8")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))
            await pilot.press("enter", "enter")
            await wait_until(pilot, lambda: shows(pilot, "so the x-ray"))
            assert shows(pilot, "Ctrl+R loads the model again.")
            await pilot.press("ctrl+r")
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert "x-ray" not in status(pilot)

    async def test_chosen_before_the_model_is_there_it_waits_for_it(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue_load(gate)
        async with opened(ready=False, **opening()) as pilot:
            await pilot.press("f8")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))
            await pilot.press("enter", "enter")
            await wait_until(pilot, lambda: "x-ray waits for the model" in status(pilot))
            gate.open()
            await wait_until(pilot, lambda: "x-ray tiny (zero-shot)" in status(pilot))


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
    opened: Opened, real: dict[str, Any], store: Store, home: Path
) -> None:
    async with opened(**real) as pilot:
        await turn_on(pilot, "tiny (raw)")
        for number, question in enumerate(("one", "two"), start=1):
            await ask(pilot, question)
            await wait_until(pilot, lambda: shows(pilot, "unshifted"))
            await wait_until(
                pilot,
                lambda count=number: (
                    len(transcript(pilot).query(XrayText)) == count  # type: ignore[misc]
                    and "ready" in status(pilot)
                ),
            )
        (listed,) = store.conversations()
        answers = [turn for turn in store.turns(listed.id) if turn.role == "assistant"]
        for view, stored in zip(transcript(pilot).query(XrayText), answers, strict=True):
            assert view.text == stored.text
            assert view.reading is not None
            assert view.reading.counts(len(stored.text)).total() == 60
            assert view.reading.through >= len(stored.text) - 1


async def test_the_death_of_a_real_worker_is_survived(
    opened: Opened, real: dict[str, Any], home: Path
) -> None:
    async with opened(**real) as pilot:
        await turn_on(pilot, "tiny (raw)")
        (pid,) = workers(home)
        os.kill(pid, signal.SIGKILL)
        await wait_until(pilot, lambda: "x-ray waits for the model" in status(pilot))
        await pilot.press("ctrl+r")
        await wait_until(pilot, lambda: "x-ray tiny (raw)" in status(pilot))
        await ask(pilot, "one")
        await wait_until(pilot, lambda: shows(pilot, "unshifted"))
        await wait_until(pilot, lambda: "ready" in status(pilot))


# -- what is on the screen ----------------------------------------------------------------


def colours(pilot: Pilot[None], text: str) -> list[str]:
    """The classes in which a text stands on the screen, in its order."""
    variables = pilot.app.theme_variables
    names = {
        variables[name].upper(): name
        for name in ("unshifted", "marginal", "shifted", "absent", "quiet")
    }
    at = screen_text(pilot).replace("\n", "").find(text)
    assert at >= 0, text
    for strip in pilot.app.screen._compositor.render_strips():
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
