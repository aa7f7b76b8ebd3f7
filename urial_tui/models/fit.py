"""Whether models fit into this machine's memory, told before they are loaded.

What they need (`memory_need`) is compared with what there would be for them: the machine's or
the control group's memory, and that of graphics cards of their own, each for the layers that go
there; a device of an RPC server counts as a card. Too little altogether is an error; too little of
what is free now, a warning.
"""

from __future__ import annotations

import bisect
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from urial_tui import wording
from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.values import Device, EngineOptions
from urial_tui.errors import ModelError
from urial_tui.memory import MachineMemory, memory_now
from urial_tui.models.header import check_gguf
from urial_tui.models.kinds import kind_for
from urial_tui.models.memory_need import PROCESS_BYTES, MemoryNeed, memory_need
from urial_tui.sanitize import sanitize_line


class CardShare(msgspec.Struct, frozen=True, kw_only=True):
    """What of a model goes to one graphics card: layers, the output's as one, and bytes."""

    device: Device
    layers: int
    size: int

    @property
    def place(self) -> str:
        """The card, for a sentence."""
        name = sanitize_line(self.device.name)
        return f"{name} of {sanitize_line(self.device.server)}" if self.device.server else name


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model goes, in bytes. `shares`: of the graphics cards that get layers."""

    host: int
    shares: tuple[CardShare, ...] = ()

    @property
    def cards(self) -> int:
        """Bytes on all cards together."""
        return sum(share.size for share in self.shares)

    @property
    def layers(self) -> int:
        """How many layers go to cards."""
        return sum(share.layers for share in self.shares)


def cards_among(devices: Sequence[Device]) -> tuple[Device, ...]:
    """The graphics cards with memory of their own, in the order in which they get layers.

    A card that shares the machine's memory is none: integrated ones, and those of a Mac.
    """
    return tuple(
        device
        for device in devices
        if device.kind == "gpu"
        and device.memory_total > 0
        and (device.server or sys.platform != "darwin")
    )


def spread(layers: int, room: Sequence[float]) -> tuple[int, ...]:
    """How many of the layers each card gets, by what is free there.

    As the library does it (src/llama-model.cpp, `load_tensors`): a layer's place among all of them
    is looked up among the cards' shares, put end to end.
    """
    whole = sum(room)
    if whole <= 0:
        return tuple(layers if not number else 0 for number in range(len(room)))
    ends = [end / whole for end in itertools.accumulate(room)]
    counts = [0] * len(room)
    for layer in range(layers):
        counts[min(bisect.bisect_right(ends, layer / layers), len(room) - 1)] += 1
    return tuple(counts)


def place(need: MemoryNeed, options: EngineOptions, cards: Sequence[Device]) -> Placement:
    """What goes where with these graphics cards: all layers, or the last of them, as asked for.

    The library puts the output matrix behind the last layer (`weight_places`); whatever is
    evaluated on a card has its caches and its activations there, and the logits are where the
    output is. The tables that tokens are looked up in and the process stay on the machine.
    """
    movable = need.movable
    layers = len(movable) if options.gpu_layers < 0 else min(options.gpu_layers, len(movable))
    if not cards or not layers:
        return Placement(host=need.total)
    # Those in front stay on the machine.
    first = len(movable) - layers
    counts = spread(layers, [card.memory_free or card.memory_total for card in cards])
    ends = list(itertools.accumulate(counts, initial=first))
    shares = tuple(
        CardShare(
            device=card,
            layers=end - start,
            size=sum(movable[start:end]) + need.compute + need.logits * (end == len(movable)),
        )
        for card, start, end in zip(cards, ends, ends[1:], strict=False)
        if end > start
    )
    moved = sum(movable[first:]) - need.copied
    kept = need.compute if first else 0
    return Placement(host=need.total - need.compute - moved + kept, shares=shares)


def fit_together(
    models: Sequence[tuple[Path, Purpose]],
    options: EngineOptions,
    *,
    memory: MachineMemory,
) -> bool:
    """Whether models fit beside each other into free memory; True where nobody can tell.

    A file that is named twice has its weights in memory once. Graphics cards are not counted.

    Raises:
        ModelError: A file is no model.
    """
    limit = memory.available if memory.available is not None else memory.total
    options = msgspec.structs.replace(options, gpu_layers=0)
    needs = {(path, purpose): need_of(path, options, purpose) for path, purpose in models}
    weights = {path: need.weights for (path, _), need in needs.items()}
    buffers = sum(needs[model].buffers for model in models)
    return limit is None or sum(weights.values()) + buffers + PROCESS_BYTES <= limit


def need_of(path: Path, options: EngineOptions, purpose: Purpose = "chat") -> MemoryNeed:
    """The estimate for a file.

    Raises:
        ModelError: The file is no model.
    """
    return memory_need(path, check_gguf(path, kind_for(purpose)), options, purpose)


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """A model's file, what it needs, and where that would go.

    `cards`: the graphics cards that there are. `moot`: whether layers are wanted on cards that are
    not known yet.
    """

    path: Path
    need: MemoryNeed
    placed: Placement
    cards: tuple[Device, ...]
    moot: bool

    def check(self, memory: MachineMemory) -> str:
        """Refuse it where it can't fit; the warning where it will be slow, or nothing.

        Raises:
            ModelError: It needs more memory than there is (says how much, and what to do).
        """
        need, placed, size = self.need, self.placed, wording.size
        name = sanitize_line(self.path.name)
        parts = (
            f"{size(need.weights)} of weights and {size(need.total - need.weights)} for a context "
            f"of {need.n_ctx:,} tokens"
        )
        for share in placed.shares:
            if share.size > share.device.memory_total:
                whole = "" if len(self.cards) < 2 else f" {share.place}"
                raise ModelError(
                    f"The model {name} does not fit into the graphics card{whole}: "
                    f"{size(share.size)} of memory would go there ({parts}), and it has "
                    f"{size(share.device.memory_total)}.",
                    _fewer_layers(need, self.cards),
                )
        if memory.total is not None and placed.host > memory.total:
            if self.moot:
                return (
                    f"The model {name} needs {size(need.total)} of memory ({parts}), more than the "
                    f"{size(memory.total)} of this machine: it runs only where a graphics card "
                    "holds what is too much."
                )
            beside = (
                f" beside its {placed.layers} layers on the graphics card" if self.cards else ""
            )
            raise ModelError(
                f"The model {name} does not fit: it needs {size(placed.host)} of memory{beside} "
                f"({parts}), and this machine has {size(memory.total)}.",
                _smaller(need, memory.total + placed.cards),
            )
        if memory.available is not None and placed.host > memory.available:
            return (
                f"The model {name} needs {size(placed.host)} of memory ({parts}), but only "
                f"{size(memory.available)} are free now, so it may be slow. "
                "Close other programs, or choose a smaller model or context."
            )
        for share in placed.shares:
            if 0 < share.device.memory_free < share.size:
                return (
                    f"The model {name} needs {size(share.size)} of memory on {share.place}, but "
                    f"only {size(share.device.memory_free)} are free there now, so it may not "
                    f"load. {_fewer_layers(need, self.cards)}"
                )
        return ""


def weigh(
    path: Path,
    options: EngineOptions,
    purpose: Purpose = "chat",
    *,
    devices: Sequence[Device] | None = None,
) -> Weighed:
    """See what a model's file needs, and where.

    Args:
        path: The model file.
        options: How it will be loaded.
        purpose: What for.
        devices: What the engine computes on; None where that is not known yet, and nothing
            is refused that a graphics card could hold.

    Raises:
        ModelError: The file is no model.
    """
    cards = cards_among(devices or ())
    moot = devices is None and options.gpu_layers != 0
    if not cards:
        options = msgspec.structs.replace(options, gpu_layers=0)
    need = need_of(path, options, purpose)
    placed = place(need, options, cards)
    return Weighed(path=path, need=need, placed=placed, cards=cards, moot=moot)


def check_fit(
    path: Path,
    options: EngineOptions,
    purpose: Purpose = "chat",
    *,
    memory: MachineMemory | None = None,
    devices: Sequence[Device] | None = None,
) -> str:
    """Refuse a model that can't fit; the warning for one that will be slow, or nothing.

    Args:
        path, options, purpose, devices: As of `weigh`.
        memory: What the machine has, where that is not to be asked.

    Raises:
        ModelError: More memory is needed than there is, or the file is no model.
    """
    return weigh(path, options, purpose, devices=devices).check(memory or memory_now())


def layers_on(need: MemoryNeed, card: int) -> int:
    """How many layers fit into a card with `card` bytes of memory, the output's as the last one."""
    room = card - need.compute - need.logits
    # The last ones go first.
    taken = itertools.accumulate(reversed(need.movable))
    return sum(size <= room for size in taken)


