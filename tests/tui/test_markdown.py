"""Markdown as blocks: what stands in front of lines, and texts that come in pieces."""

from __future__ import annotations

import random
from typing import Any

import pytest
from markdown_it.token import Token

from tests.tui.conftest import Chatting
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.drawing.answer_text import AnswerText
from urial_tui.tui.drawing.markdown import Block, Document
from urial_tui.tui.drawing.markdown_lines import inline, plain_text, table

TEXT = """\
# Reading *files*

One paragraph
in two lines, with [a link][1].

1. Open it.

   Name the encoding.
2. Read it:
   - line by line
   - or
     ```python
     file.read()

     # all of it
     ```
3. Close it.

> Quoted
> - twice
>
> > and deeper

| mode | reads |
| --- | --- |
| `r` | yes |
| `w` | no |

Title
=====

***

    indented code

```
never closed
- no list

[1]: http://example.org
"""


def blocks(text: str) -> tuple[Block, ...]:
    return Document(text).blocks


def lines(text: str) -> list[str]:
    return [block.lead + block.text for block in blocks(text)]


@pytest.mark.parametrize("seed", range(40))
def test_the_blocks_do_not_depend_on_the_pieces(seed: int) -> None:
    draw = random.Random(seed)
    document = Document()
    at = 0
    while at < len(TEXT):
        size = draw.choice((1, 2, 3, 7, 40))
        document.append(TEXT[at : at + size])
        at += size
        assert document.blocks == Document(document.source).blocks
    assert document.source == TEXT
    assert document.blocks == blocks(TEXT)


def test_only_the_last_block_is_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    document = Document("paragraph\n\n" * 200)
    parsed: list[str] = []
    parse = document._parser.parse

    def counting(text: str, env: dict[str, Any]) -> list[Token]:
        parsed.append(text)
        return parse(text, env)

    monkeypatch.setattr(document._parser, "parse", counting)
    for _ in range(10):
        document.append("more words ")
    assert max(map(len, parsed)) < 200
    assert len(document.blocks) == 201


SYNTAX_ALONE = {
    "Fine.\n~~~": "~~~",
    "Fine.\n```": "```",
    "Fine.\n~~~python\n~~~": "~~~python",
    "- one\n  ~~~": "~~~",
    "Fine.\n</u>": "</u>",
    "Fine.\n\n</u>": "</u>",
    "#": "#",
    ">": "▎",
    "[](http://example.org)": "http://example.org",
    "Fine.\n\n[1]: http://a.org\n[2]: http://b.org 'two'": "2: http://b.org 'two'",
    "[^1]: note": "^1: note",
    "<!-- said -->": "<!-- said -->",
}
"""Answers that end in what Markdown draws nothing for, and what has to be seen of it."""


async def test_syntax_alone_is_shown(chatting: Chatting) -> None:
    async with chatting() as chat:
        await chat.exchanges("Hi", "Fine.")
        view = chat.app.screen.query_one(AnswerText)
        for text, seen in SYNTAX_ALONE.items():
            view.update(text)
            await chat.until(lambda seen=seen: seen in chat.text)  # type: ignore[misc]
            assert seen in chat.text.partition("tiny\n")[2], text
            view.update("")
            await chat.pauses()


def test_a_preview_has_no_signs_of_markdown() -> None:
    text = "# A *title*\n\nSome **bold** `code`.\n\n- one\n- two\n\n```py\nx = 1\n```\n> [it](http://a.b)\n"
    assert plain_text(text) == ("A title\n\nSome bold code.\n\n• one\n• two\n\nx = 1\n\n▎ it")


class TestLeads:
    def test_lists_in_lists(self) -> None:
        text = "- a\n- b\n  1. c\n  2. d\n\nend"
        assert lines(text) == ["• a", "• b", "  1. c", "  2. d", "end"]

    def test_numbers_stand_under_each_other(self) -> None:
        text = "\n".join(f"{number}. x" for number in range(8, 12))
        assert lines(text) == [" 8. x", " 9. x", "10. x", "11. x"]

    def test_a_second_paragraph_stands_under_the_first(self) -> None:
        assert lines("1. one\n\n   two") == ["1. one", "   two"]

    def test_quotes_have_a_bar_in_front_of_each_line(self) -> None:
        (quoted,) = blocks("> one\n> two")
        assert (quoted.lead, quoted.indent) == ("▎ ", "▎ ")

    def test_an_item_without_text_is_shown(self) -> None:
        assert lines("- a\n-\n- c") == ["• a", "• ", "• c"]


