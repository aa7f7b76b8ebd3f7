"""Widgets on the answer as a whole: the shares of the classes, and what stands out."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from urial_tui.compare.comparison_result import ComparisonResult
from urial_tui.tui.drawing.figures import number, percent
from urial_tui.tui.drawing.token_text import quoted

CLASSES = (("unshifted", "█"), ("marginal", "▒"), ("shifted", "░"))
"""With the character that fills their part of the bar, for screens without colour."""
_SHORTEST = 8


class SharesLine(Widget):
    """One line: the three shares in figures and as a bar."""

    result: reactive[ComparisonResult | None] = reactive(None)

    def render(self) -> Content:
        """The figures always; the bar where there is room."""
        result = self.result
        if result is None:
            return Content("")
        if result.bytes is not None:
            return Content.styled(
                "Different vocabularies: no token has a rank or a divergence here.", "$warning"
            )
        shares = [(name, fill, getattr(result.summary, name)) for name, fill in CLASSES]
        parts = [
            Content.assemble((f"{fill} {name} ", f"${name}"), (percent(share), "bold"))
            for name, fill, share in shares
        ]
        figures = Content("  ").join(parts)
        width = self.content_size.width - figures.cell_length - 2
        if width < _SHORTEST or result.summary.unshifted is None:
            return figures
        ends = [0]
        total = 0.0
        for _, _, share in shares:
            total += share or 0.0
            ends.append(round(total * width))
        line = [
            (fill * (end - start), f"${name}")
            for (name, fill, _), start, end in zip(shares, ends, ends[1:], strict=False)
        ]
        return Content.assemble(figures, "  ", *line)


class Findings(Widget):
    """The other numbers of the whole answer, and its most shifted tokens."""

    result: reactive[ComparisonResult | None] = reactive(None)

    def render(self) -> Content:
        """Two lines; the tokens that have no room are left out."""
        result = self.result
        if result is None:
            return Content("")
        width = max(1, self.content_size.width)
        if result.bytes is not None:
            return _by_bytes(result)
        summary, special = result.summary, result.special_shares
        facts = [
            ("mean KL(aligned‖base)", number(summary.kl_aligned_base.mean)),
            ("median", number(summary.kl_aligned_base.median)),
            ("same first choice", percent(summary.top1_agreement)),
        ]
        if result.rechosen:
            facts.append(("chosen anew by scoring", f"{result.rechosen:,}"))
        if special.positions:
            unshifted = round((special.unshifted or 0.0) * (special.positions - special.absent))
            facts.append(("special tokens unshifted", f"{unshifted} of {special.positions}"))
        first = _as_many(
            "", [Content.assemble((f"{name} ", "$quiet"), what) for name, what in facts], width
        )
        return Content("\n").join([first, self._most_shifted(result, width)])

    def _most_shifted(self, result: ComparisonResult, width: int) -> Content:
        if not result.shifted_tokens:
            return Content.styled("No content token is shifted.", "$quiet")
        parts = [
            Content.assemble(
                (quoted(found.token), "$shifted"), (f" {found.count}/{found.total}", "$quiet")
            )
            for found in result.shifted_tokens
        ]
        return _as_many("most shifted", parts, width)


def _as_many(title: str, parts: Sequence[Content], width: int) -> Content:
    """A title and as many of the first parts as fit, two columns apart."""
    line = Content.styled(title, "$quiet")
    for part in parts:
        gap = "  " if line.plain else ""
        if line.cell_length + len(gap) + part.cell_length > width:
            break
        line = Content.assemble(line, gap, part)
    return line


def _by_bytes(result: ComparisonResult) -> Content:
    found = result.bytes
    assert found is not None
    bits = found.bits_per_byte
    return Content.assemble(
        ("bits per byte  ", "$quiet"),
        ("base ", "$quiet"),
        number(bits.base),
        ("  aligned ", "$quiet"),
        number(bits.aligned),
        ("\nsame next text ", "$quiet"),
        percent(found.agreement),
        (f" of {found.boundaries:,} places where both start a token", "$quiet"),
    )