def layers_that_fit(need: MemoryNeed, cards: Sequence[Device]) -> int:
    """How many layers fit when the library spreads them over cards by what is free there."""
    for layers in range(need.layers + 1, 0, -1):
        placed = place(need, EngineOptions(gpu_layers=layers), cards)
        rooms = (
            (share.size, share.device.memory_free or share.device.memory_total)
            for share in placed.shares
        )
        if placed.shares and all(size <= room for size, room in rooms):
            return layers
    return 0


def _fewer_layers(need: MemoryNeed, cards: Sequence[Device]) -> str:
    """What to do about a model that does not fit into graphics cards."""
    layers = layers_that_fit(need, cards)
    if layers < 1:
        return "Set engine.gpu_layers to 0, or choose a smaller model."
    return f"Set engine.gpu_layers to {layers} or less, or choose a smaller model."


def _smaller(need: MemoryNeed, total: int) -> str:
    """What to do about a model that does not fit into `total` bytes."""
    spare = total - (need.total - need.per_token * need.n_ctx)
    tokens = int(spare / need.per_token) // 256 * 256 if need.per_token else 0
    if tokens >= 512:
        return f"Set engine.context to {tokens} or less, or choose a smaller model."
    return (
        "Choose a smaller model, or a smaller quantisation of this one: "
        f"a file of at most {wording.size(max(0, total - (need.total - need.weights)))} fits."
        if total > need.total - need.weights
        else "Choose a smaller model and a smaller context."
    )
