"""Layouts of the text files that URIAL's authors publish: how a file is cut into its examples.

All of them have a heading over each query and one over each answer. There are two pairs of
headings, and each text stands in a fence of three backticks or, in some files, in none. What is cut
is never changed: what stands around a text is its template, to the character.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

FENCE = "```"
_HEADINGS = (("# Query:", "# Answer:"), ("# User:", "# Assistant:"))
_LINE_ENDS = re.compile(r"[ \t]+$", re.MULTILINE)


class LayoutError(Exception):
    """Why a text can't be cut: the end of a sentence."""


class ExampleBlock(NamedTuple):
    """A query and an answer with the templates that they stand in; the last answer may be open.

    `lone`: these hold a query without an answer, or an answer to no query.
    """

    query: str
    query_format: str
    answer: str
    answer_format: str
    lone: bool
    open: bool


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The headings over queries and answers, and whether the texts stand in fences."""

    query: str = _HEADINGS[0][0]
    answer: str = _HEADINGS[0][1]
    fenced: bool = True

    @property
    def query_format(self) -> str:
        """The template of a turn's query."""
        return f"{self.query}\n{self._around('{query}')}\n\n"

    @property
    def answer_format(self) -> str:
        """The template of a turn's answer."""
        return f"{self.answer}\n{self._around('{answer}')}\n\n"

    @property
    def stops(self) -> tuple[str, ...]:
        """Where a model that forgets the fence, or has none, goes on with a turn of its own."""
        answer, query = f"\n{self.answer}\n", f"\n{self.query}\n"
        return (f"\n{answer}", answer, f"\n{query}", query)

    def starts(self, text: str, at: int = 0) -> re.Match[str] | None:
        """The next heading of a query."""
        return _alone(self.query).search(text, at)

    def is_open(self, text: str) -> bool:
        """Whether a text ends right where an answer is to be written."""
        opens = rf"{self.answer}[ \t]*\n\s*{FENCE}" if self.fenced else _alone(self.answer).pattern
        found = list(re.finditer(opens, text, re.MULTILINE))
        return bool(found) and not text[found[-1].end() :].strip()

    def blocks(self, text: str, at: int) -> Iterator[ExampleBlock]:
        """What stands behind the system text.

        Raises:
            LayoutError: It is not in this layout.
        """
        return _Fenced(self, text).blocks(at) if self.fenced else _plain(self, text, at)

    def turn_of(self, blocks: Sequence[ExampleBlock]) -> tuple[str, str]:
        """The templates of a turn behind examples: without fences those of most examples, but for
        white space at the ends of lines.
        """
        if self.fenced or not blocks:
            return self.query_format, self.answer_format
        around = Counter(
            (_LINE_ENDS.sub("", one.query_format), _LINE_ENDS.sub("", one.answer_format))
            for one in blocks
        )
        return around.most_common(1)[0][0]

    def _around(self, text: str) -> str:
        return f"{FENCE}\n{text}\n{FENCE}" if self.fenced else text


def layout_of(text: str) -> Layout:
    """The layout that a text has, by its first query's heading and what stands under headings."""
    first = re.search("|".join(_alone(query).pattern for query, _ in _HEADINGS), text, re.MULTILINE)
    if first is None:
        return Layout()
    query, answer = next(pair for pair in _HEADINGS if first.group().startswith(pair[0]))
    bare = re.search(rf"^{answer}[ \t]*\n\s*{FENCE}[ \t]*$", text, re.MULTILINE)
    fenced = text[first.end() :].lstrip().startswith(FENCE) or bare is not None
    return Layout(query=query, answer=answer, fenced=fenced)


def is_published(query_format: str, answer_format: str) -> bool:
    """Whether templates of turns are those of a published layout."""
    return any(
        re.fullmatch(rf"{query}\s+{fence}{{query}}\s+{fence}", query_format)
        and re.fullmatch(rf"{answer}\s+{fence}{{answer}}\s+{fence}", answer_format)
        for query, answer in _HEADINGS
        for fence in ("", rf"{FENCE}\s*")
    )


def _alone(heading: str) -> re.Pattern[str]:
    return re.compile(rf"^{heading}[ \t]*$", re.MULTILINE)


def _in_template(
    text: str, start: int, inner: int, inner_end: int, end: int, key: str
) -> tuple[str, str]:
    """A text within its part, and the template that the rest of the part is."""
    content = text[inner:inner_end]
    stripped = content.strip()
    first = inner + len(content) - len(content.lstrip()) if stripped else inner_end
    last = first + len(stripped)
    return stripped, text[start:first] + "{" + key + "}" + text[last:end]


