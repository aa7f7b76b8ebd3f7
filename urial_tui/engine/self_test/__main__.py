"""The self-test as a program: all types, on one thread and on all."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from urial_tui.engine.native import llama
from urial_tui.engine.native.context import DecodeError, NoSlot
from urial_tui.engine.native.threads import physical_cores
from urial_tui.engine.self_test import WRONG
from urial_tui.engine.self_test.model import TYPES, TinyModel
from urial_tui.engine.self_test.trial import EngineTrial


def main() -> int:
    """Print a line for each type; the process' exit code."""
    llama.initialise()
    threads = sorted({1, physical_cores()})
    found: list[str] = []
    with tempfile.TemporaryDirectory(prefix="urial-self-test-") as folder:
        for name in TYPES:
            path = Path(folder, f"{name}.gguf")
            model = TinyModel(name)
            model.write(path)
            trial = EngineTrial(model)
            # What crashes leaves the name of its type as the last line.
            print(f"{name} …", flush=True)
            try:
                found += trial.faults(path, threads)
            except (llama.LoadError, DecodeError, NoSlot) as error:
                found.append(f"{name}: {error or 'the cache is full'}")
            print(f"{name}: off by {trial.mean:.4f}, at most {trial.largest:.3f}", flush=True)
            path.unlink()
    for fault in found:
        print(fault)
    return WRONG if found else 0


if __name__ == "__main__":
    sys.exit(main())
