"""Models that other programs keep: found where they lie, each once, by a name that can be used."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import tinygguf
from urial_tui import paths
from urial_tui.cli import main as cli
from urial_tui.errors import ModelError
from urial_tui.models import discovery
from urial_tui.models.discovery import Discovery, FoundModel, discover
from urial_tui.models.file_index import FileIndex
from urial_tui.models.registry import list_models, resolve
from urial_tui.models.stores import hub, lm_studio, ollama, walk
from urial_tui.models.stores.file_names import part_of, quantisation_of, unfinished

NEW, OLD = "a" * 40, "b" * 40
REPOSITORY = "someone/tiny-GGUF"


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(path: Path, *, architecture: str = "llama", tensors: int = 1, more: bytes = b"") -> Path:
    """The start of a GGUF file, which is all that is looked at; `more` makes it another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack("<4sIQQ", b"GGUF", 3, tensors, 1)
    key = text("general.architecture") + struct.pack("<I", 8) + text(architecture)
    path.write_bytes(head + key + more)
    return path


def in_hub(
    top: Path, file: str, *, repository: str = REPOSITORY, commit: str = NEW, blob: str = ""
) -> Path:
    """A file of a revision, as the hub's cache has it: a link to its blob."""
    folder = top / f"models--{repository.replace('/', '--')}"
    kept = folder / "blobs" / (blob or file.replace("/", "-"))
    if not kept.exists():
        gguf(kept, more=file.encode())
    link = folder / "snapshots" / commit / file
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(kept, link.parent))
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(NEW)
    return link


def in_ollama(
    top: Path, name: str, *, layers: list[dict[str, object]] | None = None, digit: str = "1"
) -> Path:
    """A manifest at HOST/OWNER/NAME/TAG and the file that it names."""
    digest = "sha256:" + digit * 64
    blob = gguf(top / "blobs" / digest.replace(":", "-"), more=digit.encode())
    given = [{"mediaType": "application/vnd.ollama.image.model", "digest": digest}]
    manifest = top / "manifests" / name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": given + (layers or [])}))
    return blob


@pytest.fixture
def hub_cache(home: Path) -> Path:
    return home / "cache" / "huggingface" / "hub"


@pytest.fixture
def own(home: Path) -> Path:
    """A directory that the settings name."""
    path = home / "own"
    path.mkdir()
    paths.settings_file().parent.mkdir(parents=True)
    paths.settings_file().write_text(f"[models]\ndirectories = [{json.dumps(str(path))}]\n")
    return path


def names(found: Discovery) -> list[str]:
    return [model.name for model in found.models]


def reasons(found: Discovery) -> dict[str, str]:
    return {one.path.name: one.why for one in found.left_out}


def the_one(found: Discovery) -> FoundModel:
    (model,) = found.models
    return model


# -- the hub's cache -------------------------------------------------------------------


def test_a_file_of_the_hub_s_cache_is_found_by_its_repository(hub_cache: Path) -> None:
    link = in_hub(hub_cache, "tiny.Q4_K_M.gguf")
    model = the_one(discover())
    assert model.name == f"hf.co/{REPOSITORY}:Q4_K_M"
    assert (model.path, model.store, model.kind) == (link, "hub", "model")
    assert (model.repository, model.revision) == (REPOSITORY, NEW)
    assert (model.file, model.quantisation) == ("tiny.Q4_K_M.gguf", "Q4_K_M")
    assert (model.size, model.architecture, model.parts) == (link.stat().st_size, "llama", 1)
    for name in (model.name, f"hf.co/{REPOSITORY}", f"hf.co/{REPOSITORY}/tiny.Q4_K_M.gguf"):
        assert resolve(name).path == link
    assert resolve(f"hf.co/{REPOSITORY}:q4_k_m").path == link
    assert resolve(f"hf.co/{REPOSITORY}").title == model.name


def test_a_repository_alone_means_the_usual_quantisation_or_has_to_be_told_apart(
    hub_cache: Path,
) -> None:
    in_hub(hub_cache, "tiny.Q8_0.gguf")
    in_hub(hub_cache, "tiny.Q2_K.gguf")
    with pytest.raises(ModelError, match="stands for several models") as caught:
        resolve(f"hf.co/{REPOSITORY}")
    assert f"hf.co/{REPOSITORY}:Q2_K, hf.co/{REPOSITORY}:Q8_0" in caught.value.hint
    usual = in_hub(hub_cache, "tiny.Q4_K_M.gguf")
    assert resolve(f"hf.co/{REPOSITORY}").path == usual


