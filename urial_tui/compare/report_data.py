"""Compared items in the compact form that the HTML report carries and its page reads.

A browser unpacks an item only when it is opened, so an item is one gzip block of its own.
Token texts stand once a report in a table that all blocks point into. Numbers are rounded to
what a page can show; who needs all digits takes the JSON document:

    probabilities   u16, the root of -ln p in steps of 1/11448: off by at most 4e-5, and by at
                    most 0.05 % of itself; smaller ones than 5.9e-15 count as that; 65534 is
                    zero, 65535 not given
    divergences     the upper three bytes of a float32: off by at most 0.001 % of itself; +inf
    and entropies   stays, NaN is not given
    ranks, ids      u32, exact; 4294967295 is not given

A block is a little-endian u32, the length of a JSON object; that object; and the columns in
the order of `COLUMNS`. A column of k-byte numbers is stored as k planes, all first bytes, then
all second ones and so on, which halves what gzip leaves of it. `local` holds the differences
of the sorted indices into the table of texts; `token`, `top_*_token` point into `local`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from urial_tui.page.page import compress, to_json

COLUMNS: Final = (
    "local", "t", "token", "rank", "class", "special", "p_base", "p_aligned",
    "kl_aligned_base", "kl_base_aligned", "js", "entropy_base", "entropy_aligned",
    "top_base_token", "top_base_p", "top_aligned_token", "top_aligned_p",
)  # fmt: skip
_NATS: Final = COLUMNS[8:13]

CLASSES: Final = ("unshifted", "marginal", "shifted", "absent")
"""By code; `NO_CLASS` is the code of a position that has none."""
NO_CLASS: Final = 255

P_STEPS: Final = 11448
"""Steps of the root of -ln p to 1. The root spends them where a page shows digits: a percentage
with two decimals needs four digits of a large probability, and two of a tiny one."""
_P_SMALLEST, _P_ZERO, _P_NONE = 65533, 65534, 65535
_NO_INT = 0xFFFFFFFF

ReportSide = Literal["base", "aligned"]
SIDES: Final[tuple[ReportSide, ReportSide]] = ("base", "aligned")


class TokenTexts(dict[tuple[int, str], int]):
    """Interned token texts: the index of each distinct (token id, text), in order of first
    appearance.

    The text belongs to the key, because two vocabularies may give one id to two texts.
    Looking up a new pair adds it.
    """

    def __missing__(self, pair: tuple[int, str]) -> int:
        index = self[pair] = len(self)
        return index

    def block(self) -> bytes:
        """The table as a gzip block: JSON, the list of ids and the list of texts."""
        return compress(to_json({"ids": [pair[0] for pair in self], "texts": [p[1] for p in self]}))


class ContextTexts:
    """Compresses contexts by their common prefix, which stands in no block.

    All items of a side share a preamble or a template; each block only tells how many
    characters its context has in common with the first one, and how it goes on.
    """

    def __init__(self) -> None:
        self.first: dict[ReportSide, str] = {}

    def pack(self, side: ReportSide, context: Mapping[str, Any]) -> dict[str, Any]:
        """`shared` characters of the first context, the `rest`, and how many `tokens`."""
        text = context.get("text") or ""
        first = self.first.setdefault(side, text)
        shared = _common(first, text)
        # A page counts in UTF-16.
        shared_units = len(first[:shared].encode("utf-16-le", "surrogatepass")) // 2
        ids = context.get("ids")
        return {
            "shared": shared_units,
            "rest": text[shared:],
            "tokens": None if ids is None else len(ids),
        }


def pack_item(item: Mapping[str, Any], texts: TokenTexts, contexts: ContextTexts) -> bytes:
    """The block of an item of the JSON document; keys that are missing count as not given.

    A divergence that is there but null is infinite, as JSON has no such number.

    Raises:
        TypeError, ValueError, KeyError, IndexError: The item is malformed.
    """
    positions: Sequence[Mapping[str, Any]] = item.get("positions") or ()
    token = [texts[int(at["id"]), str(at["text"])] for at in positions]
    tops = {side: _top(texts, [at.get(f"top_{side}") or () for at in positions]) for side in SIDES}
    known = [np.array(token, np.int64), *(top_tokens for _, top_tokens, _ in tops.values())]
    local = np.unique(np.concatenate(known))
    local = local[local >= 0]

    def place(tokens: NDArray[np.int64]) -> NDArray[np.uint32]:
        found = np.searchsorted(local, tokens).astype(np.uint32)
        found[tokens < 0] = _NO_INT
        return found

    columns: dict[str, NDArray[Any]] = {
        "local": np.diff(local, prepend=0).astype(np.uint32),
        "t": _ints(at.get("t", index) for index, at in enumerate(positions)),
        "token": place(known[0]),
        "rank": _ints(at.get("rank") for at in positions),
        "class": np.array([class_code(at) for at in positions], np.uint8),
        "special": np.array([bool(at.get("special")) for at in positions], np.uint8),
    }
    for name in ("p_base", "p_aligned"):
        columns[name] = _probabilities([at.get(name) for at in positions])
    for name in _NATS:
        columns[name] = _nats([at.get(name, math.nan) for at in positions])
    for side, (_, top_tokens, top_p) in tops.items():
        columns[f"top_{side}_token"] = place(top_tokens)
        columns[f"top_{side}_p"] = _probabilities(top_p)
    own_contexts: Mapping[str, Any] = item.get("contexts") or {}
    head = {
        "n": len(positions),
        "local": len(local),
        "k": {side: tops[side][0] for side in SIDES},
        "contexts": {
            side: contexts.pack(side, own_contexts[side])
            for side in SIDES
            if own_contexts.get(side) is not None
        },
        "bytes": item.get("bytes"),
    }
    encoded = to_json(head)
    return compress(
        b"".join(
            (
                len(encoded).to_bytes(4, "little"),
                encoded,
                *(_planes(columns[name], 3 if name in _NATS else None) for name in COLUMNS),
            )
        )
    )


def class_code(position: Mapping[str, Any]) -> int:
    """A position's class as an index of `CLASSES`, `NO_CLASS` if it has none that is known."""
    name = position.get("class")
    return CLASSES.index(name) if name in CLASSES else NO_CLASS


