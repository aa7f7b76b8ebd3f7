"""A page for a browser in one file, which needs neither a network nor a server.

Its content security policy names the hashes of its one script and its one style sheet and forbids
everything else, so that not even a mistake in what it shows could run or fetch anything. Data
stands in it as JSON without a character that is markup, or as base64; its script shows it as text
alone, for nothing in the page parses markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

import jinja2
import numpy as np

BEFORE: Final = (
    *("text.js", "numbers.js", "blocks.js", "elements.js", "search.js", "theme.js", "run.js"),
)
"""Scripts that every page has, in front of its own."""
ITEMS: Final = ("item_index.js", "route.js")
"""Common scripts of reports that have items, each on a view of its own."""
_BASE_STYLE: Final = "base.css"
_LEVEL: Final = 6


def page(
    folder: Traversable,
    scripts: Sequence[str],
    styles: Sequence[str],
    *,
    common_scripts: Sequence[str] = (),
    **values: Any,
) -> Iterator[str]:
    """Render the page with Jinja: the file in pieces.

    Args:
        folder: Where the page's own sources are, its template `page.html` among them.
        scripts: Its own scripts, in order; they follow the common ones.
        common_scripts: Those that some pages have in common, such as `ITEMS`.
        styles: Its own style sheets, which follow the common one.
        values: What the template asks for; `style`, `script` and their hashes come from here.
    """
    common = resources.files("urial_tui.page")
    before = (*BEFORE, *common_scripts)
    sources = [*(common / name for name in before), *(folder / name for name in scripts)]
    # In a function of its own, so that no name meets one of the browser's.
    script = "\n".join(("(() => {", *map(_source, sources), "})();"))
    style = "\n".join((_source(common / _BASE_STYLE), *(_source(folder / name) for name in styles)))
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(_source(folder / "page.html")).generate(
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        **values,
    )


def to_json(value: object) -> bytes:
    """JSON that may stand inside of any HTML element: ASCII, and no character that is markup.

    Infinity becomes the string "inf" (JSON has no such number), NaN null.
    """
    text = json.dumps(_finite(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("ascii")


def compress(data: bytes) -> bytes:
    """gzip without a time stamp: equal data gives equal bytes."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, wbits=31)
    return packer.compress(data) + packer.flush()


def encoded(data: bytes) -> str:
    """Bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def _finite(value: object) -> object:
    match value:
        case float() if math.isnan(value):
            return None
        case float() if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        case Mapping():
            return {str(key): _finite(part) for key, part in value.items()}
        case list() | tuple():
            return [_finite(part) for part in value]
        case np.generic():
            return _finite(value.item())
        case bytes():
            return value.decode("utf-8", "backslashreplace")
    return value


def _source(file: Traversable) -> str:
    # Line ends as a browser sees them, or the hash would be another one.
    return file.read_text(encoding="utf-8").replace("\r\n", "\n")


def _hash(source: str) -> str:
    return "sha256-" + encoded(hashlib.sha256(source.encode()).digest())
