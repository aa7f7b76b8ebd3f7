"""Directories of a user who has no home: a sentence, and no directory named "~"."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from tests.test_surroundings import PLACES
from urial_tui import paths
from urial_tui.errors import UrialError

HOMELESS = """
import pwd, sys
def without_account(number):
    raise KeyError(number)
pwd.getpwuid = without_account
from urial_tui.__main__ import main
sys.exit(main())
"""
"""As under a user number that the system knows no account for."""


def run_homeless(directory: Path, *arguments: str, **environ: str) -> tuple[int, str]:
    """Exit code and all output of `urial` where neither HOME nor an account names a home."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", HOMELESS, *arguments],
        cwd=directory,
        env={**kept, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("arguments", [("models", "list"), ("ask", "Hello"), ("chats", "list")])
def test_without_a_home_one_sentence_says_what_to_set(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    code, output = run_homeless(tmp_path, *arguments)
    assert code == 1
    assert output.startswith("urial: This user has no home directory. Set HOME")
    assert output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_a_home_named_directories_are_enough(tmp_path: Path) -> None:
    names = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")
    environ = {name: str(tmp_path / name) for name in names}
    code, output = run_homeless(tmp_path, "chats", "list", **environ)
    assert code == 0, output


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_account(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", without_account)
    for name in list(os.environ):
        if name == "HOME" or name.startswith("XDG_"):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("homeless")
def test_no_place_of_the_user_is_relative() -> None:
    for place in PLACES:
        with pytest.raises(UrialError, match="no home directory"):
            place()


@pytest.mark.usefixtures("homeless")
def test_older_platformdirs_that_leave_the_tilde_are_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platformdirs, "user_data_path", lambda app: Path("~/.local/share", app))
    with pytest.raises(UrialError, match="no home directory"):
        paths.models_dir()


@pytest.mark.usefixtures("homeless")
def test_a_tilde_that_stands_for_nothing_stays_in_the_path() -> None:
    assert paths.typed_path("~/x.gguf") == Path("~/x.gguf")
    assert paths.home() == Path("/")


def test_a_tilde_is_the_home_and_an_unknown_account_stays(home: Path) -> None:
    assert paths.typed_path("~/x.gguf") == home / "x.gguf"
    assert paths.typed_path("~no such account/x") == Path("~no such account/x")
    assert paths.home() == home
