"""Ollama's models: manifests/HOST/OWNER/NAME/TAG, JSON that names the files among `blobs`.

The layer of the model is a GGUF file. A projector and adapters are layers of their own and are not
used; neither is the template, which is written for Go. A digest that is none can't name a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from urial_tui import paths
from urial_tui.files import read_bytes, reason
from urial_tui.models.stores.file_names import quantisation_of
from urial_tui.models.stores.sighting import LeftOut, Sighting, Stat, look_at
from urial_tui.models.stores.walk import Walk

OF_SERVICE = Path("/usr/share/ollama/.ollama/models")
"""Where it keeps models as a service on Linux."""
_TYPE = "application/vnd.ollama.image."
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_PARTIAL = re.compile(r"(sha256[-:][0-9a-f]{64})-partial(-\d+)?")
_MAX_BYTES = 1024 * 1024
"""Of a manifest; they have a kilobyte."""
_MAX_LAYERS = 10_000
_DEEP = 4
"""HOST/OWNER/NAME/TAG, and owners that hold a slash."""
_OWN = ("registry.ollama.ai", "library")


class _Layer(msgspec.Struct):
    kind: str = msgspec.field(name="mediaType")
    digest: str = ""


class _Manifest(msgspec.Struct):
    layers: list[_Layer] = []
    config: _Layer | None = None


class _Config(msgspec.Struct):
    file_type: str = ""


def directories() -> tuple[Path, ...]:
    """OLLAMA_MODELS, else the user's and the service's."""
    if named := os.environ.get("OLLAMA_MODELS"):
        return (paths.typed_path(named),)
    return (paths.home() / ".ollama" / "models", OF_SERVICE)


def sightings(walk: Walk) -> Iterator[Sighting | LeftOut]:
    """The model of every manifest."""
    for directory in directories():
        top = directory / "manifests"
        for path in walk.files(top, _DEEP):
            parts = path.relative_to(top).parts
            if len(parts) >= 3 and not path.name.startswith("."):
                yield _model(path, directory / "blobs", parts)
        partial = dict[str, Path]()
        for path in walk.files_in(directory / "blobs"):
            if found := _PARTIAL.fullmatch(path.name):
                partial.setdefault(found[1], path)
        for path in partial.values():
            yield LeftOut(path=path, store="ollama", why="an unfinished download")


def _model(path: Path, blobs: Path, parts: Sequence[str]) -> Sighting | LeftOut:
    try:
        manifest = msgspec.json.decode(read_bytes(path, _MAX_BYTES), type=_Manifest)
    except OSError as error:
        return _left_out(path, f"its manifest can't be read: {reason(error)}")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _left_out(path, "its manifest is damaged")
    if len(manifest.layers) > _MAX_LAYERS:
        return _left_out(path, "its manifest is damaged")
    digests = _digests(manifest.layers, "model")
    if not digests:
        kinds = {layer.kind.partition(";")[0] for layer in manifest.layers}
        if f"{_TYPE}tensor" in kinds:
            return _left_out(path, "its weights are no GGUF file")
        return _left_out(path, "it holds no weights (a model of the cloud has none here)")
    found = _blob(blobs, digests[0])
    if isinstance(found, str):
        return _left_out(path, f"its weights: {found}")
    place, status = found
    name, tag = _name(parts)
    quantisation = _file_type(blobs, manifest) or quantisation_of(tag)
    return Sighting(
        path=place,
        store="ollama",
        names=(f"{name}:{tag}",),
        also=(name,) if tag == "latest" else (),
        size=status.size,
        modified=status.modified,
        device=status.device,
        inode=status.inode,
        repository="/".join(parts[:-1]),
        tag=tag,
        quantisation=quantisation,
        notes=tuple(_notes(manifest.layers, len(digests))),
    )


def _notes(layers: Sequence[_Layer], models: int) -> Iterator[str]:
    if models > 1:
        yield f"it is in {models} files, of which the first is used"
    for kind, what in (("projector", "projector, for images,"), ("adapter", "adapter")):
        if any(_is_of(layer, kind) for layer in layers):
            yield f"its {what} is not used"


def _is_of(layer: _Layer, kind: str) -> bool:
    return layer.kind.partition(";")[0].strip() == f"{_TYPE}{kind}"


def _digests(layers: Sequence[_Layer], kind: str) -> list[str]:
    return [layer.digest for layer in layers if _is_of(layer, kind)]


def _blob(blobs: Path, digest: str) -> tuple[Path, Stat] | str:
    """A digest's file and what it is; or why there is none."""
    found = _DIGEST.fullmatch(digest)
    if found is None:
        return "its manifest names no file"
    why = ""
    # Old versions wrote it with a colon.
    for name in (f"sha256-{found[1]}", digest):
        status = look_at(blobs / name)
        if isinstance(status, Stat):
            return blobs / name, status
        why = why or status
    return why


def _file_type(blobs: Path, manifest: _Manifest) -> str:
    """How the file is quantised, as the model's configuration says."""
    if manifest.config is None:
        return ""
    found = _blob(blobs, manifest.config.digest)
    if isinstance(found, str):
        return ""
    try:
        config = msgspec.json.decode(read_bytes(found[0], _MAX_BYTES), type=_Config)
    except (OSError, msgspec.DecodeError, ValueError, RecursionError):
        return ""
    return quantisation_of(config.file_type)


def _name(parts: Sequence[str]) -> tuple[str, str]:
    """What a model is called behind `ollama/`, as Ollama shows it, and its tag."""
    *place, tag = parts
    for own in (_OWN, _OWN[:1]):
        if tuple(place[: len(own)]) == own and len(place) > len(own):
            place = place[len(own) :]
            break
    return "/".join(("ollama", *place)), tag


def _left_out(path: Path, why: str) -> LeftOut:
    return LeftOut(path=path, store="ollama", why=why)
