"""What an RPC server says when it is greeted: whether it serves, and the memory of its devices.

llama.cpp's client ends the process where a server can't be reached, speaks another version or hangs
up, and waits for ever where one is busy: a server serves one client at a time. So each is asked
here first, within some seconds whatever it sends, and a failure is a sentence. The connection is
closed again. Part of the protocol is spoken for that (ggml-rpc.cpp): a request is a byte with its
number, 8 bytes of length and its data, a reply 8 bytes of length and its data, little-endian.

A server replies in two writes and does not ignore SIGPIPE, so that one who has greeted it and hung
up before it got round to reply ends it. So nobody hangs up: whoever is given up stays in the line
until the server comes to it, and if this process ends before that, its end of the connection is
reset, which a write tells without a signal (on Linux).
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Sequence

from urial_tui.engine.wire.server_address import MOST_DEVICES, host_and_port, listed
from urial_tui.engine.wire.values import Device
from urial_tui.errors import EngineError

LIMIT_S = 4.0
"""Seconds that a server gets to answer everything; all are asked at the same time."""

_IN_LINE_S = 900.0
"""Seconds for which one who was given up stays in a server's line, whatever the server sends."""

_RESET, _CLOSE = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)
"""What closing does (SO_LINGER)."""

PROTOCOL = (7, 0)
"""Major and minor version that the pinned library speaks (RPC_PROTO_MAJOR_VERSION …)."""

_HELLO, _DEVICE_COUNT, _DEVICE_MEMORY = 14, 15, 11
_CAPABILITIES = 24
_GREETING = struct.Struct(f"<4B{_CAPABILITIES}x")
_COUNT = struct.Struct("<I")
_MEMORY = struct.Struct("<QQ")
_LENGTH = struct.Struct("<Q")

_START = "Start it (`ggml-rpc-server -H ADDRESS -p PORT`), or take it out of engine.rpc."


class _ForeignError(Exception):
    """The other end says something else than an RPC server would."""


class _Probe:
    """Asks one server, in a thread: a name that is looked up can't be given a time."""

    def __init__(self, address: str, limit_s: float) -> None:
        self._address = address
        self._limit_s = limit_s
        self._socket: socket.socket | None = None
        self._devices: tuple[Device, ...] = ()
        self._error: EngineError | None = None
        self._thread = threading.Thread(target=self._run, name="rpc-probe", daemon=True)
        self._thread.start()

    def result(self) -> tuple[Device, ...]:
        """Its devices, once it has answered or its time is over."""
        self._thread.join(self._limit_s)
        if self._thread.is_alive():
            raise _silent(self._address, self._limit_s, connected=self._socket is not None)
        if self._error is not None:
            raise self._error
        return self._devices

    def answers(self, limit_s: float) -> bool:
        """Whether it has answered everything, or does within so many seconds."""
        self._thread.join(limit_s)
        return not self._thread.is_alive() and self._error is None

    def _run(self) -> None:
        name = listed([self._address])
        try:
            self._devices = self._asked()
        except socket.gaierror as error:
            self._error = EngineError(
                f"The RPC server {name} can't be found: {error.strerror or error}.",
                "Check its name, or take it out of engine.rpc.",
            )
        except TimeoutError:
            connected = self._socket is not None
            self._error = _silent(self._address, self._limit_s, connected=connected)
        except (_ForeignError, OSError) as error:
            if isinstance(error, OSError) and self._socket is None:
                self._error = EngineError(
                    f"The RPC server {name} can't be reached: {_reason(error)}.", _START
                )
            else:
                self._error = EngineError(
                    f"What answers at {name} is no RPC server of llama.cpp.",
                    "Check the address in engine.rpc.",
                )
        except EngineError as error:
            self._error = error
        finally:
            self._hang_up()

    def _asked(self) -> tuple[Device, ...]:
        host, port = host_and_port(self._address)
        # llama.cpp knows no other family.
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
        line = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        line.settimeout(self._limit_s)
        try:
            line.connect(found[0][4])
        except BaseException:
            line.close()
            raise
        self._socket = line
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        until = time.monotonic() + _IN_LINE_S

        def reply(command: int, data: bytes, size: int) -> bytes:
            return _reply(line, until, command, data, size)

        major, minor, _patch, _ = _GREETING.unpack(
            reply(_HELLO, bytes(_CAPABILITIES), _GREETING.size)
        )
        if major != PROTOCOL[0] or minor > PROTOCOL[1]:
            raise EngineError(
                f"The RPC server {listed([self._address])} speaks version {major}.{minor} of its "
                f"protocol, and this engine {PROTOCOL[0]}.{PROTOCOL[1]}.",
                "Run a server that was built from the same llama.cpp.",
            )
        (count,) = _COUNT.unpack(reply(_DEVICE_COUNT, b"", _COUNT.size))
        if not 0 < count <= MOST_DEVICES:
            raise EngineError(
                f"The RPC server {listed([self._address])} says that it has {count} devices.",
                "Check what it was started with, or take it out of engine.rpc.",
            )
        devices = []
        for number in range(count):
            free, total = _MEMORY.unpack(reply(_DEVICE_MEMORY, _COUNT.pack(number), _MEMORY.size))
            devices.append(
                Device(
                    name=f"RPC{number}",
                    description=self._address,
                    kind="gpu",
                    # No machine has more, and it is reckoned with.
                    memory_total=min(total, 1 << 60),
                    memory_free=min(free, 1 << 60),
                    server=self._address,
                )
            )
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE)
        return tuple(devices)

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()


