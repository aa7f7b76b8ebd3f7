"""What a chat template does beside writing turns, told by its syntax tree; nothing of it is run.

A template that only puts its marks around the texts of a chat is harmless. What looks at a text
(`if '</think>' in content`), changes it (`content | trim`), or writes what nobody said (the date, a
system text of its own) makes a context that is not what it seems, and is worth a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import jinja2
import msgspec
from jinja2 import nodes

from urial_tui.prompting.templates.environment import plain

MAX_SOURCE = 60_000
"""Characters of a template that is looked into, within a second; real ones have up to 30,000."""

_MAX_MARKS = 200
_MAX_TOKENS = 40
_DEEP = 16
"""Operations between a text and what is done with it, at most."""
_LONG = 24
"""Letters of a text of its own that is more than a role's name or a mark."""

Action = Literal["reads", "changes", "dates", "thinks", "tools", "refuses", "speaks"]
"""What is done: a text is looked at, or changed; the date is written; the model's thinking or tools
are dealt with; a chat is refused; words are said that nobody wrote."""

_TYPES = {
    *("boolean", "callable", "defined", "false", "float", "integer", "iterable", "mapping"),
    *("none", "number", "sequence", "string", "true", "undefined"),
}
"""Tests that ask what a value is, not what it says."""
_AS_IT_IS = {"string", "safe", "tojson", "default", "d", "e", "escape"}
_CHANGES = {"trim", "strip", "lstrip", "rstrip", "replace", "lower", "upper", "title", "capitalize"}
_THINKS = {"enable_thinking", "thinking", "reasoning_content", "reasoning_effort"}
_TOOLS = {"tools", "tool_calls", "builtin_tools", "custom_tools"}
_SPECIAL = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|</?[a-z_｜▁]{2,40}>|\[/?[A-Z_]{2,30}\]|<｜[^<>]{1,40}｜>"
)


class TemplateMark(msgspec.Struct, frozen=True, kw_only=True):
    """A place of a template, by its line, from 1, and what is done there; `how`: in its words."""

    line: int
    action: Action
    how: str


