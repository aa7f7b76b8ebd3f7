"""The two Jinja environments in which a chat template is rendered, both sandboxed.

`plain` is what everybody renders chat templates with (the names, filters and white space of
Hugging Face's transformers); what it writes is the context. `following` writes the same text and
knows whose each character is: strings of the template's source are OwnedTexts of the template,
and what becomes of them and of the messages is followed through operators, macros and filters.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import jinja2
import jinja2.compiler
import jinja2.ext
import jinja2.filters
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox

from urial_tui.prompting.templates.owned_text import (
    TEMPLATE,
    UNKNOWN,
    OwnedText,
    derived,
    filled,
    owners_of,
)


class TemplateRefusal(jinja2.TemplateError):
    """What a template says itself by `raise_exception`."""


class _Generation(jinja2.ext.Extension):
    """`{% generation %}`, which marks for a training what the model wrote: nothing to render."""

    tags = {"generation"}  # noqa: RUF012  # the interface of Jinja's extensions

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        """The nodes inside the block, in its place."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Plain(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Jinja as chat templates expect it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, "jinja2.ext.loopcontrols"],
            **options,
        )
        self.filters["tojson"] = _to_json
        self.globals["raise_exception"] = _refuse


class _FollowingCode(jinja2.compiler.CodeGenerator):
    """Compiles a template so that its strings are its own."""

    def visit_Const(self, node: jinja2.nodes.Const, frame: jinja2.compiler.Frame) -> None:
        """A constant of an expression."""
        self.write(f"environment.own({node.as_const(frame.eval_ctx)!r})")

    def visit_TemplateData(
        self, node: jinja2.nodes.TemplateData, frame: jinja2.compiler.Frame
    ) -> None:
        """Text outside of expressions."""
        self.write(f"environment.own({node.data!r})")

    def visit_Concat(self, node: jinja2.nodes.Concat, frame: jinja2.compiler.Frame) -> None:
        """The operator `~`."""
        self.write("environment.written((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def _output_const_repr(self, group: Iterable[Any]) -> str:
        return f"environment.own({''.join(map(str, group))!r})"


class _Following(_Plain):
    """The same, with owners."""

    code_generator_class = _FollowingCode

    def __init__(self) -> None:
        super().__init__(finalize=_shown, optimized=False)
        formatted = self.filters["format"]
        self.filters = {name: _followed(made) for name, made in self.filters.items()}
        self.filters |= {"join": _join, "format": formatted}

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        """What a macro or a block wrote."""
        return OwnedText("", TEMPLATE).join(parts)

    @staticmethod
    def own(value: Any) -> Any:
        """A constant of the template, whose strings are its own."""
        match value:
            case str():
                return OwnedText(value, TEMPLATE)
            case list() | tuple() | set() | frozenset():
                return type(value)(map(_Following.own, value))
            case dict():
                return {_Following.own(key): _Following.own(item) for key, item in value.items()}
            case _:
                return value

    @staticmethod
    def written(parts: Iterable[Any]) -> str:
        """Values as text, one behind the other."""
        return OwnedText("", TEMPLATE).join(map(_shown, parts))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`str.format`, made safe."""
        made = super().wrap_str_format(value)
        if made is None:
            return None
        text = value.__self__
        return lambda *values, **named: filled(made(*values, **named), text, values, named)


def names(
    contents: Iterable[str], *, bos: str, eos: str, now: datetime, text: Callable[[str], str]
) -> dict[str, Any]:
    """What a template finds: a chat with these contents, the user's first, and an answer to come.

    `text` makes a string of the program the template's own, where that matters.
    """

    def strftime_now(form: str) -> str:
        date = now.strftime(form)
        return derived(date, form) if isinstance(form, OwnedText) else date

    return {
        "messages": [
            {text("role"): text("assistant" if number % 2 else "user"), text("content"): content}
            for number, content in enumerate(contents)
        ],
        "tools": None,
        "documents": None,
        "add_generation_prompt": True,
        "bos_token": text(bos),
        "eos_token": text(eos),
        "strftime_now": strftime_now,
    }


def _refuse(message: object) -> None:
    raise TemplateRefusal(str(message))


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _shown(value: Any) -> str:
    """A value as it is written."""
    if isinstance(value, OwnedText):
        return value
    if isinstance(value, jinja2.Undefined):
        return OwnedText(str(value), TEMPLATE)
    return derived(str(value), value)


@jinja2.pass_eval_context
def _join(
    context: jinja2.nodes.EvalContext,
    value: Iterable[Any],
    d: str = OwnedText("", TEMPLATE),
    attribute: str | int | None = None,
) -> str:
    """Jinja's filter, whose own default has no owner."""
    joined: str = jinja2.filters.do_join(context, value, d, attribute)
    return joined


def _followed(made: Callable[..., Any]) -> Callable[..., Any]:
    """A filter, whose text is of the owner of all that it is made of."""

    @functools.wraps(made)
    def filtered(*values: Any, **named: Any) -> Any:
        result = made(*values, **named)
        if not isinstance(result, str) or UNKNOWN not in owners_of(result):
            return result
        passed = hasattr(made, "jinja_pass_arg")
        return derived(result, values[1:] if passed else values, named)

    return filtered


plain = _Plain()
following = _Following()
