"""RPC servers, which compute layers of a model on other machines: whether they serve.

Nothing is asked of the network unless `engine.rpc` names servers. Then each is asked alone, and a
tiny model is put on all of them together, to see which layers go where.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from urial_tui.doctor.engine import MakeEngine, make_engine, within
from urial_tui.doctor.finding import Fact
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.self_test.model import TinyModel
from urial_tui.engine.wire.server_address import UNENCRYPTED, listed
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import EngineDied, EngineError, SettingsError
from urial_tui.settings import load_settings
from urial_tui.wording import size

_LIMIT_S = 60.0
_BUILD = "Build one that can: CMAKE_ARGS=-DGGML_RPC=ON make setup."


def named_servers() -> Sequence[str]:
    """The servers that the user's settings name; none where those can't be read."""
    try:
        return load_settings().engine.rpc
    except SettingsError:
        return ()


def servers(
    make: MakeEngine = make_engine,
    named: Callable[[], Sequence[str]] = named_servers,
    limit_s: float = _LIMIT_S,
) -> Iterator[Fact]:
    """Which servers answer, what they have, and where the layers of a model go.

    Args:
        make: Makes an engine.
        named: Tells the servers' addresses.
        limit_s: Seconds that all of it gets.

    Raises:
        EngineError: The engine can't be started, or died.
    """
    addresses = named()
    if not addresses:
        yield Fact("none: no layer of a model leaves this machine")
        return
    yield Fact(f"layers of models go to {listed(addresses)}", "warning", UNENCRYPTED)
    with (
        tempfile.TemporaryDirectory(prefix="urial-doctor-") as folder,
        make(Path(folder, "preambles")) as engine,
        within(limit_s, engine),
    ):
        if "RPC" not in engine.backends():
            yield Fact("the engine was built without RPC", "bad", _BUILD)
            return
        serving = []
        for address in addresses:
            try:
                found = [one for one in engine.devices([address]) if one.server]
            except EngineDied:
                raise
            except EngineError as error:
                yield Fact(error.message, "bad", error.hint)
                continue
            serving.append(address)
            for one in found:
                yield Fact(
                    f"{one.name} at {address}: {size(one.memory_total)}, "
                    f"{size(one.memory_free)} of it free"
                )
        if len(serving) == len(addresses):
            yield _placement(engine, Path(folder), serving)


def _placement(engine: Engine, folder: Path, addresses: Sequence[str]) -> Fact:
    path = folder / "tiny.gguf"
    TinyModel("Q8_0").write(path)
    options = EngineOptions(n_ctx=256, rpc=tuple(addresses), parallel=1)
    model = engine.load(path, options=options).result()
    return Fact(f"a tiny model is spread over them ({model.info.placement_in_words})")
