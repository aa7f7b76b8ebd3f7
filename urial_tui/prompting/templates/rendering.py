"""One chat by one template, in whatever process this is: text, in pieces with owners.

The text is what the plain environment writes, to the character. The owners are those of the
following one, which has to have written the same; where it has not, or where a character's owner
could not be followed, there is no rendering.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import jinja2

from urial_tui.prompting.templates.environment import following, names, plain
from urial_tui.prompting.templates.owned_text import (
    TEMPLATE,
    UNKNOWN,
    OwnedText,
    index_of,
    owner_of,
    runs,
)
from urial_tui.prompting.templates.protocol import Render, RenderedPiece

MAX_RENDERED = 1_000_000
"""Characters beyond those of the contents. A template that writes more is broken or means harm."""

_TANGLED = "mixes the conversation with text of its own so that they can't be told apart"


class Unrenderable(Exception):
    """There is no rendering; its text is what is said of the template."""


def render(request: Render) -> tuple[RenderedPiece, ...]:
    """The chat, up to where the next answer starts.

    Raises:
        Unrenderable: The template is broken, refuses the chat, writes too much, or mixes what
            it was given with its own text in a way that can't be followed.
    """
    given = [OwnedText(text, owner_of(at)) for at, text in enumerate(request.contents)]
    written = _written(plain, request, list(request.contents), str)
    followed = _written(following, request, given, _own)
    if followed != written:
        raise Unrenderable(_TANGLED)
    pieces = []
    for owner, text in runs(followed):
        if owner == UNKNOWN:
            raise Unrenderable(_TANGLED)
        pieces.append(RenderedPiece(index_of(owner) if owner != TEMPLATE else -1, text))
    return tuple(pieces)


def _written(
    environment: jinja2.Environment, request: Render, contents: list[Any], text: Any
) -> str:
    """What an environment makes of a chat.

    A template can raise anything: its own code is compiled and run.
    """
    now = datetime.fromisoformat(request.now)
    given = names(contents, bos=request.bos, eos=request.eos, now=now, text=text)
    limit = MAX_RENDERED + sum(map(len, contents))
    try:
        parts = list(_bounded(_compiled(environment, request.source).generate(given), limit))
        return OwnedText("", TEMPLATE).join(parts)
    except Unrenderable:
        raise
    except MemoryError as error:
        raise Unrenderable("needs more memory than a chat can need") from error
    except RecursionError as error:
        raise Unrenderable("is nested too deeply") from error
    except Exception as error:
        raise Unrenderable(f"can't be rendered: {_reason(error)}") from error


def _bounded(parts: Iterator[str], limit: int) -> Iterator[str]:
    for part in parts:
        limit -= len(part)
        if limit < 0:
            raise Unrenderable("writes without end")
        yield part


@functools.lru_cache(maxsize=8)
def _compiled(environment: jinja2.Environment, source: str) -> jinja2.Template:
    return environment.from_string(source)


def _own(text: str) -> str:
    return OwnedText(text, TEMPLATE)


def _reason(error: Exception) -> str:
    """An error in a few words; the renderer bounds and cleans them."""
    try:
        said = str(error)[:1000]
    except Exception:  # noqa: BLE001  # the text of an error is made by the template, too
        said = ""
    return said or type(error).__name__
