"""Downloads from a server that does what it should not: the right file, or one sentence."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.cancelled import ends_of
from tests.file_server import FileServer, Request
from tests.scripted_hub import log_in
from urial_tui.errors import ModelError
from urial_tui.models.attempts import Attempts, Limits
from urial_tui.models.connection import Cancelled, HttpConnection, Source
from urial_tui.models.download import Downloader
from urial_tui.models.pace import Meter
from urial_tui.models.partial import Partial, PartialNote

CONTENT = b"GGUF" + bytes(range(251)) * 4000
SHA = hashlib.sha256(CONTENT).hexdigest()
PLACE = "/m.gguf"
QUICK = Limits(connect=20, silence=20, attempts=3, pause=0.01, longest_wait=5)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "m.gguf"


def start_of(request: Request) -> int:
    found = re.fullmatch(r"bytes=(\d+)-", request.headers["Range"] or "bytes=0-")
    assert found
    return int(found[1])


def serve(request: Request, content: bytes = CONTENT, **headers: str) -> None:
    """Answer as a good server does: the rest with 206 where a range is asked for."""
    start = start_of(request)
    said = {"ETag": '"one"'} | headers
    if not request.headers["Range"]:
        request.reply(200, content, **said)
    elif start >= len(content):
        request.reply(416, Content_Range=f"bytes */{len(content)}")
    else:
        said["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        request.reply(206, content[start:], **said)


def cut(request: Request, until: int, **headers: str) -> None:
    """Promise all of it from its start, and end before that."""
    request.reply(200, CONTENT[:until], Content_Length=str(len(CONTENT)), ETag='"one"', **headers)
    request.close_connection = True


def fetch(
    server: FileServer, target: Path, *, sha256: str = SHA, limits: Limits = QUICK, size: int = 0
) -> None:
    source = Source(url=server.url + PLACE, name="m.gguf", sha256=sha256, size=size)
    with Downloader(limits=limits) as downloader, Partial(target) as partial:
        downloader.fetch(source, partial)
        partial.finish()


def ask(downloader: Downloader, what: str, server: FileServer, target: Path) -> None:
    """Ask for the head of the file, for the hub's list, or for the file itself."""
    source = Source(url=server.url + PLACE, name="m.gguf")
    if what == "head":
        downloader.head(source)
    elif what == "files":
        downloader.files("ada/tiny")
    else:
        with Partial(target) as file:
            downloader.fetch(source, file)


def ranges(server: FileServer) -> list[str | None]:
    return [one[1] for one in server.requests]


def leave(target: Path, content: bytes, *, tag: str = '"one"', sha256: str = SHA) -> Path:
    """What an interrupted download left."""
    with Partial(target) as partial:
        url = "http://127.0.0.1/other"
        partial.restart(PartialNote(url=url, tag=tag, size=len(CONTENT), sha256=sha256))
        partial.append(content)
        return partial.path


# -- what goes well --------------------------------------------------------------------


def test_a_file_is_downloaded_and_nothing_else_is_left(target: Path) -> None:
    with FileServer(act=serve) as server:
        fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["m.gguf"]


@pytest.mark.parametrize("sha256", [SHA, ""])
def test_a_connection_that_breaks_off_at_40_percent_is_gone_on_with(
    target: Path, sha256: str
) -> None:
    at = len(CONTENT) * 2 // 5

    def act(request: Request) -> None:
        assert not target.exists()
        if request.headers["Range"]:
            serve(request)
        else:
            cut(request, at)

    with FileServer(act=act) as server:
        fetch(server, target, sha256=sha256)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={at}-"]


def test_what_lies_there_is_hashed_and_gone_on_with(target: Path) -> None:
    leave(target, CONTENT[:1000])
    with FileServer(act=serve) as server:
        fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == ["bytes=1000-"]


