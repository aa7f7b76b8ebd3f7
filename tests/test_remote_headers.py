"""Headers of model files at addresses: read in ranges, from hosts that may do anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import tinygguf
from tests.file_server import FileServer, Request
from tests.scripted_hub import log_in
from tests.test_models import ARCHITECTURE, gguf, string, strings
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import ModelError
from urial_tui.models import remote as remote_module
from urial_tui.models.addresses import (
    FileAddress,
    HubAddress,
    choose_file,
    in_repository,
    is_address,
    offline_variable,
    parse_address,
    part_names,
    quant_of,
)
from urial_tui.models.gguf_file import read_header
from urial_tui.models.inspection import Inspection, inspect_address, inspect_file
from urial_tui.models.remote import Remote

OPTIONS = EngineOptions(n_ctx=256)
FILE = "/a/model.gguf"


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's token, and a hub that is not there."""
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A whole model: its header, and weights behind it that nobody should ask for."""
    path = tinygguf.write_llama(tmp_path_factory.mktemp("remote") / "tiny.gguf", n_layer=4)
    return path.read_bytes()


def inspected(url: str, **bounds: float) -> Inspection:
    address = parse_address(url)
    with Remote(**bounds) as remote:  # type: ignore[arg-type]
        file = remote.find(address) if isinstance(address, HubAddress) else address
        return inspect_address(remote, file, OPTIONS)


def refusal(url: str, **bounds: float) -> str:
    with pytest.raises(ModelError) as caught:
        inspected(url, **bounds)
    assert caught.value.hint
    return caught.value.message


# -- what is read ------------------------------------------------------------------------


def test_a_file_at_an_address_tells_what_it_tells_on_the_disk(tiny: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(tiny)
    here = inspect_file(path, OPTIONS)
    with FileServer({FILE: tiny}) as server:
        there = inspected(f"{server.url}{FILE}")
        assert there.place == f"{server.url}{FILE}"
        assert server.requests == [(FILE, "bytes=0-262143", None)]
    for field in Inspection.__struct_fields__:
        if field not in ("place", "bytes_read"):
            assert getattr(there, field) == getattr(here, field), field
    assert there.bytes_read == 262_144 < len(tiny)


def test_long_headers_are_read_in_growing_blocks_and_weights_never() -> None:
    words = [f"word{number:06}" for number in range(60_000)]
    content = gguf(
        [
            ARCHITECTURE,
            ("tokenizer.ggml.tokens", 9, strings(*words)),
            ("tokenizer.ggml.model", 8, string("llama")),
            ("tokenizer.ggml.eos_token_id", 4, (59_999).to_bytes(4, "little")),
        ],
        [("output.weight", (4096, 256), 0, 0)],
        data=bytes(4096 * 256 * 4),
    )
    with FileServer({FILE: content}) as server:
        told = inspected(f"{server.url}{FILE}")
        asked = [range_ for _, range_, _ in server.requests]
    assert told.vocabulary == 60_000
    assert told.roles == {"eos": "word059999"}
    assert asked[:2] == ["bytes=0-262143", "bytes=262144-786431"]
    assert told.bytes_read is not None
    assert told.bytes_read < 60_000 * 18 + 1_100_000 < len(content)


def test_lists_of_numbers_are_passed_over() -> None:
    many = 500_000
    content = gguf(
        [
            ARCHITECTURE,
            (
                "tokenizer.ggml.scores",
                9,
                bytes([6, 0, 0, 0]) + many.to_bytes(8, "little") + bytes(4 * many),
            ),
            ("end", 8, string("here")),
        ],
        [("t", (4,), 0, 0)],
        data=bytes(16),
    )
    with FileServer({FILE: content}) as server, Remote() as remote:
        file = remote.open(FileAddress(url=f"{server.url}{FILE}"))
        header = read_header(file)
        assert header.metadata["end"] == "here"
        assert header.lengths["tokenizer.ggml.scores"] == many
        assert remote.bytes_read < 300_000 < len(content)


def test_parts_are_read_by_their_names() -> None:
    first = gguf(
        [
            ARCHITECTURE,
            ("tokenizer.ggml.tokens", 9, strings("a", "b")),
            ("split.count", 2, (2).to_bytes(2, "little")),
        ],
        [("a", (8,), 0, 0)],
        data=bytes(32),
    )
    second = gguf([("split.no", 2, bytes([1, 0]))], [("b", (16,), 0, 0)], data=bytes(64))
    files = {"/x-00001-of-00002.gguf": first, "/x-00002-of-00002.gguf": second}
    with FileServer(files) as server:
        told = inspected(f"{server.url}/x-00001-of-00002.gguf")
        assert (told.parts, told.parameters, told.tensors) == (2, 24, 2)
        assert told.size == len(first) + len(second)
        del server.files["/x-00002-of-00002.gguf"]
        lacking = inspected(f"{server.url}/x-00001-of-00002.gguf")
    assert lacking.parameters == 8
    assert any("There is no 'x-00002-of-00002.gguf'" in note for note in lacking.notes)


# -- the hub -----------------------------------------------------------------------------


@pytest.fixture
def hub(tiny: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A hub with one repository."""
    names = ["README.md", "tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf", "mmproj-tiny-f16.gguf"]
    listing = json.dumps({"siblings": [{"rfilename": name} for name in names]}).encode()
    files = {
        "/api/models/someone/tiny-GGUF": listing,
        "/someone/tiny-GGUF/resolve/main/tiny-Q4_K_M.gguf": tiny,
        "/someone/tiny-GGUF/resolve/main/tiny-Q8_0.gguf": tiny,
    }
    with FileServer(files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_a_repository_s_usual_file_is_read_with_the_users_token(
    hub: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    told = inspected("hf.co/someone/tiny-GGUF")
    assert told.place.endswith("/someone/tiny-GGUF/resolve/main/tiny-Q4_K_M.gguf")
    assert {key for _, _, key in hub.requests} == {"Bearer hf_secret"}
    assert inspected("hf.co/someone/tiny-GGUF:q8_0").place.endswith("tiny-Q8_0.gguf")
    page = "https://huggingface.co/someone/tiny-GGUF/blob/main/tiny-Q8_0.gguf?download=true"
    assert inspected(page).place.endswith("/resolve/main/tiny-Q8_0.gguf")


def test_a_header_is_read_without_a_token_where_the_user_forbids_it(
    hub: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "YES")
    assert inspected("hf.co/someone/tiny-GGUF").vocabulary > 0
    assert {key for _, _, key in hub.requests} == {None}


def test_what_a_repository_does_not_have_is_told(hub: FileServer) -> None:
    with pytest.raises(ModelError, match=r"no file of the quantisation 'Q2_K'") as caught:
        inspected("hf.co/someone/tiny-GGUF:Q2_K")
    assert "Q4_K_M, Q8_0" in caught.value.hint
    assert "There is no 'someone/nothing'" in refusal("hf.co/someone/nothing")
    hub.files["/api/models/someone/tiny-GGUF"] = b"<html>"
    assert "does not answer as the hub does" in refusal("hf.co/someone/tiny-GGUF")


@pytest.mark.parametrize("logged_in", [False, True], ids=["HF_TOKEN", "login"])
def test_the_token_goes_to_no_other_host(
    hub: FileServer,
    tiny: bytes,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    logged_in: bool,
) -> None:
    if logged_in:
        log_in(home, "hf_secret", monkeypatch)
    else:
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with FileServer({"/blob": tiny}) as other:

        def elsewhere(request: Request) -> None:
            if request.place.startswith("/api/"):
                request.reply(200, hub.files[request.place])
            else:
                request.reply(302, Location=f"{other.url}/blob?signed=1")

        hub.act = elsewhere
        assert inspected("hf.co/someone/tiny-GGUF").vocabulary > 0
        assert {key for _, _, key in hub.requests} == {"Bearer hf_secret"}
        assert [key for _, _, key in other.requests] == [None]
        inspected(f"{other.url}/blob")
        assert {key for _, _, key in other.requests} == {None}


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_nothing_is_asked_of_the_hub(
    hub: FileServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    assert f"{variable} is set" in refusal("hf.co/someone/tiny-GGUF")
    assert not hub.requests


@pytest.mark.parametrize(
    ("hub_value", "other", "variable"),
    [
        ("", "", ""),
        ("yes", "0", "HF_HUB_OFFLINE"),
        ("", " True ", "TRANSFORMERS_OFFLINE"),
        ("0", "1", ""),
        ("", "no", ""),
    ],
)
def test_the_variable_of_the_hub_counts_before_the_other(
    monkeypatch: pytest.MonkeyPatch, hub_value: str, other: str, variable: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", hub_value)
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", other)
    assert offline_variable() == variable


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("HF_ENDPOINT", "http://mirror.example", "HF_ENDPOINT holds"),
        ("HF_ENDPOINT", "https://me:pass@mirror.example", "HF_ENDPOINT holds"),
        ("HF_TOKEN", "two words", "HF_TOKEN holds what can't be"),
        ("HF_TOKEN", "a\nb", "HF_TOKEN holds what can't be"),
    ],
)
def test_variables_that_can_t_be_are_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    message = refusal("hf.co/someone/tiny-GGUF")
    assert words in message
    assert "pass" not in message


# -- hosts that do what they should not ----------------------------------------------------


def html(request: Request) -> None:
    request.reply(200, b"<!doctype html><p>Log in", Content_Type="text/html; charset=utf-8")


def two_hundred(request: Request) -> None:
    request.reply(200, request.server_of.files[FILE], Content_Length="10000000000000")


def another_range(request: Request) -> None:
    request.reply_range(request.server_of.files[FILE], start=7)


def packed(request: Request) -> None:
    request.reply_range(request.server_of.files[FILE], Content_Encoding="gzip")


def unsaid(request: Request) -> None:
    request.reply(206, b"GGUF")


def no_size(request: Request) -> None:
    request.reply(206, b"GGUF", Content_Range="bytes 0-3/*")


def too_short(request: Request) -> None:
    content = request.server_of.files[FILE]
    request.reply(206, content[:100], Content_Range=f"bytes 0-262143/{len(content)}")


def cut_off(request: Request) -> None:
    content = request.server_of.files[FILE]
    request.close_connection = True
    request.reply(
        206,
        content[:100],
        Content_Range=f"bytes 0-262143/{len(content)}",
        Content_Length="262144",
    )


def too_long(request: Request) -> None:
    content = request.server_of.files[FILE]
    request.reply(206, content[:262_200], Content_Range=f"bytes 0-262143/{len(content)}")


def endless(request: Request) -> None:
    request.send_response(206)
    request.send_header("Content-Range", "bytes 0-262143/9999999")
    request.send_header("Connection", "close")
    request.end_headers()
    request.close_connection = True
    while not request.server_of.ended.is_set():
        request.wfile.write(bytes(65_536))


def round_about(request: Request) -> None:
    request.reply(302, Location=f"{request.path}x")


def to_plain_http(request: Request) -> None:
    request.reply(302, Location="http://elsewhere.example/model.gguf")


def to_a_file(request: Request) -> None:
    request.reply(302, Location="file:///etc/passwd")


def nowhere(request: Request) -> None:
    request.reply(301)


def status(number: int, **headers: str) -> Callable[[Request], None]:
    def answer(request: Request) -> None:
        request.reply(number, b"\x1b[2J", **headers)

    return answer


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (html, "a web page in place of 'model.gguf'"),
        (two_hundred, "does not read files in ranges"),
        (another_range, "sent another range"),
        (packed, "packed what it sent"),
        (unsaid, "does not say which bytes"),
        (no_size, "does not say which bytes"),
        (too_short, "sent less of 'model.gguf' than it said"),
        (cut_off, "broke off"),
        (too_long, "sent more of 'model.gguf' than it said"),
        (endless, "sent more of 'model.gguf' than it said"),
        (round_about, "without end"),
        (to_plain_http, "'http://elsewhere.example/model.gguf', where they don't go"),
        (to_a_file, "where they don't go"),
        (nowhere, "without end"),
        (status(401), "does not give 'model.gguf' to everybody (status 401)"),
        (status(403), "does not give 'model.gguf' to everybody (status 403)"),
        (status(404), "There is no 'model.gguf'"),
        (status(416), "is empty"),
        (status(429, Retry_After="60"), "is asked too often"),
        (status(500), "answered with status 500"),
        (status(204), "answered with status 204"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value)[:30],
)
def test_a_host_that_does_something_else_gets_a_sentence(
    tiny: bytes, act: Callable[[Request], None], words: str
) -> None:
    with FileServer({FILE: tiny}, act) as server:
        message = refusal(f"{server.url}{FILE}")
    assert words in message
    assert "\x1b" not in message


def test_a_slow_host_is_given_up(tiny: bytes) -> None:
    def drip(request: Request) -> None:
        # A line of a header now and then, and never the last.
        request.wfile.write(b"HTTP/1.1 206 Partial Content\r\n")
        while not request.server_of.ended.wait(0.02):
            request.wfile.write(b"X-More: 1\r\n")

    def silent(request: Request) -> None:
        request.server_of.ended.wait(60)

    for act in (drip, silent):
        with FileServer({FILE: tiny}, act) as server:
            message = refusal(f"{server.url}{FILE}", seconds=0.2)
        assert "took longer" in message or "did not answer in time" in message


def test_a_file_that_changes_meanwhile_is_refused() -> None:
    words = gguf([ARCHITECTURE, ("tokenizer.ggml.tokens", 9, strings(*["word"] * 40_000))])
    seen = []

    def changing(request: Request) -> None:
        seen.append(request.wanted)
        request.reply_range(words, ETag=f'"{len(seen)}"')

    with FileServer({FILE: words}, changing) as server:
        assert "changed while it was read" in refusal(f"{server.url}{FILE}")
    assert len(seen) == 2


def test_no_more_is_read_than_a_header_can_take(
    tiny: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_module, "MAX_BYTES", 600_000)
    words = gguf([ARCHITECTURE, ("tokenizer.ggml.tokens", 9, strings(*["word"] * 90_000))])
    with FileServer({FILE: words}) as server:
        assert "header is longer than 600 kB" in refusal(f"{server.url}{FILE}")


def test_a_file_that_is_no_model_is_told(tiny: bytes) -> None:
    for content, words in ((b"no model at all", "not a GGUF model"), (tiny[:5000], "cut off")):
        with FileServer({FILE: content}) as server:
            assert words in refusal(f"{server.url}{FILE}")


def test_a_host_that_is_not_there_is_named() -> None:
    assert "can't be reached" in refusal("http://127.0.0.1:9/model.gguf")


# -- addresses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "repository", "quant"),
    [
        ("hf.co/a/b", "a/b", ""),
        ("hf.co/a/b-GGUF:Q8_0", "a/b-GGUF", "Q8_0"),
        ("huggingface.co/a/b/", "a/b", ""),
        ("HTTPS://HF.CO/A/B.c", "A/B.c", ""),
    ],
)
def test_repositories_are_named_in_several_ways(text: str, repository: str, quant: str) -> None:
    assert is_address(text)
    assert parse_address(text) == HubAddress(repository=repository, quant=quant)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hf.co/a/b/m.gguf", ("a/b", "main", "m.gguf")),
        ("huggingface.co/a/b/Q8_0/m%20 #1.GGUF", ("a/b", "main", "Q8_0/m%20 #1.GGUF")),
        ("https://hf.co/a/b/x-00001-of-00002.gguf", ("a/b", "main", "x-00001-of-00002.gguf")),
        ("hf.co/a/b/blob/v1.0/m%20.gguf?download=true", ("a/b", "v1.0", "m .gguf")),
    ],
)
@pytest.mark.parametrize("base", ["", "/mirror"])
def test_files_of_a_repository_are_named_in_several_ways(
    monkeypatch: pytest.MonkeyPatch, text: str, place: tuple[str, str, str], base: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:9{base}")
    address = parse_address(text)
    assert isinstance(address, FileAddress)
    assert address.url.startswith(f"http://127.0.0.1:9{base}/a/b/resolve/")
    assert in_repository(address) == place


@pytest.mark.parametrize(
    "text",
    [
        "hf.co/a",
        "hf.co/a/b/../../m.gguf",
        "hf.co/a/b/.hidden/m.gguf",
        "hf.co/a/b/blob/m.gguf",
        "hf.co/a/b/m\x1b.gguf",
        f"hf.co/a/b/{'m' * 300}.gguf",
        "hf.co/../etc",
        "hf.co/a/b/c",
        "hf.co/a/b:",
        "hf.co/a/b?x",
        "http://example.org/a.gguf",
        "https://me:secret@example.org/a.gguf",
        "https:///a.gguf",
        "https://example.org:port/a.gguf",
        "https://exa mple.org/a.gguf",
        "https://example.org/\x1b.gguf",
        "https://" + "a" * 10_000,
        "http://169.254.169.254/latest",
    ],
)
def test_what_is_no_address_to_read_from_is_refused(text: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_address(text)
    assert "secret" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "quant"),
    [
        ("a/model-Q4_K_M.gguf", "Q4_K_M"),
        ("model.IQ2_XXS.gguf", "IQ2_XXS"),
        ("Qwen3-4B-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("model-BF16-00001-of-00003.gguf", "BF16"),
        ("ggml-model-f16.gguf", "f16"),
        ("model.gguf", "model"),
    ],
)
def test_a_file_s_name_tells_its_quantisation(name: str, quant: str) -> None:
    assert quant_of(name) == quant


def test_one_file_of_a_repository_is_chosen() -> None:
    def chosen(*files: str, quant: str = "") -> str:
        return choose_file(HubAddress(repository="a/b", quant=quant), list(files))

    assert chosen("m-Q4_K_M.gguf", "m-Q8_0.gguf") == "m-Q4_K_M.gguf"
    assert chosen("only-Q5_K_S.gguf") == "only-Q5_K_S.gguf"
    split = [f"Q8_0/m-Q8_0-0000{part}-of-00002.gguf" for part in (1, 2)]
    assert chosen(*split, "m-Q4_K_M.gguf", quant="Q8_0") == split[0]
    for files in (("README.md",), ("mmproj-m-f16.gguf",), ("m-Q8_0.gguf", "m-Q2_K.gguf")):
        with pytest.raises(ModelError):
            chosen(*files)
    with pytest.raises(ModelError, match="several files"):
        chosen("a-Q4_K_M.gguf", "b-Q4_K_M.gguf")


def test_parts_have_names() -> None:
    assert part_names("x/m-00001-of-00002.gguf", 2) == [
        "x/m-00001-of-00002.gguf",
        "x/m-00002-of-00002.gguf",
    ]
    assert part_names("m.gguf", 1) == ["m.gguf"]
    for name, parts in (("m.gguf", 2), ("m-00002-of-00002.gguf", 2), ("m.gguf", 100_000)):
        with pytest.raises(ModelError):
            part_names(name, parts)
