"""A proxy on loopback, and a server behind it that speaks TLS for a host that does not exist."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import subprocess
import threading
from pathlib import Path
from socketserver import BaseRequestHandler
from typing import Final

from tests.loopback import LoopbackServer

HOST: Final = "models.example"
"""Whose certificate the server has; nobody can look it up."""


def make_certificate(directory: Path) -> Path:
    """A certificate of `HOST`, valid by itself, in one file with its key."""
    path = directory / "host.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"),
        *("-keyout", str(path), "-out", str(directory / "host.crt")),
    ]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (directory / "host.crt").read_bytes())
    return path


class _Handler(BaseRequestHandler):
    proxy: ProxyServer

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self._serve()

    def _serve(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            block = self.request.recv(4096)
            if not block:
                return
            head += block
        lines = head.decode("latin-1").split("\r\n")
        key = re.search(r"(?im)^proxy-authorization: basic (\S+)", "\n".join(lines))
        user = base64.b64decode(key[1]).decode() if key else ""
        self.proxy.asked.append((lines[0].rpartition(" ")[0], user))
        if self.proxy.status != 200:
            said = f"HTTP/1.1 {self.proxy.status} \x1b[31mNo\r\nContent-Length: 0\r\n\r\n"
            self.request.sendall(said.encode())
            return
        with socket.create_connection(("127.0.0.1", self.proxy.port_behind)) as behind:
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_pump, args=(behind, self.request), daemon=True)
            back.start()
            _pump(self.request, behind)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(65_536):
            target.sendall(block)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


class ProxyServer(LoopbackServer):
    """Passes what is for any host on to a port of this machine.

    Args:
        behind: Whose port that is.
        status: What is answered to who wants to be let through.
    """

    def __init__(self, behind: LoopbackServer, status: int = 200) -> None:
        self.port_behind = int(behind.host.rpartition(":")[2])
        self.status = status
        self.asked: list[tuple[str, str]] = []
        """What was asked for, and by whom: `CONNECT HOST:PORT`, and `NAME:PASSWORD` or ""."""
        super().__init__(type("_OfProxy", (_Handler,), {"proxy": self}))