def test_files_of_one_quantisation_are_named_by_themselves(hub_cache: Path) -> None:
    in_hub(hub_cache, "base.Q8_0.gguf")
    in_hub(hub_cache, "chat/chat.Q8_0.gguf")
    at = f"hf.co/{REPOSITORY}"
    assert names(discover()) == [f"{at}/base.Q8_0.gguf", f"{at}/chat/chat.Q8_0.gguf"]
    with pytest.raises(ModelError, match="several models") as caught:
        resolve(f"{at}:Q8_0")
    assert f"{at}/base.Q8_0.gguf, {at}/chat/chat.Q8_0.gguf" in caught.value.hint


def test_of_several_revisions_the_newest_counts(hub_cache: Path) -> None:
    new = in_hub(hub_cache, "same.Q8_0.gguf")
    old = in_hub(hub_cache, "same.Q8_0.gguf", commit=OLD)
    in_hub(hub_cache, "changed.Q4_0.gguf", blob="1")
    before = in_hub(hub_cache, "changed.Q4_0.gguf", blob="2", commit=OLD)
    gone = in_hub(hub_cache, "gone.Q2_K.gguf", commit=OLD)
    found = discover()
    at = f"hf.co/{REPOSITORY}"
    assert {model.name: model.path for model in found.models} == {
        f"{at}:Q4_0": new.with_name("changed.Q4_0.gguf"),
        f"{at}:Q8_0": new,
        f"{at}@bbbbbbbb:Q4_0": before,
        f"{at}:Q2_K": gone,
    }
    assert [(one.path, one.why) for one in found.left_out] == [(old, f"the same file as {at}:Q8_0")]
    assert resolve(f"{at}@bbbbbbbb:Q4_0").path == before


