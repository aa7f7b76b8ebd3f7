"""The code in an answer, block by block."""

from __future__ import annotations

from typing import NamedTuple

from urial_tui.tui.drawing.markdown import markdown_parser


class CodeBlock(NamedTuple):
    """A fenced or indented block. `language` is "" where none is named."""

    language: str
    text: str


def code_blocks(markdown: str) -> list[CodeBlock]:
    """The blocks of a Markdown text, also those in lists and quotes, in their order.

    One that is not closed goes to the end, as it is shown.
    """
    return [
        CodeBlock(token.info.split()[0] if token.info.split() else "", token.content)
        for token in markdown_parser().parse(markdown)
        if token.type in ("fence", "code_block")
    ]
