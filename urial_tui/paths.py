"""The directories of the program, and the only place that knows them.

User directories follow the platform's conventions (platformdirs); on Linux that is
the XDG specification, on macOS ~/Library. Each function returns a path and creates
nothing: who writes creates the directory. A user without a home directory (a container's
number without an account) can name the directories in variables; where none is named,
an `UrialError` says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from urial_tui.errors import UrialError

APP = "urial-tui"
_PACKAGE = Path(__file__).resolve().parent


def settings_file() -> Path:
    """The user's settings (TOML)."""
    return _of_user(platformdirs.user_config_path) / "settings.toml"


def user_prompts_dir() -> Path:
    """Preambles of the user; one with a shipped name replaces the shipped one."""
    return _of_user(platformdirs.user_config_path) / "prompts"


def user_themes_dir() -> Path:
    """Themes of the user; one with the name of another theme replaces it."""
    return _of_user(platformdirs.user_config_path) / "themes"


def user_catalogue_file() -> Path:
    """Catalogue entries of the user; one with a shipped name replaces the shipped one."""
    return _of_user(platformdirs.user_config_path) / "models.toml"


def models_dir() -> Path:
    """Where model files live: put a .gguf here and it is found by its catalogue name."""
    return _of_user(platformdirs.user_data_path) / "models"


def database_file() -> Path:
    """Conversations (SQLite)."""
    return _of_user(platformdirs.user_data_path) / "conversations.db"


def evaluations_dir() -> Path:
    """What the evaluation screen writes: answers, judgements, reports."""
    return _of_user(platformdirs.user_data_path) / "evaluations"


def indexes_dir() -> Path:
    """Indexes of pools of examples, each a directory."""
    return _of_user(platformdirs.user_data_path) / "indexes"


def preamble_cache_dir() -> Path:
    """Evaluated preambles (KV state files)."""
    return _of_user(platformdirs.user_cache_path) / "preambles"


def measures_file() -> Path:
    """What models were seen to say in the contexts that were measured (JSON lines)."""
    return _of_user(platformdirs.user_cache_path) / "measures.jsonl"


def model_index_file() -> Path:
    """What was seen in the headers of model files (msgpack)."""
    return _of_user(platformdirs.user_cache_path) / "models.index"


def log_dir() -> Path:
    """Log files of the worker processes."""
    return _of_user(platformdirs.user_log_path)


def copied_file() -> Path:
    """What was copied where no clipboard could take it."""
    return _of_user(platformdirs.user_state_path) / "copied.txt"


def speeds_file() -> Path:
    """What `urial bench` measured: the memory's speed, and how fast models were."""
    return _of_user(platformdirs.user_state_path) / "speeds.json"


def recordings_dir() -> Path | None:
    """Where sessions are recorded, for debugging: what URIAL_RECORD names; None: nowhere."""
    directory = os.environ.get("URIAL_RECORD")
    return typed_path(directory) if directory else None


def shipped_prompts_dir() -> Path:
    """Preambles that come with the program, in a checkout and in an installed wheel alike."""
    return _shipped("prompts")


def shipped_catalogue_file() -> Path:
    """The catalogue that comes with the program, in a checkout and in an installed wheel alike."""
    return _shipped("models.toml")


def shipped_adapters_dir() -> Path:
    """The LoRA adapters that come with the program."""
    return _PACKAGE / "models" / "adapters"


def shipped_items_file() -> Path:
    """The items of an evaluation that come with the program."""
    return _PACKAGE / "evaluate" / "urial-60.toml"


def shipped_references_file() -> Path:
    """The reference answers that come with the program, to measure contexts with."""
    return _PACKAGE / "evaluate" / "reference-60.toml"


def shipped_questions_file() -> Path:
    """The questions that come with the program, to measure contexts with."""
    return _PACKAGE / "evaluate" / "everyday-40.toml"


def typed_path(text: str) -> Path:
    """The path that somebody typed; a "~" that stands for nobody's home stays as it is."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def home() -> Path:
    """The home directory, to start looking from; the root where there is none."""
    found = typed_path("~")
    return found if found.is_absolute() else Path("/")


def _of_user(directory: Callable[[str], Path]) -> Path:
    try:
        found = directory(APP)
    except RuntimeError:
        found = Path("~")
    # Older versions of platformdirs leave what they can't replace.
    if found.parts[:1] == ("~",):
        raise UrialError(
            "This user has no home directory.",
            "Set HOME to a directory that can be written to, or name directories in "
            "XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_CACHE_HOME and XDG_STATE_HOME.",
        )
    return found


def _shipped(name: str) -> Path:
    """The wheel carries the top-level data files inside the package; a checkout beside it."""
    packaged = _PACKAGE / "_data" / name
    return packaged if packaged.exists() else _PACKAGE.parent / name
