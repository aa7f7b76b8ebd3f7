"""The files of a model that is split, as llama.cpp finds them: by their names.

NAME-00001-of-00003.gguf and so on; each part is a GGUF file of its own, with some of the
tensors. A file that was cut into pieces of bytes is something else: its pieces have to be
joined, and parts must not be.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec

from urial_tui.errors import ModelError
from urial_tui.sanitize import sanitize_line

MAX_PARTS = 1000
"""More are not believed; the largest models have some thirty."""

_PART_NAME = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
_PIECE_NAME = re.compile(r"[-.](split|part)[-_]?(a+|0*1(of\d+)?)$", re.IGNORECASE)


class ModelPart(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a model; `size` in bytes."""

    path: Path
    size: int


def is_named_like_a_part(path: Path) -> bool:
    """Whether a file's name says that it is one of several."""
    return _PART_NAME.search(path.name) is not None


def is_named_like_a_piece(path: Path) -> bool:
    """Whether a file's name says that it is the first piece of a file that was cut."""
    return _PIECE_NAME.search(path.name) is not None


def part_paths(path: Path, parts: int) -> list[Path]:
    """The files of a model in `parts` files, in order; `path` names the first.

    Raises:
        ModelError: `path` is not named like a first part, or there are too many.
    """
    if parts <= 1:
        return [path]
    if parts > MAX_PARTS:
        raise ModelError(
            f"The model file {_shown(path)} is damaged: it claims to be one of {parts} parts.",
            "Remove it and fetch the model again.",
        )
    end = f"-00001-of-{parts:05d}.gguf"
    if not path.name.endswith(end):
        raise ModelError(
            f"The file {_shown(path)} is one of {parts} parts of a model, and not named like "
            "the first.",
            f"Load the part whose name ends in {end}; do not rename the parts.",
        )
    stem = path.name.removesuffix(end)
    return [
        path.with_name(f"{stem}-{part:05d}-of-{parts:05d}.gguf") for part in range(1, parts + 1)
    ]


def found_parts(paths: Iterable[Path]) -> tuple[ModelPart, ...]:
    """The parts with their sizes.

    Raises:
        ModelError: Some are missing or no regular files; all of these are named.
    """
    found, missing = [], []
    for path in paths:
        try:
            status = path.stat()
        except (OSError, ValueError):
            missing.append(path)
            continue
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(
                f"{_shown(path)}, a part of a model, is not a regular file.",
                "Put the part's .gguf file in its place.",
            )
        found.append(ModelPart(path=path, size=status.st_size))
    if missing:
        count = len(found) + len(missing)
        named = ", ".join(sanitize_line(path.name) for path in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ModelError(
            f"Of the model's {count} parts {named}{more} "
            f"{'is' if len(missing) == 1 else 'are'} missing.",
            f"Put all parts into one directory: {_shown(missing[0].parent)}.",
        )
    return tuple(found)


def _shown(path: Path) -> str:
    return sanitize_line(str(path))
