"""The blocks of Markdown as styled text: what is bold, what is a link, how tables stand.

Every sign of Markdown that colour tells is told by something else as well: headings are bold,
code has a bar beside it, quotes and lists have theirs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from markdown_it.token import Token
from textual.content import Content, Span
from textual.highlight import highlight
from textual.style import Style

from urial_tui.tui.drawing.markdown import Document, LinkTargets, markdown_parser

CODE_STYLE = "$text-warning on $surface"
COLUMN_GAP = " │ "
NARROWEST = 4
"""Cells of a table's column, at least."""

_PARSER = markdown_parser()


def inline(source: str, references: LinkTargets) -> Content:
    """The text of a paragraph: emphasis, code, links. Line breaks stay where they were written.

    Args:
        source: Markdown.
        references: What the whole text defines for its links.
    """
    (whole,) = _PARSER.parseInline(source, {"references": references})
    text: list[str] = []
    spans: list[Span] = []
    started: list[tuple[Token, int]] = []
    at = 0
    for token in whole.children or ():
        piece = _piece(token)
        if token.type == "link_close" and started[-1][1] == at:
            piece = str(started[-1][0].attrGet("href"))  # of a link without words
        text.append(piece)
        if token.nesting > 0:
            started.append((token, at))
        elif token.nesting < 0:
            opening, start = started.pop()
            spans.append(Span(start, at + len(piece), _style(opening)))
        elif style := _style(token):
            spans.append(Span(at, at + len(piece), style))
        at += len(piece)
    return Content("".join(text), spans=spans)


def plain_text(source: str) -> str:
    """A Markdown text without its signs, as it is drawn: one line for each of its lines."""
    document = Document(source)
    lines: list[str] = []
    for block in document.blocks:
        lines += [] if block.gap is None else [block.gap]
        match block.kind:
            case "code":
                text = block.text
            case "table":
                rows = [[inline(cell, document.references).plain for cell in r] for r in block.rows]
                text = "\n".join(COLUMN_GAP.join(row) for row in rows)
            case "rule":
                text = "───"
            case _:
                text = inline(block.text, document.references).plain
        first, *rest = text.split("\n")
        lines += [block.lead + first, *(block.indent + line for line in rest)]
    return "\n".join(lines)


def _piece(token: Token) -> str:
    match token.type:
        case "text":
            return re.sub(r"\s+", " ", token.content)
        case "softbreak" | "hardbreak":
            return "\n"
        case "image":
            return f"🖼 {token.content}"
        case _:
            return token.content


def _style(token: Token) -> str | Style:
    match token.type:
        case "em_open":
            return "italic"
        case "strong_open":
            return "bold"
        case "s_open":
            return "strike"
        case "code_inline":
            return CODE_STYLE
        case "link_open":
            return _link(token.attrGet("href"))
        case "image":
            return _link(token.attrGet("src"))
        case _:
            return ""


def _link(target: Any) -> Style:
    return Style(underline=True) + Style.from_meta({"@click": f"link({str(target or '')!r})"})


@lru_cache(maxsize=1024)
def highlighted(text: str, language: str) -> Content:
    """Code in the colours of a language; plain where that is not known."""
    return highlight(text, language=language or "text").expand_tabs(4)


def table(rows: Sequence[Sequence[str]], width: int, references: LinkTargets) -> list[Content]:
    """A table's lines: the head, a rule, the rows. Cells are wrapped so that all fit."""
    cells = [[inline(cell, references) for cell in row] for row in rows]
    wanted = [max(cell.cell_length for cell in column) for column in zip(*cells, strict=True)]
    widths = _fitted(wanted, width - len(COLUMN_GAP) * (len(wanted) - 1))
    lines: list[Content] = []
    for number, row in enumerate(cells):
        lines += _row([cell.stylize("bold") if number == 0 else cell for cell in row], widths)
        if number == 0:
            rule = COLUMN_GAP.replace(" ", "─").replace("│", "┼").join("─" * w for w in widths)
            lines.append(Content.styled(rule, "$line"))
    return lines


def _row(cells: Sequence[Content], widths: Sequence[int]) -> list[Content]:
    wrapped = [cell.wrap(width) for cell, width in zip(cells, widths, strict=True)]
    gap = Content.styled(COLUMN_GAP, "$line")
    lines = []
    for number in range(max(map(len, wrapped))):
        parts = [cell[number] if number < len(cell) else Content("") for cell in wrapped]
        lines.append(
            gap.join(
                part.pad_right(max(0, width - part.cell_length))
                for part, width in zip(parts, widths, strict=True)
            )
        )
    return lines


def _fitted(wanted: Sequence[int], room: int) -> list[int]:
    """Widths of columns: as wanted, but where there is too little room the widest ones give way."""
    widths = [max(1, width) for width in wanted]
    while sum(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths
