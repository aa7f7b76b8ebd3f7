"""The catalogue: short names for published model files.

The shipped `models.toml` and the user's are merged; on equal names the user's entry
replaces the shipped one whole. What loads is sound: names and file names are unique, and
partners name each other and are a base model and its aligned counterpart.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import quote

import msgspec

from urial_tui import paths
from urial_tui.errors import ModelError, SettingsError
from urial_tui.files import is_there, read_text, reason
from urial_tui.sanitize import quoted, sanitize_line, shortened

CatalogueRole = Literal["base", "aligned"]

MAX_BYTES = 4 * 1024 * 1024
"""A longer catalogue is refused: it is most likely not one."""

_LONGEST_LINE = 300
"""Characters of a title, a licence or its address."""
_LONGEST_NAME = 100

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PACKAGE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_PARAMETERS = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)([MBT])", re.ASCII)
_MULTIPLES = {"M": 10**6, "B": 10**9, "T": 10**12}
_FAMILY = re.compile(r"[a-z]+(?:-?\d+(?:\.\d+)?(?![\d.]*[mbt]))?")
"""A name's first word with its version; what a size follows, as in mistral-7b, is none."""

_MOST_BYTES = 16
"""A parameter's: twice those of the widest type there is."""
_LEAST_BYTES = 1 / 16
"""A parameter's: half a bit, and there are none below 1.5."""
_REST = 256 * 1024 * 1024
"""Bytes of a file that may be beside its parameters: a vocabulary, embeddings left uncounted."""


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published model file, or a shipped adapter over one.

    `repository` and `file` name it on Hugging Face; `file` may lie in a folder there, on
    the disk it does not. `size` in bytes, 0 where it is not known exactly. `partner` is the
    aligned counterpart of a base model and the other way round. `package` is the Python
    package that carries the file in chunks. `preamble` is the recommended one's name. `sha256`,
    `partner` and `preamble` may be empty.

    An entry with `base` is that entry's file with `adapter`, a LoRA that comes with the
    program, and has no file of its own; `chat_template` (Jinja) is the template that it was
    trained with. Its base keeps its own partner.
    """

    name: str
    title: str
    role: CatalogueRole
    parameters: str
    licence: str
    licence_url: str
    repository: str = ""
    file: str = ""
    base: str = ""
    adapter: str = ""
    chat_template: str = ""
    partner: str = ""
    size: int = 0
    sha256: str = ""
    package: str = ""
    preamble: str = ""

    @property
    def family(self) -> str:
        """What models of several sizes have in common, by the name: `gemma-3`, `qwen2.5`."""
        found = _FAMILY.match(self.name)
        return found[0] if found else self.name

    @property
    def parameter_count(self) -> int:
        """The number of parameters, about; 0 where that can't be read."""
        found = _PARAMETERS.fullmatch(self.parameters)
        return round(float(found[1]) * _MULTIPLES[found[2]]) if found else 0

    @property
    def file_name(self) -> str:
        """The file's name on the disk."""
        return PurePosixPath(self.adapter or self.file).name

    @property
    def source_url(self) -> str:
        """The page where the file is published; "" for what comes with the program."""
        if self.base:
            return ""
        return f"https://huggingface.co/{self.repository}/blob/main/{self.file}"

    @property
    def download_url(self) -> str:
        """The file itself; "" for what comes with the program."""
        if self.base:
            return ""
        return f"https://huggingface.co/{self.repository}/resolve/main/{quote(self.file)}"


def load_catalogue(
    shipped: Path | None = None, user: Path | None = None
) -> Mapping[str, CatalogueEntry]:
    """The entries by name, in the order of the files: the shipped ones first.

    Args:
        shipped: The catalogue that comes with the program, unless another is named.
        user: The user's, unless another is named; it need not exist.

    Raises:
        SettingsError: A file is unreadable, not TOML, has an unknown, missing or mistyped
            key, or the entries do not fit together; the text names file, entry and key.
    """
    shipped = shipped or paths.shipped_catalogue_file()
    user = user or paths.user_catalogue_file()
    entries = _read(shipped, missing_ok=False)
    own = _read(user, missing_ok=True)
    # A mistake between the files is the user's: the shipped one is sound by itself.
    blamed = user if own else shipped
    entries |= own
    _check_files(entries, blamed)
    _check_partners(entries, blamed)
    return entries


