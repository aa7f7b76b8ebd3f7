"""A model of the catalogue or on this machine, as JSON."""

from __future__ import annotations

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