def server_devices(addresses: Sequence[str], limit_s: float = LIMIT_S) -> tuple[Device, ...]:
    """The devices of RPC servers, in the servers' order; all of them are asked at once.

    Raises:
        EngineError: One can't be reached, is busy, or is no server that this engine can use.
    """
    probes = [_Probe(address, limit_s) for address in addresses]
    return tuple(device for probe in probes for device in probe.result())


def silent(addresses: Sequence[str], limit_s: float = 2.0) -> tuple[str, ...]:
    """Those of the servers that do not answer a greeting within `limit_s` seconds."""
    probes = [_Probe(address, limit_s) for address in addresses]
    until = time.monotonic() + limit_s
    return tuple(
        address
        for address, probe in zip(addresses, probes, strict=True)
        if not probe.answers(max(0.0, until - time.monotonic()))
    )


def unreachable(addresses: Sequence[str], limit_s: float = 1.0) -> tuple[str, ...]:
    """Those of the servers that do not take a connection now."""
    failed: list[str] = []

    def try_one(address: str) -> None:
        host, port = host_and_port(address)
        try:
            socket.create_connection((host, port), limit_s).close()
        except OSError:
            failed.append(address)

    threads = [
        threading.Thread(target=try_one, args=(address,), daemon=True) for address in addresses
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * limit_s)
    gone = tuple(failed)
    return tuple(address for address in addresses if address in gone)


def _reply(line: socket.socket, until: float, command: int, data: bytes, size: int) -> bytes:
    line.sendall(bytes([command]) + _LENGTH.pack(len(data)) + data)
    (length,) = _LENGTH.unpack(_received(line, until, _LENGTH.size))
    if length != size:
        raise _ForeignError
    return _received(line, until, size)


def _received(line: socket.socket, until: float, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        if (left := until - time.monotonic()) <= 0:
            raise TimeoutError
        line.settimeout(left)
        part = line.recv(count - len(parts))
        if not part:
            raise _ForeignError
        parts += part
    return parts


def _silent(address: str, limit_s: float, *, connected: bool) -> EngineError:
    name = listed([address])
    if not connected:
        return EngineError(
            f"The RPC server {name} can't be reached: it did not answer within {limit_s:.0f} s.",
            _START,
        )
    return EngineError(
        f"The RPC server {name} did not answer within {limit_s:.0f} s: it may be serving another "
        "program or window, for it serves one at a time.",
        "Close what uses it, or take it out of engine.rpc.",
    )


def _reason(error: OSError) -> str:
    words = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
    return words[:1].lower() + words[1:]
