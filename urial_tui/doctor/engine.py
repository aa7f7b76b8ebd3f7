"""The engine: whether it starts, what it was built for, and what it computes on.

It is asked through its client; a worker that does not answer is ended.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from urial_tui.doctor.finding import Fact
from urial_tui.doctor.processor import REBUILD, processor_flags, used_features
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import Device
from urial_tui.errors import EngineError
from urial_tui.files import read_text
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import size

MakeEngine = Callable[[Path | None], Engine]
"""An engine that keeps evaluated preambles in a directory; None: where it always does."""

_LIMIT_S = 60.0
"""A worker starts within a second or two; a busy machine may need more."""
_AGAIN_S = 0.02
_LARGEST = 65_536


def make_engine(cache_dir: Path | None) -> Engine:
    """The factory of the real engine."""
    return Engine(cache_dir=cache_dir)


@contextlib.contextmanager
def within(seconds: float, engine: Engine) -> Iterator[None]:
    """A timeout: end the engine's worker where the block takes longer.

    Raises:
        EngineError: It did.
    """
    late, done = threading.Event(), threading.Event()

    def end() -> None:
        if done.wait(seconds):
            return
        late.set()
        # One that has not even greeted can't be asked to go, and one that is yet to be started
        # can't be ended.
        while (pid := engine.pid) is None:
            if done.wait(_AGAIN_S):
                return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    threading.Thread(target=end, daemon=True).start()
    try:
        yield
    except EngineError as error:
        if not late.is_set():
            raise
        raise EngineError(
            f"The engine did not answer within {seconds:.0f} s, and was ended.", REBUILD
        ) from error
    finally:
        done.set()


def engine(
    make: MakeEngine = make_engine,
    root: Path = Path("/"),
    prefix: Path | None = None,
    limit_s: float = _LIMIT_S,
) -> Iterator[Fact]:
    """The build and its devices.

    Args:
        make: Makes an engine.
        root: Where /proc is, for tests.
        prefix: The environment that the engine was installed in, unless it is this one.
        limit_s: Seconds that the worker gets to start.

    Raises:
        EngineError: It can't be started, died, or does not answer.
    """
    with make(None) as worker, within(limit_s, worker):
        library, devices, backends = worker.library(), worker.devices(), worker.backends()
    parts = build_parts(library)
    yield Fact(f"llama.cpp as of llama-cpp-python {_version()} starts")
    for name, features in parts.items():
        yield Fact(f"built for {name}: {', '.join(features) or 'no feature'}")
    if "RPC" in backends:
        yield Fact("it can put layers on RPC servers (engine.rpc)")
    yield from used_features(parts, processor_flags(root))
    yield from _setup(prefix or Path(sys.prefix))
    yield from _devices(devices)


def build_parts(library: str) -> Mapping[str, tuple[str, ...]]:
    """What the native library says of itself: the features in use of each of its back ends.

    Its words are "CPU : AVX = 1 | AVX2 = 1 | REPACK = 1 | ", one back end after the other.
    """
    parts: dict[str, list[str]] = {}
    features: list[str] = []
    for words in library.split("|"):
        name, colon, rest = words.rpartition(":")
        if colon:
            features = parts.setdefault(sanitize_line(name).strip(), [])
        feature, _, value = (rest if colon else words).partition("=")
        feature, value = sanitize_line(feature).strip(), sanitize_line(value).strip()
        if feature and value not in ("", "0"):
            features.append(feature if value == "1" else f"{feature} {value}")
    return {name: tuple(found) for name, found in parts.items()}


def _devices(devices: tuple[Device, ...]) -> Iterator[Fact]:
    for device in devices:
        memory = f", {size(device.memory_total)}" if device.memory_total > 0 else ""
        yield Fact(f"{device.kind} {device.name}: {device.description}{memory}")
    if not devices:
        yield Fact("the library names no device", "warning", REBUILD)
    elif not any("gpu" in device.kind for device in devices):
        if Path("/proc/driver/nvidia/version").exists():
            yield Fact(
                "there is an NVIDIA driver, and the build does not use it",
                "warning",
                "Build the engine for CUDA, as the README says.",
            )
        else:
            yield Fact("no GPU: everything is computed by the CPU", "note")


def _setup(prefix: Path) -> Iterator[Fact]:
    """What `make setup` left of its build, where it made this environment."""
    try:
        text = read_text(prefix / "urial-setup.json", _LARGEST)
        state = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return
    if not isinstance(state, dict):
        return
    arguments = state.get("cmake_args")
    told = f" with {arguments}" if isinstance(arguments, str) and arguments else ""
    if state.get("tested"):
        yield Fact(f"compiled{told} by `make setup`, and it passed its self-test there")


def _version() -> str:
    try:
        return importlib.metadata.version("llama-cpp-python")
    except importlib.metadata.PackageNotFoundError:
        return "an unknown version"
