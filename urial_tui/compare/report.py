"""A comparison as one HTML file: a page that needs neither a network nor a server.

The file is a view of the JSON document of `urial compare --json`. Items may come one by one
and are let go at once; what is kept of each is a line of the index, its block waits on the
disk. The page is in `page/`, with what all pages have in common in `urial_tui/page/`.

What is read of the document, all of it optional but an item's `positions[].id` and `text`:

    base, aligned     {"model", "adapter", "context", …}; what else there is, is listed
    vocab             {"relation", "cutting", …}
    noise             {"positions", "kl_mean", "kl_max", …}: what rounding alone makes
    bytes             with vocabularies that differ: {"bits_per_byte": {"base", "aligned"},
                      "boundaries", "agreement", "exact"}
    summary           `metrics.Summary`
    special           `metrics.ClassShares`
    by_position       list of `curves.AtPosition`
    shifted_tokens    list of `metrics.ShiftedToken`
    by_group          {field: list of `metrics.Group`}
    run               `provenance.provenance`: how it was made
    items             {"id", "query", "answer", "stop_reason", "fields", "contexts", "bytes"
                      (`vocab.ByteAgreement`), "positions"}
    positions         "t", "id", "text" (bytes that are no UTF-8 as \\xNN), "rank", "class",
                      "p_*", "kl_*", "js", "entropy_*", "top_*"; "special" is true for what is
                      no content
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO, Final

from urial_tui.compare.report_data import (
    CLASSES,
    NO_CLASS,
    SIDES,
    ContextTexts,
    TokenTexts,
    class_code,
    pack_item,
)
from urial_tui.page.page import ITEMS, compress, encoded, page, to_json
from urial_tui.report_file import ReportError, report_file
from urial_tui.sanitize import sanitize_line

_SCRIPTS: Final = (
    "data.js", "shares.js", "figure.js", "charts.js", "overview.js", "items.js", "item.js",
    "page.js",
)  # fmt: skip


def write_report(
    path: Path, document_head: Mapping[str, Any], items: Iterable[Mapping[str, Any]]
) -> None:
    """Write the report of a comparison; an older file is replaced once the new one is whole.

    Args:
        path: Where to; its directory exists.
        document_head: The JSON document; `items` in it is not read.
        items: The items of the document, in the order in which the page lists them.

    Raises:
        ReportError: The disk is full, the place can't be written to, or an item is malformed.
    """
    with (
        report_file(path, "--html") as output,
        tempfile.TemporaryFile(dir=path.resolve().parent) as kept,
    ):
        packed = _Packed(kept)
        for item in items:
            packed.add(item)
        for text in _page(document_head, packed):
            output.write(text.encode("utf-8", "replace"))


class _Packed:
    """The items that have come so far: their blocks on disk, their index in memory."""

    def __init__(self, blocks: BinaryIO) -> None:
        self.texts = TokenTexts()
        self.contexts = ContextTexts()
        self.rows: list[bytes] = []
        self._blocks = blocks
        self._lengths: list[int] = []

    def add(self, item: Mapping[str, Any]) -> None:
        try:
            block = pack_item(item, self.texts, self.contexts)
            row = to_json(_index_row(item))
        except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
            name = sanitize_line(str(item.get("id", len(self.rows)))[:60])
            raise ReportError(
                f"Item {name} of the comparison is malformed ({type(error).__name__}: "
                f"{sanitize_line(str(error)[:100])}), so no report can be made.",
                "Run the comparison again without the file of its earlier results.",
            ) from error
        self.rows.append(row)
        self._blocks.write(block)
        self._lengths.append(len(block))

    def blocks(self) -> Iterator[str]:
        """The blocks as base64, in order."""
        self._blocks.seek(0)
        for length in self._lengths:
            yield encoded(self._blocks.read(length))


def _index_row(item: Mapping[str, Any]) -> list[object]:
    """[id, query, answer, positions, positions by class, mean KL, fields] of the content.

    KL is KL(aligned || base) in nats: None without any, infinite if one is.
    """
    positions = item.get("positions") or ()
    counts = [0] * (NO_CLASS + 1)
    content = 0
    kl: list[float] = []
    for position in positions:
        if not position.get("special"):
            content += 1
            counts[class_code(position)] += 1
            if "kl_aligned_base" in position:
                value = position["kl_aligned_base"]
                kl.append(math.inf if value is None else value)
    answer = item.get("answer")
    if answer is None:
        answer = "".join(position["text"] for position in positions)
    fields = dict(item.get("fields") or {})
    if item.get("stop_reason"):
        fields["stop reason"] = item["stop_reason"]
    return [
        item.get("id"),
        str(item.get("query") or ""),
        str(answer),
        content,
        counts[: len(CLASSES)],
        math.fsum(kl) / len(kl) if kl else None,
        {key: value for key, value in fields.items() if isinstance(value, str | int | float)},
    ]


def _page(head: Mapping[str, Any], packed: _Packed) -> Iterator[str]:
    """The file in pieces. The index stands in front, so that it shows while the rest loads."""
    document = {key: value for key, value in head.items() if key != "items"}
    rows = b"[" + b",\n".join(packed.rows) + b"]"
    return page(
        resources.files("urial_tui.compare") / "page",
        _SCRIPTS,
        ("page.css",),
        common_scripts=ITEMS,
        title=_title(head),
        head=to_json(document).decode(),
        rows=rows.decode(),
        contexts=encoded(compress(to_json(packed.contexts.first))),
        blocks=packed.blocks(),
        texts=encoded(packed.texts.block()),
    )


def _title(head: Mapping[str, Any]) -> str:
    """Of the window: both models, files by their names alone; their contexts if they are one."""
    sides = [head.get(name) or {} for name in SIDES]
    names = [_model_name(str(side.get("model") or "?")) for side in sides]
    if names[0] == names[1]:
        names = [f"{names[0]} ({side.get('context')})" for side in sides]
    return " → ".join(sanitize_line(name)[:100] for name in names)


def _model_name(model: str) -> str:
    """A file by its name alone, each part of MODEL+ADAPTER."""
    if "/" not in model and "\\" not in model:
        return model
    return "+".join(PureWindowsPath(part).name for part in model.split("+"))
