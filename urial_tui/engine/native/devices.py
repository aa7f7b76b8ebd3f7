"""Devices that the native library computes on, those of RPC servers among them.

Part of the native wrapping (see `llama`). The library ends the process where it asks a server that
is gone, also for the memory of its devices. So a server is added only once it was greeted
(`wire.server_probe`), and of those that were added only the ones that are named are asked anything.
What was added stays for the life of the process; `chosen` says which devices a model is given.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from urial_tui.engine.native.llama import LoadError
from urial_tui.engine.wire.values import Device

_KINDS = {0: "cpu", 1: "gpu", 2: "integrated-gpu", 3: "accelerator"}
_RPC = "RPC"

_added: set[str] = set()


def devices(servers: Sequence[str] = ()) -> tuple[Device, ...]:
    """The devices of these servers, which were added, and then those of this machine."""
    try:
        found = list(_found())
    except (AttributeError, OSError, ImportError):
        return ()
    places = {server: number for number, server in enumerate(servers)}
    remote = [one for one in found if one.server in places]
    remote.sort(key=lambda one: places[one.server])
    return tuple(one.told() for one in (*remote, *(one for one in found if not one.server)))


def backends() -> tuple[str, ...]:
    """The names of the back ends of this build."""
    try:
        ggml = library()
        registered = (ggml.ggml_backend_reg_get(i) for i in range(ggml.ggml_backend_reg_count()))
        # A server that was added is one more of the same name.
        return tuple(dict.fromkeys(_text(ggml.ggml_backend_reg_name(one)) for one in registered))
    except (AttributeError, OSError, ImportError):
        return ()


def hold_layers(servers: Sequence[str] = ()) -> bool:
    """Whether there are devices beside the processor that layers can be put on."""
    return any("gpu" in device.kind for device in devices(servers))


def add_servers(servers: Sequence[str]) -> None:
    """Have the library know RPC servers that have just answered.

    Raises:
        LoadError: The build has no RPC, or a server has no devices.
    """
    if not servers:
        return
    if _RPC not in backends():
        raise LoadError("it was built without RPC")
    ggml = library()
    address = ggml.ggml_backend_reg_get_proc_address(
        ggml.ggml_backend_reg_by_name(_RPC.encode()), b"ggml_backend_rpc_add_server"
    )
    if not address:
        raise LoadError("its RPC back end takes no servers")
    add = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)(address)
    for server in servers:
        if server in _added:
            continue
        registry = add(server.encode())
        if not registry:
            raise LoadError(f"the RPC server {server} has no devices")
        ggml.ggml_backend_register(registry)
        _added.add(server)


def chosen(servers: Sequence[str]) -> Any:
    """The devices that hold a model's layers, for the library; None leaves it the choice.

    It would choose all servers that were ever added, so that once there are some it is told.
    """
    if not _added:
        return None
    found = list(_found())
    remote = [one for server in servers for one in found if one.server == server]
    cards = [one for one in found if one.kind == "gpu" and not one.server]
    shared = [one for one in found if one.kind == "integrated-gpu" and not one.server]
    handles = [one.handle for one in (*remote, *(cards or shared))]
    return (ctypes.c_void_p * (len(handles) + 1))(*handles, None)


class _Native:
    """A device of the library's. Only `told` asks it for its memory."""

    def __init__(self, ggml: Any, handle: int) -> None:
        self._ggml = ggml
        self.handle = handle
        self.kind = _KINDS.get(ggml.ggml_backend_dev_type(handle), "other")
        self.description = _text(ggml.ggml_backend_dev_description(handle))
        registry = ggml.ggml_backend_dev_backend_reg(handle)
        remote = _text(ggml.ggml_backend_reg_name(registry)) == _RPC
        # A device of a server is described by the server's address.
        self.server = self.description if remote else ""

    def told(self) -> Device:
        """It, for who has to know."""
        free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
        self._ggml.ggml_backend_dev_memory(self.handle, ctypes.byref(free), ctypes.byref(total))
        return Device(
            name=_text(self._ggml.ggml_backend_dev_name(self.handle)),
            description=self.description,
            kind=self.kind,
            memory_total=int(total.value),
            memory_free=int(free.value),
            server=self.server,
        )


def _found() -> Iterator[_Native]:
    ggml = library()
    for index in range(ggml.ggml_backend_dev_count()):
        yield _Native(ggml, ggml.ggml_backend_dev_get(index))


@functools.cache
def library() -> Any:
    """ggml, with the types of what is called of it."""
    from ctypes import c_char_p, c_int, c_size_t, c_void_p

    ggml = importlib.import_module("llama_cpp._ggml").libggml
    sizes = ctypes.POINTER(c_size_t)
    types: dict[str, tuple[Any, Collection[Any]]] = {
        "ggml_backend_dev_count": (c_size_t, []),
        "ggml_backend_dev_get": (c_void_p, [c_size_t]),
        "ggml_backend_dev_name": (c_char_p, [c_void_p]),
        "ggml_backend_dev_description": (c_char_p, [c_void_p]),
        "ggml_backend_dev_type": (c_int, [c_void_p]),
        "ggml_backend_dev_memory": (None, [c_void_p, sizes, sizes]),
        "ggml_backend_dev_backend_reg": (c_void_p, [c_void_p]),
        "ggml_backend_reg_count": (c_size_t, []),
        "ggml_backend_reg_get": (c_void_p, [c_size_t]),
        "ggml_backend_reg_name": (c_char_p, [c_void_p]),
        "ggml_backend_reg_by_name": (c_void_p, [c_char_p]),
        "ggml_backend_reg_get_proc_address": (c_void_p, [c_void_p, c_char_p]),
        "ggml_backend_register": (None, [c_void_p]),
        "ggml_backend_get_device": (c_void_p, [c_void_p]),
        "ggml_backend_sched_get_n_backends": (c_int, [c_void_p]),
        "ggml_backend_sched_get_backend": (c_void_p, [c_void_p, c_int]),
    }
    for name, (result, arguments) in types.items():
        function = getattr(ggml, name)
        function.restype, function.argtypes = result, arguments
    return ggml


def _text(given: bytes | None) -> str:
    return (given or b"").decode("utf-8", "replace")
