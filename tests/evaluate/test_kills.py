"""A run that is killed at any moment goes on, loses nothing and does nothing twice.

`python -m tests.evaluate.kills` kills more often.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluate.kills import kill_runs
from urial_tui import paths


@pytest.mark.parametrize("parallel", [1, 4])
def test_kills_at_random_moments_lose_nothing(
    parallel: int, endless_gguf: Path, tmp_path: Path
) -> None:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text('[chat]\npreamble = "zero-shot"\n[engine]\nthreads = 1\ncontext = 1024\n')
    found = kill_runs(endless_gguf, tmp_path, 4, parallel=parallel)
    assert found.kills == 4
