"""What the renderer and its worker say to each other, in the frames of `engine.wire.frames`."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

TEMPLATE = -1
"""Owner of what a template wrote itself."""


class RenderedPiece(NamedTuple):
    """A stretch of a rendered chat. `owner`: the index of the content it is of, or TEMPLATE."""

    owner: int
    text: str


class Render(msgspec.Struct, frozen=True, kw_only=True):
    """A chat to be rendered.

    `contents` are of the messages, the user's and the model's in turns, the user's first. `now`:
    local time in ISO 8601, for templates that write the date. `cpu`: seconds of computing after
    which the worker is ended by the system, where that can be asked of it.
    """

    source: str
    contents: tuple[str, ...]
    bos: str
    eos: str
    now: str
    cpu: int


class RendererReady(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker has started."""


class Rendered(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A rendered chat."""

    pieces: tuple[RenderedPiece, ...]


class RenderFailed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Why there is none, as what is said of the template: "can't be rendered: …"."""

    reason: str


Reply = RendererReady | Rendered | RenderFailed

decode_render = msgspec.msgpack.Decoder(Render).decode
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
decode_reply = _replies.decode


def encodable(text: str) -> str:
    """`text` without lone surrogates, which UTF-8 can't hold; the engine reads them so, too."""
    return text.encode("utf-8", "replace").decode("utf-8")
