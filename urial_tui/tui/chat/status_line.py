"""The status line: what the engine is doing, and what the context holds."""

from __future__ import annotations

import msgspec
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from urial_tui.engine.wire.events import PreambleSource
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount, rate

_BAR = 10
_PLACEMENT = 6
_SOURCES: dict[PreambleSource, str] = {
    "memory": "from memory",
    "disk": "from disk",
    "computed": "computed",
}


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the line, in tokens; `rate` in tokens per second; 0 or "" where not known.

    `xray`: what reads answers along, or how far it is on its way. `placement`: which devices hold
    the model's layers; `servers`: the same in short, of what is not here. `download`: what is
    downloaded.
    """

    state: str = ""
    model: str = ""
    preamble: str = ""
    preamble_tokens: int = 0
    preamble_source: PreambleSource | None = None
    used: int = 0
    reused: int = 0
    total: int = 0
    rate: float = 0.0
    xray: str = ""
    placement: str = ""
    servers: str = ""
    download: str = ""


class StatusLine(Widget):
    """One line; where it gets narrow, what the header shows as well goes first."""

    status: reactive[Status] = reactive(Status())

    def render(self) -> Content:
        """As many parts as fit, the state always."""
        status = self.status
        gap = Content.styled(" · ", "$quiet")
        parts = [
            (5, Content(sanitize_line(status.model))),
            (_PLACEMENT, Content.styled(sanitize_line(status.placement), "$quiet")),
            (2, self._preamble_cost()),
            (1, self._context_use()),
            (8, self._context_parts()),
            (3, Content(rate(status.rate) if status.rate else "")),
            (7, Content(f"{status.reused:,} reused" if status.reused else "")),
            (0, self._xray()),
            (0, self._download()),
        ]
        state = Content.styled(sanitize_line(status.state), "bold $primary")
        servers = Content.styled(sanitize_line(status.servers), "$quiet")
        left = [(rank, part) for rank, part in parts if part.plain]
        while True:
            line = gap.join([part for _, part in left])
            room = self.size.width - line.cell_length - state.cell_length
            if room >= 2 or not left:
                break
            place, (rank, _) = max(enumerate(left), key=lambda item: item[1][0])
            # The placement is told shorter before it goes: that layers are elsewhere matters.
            left[place : place + 1] = [(4, servers)] if rank == _PLACEMENT and servers.plain else []
        return Content.assemble(line, " " * max(0, room), state)

    def _xray(self) -> Content:
        if not self.status.xray:
            return Content("")
        return Content.assemble(("x-ray ", "bold $secondary"), sanitize_line(self.status.xray))

    def _download(self) -> Content:
        if not self.status.download:
            return Content("")
        return Content.assemble(("↓ ", "bold $secondary"), sanitize_line(self.status.download))

    def _preamble_cost(self) -> Content:
        status = self.status
        if not status.preamble_tokens or status.preamble_source is None:
            return Content(sanitize_line(status.preamble))
        return Content.assemble(
            sanitize_line(status.preamble),
            (
                f" {amount(status.preamble_tokens, 'token')} {_SOURCES[status.preamble_source]}",
                "$quiet",
            ),
        )

    def _context_use(self) -> Content:
        """A meter of preamble, history and what is free, and the sum as numbers."""
        status = self.status
        if not status.total:
            return Content("")
        share = min(1.0, status.used / status.total)
        colour = "$error" if share > 0.95 else "$warning" if share > 0.8 else "$secondary"
        pinned = _cells(min(status.preamble_tokens, status.used), status.total)
        filled = max(
            _cells(status.used, status.total), pinned + (status.used > status.preamble_tokens)
        )
        filled = min(filled, _BAR)
        return Content.assemble(
            ("▰" * pinned, "$primary"),
            ("━" * (filled - pinned), colour),
            ("─" * (_BAR - filled), "$line"),
            f" {status.used:,}/{status.total:,}",
        )

    def _context_parts(self) -> Content:
        """What the meter shows, in words."""
        status = self.status
        history = status.used - status.preamble_tokens
        if not status.total or not status.preamble_tokens or history <= 0:
            return Content("")
        return Content.styled(
            f"{history:,} history, {max(0, status.total - status.used):,} free", "$quiet"
        )


def _cells(tokens: int, total: int) -> int:
    """Cells of the meter for so many tokens: at least one for any."""
    return min(_BAR, round(tokens / total * _BAR) or int(tokens > 0))