def _common(first: str, second: str) -> int:
    """How many characters two strings begin with in common."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _top(
    texts: TokenTexts, lists: Sequence[Sequence[Sequence[Any]]]
) -> tuple[int, NDArray[np.int64], list[float | None]]:
    """(width, tokens, probabilities) of a side's lists; -1 and None fill up shorter ones."""
    width = max(map(len, lists), default=0)
    tokens: list[int] = []
    p: list[float | None] = []
    for entries in lists:
        tokens += [texts[entry[0], entry[1]] for entry in entries]
        p += [entry[2] for entry in entries]
        missing = width - len(entries)
        if missing:
            tokens += [-1] * missing
            p += [None] * missing
    return width, np.array(tokens, np.int64), p


def _ints(values: Iterable[int | None]) -> NDArray[np.uint32]:
    return np.array([_NO_INT if value is None else value for value in values], np.uint32)


def _probabilities(values: Sequence[float | None]) -> NDArray[np.uint16]:
    p = np.array(values, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        nats: NDArray[np.float64] = np.maximum(-np.log(p), 0)
    codes: NDArray[np.float64] = np.minimum(np.rint(np.sqrt(nats) * P_STEPS), _P_SMALLEST)
    codes[p == 0] = _P_ZERO
    codes[np.isnan(p)] = _P_NONE
    return codes.astype(np.uint16)


def _nats(values: Sequence[float | None]) -> NDArray[np.uint32]:
    """The upper three bytes of float32, rounded."""
    numbers = np.array([math.inf if value is None else value for value in values], np.float32)
    return (numbers.view(np.uint32) + np.uint32(0x80)) >> np.uint32(8)


def _planes(column: NDArray[Any], size: int | None = None) -> bytes:
    """The planes of a column; `size`: only so many bytes of each number, the lower ones."""
    little = np.ascontiguousarray(column, column.dtype.newbyteorder("<"))
    return little.view(np.uint8).reshape(-1, column.dtype.itemsize).T[:size].tobytes()
