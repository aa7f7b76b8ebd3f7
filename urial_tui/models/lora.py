"""What the header of an adapter says: the pairs of a LoRA, their rank, and what is odd."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from urial_tui.models.gguf_file import Header

_ENDS = (".lora_a", ".lora_b")
_IGNORED = "_norm.weight"
"""llama.cpp passes over these in an adapter."""
_MOST = 20


class AdapterTold(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter. Texts are a stranger's.

    `method`: "lora" or another word. `ranks`: those that occur, the least first. `alpha`: of which
    the scale is alpha / rank; None where it is not given. `targets`: what of a layer is changed.
    `pairs`: matrices that are. `invocation`: tokens behind which an activated LoRA works; 0 for an
    ordinary one. `unpaired`: tensors without their other half, or that are no half; some of them.
    `task`: what it says it is for, and `prefix`, what it says a prompt starts with.
    """

    method: str
    ranks: tuple[int, ...]
    alpha: float | None
    targets: tuple[str, ...]
    pairs: int
    invocation: int
    unpaired: tuple[str, ...]
    task: str
    prefix: str


def read_adapter(header: Header) -> AdapterTold:
    """What a header says of the adapter that it is of."""
    values = header.metadata
    shapes = {tensor.name: tensor.shape for tensor in header.tensor_table}
    paired = sorted(
        name.removesuffix(_ENDS[0])
        for name in shapes
        if name.endswith(_ENDS[0]) and f"{name.removesuffix(_ENDS[0])}{_ENDS[1]}" in shapes
    )
    # The first matrix has a row for each of the rank, the second a column.
    ranks = {shapes[f"{name}{_ENDS[0]}"][1:2] for name in paired}
    alpha = values.get("adapter.lora.alpha")
    return AdapterTold(
        method=_text(values.get("adapter.type")) or "unnamed",
        ranks=tuple(sorted({rank[0] for rank in ranks if rank})[:_MOST]),
        alpha=float(alpha)
        if isinstance(alpha, int | float) and not isinstance(alpha, bool)
        else None,
        targets=tuple(sorted({_target(name) for name in paired})[:_MOST]),
        pairs=len(paired),
        invocation=header.lengths.get("adapter.alora.invocation_tokens", 0),
        unpaired=tuple(sorted(_unpaired(set(shapes)))[:_MOST]),
        task=_text(values.get("adapter.lora.task_name")),
        prefix=_text(values.get("adapter.lora.prompt_prefix")),
    )


def _target(name: str) -> str:
    """What of a layer a tensor is: "blk.3.ffn_down.weight" is "ffn_down"."""
    parts = name.removesuffix(".weight").split(".")
    return ".".join(parts[2:] if parts[0] == "blk" else parts)[:64]


def _unpaired(names: set[str]) -> Iterator[str]:
    for name in names:
        for own, other in (_ENDS, _ENDS[::-1]):
            if name.endswith(own):
                if f"{name.removesuffix(own)}{other}" not in names:
                    yield name
                break
        else:
            if not name.endswith(_IGNORED):
                yield name


def _text(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""
