"""Names of the places of models that are other programs' or the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from urial_tui.models.stores.sighting import StoreName

OTHERS: Final[Mapping[StoreName, str]] = {
    "directory": "in a directory of yours",
    "hub": "in Hugging Face's cache",
    "llama.cpp": "in llama.cpp's older cache",
    "lmstudio": "LM Studio's",
    "ollama": "Ollama's",
}
