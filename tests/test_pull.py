"""Getting, placing, removing and checking models, with a hub on loopback."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gguf import PoolingType

from tests import tinygguf
from tests.file_server import FileServer, Request
from tests.scripted_hub import COMMIT, Hub, hub_with
from urial_tui import paths
from urial_tui.cli import main as cli
from urial_tui.models.attempts import Limits
from urial_tui.models.catalogue import CatalogueEntry, load_catalogue
from urial_tui.models.partial import Partial, PartialNote
from urial_tui.models.placing import removal
from urial_tui.models.stores.hub import find_file
from urial_tui.sanitize import quoted

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def hub(llama_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    content = llama_gguf.read_bytes()
    files = {"tiny.Q4_K_M.gguf": content, "tiny.Q8_0.gguf": content + b"\0", "mmproj.gguf": b"GGUF"}
    with hub_with(files, monkeypatch) as server:
        yield server


def urial(*arguments: str) -> int:
    return cli.run(["models", *arguments])


def test_a_repository_goes_into_the_hubs_cache_in_its_layout(hub: Hub, home: Path) -> None:
    assert urial("pull", "hf.co/ada/tiny-GGUF") == 0
    folder = home / "cache" / "huggingface" / "hub" / "models--ada--tiny-GGUF"
    content = hub.content["tiny.Q4_K_M.gguf"]
    blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
    link = folder / "snapshots" / COMMIT / "tiny.Q4_K_M.gguf"
    assert blob.read_bytes() == content
    assert link.readlink() == Path("../../blobs") / blob.name
    assert (folder / "refs" / "main").read_text() == COMMIT
    assert [path.name for path in (folder / "blobs").iterdir()] == [blob.name]
    assert find_file("ada/tiny-GGUF", "tiny.Q4_K_M.gguf") == link


def test_what_came_is_told_with_the_command_that_uses_it(
    hub: Hub, adapter_gguf: Path, capsys: Captured
) -> None:
    hub.content |= {"lora.gguf": adapter_gguf.read_bytes(), "none.gguf": b"GGUF"}
    for file, use in (
        ("tiny.Q8_0.gguf", " `urial ask -m hf.co/ada/tiny-GGUF/tiny.Q8_0.gguf` uses it."),
        ("lora.gguf", " `urial ask -m MODEL+hf.co/ada/tiny-GGUF/lora.gguf` uses it."),
        ("none.gguf", ""),
    ):
        assert urial("pull", f"hf.co/ada/tiny-GGUF/{file}") == 0
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith("Downloaded ")
        assert said.partition("B.")[2] == use


def test_what_is_here_is_not_sent_again(hub: Hub, capsys: Captured) -> None:
    assert urial("pull", "hf.co/ada/tiny-GGUF", "--json") == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["new"] is True
    asked = len(hub.sent)
    assert urial("pull", "hf.co/ada/tiny-GGUF", "--json") == 0
    pulled = json.loads(capsys.readouterr().out)
    assert pulled["files"][0]["new"] is False
    assert pulled["name"] == "hf.co/ada/tiny-GGUF/tiny.Q4_K_M.gguf"
    assert len(hub.sent) == asked + 1  # by HEAD


def test_the_variable_of_llama_cpp_names_the_cache(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "llama"))
    assert urial("pull", "hf.co/ada/tiny-GGUF:Q8_0") == 0
    found = tmp_path / "llama/models--ada--tiny-GGUF/snapshots" / COMMIT / "tiny.Q8_0.gguf"
    assert found.read_bytes() == hub.content["tiny.Q8_0.gguf"]


def test_a_quantisation_that_is_not_there_is_told_with_those_that_are(
    hub: Hub, capsys: Captured
) -> None:
    assert urial("pull", "hf.co/ada/tiny-GGUF:Q2_K") == 1
    said = capsys.readouterr().err
    assert "no file of the quantisation 'Q2_K'" in said
    assert "Q4_K_M (" in said
    assert "Q8_0 (" in said
    assert "mmproj" not in said


def test_a_file_of_a_repository_is_inspected_and_downloaded_by_one_address(
    hub: Hub, capsys: Captured
) -> None:
    content = hub.content["tiny.Q8_0.gguf"]
    hub.content = {"deep/tiny.Q8_0.gguf": content, "tiny.Q8_0.gguf": b"GGUF"}
    address = "hf.co/ada/tiny-GGUF/deep/tiny.Q8_0.gguf"
    assert urial("inspect", address, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["place"] == f"{hub.url}/ada/tiny-GGUF/resolve/main/deep/tiny.Q8_0.gguf"
    assert told["size"] == len(content)
    assert urial("pull", address, "--json") == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["size"] == len(content)
    assert find_file("ada/tiny-GGUF", "deep/tiny.Q8_0.gguf") is not None


def test_a_model_in_parts_is_downloaded_whole(hub: Hub, home: Path) -> None:
    parts = {f"big-Q4_K_M-0000{one}-of-00002.gguf": b"GGUF%d" % one for one in (1, 2)}
    hub.content = {f"Q4_K_M/{name}": content for name, content in parts.items()}
    assert urial("pull", "hf.co/ada/tiny-GGUF") == 0
    cache = home / "cache/huggingface/hub/models--ada--tiny-GGUF/snapshots" / COMMIT / "Q4_K_M"
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == parts


class Disk:
    """A disk with so many bytes free, whatever is written to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 0
        monkeypatch.setattr("shutil.disk_usage", lambda _: self)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


