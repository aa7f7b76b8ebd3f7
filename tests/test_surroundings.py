"""The tests' own ground: nothing of the user's is touched, and no worker outlives a test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import workers
from urial_tui import paths

PLACES = [
    paths.settings_file,
    paths.user_prompts_dir,
    paths.user_catalogue_file,
    paths.models_dir,
    paths.database_file,
    paths.preamble_cache_dir,
    paths.log_dir,
]


@pytest.mark.parametrize("place", PLACES)
def test_every_directory_of_the_user_lies_in_an_empty_home(
    home: Path, place: Callable[[], Path]
) -> None:
    assert home in place().parents
    assert list(home.iterdir()) == []


def test_no_setting_of_the_surroundings_is_left(home: Path) -> None:
    assert Path.home() == home
    assert not [name for name in os.environ if name.startswith("URIAL_") or name == "NO_COLOR"]


@pytest.mark.parametrize("kind", ["child", "orphan"])
def test_a_worker_left_behind_is_seen(home: Path, kind: str) -> None:
    # The names on the command line are all that tells a worker.
    sleep = [sys.executable, "-c", "input()", "urial_tui.engine.worker.main"]
    if kind == "orphan":
        launch = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)"
        sleep = [sys.executable, "-c", launch, *sleep, str(home)]
    process = subprocess.Popen(sleep, stdin=subprocess.PIPE)
    assert process.stdin
    if kind == "orphan":
        assert process.wait() == 0
    # Until the kernel has put the arguments of the new program in place, a process has none.
    deadline = time.monotonic() + 60
    while not workers(home) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(workers(home)) == 1
    # The end of its input ends it; the fixture waits for the orphan.
    process.stdin.close()
    if kind == "child":
        process.wait()
        assert workers(home) == []
