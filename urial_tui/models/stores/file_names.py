"""What a model file's name tells: how it was quantised, and that it is no whole model."""

from __future__ import annotations

import re

_PART = re.compile(r"-(\d{5})-of-(\d{5})(?=\.gguf$)", re.IGNORECASE)
_QUANTISATION = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:I?Q|TQ)\d+(?:_(?:XXS|XS|XL|NL|[KSML]|\d))*|BF16|F16|FP16|F32|FP32|MXFP4(?:_MOE)?)"
    r"(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_PARTIAL = re.compile(
    r"\.gguf\.(incomplete|part|partial|tmp|crdownload|download|downloadInProgress|aria2)$"
    r"|^downloading_.*\.gguf\.part$",
    re.IGNORECASE,
)
_PIECE = re.compile(r"\.gguf[-.](split|part)[-_]?\w+$", re.IGNORECASE)
_LONGEST = 300
"""Characters of a name that are searched: file systems allow 255 bytes."""


def quantisation_in(name: str) -> str:
    """How a file was quantised, in the letters of its name; "" if that does not tell.

    `name` may be a path in a repository: there, the directory often says it.
    """
    found: list[str] = _QUANTISATION.findall(name[-_LONGEST:])
    return found[-1] if found else ""


def quantisation_of(name: str) -> str:
    """How a file was quantised, as its name has it ("Q4_K_M"), in capitals; see there."""
    return quantisation_in(name).upper()


def is_model_name(name: str) -> bool:
    """Whether a file is called like a GGUF file."""
    return name[-5:].lower() == ".gguf"


def part_of(name: str) -> tuple[str, int, int] | None:
    """Of one of several files of a model: the name without its number, the number, how many.

    Returns:
        The name without its number, the number, and how many parts there are; None of a whole
        one.
    """
    found = _PART.search(name)
    if not found:
        return None
    return name[: found.start()], int(found[1]), int(found[2])


def unfinished(name: str) -> str:
    """Why a file with this name is no whole model file; "" if it may be one or is anything else."""
    if name.startswith("._"):
        return "macOS's notes about another file" if name.lower().endswith(".gguf") else ""
    if _PARTIAL.search(name):
        return "an unfinished download"
    if _PIECE.search(name):
        return "a piece of a file that was cut: the pieces have to be joined"
    if name.startswith(".") and is_model_name(name):
        return "hidden: its name starts with a dot"
    return ""