SIZES = (1000, 2000, 4000)
PARTS = {
    f"big-Q4_K_M-{number:05d}-of-00003.gguf": b"GGUF" + bytes([number]) * (size - 4)
    for number, size in enumerate(SIZES, start=1)
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose bytes, and not only whose heads, servers are asked for."""
    names: list[str] = []
    answer = FileServer.answer

    def noted(server: FileServer, request: Request) -> None:
        if request.command == "GET" and request.place.endswith(".gguf"):
            names.append(request.place.rsplit("/", 1)[-1])
        answer(server, request)

    monkeypatch.setattr(FileServer, "answer", noted)
    return names


def test_a_model_in_parts_for_which_there_is_no_room_is_not_begun(
    hub: Hub, home: Path, disk: Disk, read: list[str], capsys: Captured
) -> None:
    hub.content = dict(PARTS)
    # Each part would fit.
    disk.free = 6000
    assert urial("pull", "hf.co/ada/tiny-GGUF") == 1
    blobs = home / "cache/huggingface/hub/models--ada--tiny-GGUF/blobs"
    assert capsys.readouterr().err == (
        "urial: The disk is too full for the 3 parts of 'big-Q4_K_M-00001-of-00003.gguf': it needs "
        f"7.00 kB in {quoted(str(blobs))}, where 6.00 kB are free and 1.00 kB are missing. "
        "Make room there and try again.\n"
    )
    assert read == []
    assert not blobs.exists()


def test_what_lies_there_of_a_model_needs_no_room(
    hub: Hub, home: Path, disk: Disk, read: list[str], capsys: Captured
) -> None:
    hub.content = dict(PARTS)
    blobs = home / "cache/huggingface/hub/models--ada--tiny-GGUF/blobs"
    first, second, third = PARTS.values()
    blobs.mkdir(parents=True)
    (blobs / hashlib.sha256(first).hexdigest()).write_bytes(first)
    sha256 = hashlib.sha256(second).hexdigest()
    with Partial(blobs / sha256, ".urial.incomplete") as partial:
        partial.restart(PartialNote(url=hub.url, size=len(second), sha256=sha256))
        partial.append(second[:1500])
    disk.free = 4499
    assert urial("pull", "hf.co/ada/tiny-GGUF") == 1
    said = capsys.readouterr().err
    assert "it needs 4.50 kB in" in said
    assert "1 B are missing. Make room there. What came is kept" in said
    assert read == []
    disk.free = 4500
    assert urial("pull", "hf.co/ada/tiny-GGUF", "--json") == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert [one["new"] for one in files] == [False, True, True]
    assert [Path(one["path"]).read_bytes() for one in files] == [first, second, third]


def test_of_plain_addresses_in_parts_the_host_is_asked_how_long_they_are(
    disk: Disk, read: list[str], capsys: Captured
) -> None:
    with FileServer({f"/x/{name}": content for name, content in PARTS.items()}) as server:
        disk.free = 6000
        assert urial("pull", f"{server.url}/x/{next(iter(PARTS))}") == 1
    assert "it needs 7.00 kB in" in capsys.readouterr().err
    assert read == []
    assert not paths.models_dir().exists()


def test_parts_whose_lengths_are_not_told_before_are_downloaded_one_by_one(
    disk: Disk, capsys: Captured
) -> None:
    files = {f"/x/{name}": content for name, content in PARTS.items()}

    def act(request: Request) -> None:
        if request.command == "HEAD":
            request.reply(405)
        else:
            request.reply(200, files[request.place])

    with FileServer(act=act) as server:
        disk.free = 3000
        assert urial("pull", f"{server.url}/x/{next(iter(PARTS))}") == 1
    assert "too full for 'big-Q4_K_M-00003-of-00003.gguf'" in capsys.readouterr().err
    assert [path.name for path in sorted(paths.models_dir().iterdir())] == list(PARTS)[:2]
    # The first one is asked how long it is, in vain.
    assert [one[0] for one in server.requests].count(next(iter(files))) == 2
    assert len(server.requests) == 4


def test_a_plain_address_goes_into_the_models_directory(llama_gguf: Path) -> None:
    content = llama_gguf.read_bytes()
    with FileServer({"/x/plain.gguf": content}) as server:
        assert urial("pull", f"{server.url}/x/plain.gguf") == 0
    assert (paths.models_dir() / "plain.gguf").read_bytes() == content
    assert [path.name for path in paths.models_dir().iterdir()] == ["plain.gguf"]


def test_what_is_asked_for_again_is_told(
    hub: Hub, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urial_tui.models.download.Limits", lambda: Limits(pause=0.01))
    name, content = "tiny.Q4_K_M.gguf", hub.content["tiny.Q4_K_M.gguf"]

    def act(request: Request) -> None:
        if request.place == f"/blob/{name}" and hub.ranges[-1] is None:
            request.reply(200, content[:100_000], Content_Length=str(len(content)))
            request.close_connection = True
        else:
            hub.serve(request)

    hub.act = act
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert urial("pull", "hf.co/ada/tiny-GGUF:Q4_K_M") == 0
    lines = capsys.readouterr().err.split("\r\x1b[K")
    assert lines[1] == "Asking for hf.co/ada/tiny-GGUF:Q4_K_M"
    (again,) = [line for line in lines if "again" in line]
    assert again.startswith(f"{name}: 100 kB of ")
    assert ", trying again: the" in again
    assert lines[-1].startswith("Downloaded ")


def test_ctrl_c_keeps_what_came_of_a_download_and_the_same_command_goes_on(
    hub: Hub, home: Path
) -> None:
    name, content = "tiny.Q4_K_M.gguf", hub.content["tiny.Q4_K_M.gguf"]
    hub.held = 100_000
    command = [sys.executable, "-m", "urial_tui", "models", "pull", "hf.co/ada/tiny-GGUF"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    blobs = home / "cache/huggingface/hub/models--ada--tiny-GGUF/blobs"
    part = blobs / f"{hashlib.sha256(content).hexdigest()}.urial.incomplete"
    assert hub.stopped.wait(30)
    while not (part.exists() and part.stat().st_size == 100_000):
        assert process.poll() is None
        threading.Event().wait(0.005)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (130, "")
    assert errors == (
        "urial: Interrupted. What came is kept: the same command goes on from there.\n"
    )
    assert part.read_bytes() == content[:100_000]
    assert find_file("ada/tiny-GGUF", name) is None
    hub.held = None
    assert urial("pull", "hf.co/ada/tiny-GGUF") == 0
    assert hub.ranges[-1] == "bytes=100000-"
    found = find_file("ada/tiny-GGUF", name)
    assert found is not None
    assert found.read_bytes() == content
    assert [path.name for path in blobs.iterdir()] == [hashlib.sha256(content).hexdigest()]


def test_ctrl_c_before_a_download_has_begun_says_nothing_of_what_came(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("urial_tui.models.pull.find", find)
    assert urial("pull", "hf.co/ada/tiny-GGUF") == 130
    assert capsys.readouterr().err.lstrip() == "urial: Interrupted.\n"


def test_of_two_processes_that_download_one_file_the_second_is_told(hub: Hub, home: Path) -> None:
    name, content = "tiny.Q4_K_M.gguf", hub.content["tiny.Q4_K_M.gguf"]
    half_way, go_on = threading.Event(), threading.Event()

    def act(request: Request) -> None:
        if request.place != f"/blob/{name}" or request.command == "HEAD":
            hub.serve(request)
            return
        request.reply(200, content[:1000], Content_Length=str(len(content)))
        half_way.set()
        assert go_on.wait(30)
        request.wfile.write(content[1000:])

    hub.act = act
    command = [sys.executable, "-m", "urial_tui", "models", "pull", "hf.co/ada/tiny-GGUF"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert half_way.wait(30)
    second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 1
    assert f"The file '{name}' is being downloaded already, by another urial" in second.stderr
    assert second.stderr.count("\n") == 1
    go_on.set()
    output, _ = first.communicate()
    assert first.returncode == 0
    assert Path(output.strip()).read_bytes() == content
    blobs = Path(output.strip()).resolve().parent
    assert [path.name for path in blobs.iterdir()] == [hashlib.sha256(content).hexdigest()]


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_is_a_sentence(
    hub: Hub, capsys: Captured, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    assert urial("pull", "qwen3-0.6b") == 1
    assert f"{variable} is set" in capsys.readouterr().err
    assert not hub.requests


def test_a_file_that_is_added_is_a_link_and_removing_it_leaves_the_file(
    llama_gguf: Path, capsys: Captured
) -> None:
    assert urial("add", str(llama_gguf), "--name", "mine") == 0
    link = paths.models_dir() / "mine.gguf"
    assert link.is_symlink()
    assert link.samefile(llama_gguf)
    assert urial("add", str(llama_gguf), "--name", "mine") == 0
    assert urial("remove", "mine.gguf") == 2  # nobody can be asked
    assert link.is_symlink()
    assert urial("remove", "mine.gguf", "--yes") == 0
    assert not link.is_symlink()
    assert llama_gguf.exists()
    capsys.readouterr()


def test_a_file_that_is_named_without_its_ending_is_told_with_it(
    llama_gguf: Path, capsys: Captured
) -> None:
    assert urial("add", str(llama_gguf), "--name", "mine") == 0
    for command in ("verify", "inspect", "show", "remove"):
        capsys.readouterr()
        assert urial(command, "mine") == 1
        assert "Did you mean mine.gguf?" in capsys.readouterr().err


def test_a_file_that_is_added_is_told_with_the_command_that_uses_it(
    llama_gguf: Path, adapter_gguf: Path, tmp_path: Path, capsys: Captured
) -> None:
    pooled = tinygguf.write_llama(tmp_path / "pooled.gguf", pooling=PoolingType.MEAN)
    for file, name, use in (
        (llama_gguf, "mine", "ask -m mine.gguf"),
        (adapter_gguf, "lora", "ask -m MODEL+lora.gguf"),
        (pooled, "pooled", "prompts index POOL.jsonl --embedding pooled.gguf"),
    ):
        assert urial("add", str(file), "--name", name) == 0
        assert capsys.readouterr().err == f"`urial {use}` uses it.\n"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../mine", "'../mine.gguf' can't be a model's name"),
        (".mine", "'.mine.gguf' can't be a model's name"),
        ("taken", "There is another file named 'taken.gguf'"),
    ],
)
def test_a_name_that_a_model_can_not_be_given_is_wrong_usage(
    llama_gguf: Path, capsys: Captured, name: str, says: str
) -> None:
    paths.models_dir().mkdir(parents=True)
    (paths.models_dir() / "taken.gguf").write_bytes(b"")
    assert urial("add", str(llama_gguf), "--name", name) == 2
    told = capsys.readouterr().err
    assert says in told
    assert "--name" in told
    assert [each.name for each in paths.models_dir().iterdir()] == ["taken.gguf"]


def test_a_blob_stays_while_another_revision_links_to_it(hub: Hub, capsys: Captured) -> None:
    urial("pull", "hf.co/ada/tiny-GGUF")
    hub.commit = "d" * 40
    urial("pull", "hf.co/ada/tiny-GGUF")
    newest = find_file("ada/tiny-GGUF", "tiny.Q4_K_M.gguf")
    assert newest is not None
    assert newest.parent.name == hub.commit
    blob = newest.resolve()
    capsys.readouterr()
    assert urial("remove", "hf.co/ada/tiny-GGUF:Q4_K_M", "--yes", "--json") == 0
    told = capsys.readouterr()
    assert "another revision has it, too" in told.err
    assert json.loads(told.out)["freed"] == 0
    assert blob.exists()
    assert urial("remove", "hf.co/ada/tiny-GGUF:Q4_K_M", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["freed"] == len(hub.content["tiny.Q4_K_M.gguf"])
    assert not blob.exists()


CATALOGUE = """
[[model]]
name = "{name}"
title = "Tiny"
role = "base"
parameters = "1M"
repository = "ada/tiny-GGUF"
file = "{file}"
licence = "CC0"
licence_url = "https://example.org/cc0"
"""
PULLED = "hf.co/ada/tiny-GGUF:Q4_K_M"


def know(*models: tuple[str, str]) -> None:
    """Have the user's catalogue know models: each a name and its file at the hub."""
    text = "".join(CATALOGUE.format(name=name, file=file) for name, file in models)
    path = paths.user_catalogue_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def start_with(model: str) -> None:
    path = paths.settings_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'[chat]\nmodel = "{model}"\n')