def test_without_a_ref_the_last_revision_counts(hub_cache: Path) -> None:
    new = in_hub(hub_cache, "tiny.Q8_0.gguf", blob="1")
    old = in_hub(hub_cache, "tiny.Q8_0.gguf", blob="2", commit=OLD)
    os.utime(old.parent, ns=(0, 0))
    for content in ("../../..", "", "x" * 5000, "\0"):
        (hub_cache / "models--someone--tiny-GGUF" / "refs" / "main").write_text(content)
        assert resolve(f"hf.co/{REPOSITORY}:Q8_0").path == new


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, [".cache/huggingface/hub"]),
        ({"XDG_CACHE_HOME": "xdg"}, ["xdg/huggingface/hub"]),
        ({"XDG_CACHE_HOME": "xdg", "HF_HOME": "hf"}, ["hf/hub"]),
        ({"HF_HOME": "hf", "HUGGINGFACE_HUB_CACHE": "old"}, ["old"]),
        ({"HUGGINGFACE_HUB_CACHE": "old", "HF_HUB_CACHE": "new"}, ["new"]),
        ({"HF_HUB_CACHE": "new", "LLAMA_CACHE": "llama"}, ["llama", "new"]),
        ({"LLAMA_CACHE": "llama"}, ["llama", ".cache/huggingface/hub"]),
        ({"LLAMA_CACHE": "one", "HF_HUB_CACHE": "one"}, ["one"]),
        ({"LLAMA_CACHE": "", "HF_HUB_CACHE": "", "HF_HOME": "~/tilde"}, ["tilde/hub"]),
    ],
)
def test_the_hub_s_cache_lies_where_the_variables_say(
    home: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: list[str]
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    for variable, value in variables.items():
        place = value if not value or value.startswith("~") else str(home / value)
        monkeypatch.setenv(variable, place)
    assert hub.directories() == tuple(home / path for path in expected)


def test_a_model_of_the_catalogue_is_used_from_the_hub_s_cache(
    home: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = in_hub(hub_cache, "Qwen3-8B-Q4_K_M.gguf", repository="Qwen/Qwen3-8B-GGUF")
    statuses = {status.name: status for status in list_models()}
    status = statuses["qwen3-8b"]
    assert (status.state, status.place, status.store) == ("disk", link, "hub")
    assert "hf.co/Qwen/Qwen3-8B-GGUF:Q4_K_M" not in statuses
    assert resolve("qwen3-8b").path == link
    link.unlink()
    link.symlink_to("../../blobs/gone")
    assert {status.name: status for status in list_models()}["qwen3-8b"].state == "absent"


# -- llama.cpp's older cache -----------------------------------------------------------


def test_the_flat_cache_of_llama_cpp_is_named_by_its_manifests(home: Path) -> None:
    cache = home / "cache" / "llama.cpp"
    known = gguf(cache / "an_owner_a_name_sub_tiny-Q8_0.gguf")
    told = {"ggufFile": {"rfilename": "sub/tiny-Q8_0.gguf", "size": 1}}
    (cache / "manifest=an_owner=a_name=latest.json").write_text(json.dumps(told))
    older = gguf(cache / "other.gguf", more=b"2")
    address = {"url": "https://huggingface.co/old/repo/resolve/main/tiny-Q4_0.gguf"}
    (cache / "other.gguf.json").write_text(json.dumps(address))
    alone = gguf(cache / "alone.gguf", more=b"3")
    (cache / "alone.gguf.json").write_text("{")
    gguf(cache / "late.gguf.downloadInProgress")
    (cache / "manifest=x=y=z.json").write_text('{"ggufFile": 3}')
    found = discover()
    assert {model.name: model.path for model in found.models} == {
        "hf.co/an_owner/a_name:Q8_0": known,
        # The quantisation is that of its own name.
        "hf.co/old/repo/tiny-Q4_0.gguf": older,
        "alone.gguf": alone,
    }
    assert reasons(found) == {"late.gguf.downloadInProgress": "an unfinished download"}
    assert resolve("alone.gguf").path == alone


def test_a_download_that_both_caches_have_is_told_once(home: Path, hub_cache: Path) -> None:
    link = in_hub(hub_cache, "tiny.Q8_0.gguf")
    cache = home / "cache" / "llama.cpp"
    cache.mkdir()
    (cache / "someone_tiny-GGUF_tiny.Q8_0.gguf").write_bytes(link.read_bytes())
    told = {"ggufFile": {"rfilename": "tiny.Q8_0.gguf"}}
    (cache / "manifest=someone=tiny-GGUF=Q8_0.json").write_text(json.dumps(told))
    found = discover()
    assert the_one(found).path == link
    assert reasons(found) == {
        "someone_tiny-GGUF_tiny.Q8_0.gguf": f"a copy of hf.co/{REPOSITORY}:Q8_0"
    }


# -- LM Studio -------------------------------------------------------------------------


def test_lm_studio_s_models_are_found_in_all_its_homes(home: Path) -> None:
    gguf(home / ".lmstudio" / "models" / "a" / "b" / "one.gguf", more=b"1")
    gguf(home / ".cache" / "lm-studio" / "models" / "a" / "b" / "two.gguf", more=b"2")
    pointed = home / "else where"
    third = gguf(pointed / "models" / "a" / "b" / "three-Q4_0.gguf", more=b"3")
    (home / ".lmstudio-home-pointer").write_text(f"{pointed}\n")
    gguf(home / "told" / "a" / "b" / "four.gguf", more=b"4")
    settings = {"downloadsFolder": str(home / "told")}
    (home / ".lmstudio" / "settings.json").write_text(json.dumps(settings))
    found = discover()
    at = "lmstudio/a/b"
    assert names(found) == [
        f"{at}/three-Q4_0.gguf",
        f"{at}/four.gguf",
        f"{at}/one.gguf",
        f"{at}/two.gguf",
    ]
    assert found.models[0].repository == "a/b"
    assert found.models[0].quantisation == "Q4_0"
    for name in (f"{at}/three-Q4_0.gguf", f"{at}/three-Q4_0"):
        assert resolve(name).path == third


@pytest.mark.parametrize("content", [b"", b"relative/path", b"\xff\xfe\xff", b"x" * 20_000, b"\0"])
def test_a_pointer_of_lm_studio_that_points_nowhere_is_passed_over(
    home: Path, content: bytes
) -> None:
    (home / ".lmstudio-home-pointer").write_bytes(content)
    (home / ".lmstudio").mkdir()
    (home / ".lmstudio" / "settings.json").write_bytes(content)
    assert lm_studio.directories() == (
        home / ".lmstudio" / "models",
        home / ".cache" / "lm-studio" / "models",
    )


# -- Ollama ----------------------------------------------------------------------------


@pytest.fixture
def ollama_home(home: Path) -> Path:
    return home / ".ollama" / "models"


def test_ollama_s_models_are_named_as_there(ollama_home: Path) -> None:
    first = in_ollama(ollama_home, "registry.ollama.ai/library/llama3/latest")
    in_ollama(ollama_home, "registry.ollama.ai/someone/mine/7b", digit="2")
    in_ollama(ollama_home, "hf.co/owner/name-GGUF/Q4_K_M", digit="3")
    found = discover()
    assert names(found) == [
        "ollama/hf.co/owner/name-GGUF:Q4_K_M",
        "ollama/llama3:latest",
        "ollama/someone/mine:7b",
    ]
    assert [model.quantisation for model in found.models] == ["Q4_K_M", "", ""]
    assert resolve("ollama/llama3:latest").path == first
    assert resolve("ollama/llama3").path == first
    assert resolve("ollama/llama3").title == "ollama/llama3:latest"
    with pytest.raises(ModelError, match="There is no model 'ollama/llama2' on this machine"):
        resolve("ollama/llama2")


def test_tags_of_one_file_are_one_model_and_all_work(ollama_home: Path) -> None:
    blob = in_ollama(ollama_home, "registry.ollama.ai/library/llama3/8b")
    in_ollama(ollama_home, "registry.ollama.ai/library/llama3/latest")
    found = discover()
    assert names(found) == ["ollama/llama3:8b"]
    assert [one.why for one in found.left_out] == ["the same file as ollama/llama3:8b"]
    for name in ("ollama/llama3:8b", "ollama/llama3:latest", "ollama/llama3"):
        assert resolve(name).path == blob


def test_layers_of_ollama_that_are_not_used_are_said(ollama_home: Path) -> None:
    kinds = ("template", "license", "projector", "adapter; name=x")
    layers: list[dict[str, object]] = [
        {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": ""} for kind in kinds
    ]
    in_ollama(ollama_home, "registry.ollama.ai/library/seeing/1b", layers=layers)
    assert the_one(discover()).problems == (
        "its projector, for images, is not used",
        "its adapter is not used",
    )


def test_ollama_s_configuration_tells_the_quantisation(ollama_home: Path) -> None:
    in_ollama(ollama_home, "registry.ollama.ai/library/x/1b")
    manifest = ollama_home / "manifests/registry.ollama.ai/library/x/1b"
    told = json.loads(manifest.read_text())
    told["config"] = {"mediaType": "x", "digest": "sha256:" + "c" * 64}
    manifest.write_text(json.dumps(told))
    (ollama_home / "blobs" / ("sha256-" + "c" * 64)).write_text('{"file_type": "Q5_K_M"}')
    assert the_one(discover()).quantisation == "Q5_K_M"


def layer(digest: object, kind: str = "model") -> str:
    layers = [{"mediaType": f"application/vnd.ollama.image.{kind}", "digest": digest}]
    return json.dumps({"layers": layers})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ("[" * 100_000, "damaged"),
        ('{"layers": 3}', "damaged"),
        ('{"layers": [3]}', "damaged"),
        (layer(3), "damaged"),
        (json.dumps({"layers": [{"mediaType": "x"}] * 10_001}), "damaged"),
        (" " * (1024 * 1024 + 1), "can't be read: it is longer than 1 MiB"),
        ("{}", "it holds no weights"),
        (layer("sha256:" + "f" * 64, kind="tensor; name=x"), "its weights are no GGUF file"),
        (layer("sha256:" + "f" * 64), "its weights: not there"),
        (layer("sha256:../../../secret.gguf"), "its manifest names no file"),
        (layer("sha256:" + "F" * 64 + "/.."), "its manifest names no file"),
        (layer(""), "its manifest names no file"),
    ],
)
def test_a_manifest_that_is_none_is_told(ollama_home: Path, content: str, why: str) -> None:
    gguf(ollama_home.parent.parent / "secret.gguf")
    manifest = ollama_home / "manifests" / "registry.ollama.ai" / "library" / "bad" / "latest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(content)
    found = discover()
    assert found.models == ()
    (told,) = found.left_out
    assert (told.path, told.store) == (manifest, "ollama")
    assert why in told.why


def test_ollama_s_models_lie_where_the_variable_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(home / "moved"))
    assert ollama.directories() == (home / "moved",)
    monkeypatch.delenv("OLLAMA_MODELS")
    assert ollama.directories() == (
        home / ".ollama" / "models",
        Path("/usr/share/ollama/.ollama/models"),
    )


