"""Counters of the Markdown in an answer: headings, lists, code, tables.

Form is a good part of what a preamble changes, and judges are fond of it, so it is told beside the
scores. Only the lines outside of code blocks are looked at.
"""

from __future__ import annotations

import re

import msgspec

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}\s+\S")
_LIST_ITEM = re.compile(r"\s*(?:[-*+\u2022]|\d{1,9}[.)])\s+\S")
_BOLD = re.compile(r"\*\*(?=\S)[^*\n]+\*\*|__(?=\S)[^_\n]+__")


class MarkdownForm(msgspec.Struct, frozen=True, kw_only=True):
    """How many there are of each. A code block counts when it is opened, closed or not."""

    headings: int
    list_items: int
    code_blocks: int
    bold: int


def form_of(text: str) -> MarkdownForm:
    """Count the Markdown of a text."""
    prose, blocks = split_code(text)
    lines = prose.split("\n")
    return MarkdownForm(
        headings=sum(bool(_HEADING.match(line)) for line in lines),
        list_items=sum(bool(_LIST_ITEM.match(line)) for line in lines),
        code_blocks=blocks,
        bold=sum(len(_BOLD.findall(line)) for line in lines),
    )


def split_code(text: str) -> tuple[str, int]:
    """Take the code blocks out of a text.

    A block ends at a line with as many of the signs that opened it, or with the text.

    Returns:
        The text, and the number of blocks.
    """
    kept: list[str] = []
    blocks, fence = 0, ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if fence:
            closes = found and found[1].startswith(fence) and not line[found.end() :].strip()
            fence = "" if closes else fence
        elif found and not (found[1][0] == "`" and "`" in line[found.end() :]):
            fence = found[1]
            blocks += 1
        else:
            kept.append(line)
    return "\n".join(kept), blocks