def test_what_lies_there_is_told_apart_from_what_comes(target: Path) -> None:
    leave(target, CONTENT[:1000])
    came: list[tuple[int, int]] = []
    lay_there: list[tuple[int, int]] = []
    with (
        FileServer(act=serve) as server,
        Downloader(
            lambda *counts: came.append(counts),
            QUICK,
            read=lambda *counts: lay_there.append(counts),
        ) as downloader,
        Partial(target) as partial,
    ):
        downloader.fetch(Source(url=server.url + PLACE, name="m.gguf", sha256=SHA), partial)
    assert lay_there == [(1000, 1000)]
    assert {total for _, total in came} == {len(CONTENT)}
    assert came[-1][0] == len(CONTENT)


def test_reading_what_lies_there_is_no_rate_of_a_download() -> None:
    now = 0.0
    meter = Meter(lambda: now)
    meter.begin("m.gguf")
    for now in (0.0, 1.0, 2.0):
        pace = meter.read(int(now + 1) * 1_000_000, 3_000_000)
    assert pace.words == "checking the 3.00 MB that are here (100%)"
    for now in (3.0, 4.0):
        pace = meter.count(3_000_000 + int(now - 3) * 1000, 4_000_000)
    assert not pace.reading
    assert pace.rate == 1000


def test_what_lies_there_and_is_damaged_is_fetched_again(target: Path) -> None:
    leave(target, b"GGUF" + b"x" * 996)
    with FileServer(act=serve) as server:
        fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == ["bytes=1000-", None]


def test_what_belongs_to_another_file_is_not_gone_on_with(target: Path) -> None:
    leave(target, CONTENT[:1000], sha256="0" * 64)
    with FileServer(act=serve) as server:
        fetch(server, target)
    assert ranges(server) == [None]
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_is_read_from_the_start(target: Path) -> None:
    leave(target, CONTENT[:1000])
    with FileServer(act=lambda request: request.reply(200, CONTENT)) as server:
        fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_a_200_with_a_content_range_is_asked_for_anew(target: Path) -> None:
    leave(target, CONTENT[:1000])

    def act(request: Request) -> None:
        start, size = start_of(request), len(CONTENT)
        request.reply(200, CONTENT[start:], Content_Range=f"bytes {start}-{size - 1}/{size}")

    with FileServer(act=act) as server:
        fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == ["bytes=1000-", None]


def test_a_416_at_the_end_means_that_all_is_there(target: Path) -> None:
    with Partial(target) as partial:
        # Its size was not known.
        partial.restart(PartialNote(url="http://127.0.0.1/", sha256=SHA))
        partial.append(CONTENT)
    with FileServer(act=serve) as server:
        fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={len(CONTENT)}-"]


def test_another_etag_begins_anew_where_no_checksum_is_known(target: Path) -> None:
    newer = b"GGUF" + bytes(reversed(range(251))) * 4000

    def act(request: Request) -> None:
        if len(server.requests) == 1:
            cut(request, 400_000)
        else:
            # Whatever If-Range says.
            serve(request, newer, ETag='"two"')

    with FileServer(act=act) as server:
        fetch(server, target, sha256="")
    assert target.read_bytes() == newer
    assert ranges(server) == [None, "bytes=400000-", None]


def test_a_host_that_is_asked_too_often_is_asked_again_when_it_says(target: Path) -> None:
    def act(request: Request) -> None:
        if len(server.requests) == 1:
            request.reply(429, Retry_After="0")
        else:
            serve(request)

    with FileServer(act=act) as server:
        fetch(server, target)
    assert target.read_bytes() == CONTENT


# -- what can't go well ----------------------------------------------------------------


def html(request: Request) -> None:
    if request.place != "/login":
        request.reply(302, Location="/login")
    else:
        request.reply(200, b"<html>log in</html>", Content_Type="text/html; charset=utf-8")


def other_range(request: Request) -> None:
    if request.headers["Range"]:
        size = len(CONTENT)
        request.reply(206, CONTENT[5:], Content_Range=f"bytes 5-{size - 1}/{size}", ETag='"one"')
    else:
        cut(request, 1000)