# -- directories of the settings -------------------------------------------------------


def test_own_files_are_found_by_their_names(own: Path) -> None:
    path = gguf(own / "deep" / "down" / "mine-Q6_K.gguf")
    model = the_one(discover())
    assert (model.name, model.store, model.quantisation) == ("mine-Q6_K.gguf", "directory", "Q6_K")
    assert resolve("mine-Q6_K.gguf").path == path
    assert [(one.name, one.place) for one in list_models() if one.store] == [(path.name, path)]


def test_own_files_of_one_name_are_told_apart_by_their_paths(own: Path) -> None:
    paths_of = [gguf(own / place / "mine.gguf", more=place.encode()) for place in "ab"]
    assert names(discover()) == [str(path) for path in paths_of]
    with pytest.raises(ModelError, match=r"'mine\.gguf' stands for several") as caught:
        resolve("mine.gguf")
    assert ", ".join(map(str, paths_of)) in caught.value.hint


def test_the_models_directory_comes_first(own: Path) -> None:
    first = gguf(paths.models_dir() / "mine.gguf")
    second = gguf(own / "mine.gguf", more=b"2")
    (own / "link.gguf").symlink_to(first)
    found = discover()
    assert [(one.name, one.store) for one in found.models] == [
        ("mine.gguf", "models"),
        (str(second), "directory"),
    ]
    assert reasons(found) == {"link.gguf": "the same file as mine.gguf"}
    assert resolve("mine.gguf").path == first


