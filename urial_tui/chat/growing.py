"""The builder of an answer, which collects its events while it is written."""

from __future__ import annotations

import msgspec

from urial_tui.chat.turns import Timings, TurnRecord, TurnStop
from urial_tui.engine.wire.events import Finished, PromptReady, TextDelta


class GrowingAnswer:
    """Collects an answer's events; at any moment, what can be stored of it.

    Args:
        start: The answer's row without its text.
        close: What the format puts behind an answer.
    """

    def __init__(self, start: TurnRecord, close: str) -> None:
        self.key = start.ids_key
        self.complete = False
        self._start = start
        self._close = close
        self._text: list[str] = []
        self._ids: list[int] = []
        self._pending = ""
        self._generated = 0
        self._timings = Timings()

    @property
    def id(self) -> int:
        """The id of the answer's row in the database."""
        return self._start.id

    @property
    def has_text(self) -> bool:
        """Whether anything was written yet."""
        return any(self._text)

    def starts_at(self, question: TurnRecord) -> None:
        """The context now starts at this question."""
        self._start = msgspec.structs.replace(self._start, context_from=question.id)

    def prompt_ready(self, event: PromptReady) -> None:
        """The prompt cost this much."""
        self._timings = Timings(reused=event.reused, prefilled=event.prefilled, used=event.used)

    def add(self, event: TextDelta) -> None:
        """More text, with the ids that spell all of it but `pending`."""
        self._text.append(event.text)
        self._ids += event.ids
        self._pending = event.pending
        self._generated = max(self._generated, event.generated)

    def record(self, stop_reason: TurnStop | None = None) -> TurnRecord:
        """The answer so far; its ids and its tail spell its text and the format's close."""
        self._text = ["".join(self._text)]
        return msgspec.structs.replace(
            self._start,
            text=self._text[0],
            ids=tuple(self._ids),
            tail=self._pending + self._close,
            stop_reason=stop_reason,
            generated=self._generated,
            timings=self._timings,
        )

    def finished(self, event: Finished) -> TurnRecord:
        """The answer as the engine closed it."""
        self.complete = True
        return msgspec.structs.replace(
            self._start,
            text=event.text,
            ids=event.ids,
            tail=event.tail,
            stop_reason=event.stop_reason,
            stopped_by=event.stopped_by,
            generated=event.generated,
            timings=Timings(
                prompt_s=event.prompt_s,
                first_token_s=event.first_token_s,
                decode_s=event.decode_s,
                prefill_tokens_per_s=event.prefill_tokens_per_s,
                decode_tokens_per_s=event.decode_tokens_per_s,
                reused=self._timings.reused,
                prefilled=self._timings.prefilled,
                used=event.used,
            ),
        )