def packed_range(request: Request) -> None:
    if request.headers["Range"]:
        serve(request, Content_Encoding="gzip")
    else:
        cut(request, 1000)


def huge(request: Request) -> None:
    request.reply(200, b"GGUF", Content_Length=str(10 * 10**12))


def endless(request: Request) -> None:
    request.reply(302, Location=PLACE)


def without_end(request: Request) -> None:
    request.send_response(200)
    request.end_headers()
    request.wfile.write(CONTENT)
    request.close_connection = True


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (html, "answers with a web page in place of"),
        (other_range, "sent another range of"),
        (packed_range, "packed what it sent, which nobody asked"),
        (huge, "The disk is too full for"),
        (endless, "from one address to the next without end"),
        (without_end, "does not say how long"),
        (lambda request: request.reply(403), "does not give 'm.gguf' to everybody"),
        (lambda request: request.reply(404), "There is no 'm.gguf' at"),
        (lambda request: request.reply(429, Retry_After="3600"), "is asked too often"),
        (lambda request: request.reply(500), "answered with status 500"),
        (lambda request: request.reply(418), "answered with status 418"),
        (lambda request: cut(request, 0), "broke off"),
        (lambda request: request.reply(200, b"<?xml" * 99), "is no GGUF file"),
        (lambda request: request.reply(200, b"GGUF" * 99), "its checksum is another one"),
        (lambda request: request.reply(302, Location="http://example.org/m"), "they don't go"),
        (lambda request: request.reply(200, CONTENT[:-1]), "bytes of 'm.gguf', which has"),
    ],
)
def test_what_is_not_the_file_is_told_in_a_sentence(
    target: Path, act: object, sentence: str
) -> None:
    size = len(CONTENT) if sentence.startswith("bytes of") else 0
    with FileServer(act=act) as server, pytest.raises(ModelError) as failure:  # type: ignore[arg-type]
        fetch(server, target, size=size)
    assert sentence in failure.value.message
    assert failure.value.hint
    assert not target.exists()


def test_a_host_that_sends_hardly_anything_is_given_up(target: Path) -> None:
    def drip(request: Request) -> None:
        request.reply(200, CONTENT[:10], Content_Length=str(len(CONTENT)))
        while not server.ended.wait(0.02):
            request.wfile.write(b"x")

    limits = Limits(silence=2, slow_seconds=0.1, slow_bytes=1000)
    with FileServer(act=drip) as server, pytest.raises(ModelError, match="hardly anything"):
        fetch(server, target, limits=limits)
    assert not target.exists()


def drip_between_chunks(request: Request, server: FileServer) -> None:
    """A chunk of the file, and then the head of the next one, a byte at a time."""
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    request.wfile.write(b"3e8\r\n" + CONTENT[:1000] + b"\r\n1;")
    while not server.ended.wait(0.01):
        request.wfile.write(b"x")


def test_a_host_that_drips_between_the_chunks_of_a_file_is_given_up(target: Path) -> None:
    def act(request: Request) -> None:
        if request.headers["Range"]:
            serve(request)
        else:
            drip_between_chunks(request, server)

    limits = Limits(silence=20, slow_seconds=0.2, slow_bytes=1000)
    with FileServer(act=act) as server:
        with pytest.raises(ModelError, match="hardly anything") as failure:
            fetch(server, target, limits=limits, size=len(CONTENT))
        assert failure.value.message == (
            f"The host {server.host} sends hardly anything: 0 bytes in 0 s."
        )
        assert "What came is kept" in failure.value.hint
        assert not target.exists()
        fetch(server, target)
    assert ranges(server) == [None, "bytes=1000-"]
    assert target.read_bytes() == CONTENT


