"""Proxies of the environment: used for what is asked of others, never for this machine, never told.

What stands behind the proxy is a host that does not exist, with a certificate made for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cancelled import ends_of
from tests.file_server import FileServer, Request
from tests.proxy_server import HOST, ProxyServer, make_certificate
from urial_tui.cli import main as cli
from urial_tui.errors import ModelError
from urial_tui.models.addresses import FileAddress
from urial_tui.models.attempts import Limits
from urial_tui.models.clients import Clients
from urial_tui.models.connection import Cancelled, Source
from urial_tui.models.download import Downloader
from urial_tui.models.partial import Partial
from urial_tui.models.remote import Remote

CONTENT = b"GGUF" + bytes(range(251)) * 400
SHA = hashlib.sha256(CONTENT).hexdigest()
PLACE = "/m.gguf"
QUICK = Limits(connect=2, silence=2, attempts=2, pause=0.01)
SECRET = "ada:secret"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def host(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """The host behind the proxy."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = FileServer({PLACE: CONTENT})
    server.encrypt(certificate)
    with server:
        yield server


def url_of(server: FileServer) -> str:
    return f"https://{HOST}:{server.url.rpartition(':')[2]}{PLACE}"


def fetch(url: str, target: Path) -> None:
    source = Source(url=url, name="m.gguf", sha256=SHA)
    with Downloader(limits=QUICK) as downloader, Partial(target) as partial:
        downloader.fetch(source, partial)
        partial.finish()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_download_goes_through_the_proxy_that_is_named(
    variable: str, host: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProxyServer(host) as proxy:
        monkeypatch.setenv(variable, f"http://{SECRET}@{proxy.host}")
        fetch(url_of(host), tmp_path / "m.gguf")
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    assert proxy.asked == [(f"CONNECT {HOST}:{proxy.port_behind}", SECRET)]
    # Name and password are the proxy's; the host never sees them.
    assert [one[2] for one in host.requests] == [None]


def test_a_header_is_read_through_the_proxy(
    host: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProxyServer(host) as proxy, monkeypatch.context() as patch:
        patch.setenv("HTTPS_PROXY", f"http://{SECRET}@{proxy.host}")
        with Remote(seconds=10) as remote:
            file = remote.open(FileAddress(url=url_of(host)))
            assert file.read(4) == b"GGUF"
    assert [user for _, user in proxy.asked] == [SECRET]


def test_a_host_of_no_proxy_is_asked_directly(
    host: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = socket.getaddrinfo

    def found(name: Any, *arguments: Any, **options: Any) -> Any:
        return looked_up("127.0.0.1" if name == HOST else name, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with ProxyServer(host) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
        monkeypatch.setenv("NO_PROXY", f"elsewhere.example,{HOST}")
        fetch(url_of(host), tmp_path / "m.gguf")
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    assert proxy.asked == []


def test_this_machine_is_never_asked_through_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileServer({PLACE: CONTENT}) as server, ProxyServer(server) as proxy:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(variable, f"http://{proxy.host}")
        fetch(server.url + PLACE, tmp_path / "m.gguf")
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    assert proxy.asked == []


def head_of(url: str, target: Path) -> None:
    with Remote(seconds=10) as remote:
        target.write_bytes(remote.open(FileAddress(url=url)).read(len(CONTENT)))


@pytest.mark.parametrize("read", [fetch, head_of])
@pytest.mark.parametrize("vouched", [True, False])
def test_where_plain_http_sends_on_to_has_to_be_vouched_for(
    read: Callable[[str, Path], None],
    vouched: bool,
    host: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not vouched:
        monkeypatch.delenv("SSL_CERT_FILE")
    target = tmp_path / "m.gguf"
    with (
        ProxyServer(host) as proxy,
        FileServer(act=lambda request: request.reply(302, Location=url_of(host))) as first,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
        if vouched:
            read(first.url + PLACE, target)
            assert target.read_bytes() == CONTENT
        else:
            with pytest.raises(ModelError, match=r"certificate of .* can't be verified"):
                read(first.url + PLACE, target)
            assert host.requests == []
    assert first.requests
    assert proxy.asked


def test_the_client_for_plain_http_trusts_nothing_encrypted(
    host: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProxyServer(host) as proxy, contextlib.ExitStack() as open_clients:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
        clients = Clients(httpx.Client, 2, 2)
        plain = open_clients.enter_context(clients.of("http://127.0.0.1/m.gguf"))
        # Authorities are read only once something encrypted is asked for.
        assert clients.made == [plain]
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            plain.get(url_of(host))
        assert host.requests == []
        encrypted = open_clients.enter_context(clients.of(url_of(host)))
        assert encrypted.get(url_of(host)).content == CONTENT
    assert clients.of(url_of(host)) is encrypted
    assert clients.of("http://localhost:1/") is plain
    assert clients.made == [plain, encrypted]


@pytest.mark.parametrize(
    ("status", "sentence", "hint"),
    [
        (407, "status 407", "another name or password"),
        (403, "status 403", "NO_PROXY"),
        (502, "status 502", "Try again later"),
    ],
)
def test_a_proxy_that_refuses_is_told_without_what_it_was_told(
    status: int,
    sentence: str,
    hint: str,
    host: FileServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ProxyServer(host, status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{SECRET}@{proxy.host}")
        monkeypatch.setattr("urial_tui.models.download.Limits", lambda: QUICK)
        assert cli.run(["models", "pull", url_of(host)]) == 1
        pulled = capsys.readouterr().err
        assert cli.run(["models", "inspect", url_of(host)]) == 1
        inspected = capsys.readouterr().err
    assert host.requests == []
    for said in (pulled, inspected):
        assert f"proxy of the environment does not let through to {HOST}" in said
        assert sentence in said
        assert hint in said
        assert "secret" not in said
        assert "\x1b" not in said
        assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (f"ftp://{SECRET}@127.0.0.1:1", "environment names is none"),
        (f"http://{SECRET}@127.0.0.1:none", "environment names is none"),
        (f"http://{SECRET}@127.0.0.1:1", "can't be reached: connection refused"),
    ],
)
def test_a_proxy_that_can_t_be_used_is_told_without_its_password(
    value: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    for command in ("pull", "inspect"):
        assert cli.run(["models", command, f"https://{HOST}/m.gguf"]) == 1
        said = capsys.readouterr().err
        assert sentence in said
        assert "proxy" in said
        assert "secret" not in said


def test_a_socks_proxy_without_its_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5://{SECRET}@127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "socksio", None)
    for make in (Downloader, Remote):
        with pytest.raises(ModelError, match="SOCKS proxy") as caught:
            make()
        assert "secret" not in str(caught.value)


def test_a_download_behind_a_proxy_is_cancelled_at_once(
    host: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def silent(request: Request) -> None:
        asked.set()
        host.ended.wait()

    host.act = silent

    def work(downloader: Downloader) -> None:
        with Partial(tmp_path / "m.gguf") as partial:
            downloader.fetch(Source(url=url_of(host), name="m.gguf"), partial)

    with ProxyServer(host) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
        assert ends_of(work, asked) == [Cancelled]