def test_names_that_can_not_be_typed_give_way_to_the_path(own: Path) -> None:
    plus = gguf(own / "a+b.gguf")
    odd = gguf(own / "evil\n\x1b[2J.gguf", more=b"2")
    found = discover()
    assert names(found) == [str(plus), str(odd)]
    assert [resolve(name).path for name in names(found)] == [plus, odd]


def test_a_directory_that_is_none_is_told(own: Path, home: Path) -> None:
    found = discover(["relative", str(home / "gone"), str(own)])
    assert [(str(one.path), one.why.partition(" ")[2]) for one in found.left_out] == [
        ("relative", "has to name it from the root, or from ~"),
        (str(home / "gone"), "names it, and there is no such directory"),
    ]


# -- what is left out ------------------------------------------------------------------


def make_socket(path: Path) -> None:
    here = Path.cwd()
    # A socket's path has to be short.
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    ("name", "make", "why"),
    [
        ("._a.gguf", Path.touch, "macOS's notes about another file"),
        (".a.gguf", Path.touch, "hidden: its name starts with a dot"),
        ("a.gguf.part", Path.touch, "an unfinished download"),
        ("a.gguf.incomplete", Path.touch, "an unfinished download"),
        ("a.gguf.downloadInProgress", Path.touch, "an unfinished download"),
        ("downloading_a.gguf.part", Path.touch, "an unfinished download"),
        ("a.gguf.part1of2", Path.touch, "a piece of a file that was cut"),
        ("a.gguf-split-a", Path.touch, "a piece of a file that was cut"),
        ("a.gguf", lambda p: p.symlink_to("gone"), "a link to a file that is not there"),
        ("a.gguf", lambda p: p.symlink_to("a.gguf"), "it can't be looked at"),
        ("a.gguf", os.mkfifo, "a pipe, not a file"),
        ("a.gguf", make_socket, "a socket, not a file"),
        ("a.gguf", lambda p: p.symlink_to("/dev/zero"), "a device, not a file"),
        ("a.gguf", Path.touch, "is empty"),
        ("a.gguf", lambda p: p.write_bytes(b"<html>"), "is not a GGUF model: it looks like a web"),
        ("a.gguf", lambda p: p.write_bytes(b"GGUF\3"), "is cut off"),
        ("a.gguf", lambda p: gguf(p, architecture="clip"), "is an image encoder"),
        ("a.gguf", lambda p: gguf(p, tensors=0), "holds no weights, only a vocabulary"),
    ],
)
def test_what_is_no_model_is_left_out_with_the_reason(
    own: Path, name: str, make: Callable[[Path], Any], why: str
) -> None:
    make(own / name)
    found = discover()
    assert found.models == ()
    (told,) = found.left_out
    assert told.path == own / name
    assert told.why.startswith(why)