def find_entry(name: str, catalogue: Mapping[str, CatalogueEntry]) -> CatalogueEntry:
    """The entry called `name`.

    Raises:
        ModelError: There is none; the hint names those that are spelled alike.
    """
    if name not in catalogue:
        raise unknown_model(name, catalogue, "; a path to a .gguf file works too")
    return catalogue[name]


def unknown_model(
    name: str, catalogue: Mapping[str, CatalogueEntry], beside: str = ""
) -> ModelError:
    """That there is no such model, and which are spelled alike; `beside`: what does as well."""
    return ModelError(
        f"There is no model named '{sanitize_line(name)}'.",
        f"{meant_by(name, catalogue)}`urial models list` shows those there are{beside}.",
    )


def meant_by(name: str, catalogue: Mapping[str, CatalogueEntry]) -> str:
    """The question whether a name that nothing has is meant for another, and a space; or "".

    A file of the models directory has its ending in its name.
    """
    file = f"{name}.gguf"
    if is_there(paths.models_dir() / file):
        close = [file]
    elif name.lower() in catalogue:
        close = [name.lower()]
    else:
        close = difflib.get_close_matches(name.lower(), catalogue, n=3, cutoff=0.6)
    return f"Did you mean {sanitize_line(' or '.join(close))}? " if close else ""


def _read(path: Path, *, missing_ok: bool) -> dict[str, CatalogueEntry]:
    shown = sanitize_line(str(path))
    try:
        document = msgspec.toml.decode(read_text(path, MAX_BYTES))
    except FileNotFoundError as error:
        if missing_ok:
            return {}
        raise SettingsError(
            f"The catalogue of models {shown} is missing.", "Install urial-tui again."
        ) from error
    except OSError as error:
        raise SettingsError(
            f"The catalogue of models {shown} can't be read: {reason(error)}.",
            "It has to be a text file that you may read, or not exist at all.",
        ) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise SettingsError(
            f"The catalogue of models {shown} is not valid TOML: {sanitize_line(str(error))}.",
            "Correct the file at that place, or move it away.",
        ) from error
    unknown = sorted(set(document) - {"model"})
    if unknown:
        raise _mistake(path, f"unknown key {quoted(unknown[0])}; every entry starts with [[model]]")
    tables = document.get("model", [])
    if not isinstance(tables, list):
        raise _mistake(path, "model is not a list of tables; every entry starts with [[model]]")
    entries: dict[str, CatalogueEntry] = {}
    for number, table in enumerate(tables, 1):
        entry = _entry(path, number, table)
        if entry.name in entries:
            raise _mistake(
                path, f"entry {number} ({shortened(entry.name, 80)}): its name is given twice"
            )
        entries[entry.name] = entry
    return entries


