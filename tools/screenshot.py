"""Draw docs/images/chat.svg: the real application, with the real default model.

    python tools/screenshot.py "Give me three tips for learning to cook."

The conversation is not stored. Run it on an idle machine: the speed is in the picture.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from urial_tui.tui.app import UrialApp
from urial_tui.tui.chat.header_line import HeaderLine
from urial_tui.tui.widgets.prompt import Prompt

IMAGE = Path(__file__).resolve().parent.parent / "docs" / "images" / "chat.svg"
SIZE = (100, 32)


async def draw(question: str) -> str:
    """Ask, wait for the end of the answer, and export the screen."""
    app = UrialApp()
    async with app.run_test(size=SIZE) as pilot:
        prompt = app.chat.query_one(Prompt)
        prompt.cursor_blink = False
        prompt.put(question)
        await pilot.press("enter")
        conversation = app.chat.conversation
        while not (conversation.leaf and conversation.leaf.stop_reason):
            await asyncio.sleep(0.05)
        app.chat.query_one(HeaderLine).note = ""
        await asyncio.sleep(0.5)
        await pilot.pause()
        return app.export_screenshot(title="urial")


def self_contained(svg: str) -> str:
    """Without fonts from elsewhere, so that it looks the same without a network."""
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+-", "terminal-", svg)
    return svg.replace("Fira Code, monospace", "'DejaVu Sans Mono', Menlo, Consolas, monospace")


if __name__ == "__main__":
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    IMAGE.write_text(self_contained(asyncio.run(draw(sys.argv[1]))), encoding="utf-8")
