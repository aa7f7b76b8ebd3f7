"""Kills runs at random moments, and looks at what comes of them in the end.

    python -m tests.evaluate.kills MODEL.gguf [KILLS] [PARALLEL]

says what it found, and fails where an answer was lost, written twice, or came out otherwise.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.evaluate.runs import HANGS, command, item_file
from urial_tui.evaluate.items import Item

ITEMS = tuple(
    Item(id=number, turns=(f"Question {number}?", "And why?")[: 1 + (number % 3 == 0)])
    for number in range(12)
)


class Killed(msgspec.Struct, kw_only=True):
    """What was seen. `kept`: answers in the journal after each kill."""

    kills: int = 0
    series: int = 0
    kept: list[int] = msgspec.field(default_factory=list)


def kill_runs(
    model: Path, directory: Path, kills: int, *, parallel: int = 1, seed: int = 0
) -> Killed:
    """Kill runs so many times, a few of each before it may end.

    Raises:
        AssertionError: Something was lost, or done twice, or is not what it is without kills.
    """
    draws = random.Random(seed)
    items = item_file(directory / "items.json", ITEMS)
    words = ("-m", model, "--items", items, "--max-tokens", "60", "--parallel", str(parallel))
    whole = directory / "whole.json"
    began = time.monotonic()
    _to_the_end(*words, "--out", whole)
    lasts = time.monotonic() - began
    found = Killed()
    while found.kills < kills:
        out = directory / f"out-{found.series}.json"
        before: list[bytes] = []
        for _ in range(min(draws.randint(1, 5), kills - found.kills)):
            with _started(*words, "--out", out) as process:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(draws.uniform(0.2, 0.9) * lasts)
                process.send_signal(signal.SIGKILL)
                process.wait(HANGS)
            found.kills += 1
            if out.exists():
                # It was quicker than the kill.
                break
            after = _lines(out)
            assert after[: len(before)] == before, "an answer was lost"
            names = [(line["id"], line["turn"]) for line in map(json.loads, after)]
            assert len(set(names)) == len(names), "an answer was written twice"
            before = after
            found.kept.append(len(after))
        _to_the_end(*words, "--out", out)
        _check(out, whole, alone=parallel == 1)
        found.series += 1
    return found


def _check(out: Path, whole: Path, *, alone: bool) -> None:
    """The outputs are complete, and alone those of a run that nobody killed."""
    if alone:
        assert out.read_bytes() == whole.read_bytes(), "it came out otherwise"
    records = json.loads(out.read_text(encoding="utf-8"))
    assert [record["id"] for record in records] == [item.id for item in ITEMS]
    told = [len(record["urial"]["exchanges"]) for record in records]
    assert told == [len(item.turns) for item in ITEMS]
    assert not out.with_name(f"{out.name}.part").exists()


def _lines(out: Path) -> list[bytes]:
    """The whole lines of a journal behind its head."""
    try:
        data = out.with_name(f"{out.name}.part").read_bytes()
    except FileNotFoundError:
        return []
    return data.split(b"\n")[1:-1]


def _to_the_end(*arguments: str | Path) -> None:
    done = subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=HANGS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def _started(*arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Run it by hand."""
    model, *rest = sys.argv[1:]
    kills, parallel = (int(word) for word in (*rest, *("50", "1")[len(rest) :]))
    with tempfile.TemporaryDirectory() as directory:
        found = kill_runs(Path(model), Path(directory), kills, parallel=parallel)
    print(
        f"{found.kills} kills in {found.series} runs at {parallel} together; "
        f"answers kept after each: {found.kept}"
    )


if __name__ == "__main__":
    main()
