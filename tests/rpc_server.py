"""An RPC server of llama.cpp on this machine: python -m tests.rpc_server PORT.

The library has all of one; llama.cpp's own `ggml-rpc-server` is not part of the wheel.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from urial_tui.engine.native import llama
from urial_tui.engine.native.devices import backends, library


def is_built_in() -> bool:
    """Whether the installed build of llama.cpp has RPC."""
    return "RPC" in backends()


class Server:
    """A server in a process of its own."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.rpc_server", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )

    def wait(self) -> None:
        """Return once it listens: its first words come just before."""
        assert self._process.stdout is not None
        self._process.stdout.readline()
        while self._process.poll() is None and not self._listens():
            time.sleep(0.01)

    def pause(self) -> None:
        """Have it do nothing more, not even hang up."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _listens(self) -> bool:
        """Looked up, not tried: a connection would be served as a client's."""
        wanted = f"0100007F:{self.port:04X}"
        with open("/proc/net/tcp", encoding="ascii") as table:  # noqa: PTH123
            return any(line.split()[1] == wanted for line in table)


@contextlib.contextmanager
def serving(count: int) -> Iterator[tuple[Server, ...]]:
    """So many servers, which listen."""
    servers = tuple(Server() for _ in range(count))
    try:
        for server in servers:
            server.wait()
        yield servers
    finally:
        for server in servers:
            server.kill()


def main() -> None:
    """Serve clients, one after the other, with one thread of the processor."""
    llama.initialise()
    ggml = library()
    processor = next(
        ggml.ggml_backend_dev_get(index)
        for index in range(ggml.ggml_backend_dev_count())
        if ggml.ggml_backend_dev_type(ggml.ggml_backend_dev_get(index)) == 0
    )
    address = ggml.ggml_backend_reg_get_proc_address(
        ggml.ggml_backend_reg_by_name(b"RPC"), b"ggml_backend_rpc_start_server"
    )
    start = ctypes.CFUNCTYPE(
        None,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_size_t,
        ctypes.POINTER(ctypes.c_void_p),
    )(address)
    print("ready", flush=True)
    start(f"127.0.0.1:{sys.argv[1]}".encode(), None, 1, 1, (ctypes.c_void_p * 1)(processor))


if __name__ == "__main__":
    main()
