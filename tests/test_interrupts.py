"""Ctrl-C that Python drops is not lost."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_DROPPED = """
import os, signal, sys, weakref
from urial_tui import interrupts

signal.signal(signal.SIGINT, signal.default_int_handler)
interrupts.end_at_once()
{during}
interrupts.remember()

class Thing:
    pass

thing = Thing()
reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))
sys.unraisablehook = lambda _: print("dropped")
del thing
interrupts.check()
"""
_INTERRUPT = "os.kill(os.getpid(), signal.SIGINT)"


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_one_that_a_callback_drops_is_raised_by_the_next_look() -> None:
    done = _run(_DROPPED.format(during=""))
    assert done.stdout == "dropped\n"
    assert done.returncode in (130, -signal.SIGINT)
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"


def test_one_in_the_lock_of_an_import_is_raised_later_and_nothing_is_printed() -> None:
    during = (
        "names = {'thing': lambda: os.kill(os.getpid(), signal.SIGINT)}\n"
        "code = 'def cb(_): thing()'\n"
        "exec(compile(code, '<frozen importlib._bootstrap>', 'exec'), names)"
    )
    code = _DROPPED.format(during=during)
    old = "lambda _: os.kill(os.getpid(), signal.SIGINT))"
    assert old in code
    done = _run(code.replace(old, "names['cb'])"))
    assert done.stdout == ""
    assert done.returncode in (130, -signal.SIGINT)
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"


def test_one_during_the_first_imports_ends_the_process_in_silence() -> None:
    done = _run(_DROPPED.format(during=_INTERRUPT))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("handler", ["signal.SIG_IGN", "signal.SIG_DFL"])
def test_what_else_was_to_happen_at_ctrl_c_stays(handler: str) -> None:
    code = (
        "import signal\nfrom urial_tui import interrupts\n"
        f"signal.signal(signal.SIGINT, {handler})\n"
        "interrupts.end_at_once()\ninterrupts.remember()\n"
        f"assert signal.getsignal(signal.SIGINT) is {handler}"
    )
    assert _run(code).returncode == 0
