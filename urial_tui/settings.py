"""The user's settings: one TOML file, validated as a whole.

A missing file is the defaults. A file that can't be read, or holds an unknown key or a
value of the wrong type, is an error that names the key: a setting that is silently
ignored is worse than one that is refused.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from urial_tui import paths
from urial_tui.engine.protocol import EngineOptions, Sampling
from urial_tui.errors import SettingsError


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the settings file."""


class ChatSettings(_Section, frozen=True, kw_only=True):
    """What a new conversation starts with. `max_tokens`: the longest answer, in tokens."""

    model: str = "gemma-3-270m"
    preamble: str = "urial-k3"
    max_tokens: int = 512


class EngineSettings(_Section, frozen=True, kw_only=True):
    """How models are run.

    `threads` 0: the physical cores. `gpu_layers` -1: all that the build can offload.
    `context` 0: the model's training context, at most 8192 tokens. `cache_limit_mb`: size
    of the preamble files on disk; the least recently used go first.
    """

    threads: int = 0
    gpu_layers: int = -1
    context: int = 4096
    kv_type: str = "f16"
    cache_limit_mb: int = 2048


class SamplingSettings(_Section, frozen=True, kw_only=True):
    """How the next token is chosen; temperature 0 is greedy. See the README for each."""

    temperature: float = 0.0
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repetition_penalty: float = 1.1
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    penalty_last_n: int = 256
    dry_multiplier: float = 0.8
    dry_base: float = 1.75
    dry_allowed_length: int = 3
    dry_last_n: int = 1024
    seed: int | None = None


class Settings(_Section, frozen=True, kw_only=True):
    """Everything that a user can set. `keys`: other keys for actions, by the actions' ids."""

    chat: ChatSettings = ChatSettings()
    engine: EngineSettings = EngineSettings()
    sampling: SamplingSettings = SamplingSettings()
    keys: dict[str, str] = msgspec.field(default_factory=dict)


_KV_TYPES = ("f16", "q8_0", "q4_0")
_RANGES: dict[str, tuple[float, float]] = {
    "chat.max_tokens": (1, 1_000_000),
    "engine.threads": (0, 1024),
    "engine.gpu_layers": (-1, 10_000),
    "engine.context": (0, 16_777_216),
    "engine.cache_limit_mb": (0, 100_000_000),
    "sampling.temperature": (0, 100),
    "sampling.top_k": (1, 1000),
    "sampling.top_p": (0, 1),
    "sampling.min_p": (0, 1),
    "sampling.repetition_penalty": (0.01, 10),
    "sampling.frequency_penalty": (-10, 10),
    "sampling.presence_penalty": (-10, 10),
    "sampling.penalty_last_n": (0, 1_000_000),
    "sampling.dry_multiplier": (0, 100),
    "sampling.dry_base": (1, 100),
    "sampling.dry_allowed_length": (1, 1_000_000),
    "sampling.dry_last_n": (0, 1_000_000),
    "sampling.seed": (0, 4_294_967_294),
}


def load_settings(path: Path | None = None) -> Settings:
    """Read the settings file (the user's, unless `path` names another).

    Raises:
        SettingsError: The file is unreadable, not TOML, or has an unknown or bad value.
    """
    path = path or paths.settings_file()
    repair = f"Correct {path}, or move it away to go on with the defaults."
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"The settings can't be read: {reason}.", repair) from error
    try:
        settings = msgspec.toml.decode(text, type=Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"The settings hold a mistake: {error}.", repair) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise SettingsError(f"The settings are not valid TOML: {error}.", repair) from error
    _check_ranges(settings, repair)
    return settings


def _check_ranges(settings: Settings, repair: str) -> None:
    for key, (low, high) in _RANGES.items():
        section, name = key.split(".")
        value = getattr(getattr(settings, section), name)
        if value is not None and not low <= value <= high:
            raise SettingsError(
                f"The setting {key} is {value}, but has to lie between {low} and {high}.", repair
            )
    if settings.engine.kv_type not in _KV_TYPES:
        raise SettingsError(
            f"The setting engine.kv_type is {settings.engine.kv_type!r}, "
            f"but has to be one of {', '.join(_KV_TYPES)}.",
            repair,
        )


def engine_options(settings: Settings) -> EngineOptions:
    """The engine's part of the settings, as the worker takes it."""
    engine = settings.engine
    return EngineOptions(
        n_ctx=engine.context,
        threads=engine.threads,
        gpu_layers=engine.gpu_layers,
        kv_type=engine.kv_type,  # type: ignore[arg-type]  # checked by load_settings
        cache_limit_mb=engine.cache_limit_mb,
    )


def sampling(settings: Settings) -> Sampling:
    """The sampling part of the settings, as the worker takes it."""
    return Sampling(**msgspec.structs.asdict(settings.sampling))
