"""The texts of the screen for blind judging: its pages, and the result."""

from __future__ import annotations

from pathlib import Path

from textual.content import Content

from urial_tui.evaluate.blind_judging import BlindTally
from urial_tui.evaluate.outputs import Output
from urial_tui.evaluate.win_rates import WinRate
from urial_tui.sanitize import sanitize, sanitize_line
from urial_tui.shares import Interval
from urial_tui.tui.evaluate.answer_column import ColumnPart
from urial_tui.wording import amount, percent


def asked(output: Output) -> Content:
    """What was asked; of several turns all, with their numbers."""
    turns = [sanitize(exchange.instruction) for exchange in output.exchanges]
    marks = ["You"] if len(turns) == 1 else [str(number) for number, _ in enumerate(turns, 1)]
    lines = [
        Content.assemble((f"{mark}  ", "bold $secondary"), turn)
        for mark, turn in zip(marks, turns, strict=True)
    ]
    return Content("\n").join(lines)


def answers(output: Output) -> list[ColumnPart]:
    """The answers of one side; of several turns the last one is judged, and is told apart."""
    turns = [exchange.output for exchange in output.exchanges]
    if len(turns) == 1:
        return list(turns)
    parts: list[ColumnPart] = []
    for number, text in enumerate(turns, start=1):
        last = number == len(turns)
        mark = f"{'' if number == 1 else chr(10)}{number}  {'to be judged' if last else ''}"
        parts += [Content.styled(mark, "bold $primary" if last else "bold $secondary"), text]
    return parts


def all_judged(undo_key: str, result_key: str) -> Content:
    """That there is no pair left; names are still hidden."""
    return Content.assemble(
        ("There is no pair left to judge.\n\n", "bold $primary"),
        (result_key, "bold $secondary"),
        " shows the result, with the names.\n",
        (undo_key, "bold $secondary"),
        " takes the last judgement back.",
    )


def result(tally: BlindTally, out: Path) -> Content:
    """Who won, how sure that is, what is missing in it, and where it is kept."""
    wins = tally.wins
    shown = [sanitize_line(name) for name in (tally.first, tally.second)]
    rows = [
        (shown[0], wins.wins, wins.win, "better"),
        (shown[1], wins.losses, wins.lose, "better"),
        ("", wins.ties, wins.tie, "as good"),
    ]
    table = [
        Content.assemble(
            (f"{count:>6,}", "bold $primary"),
            (f"  {percent(share, 0):>4}  ", "$quiet"),
            Content.assemble((name, "bold"), f" {what}") if name else what,
        )
        for name, count, share, what in rows
    ]
    file = sanitize_line(str(out))
    return Content("\n").join(
        [
            Content.styled(
                f"{wins.count:,} of {amount(tally.pairs, 'pair')} judged", "bold $primary"
            ),
            Content(),
            *table,
            Content(),
            Content(_rate(shown[0], wins)),
            *([Content(_missing(tally))] if _missing(tally) else []),
            Content(),
            Content.assemble(("Kept in ", "$quiet"), (file, "bold")),
            Content.styled(
                "Named beside the answers, `urial eval report` counts it as a judge's; `urial eval "
                "calibrate` holds a judge to it.",
                "$quiet",
            ),
        ]
    )


def _rate(name: str, wins: WinRate) -> str:
    if wins.rate is None:
        return "Nothing is judged, so there is no win rate."
    said = f"Win rate of {name}: {percent(wins.rate)}{_interval(wins.rate_interval)}"
    return f"{said}, a tie being half a win. Sign test p = {wins.p_value:.2g}."


def _interval(interval: Interval | None) -> str:
    """In parentheses behind a share."""
    if interval is None:
        return " (too few for an interval)"
    return f" (95 %: {percent(interval[0])} to {percent(interval[1])})"


def _missing(tally: BlindTally) -> str:
    parts = []
    if tally.skipped:
        parts.append(f"{tally.skipped:,} skipped")
    if tally.left:
        parts.append(f"{tally.left:,} not judged yet")
    those = "it" if tally.skipped + tally.left == 1 else "them"
    told = f"{' and '.join(parts)}: opened again, the judging goes on with {those}."
    return told if parts else ""
