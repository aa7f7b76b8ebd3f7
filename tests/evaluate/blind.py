"""Two runs on the same items, and persons who judge them, for the tests of blind judging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from urial_tui.evaluate.blind_file import BlindFile
from urial_tui.evaluate.blind_judging import PERSON, BlindJudging, BlindVerdict
from urial_tui.evaluate.blind_pairs import SharedItems, ShownPair, shared_items
from urial_tui.evaluate.output_file import write_outputs
from urial_tui.evaluate.outputs import AnsweredTurn, Output

FIRST, SECOND = "llama, urial-k3", "llama, zero-shot"


def output(number: int | str, generator: str, text: str | None = None) -> Output:
    """An answer that names its run, as no real one would."""
    return Output(
        id=number,
        exchanges=(
            AnsweredTurn(
                instruction=f"Question {number}?",
                output=f"{generator} on {number}." if text is None else text,
            ),
        ),
        generator=generator,
    )


def by_id(outputs: Sequence[Output]) -> dict[str, Output]:
    return {str(one.id): one for one in outputs}


def runs(count: int) -> SharedItems:
    """Two runs that have both answered so many items."""
    first, second = (
        [output(number, generator) for number in range(count)] for generator in (FIRST, SECOND)
    )
    return shared_items(by_id(first), by_id(second))


def run_files(directory: Path, count: int) -> tuple[Path, Path]:
    """The same as two files of outputs."""
    paths = directory / "first.json", directory / "second.json"
    for path, generator in zip(paths, (FIRST, SECOND), strict=True):
        write_outputs(path, [output(number, generator) for number in range(count)])
    return paths


def opened(shared: SharedItems, out: Path, *, seed: int = 7, judge: str = PERSON) -> BlindJudging:
    """The judging of two runs; a new one has this seed."""
    keys = {pair.key for pair in shared.pairs}
    return BlindJudging(shared, BlindFile(out, judge, keys, lambda: seed), judge)


def prefers(generator: str) -> Callable[[ShownPair], BlindVerdict]:
    """Somebody who finds the answers of one run better."""
    return lambda shown: "left" if shown.left.generator == generator else "right"


def judge_all(
    judging: BlindJudging, says: Callable[[ShownPair], BlindVerdict], most: int | None = None
) -> list[ShownPair]:
    """Judge what is left, or at most so many; what was shown."""
    seen: list[ShownPair] = []
    while (shown := judging.current) is not None and len(seen) != most:
        seen.append(shown)
        judging.judge(says(shown))
    return seen
