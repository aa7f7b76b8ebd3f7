"""A model of the catalogue or on this machine: as JSON, and the command that uses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urial_tui.models.registry import ModelStatus


def document(model: ModelStatus) -> dict[str, object]:
    """What is known of a model, by the keys of docs/json.md."""
    entry = model.entry
    return {
        "name": model.name,
        "title": entry.title if entry else None,
        "role": entry.role if entry else None,
        "partner": (entry.partner or None) if entry else None,
        "parameters": entry.parameters if entry else None,
        "preamble": (entry.preamble or None) if entry else None,
        "size": model.size or None,
        "licence": entry.licence if entry else None,
        "licence_url": entry.licence_url if entry else None,
        "source": (entry.source_url or None) if entry else None,
        "state": model.state,
        "path": str(model.place) if model.state == "disk" else None,
        "place": str(model.place),
        "command": model.download or None,
        "pooling": pooling(model),
        "store": model.store,
    }


def pooling(model: ModelStatus) -> str | None:
    """How an embedding model on the disk pools, by the start of its header; None for others."""
    from urial_tui.errors import ModelError
    from urial_tui.models.header import check_gguf
    from urial_tui.models.kinds import pooling_of

    if model.state != "disk":
        return None
    try:
        return pooling_of(check_gguf(model.place, "embedding"))
    except ModelError:
        return None


def call_of(file: Path, name: str) -> str:
    """The command that uses a model's file, by what it is; "" where none does.

    Args:
        file: It, whose header is read.
        name: What it is called.

    Raises:
        ModelError: It has no header that can be read.
    """
    from urial_tui.models.header import header_of
    from urial_tui.models.kinds import what_it_holds
    from urial_tui.sanitize import sanitize_line

    shown = sanitize_line(name)
    match what_it_holds(header_of(file))[0]:
        case "language-model" | "part":
            return f"urial ask -m {shown}"
        case "adapter":
            return f"urial ask -m MODEL+{shown}"
        case "embedding-model":
            return f"urial prompts index POOL.jsonl --embedding {shown}"
        case _:
            return ""