def uses_of(name: str) -> list[str]:
    return list(removal(name).uses)


STARTS = "your settings name it as the model to start with"


def test_a_model_of_the_catalogue_is_used_by_its_adapter_and_by_the_settings(
    llama_gguf: Path,
) -> None:
    urial("add", str(llama_gguf), "--name", "gemma-3-270m")
    adapter = "the adapter gemma-3-270m-sft needs it"
    assert uses_of("gemma-3-270m") == [adapter, STARTS]
    start_with("gemma-3-270m+mine")
    assert uses_of("gemma-3-270m") == [adapter, STARTS]
    start_with("gemma-3-270m-sft")
    says = "your settings name gemma-3-270m-sft as the model to start with"
    assert uses_of("gemma-3-270m") == [adapter, says]
    start_with("another")
    assert uses_of("gemma-3-270m") == [adapter]


@pytest.mark.parametrize("named", ["mine.gguf", "{directory}/mine.gguf"], ids=["name", "path"])
def test_a_file_of_the_models_directory_is_used_by_the_settings_and_by_links(
    llama_gguf: Path, named: str
) -> None:
    file = paths.models_dir() / "mine.gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(llama_gguf.read_bytes())
    assert uses_of("mine.gguf") == []
    start_with(named.format(directory=file.parent))
    assert uses_of("mine.gguf") == [STARTS]
    urial("add", str(file), "--name", "again")
    assert uses_of("mine.gguf") == [
        STARTS,
        "a link in the models directory leads to it: again.gguf",
    ]
    # What is behind a link stays.
    assert uses_of("again.gguf") == []