def _plain(layout: Layout, text: str, at: int) -> Iterator[ExampleBlock]:
    """Texts without fences: each goes on to the next heading."""
    headings = sorted(
        (found.start(), found.end(), heading)
        for heading in (layout.query, layout.answer)
        for found in _alone(heading).finditer(text, at)
    )
    if len(headings) % 2 or any(
        heading != (layout.answer if place % 2 else layout.query)
        for place, (_, _, heading) in enumerate(headings)
    ):
        raise LayoutError("a query has no answer, or an answer no query")
    starts = [start for start, _, _ in headings] + [len(text)]
    for place in range(0, len(headings), 2):
        start, middle, end = starts[place : place + 3]
        query, query_format = _in_template(text, start, headings[place][1], middle, middle, "query")
        behind = headings[place + 1][1]
        if end == len(text) and not text[behind:].strip():
            head = text[middle:behind].rstrip() + "\n"
            yield ExampleBlock(
                query, query_format, "", head + "{answer}\n\n", lone=False, open=True
            )
            return
        answer, answer_format = _in_template(text, middle, behind, end, end, "answer")
        yield ExampleBlock(query, query_format, answer, answer_format, lone=False, open=False)


class _Fenced:
    """Texts in fences; a fence within an answer is followed by more of it."""

    def __init__(self, layout: Layout, text: str) -> None:
        query, answer = layout.query, layout.answer
        self._layout = layout
        self._text = text
        self._query_opens = re.compile(rf"{query}[ \t]*\n\s*{FENCE}")
        self._query_ends = re.compile(rf"{FENCE}\s*^(?={answer}[ \t]*$)", re.MULTILINE)
        self._answer_opens = re.compile(rf"{answer}[ \t]*\n\s*{FENCE}")
        self._answer_ends = re.compile(
            rf"{FENCE}\s*(?:^(?=(?:{query}|{answer})[ \t]*$)|\Z)", re.MULTILINE
        )
        self._answer_head = _alone(answer)

    def blocks(self, at: int) -> Iterator[ExampleBlock]:
        """All of them, the one whose answer is to be written at the end."""
        text, number = self._text, 0
        while at < len(text):
            number += 1
            opens = self._query_opens.match(text, at)
            if opens is None:
                raise LayoutError(f"the query of example {number} stands in no fence")
            end = self._query_ends.search(text, opens.end())
            if end is None:
                raise LayoutError(f"no answer follows the query of example {number}")
            opens, lone = self._last_query(opens, end.start())
            following = self._layout.starts(text, opens.end())
            if self._answer_head.search(text, at, end.start()) or (
                following is not None and following.end() <= end.start()
            ):
                raise LayoutError(f"the fence around the query of example {number} is not closed")
            query, query_format = _in_template(
                text, at, opens.end(), end.start(), end.end(), "query"
            )
            opens = self._answer_opens.match(text, end.end())
            if opens is None:
                raise LayoutError(f"the answer of example {number} stands in no fence")
            closes = self._answer_ends.search(text, opens.end())
            if closes is None:
                if text[opens.end() :].strip():
                    raise LayoutError(
                        f"the fence around the answer of example {number} is not closed"
                    )
                # The turn that the model is to answer.
                head = text[end.end() :].rstrip() + "\n"
                closed = f"{{answer}}\n{FENCE}\n\n"
                yield ExampleBlock(query, query_format, "", head + closed, lone, open=True)
                return
            answer, answer_format = _in_template(
                text, end.end(), opens.end(), closes.start(), closes.end(), "answer"
            )
            if self._layout.starts(answer) or _is_unclosed(answer):
                raise LayoutError(f"the fence around the answer of example {number} is not closed")
            at = closes.end()
            while (more := self._answer_opens.match(text, at)) is not None:
                # An answer to no query, which one of the published files has.
                closes = self._answer_ends.search(text, more.end())
                if closes is None:
                    raise LayoutError(f"a second answer behind example {number} is not closed")
                answer_format += text[at : closes.end()]
                at, lone = closes.end(), True
            yield ExampleBlock(query, query_format, answer, answer_format, lone, open=False)

    def _last_query(self, opens: re.Match[str], end: int) -> tuple[re.Match[str], bool]:
        """The query right in front of an answer, and whether there are queries without one."""
        text, found = self._text, opens
        while True:
            following = self._layout.starts(text, found.end())
            if following is None or following.end() > end:
                break
            later = self._query_opens.match(text, following.start())
            closed = text[found.end() : following.start()].rstrip().endswith(FENCE)
            if later is None or not closed:
                break
            found = later
        return found, found is not opens


def _is_unclosed(answer: str) -> bool:
    """Whether a code block is left open, whose end was taken for the answer's."""
    inside = False
    for line in answer.splitlines():
        if line.startswith(FENCE):
            inside = not inside or line.rstrip() != FENCE
    return inside
