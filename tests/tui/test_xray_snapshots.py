"""How the x-ray looks: an answer in the colours of its tokens' ranks."""

from __future__ import annotations

from textual.pilot import Pilot

from tests.scripted import ScriptedEngine, delta, finished
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Looks, ready
from tests.tui.registry import Found
from tests.tui.test_compare_snapshots import TEXT, tokens
from tests.tui.test_reading import told

MODEL = "gemma-3-270m"
TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


def test_an_answer(looks: Looks, engine: ScriptedEngine) -> None:
    engine.enqueue(delta(TEXT), told(*tokens(TEXT)[:-1]), finished(TEXT))

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        chat = ChatPage(pilot, engine)
        await chat.turns_xray_on(f"{MODEL}-sft (chat)")
        await chat.asks("How do I learn a language?")
        await chat.reads("75 tokens/s")
        await chat.is_ready()

    assert looks(
        prepare,
        model=MODEL,
        find_model=lambda name, progress: Found(name=name, chat_template=TEMPLATE),
        list_models=lambda: [MODEL, f"{MODEL}-sft", "notes-[7b].gguf"],
    )
