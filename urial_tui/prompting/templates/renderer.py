"""Renders chat templates, which are programs of strangers, in a process of their own.

Whatever a template does, a rendering ends within `limit` seconds, with the chat or with one
sentence; the user's process never runs a line of it. The process is started when it is first
needed, kept, and started again after one that had to be ended.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from datetime import datetime

from urial_tui.engine.wire.values import ModelInfo
from urial_tui.errors import ModelError
from urial_tui.prompting.templates.process import TemplateProcess, TemplateProcessEnded
from urial_tui.prompting.templates.protocol import (
    TEMPLATE,
    Render,
    Rendered,
    RenderedPiece,
    RenderFailed,
    Reply,
    encodable,
)
from urial_tui.sanitize import sanitize_line

LIMIT = 10.0
"""Seconds that a template may take; the longest real ones take half a second when they are new."""

MAX_SOURCE = 500_000
"""Characters of a template's source; real ones have up to 30,000."""

_QUOTED = 200
"""Characters that are quoted of what a template or Jinja says."""

ANOTHER_CONTEXT = "Choose another context for it: zero-shot, raw or a preamble."


class TemplateRenderer:
    """Renders chats, one at a time. To be closed; `cancel` and `close` may come from any thread.

    Args:
        limit: Seconds that a template may take.
    """

    def __init__(self, limit: float = LIMIT) -> None:
        self._limit = limit
        self._process: TemplateProcess | None = None
        self._turn = threading.Lock()
        self._rendering = self._cancelled = False

    def __enter__(self) -> TemplateRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Of the process, if there is one."""
        process = self._process
        return None if process is None else process.pid

    def render(
        self, model: ModelInfo, contents: Sequence[str], now: datetime | None = None
    ) -> tuple[RenderedPiece, ...]:
        """A chat by the model's own template, up to where the next answer starts; without BOS.

        Args:
            model: Whose template it is.
            contents: Of the messages, the user's and the model's in turns, the user's last.
            now: Local time, for templates that write the date.

        Raises:
            ModelError: The model has no template, or one that can't be rendered; or `cancel`
                was called.
        """
        if not model.chat_template:
            raise ModelError(
                f"The model {_name(model)} has no chat template, as base models mostly have none.",
                ANOTHER_CONTEXT,
            )
        if len(model.chat_template) > MAX_SOURCE:
            raise refused(model, f"is longer than {MAX_SOURCE:,} characters")
        request = Render(
            source=encodable(model.chat_template),
            contents=tuple(map(encodable, contents)),
            bos=model.bos,
            eos=model.eos,
            now=(now or datetime.now()).isoformat(),
            cpu=math.ceil(self._limit),
        )
        with self._turn:
            self._cancelled, self._rendering = False, True
            try:
                reply = self._reply(model, request)
            finally:
                self._rendering = False
        match reply:
            case Rendered(pieces=pieces):
                return _without_bos(pieces, model)
            case RenderFailed(reason=reason):
                raise refused(model, reason)
            case _:
                raise refused(model, "can't be rendered")

    def cancel(self) -> None:
        """End what is being rendered, if anything is."""
        if self._rendering:
            self._cancelled = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the process; another rendering would start another one."""
        self.cancel()
        with self._turn:
            if self._process is not None:
                self._process.end()
                self._process = None

    def _reply(self, model: ModelInfo, request: Render) -> Reply:
        try:
            if self._process is None or not self._process.alive:
                self._process = TemplateProcess()
                self._process.wait_ready()
            if self._cancelled:
                # It was asked for before there was a process to end.
                self._process.kill()
            return self._process.ask(request, self._limit)
        except TemplateProcessEnded as error:
            if self._cancelled:
                raise ModelError("Rendering the chat template was stopped.") from error
            if error.late:
                raise refused(model, f"took longer than {self._limit:g} s to render") from error
            raise refused(model, "ended the process that rendered it") from error


def refused(model: ModelInfo, reason: str) -> ModelError:
    """The error that says this of a model's template; `reason` may be a stranger's words."""
    reason = _quoted(reason)
    return ModelError(
        f"The chat template of {_name(model)} {reason.rstrip().removesuffix('.')}.",
        ANOTHER_CONTEXT,
    )


def _name(model: ModelInfo) -> str:
    return _quoted(model.name)


def _quoted(words: str) -> str:
    """A stranger's words, fit to be shown."""
    words = sanitize_line(words)
    return words if len(words) <= _QUOTED else f"{words[:_QUOTED]}…"


def _without_bos(pieces: tuple[RenderedPiece, ...], model: ModelInfo) -> tuple[RenderedPiece, ...]:
    if not (pieces and model.adds_bos and model.bos and pieces[0].owner == TEMPLATE):
        return pieces
    rest = pieces[0].text.removeprefix(model.bos)
    return (RenderedPiece(TEMPLATE, rest), *pieces[1:]) if rest else pieces[1:]
