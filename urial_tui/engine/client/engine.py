"""The client's end of the engine: starts the worker, loads models, restarts.

One `Engine` owns at most one worker process. What it is asked are calls (`call`), of which many may
be open, from any thread. A worker that is gone, or does not stop when it is asked to and is ended
for that, is raised as `EngineDied` by every open call, and is started afresh by the next `load`.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from urial_tui import paths
from urial_tui.engine.client.call import Call
from urial_tui.engine.client.connection import Connection
from urial_tui.engine.client.loads import Loads
from urial_tui.engine.client.model import Model, final
from urial_tui.engine.client.process import Launch, WorkerProcess
from urial_tui.engine.wire.commands import FindDevices, LoadModel, ScoreBoth
from urial_tui.engine.wire.events import DevicesFound, Event, Loaded, Scored
from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.patience import stop_within
from urial_tui.engine.wire.values import Device, EngineOptions
from urial_tui.engine.wire.worker_log import WorkerLog
from urial_tui.errors import EngineDied, EngineError


class Engine:
    """Language models in a process of their own.

    Args:
        log_file: Where the worker's output goes; by default a new file in `paths.log_dir()`.
        cache_dir: Where evaluated preambles are kept; by default `paths.preamble_cache_dir()`.
        program: The worker's command line, for tests.
        launch: Starts a worker; by default one that is recorded where `paths.recordings_dir()`
            says so.
    """

    def __init__(
        self,
        *,
        log_file: Path | None = None,
        cache_dir: Path | None = None,
        program: Sequence[str] | None = None,
        launch: Launch | None = None,
    ) -> None:
        self.log_file = log_file or paths.log_dir() / f"engine-{os.getpid()}-{id(self):x}.log"
        self._command = [
            *(program or (sys.executable, "-P", "-m", "urial_tui.engine.worker.main")),
            os.fspath(cache_dir or paths.preamble_cache_dir()),
        ]
        self._launch = launch or _default_launch()
        self._ids = itertools.count(1)
        self._handles = itertools.count(1)
        self._loads = Loads()
        self._connection: Connection | None = None
        self._change = threading.Lock()
        """Held while a worker is started or let go: one whose start is under way ends too."""
        self._models: list[Model] = []
        self._listener: Callable[[], None] = lambda: None
        self._death: EngineDied | None = None

    # -- calls ----------------------------------------------------------------------

    def load(
        self,
        path: Path,
        *,
        adapter: Path | None = None,
        options: EngineOptions | None = None,
        purpose: Purpose = "chat",
    ) -> Call[Model]:
        """Load a model, starting the worker if need be: LoadProgress*, Loaded.

        Args:
            path: A GGUF file.
            adapter: A LoRA for it.
            options: How it is loaded.
            purpose: What for; its contexts are made by that.

        Raises:
            EngineError: The worker can't be started; by the call, that the file is no model, or
                does not fit.
        """
        connection = self._started()
        handle = next(self._handles)
        command = LoadModel(
            id=connection.number(),
            model=handle,
            path=os.fspath(path.absolute()),
            adapter=os.fspath(adapter.absolute()) if adapter else None,
            options=options or EngineOptions(),
            purpose=purpose,
        )
        loaded = final(Loaded)

        def conclude(event: Event) -> Model:
            model = Model(connection, handle, loaded(event).info)
            self._models = [*self.models, model]
            connection.patience.limit = max(stop_within(m.info) for m in self._models)
            return model

        # A model that came though nobody waits for it any more would stay in memory.
        return connection.call(command, conclude, discard=Model.unload)

    def score_both(self, request: ScoreBoth) -> Call[Scored]:
        """Force an answer on two models: PrefillProgress*, Scored. The id is set here.

        Raises:
            EngineError: No worker runs.
        """
        connection = self._connection
        if connection is None:
            raise EngineError("No model is loaded.", "Load a model first.")
        named = msgspec.structs.replace(request, id=connection.number())
        return connection.call(named, final(Scored))

    def cancel(self) -> None:
        """Ask all open calls to end; safe from any thread or signal handler.

        A worker that does not obey within `patience.stop_within` is ended; `insist`, which this
        is too, ends it sooner.
        """
        self.insist()
        if self._connection is not None:
            for call in self._connection.calls:
                call.cancel()

    def insist(self) -> None:
        """End a worker that was asked to stop and has told nothing for `TOLD_STOPPING` seconds.

        What was not asked to stop goes on, and so does what obeys; safe as `cancel` is.
        """
        if self._connection is not None and self._connection.patience.unheeded:
            self._connection.give_up()

    @property
    def busy(self) -> bool:
        """Whether a call is open that `cancel` would end."""
        return self._connection is not None and bool(self._connection.calls)

    @property
    def models(self) -> tuple[Model, ...]:
        """What is loaded, in the order in which it was."""
        return tuple(model for model in self._models if model.loaded)

    # -- the process ----------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether the worker runs."""
        return self._connection is not None and self._connection.alive

    @property
    def pid(self) -> int | None:
        """The worker's process id, None when there is none."""
        return self._connection.pid if self._connection and not self._connection.over else None

    def start(self) -> None:
        """Start the worker without waiting for it; `load` does so where that was not done.

        Raises:
            EngineError: The process can't be started.
        """
        self._started()

    def devices(self, servers: Sequence[str] = ()) -> tuple[Device, ...]:
        """What the worker computes on; it is started where it does not run.

        Args:
            servers: RPC servers whose devices are told first.

        Raises:
            EngineError: It can't be started, or a server does not answer.
            EngineDied: It ended.
        """
        connection = self._started()
        if not servers:
            return connection.devices()
        command = FindDevices(id=connection.number(), servers=tuple(servers))
        return connection.call(command, final(DevicesFound)).result().devices

    def backends(self) -> tuple[str, ...]:
        """The back ends that the worker's library was built for; raises as `library` does."""
        return self._started().backends()

    def library(self) -> str:
        """What the native library was built for, in its own words: instruction sets, back ends.

        Raises:
            EngineError: The worker can't be started.
            EngineDied: It ended.
        """
        return self._started().library()

    def watch(self, listener: Callable[[], None]) -> None:
        """Have `listener` called at the end of each worker that is started from now on.

        It runs in a thread of its own, also where the worker was asked to go; what it is to
        do is to have `take_death` called.
        """
        self._listener = listener

    def take_death(self) -> EngineDied | None:
        """Why the worker ended while nothing was asked of it: told once, then there is none."""
        death, self._death = self._death, None
        return death

    def close(self) -> None:
        """End the worker; it is killed if it does not go by itself."""
        with self._change:
            connection, self._connection = self._connection, None
            self._models = []
        if connection is not None:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _started(self) -> Connection:
        """The line to a worker that runs, as far as is known."""
        with self._change:
            connection = self._connection
            if connection is not None:
                if connection.alive:
                    return connection
                connection.wait()
            self._death = None
            self._connection = Connection(
                self._launch(self._command, WorkerLog(self.log_file)),
                self._ids,
                self._loads,
                self._ended,
                str(self.log_file),
            )
            return self._connection

    def _ended(self, death: EngineDied | None) -> None:
        self._death = death
        self._listener()


def _default_launch() -> Launch:
    directory = paths.recordings_dir()
    if directory is None:
        return WorkerProcess
    from urial_tui.engine.client.recording import Recorder

    return Recorder(directory).launch