def test_other_files_are_no_matter(own: Path) -> None:
    for name in ("readme.md", "._readme", "x.gguf.sha256", "gguf", ".DS_Store"):
        (own / name).touch()
    (own / "folder.gguf").mkdir()
    assert discover() == Discovery(models=(), left_out=(), headers_read=0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_can_not_be_read_is_told_in_a_line_each(own: Path) -> None:
    closed = own / "closed"
    closed.mkdir()
    closed.chmod(0)
    gguf(own / "mine.gguf").chmod(0)
    found = discover()
    closed.chmod(0o700)
    assert reasons(found) == {
        "closed": "it can't be looked into: Permission denied",
        "mine.gguf": "can't be read: Permission denied",
    }
    (own / "mine.gguf").chmod(0o600)
    assert names(discover()) == ["mine.gguf"]


def test_a_directory_that_can_not_be_opened_does_not_end_the_search(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gguf(own / "closed" / "a.gguf")
    gguf(own / "open" / "b.gguf")
    scandir = os.scandir

    def refusing(path: Path) -> Any:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("urial_tui.models.stores.walk.os.scandir", refusing)
    found = discover()
    assert names(found) == ["b.gguf"]
    assert reasons(found) == {"closed": "it can't be looked into: Permission denied"}


def test_links_of_directories_that_go_in_circles_end(own: Path) -> None:
    gguf(own / "a" / "mine.gguf")
    (own / "a" / "round").symlink_to(own)
    (own / "b").symlink_to("a")
    (own / "self").symlink_to("self")
    found = discover()
    assert names(found) == ["mine.gguf"]
    assert found.left_out == ()


def test_depth_and_number_are_bounded(own: Path) -> None:
    gguf(own.joinpath(*"123456789") / "deep.gguf")
    gguf(own.joinpath(*"12345678") / "here.gguf")
    found = discover()
    assert names(found) == ["here.gguf"]
    assert reasons(found) == {"9": "it lies too deep, and is not looked into"}
    for name in "abcd":
        gguf(own / "many" / name / "x.gguf")
    limited = walk.Walk("directory", entries=6)
    assert len(list(limited.files(own / "many"))) == 2
    assert [(one.path, one.why) for one in limited.left_out] == [
        (own / "many" / "c", "too much to look at; the search stopped in here")
    ]


# -- several files, and other kinds ----------------------------------------------------


def test_parts_are_one_model_by_the_first(own: Path) -> None:
    parts = [gguf(own / f"big-Q8_0-0000{n}-of-00003.gguf", tensors=n - 1) for n in (1, 2, 3)]
    model = the_one(discover())
    assert (model.name, model.path, model.parts) == (parts[0].name, parts[0], 3)
    assert model.size == sum(part.stat().st_size for part in parts)
    assert model.quantisation == "Q8_0"


def test_missing_parts_are_said(own: Path, hub_cache: Path) -> None:
    gguf(own / "a-00002-of-00003.gguf")
    gguf(own / "b-00001-of-00002.gguf")
    gguf(own / "c-00000-of-00000.gguf")
    gguf(own / "d-00001-of-99999.gguf")
    in_hub(hub_cache, "e-Q8_0-00001-of-00002.gguf")
    found = discover()
    assert found.models == ()
    assert reasons(found) == {
        "a-00002-of-00003.gguf": "of its 3 parts 1, 3 are missing",
        "b-00001-of-00002.gguf": "of its 2 parts 2 is missing",
        "c-00000-of-00000.gguf": "its name says that it is a part of a model, and not which",
        "d-00001-of-99999.gguf": "its name says that it is a part of a model, and not which",
        "e-Q8_0-00001-of-00002.gguf": "of its 2 parts 2 is missing",
    }


def long_header(path: Path, *, vocabulary: Sequence[str] = (), keys: bytes = b"") -> Path:
    """A file whose vocabulary is longer than what is read at first; `keys`: one behind it."""
    tokens = [*vocabulary, *(f"token {n:06}" for n in range(90_000))]
    told = text("general.architecture") + struct.pack("<I", 8) + text("llama")
    told += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, len(tokens))
    told += b"".join(map(text, tokens)) + (keys or text("a.key") + struct.pack("<IH", 2, 2))
    tensor = text("token_embd.weight") + struct.pack("<IQIQ", 1, 8, 0, 0)
    head = struct.pack("<4sIQQ", b"GGUF", 3, 1, 3) + told + tensor
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + bytes(-len(head) % 32) + bytes(32))
    return path


def test_a_first_part_that_was_renamed_is_no_model(own: Path) -> None:
    mark = text("split.count") + struct.pack("<IH", 2, 3)
    renamed = long_header(own / "renamed.gguf", keys=mark)
    # Both have the words of the mark, which they do not mean.
    long_header(own / "whole.gguf", vocabulary=["split.count", "ab", "token_embd.weight"])
    long_header(own / "other.gguf", keys=text("split.count") + struct.pack("<IH", 2, 1))
    found = discover()
    assert names(found) == ["other.gguf", "whole.gguf"]
    assert reasons(found) == {"renamed.gguf": "one of 3 parts, and not named like one"}
    assert discover().headers_read == 0
    for number in (1, 2, 3):
        renamed.with_name(f"right-0000{number}-of-00003.gguf").hardlink_to(renamed)
    renamed.unlink()
    assert [one.parts for one in discover().models if one.path.name.startswith("right")] == [3]


def test_a_header_that_is_damaged_far_in_is_listed_by_its_start(own: Path) -> None:
    mark = text("split.count") + struct.pack("<IH", 99, 3)
    long_header(own / "damaged.gguf", keys=mark)
    assert names(discover()) == ["damaged.gguf"]


def test_parts_in_the_hub_s_cache_are_named_by_their_quantisation(hub_cache: Path) -> None:
    first = in_hub(hub_cache, "Q8_0/big-00001-of-00002.gguf")
    in_hub(hub_cache, "Q8_0/big-00002-of-00002.gguf")
    model = the_one(discover())
    assert (model.name, model.path, model.parts) == (f"hf.co/{REPOSITORY}:Q8_0", first, 2)


