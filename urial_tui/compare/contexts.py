"""What a side is shown in front of the compared text.

A context turns a query into segments: `chat` renders the model's own template, a preamble
(zero-shot included) its text and its open turn, `raw` nothing but the query. `same` is no
context of its own: the side gets the other side's token ids. The choice changes every
number of a comparison, so each result carries the contexts that it was made with.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import jinja2
import jinja2.sandbox
import msgspec

from urial_tui.engine.protocol import ModelInfo, Segment, StopRules, TextSegment, Turn
from urial_tui.errors import ModelError, UsageError
from urial_tui.prompting.preamble import Preamble, find_preamble
from urial_tui.prompting.render import close_text, open_turn, preamble_text
from urial_tui.prompting.stops import stop_rules

MAX_RENDERED = 1_000_000
"""Characters. A template that writes more is broken or means harm."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """A side's context. `name` is what the user chose; `preamble` is set for preambles."""

    name: str
    preamble: Preamble | None = None

    @property
    def is_same(self) -> bool:
        """Whether the side takes the other side's token ids."""
        return self.name == "same"


def find_context(name: str) -> Context:
    """The context of a name: chat, raw, same, or a preamble's name or file.

    Raises:
        PreambleError: There is no such preamble.
    """
    if name in ("chat", "raw", "same"):
        return Context(name=name)
    preamble = find_preamble(name)
    return Context(name=preamble.name, preamble=preamble)


def render(context: Context, query: str, model: ModelInfo) -> Turn:
    """The segments that stand in front of the answer to `query`, without BOS.

    Raises:
        ModelError: The model has no chat template, or it can't be rendered.
        UsageError: `same` has no segments of its own.
    """
    if context.is_same:
        raise UsageError("The context `same` needs another side to copy.", "Choose another one.")
    if context.preamble is not None:
        text = preamble_text(context.preamble) + open_turn(context.preamble, query)
        return (TextSegment(text=text),)
    if context.name == "raw":
        return (TextSegment(text=query),) if query else ()
    return _chat(model, query)


def answer_rules(context: Context) -> tuple[StopRules, str]:
    """(stop rules, text that closes an answer) of a context; a chat ends with its own token."""
    if context.preamble is None:
        return StopRules(), ""
    return stop_rules(context.preamble), close_text(context.preamble)


def _chat(model: ModelInfo, query: str) -> Turn:
    mark = f"query-{secrets.token_hex(8)}"
    rendered = render_template(model, (mark,))
    if trims_queries(model, mark):
        query = query.strip()
    segments: list[Segment] = []
    for index, part in enumerate(rendered.split(mark)):
        if index and query:
            # What the user typed is text, even where it looks like a control token.
            segments.append(TextSegment(text=query))
        if part:
            segments.append(TextSegment(text=part, special=True))
    if len(segments) < 2:
        raise ModelError(
            f"The chat template of {model.name} leaves the question out.",
            "Choose another context for it: zero-shot, raw or a preamble.",
        )
    return tuple(segments)


def trims_queries(model: ModelInfo, mark: str) -> bool:
    """Whether a template trims what the user typed, which it would not do to the mark."""
    return f" {mark} " not in render_template(model, (f" {mark} ",))


def render_template(model: ModelInfo, contents: Sequence[str]) -> str:
    """A chat by the model's own template, up to where the next answer starts; without BOS.

    Args:
        model: Whose template it is.
        contents: Of the messages, the user's and the model's in turns, the user's last.

    Raises:
        ModelError: It has no template, or one that can't be rendered.
    """
    if not model.chat_template:
        raise ModelError(
            f"The model {model.name} has no chat template, as base models mostly have none.",
            "Choose another context for it: zero-shot, raw or a preamble.",
        )
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.loopcontrols"],
    )
    environment.globals.update(raise_exception=_refuse, strftime_now=_no_date)
    try:
        template = environment.from_string(model.chat_template)
        parts: list[str] = []
        length = 0
        for part in template.generate(
            messages=[
                {"role": "assistant" if number % 2 else "user", "content": content}
                for number, content in enumerate(contents)
            ],
            add_generation_prompt=True,
            bos_token=model.bos,
            eos_token=model.eos,
        ):
            length += len(part)
            if length > MAX_RENDERED:
                raise ModelError(
                    f"The chat template of {model.name} writes without end.",
                    "Choose another context for it: zero-shot, raw or a preamble.",
                )
            parts.append(part)
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise ModelError(
            f"The chat template of {model.name} can't be rendered: {error}.",
            "Choose another context for it: zero-shot, raw or a preamble.",
        ) from error
    rendered = "".join(parts)
    return rendered.removeprefix(model.bos) if model.adds_bos and model.bos else rendered


def _refuse(message: object) -> Any:
    """`raise_exception` of chat templates."""
    raise jinja2.TemplateError(str(message))


def _no_date(_format: str) -> str:
    """`strftime_now` of chat templates: a fixed date, for the same question has the same answer."""
    return "01 Jan 2025"
