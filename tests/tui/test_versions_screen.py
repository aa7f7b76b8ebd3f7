"""A question under two preambles: who answers, in which order, and what ends it."""

from __future__ import annotations

from pathlib import Path

from tests.scripted import Gate, ScriptedEngine, answer, delta, shown, shown_turns
from tests.tui.test_prompts_screen import Prompts, laboratory, own
from urial_tui.chat.store import Store
from urial_tui.engine.wire.commands import Generate
from urial_tui.errors import EngineError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import preamble_text
from urial_tui.settings import Settings
from urial_tui.tui.prompts.edit_screen import EditScreen
from urial_tui.tui.prompts.prompts_screen import PromptsScreen

__all__ = ["laboratory", "own"]


def preamble_of(request: Generate) -> str:
    return "".join(map(shown, request.preamble))


async def test_both_answer_greedily_each_under_its_own(
    laboratory: Prompts, engine: ScriptedEngine, store: Store
) -> None:
    async with laboratory() as page:
        await page.tries("urial-k1", "urial-k3")
        assert page.shows("A  urial-k1")
        assert page.shows("B  urial-k3")
        engine.enqueue(*answer("Left one."))
        engine.enqueue(*answer("Right one."))
        await page.asks("Why?")
        await page.is_answered()
        assert page.answers == ("Left one.", "Right one.")
        left, right = engine.requests
        assert preamble_of(left) == preamble_text(find_preamble("urial-k1"))
        assert preamble_of(right) == preamble_text(find_preamble("urial-k3"))
        assert "Why?" in shown_turns(left)
        assert shown_turns(left) == shown_turns(right)
        assert left.sampling.stages == ("penalties", "dry", "greedy"), "as set, but for the draw"
        assert left.sampling.repetition_penalty == Settings().sampling.repetition_penalty
        assert left.sampling == right.sampling
        assert left.max_tokens == right.max_tokens
    assert store.conversations() == []


async def test_one_that_is_not_marked_is_tried_against_no_preamble(
    laboratory: Prompts, engine: ScriptedEngine
) -> None:
    async with laboratory() as page:
        await page.goes_to("zero-shot")
        await page.presses("y")
        assert page.shows("Mark the two that are to be tried")
        await page.goes_to("urial-k0")
        await page.tries()
        assert page.shows("A  zero-shot")
        assert page.shows("B  urial-k0")


async def test_esc_stops_both_and_keeps_what_was_written(
    laboratory: Prompts, engine: ScriptedEngine
) -> None:
    gate = Gate()
    async with laboratory() as page:
        await page.tries("urial-k1", "urial-k3")
        engine.enqueue(delta("Begun"), gate, delta(" never"))
        await page.asks("Why?")
        await page.until(lambda: page.answers[0] == "Begun")
        await page.presses("escape")
        await page.is_answered()
        assert page.answers == ("Begun", "")
        assert page.shows("■ stopped")
        assert page.shows("■ not answered")
        assert len(engine.requests) == 1
        await page.presses("escape")
        assert isinstance(page.pilot.app.screen, PromptsScreen)


async def test_the_same_is_asked_again_with_places_changed(
    laboratory: Prompts, engine: ScriptedEngine
) -> None:
    async with laboratory() as page:
        await page.tries("urial-k1", "urial-k3")
        engine.enqueue(*answer("One."))
        engine.enqueue(*answer("Two."))
        await page.asks("Why?")
        await page.is_answered()
        await page.presses("f6")
        assert page.shows("A  urial-k3")
        engine.enqueue(*answer("Three."))
        engine.enqueue(*answer("Four."))
        await page.presses("f5")
        await page.until(lambda: page.answers == ("Three.", "Four."))
        await page.is_answered()
        assert preamble_of(engine.requests[2]) == preamble_text(find_preamble("urial-k3"))


async def test_one_that_fails_leaves_the_other_alone(
    laboratory: Prompts, engine: ScriptedEngine
) -> None:
    async with laboratory() as page:
        await page.tries("urial-k1", "urial-k3")
        engine.enqueue(EngineError("It does not fit.", "Shorten it."))
        engine.enqueue(*answer("Right one."))
        await page.asks("Why?")
        await page.is_answered()
        assert page.answers[1] == "Right one."
        assert page.shows("✖ urial-k1: It does not fit.")


async def test_a_hostile_answer_is_not_drawn_as_it_is(
    laboratory: Prompts, engine: ScriptedEngine
) -> None:
    async with laboratory() as page:
        await page.tries("urial-k1", "urial-k3")
        engine.enqueue(*answer("\x1b[31mRed\x1b]0;x\x07"))
        await page.asks("Why?")
        await page.is_answered()
        assert "\x1b" not in page.text
        assert page.shows("␛[31mRed")


async def test_what_is_saved_is_tried_against_what_was_made_of_it(
    laboratory: Prompts, own: Path, engine: ScriptedEngine
) -> None:
    async with laboratory() as page:
        await page.edits("mine")
        await page.presses("f5")
        assert page.shows("there is nothing to compare")
        await page.writes("first", "I answer briefly.")
        await page.presses("f5")
        await page.until(lambda: page.shows("A  mine, as saved"))
        assert page.shows("B  mine, as changed")
        engine.enqueue(*answer("Long."))
        engine.enqueue(*answer("Short."))
        await page.asks("Why?")
        await page.is_answered()
        assert page.answers == ("Long.", "Short.")
        saved, changed = map(preamble_of, engine.requests)
        assert saved.startswith("I answer.\n")
        assert changed.startswith("I answer briefly.\n")
        await page.presses("escape")
        assert isinstance(page.pilot.app.screen, EditScreen)
        assert page.editor.changed


async def test_an_unfinished_example_can_be_tried(
    laboratory: Prompts, own: Path, engine: ScriptedEngine
) -> None:
    async with laboratory() as page:
        await page.edits("mine")
        await page.presses("f2", "f5")
        await page.until(lambda: page.shows("B  mine, as changed"))
        await page.asks("Why?")
        await page.is_answered()
        assert len(engine.requests) == 2


async def test_without_a_model_it_says_so(laboratory: Prompts, engine: ScriptedEngine) -> None:
    async with laboratory() as page:
        await page.tries("urial-k1", "urial-k3")
        engine.close()
        await page.asks("Why?")
        await page.is_answered()
        assert page.shows("No model is loaded.")
        assert page.answers == ("", "")