def _entry(path: Path, number: int, table: object) -> CatalogueEntry:
    name = table.get("name") if isinstance(table, dict) else None
    place = f"entry {number}"
    if isinstance(name, str):
        place += f" ({shortened(name, 80)})"
    try:
        entry = msgspec.convert(table, CatalogueEntry)
    except msgspec.ValidationError as error:
        what = re.sub(r"^Object (?=contains|missing)", "", str(error)).replace("field", "key")
        what = re.sub(r" - at `\$\.?(.*)`$", lambda m: f" (key {m[1]})" if m[1] else "", what)
        raise _mistake(path, f"{place}: {what}") from error
    rules: tuple[tuple[str, bool, str], ...] = (
        (
            "name",
            bool(_NAME.fullmatch(entry.name)) and len(entry.name) <= _LONGEST_NAME,
            "lower-case letters, digits, '.', '_', '-'",
        ),
        ("title", _is_line(entry.title), "one line of text"),
        ("parameters", entry.parameter_count > 0, "a number such as 1.5B"),
        ("repository", _is_repository(entry), "OWNER/NAME"),
        (
            "file",
            bool(entry.base) != _is_file(entry.file),
            "a .gguf file, with folders separated by '/'",
        ),
        ("adapter", bool(entry.base) == _is_file(entry.adapter), "a .gguf file beside `base`"),
        ("licence", _is_line(entry.licence), "one line of text"),
        ("licence_url", _is_https(entry.licence_url), "an https:// address"),
        ("size", _is_size(entry), f"the bytes of a file with {entry.parameters} parameters"),
        ("sha256", not entry.sha256 or bool(_SHA256.fullmatch(entry.sha256)), "64 hex digits"),
        (
            "preamble",
            not entry.preamble or bool(_NAME.fullmatch(entry.preamble)),
            "a preamble's name: lower-case letters, digits, '.', '_', '-'",
        ),
        ("package", not entry.package or bool(_PACKAGE.fullmatch(entry.package)), "a package name"),
    )
    for key, good, expected in rules:
        if not good:
            value = getattr(entry, key)
            raise _mistake(path, f"{place}: {key} is {quoted(value)}, but has to be {expected}")
    if entry.package and not entry.sha256:
        raise _mistake(path, f"{place}: package needs sha256")
    for key in ("sha256", "package", "size") if entry.base else ():
        if getattr(entry, key):
            raise _mistake(path, f"{place}: {key} is of a file, and with base it has none")
    if entry.name == entry.partner:
        raise _mistake(path, f"{place}: partner is the model itself")
    return entry


def _is_line(text: str) -> bool:
    return bool(text.strip()) and text.isprintable() and len(text) <= _LONGEST_LINE


def _is_https(text: str) -> bool:
    return text.startswith("https://") and _is_line(text) and " " not in text


def _is_size(entry: CatalogueEntry) -> bool:
    """Whether a file of that many parameters may be so long; 0 stands for an unknown size."""
    most = entry.parameter_count * _MOST_BYTES + _REST
    return not entry.size or entry.parameter_count * _LEAST_BYTES <= entry.size <= most


def _is_repository(entry: CatalogueEntry) -> bool:
    if entry.base:
        return not entry.repository
    return bool(_REPOSITORY.fullmatch(entry.repository))


def _is_file(file: str) -> bool:
    parts = file.split("/")
    return (
        file.endswith(".gguf")
        and file.isprintable()
        and "\\" not in file
        and all(part and not part.startswith(".") for part in parts)
    )


def _check_files(entries: Mapping[str, CatalogueEntry], blamed: Path) -> None:
    """Two entries with one file name would be taken for each other on the disk."""
    owners: dict[str, str] = {}
    for entry in entries.values():
        other = owners.setdefault(entry.file_name.lower(), entry.name)
        if other != entry.name:
            raise _mistake(
                blamed, f"{other} and {entry.name} have the same file name {entry.file_name!r}"
            )


def _check_partners(entries: Mapping[str, CatalogueEntry], blamed: Path) -> None:
    for entry in entries.values():
        if entry.base:
            _check_adapter(entry, entries, blamed)
            continue
        if not entry.partner:
            continue
        partner = entries.get(entry.partner)
        if partner is None:
            raise _mistake(
                blamed, f"the partner of {entry.name} is {entry.partner!r}, which is no entry"
            )
        if partner.partner != entry.name:
            raise _mistake(
                blamed,
                f"the partner of {entry.name} is {partner.name}, "
                f"but the partner of {partner.name} is {partner.partner or 'not given'}",
            )
        if partner.role == entry.role:
            raise _mistake(
                blamed,
                f"{entry.name} and {partner.name} are partners, but both have the role "
                f"{entry.role!r}",
            )


def _check_adapter(
    entry: CatalogueEntry, entries: Mapping[str, CatalogueEntry], blamed: Path
) -> None:
    base = entries.get(entry.base)
    if base is None or base.base:
        raise _mistake(
            blamed, f"the base of {entry.name} is {entry.base!r}, which is no entry with a file"
        )
    if entry.partner not in ("", entry.base):
        raise _mistake(blamed, f"the partner of {entry.name} has to be its base, {entry.base}")


def _mistake(path: Path, what: str) -> SettingsError:
    return SettingsError(
        f"The catalogue of models {sanitize_line(str(path))} holds a mistake: "
        f"{sanitize_line(what)}.",
        "Correct it, or move the file away.",
    )
