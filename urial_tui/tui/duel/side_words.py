"""The texts of the side-by-side screen: the introduction, its keys, errors and the votes so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from textual.content import Content
from textual.dom import DOMNode

from urial_tui.chat.session import Conversation
from urial_tui.chat.votes import Contestant, Tally, VotedFor
from urial_tui.errors import UrialError
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.keys import key_name, shown

DuelPhase = Literal["empty", "answering", "voting", "over"]

MARKS: dict[VotedFor, tuple[str, str]] = {
    "left": ("✔ better", ""),
    "right": ("", "✔ better"),
    "tie": ("= tie", "= tie"),
    "neither": ("✖ bad", "✖ bad"),
}
"""What a vote puts beside the names."""

_KEYS: dict[DuelPhase, tuple[tuple[str, str], ...]] = {
    "empty": (
        ("prompt.submit", "ask both"),
        ("sides.pick_a sides.pick_b", "sides"),
        ("sides.blind", "blind"),
        ("sides.back", "chat"),
    ),
    "answering": (("sides.back", "stop both"), ("sides.view", "view")),
    "voting": (
        ("sides.a sides.b sides.tie sides.neither", "vote"),
        ("sides.up+sides.down", "scroll"),
        ("tab", "prompt"),
        ("sides.view", "view"),
        ("sides.back", "chat"),
    ),
    "over": (
        ("prompt.submit", "ask both"),
        ("sides.pick_a sides.pick_b", "sides"),
        ("sides.blind", "blind"),
        ("sides.view", "view"),
        ("sides.back", "chat"),
    ),
}
STATES: dict[DuelPhase, str] = {"empty": "", "answering": "answering", "voting": "vote", "over": ""}


def keys(screen: DOMNode, phase: DuelPhase) -> tuple[tuple[str, str], ...]:
    """The keys that do something in a phase, as a line shows them."""
    told = [*_KEYS[phase], ("app.keys", "all keys")]
    return tuple((_printed(screen, names), what) for names, what in told)


def _printed(screen: DOMNode, names: str) -> str:
    """The keys of bindings; Tab is Textual's own."""
    if names == "tab":
        return shown(names)
    return " ".join(
        "".join(key_name(screen, name) for name in near.split("+")) for near in names.split()
    )


def introduction(screen: DOMNode) -> Content:
    """What the screen does, and how to start."""
    left, right, blind = (
        key_name(screen, name) for name in ("sides.pick_a", "sides.pick_b", "sides.blind")
    )
    return Content.assemble(
        ("Two answers to one question\n", "bold $primary"),
        "Each side is a model under a preamble. Both answer what you ask below, one after the "
        "other; then you say which answer is better, and the conversation goes on with that "
        "one.\n\n",
        (left, "bold $secondary"),
        (" and ", "$quiet"),
        (right, "bold $secondary"),
        (" choose the sides.  ", "$quiet"),
        (blind, "bold $secondary"),
        (" votes blind: ", "$quiet"),
        "the sides are shuffled at each question, both answers appear at once, and nothing "
        "tells whose is whose until you have voted.\n\n",
        ("Votes are kept; ", "$quiet"),
        ("urial votes", "bold"),
        (" counts them.", "$quiet"),
    )


def header(conversation: Conversation, earlier: int, *, blind: bool) -> Content:
    """The screen's name, and what the questions go on with. `earlier`: its questions so far."""
    title = sanitize_line(conversation.record.title)
    where = f"goes on after {_count(earlier, 'question', 'questions')}: {title}"
    return Content.assemble(
        ("Side by side", "bold $primary"),
        ("  blind" if blind else "", "bold $warning"),
        (f"  {where if earlier else 'a new conversation'}", "$quiet"),
        ("  not stored" if conversation.store is None else "", "$warning"),
    )


def what_failed(errors: Sequence[UrialError | None]) -> tuple[UrialError, str] | None:
    """The first side's error and a sentence about which sides it concerns; None without one.

    Returns:
        The error, and the sentence; or None.
    """
    for place, error in enumerate(errors):
        if error is not None:
            alone = errors[1 - place] is None
            other = f" Side {'BA'[place]} is not touched by it." if alone else ""
            return error, f"Side {'AB'[place]} failed.{other} Asking again tries it again."
    return None


def tally_line(tally: Tally | None, blind: bool) -> Content:
    """The votes between two sides, and how much they mean."""
    kind = "blind" if blind else "open"
    if tally is None:
        return Content.styled(f"no {kind} votes between these yet", "$quiet")
    rest = [
        _count(tally.ties, "tie", "ties"),
        _count(tally.neither, "neither", "neither"),
        f"sign test p = {tally.p_value:.2g}",
    ]
    return Content.assemble(
        (f"{kind}: ", "$quiet"),
        _name(tally.first),
        (f" {tally.first_better} : {tally.second_better} ", "bold $primary"),
        _name(tally.second),
        ("  " + ", ".join(part for part in rest if part), "$quiet"),
    )


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}" if number else ""


def _name(contestant: Contestant) -> str:
    return sanitize_line(str(contestant))
