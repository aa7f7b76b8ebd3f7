"""The Markdown of an answer."""

from __future__ import annotations

import pytest

from urial_tui.evaluate.form import MarkdownForm, form_of, split_code


def form(
    headings: int = 0, list_items: int = 0, code_blocks: int = 0, bold: int = 0
) -> MarkdownForm:
    return MarkdownForm(
        headings=headings, list_items=list_items, code_blocks=code_blocks, bold=bold
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", form()),
        ("Plain text, 2 + 2 = 4.", form()),
        ("# One\n\n### Two\n#hashtag\n####### seven", form(headings=2)),
        ("1. a\n2) b\n- c\n* d\n  + e\n• f\n-no\n1.5 litres", form(list_items=6)),
        ("**a** and __b__ and ** no ** and 2**3**4", form(bold=3)),
        ("```python\n# no heading\n- no item\n```\n# Heading", form(headings=1, code_blocks=1)),
        ("~~~\nx\n~~~\n\n```\nnever closed\n# a", form(code_blocks=2)),
        ("````\n```\n# in the block\n````\n# out", form(headings=1, code_blocks=1)),
        ("```inline``` is no block\n- item", form(list_items=1)),
        ("1. **Keep** it\n2. **Do** it", form(list_items=2, bold=2)),
    ],
)
def test_what_is_counted(text: str, expected: MarkdownForm) -> None:
    assert form_of(text) == expected


def test_code_is_taken_out() -> None:
    assert split_code("a\n```\nb\n```\nc") == ("a\nc", 1)
    assert split_code("a\n```\nb\n``` c\nd") == ("a", 1)


@pytest.mark.parametrize("part", ["**a", "_", "`", " ", "__a ", "- "])
@pytest.mark.timeout(10)
def test_text_made_to_be_slow_is_not(part: str) -> None:
    form_of(part * 100_000)
