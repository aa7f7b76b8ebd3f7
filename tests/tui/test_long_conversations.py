"""Conversations of hundreds of turns: only what is near to the view is there as widgets."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.scripted import Gate, ScriptedEngine, delta
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Chatting
from tests.tui.conversations_page import ConversationsPage
from urial_tui.chat.store import Store
from urial_tui.chat.turns import ConversationRecord, TurnRecord, WholeConversation, new_id
from urial_tui.tui.chat.turn import QuestionView
from urial_tui.tui.chat.window import MORE, MOST, SHOWN
from urial_tui.tui.drawing.answer_text import AnswerText
from urial_tui.tui.drawing.markdown import Document

pytestmark = pytest.mark.timeout(600)

EXCHANGES = 66

TALL = (80, 43)
"""A window in which a page is two of the usual one's: half as many keys lead through it all."""


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


async def open_long(chat: ChatPage) -> None:
    stored = await chat.leads_to(ConversationsPage)
    await stored.reads("Long")
    await stored.presses("enter")
    await chat.reads(f"Question {EXCHANGES - 1}:")
    await chat.rests()


@pytest.mark.usefixtures("turns")
class TestAWindowOnTheTurns:
    async def test_only_the_newest_are_made_when_it_opens(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await open_long(chat)
            made = len(chat.transcript.views) // 2
            assert SHOWN <= made <= SHOWN + 2 * MORE
            assert chat.earlier == f"▲ {EXCHANGES - made} earlier questions"

    async def test_pages_lead_to_the_first_and_back_with_a_bounded_number(
        self, chatting: Chatting
    ) -> None:
        async with chatting(size=TALL) as chat:
            await open_long(chat)
            seen: set[str] = set()

            def look() -> None:
                seen.update(re.findall(r"Question \d+:", chat.text))

            for key, last in (
                ("pageup", "Question 0:"),
                ("pagedown", f"Question {EXCHANGES - 1}:"),
            ):
                seen.clear()
                await chat.rests()
                while not chat.shows(last):
                    look()
                    await chat.presses(key)
                    await chat.rests()
                    assert len(chat.transcript.views) <= 2 * (MOST + MORE)
                look()
                assert seen == {f"Question {number}:" for number in range(EXCHANGES)}
            assert chat.earlier != ""

    async def test_what_is_in_view_stays_where_it_is_while_more_is_made(
        self, chatting: Chatting
    ) -> None:
        async with chatting(size=TALL) as chat:
            await open_long(chat)
            view = chat.transcript
            made = set()
            for lines in itertools.chain([-38] * 21, [38] * 21):
                before = {
                    seen: seen.region.y
                    for seen in view.views
                    if isinstance(seen, QuestionView) and view.region.contains_region(seen.region)
                }
                top = round(view.scroll_y)
                view.scroll_relative(y=lines, animate=False)
                if 0 < top + lines < view.max_scroll_y:
                    await chat.pauses()
                    await chat.rests()
                    moved = {seen.region.y - y for seen, y in before.items()}
                    assert moved <= {-lines}
                made.add(view.turns.window[:2])
            assert len(made) > 5
            assert {end for _, end in made} > {EXCHANGES}

    async def test_home_and_end_lead_to_the_first_and_the_newest(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await open_long(chat)
            await chat.presses("shift+tab", "home")
            await chat.reads("Question 0:")
            assert chat.earlier == ""
            await chat.rests()
            assert len(chat.transcript.views) <= 2 * (SHOWN + 2 * MORE)
            await chat.presses("end")
            await chat.reads(f"Question {EXCHANGES - 1}:")

    async def test_a_turn_of_the_middle_is_revealed(
        self, chatting: Chatting, turns: list[TurnRecord]
    ) -> None:
        async with chatting() as chat:
            await open_long(chat)
            view = chat.transcript
            view.focus()
            assert await view.reveal(turns[60].id)
            await chat.reads("Question 30:")
            assert view.marked is not None
            assert view.marked.turn_id == turns[60].id
            assert not await view.reveal(12345)

    async def test_the_keys_of_a_turn_go_on_beyond_what_was_made(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await open_long(chat)
            view = chat.transcript
            await chat.presses("shift+tab")
            while view.turns.window.first > EXCHANGES - SHOWN - MORE:
                await chat.presses("up")
                await chat.rests()
            assert view.marked is not None
            assert view.region.overlaps(view.marked.region)


class TestWhileAnAnswerIsWritten:
    @pytest.mark.usefixtures("turns")
    async def test_the_newest_answer_stays_there(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("It begins "), gate, delta("and it ends."))
        async with chatting() as chat:
            await open_long(chat)
            await chat.asks("More")
            await chat.reads("It begins")
            await chat.presses("shift+tab", "home")
            await chat.pauses()
            await chat.rests()
            assert not chat.shows("It begins")
            place = chat.transcript.scroll_y
            gate.open()
            await chat.is_ready()
            assert chat.transcript.scroll_y == place
            await chat.presses("end")
            await chat.reads("It begins and it ends.")

    async def test_pieces_that_come_together_are_parsed_together(
        self, chatting: Chatting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parsed: list[str] = []
        append = Document.append

        def counting(self: Document, text: str) -> None:
            parsed.append(text)
            append(self, text)

        monkeypatch.setattr(Document, "append", counting)
        async with chatting() as chat:
            text = AnswerText()
            await chat.transcript.turns.mount(text)
            chat.transcript.display = True
            parsed.clear()
            for number in range(200):
                text.append(f"word{number} ")
            await chat.until(lambda: not text._resting)
            assert len(parsed) == 2
            assert text.source.split() == [f"word{number}" for number in range(200)]
