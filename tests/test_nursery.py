"""What a nursery starts is what `subprocess` would have started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import nursery
from tests.conftest import workers

URIAL = (sys.executable, "-m", "urial_tui")
WORKER = (sys.executable, "-P", "-m", "urial_tui.engine.worker.main")

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.environ.get("EXEC") == "1", reason="processes start as ever here"
)


def ways(*command: str, **changes: Any) -> list[tuple[int, str, str]]:
    """The exit code and the output of a command, forked and not."""
    found = []
    for way in (nursery.Popen, nursery.PLAIN):
        with way(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **changes,
        ) as process:
            output, errors = process.communicate(timeout=60)
            found.append((process.returncode, output, errors))
            assert (getattr(process, "_line", None) is not None) is (way is nursery.Popen)
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("models", "list", "--json"),
        ("prompts", "--help"),
        ("ask", "Why?", "-m", "no such model"),
        ("models", "list", "--no-such-option"),
    ],
    ids=" ".join,
)
def test_a_command_says_and_returns_the_same(arguments: tuple[str, ...]) -> None:
    forked, plain = ways(*URIAL, *arguments)
    assert forked == plain


def test_a_directory_and_an_environment_are_taken_over(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "cwd": tmp_path,
        "env": os.environ | {"XDG_DATA_HOME": str(tmp_path / "there")},
    }
    forked, plain = ways(*URIAL, "models", "list", "--json", **changes)
    assert forked == plain
    assert json.loads(forked[1])["directory"].startswith(str(tmp_path / "there"))


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        nursery.Popen([*URIAL, "--version"], cwd=tmp_path / "nowhere")


def test_what_python_reads_at_its_start_starts_a_plain_process() -> None:
    for name in ("PYTHONWARNINGS", "LC_ALL", "TZ", "OMP_NUM_THREADS"):
        environment = os.environ | {name: "1"}
        with nursery.Popen(
            [*URIAL, "--version"], stdout=subprocess.DEVNULL, env=environment
        ) as process:
            assert process._line is None
        assert process.returncode == 0


def test_a_worker_has_what_a_process_has(home: Path) -> None:
    with nursery.Popen(
        [*WORKER, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert process._line is not None
        assert process.stdout is not None
        assert process.stdout.read(4)
        assert workers(home) == [process.pid]
        own = Path("/proc", str(process.pid))
        words = own.joinpath("cmdline").read_bytes().rstrip(b"\0").decode().split("\0")
        assert words == [*WORKER, str(home)]
        assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid
        # Its input and output with their copies, the log, and the source of nothing.
        assert len(list(own.joinpath("fd").iterdir())) <= 7
        assert process.poll() is None
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert workers(home) == []


def test_it_can_be_stopped_waited_for_and_interrupted(home: Path) -> None:
    with nursery.Popen([*WORKER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        one.stdout.read(4)
        os.kill(one.pid, signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            one.wait(0.01)
        os.kill(one.pid, signal.SIGCONT)
    assert one.wait() == 0


def test_a_reader_that_goes_early_is_noticed_alike() -> None:
    found = []
    for way in (nursery.Popen, nursery.PLAIN):
        reading, writing = os.pipe()
        os.close(reading)
        with way([*URIAL, "--help"], stdout=writing, stderr=subprocess.PIPE, text=True) as process:
            os.close(writing)
            said = process.communicate(timeout=60)[1]
        found.append((process.returncode, said))
    assert found[0] == found[1]
