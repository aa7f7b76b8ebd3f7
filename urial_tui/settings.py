"""The user's settings: one TOML file, validated as a whole.

A missing file is the defaults. A file that can't be read, or holds an unknown key or a
value of the wrong type, is an error that names the key: a setting that is silently
ignored is worse than one that is refused.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from urial_tui import paths
from urial_tui.engine.wire.server_address import mistake_among
from urial_tui.engine.wire.values import EngineOptions, Sampling
from urial_tui.errors import SettingsError
from urial_tui.files import read_text, reason
from urial_tui.sanitize import quoted, sanitize_line, shortened

MAX_BYTES = 1024 * 1024
"""Of the settings file; a longer one is most likely another file."""


class ListOf(msgspec.Struct, frozen=True, kw_only=True):
    """What a setting that is a list is a list of.

    `noun`: of several. `separator`: what stands between them where they are typed in one line.
    `mistake`: says what is wrong with them, as a clause; "" where nothing is.
    """

    noun: str
    separator: str
    mistake: Callable[[Sequence[str]], str]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the settings file."""


def _about(
    text: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    listed: ListOf | None = None,
) -> msgspec.Meta:
    """What a setting is, and which values it can have: where it is declared, and only there."""
    return msgspec.Meta(
        description=text,
        extra={"low": low, "high": high, "choices": choices, "listed": listed},
    )


_PATHS = ListOf(noun="paths", separator=os.pathsep, mistake=lambda _paths: "")
_SERVERS = ListOf(noun="addresses", separator=",", mistake=mistake_among)


class ChatSettings(_Section, frozen=True, kw_only=True):
    """What a new conversation starts with."""

    model: Annotated[str, _about("The model: a catalogue name or a path.")] = "gemma-3-270m"
    preamble: Annotated[str, _about("The preamble: a name or a path.")] = "urial-k3"
    max_tokens: Annotated[int, _about("The longest answer, in tokens.", 1, 1_000_000)] = 512
    enter: Annotated[
        str,
        _about(
            "What Enter does while you type: `send`, or `newline`; then Ctrl+J and Alt+Enter send.",
            choices=("send", "newline"),
        ),
    ] = "send"


class EngineSettings(_Section, frozen=True, kw_only=True):
    """How models are run."""

    threads: Annotated[int, _about("Threads to compute with; 0: the physical cores.", 0, 1024)] = 0
    gpu_layers: Annotated[
        int, _about("Layers to put on the GPU; -1: all that the build can.", -1, 10_000)
    ] = -1
    context: Annotated[
        int,
        _about(
            "Tokens of context; 0: what the model was trained with, at most 8192.", 0, 16_777_216
        ),
    ] = 4096
    kv_type: Annotated[
        str,
        _about(
            "The cache's numbers: `f16`, `q8_0` or `q4_0`. Smaller ones halve or quarter the cache "
            "and cost some quality.",
            choices=("f16", "q8_0", "q4_0"),
        ),
    ] = "f16"
    cache_limit_mb: Annotated[
        int,
        _about(
            "The size of all preamble files on disk; the least recently used go first.",
            0,
            100_000_000,
        ),
    ] = 4096
    rpc: Annotated[
        tuple[str, ...],
        _about(
            "RPC servers that hold layers of models, as HOST:PORT. Nothing that goes there is "
            "encrypted, and whoever answers is trusted.",
            listed=_SERVERS,
        ),
    ] = ()


class SamplingSettings(_Section, frozen=True, kw_only=True):
    """How the next token is chosen."""

    temperature: Annotated[
        float, _about("0 takes the likeliest token each time; more is more varied.", 0, 100)
    ] = 0.0
    top_k: Annotated[int, _about("Only the k likeliest tokens.", 1, 1000)] = 40
    top_p: Annotated[
        float, _about("Only the likeliest tokens that together have this probability.", 0, 1)
    ] = 0.95
    min_p: Annotated[
        float,
        _about("Only tokens at least this probable, relative to the likeliest.", 0, 1),
    ] = 0.05
    repetition_penalty: Annotated[
        float,
        _about("Divides the logit of tokens that were in the answer; 1 is off.", 0.01, 10),
    ] = 1.1
    frequency_penalty: Annotated[
        float,
        _about("Lowers a token's logit by this for each time it was in the answer.", -10, 10),
    ] = 0.0
    presence_penalty: Annotated[
        float, _about("Lowers a token's logit by this once it was in the answer.", -10, 10)
    ] = 0.0
    penalty_last_n: Annotated[
        int, _about("The tokens of the answer that the penalties look back on.", 0, 1_000_000)
    ] = 256
    dry_multiplier: Annotated[
        float,
        _about("Strength of DRY, which penalises repeating sequences; 0 is off.", 0, 100),
    ] = 0.8
    dry_base: Annotated[
        float, _about("How fast DRY grows with the length of the sequence.", 1, 100)
    ] = 1.75
    dry_allowed_length: Annotated[
        int, _about("Sequences up to this length are free.", 1, 1_000_000)
    ] = 3
    dry_last_n: Annotated[int, _about("The tokens that DRY looks back on.", 0, 1_000_000)] = 1024
    seed: Annotated[int | None, _about("A number makes draws repeatable.", 0, 4_294_967_294)] = None


