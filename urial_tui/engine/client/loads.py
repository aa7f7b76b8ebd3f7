"""What the client knows of the models that it had loaded: which have worked, and which have not.

A model has worked once something was evaluated with it. One whose load or first evaluation
ended a worker is remembered by its file and options for as long as the client lives.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from urial_tui.engine.client.death import Moment
from urial_tui.engine.wire.commands import (
    Command,
    Embed,
    FindDevices,
    Generate,
    LoadModel,
    PreparePreamble,
    ScoreBoth,
    ScoreSide,
    ScoreStored,
    Trace,
    Unload,
)
from urial_tui.engine.wire.events import (
    Embedded,
    Event,
    Loaded,
    PreambleReady,
    PrefillProgress,
    Scored,
    TextDelta,
    Traced,
)
from urial_tui.sanitize import sanitize_line

_EVALUATIONS = (PreparePreamble, Generate, ScoreBoth, ScoreSide, ScoreStored, Trace, Embed)


class Loads:
    """The loads of one engine's workers, as they are told."""

    def __init__(self) -> None:
        self._untried: dict[int, LoadModel] = {}
        """Loaded, and nothing evaluated yet; by their handles."""
        self._fatal: set[bytes] = set()
        self._servers: dict[int, tuple[str, ...]] = {}
        """RPC servers that hold layers of what is loaded; by the handles."""

    def saw(self, command: Command, event: Event) -> None:
        """Learn from an event that answers a command."""
        if isinstance(command, LoadModel) and isinstance(event, Loaded):
            self._untried[command.model] = command
            self._servers[command.model] = command.options.servers
        elif _has_evaluated(event):
            self._untried.clear()
        elif isinstance(command, Unload):
            self._untried.pop(command.model, None)
            self._servers.pop(command.model, None)

    def ended(self, command: Command | None, silent_for: float = 0.0) -> Moment:
        """The moment at which a worker ended, while it carried out `command`; it is remembered."""
        untried, self._untried = self._untried, {}
        held, self._servers = self._servers, {}
        load: LoadModel | None = None
        if isinstance(command, LoadModel):
            load = command
        elif isinstance(command, _EVALUATIONS):
            load = untried.get(getattr(command, "model", 0)) or next(iter(untried.values()), None)
        asked = command.servers if isinstance(command, FindDevices) else ()
        asked = command.options.servers if isinstance(command, LoadModel) else asked
        servers = tuple(dict.fromkeys((*asked, *(one for each in held.values() for one in each))))
        if load is None:
            return Moment(silent_for=silent_for, servers=servers)
        key = _key(load)
        before = key in self._fatal
        self._fatal.add(key)
        return Moment(
            doing="loading" if load is command else "first evaluation",
            model=sanitize_line(Path(load.path).name)[:80],
            before=before,
            silent_for=silent_for,
            servers=servers,
        )


def _has_evaluated(event: Event) -> bool:
    match event:
        case PrefillProgress(done=done, reused=reused):
            return done > reused
        case PreambleReady(source=source):
            return source == "computed"
        case TextDelta(generated=generated):
            return generated > 0
        case Scored() | Traced() | Embedded():
            return True
        case _:
            return False


def _key(load: LoadModel) -> bytes:
    """The files by place, size and time, and the options."""
    files = []
    for path in (load.path, load.adapter):
        if path is not None:
            try:
                status = Path(path).stat()
                files.append((path, status.st_size, status.st_mtime_ns))
            except (OSError, ValueError):
                files.append((path, -1, -1))
    return msgspec.msgpack.encode((files, load.adapter_scale, load.options))