class TestGaps:
    def test_nothing_stands_above_the_first_block(self) -> None:
        assert [block.gap for block in blocks("a\n\nb")] == [None, ""]

    def test_a_tight_list_has_none_and_a_loose_one_has(self) -> None:
        assert [block.gap for block in blocks("x\n- a\n- b\n")] == [None, "", None]
        assert [block.gap for block in blocks("x\n\n- a\n\n- b\n")] == [None, "", ""]

    def test_the_bar_of_a_quote_goes_through_its_gaps(self) -> None:
        assert [block.gap for block in blocks("> a\n>\n> b")] == [None, "▎"]


class TestInline:
    def test_line_breaks_stay(self) -> None:
        assert inline("one\ntwo  \nthree", {}).plain == "one\ntwo\nthree"

    def test_html_and_entities_are_text(self) -> None:
        assert inline("<b>x</b> &lt; &#27;", {}).plain == "<b>x</b> &lt; &#27;"

    def test_emphasis_may_be_in_emphasis(self) -> None:
        content = inline("**a *b* c**", {})
        assert content.plain == "a b c"
        assert {(span.start, span.end, span.style) for span in content.spans} == {
            (0, 5, "bold"),
            (2, 3, "italic"),
        }

    def test_a_link_says_where_it_leads_only_when_clicked(self) -> None:
        content = inline("[home](http://example.org/[b]x')", {})
        (span,) = content.spans
        assert content.plain == "home"
        assert not isinstance(span.style, str)
        assert span.style.meta == {"@click": 'link("http://example.org/%5Bb%5Dx\'")'}

    def test_a_link_may_be_defined_elsewhere(self) -> None:
        document = Document(TEXT.replace("```\nnever", "never"))
        assert inline("[a link][1]", document.references).plain == "a link"


class TestTables:
    ROWS = (("mode", "reads"), ("`r`", "a long text that has to be wrapped"))

    @pytest.mark.parametrize("width", [20, 30, 80])
    def test_every_line_fits(self, width: int) -> None:
        drawn = table(self.ROWS, width, {})
        assert max(line.cell_length for line in drawn) <= width
        words = " ".join(line.plain.rpartition("│")[2].strip() for line in drawn[2:])
        assert words.split() == ["a", "long", "text", "that", "has", "to", "be", "wrapped"]


class TestAnswerText:
    async def test_what_is_selected_is_copied_without_the_line_breaks_of_the_screen(
        self, chatting: Chatting
    ) -> None:
        words = " ".join(f"word{number}" for number in range(40))
        source = f"{words}\n\n- one\n- two\n\n```python\n{'x' * 100} = 1\n\ny\n```\n"
        async with chatting() as chat:
            transcript = chat.app.screen.query_one(Transcript)
            transcript.display = True
            text = AnswerText(source)
            await transcript.turns.mount(text)
            await chat.until(lambda: text.size.width > 0)
            text.text_select_all()
            await chat.until(lambda: bool(chat.app.screen.selections))
            copied = chat.app.screen.get_selected_text()
        assert copied == f"{words}\n\n• one\n• two\n\n{'x' * 100} = 1\n\ny"

    async def test_every_line_is_as_wide_as_the_view(self, chatting: Chatting) -> None:
        async with chatting(size=(40, 24)) as chat:
            transcript = chat.app.screen.query_one(Transcript)
            transcript.display = True
            text = AnswerText(TEXT + "\n```\n" + "🐏" * 50 + "\n" + "> " * 30 + "deep")
            await transcript.turns.mount(text)
            await chat.until(lambda: text.size.width > 0)
            widths = {text.render_line(y).cell_length for y in range(text.size.height)}
            assert widths == {text.size.width}
