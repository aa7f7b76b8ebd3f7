"""What a model's speed depends on beside the model: processors, options, the build of llama.cpp.

Known before anything is loaded, so that a measurement can be told from one that no longer holds.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from urial_tui.engine.wire.values import EngineOptions


def setup_of(options: EngineOptions) -> str:
    """What reading weights depends on, as a text that is the same only where all of it is.

    Threads of how many processors, layers on graphics cards, RPC servers, and the build of
    llama.cpp. As they are asked for: what a load makes of them follows from these and the machine.
    """
    servers = ",".join(options.servers) or "-"
    return (
        f"threads={options.threads}/{_processors()} gpu_layers={options.gpu_layers} "
        f"rpc={servers} library={_library()}"
    )


def model_setup(options: EngineOptions) -> str:
    """What decoding depends on: `setup_of`, and the type of the KV cache."""
    return f"{setup_of(options)} kv={options.kv_type}"


def _processors() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no such thing
        return os.cpu_count() or 1


@functools.cache
def _library() -> str:
    """A mark of the build of llama.cpp, by its files, none of which is loaded or read."""
    digest = hashlib.sha256()
    for path in sorted(_library_files()):
        try:
            status = path.stat()
        except OSError:
            continue
        digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _library_files() -> Iterator[Path]:
    found = importlib.util.find_spec("llama_cpp")
    for place in (found.submodule_search_locations if found else None) or ():
        try:
            yield from (Path(place) / "lib").iterdir()
        except OSError:
            continue
