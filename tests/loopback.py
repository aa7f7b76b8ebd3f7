"""A server on loopback that runs in threads of the test: how it starts, and how it ends."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from types import TracebackType
from typing import Self


class _Server(ThreadingTCPServer):
    # Of those, an HTTPServer would look its own name up, which takes long on some machines.
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64
    block_on_close = False


class Handler(BaseHTTPRequestHandler):
    """A connection over which requests come; nothing is printed of them."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass


class LoopbackServer:
    """Listens on a port that is free; answers once it is entered.

    Args:
        handler: What serves a connection.
    """

    def __init__(self, handler: type[BaseRequestHandler]) -> None:
        self.ended = threading.Event()
        """Set when it is left; for whoever says nothing until then."""
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._scheme = "http"

    @property
    def host(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self._scheme}://{self.host}"

    def encrypt(self, certificate: Path) -> None:
        """Speak TLS from now on, with a certificate that lies with its key in one file."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
