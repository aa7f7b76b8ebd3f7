"""A registry of models for tests: what is found where no model file is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from urial_tui.errors import UrialError

FILES: dict[str, Path] = {}
"""A scripted engine loads nothing, but the file is looked at before: the one of "tiny"."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the registry found."""

    name: str = "tiny"
    path: Path = msgspec.field(default_factory=lambda: FILES["tiny"])
    adapter: Path | None = None
    chat_template: str = ""


def found_by_name(name: str, progress: object) -> Found:
    """A registry that knows every name."""
    return Found(name=name)


def raising(error: UrialError) -> Callable[..., Found]:
    """A registry that finds nothing."""

    def find(name: str, progress: object) -> Found:
        raise error

    return find
