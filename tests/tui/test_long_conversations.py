"""Conversations of hundreds of turns: only what is near to the view is there as widgets."""

from __future__ import annotations

import itertools
import re

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from tests.scripted import Gate, ScriptedEngine, delta
from tests.tui.conftest import Opened, screen_text, shows, status, type_text, wait_until
from urial_tui.chat.store import Store
from urial_tui.chat.turns import ConversationRecord, TurnRecord, WholeConversation, new_id
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.chat.turn import QuestionView
from urial_tui.tui.chat.window import MORE, MOST, SHOWN
from urial_tui.tui.drawing.answer_text import AnswerText
from urial_tui.tui.drawing.markdown import Document

pytestmark = pytest.mark.timeout(600)

EXCHANGES = 66


def turn(conversation: int, parent: int | None, text: str) -> TurnRecord:
    answer = text.startswith("Answer")
    return TurnRecord(
        id=new_id(),
        conversation_id=conversation,
        parent_id=parent,
        role="assistant" if answer else "user",
        text=text,
        created=0.0,
        stop_reason="stop" if answer else None,
        model="tiny",
        preamble="urial-k1",
    )


@pytest.fixture
def turns(store: Store) -> list[TurnRecord]:
    """A stored conversation of which every sixth answer is longer than the view."""
    record = ConversationRecord(
        id=new_id(), title="Long", created=0.0, updated=0.0, model="tiny", preamble="urial-k1"
    )
    made: list[TurnRecord] = []
    for number in range(EXCHANGES):
        lines = "".join(f"\n\nline {line}" for line in range(20 if number % 6 == 0 else 2))
        for text in (f"Question {number}:", f"Answer {number}.{lines}"):
            made.append(turn(record.id, made[-1].id if made else None, text))
    store.add([WholeConversation(record, tuple(made))])
    return made


def transcript(pilot: Pilot[None]) -> Transcript:
    return pilot.app.screen_stack[0].query_one(Transcript)


def earlier(pilot: Pilot[None]) -> str:
    line = transcript(pilot).query_one("#earlier", Static)
    return str(line.render()) if line.display else ""


async def open_long(pilot: Pilot[None]) -> None:
    await pilot.press("ctrl+o")
    await wait_until(pilot, lambda: shows(pilot, "Long"))
    await pilot.press("enter")
    await wait_until(pilot, lambda: shows(pilot, f"Question {EXCHANGES - 1}:"))
    await still(pilot)


async def still(pilot: Pilot[None]) -> None:
    """Let the transcript make what it wants to make."""
    await wait_until(pilot, lambda: not transcript(pilot).moving)


@pytest.mark.usefixtures("turns")
class TestAWindowOnTheTurns:
    async def test_only_the_newest_are_made_when_it_opens(self, opened: Opened) -> None:
        async with opened() as pilot:
            await open_long(pilot)
            made = len(transcript(pilot).views) // 2
            assert SHOWN <= made <= SHOWN + 2 * MORE
            assert earlier(pilot) == f"▲ {EXCHANGES - made} earlier questions"

    async def test_pages_lead_to_the_first_and_back_with_a_bounded_number(
        self, opened: Opened
    ) -> None:
        async with opened() as pilot:
            await open_long(pilot)
            seen: set[str] = set()

            def look() -> None:
                seen.update(re.findall(r"Question \d+:", screen_text(pilot)))

            for key, last in (
                ("pageup", "Question 0:"),
                ("pagedown", f"Question {EXCHANGES - 1}:"),
            ):
                seen.clear()
                await still(pilot)
                while not shows(pilot, last):
                    look()
                    await pilot.press(key)
                    await still(pilot)
                    assert len(transcript(pilot).views) <= 2 * (MOST + MORE)
                look()
                assert seen == {f"Question {number}:" for number in range(EXCHANGES)}
            assert earlier(pilot) != ""

    async def test_what_is_in_view_stays_where_it_is_while_more_is_made(
        self, opened: Opened
    ) -> None:
        async with opened() as pilot:
            await open_long(pilot)
            view = transcript(pilot)
            made = set()
            for lines in itertools.chain([-19] * 42, [19] * 42):
                before = {
                    seen: seen.region.y
                    for seen in view.views
                    if isinstance(seen, QuestionView) and view.region.contains_region(seen.region)
                }
                top = round(view.scroll_y)
                view.scroll_relative(y=lines, animate=False)
                if 0 < top + lines < view.max_scroll_y:
                    await pilot.pause()
                    await still(pilot)
                    moved = {seen.region.y - y for seen, y in before.items()}
                    assert moved <= {-lines}
                made.add(view.turns.window[:2])
            assert len(made) > 5
            assert {end for _, end in made} > {EXCHANGES}

    async def test_home_and_end_lead_to_the_first_and_the_newest(self, opened: Opened) -> None:
        async with opened() as pilot:
            await open_long(pilot)
            await pilot.press("shift+tab", "home")
            await wait_until(pilot, lambda: shows(pilot, "Question 0:"))
            assert earlier(pilot) == ""
            await still(pilot)
            assert len(transcript(pilot).views) <= 2 * (SHOWN + 2 * MORE)
            await pilot.press("end")
            await wait_until(pilot, lambda: shows(pilot, f"Question {EXCHANGES - 1}:"))

    async def test_a_turn_of_the_middle_is_revealed(
        self, opened: Opened, turns: list[TurnRecord]
    ) -> None:
        async with opened() as pilot:
            await open_long(pilot)
            view = transcript(pilot)
            view.focus()
            assert await view.reveal(turns[60].id)
            await wait_until(pilot, lambda: shows(pilot, "Question 30:"))
            assert view.marked is not None
            assert view.marked.turn_id == turns[60].id
            assert not await view.reveal(12345)

    async def test_the_keys_of_a_turn_go_on_beyond_what_was_made(self, opened: Opened) -> None:
        async with opened() as pilot:
            await open_long(pilot)
            view = transcript(pilot)
            await pilot.press("shift+tab")
            while view.turns.window.first > EXCHANGES - SHOWN - MORE:
                await pilot.press("up")
                await still(pilot)
            assert view.marked is not None
            assert view.region.overlaps(view.marked.region)


class TestWhileAnAnswerIsWritten:
    @pytest.mark.usefixtures("turns")
    async def test_the_newest_answer_stays_there(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("It begins "), gate, delta("and it ends."))
        async with opened() as pilot:
            await open_long(pilot)
            await type_text(pilot, "More")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "It begins"))
            await pilot.press("shift+tab", "home")
            await pilot.pause()
            await still(pilot)
            assert not shows(pilot, "It begins")
            place = transcript(pilot).scroll_y
            gate.open()
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert transcript(pilot).scroll_y == place
            await pilot.press("end")
            await wait_until(pilot, lambda: shows(pilot, "It begins and it ends."))

    async def test_pieces_that_come_together_are_parsed_together(
        self, opened: Opened, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parsed: list[str] = []
        append = Document.append

        def counting(self: Document, text: str) -> None:
            parsed.append(text)
            append(self, text)

        monkeypatch.setattr(Document, "append", counting)
        async with opened() as pilot:
            text = AnswerText()
            await transcript(pilot).turns.mount(text)
            transcript(pilot).display = True
            parsed.clear()
            for number in range(200):
                text.append(f"word{number} ")
            await wait_until(pilot, lambda: not text._resting)
            assert len(parsed) == 2
            assert text.source.split() == [f"word{number}" for number in range(200)]
