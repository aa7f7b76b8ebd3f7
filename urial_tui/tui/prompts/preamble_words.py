"""The texts about a preamble: what it is and costs, what was measured and found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from textual.content import Content

from urial_tui.evaluate.measure_table import difference_cell, interval_cell
from urial_tui.prompting.check import Finding, by_severity
from urial_tui.prompting.preamble import examples_in_words
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.prompts.laboratory import Cost
from urial_tui.tui.prompts.preamble_list import BASE, PreambleRow
from urial_tui.wording import amount, percent, size

_SIGNS = {
    "error": ("✖", "$error"),
    "warning": ("▲", "$warning"),
    "note": ("●", "$secondary"),
}
MOST_SHOWN = 40
"""Findings: a file may have one in every line."""


def detail(row: PreambleRow, model: str, measure_key: str) -> Content:
    """All that is known of a preamble.

    Args:
        row: It.
        model: What the loaded model is called; "" where none is loaded.
        measure_key: Has it measured.
    """
    return Content("\n").join(_lines(row, model, measure_key))


def _lines(row: PreambleRow, model: str, measure_key: str) -> Iterator[Content]:
    entry, preamble = row.entry, row.entry.preamble
    whose = "comes with the program" if entry.origin == "shipped" else "yours"
    if preamble is None:
        yield Content.assemble((sanitize_line(entry.name), "bold"), (f"  {whose}", "$quiet"))
        yield Content.styled(f"✖ {sanitize_line(entry.error)}", "$error")
        return
    yield Content.assemble(
        (sanitize_line(preamble.title), "bold"),
        (f"  {preamble.method}, {examples_in_words(preamble)} · {whose}", "$quiet"),
    )
    yield Content(sanitize_line(preamble.description))
    if row.drafted:
        yield Content.styled("✎ It was changed, and that is not saved.", "$warning")
    yield Content.styled(cost_words(row.cost, model), "$quiet")
    if model:
        yield _measured(row, measure_key)
    yield from finding_lines(found_in(row))


def cost_words(cost: Cost | None, model: str) -> str:
    """What a preamble costs, a sentence; also why that is not known."""
    if cost is None:
        return (
            f"Its tokens are not counted by {sanitize_line(model)} yet."
            if model
            else "No model is loaded, so its tokens can't be counted."
        )
    cache = "" if cost.cache is None else f", {size(cost.cache)} of the cache"
    share = percent(cost.tokens / cost.n_ctx)
    tokens = amount(cost.tokens, "token")
    return f"{tokens} with {sanitize_line(model)}, {share} of the context{cache}."


def cost_in_short(cost: Cost | None, model: str) -> str:
    """What a preamble costs, in a few words."""
    if cost is None:
        return "not counted yet" if model else "no model is loaded"
    cache = "" if cost.cache is None else f", {size(cost.cache)}"
    return f"{amount(cost.tokens, 'token')}{cache}, {percent(cost.tokens / cost.n_ctx)} of context"


def _measured(row: PreambleRow, measure_key: str) -> Content:
    kept = row.kept
    if row.measures is None:
        if kept is None or not kept.texts:
            return Content.styled(f"Not measured with this model; {measure_key} does.", "$quiet")
        told = f"{kept.texts:,} of {kept.total:,} texts are measured; {measure_key} goes on."
        return Content.styled(told, "$quiet")
    return Content(" ".join(_measures(row.measures)))


def _measures(found: Any) -> Iterator[str]:
    bits = found["bits_per_byte"]
    if bits["mean"] is not None:
        texts = amount(bits["count"], "reference answer")
        yield f"{interval_cell(bits)} bits per byte of {texts}."
    if difference := difference_cell(found):
        yield f"{difference} against {BASE}."
    ends = [
        f"{percent(found[name]['share'], 0)} {words}"
        for name, words in (("ended", "ended"), ("ran_on", "ran on"), ("cut", "were cut"))
        if found[name]["share"] is not None
    ]
    if ends:
        yield f"Of {amount(found['ended']['count'], 'answer')} {', '.join(ends)}."
    copied = [
        f"{percent(found[name]['share'], 0)} {words}"
        for name, words in (
            ("copied_opening", "open as an example does"),
            ("leaked", "hold words of the examples"),
        )
        if found[name]["share"] is not None
    ]
    if copied:
        yield f"{', '.join(copied)}."


def found_in(row: PreambleRow) -> list[Finding]:
    """All findings, with those of the model, the worst first."""
    return by_severity([*row.findings, *(() if row.cost is None else row.cost.findings)])


def finding_lines(findings: Sequence[Finding]) -> Iterator[Content]:
    """A finding a line, with what to do; the worst of very many."""
    for finding in findings[:MOST_SHOWN]:
        sign, colour = _SIGNS[finding.severity]
        line = "" if finding.line is None else f", line {finding.line}"
        yield Content.assemble(
            (f"{sign} {sanitize_line(finding.where)}{line}: ", colour),
            f"{sanitize_line(finding.what)} ",
            (sanitize_line(finding.advice), "$quiet"),
        )
    if len(findings) > MOST_SHOWN:
        yield Content.styled(f"And {len(findings) - MOST_SHOWN:,} more.", "$quiet")


def counted(findings: Sequence[Finding]) -> str:
    """How many there are of each kind: 1 error, 2 warnings."""
    kinds = ("error", "warning", "note")
    counts = [(sum(finding.severity == kind for finding in findings), kind) for kind in kinds]
    return ", ".join(amount(count, kind) for count, kind in counts if count) or "nothing found"