class UiSettings(_Section, frozen=True, kw_only=True):
    """How the application looks."""

    theme: Annotated[
        str,
        _about("The colours: one of ours or Textual's, or a file of yours in `themes/`."),
    ] = "urial-dark"


class ModelsSettings(_Section, frozen=True, kw_only=True):
    """Where model files are looked for, beside where other programs keep them."""

    directories: Annotated[
        tuple[str, ...],
        _about(
            "More directories whose .gguf files are models, with those below them.",
            listed=_PATHS,
        ),
    ] = ()


class Settings(_Section, frozen=True, kw_only=True):
    """Everything that a user can set. `keys`: other keys for actions, by the actions' ids."""

    chat: ChatSettings = ChatSettings()
    engine: EngineSettings = EngineSettings()
    sampling: SamplingSettings = SamplingSettings()
    ui: UiSettings = UiSettings()
    models: ModelsSettings = ModelsSettings()
    keys: dict[str, str] = msgspec.field(default_factory=dict)


SettingValue = str | int | float | tuple[str, ...] | None
"""What a setting is; None where it has none."""

MAX_LISTED = 100
"""Texts in a setting that is a list of them."""
MAX_LISTED_LENGTH = 4096
"""Characters of each: no path is longer."""


SettingKind = type[str] | type[int] | type[float] | type[tuple[str, ...]]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as it is declared.

    `kind` is its type, a tuple for a list of texts, and `listed` says of which; `low` and `high`
    are its range, `choices` all that it can be; where `optional`, it can be None as well.
    """

    key: str
    about: str
    kind: SettingKind
    default: SettingValue
    optional: bool
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    listed: ListOf | None

    @property
    def section(self) -> str:
        """The table that it stands in."""
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        """Its key in that table."""
        return self.key.partition(".")[2]

    def of(self, settings: Settings) -> SettingValue:
        """The value that it has in `settings`."""
        value: SettingValue = getattr(getattr(settings, self.section), self.name)
        return value

    def put(self, settings: Settings, value: SettingValue) -> Settings:
        """`settings` with this value in the setting's place."""
        section = msgspec.structs.replace(getattr(settings, self.section), **{self.name: value})
        return msgspec.structs.replace(settings, **{self.section: section})

    def read(self, text: str) -> SettingValue:
        """The value that somebody typed; `check` tells whether it can be."""
        typed = text.strip()
        if self.listed is not None:
            parts = (part.strip() for part in typed.split(self.listed.separator))
            return tuple(part for part in parts if part)
        if self.kind is str or (not typed and self.optional):
            return typed or (None if self.optional else "")
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                return kind(typed)
        return typed

    def typed(self, value: SettingValue) -> str:
        """What has to be typed for a value: `read` gives it back. Paths as in PATH."""
        if isinstance(value, tuple):
            assert self.listed is not None
            return self.listed.separator.join(value)
        return "" if value is None else str(value)

    def check(self, value: SettingValue, hint: str = "") -> None:
        """Refuse a value that the setting can't have.

        Raises:
            SettingsError: It is of another type, outside the range, or none of the choices.
        """
        what = f"The setting {self.key}"
        if value is None and self.optional:
            return
        if self.listed is not None:
            if not _is_list_of_texts(value):
                raise SettingsError(
                    f"{what} is {quoted(value)}, but has to be a list of up to {MAX_LISTED} "
                    f"{self.listed.noun}.",
                    hint,
                )
            assert isinstance(value, tuple | list)
            if mistake := self.listed.mistake(value):
                raise SettingsError(f"{what} holds a mistake: {mistake}.", hint)
            return
        assert self.kind in _KINDS
        fits = isinstance(value, (int, float) if self.kind is float else self.kind)
        if not fits or isinstance(value, bool) or value == "":
            raise SettingsError(
                f"{what} is {quoted(value)}, but has to be {_KINDS[self.kind]}.", hint
            )
        if self.low is not None and self.high is not None:
            assert isinstance(value, int | float)
            if not self.low <= value <= self.high:
                between = f"between {self.low} and {self.high}"
                raise SettingsError(f"{what} is {quoted(value)}, but has to lie {between}.", hint)
        if self.choices and value not in self.choices:
            listed = ", ".join(self.choices)
            raise SettingsError(f"{what} is {quoted(value)}, but has to be one of {listed}.", hint)


