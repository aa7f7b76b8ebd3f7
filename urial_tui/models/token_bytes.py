"""How many bytes of its weights a model reads to decode one token.

For a single sequence every weight that takes part is read once a token, so this and the memory's
speed bound the tokens a second. Of a table of embeddings only a row is read, too little to count,
unless it is the output layer as well; of the experts of a mixture those that a token uses.
"""

from __future__ import annotations

from collections.abc import Sequence

from urial_tui.models.gguf_file import Header

_LOOKED_UP = ("token_embd.weight", "per_layer_token_embd.weight")
"""Tensors of which one row a token is read, unless the first is the output layer as well."""


def weight_bytes_per_token(headers: Sequence[Header]) -> int | None:
    """Bytes read a token, by the headers of all parts; None where a tensor's type is unknown."""
    if not all(header.complete for header in headers):
        return None
    tensors = {name: size for header in headers for name, size in header.tensor_bytes.items()}
    looked_up = _LOOKED_UP if "output.weight" in tensors else _LOOKED_UP[1:]
    experts = sum(size for name, size in tensors.items() if "_exps." in name)
    used, total = experts_used(headers[0])
    read = sum(tensors.values()) - experts - sum(tensors.get(name, 0) for name in looked_up)
    return read + experts * used // total


def experts_used(header: Header) -> tuple[int, int]:
    """How many experts a token uses, of how many; (0, 1) without any.

    Returns:
        How many, and of how many.
    """
    total = max(header.number("expert_count") or 0, 1)
    return max(0, min(header.most("expert_used_count") or 0, total)), total
