"""`urial votes`: which model under which preamble was voted for, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from urial_tui.chat.votes import Contestant, Tally, Vote


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def votes(as_json: bool) -> None:
    """Count the votes that were cast side by side (F9 in the chat), pair by pair.

    Each line has a pair: how often the first and how often the second was better, ties, and
    votes for neither. Blind votes, cast while the names were hidden, are counted apart. P is
    the two-sided p-value of the exact sign test, ties left out: how likely a split at least
    as uneven is if both are equally good.
    """
    from urial_tui.chat.store import Store
    from urial_tui.chat.votes import tally
    from urial_tui.cli.output import TableColumn, print_json, print_table

    with Store() as store:
        cast = store.votes()
    tallies = tally(cast)
    if as_json:
        print_json({"pairs": list(map(_pair, tallies)), "votes": list(map(_vote, cast))})
        return
    if not tallies:
        click.echo("There are no votes yet: the terminal app sets two answers side by side.")
        return
    columns = (
        TableColumn("BETTER", right=True),
        TableColumn("FIRST", shrink=20, middle=True),
        TableColumn("SECOND", shrink=20, middle=True),
        TableColumn("TIES", right=True),
        TableColumn("NEITHER", right=True, drop=1),
        TableColumn("BLIND"),
        TableColumn("P", right=True),
    )
    rows = [
        (
            f"{each.first_better:,} : {each.second_better:,}",
            str(each.first),
            str(each.second),
            f"{each.ties:,}",
            f"{each.neither:,}",
            "yes" if each.blind else "no",
            f"{each.p_value:.2g}",
        )
        for each in tallies
    ]
    print_table(columns, rows)


def _pair(tally: Tally) -> dict[str, object]:
    return {
        "first": _contestant(tally.first),
        "second": _contestant(tally.second),
        "blind": tally.blind,
        "votes": tally.votes,
        "first_better": tally.first_better,
        "second_better": tally.second_better,
        "ties": tally.ties,
        "neither": tally.neither,
        "p_value": tally.p_value,
    }


def _vote(vote: Vote) -> dict[str, object]:
    from datetime import UTC, datetime

    from msgspec import to_builtins

    return {
        "time": datetime.fromtimestamp(vote.created, UTC).isoformat(timespec="seconds"),
        "question": _id(vote.question_id),
        "answers": {"left": _id(vote.left_id), "right": _id(vote.right_id)},
        "left": _contestant(vote.left),
        "right": _contestant(vote.right),
        "blind": vote.blind,
        "choice": vote.choice,
        "sampling": to_builtins(vote.sampling),
        "max_tokens": vote.max_tokens,
    }


def _id(turn: int | None) -> str | None:
    """Beyond 2^53, readers of JSON round numbers."""
    return None if turn is None else str(turn)


def _contestant(contestant: Contestant) -> dict[str, str]:
    return {"model": contestant.model, "preamble": contestant.preamble}