def test_adapters_and_embedding_models_are_listed_as_such(own: Path, llama_gguf: Path) -> None:
    adapter = tinygguf.write_adapter(own / "lora.gguf")
    tinygguf.write_encoder(own / "vectors.gguf")
    (own / "tiny.gguf").symlink_to(llama_gguf)
    found = discover()
    assert [(one.name, one.kind, one.architecture) for one in found.models] == [
        ("lora.gguf", "adapter", "llama"),
        ("tiny.gguf", "model", "llama"),
        ("vectors.gguf", "embedding", "bert"),
    ]
    assert [status.name for status in list_models() if status.store] == ["tiny.gguf"]
    resolved = resolve("tiny.gguf+lora.gguf")
    assert (resolved.path, resolved.adapter) == (own / "tiny.gguf", adapter)
    assert resolve("vectors.gguf", kind="embedding").path == own / "vectors.gguf"
    with pytest.raises(ModelError, match="LoRA adapter, not a model"):
        resolve("lora.gguf")


def test_an_adapter_of_the_hub_s_cache_goes_behind_a_plus(
    hub_cache: Path, llama_gguf: Path, adapter_gguf: Path
) -> None:
    for file, source in (("tiny.Q8_0.gguf", llama_gguf), ("lora-F16.gguf", adapter_gguf)):
        in_hub(hub_cache, file).resolve().write_bytes(source.read_bytes())
    resolved = resolve(f"hf.co/{REPOSITORY}+hf.co/{REPOSITORY}:F16")
    assert resolved.path.name == "tiny.Q8_0.gguf"
    assert resolved.adapter is not None
    assert resolved.adapter.name == "lora-F16.gguf"


# -- names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "quantisation"),
    [
        ("Qwen3-8B-Q4_K_M", "Q4_K_M"),
        ("model.q8_0", "Q8_0"),
        ("x.i1-IQ2_XXS", "IQ2_XXS"),
        ("x-UD-Q4_K_XL", "UD-Q4_K_XL"),
        ("x_Q4_K_M_imatrix", "Q4_K_M"),
        ("x-Q4_0_4_4", "Q4_0_4_4"),
        ("x-BF16", "BF16"),
        ("gpt-oss-20b-mxfp4", "MXFP4"),
        ("BF16/x", "BF16"),
        ("tq1_0", "TQ1_0"),
        ("Qwen3-Q", ""),
        ("FAQ4_K", ""),
        ("x" * 100_000, ""),
    ],
)
def test_a_name_tells_the_quantisation(name: str, quantisation: str) -> None:
    assert quantisation_of(name) == quantisation


def test_names_of_parts_and_of_whole_files_are_told_apart() -> None:
    assert part_of("a-00002-of-00003.gguf") == ("a", 2, 3)
    assert part_of("a-2-of-3.gguf") is None
    assert unfinished("a.gguf") == unfinished("a.part") == unfinished("a-split-a") == ""


def test_a_path_of_that_name_is_used_where_no_store_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, llama_gguf: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ollama").mkdir()
    (tmp_path / "ollama" / "tiny.gguf").symlink_to(llama_gguf)
    resolved = resolve("ollama/tiny.gguf")
    assert (resolved.path, resolved.found_as) == (Path("ollama/tiny.gguf"), "")


# -- the index -------------------------------------------------------------------------


def test_only_headers_of_changed_files_are_read_again(own: Path) -> None:
    files = [gguf(own / f"{n % 10}" / f"m{n}.gguf", more=b"%d" % n) for n in range(1000)]
    assert discover().headers_read == 1000
    again = discover()
    assert again.headers_read == 0
    assert len(again.models) == 1000
    gguf(files[7], architecture="clip")
    files[8].unlink()
    gguf(own / "new.gguf")
    changed = discover()
    assert changed.headers_read == 2
    assert len(changed.models) == 999
    assert reasons(changed)["m7.gguf"].startswith("is an image encoder")
    assert discover().headers_read == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1" * 100,
        msgspec.msgpack.encode({"version": 1, "files": {b"x": 3}}),
        msgspec.msgpack.encode({"version": 99, "files": {}}),
        msgspec.msgpack.encode([[[]]]),
    ],
)
def test_a_damaged_index_is_made_again(own: Path, content: bytes) -> None:
    gguf(own / "mine.gguf")
    before = discover()
    paths.model_index_file().write_bytes(content)
    assert discover() == before
    assert discover().headers_read == 0


def test_an_index_that_can_not_be_kept_is_no_matter(own: Path) -> None:
    gguf(own / "mine.gguf")
    paths.model_index_file().parent.mkdir(parents=True)
    paths.model_index_file().mkdir()
    assert names(discover()) == ["mine.gguf"]
    assert discover().headers_read == 1
    assert list(paths.model_index_file().parent.iterdir()) == [paths.model_index_file()]


def test_an_index_elsewhere_is_used_when_named(tmp_path: Path) -> None:
    with FileIndex(tmp_path / "deep" / "index") as index:
        assert index.read == 0
    assert not (tmp_path / "deep").exists()


