"""The application starts, whatever the user's files hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tui.conftest import Opened, shows, wait_until
from urial_tui import paths
from urial_tui.errors import PreambleError
from urial_tui.settings import Settings
from urial_tui.tui.frame.starting_point import starting_point

DEEP = "x = " + "[" * 30_000


def pipe(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def directory(path: Path) -> None:
    path.mkdir()


def text(content: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(content)

    return write


UNSOUND = [
    pytest.param(pipe, id="pipe"),
    pytest.param(zeros, id="zeros"),
    pytest.param(directory, id="directory"),
    pytest.param(text(DEEP), id="deep"),
    pytest.param(text("[sampling]\nseed = 0x" + "f" * 100_000), id="digits"),
    pytest.param(text("[sampling]\nseed = " + "9" * 100_000), id="decimal digits"),
    pytest.param(text(f"[chat]\n{'k' * 100_000} = 1"), id="key"),
    pytest.param(text("[chat]\nmodel = {a = " + "[[1]]" + "}"), id="type"),
    pytest.param(text("[sampling]\ntemperature = nan"), id="nan"),
    pytest.param(text("#" * 2_000_000), id="long"),
    pytest.param(text('[keys]\n"prompt.nothing" = "f2"'), id="keys"),
]


@pytest.mark.parametrize("make", UNSOUND)
def test_unsound_settings_are_left_out_and_told(make: Callable[[Path], None]) -> None:
    paths.settings_file().parent.mkdir(parents=True)
    make(paths.settings_file())
    found = starting_point()
    assert found.settings == Settings()
    (trouble,) = found.troubles
    assert "It is left out." in trouble.hint
    assert len(str(trouble)) < 1500


def test_wrong_keys_cost_no_other_setting() -> None:
    paths.settings_file().parent.mkdir(parents=True)
    paths.settings_file().write_text('[chat]\nmax_tokens = 9\n[keys]\n"no.such" = "f2"')
    found = starting_point()
    assert found.settings.chat.max_tokens == 9
    assert found.settings.keys == {}


@pytest.mark.parametrize("make", [pipe, zeros, directory, text(DEEP), text("name = 1")])
def test_another_preamble_stands_in_for_one_that_is_unsound(
    make: Callable[[Path], None],
) -> None:
    paths.user_prompts_dir().mkdir(parents=True)
    paths.settings_file().write_text('[chat]\npreamble = "mine"')
    for name, standing_in in (("mine", "urial-k3"), ("urial-k3", "zero-shot")):
        make(paths.user_prompts_dir() / f"{name}.toml")
        paths.settings_file().write_text(f'[chat]\npreamble = "{name}"')
        found = starting_point()
        assert found.preamble.name == standing_in
        assert f"{standing_in} stands in for it." in found.troubles[0].hint


def test_a_preamble_that_was_asked_for_is_not_replaced() -> None:
    with pytest.raises(PreambleError):
        starting_point("no-such")


@pytest.mark.parametrize("make", [pipe, zeros, directory, text(DEEP)])
async def test_an_unsound_theme_is_told_when_the_application_starts(
    opened: Opened, make: Callable[[Path], None]
) -> None:
    paths.user_themes_dir().mkdir(parents=True)
    make(paths.user_themes_dir() / "mine.toml")
    async with opened() as pilot:
        await wait_until(pilot, lambda: shows(pilot, "can't be used"))
