"""Measured contexts as one HTML file: a page that needs neither a network nor a server.

The file is a view of the measures' document, which stands in it as it is. The page is in
`measures_page/`, with what all pages have in common in `urial_tui/page/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from urial_tui.page.page import page, to_json
from urial_tui.report_file import report_file
from urial_tui.sanitize import sanitize_line

_SCRIPTS: Final = ("chart.js", "page.js")


def write_measures_html(path: Path, document: Mapping[str, Any]) -> None:
    """Write the page of measured contexts; an older file is replaced once the new one is whole.

    Args:
        path: Where to; its directory exists.
        document: The JSON document, see docs/json.md.

    Raises:
        ReportError: The disk is full, or the place can't be written to.
    """
    pieces = page(
        resources.files("urial_tui.evaluate") / "measures_page",
        _SCRIPTS,
        ("page.css",),
        title=f"Preambles on {sanitize_line(document['model'])}"[:200],
        head=to_json(document).decode(),
    )
    with report_file(path, "--html") as output:
        for text in pieces:
            output.write(text.encode("utf-8", "replace"))