# -- the command -----------------------------------------------------------------------


@pytest.fixture
def everything(home: Path, own: Path, hub_cache: Path, ollama_home: Path) -> Path:
    """A home with something of all that there can be."""
    in_hub(hub_cache, "tiny.Q4_K_M.gguf")
    in_hub(hub_cache, "tiny.Q4_K_M.gguf", commit=OLD)
    (hub_cache / "models--someone--tiny-GGUF" / "blobs" / "x.incomplete").touch()
    gguf(home / "cache" / "llama.cpp" / "flat.gguf", more=b"1")
    gguf(home / ".lmstudio" / "models" / "a" / "b" / "c-Q8_0.gguf", more=b"2")
    in_ollama(ollama_home, "registry.ollama.ai/library/llama3/8b")
    (ollama_home / "blobs" / f"sha256-{'9' * 64}-partial-0").touch()
    (ollama_home / "blobs" / f"sha256-{'9' * 64}-partial").touch()
    gguf(own / "evil\x1b[2J\n\u202e.gguf", more=b"3")
    gguf(own / "mmproj.gguf", architecture="clip")
    gguf(paths.models_dir() / "placed.gguf", more=b"4")
    tinygguf.write_adapter(own / "lora.gguf")
    # In parts: one whole, one that lacks its end, and the hub's with each part a blob of its own.
    for number in (1, 2):
        gguf(own / f"big-0000{number}-of-00002.gguf", more=b"5%d" % number)
        in_hub(hub_cache, f"large-0000{number}-of-00002.gguf", repository="someone/large-GGUF")
    gguf(own / "cut-00001-of-00003.gguf", more=b"6")
    # Another revision has another content under the same name.
    in_hub(hub_cache, "moved.Q8_0.gguf", repository="someone/moved")
    in_hub(hub_cache, "moved.Q8_0.gguf", repository="someone/moved", commit=OLD, blob="older")
    (own / "._placed.gguf").touch()
    (own / "gone.gguf").symlink_to("nowhere")
    (own / "again.gguf").symlink_to(own / "big-00001-of-00002.gguf")
    (own / "link.gguf").symlink_to(paths.models_dir() / "placed.gguf")
    gguf(own / "words.gguf", tensors=0)
    (own / "nothing.gguf").touch()
    return home


def test_the_command_tells_what_was_found_by_store(
    everything: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["models", "discover"]) == 0
    shown = capsys.readouterr().out
    for title in (
        "The models directory: 1 file",
        "Your directories: 3 files",
        "Hugging Face's cache: 4 files",
        "llama.cpp's older cache: 1 file",
        "LM Studio: 1 file",
        "Ollama: 1 file",
        "Left out: 11",
    ):
        assert title in shown
    assert f"hf.co/{REPOSITORY}:Q4_K_M" in shown
    assert f"the same file as hf.co/{REPOSITORY}:Q4_K_M" in shown
    assert f"an unfinished download from {REPOSITORY}" in shown
    for why in (
        "macOS's notes about another file",
        "a link to a file that is not there",
        "of its 3 parts 2, 3 are missing",
        "an image encoder, not a language model",
        "holds no weights, only a vocabulary",
        "is empty",
        "the same file as placed.gguf",
        "the same file as big-00001-of-00002.gguf",
    ):
        assert why in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "evil␛[2J <U+202E>.gguf" in shown


def test_the_command_s_document_has_all(
    everything: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["models", "discover", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"models", "left_out", "headers_read"}
    assert all(
        set(model)
        == {
            *("name", "kind", "store", "path", "parts", "size", "quantisation", "architecture"),
            *("repository", "file", "revision", "tag", "aliases", "problems"),
        }
        for model in document["models"]
    )
    assert {(model["store"], model["kind"]) for model in document["models"]} == {
        *((store, "model") for store in ("models", "directory", "hub", "llama.cpp")),
        *(("lmstudio", "model"), ("ollama", "model"), ("directory", "adapter")),
    }
    assert all(set(one) == {"path", "store", "why"} for one in document["left_out"])


def test_every_name_that_is_told_works_as_model(everything: Path) -> None:
    found = discover()
    assert len(found.models) == 11
    assert [model.parts for model in found.models if model.parts > 1] == [2, 2]
    for model in found.models:
        if model.kind == "model":
            assert resolve(model.name).path == model.path
    listed = {status.name: status.place for status in list_models() if status.entry is None}
    assert listed == {one.name: one.path for one in found.models if one.kind == "model"}


def test_a_home_without_any_store_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["models", "discover"]) == 0
    assert capsys.readouterr().out == "No model was found.\n"
    assert discovery.discover() == Discovery(models=(), left_out=(), headers_read=0)