class TemplateMarks(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a template.

    `marks`: in the order of the lines. `tokens`: texts it writes that look like special tokens.
    `trouble`: why it was not looked into, a clause; "" where it was.
    """

    marks: tuple[TemplateMark, ...] = ()
    tokens: tuple[str, ...] = ()
    trouble: str = ""


def template_marks(source: str) -> TemplateMarks:
    """Look into a template."""
    if len(source) > MAX_SOURCE:
        return TemplateMarks(trouble=f"it is longer than {MAX_SOURCE:,} characters")
    try:
        tree = plain.parse(source)
    except jinja2.TemplateSyntaxError as error:
        return TemplateMarks(trouble=f"line {error.lineno} is no Jinja: {error.message}")
    except (RecursionError, MemoryError, ValueError):
        return TemplateMarks(trouble="it is nested too deeply")
    placed = list(_walk(tree))
    contents = _content_names(placed)
    found = {mark for node, parent in placed for mark in _marks(node, parent, contents)}
    ordered = sorted(found, key=lambda mark: (mark.line, mark.action, mark.how))
    return TemplateMarks(marks=tuple(ordered[:_MAX_MARKS]), tokens=_tokens(placed))


_Placed = tuple[nodes.Node, nodes.Node | None]


def _walk(tree: nodes.Node) -> Iterator[_Placed]:
    """Every node with the one above it; by a list, since a stranger's tree has any depth."""
    todo: list[_Placed] = [(tree, None)]
    while todo:
        node, parent = todo.pop()
        yield node, parent
        todo += reversed([(child, node) for child in node.iter_child_nodes()])


def _content_names(placed: list[_Placed]) -> set[str]:
    """Variables that hold the text of a message, or a part of it."""
    names: set[str] = set()
    sets = [node for node, _ in placed if isinstance(node, nodes.Assign)]
    for _ in range(4):
        before = len(names)
        for node in sets:
            if isinstance(node.target, nodes.Name) and _holds_content(node.node, names):
                names.add(node.target.name)
        if len(names) == before:
            break
    return names


def _holds_content(node: nodes.Node, names: set[str]) -> bool:
    """Whether an expression is made of a message's text."""
    for _ in range(_DEEP):
        if _is_content(node, names):
            return True
        if isinstance(node, nodes.Getitem | nodes.Getattr | nodes.Filter | nodes.Call):
            if node.node is None:
                return False
            node = node.node
        elif isinstance(node, nodes.CondExpr):
            node = node.expr1
        elif isinstance(node, nodes.Add):
            node = node.left if _is_content(node.left, names) else node.right
        elif isinstance(node, nodes.Concat):
            return any(_is_content(part, names) for part in node.nodes)
        else:
            return False
    return False


def _is_content(node: nodes.Node | None, names: set[str]) -> bool:
    match node:
        case nodes.Getattr(attr="content"):
            return True
        case nodes.Getitem(arg=nodes.Const(value="content")):
            return True
        case nodes.Name(name=name):
            return name in names
    return False


def _marks(node: nodes.Node, parent: nodes.Node | None, names: set[str]) -> Iterator[TemplateMark]:
    def mark(action: Action, how: str) -> TemplateMark:
        return TemplateMark(line=node.lineno, action=action, how=how)

    match node:
        case nodes.Name(ctx="load", name="strftime_now" | "date_string" | "datetime" as name):
            yield mark("dates", name)
        case nodes.Name(name=name) if name in _THINKS:
            yield mark("thinks", name)
        case nodes.Name(name=name) if name in _TOOLS:
            yield mark("tools", name)
        case nodes.Getattr(attr=name) | nodes.Getitem(arg=nodes.Const(value=name)) if (
            isinstance(name, str) and name in _THINKS | _TOOLS
        ):
            yield mark("thinks" if name in _THINKS else "tools", name)
        case nodes.Call(node=nodes.Name(name="raise_exception")):
            yield mark("refuses", "raise_exception")
        case nodes.TemplateData(data=text):
            yield from (mark("speaks", said) for said in _speech(text))
        case nodes.Const(value=str() as text) if not isinstance(parent, nodes.Compare):
            if not _in_refusal(parent):
                yield from (mark("speaks", said) for said in _speech(text))
    yield from _of_content(node, parent, names)


def _of_content(
    node: nodes.Node, parent: nodes.Node | None, names: set[str]
) -> Iterator[TemplateMark]:
    """What is done to a message's text, or asked of it."""

    def mark(action: Action, how: str) -> TemplateMark:
        return TemplateMark(line=node.lineno, action=action, how=how)

    match node:
        case nodes.Compare(expr=expr, ops=ops):
            if any(_holds_content(one, names) for one in (expr, *(op.expr for op in ops))):
                yield mark("reads", " ".join(op.op for op in ops[:3]))
        case nodes.Test(node=inner, name=name) if name not in _TYPES:
            if _holds_content(inner, names):
                yield mark("reads", name)
        case nodes.Filter(node=inner, name=name) if inner is not None and name not in _AS_IT_IS:
            if _holds_content(inner, names):
                yield mark("changes" if name in _CHANGES else "reads", name)
        case nodes.Call(node=nodes.Getattr(node=inner, attr=name)):
            if _holds_content(inner, names):
                yield mark("changes" if name in _CHANGES else "reads", name)
        case nodes.Getitem(node=inner, arg=arg) if isinstance(arg, nodes.Slice):
            if _holds_content(inner, names):
                yield mark("changes", "slice")
    asked = isinstance(parent, nodes.If | nodes.CondExpr) and parent.test is node
    if asked and _is_content(node, names):
        yield mark("reads", "if")


def _in_refusal(parent: nodes.Node | None) -> bool:
    return isinstance(parent, nodes.Call) and (
        isinstance(parent.node, nodes.Name) and parent.node.name == "raise_exception"
    )


def _speech(text: str) -> Iterator[str]:
    """Words of a text that are more than marks: the longest stretch, on one line."""
    plain_text = " ".join(_SPECIAL.sub(" ", text).split())
    words = re.findall(r"[^\W\d_]{2,}", plain_text)
    if len(words) >= 4 and len(plain_text) >= _LONG:
        yield plain_text[:80]


def _tokens(placed: list[_Placed]) -> tuple[str, ...]:
    """Texts that look like special tokens, each once, in the order of the lines."""
    found: dict[str, None] = {}
    texts = sorted(
        (
            (node.lineno, node.data if isinstance(node, nodes.TemplateData) else node.value)
            for node, _ in placed
            if isinstance(node, nodes.TemplateData)
            or (isinstance(node, nodes.Const) and isinstance(node.value, str))
        ),
        key=lambda one: one[0],
    )
    for _, text in texts:
        found |= dict.fromkeys(_SPECIAL.findall(text))
        if len(found) > _MAX_TOKENS:
            break
    return tuple(found)[:_MAX_TOKENS]