def test_what_drips_behind_the_last_byte_of_a_file_is_not_waited_for(target: Path) -> None:
    def act(request: Request) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"%x\r\n" % len(CONTENT) + CONTENT + b"\r\n0\r\n")
        while not server.ended.wait(0.01):
            request.wfile.write(b"X-More: 1\r\n")

    limits = Limits(silence=20, slow_seconds=0.1)
    with FileServer(act=act) as server:
        fetch(server, target, limits=limits, size=len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None]


class Body(httpx.SyncByteStream):
    """Of two chunks. `wait`: between them."""

    def __init__(self, wait: Callable[[], object]) -> None:
        self._wait = wait

    def __iter__(self) -> Iterator[bytes]:
        yield b"a"
        self._wait()
        yield b"b"


def test_a_body_is_read_for_as_long_as_enough_of_it_comes() -> None:
    looks, over = [0], threading.Event()

    def missing() -> int:
        looks[0] += 1
        if looks[0] == 5:
            over.set()
        return 100 - 10 * looks[0]

    request = httpx.Request("GET", "http://127.0.0.1/m.gguf")
    response = httpx.Response(200, request=request, stream=Body(lambda: over.wait(20)))
    limits = Limits(slow_seconds=0.01, slow_bytes=10)
    connection = HttpConnection(limits, threading.Event())
    assert list(connection.body(response, missing)) == [b"a", b"b"]
    connection.close()


def test_the_time_that_a_chunk_takes_here_is_not_the_hosts() -> None:
    looked = threading.Event()

    def missing() -> int:
        looked.set()
        return 100

    request = httpx.Request("GET", "http://127.0.0.1/m.gguf")
    response = httpx.Response(200, request=request, stream=Body(lambda: None))
    connection = HttpConnection(Limits(slow_seconds=0.01, slow_bytes=10), threading.Event())
    body = connection.body(response, missing)
    assert next(body) == b"a"
    looked.clear()
    # Nobody looks how much came while it is taken.
    assert not looked.wait(0.1)
    assert next(body) == b"b"
    body.close()
    connection.close()


def test_a_host_that_falls_silent_is_given_up(target: Path) -> None:
    def silent(request: Request) -> None:
        request.reply(200, CONTENT[:10], Content_Length=str(len(CONTENT)))
        server.ended.wait()

    limits = Limits(silence=0.05, attempts=2, pause=0.01)
    with FileServer(act=silent) as server, pytest.raises(ModelError, match="in time"):
        fetch(server, target, limits=limits)
    assert not target.exists()


def drip_the_head(request: Request, server: FileServer) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not server.ended.wait(0.01):
        request.wfile.write(b"X-More: 1\r\n")


def break_off(request: Request) -> None:
    request.close_connection = True


def unavailable(request: Request) -> None:
    request.reply(503)


def bad_gateway(request: Request) -> None:
    """Answer for another host that is gone."""
    request.reply(502)


def drip_early_heads(request: Request, server: FileServer) -> None:
    while not server.ended.wait(0.01):
        request.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")


def send_on_slowly(request: Request, server: FileServer) -> None:
    server.ended.wait(0.04)
    request.reply(302, Location=f"{request.place}x")


def drip_the_body(request: Request, server: FileServer) -> None:
    request.reply(200, b"[", Content_Length="100000")
    while not server.ended.wait(0.01):
        request.wfile.write(b" ")


def drip_without_a_length(request: Request, server: FileServer) -> None:
    request.close_connection = True
    request.send_response(200)
    request.end_headers()
    while not server.ended.wait(0.01):
        request.wfile.write(b" ")


def drip_a_chunk_s_head(request: Request, server: FileServer) -> None:
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    request.wfile.write(b"1;")
    while not server.ended.wait(0.01):
        request.wfile.write(b"x")


HEAD, LIST = Limits(silence=20, head=0.15, attempts=2, pause=0.01), Limits(listing=0.15)


