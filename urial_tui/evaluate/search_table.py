"""The tables of a search for examples: cells of text from its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from urial_tui.evaluate.measure_table import difference_text
from urial_tui.wording import amount, fixed

_STOPPED: Final = {
    "noise": "No {further}candidate lowers them by more than noise: the best one that was tried is "
    "pair {pair}, {difference}.",
    "candidates": "No candidate is left.",
    "budget": "The budget of {budget} is used up: what is best so far is kept.",
}


def step_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """A row a step: which pair, of how many, what the good answers to choose by take then."""
    rows = [["", "(none)", "", fixed(document["start"]["mean"], 4), ""]]
    for number, step in enumerate(document["steps"], start=1):
        rows.append(
            [
                f"{number}",
                f"{step['pair']}: {_one_line(step['query'])}",
                f"{step['tried']:,}",
                fixed(step["bits_per_byte"]["mean"], 4),
                difference_text(step["difference"]),
            ]
        )
    return rows


def held_out_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """A row a preamble: what the held-out answers take, and how much less behind what was found."""
    return [
        [
            each["name"],
            fixed(each["bits_per_byte"]["mean"], 4),
            difference_text(each["difference"]) if each["difference"] else "",
        ]
        for each in document["held_out"]
    ]


def search_notes(document: Mapping[str, Any]) -> list[str]:
    """What is to be known of a search beside its tables: sentences."""
    notes = []
    refused = document["refused"]
    stopped = _STOPPED.get(document["stopped"])
    if stopped is not None:
        notes.append(
            stopped.format(
                pair=refused["pair"] if refused else "",
                difference=difference_text(refused["difference"]) if refused else "",
                further="further " if document["steps"] else "",
                budget=amount(document["budget"] or 0, "reading"),
            )
        )
    orders = document["orders"]
    if orders["tried"]:
        other = amount(orders["tried"], "other order")
        found = difference_text(orders["difference"]) if orders["difference"] else ""
        if orders["changed"]:
            pairs = ", ".join(str(each["pair"]) for each in document["examples"])
            notes.append(f"Of {other} one is better ({found}): pairs {pairs}.")
        else:
            notes.append(f"Of {other} none is better by more than noise (the best: {found}).")
    return notes


def left_out_notes(document: Mapping[str, Any]) -> list[str]:
    """What is no candidate, and which good answers are not read: sentences."""
    left_out, references = document["pool"]["left_out"], document["references"]
    told = (
        (left_out["asked"], "with the question of a good answer"),
        (left_out["unsound"], "with a text that would end an answer of this format"),
    )
    notes = [f"Left out: {amount(count, 'pair')} {why}." for count, why in told if count]
    if references["unread"]:
        notes.append(f"Not read: {amount(references['unread'], 'good answer')}.")
    return notes


def _one_line(text: str) -> str:
    return " ".join(text.split())
