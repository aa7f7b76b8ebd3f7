"""Finds the Markdown block that a text leaves open at its end, and the line that closes it.

A model may stop within a block of code, or write a fence or a comment that nothing ends. What
follows in the same file would then be shown as code, or not at all.
"""

from __future__ import annotations

import functools

from markdown_it import MarkdownIt

# CommonMark 0.31, 4.6: how an HTML block that goes over blank lines ends.
_HTML_ENDS = ("-->", "</pre>", "</script>", "</style>", "</textarea>", "?>", "]]>", ">")
_NEXT = "## Next"


def closing_line(text: str) -> str:
    """The line behind which a heading is one; "" where it is one anyway.

    Of fences and HTML in lists and quotes there is nothing to close: what follows ends these.
    """
    if not any(sign in text for sign in ("```", "~~~", "<")):
        return ""
    lines = ["", *_fences(text), *_HTML_ENDS]
    return next((line for line in lines if _is_closed(f"{text}\n{line}")), "")


def _fences(text: str) -> list[str]:
    """The fence of the last block of code, which is the one that is open if any is."""
    return [token.markup for token in _parser().parse(text) if token.type == "fence"][-1:]


def _is_closed(text: str) -> bool:
    tokens = _parser().parse(f"{text}\n\n{_NEXT}\n")
    heading = tokens[-3] if len(tokens) >= 3 else None
    return heading is not None and heading.type == "heading_open" and heading.level == 0


@functools.cache
def _parser() -> MarkdownIt:
    """Blocks alone: what stands within a line can't stay open behind it."""
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser
