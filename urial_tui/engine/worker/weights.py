"""The weights that a command loads: a model's file or files, and the adapter on them.

Models of the same files share them. The pages that are hashed are those that are loaded. What was
loaded is freed in the order that the native library needs; a failed load leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from urial_tui.engine.native import devices, library_warnings, llama
from urial_tui.engine.native.abort_flag import AbortFlag
from urial_tui.engine.native.llama import Adapter, LoadError, NativeModel
from urial_tui.engine.native.threads import physical_cores
from urial_tui.engine.wire.commands import LoadModel
from urial_tui.engine.wire.server_address import UNENCRYPTED, listed
from urial_tui.engine.wire.server_probe import server_devices
from urial_tui.engine.wire.values import Device, DeviceLayers, ModelInfo
from urial_tui.engine.worker.content import Contents, FileDigest, file_states
from urial_tui.errors import EngineError
from urial_tui.sanitize import sanitize_line

LONGEST_REASON = 200
"""Characters of the library's reason that are quoted."""


class _Place(NamedTuple):
    """What two models have to have alike to share their weights: the files, as they were found."""

    path: str
    gpu_layers: int
    servers: tuple[str, ...]
    states: tuple[tuple[int, ...], ...]


class Weights:
    """What one LoadModel command loads, before a context is made over it.

    Whoever made it has to end it with `settle` once its context is there, or `abandon`.

    Raises:
        EngineError: The model or its adapter can't be loaded.
        llama.LoadCancelled: The flag was set while it loaded.
    """

    def __init__(
        self,
        command: LoadModel,
        flag: AbortFlag,
        progress: Callable[[float], None],
        notice: Callable[[str], None],
        others: Sequence[Weights],
        contents: Contents,
    ) -> None:
        self._command = command
        self._contents = contents
        path = Path(command.path)
        self.name = sanitize_line(path.name)
        """The file's, to be shown."""
        if not path.is_file():
            raise EngineError(
                f"The model file {self.name} is not there.",
                f"Looked at {sanitize_line(str(path))}.",
            )
        self.servers = command.options.servers
        """RPC servers that hold layers of it."""
        reach(self.servers, {server for other in others for server in other.servers})
        _warn_once(self.servers, notice)
        self.gpu_layers = command.options.gpu_layers if devices.hold_layers(self.servers) else 0
        self.content = self.adapter_content = ""

        def report(fraction: float) -> bool:
            progress(fraction)
            return not flag.is_set

        self.adapter: Adapter | None = None
        self._place = _Place(command.path, self.gpu_layers, self.servers, file_states(path))
        self._sharing = next((other for other in others if other._place == self._place), None)
        # The pages that are hashed are those that are loaded.
        self._readings = [
            FileDigest(contents, Path(file)) for file in (path, command.adapter) if file
        ]
        try:
            if self._sharing:
                self.model: NativeModel = self._sharing.model.share()
            else:
                self.model = NativeModel(
                    command.path,
                    gpu_layers=self.gpu_layers,
                    progress=report,
                    devices=devices.chosen(self.servers),
                )
                for words in library_warnings.told(llama.warnings()):
                    notice(words)
            try:
                self.adapter = self._load_adapter()
            except BaseException:
                self.close()
                raise
        except BaseException as error:
            self._stop_readings()
            if not isinstance(error, LoadError):
                raise
            raise EngineError(
                f"The model {self.name} can't be loaded: {reason(error)}.",
                "The file may be damaged or made for a newer llama.cpp: "
                "get it again, or choose another one.",
            ) from error

    def settle(self) -> None:
        """Have `content` and `adapter_content` told, now that everything was read."""
        found = [*(reading.result() for reading in self._readings), ""]
        self.content, self.adapter_content, *_ = found
        if self._sharing:
            # The file of this name may be another one by now.
            self.content = self._sharing.content
        self._sharing = None

    def abandon(self) -> None:
        """Free it where no context can be made."""
        self._stop_readings()
        self.close()

    def close(self) -> None:
        """Free adapter and model; the contexts over them must be gone."""
        if self.adapter:
            self.adapter.close()
        self.model.close()

    def describe(self, n_ctx: int) -> ModelInfo:
        """What was loaded, once it is settled.

        Args:
            n_ctx: Tokens of the context that was made over it.
        """
        model, options = self.model, self._command.options
        found = devices.devices(self.servers)
        placement = _placed(model.placement, found)
        library = f"{llama.system_info()} {self._contents.together(llama.library_files())}"
        if self.servers:
            # Other machines, whose builds nobody knows: nothing of theirs is taken for another's.
            library += " " + ", ".join(f"{one.layers} on {one.server}" for one in placement)
        return ModelInfo(
            path=self._command.path,
            name=sanitize_line(model.metadata("general.name")) or self.name,
            architecture=sanitize_line(model.metadata("general.architecture")),
            description=sanitize_line(model.description),
            parameters=model.parameters,
            size=model.size,
            n_vocab=model.vocab.size,
            n_ctx=n_ctx,
            n_ctx_train=model.n_ctx_train,
            n_layer=model.n_layer,
            n_swa=model.n_swa,
            memory=model.memory_kind,
            threads=options.threads or physical_cores(),
            gpu_layers=model.n_layer + 1 if self.gpu_layers < 0 else self.gpu_layers,
            kv_type=options.kv_type,
            chat_template=model.chat_template,
            bos=model.vocab.bos_text,
            eos=model.vocab.eos_text,
            adds_bos=bool(model.vocab.bos),
            adapter=self._command.adapter,
            content=self.content,
            adapter_content=self.adapter_content,
            library=library,
            devices=found,
            placement=placement,
        )

    def _stop_readings(self) -> None:
        for reading in self._readings:
            reading.stop()

    def _load_adapter(self) -> Adapter | None:
        path = self._command.adapter
        if path is None:
            return None
        name = sanitize_line(Path(path).name)
        if not Path(path).is_file():
            raise EngineError(f"The adapter file {name} is not there.", "Check its path.")
        try:
            return Adapter(self.model, path, self._command.adapter_scale)
        except LoadError as error:
            raise EngineError(
                f"The adapter {name} does not fit the model {self.name}: {reason(error)}.",
                "Use an adapter that was made for this model.",
            ) from error


def reach(servers: Sequence[str], held: Collection[str]) -> tuple[Device, ...]:
    """See that RPC servers answer, and have the library know them: their devices.

    Args:
        servers: Their addresses.
        held: Those that hold a model of this process: they serve it, and would let another wait.

    Raises:
        EngineError: One does not answer, or the build has no RPC.
    """
    if not servers:
        return ()
    if "RPC" not in devices.backends():
        raise EngineError(
            "This build of llama.cpp can't use RPC servers, which engine.rpc names.",
            "Build one that can: CMAKE_ARGS=-DGGML_RPC=ON make setup; or take engine.rpc out of "
            "the settings.",
        )
    server_devices([server for server in servers if server not in held])
    try:
        devices.add_servers(servers)
    except LoadError as error:
        raise EngineError(
            f"The RPC servers {listed(servers)} can't be used: {reason(error)}.",
            "Take them out of engine.rpc.",
        ) from error
    return tuple(device for device in devices.devices(servers) if device.server)


_warned_of: set[str] = set()


def _warn_once(servers: Sequence[str], notice: Callable[[str], None]) -> None:
    """Say what it means to use servers, once in the life of a worker for each of them."""
    if new := [server for server in servers if server not in _warned_of]:
        _warned_of.update(new)
        notice(f"Layers go to {listed(new)}. {UNENCRYPTED}")


def _placed(layers: Mapping[str, int], found: Sequence[Device]) -> tuple[DeviceLayers, ...]:
    """How many layers each device holds, in the devices' order; () where they are processors."""
    placed = [
        DeviceLayers(device=one.name, layers=layers[one.name], server=one.server)
        for one in found
        if layers.get(one.name)
    ]
    kinds = {one.name: one.kind for one in found}
    return tuple(placed) if any("gpu" in kinds[one.device] for one in placed) else ()


def reason(error: LoadError) -> str:
    """The library's reason, without its function name in front and the full stop behind."""
    text = sanitize_line(str(error)).strip().rstrip(".")
    head, colon, rest = text.partition(": ")
    if colon and " " not in head:
        text = rest
    # A damaged file's own words may be megabytes long.
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"
