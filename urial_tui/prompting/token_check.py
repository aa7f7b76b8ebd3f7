"""A preamble through the vocabulary of a model: how its headings are cut, and the room it takes."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence

import msgspec

from urial_tui.prompting.check import Finding, texts
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.render import open_turn, preamble_text
from urial_tui.sanitize import quoted
from urial_tui.wording import amount, percent

QUERY = "Why?"
"""Stands for a question."""
_MUCH = 0.5
"""A share of the context that leaves little for a conversation."""
_PIECES = 2
"""Tokens for each word or sign of a heading that are many."""


class TokenCut(msgspec.Struct, frozen=True, kw_only=True):
    """How a model cuts a preamble and a turn behind it.

    whole      the tokens of both as one text, without BOS
    pieces     the bytes of each
    apart      the tokens of the preamble, and those of the turn, as they are put into a context
    n_ctx      tokens that the context holds
    starts     how many tokens stand in front (BOS)
    controls   texts of the model's control tokens that a text might hold
    """

    whole: tuple[int, ...]
    pieces: tuple[bytes, ...]
    apart: tuple[tuple[int, ...], tuple[int, ...]]
    n_ctx: int
    starts: int
    controls: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Of the preamble, with what stands in front."""
        return self.starts + len(self.apart[0])

    @property
    def share(self) -> float:
        """Of the context, that the preamble takes."""
        return self.tokens / self.n_ctx


def check_tokens(preamble: Preamble, cut: TokenCut) -> list[Finding]:
    """What is found with a model's vocabulary."""
    return [
        *_length(cut),
        *_cuts(preamble, cut),
        *_headings(preamble, cut),
        *_controls(preamble, cut),
    ]


def _length(cut: TokenCut) -> Iterator[Finding]:
    if cut.tokens >= cut.n_ctx:
        yield Finding(
            severity="error",
            where="the whole",
            what=f"It has {amount(cut.tokens, 'token')}, and the context holds {cut.n_ctx:,}.",
            advice="Leave an example out, or raise the setting engine.context.",
        )
    elif cut.share > _MUCH:
        yield Finding(
            severity="warning",
            where="the whole",
            what=f"It has {amount(cut.tokens, 'token')}, {percent(cut.share, 0)} of the context.",
            advice="Leave an example out, or raise the setting engine.context: the rest is all "
            "that a conversation has.",
        )


def _cuts(preamble: Preamble, cut: TokenCut) -> Iterator[Finding]:
    if cut.whole != (*cut.apart[0], *cut.apart[1]):
        yield Finding(
            severity="warning",
            where="between the preamble and a turn",
            what="This model reads the preamble and a turn otherwise together than one after the "
            "other: a token reaches over the cut.",
            advice="End format.answer with a line end that the model does not put together with "
            "what format.query starts with.",
        )


def _headings(preamble: Preamble, cut: TokenCut) -> Iterator[Finding]:
    """Headings that stand there in other tokens from place to place, or in many."""
    text = preamble_text(preamble) + open_turn(preamble, QUERY)
    data = text.encode("utf-8", "replace")
    spelled = b"".join(cut.pieces)
    # A space in front of all is the vocabulary's own.
    shift = len(spelled) - len(data)
    if shift not in (0, 1) or spelled[shift:] != data:
        return
    ends: list[int] = []
    for piece in cut.pieces:
        ends.append((ends[-1] if ends else -shift) + len(piece))
    for heading in _lines(preamble):
        found = _sequences(heading.encode(), data, ends, cut.pieces)
        if not found:
            continue
        if len(found) > 1:
            forms = " and as ".join(map(_shown, found[:2]))
            yield Finding(
                severity="warning",
                where=f"the line {quoted(heading)}",
                what=f"This model reads it as {forms}, by what stands around it.",
                advice="Put the same line ends around it everywhere, or choose another heading: "
                "a model knows it by its tokens.",
            )
        signs = len(re.findall(r"\w+|[^\w\s]+", heading))
        if len(found[0]) > _PIECES * signs:
            yield Finding(
                severity="note",
                where=f"the line {quoted(heading)}",
                what=f"This model has no whole tokens for it: {_shown(found[0])}.",
                advice="Choose words that are common where the model comes from.",
            )


def _controls(preamble: Preamble, cut: TokenCut) -> Iterator[Finding]:
    for text in texts(preamble):
        for control in cut.controls:
            if control and (position := text.text.find(control)) >= 0:
                yield text.at(
                    "warning",
                    f"{quoted(control)} is a control token of this model, and is read as these "
                    "characters here.",
                    "Leave it out: the engine puts it where it belongs.",
                    position,
                )


def _lines(preamble: Preamble) -> list[str]:
    """The headings and fences of the format: its lines without a placeholder."""
    form = preamble.format
    lines = (form.system + form.query + form.answer).split("\n")
    return list(dict.fromkeys(line for line in lines if line.strip() and "{" not in line))


def _sequences(
    line: bytes, data: bytes, ends: Sequence[int], pieces: Sequence[bytes]
) -> list[tuple[bytes, ...]]:
    """The tokens that each standing of a line consists of, each kind once.

    Line ends at its end are left out of them: what these are put together with differs anyway.
    """
    kinds: dict[tuple[bytes, ...], None] = {}
    pattern = re.compile(rb"(?:^|(?<=\n))" + re.escape(line) + rb"(?=\n)")
    for found in pattern.finditer(data):
        at = bisect.bisect_right(ends, found.start())
        covering = []
        while at < len(ends) and ends[at] - len(pieces[at]) < found.end():
            covering.append(pieces[at] if ends[at] <= found.end() else pieces[at].rstrip(b"\n"))
            at += 1
        kinds[tuple(covering)] = None
    return list(kinds)


def _shown(tokens: Sequence[bytes]) -> str:
    return " ".join(quoted(token.decode("utf-8", "replace")) for token in tokens)