def test_a_file_of_the_cache_is_used_by_the_catalogue_revisions_and_links(hub: Hub) -> None:
    urial("pull", PULLED)
    assert uses_of(PULLED) == []
    know(("tiny", "tiny.Q4_K_M.gguf"))
    model = "the model tiny of the catalogue is this file"
    assert uses_of(PULLED) == [model]
    start_with("tiny")
    assert uses_of(PULLED) == [model, STARTS]
    start_with(PULLED)
    assert uses_of(PULLED) == [model, STARTS]
    start_with("tiny")
    assert uses_of("tiny") == [STARTS]
    file = find_file("ada/tiny-GGUF", "tiny.Q4_K_M.gguf")
    assert file is not None
    urial("add", str(file), "--name", "short")
    linked = "a link in the models directory leads to it: short.gguf"
    assert uses_of("tiny") == [STARTS, linked]
    hub.commit = "d" * 40
    urial("pull", PULLED)
    # Its content stays for the older revision, and for the link.
    assert uses_of("tiny") == [STARTS, f"another revision has it, too: {file}"]


def test_a_file_that_the_catalogue_has_by_two_names_is_used_by_the_other_one(hub: Hub) -> None:
    know(("tiny", "tiny.Q4_K_M.gguf"), ("twin", "twin.gguf"))
    urial("pull", "tiny")
    file = find_file("ada/tiny-GGUF", "tiny.Q4_K_M.gguf")
    urial("add", str(file), "--name", "twin")
    assert uses_of("tiny") == [
        "the model twin of the catalogue is this file",
        "a link in the models directory leads to it: twin.gguf",
    ]