def _is_list_of_texts(value: object) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) <= MAX_LISTED
        and all(isinstance(one, str) and 0 < len(one) <= MAX_LISTED_LENGTH for one in value)
    )


_KINDS: dict[type, str] = {str: "text", int: "a whole number", float: "a number"}


@functools.cache
def described() -> tuple[Setting, ...]:
    """All settings but the keys, in the order of their declaration."""
    found = []
    for section in msgspec.structs.fields(Settings):
        if isinstance(section.default, _Section):
            described = msgspec.inspect.type_info(type(section.default))
            assert isinstance(described, msgspec.inspect.StructType)
            found += [_setting(section.name, field) for field in described.fields]
    return tuple(found)


def _setting(section: str, field: msgspec.inspect.Field) -> Setting:
    about = field.type
    assert isinstance(about, msgspec.inspect.Metadata)
    types = about.type.types if isinstance(about.type, msgspec.inspect.UnionType) else (about.type,)
    kinds: dict[type, SettingKind] = {
        msgspec.inspect.StrType: str,
        msgspec.inspect.VarTupleType: tuple,
        msgspec.inspect.IntType: int,
        msgspec.inspect.FloatType: float,
    }
    return Setting(
        key=f"{section}.{field.name}",
        about=(about.extra_json_schema or {})["description"],
        kind=kinds[type(types[0])],
        default=field.default,
        optional=len(types) > 1,
        **(about.extra or {}),
    )


def load_settings(path: Path | None = None) -> Settings:
    """Read the settings file (the user's, unless `path` names another).

    Raises:
        SettingsError: The file is unreadable, not TOML, or has an unknown or bad value.
    """
    path = path or paths.settings_file()
    repair = f"Correct {path}, or move it away to go on with the defaults."
    try:
        text = read_text(path, MAX_BYTES)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise SettingsError(f"The settings can't be read: {reason(error)}.", repair) from error
    return parse_settings(text, repair)


def parse_settings(text: str, repair: str = "") -> Settings:
    """Settings from the text of a file; `repair` is what helps where it is unsound.

    Raises:
        SettingsError: The text is not TOML, or has an unknown or bad value.
    """
    try:
        tree = msgspec.toml.decode(text)
    except (msgspec.DecodeError, ValueError) as error:
        raise SettingsError(f"The settings are not valid TOML: {error}.", repair) from error
    except RecursionError as error:
        raise SettingsError("The settings are nested too deeply to be read.", repair) from error
    for setting in described():
        section = tree.get(setting.section)
        if isinstance(section, dict) and setting.name in section:
            setting.check(section[setting.name], repair)
    _check_names(tree, repair)
    try:
        return msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"The settings hold a mistake: {error}.", repair) from error


def _check_names(tree: Mapping[str, Any], repair: str) -> None:
    """Refuse tables and settings that there are none of, and keys that are no text."""
    tables: dict[str, list[str]] = {"keys": []}
    for setting in described():
        tables.setdefault(setting.section, []).append(setting.name)
    for section, found in tree.items():
        if section not in tables:
            raise _unknown(section, tables, repair)
        if not isinstance(found, dict):
            raise SettingsError(
                f"The setting {section} has to be a table, [{section}] with its settings below.",
                repair,
            )
        for name, value in found.items():
            key = shortened(sanitize_line(f"{section}.{name}"), 80)
            if section != "keys" and name not in tables[section]:
                known = [f"{section}.{other}" for other in tables[section]]
                raise _unknown(f"{section}.{name}", known, repair)
            if section == "keys" and not isinstance(value, str):
                raise SettingsError(f'The setting {key} has to be a text, such as "f5".', repair)


def _unknown(key: str, known: Iterable[str], repair: str) -> SettingsError:
    close = difflib.get_close_matches(key, known, n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return SettingsError(f"There is no setting {shortened(sanitize_line(key), 80)}.{meant}", repair)


def engine_options(settings: Settings) -> EngineOptions:
    """The engine's part of the settings, as the worker takes it."""
    engine = settings.engine
    return EngineOptions(
        n_ctx=engine.context,
        threads=engine.threads,
        gpu_layers=engine.gpu_layers,
        kv_type=engine.kv_type,  # type: ignore[arg-type]  # checked by load_settings
        cache_limit_mb=engine.cache_limit_mb,
        rpc=engine.rpc,
    )


def sampling(
    settings: Settings, *, temperature: float | None = None, seed: int | None = None
) -> Sampling:
    """The sampling part of the settings, as the worker takes it; what is given counts instead."""
    given = {"temperature": temperature, "seed": seed}
    chosen = {name: value for name, value in given.items() if value is not None}
    return Sampling(**msgspec.structs.asdict(settings.sampling) | chosen)
