"""Whether a model fits this machine, in a word and a figure: of a file, or of a size alone.

The word is what would be said when it is loaded (`fit`). Of a file that is not here nothing is
known but its size, so what it needs beside its weights is guessed and told as a guess.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from urial_tui import wording
from urial_tui.engine.wire.limits import AUTO_CONTEXT, Purpose
from urial_tui.engine.wire.values import Device, EngineOptions
from urial_tui.memory import MachineMemory
from urial_tui.models.fit import cards_among, weigh
from urial_tui.models.memory_need import PREAMBLE_TOKENS, PROCESS_BYTES

FitVerdict = Literal["fits", "tight", "too large"]

_CACHE_8B: Final = 131_072
"""Bytes of an f16 cache's token in usual models of 8B parameters; by the root of their number more
or less in others."""
_WORK: Final = 100_000_000
"""Bytes that a batch takes, about."""
_BYTES_A_PARAMETER: Final = 0.6
"""Of usual quantisations, where the parameters are not known."""
_ELEMENTS: Final = {"f16": 1.0, "q8_0": 17 / 32, "q4_0": 9 / 32}


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """What a model needs, and whether there is so much. Bytes; None where nobody can tell.

    `needed`: of the machine's memory; `cards`: of graphics cards', beside that. `sure`: by its
    header; else guessed by its size. `moot`: a graphics card that is not known yet may hold it.
    """

    verdict: FitVerdict
    needed: int
    total: int | None
    available: int | None
    cards: int = 0
    sure: bool = True
    moot: bool = False

    @property
    def figure(self) -> str:
        """The bytes that are needed: 559 MB, ~4.92 GB."""
        return f"{'' if self.sure else '~'}{wording.size(self.needed + self.cards)}"

    @property
    def words(self) -> str:
        """The verdict as a sentence."""
        about = "" if self.sure else "about "
        beside = f" and {wording.size(self.cards)} of a graphics card's" if self.cards else ""
        needs = f"it needs {about}{wording.size(self.needed)} of memory{beside}"
        if self.verdict == "too large":
            has = "" if self.total is None else f", and this machine has {wording.size(self.total)}"
            card = " Only where a graphics card holds the rest it runs." if self.moot else ""
            return f"Does not fit: {needs}{has}.{card}"
        free = "" if self.available is None else f" {wording.size(self.available)} are free now."
        if self.verdict == "tight":
            return f"Tight: {needs}.{free} It may be slow while other programs keep theirs."
        return f"Fits: {needs}.{free}"


def fit_of_file(
    path: Path,
    options: EngineOptions,
    memory: MachineMemory,
    *,
    purpose: Purpose = "chat",
    devices: Sequence[Device] | None = None,
) -> Fit:
    """Whether a file fits, by its header.

    Args:
        path, options, purpose, devices: As of `fit.weigh`.
        memory: What the machine has.

    Raises:
        ModelError: The file is no model.
    """
    weighed = weigh(path, options, purpose, devices=devices)
    placed = weighed.placed
    verdict = _verdict(placed.host, memory)
    if any(share.size > share.device.memory_total for share in placed.shares):
        verdict = "too large"
    return Fit(
        verdict=verdict,
        needed=placed.host,
        cards=placed.cards,
        total=memory.total,
        available=memory.available,
        moot=weighed.moot,
    )


def fit_of_size(
    size: int,
    options: EngineOptions,
    memory: MachineMemory,
    *,
    parameters: str = "",
    devices: Sequence[Device] | None = None,
) -> Fit:
    """Whether a model fits of which only the size is known; a guess.

    Args:
        size: Bytes of all its files.
        options: How it would be loaded.
        memory: What the machine has.
        parameters: How many it has, as it is called ("1.5B"); "" where that is not known.
        devices: What the engine computes on; None where that is not known.
    """
    count = counted(parameters) or size / _BYTES_A_PARAMETER
    cell = _CACHE_8B * (count / 8e9) ** 0.5 * _ELEMENTS[options.kv_type]
    context = options.n_ctx or AUTO_CONTEXT
    beside = PROCESS_BYTES + _WORK + int(cell * (context + min(PREAMBLE_TOKENS, context)))
    needed, cards = size + beside, sum(card.memory_total for card in cards_among(devices or ()))
    on_cards = min(size, cards) if options.gpu_layers else 0
    return Fit(
        verdict=_verdict(needed - on_cards, memory),
        needed=needed - on_cards,
        cards=on_cards,
        total=memory.total,
        available=memory.available,
        sure=False,
        moot=devices is None and options.gpu_layers != 0,
    )


def counted(parameters: str) -> float:
    """The number that a model is called by: 270M, 1.5B; 0 for what is none."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)([KMBT])", parameters)
    return float(found[1]) * 1e3 ** ("KMBT".index(found[2]) + 1) if found else 0.0


def _verdict(needed: int, memory: MachineMemory) -> FitVerdict:
    if memory.total is not None and needed > memory.total:
        return "too large"
    return "tight" if memory.available is not None and needed > memory.available else "fits"