@pytest.mark.parametrize(
    ("what", "act", "limits"),
    [
        ("fetch", drip_the_head, HEAD),
        ("head", drip_the_head, HEAD),
        ("head", drip_early_heads, HEAD),
        ("head", send_on_slowly, HEAD),
        ("files", drip_the_head, HEAD),
        ("files", drip_the_body, LIST),
        ("files", drip_without_a_length, LIST),
        ("files", drip_a_chunk_s_head, LIST),
    ],
)
def test_a_host_that_drips_without_end_is_given_up(
    what: str,
    act: Callable[[Request, FileServer], None],
    limits: Limits,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FileServer(act=lambda request: act(request, server)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        with Downloader(limits=limits) as downloader, pytest.raises(ModelError) as failure:
            ask(downloader, what, server, target)
    assert failure.value.message == f"The host {server.host} did not answer in time."
    assert failure.value.hint


def test_after_a_head_that_dripped_the_next_one_is_read(target: Path) -> None:
    def act(request: Request) -> None:
        if len(server.requests) == 1:
            drip_the_head(request, server)
        else:
            serve(request)

    limits = Limits(silence=20, head=0.3, pause=0.01)
    with FileServer(act=act) as server:
        fetch(server, target, limits=limits)
    assert target.read_bytes() == CONTENT
    assert len(server.requests) >= 2


def test_a_disk_that_is_full_at_the_last_block_keeps_what_came(target: Path) -> None:
    def write(handle: int, data: memoryview) -> int:
        if os.fstat(handle).st_size + len(data) >= len(CONTENT):
            raise OSError(28, "No space left on device")
        return os.write(handle, data)

    source_of = FileServer(act=serve)
    with source_of as server:
        source = Source(url=server.url + PLACE, name="m.gguf", sha256=SHA)
        with (
            Downloader(limits=QUICK) as downloader,
            Partial(target, write=write) as partial,
            pytest.raises(ModelError, match="The disk is full"),
        ):
            downloader.fetch(source, partial)
        left = partial.path.stat().st_size
        assert 0 < left < len(CONTENT)
        assert not target.exists()
        fetch(server, target)
    assert ranges(server) == [None, f"bytes={left}-"]
    assert target.read_bytes() == CONTENT


def test_a_second_download_of_a_file_is_refused_while_one_goes_on(target: Path) -> None:
    with Partial(target), pytest.raises(ModelError, match="being downloaded already"):
        Partial(target)
    with Partial(target) as partial:
        assert partial.size == 0


def test_nothing_is_downloaded_where_a_second_one_could_not_be_kept_away(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(_file: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(ModelError, match=r"can't be locked in .* \(No locks available\)") as caught:
        Partial(target)
    assert "a disk of this machine" in caught.value.hint


def test_a_download_that_is_cancelled_keeps_what_came(target: Path) -> None:
    def act(request: Request) -> None:
        if request.headers["Range"]:
            serve(request)
            return
        request.reply(200, CONTENT[:5000], Content_Length=str(len(CONTENT)), ETag='"one"')
        server.ended.wait()

    def progress(done: int, total: int) -> None:
        assert total == len(CONTENT)
        if done == 5000:
            downloader.cancel()

    with FileServer(act=act) as server:
        source = Source(url=server.url + PLACE, name="m.gguf", sha256=SHA)
        with Downloader(progress, limits=QUICK) as downloader, Partial(target) as partial:
            with pytest.raises(Cancelled):
                downloader.fetch(source, partial)
            assert partial.size == 5000
            assert partial.path.read_bytes() == CONTENT[:5000]
        assert not target.exists()
        fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=5000-"]


def say_nothing(request: Request, server: FileServer) -> None:
    server.ended.wait()


def say_the_head(request: Request, server: FileServer) -> None:
    request.reply(200, b"", Content_Length=str(len(CONTENT)), ETag='"one"')
    server.ended.wait()


def send_elsewhere(request: Request, server: FileServer) -> None:
    if request.place != "/other":
        request.reply(302, Location="/other")
    server.ended.wait()


@pytest.mark.parametrize(
    ("what", "act"),
    [
        ("fetch", say_nothing),
        ("fetch", say_the_head),
        ("fetch", send_elsewhere),
        ("files", say_the_head),
        ("files", send_elsewhere),
        # A head is all that is wanted.
        ("head", say_nothing),
        ("head", send_elsewhere),
    ],
)
def test_what_waits_for_a_silent_host_is_cancelled_at_once(
    what: str,
    act: Callable[[Request, FileServer], None],
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = threading.Event()

    def answer(request: Request) -> None:
        if act is not send_elsewhere or request.place == "/other":
            waiting.set()
        act(request, server)

    with FileServer(act=answer) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        work = partial(ask, what=what, server=server, target=target)
        assert ends_of(work, waiting) == [Cancelled]


@pytest.mark.parametrize("step", ["getaddrinfo", "create_connection"])
def test_a_host_that_is_looked_up_or_does_not_take_the_connection_is_not_waited_for(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, over = threading.Event(), threading.Event()

    def wait(*_: object, **__: object) -> None:
        waiting.set()
        over.wait()
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, step, wait)
    source = Source(url="http://127.0.0.1:9/m.gguf", name="m.gguf")
    assert ends_of(lambda downloader: downloader.head(source), waiting) == [Cancelled]
    over.set()


def test_attempts_end_by_their_number_or_by_the_time_that_they_took() -> None:
    limits = Limits(attempts=4, patience=100, pause=1)
    broken_off = Attempts(limits)
    assert [broken_off.pause(0, 0) for _ in range(4)] == [1, 2, 4, None]
    busy = Attempts(limits)
    assert [busy.pause(0, 40) for _ in range(3)] == [40, 40, None]
    silent = Attempts(limits)
    assert [silent.pause(45, 0) for _ in range(3)] == [1, 2, None]
    silent.start_anew()
    assert silent.pause(45, 0) == 1


def test_a_host_without_an_answer_is_given_up_within_minutes() -> None:
    limits = Limits()
    attempts = Attempts(limits)
    waited = limits.head
    while (pause := attempts.pause(limits.head, 0)) is not None:
        waited += pause + limits.head
    assert waited <= 125
    # A host may ask for the longest wait once.
    assert Attempts(limits).pause(0, limits.longest_wait) == limits.longest_wait


def test_the_time_of_attempts_that_bring_nothing_is_counted(target: Path) -> None:
    limits = Limits(silence=20, head=0.1, attempts=100, pause=0.01, patience=0.25)
    with (
        FileServer(act=lambda request: drip_the_head(request, server)) as server,
        pytest.raises(ModelError, match="did not answer in time"),
    ):
        fetch(server, target, limits=limits)
    assert len(server.requests) <= 3


def test_it_is_told_that_a_file_is_asked_for_again(target: Path) -> None:
    why: list[str] = []

    def act(request: Request) -> None:
        if len(server.requests) == 1:
            request.reply(503)
        elif len(server.requests) == 2:
            cut(request, 1000)
        else:
            serve(request)

    with (
        FileServer(act=act) as server,
        Downloader(limits=QUICK, retry=why.append) as downloader,
        Partial(target) as partial,
    ):
        downloader.fetch(Source(url=server.url + PLACE, name="m.gguf", sha256=SHA), partial)
    assert why == [
        f"The host {server.host} answered with status 503 for 'm.gguf'.",
        f"The connection to {server.host} broke off before all was there.",
    ]


def test_a_download_that_is_tried_again_says_why_and_measures_anew() -> None:
    now = 0.0
    meter = Meter(lambda: now)
    assert meter.begin("m.gguf").words == "asking for the file"
    assert meter.again("There is none.").words == "trying again: there is none"
    for now in (0.0, 1.0, 2.0):
        pace = meter.count(int(now + 1) * 1_000_000, 10_000_000)
    assert pace.rate == 1_000_000
    pace = meter.again("The host h did not answer in time.")
    assert pace.words == (
        "3.00 MB of 10.0 MB (30%), trying again: the host h did not answer in time"
    )
    for now in (100.0, 101.0):
        pace = meter.count(3_000_000 + int(now - 100) * 1000, 10_000_000)
    assert pace.trouble == ""
    assert pace.rate == 1000


def test_a_host_that_is_busy_is_asked_again_when_it_wants_to_be() -> None:
    def act(request: Request) -> None:
        if len(server.requests) < 3:
            request.reply(429, Retry_After="0.01")
        else:
            request.reply(200, CONTENT)

    why: list[str] = []
    with FileServer(act=act) as server, Downloader(limits=QUICK, retry=why.append) as downloader:
        head = downloader.head(Source(url=server.url + PLACE, name="m.gguf"))
    assert (head.status, head.size, len(server.requests)) == (200, len(CONTENT), 3)
    assert why == [f"The host {server.host} is asked too often."] * 2


@pytest.mark.parametrize("what", ["head", "files"])
@pytest.mark.parametrize(
    "trouble", [break_off, unavailable, bad_gateway], ids=["breaks off", "503", "502"]
)
def test_the_hub_is_asked_again_where_it_breaks_off(
    what: str,
    trouble: Callable[[Request], None],
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def act(request: Request) -> None:
        if len(server.requests) < 3:
            trouble(request)
        else:
            request.reply(200, b'{"siblings": []}')

    why: list[str] = []
    with FileServer(act=act) as server, Downloader(limits=QUICK, retry=why.append) as downloader:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        if what == "head":
            source = Source(url=server.url + PLACE, name="m.gguf", hub=True)
            assert downloader.head(source).status == 200
        else:
            assert downloader.files("ada/tiny") == []
    assert (len(server.requests), len(why)) == (3, 2)


@pytest.mark.parametrize(("hub", "asked"), [(True, QUICK.attempts), (False, 1)])
def test_who_breaks_off_at_every_head_is_given_up(
    hub: bool, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileServer(act=break_off) as server, Downloader(limits=QUICK) as downloader:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        source = Source(url=server.url + PLACE, name="m.gguf", hub=hub)
        with pytest.raises(ModelError, match="broke off") as failure:
            downloader.head(source)
        assert len(server.requests) == asked
    assert failure.value.hint == "Try again later."


def test_what_the_hub_wants_to_be_waited_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        FileServer(act=lambda request: request.reply(429, Retry_After="7200")) as server,
        Downloader(limits=QUICK) as downloader,
    ):
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        source = Source(url=server.url + PLACE, name="m.gguf", hub=True)
        with pytest.raises(ModelError, match="asked too often") as failure:
            downloader.check(source, downloader.head(source))
        assert len(server.requests) == 1
    assert "It wants to be asked again in 2 h 0 min." in failure.value.hint


@pytest.mark.parametrize(("hub", "asked"), [(True, QUICK.attempts), (False, 1)])
def test_a_status_that_may_pass_is_waited_for_at_the_hub(
    hub: bool, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    why: list[str] = []
    with (
        FileServer(act=bad_gateway) as server,
        Downloader(limits=QUICK, retry=why.append) as downloader,
    ):
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        head = downloader.head(Source(url=server.url + PLACE, name="m.gguf", hub=hub))
    assert (head.status, len(server.requests)) == (502, asked)
    told = f"The host {server.host} answered with status 502 for 'm.gguf'."
    assert why == [told] * (asked - 1)


@pytest.mark.parametrize(("after", "asked"), [("3600", 1), ("", QUICK.attempts)])
def test_a_host_that_stays_busy_is_not_waited_for_without_end(after: str, asked: int) -> None:
    with (
        FileServer(act=lambda request: request.reply(429, Retry_After=after)) as server,
        Downloader(limits=QUICK) as downloader,
    ):
        head = downloader.head(Source(url=server.url + PLACE, name="m.gguf"))
    assert (head.is_busy, len(server.requests)) == (True, asked)


@pytest.mark.parametrize("logged_in", [False, True], ids=["HF_TOKEN", "login"])
def test_a_token_goes_to_the_hub_and_to_nobody_else(
    target: Path, home: Path, monkeypatch: pytest.MonkeyPatch, logged_in: bool
) -> None:
    with FileServer({PLACE: CONTENT}) as other:

        def act(request: Request) -> None:
            request.reply(302, Location=other.url + PLACE)

        with FileServer(act=act) as server:
            monkeypatch.setenv("HF_ENDPOINT", server.url)
            if logged_in:
                log_in(home, "hf_secret", monkeypatch)
            else:
                monkeypatch.setenv("HF_TOKEN", "hf_secret")
            source = Source(url=server.url + PLACE, name="m.gguf", hub=True, sha256=SHA)
            with Downloader(limits=QUICK) as downloader, Partial(target) as partial:
                downloader.fetch(source, partial)
                partial.finish()
            fetch(other, target.with_name("n.gguf"))
    assert [one[2] for one in server.requests] == ["Bearer hf_secret"]
    assert [one[2] for one in other.requests] == [None, None]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("value", "sent"), [("1", False), ("on", False), ("True", False), ("0", True), ("", True)]
)
@pytest.mark.parametrize("logged_in", [False, True], ids=["HF_TOKEN", "login"])
def test_no_token_is_sent_by_itself_where_the_user_forbids_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, logged_in: bool, value: str, sent: bool
) -> None:
    with FileServer(act=lambda request: request.reply(401)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", value)
        if logged_in:
            log_in(home, "hf_secret", monkeypatch)
        else:
            monkeypatch.setenv("HF_TOKEN", "hf_secret")
        source = Source(url=server.url + PLACE, name="m.gguf", hub=True)
        with Downloader(limits=QUICK) as downloader, pytest.raises(ModelError) as failure:
            downloader.check(source, downloader.head(source))
    assert [one[2] for one in server.requests] == ["Bearer hf_secret" if sent else None]
    # What to do differs, since a token that is given to the program would not be sent.
    assert ("HF_HUB_DISABLE_IMPLICIT_TOKEN is set" in failure.value.hint) is not sent
    assert ("`hf auth login`" in failure.value.hint) is sent


def test_the_hubs_library_may_have_it_that_a_login_is_not_used(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(home, "hf_secret", monkeypatch)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    with FileServer({PLACE: CONTENT}) as server, Downloader(limits=QUICK) as downloader:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        downloader.head(Source(url=server.url + PLACE, name="m.gguf", hub=True))
    assert [one[2] for one in server.requests] == [None]


def test_after_kill_9_at_most_a_block_is_sent_again(target: Path) -> None:
    """A process that is killed in the middle, and the command once more."""
    sent = 700_000

    def act(request: Request) -> None:
        if request.headers["Range"]:
            serve(request)
            return
        request.reply(200, CONTENT[:sent], Content_Length=str(len(CONTENT)), ETag='"one"')
        server.ended.wait()

    code = (
        "import sys; from pathlib import Path\n"
        "from urial_tui.models.download import *; from urial_tui.models.partial import Partial\n"
        "with Downloader() as d, Partial(Path(sys.argv[2])) as p:\n"
        "    d.fetch(Source(url=sys.argv[1], name='m.gguf', sha256=sys.argv[3]), p)\n"
    )
    with FileServer(act=act) as server:
        arguments = [sys.executable, "-c", code, server.url + PLACE, str(target), SHA]
        process = subprocess.Popen(arguments)
        part = target.with_name("m.gguf.incomplete")
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size == sent):
            assert process.poll() is None
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not target.exists()
        fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={sent}-"]