def test_verifying_finds_a_changed_byte(hub: Hub, capsys: Captured) -> None:
    urial("pull", "hf.co/ada/tiny-GGUF")
    capsys.readouterr()
    assert urial("verify", "--json") == 0
    (checked,) = json.loads(capsys.readouterr().out)["files"]
    assert (checked["checked_by"], checked["wrong"]) == ("hub", [])
    path = Path(checked["path"]).resolve()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert urial("verify", checked["name"], "--json") == 1
    (checked,) = json.loads(capsys.readouterr().out)["files"]
    assert "Its checksum is" in checked["wrong"][0]


def test_the_sources_of_the_catalogue_are_asked(hub: Hub, capsys: Captured) -> None:
    assert urial("verify", "--catalogue", "--json") == 1
    sources = json.loads(capsys.readouterr().out)["sources"]
    files = {entry.name for entry in load_catalogue().values() if entry.file}
    assert {one["name"] for one in sources} == files
    assert {one["status"] for one in sources} == {404}


def test_what_the_catalogue_does_not_know_of_a_source_is_told(
    hub: Hub, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = hub.content["tiny.Q4_K_M.gguf"]
    right: dict[str, Any] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    entries = [
        entry("bare"),
        entry("sized", size=right["size"]),
        entry("whole", **right),
        entry("longer", **(right | {"size": 77})),
        entry("other", **(right | {"sha256": "0" * 64})),
        entry("gone", file="none.gguf"),
    ]
    known = {one.name: one for one in entries}
    monkeypatch.setattr("urial_tui.models.verification.load_catalogue", lambda: known)
    assert urial("verify", "--catalogue", "--json") == 1
    sources = {one["name"]: one for one in json.loads(capsys.readouterr().out)["sources"]}
    told = {name: (*one["wrong"], *one["notes"]) for name, one in sources.items()}
    assert told == {
        "bare": ("The catalogue knows no size and no checksum.",),
        "sized": ("The catalogue knows no checksum.",),
        "whole": (),
        "longer": (f"It has {len(content):,} bytes; the catalogue says 77.",),
        "other": ("Its checksum is not the catalogue's.",),
        "gone": ("The host answers with status 404.",),
    }
    assert [name for name, one in sources.items() if one["wrong"]] == ["other", "gone"]
    assert sources["bare"]["sha256"] == right["sha256"]
    urial("verify", "--catalogue")
    said = capsys.readouterr()
    assert "there and the same" in said.out
    assert "Checked 6 sources: 2 of them wrong." in said.err


def test_a_source_whose_host_asks_to_wait_is_not_wrong(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {name: entry(name) for name in ("first", "second")}
    monkeypatch.setattr("urial_tui.models.verification.load_catalogue", lambda: known)
    with FileServer(act=lambda request: request.reply(429, Retry_After="3600")) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert urial("verify", "--catalogue", "--json") == 0
    assert len(server.requests) == 1
    told = capsys.readouterr()
    assert "Checked 0 sources: nothing wrong. 2 could not be checked." in told.err
    first, second = json.loads(told.out)["sources"]
    assert (first["status"], first["wrong"], second["status"]) == (429, [], 0)
    assert first["unchecked"].endswith("asks to wait (1 h 0 min).")
    assert second["unchecked"] == first["unchecked"]


def entry(name: str, file: str = "tiny.Q4_K_M.gguf", **known: Any) -> CatalogueEntry:
    """An entry of the catalogue whose file the hub has."""
    return CatalogueEntry(
        name=name,
        title="Tiny",
        role="base",
        parameters="1M",
        repository="ada/tiny-GGUF",
        file=file,
        licence="MIT",
        licence_url="https://example.org/licence",
        **known,
    )


def test_without_a_network_the_sources_are_not_asked_one_by_one(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert urial("verify", "--catalogue") == 1
    assert capsys.readouterr().err.count("HF_HUB_OFFLINE is set") == 1
