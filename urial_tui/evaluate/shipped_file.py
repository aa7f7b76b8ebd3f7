"""Package data: TOML files of texts that come with the program."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from urial_tui.evaluate.items import EvaluateError
from urial_tui.files import read_text, reason
from urial_tui.sanitize import sanitize_line

_MAX_BYTES = 1024 * 1024

T = TypeVar("T")


def read_shipped(path: Path, form: type[T], what: str, *, otherwise: str = "") -> T:
    """Read a file that comes with the program.

    Args:
        path: Where it is.
        form: What it holds.
        what: What that is called, at the start of a sentence.
        otherwise: What can be done beside installing the program again, as the end of a sentence.

    Raises:
        EvaluateError: It is missing or damaged.
    """
    try:
        return msgspec.toml.decode(read_text(path, _MAX_BYTES), type=form)
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise EvaluateError(
            f"{what}, {sanitize_line(str(path))}, can't be read: {sanitize_line(reason(error))}.",
            f"Install urial-tui again{otherwise}.",
        ) from error
