"""A widget on one position: both sides' most probable tokens, and how far they differ."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from urial_tui.compare.comparison_result import ComparedToken
from urial_tui.tui.drawing.figures import bar, facts, fit, number, percent
from urial_tui.tui.drawing.token_text import quoted

_SIGNS = {"unshifted": "=", "marginal": "~", "shifted": "≠", "absent": "∅"}
"""Tell the classes apart where there is no colour."""
_GAP = 2


class TokenDetail(Widget):
    """The position under the cursor; `count` is the length of the answer."""

    position: reactive[ComparedToken | None] = reactive(None)
    count: reactive[int] = reactive(0)

    def render(self) -> Content:
        """Facts in three lines, then the two lists side by side."""
        position = self.position
        if position is None:
            return Content("")
        width = max(20, self.content_size.width)
        column = (width - _GAP) // 2
        lines = self._head(position, width)
        left = _column("base", position.top_base, position, column)
        right = _column("aligned", position.top_aligned, position, column)
        if len(lines) + max(len(left), len(right)) < self.content_size.height:
            lines.append(Content(""))
        for index in range(max(len(left), len(right))):
            first = left[index] if index < len(left) else Content("")
            second = right[index] if index < len(right) else Content("")
            padding = " " * (column + _GAP - first.cell_length)
            lines.append(Content.assemble(first, padding, second))
        return Content("\n").join(lines[: max(1, self.content_size.height)])

    def _head(self, position: ComparedToken, width: int) -> list[Content]:
        token = quoted(position.text, position.id)
        rank = f"base rank {position.rank:,}" if position.rank else "not in the base vocabulary"
        head = Content.assemble(
            (token, "bold"),
            (f"  {_SIGNS[position.kind]} {position.kind}", f"bold ${position.kind}"),
            f"  {rank}",
        )
        place = Content.styled(f"token {position.t + 1:,} of {self.count:,}", "$quiet")
        room = width - place.cell_length - 2
        head = head.truncate(max(1, room), ellipsis=True)
        divergence = facts(
            ("KL(aligned‖base)", number(position.kl_aligned_base)),
            ("KL(base‖aligned)", number(position.kl_base_aligned)),
            ("JS", number(position.js)),
        )
        own = facts(
            ("p base", percent(position.p_base)),
            ("aligned", percent(position.p_aligned)),
            ("entropy base", number(position.entropy_base, 2)),
            ("aligned", number(position.entropy_aligned, 2)),
        )
        return [
            Content.assemble(head, " " * (width - head.cell_length - place.cell_length), place),
            divergence.truncate(width, ellipsis=True),
            own.truncate(width, ellipsis=True),
        ]


def _column(
    side: str, top: tuple[tuple[int, str, float], ...], position: ComparedToken, width: int
) -> list[Content]:
    lines = [Content.styled(side.ljust(width), "bold $secondary underline")]
    name_width = max(6, min(18, width // 2 - 2))
    bar_width = max(0, width - name_width - 10)
    for token, text, probability in top:
        forced = token == position.id
        name = fit(quoted(text, token), name_width)
        style = f"bold ${position.kind}" if forced else ""
        lines.append(
            Content.assemble(
                ("▸" if forced else " ", style),
                (name, style),
                f" {percent(probability):>6} ",
                (bar(probability, bar_width), "$secondary"),
            )
        )
    return lines
