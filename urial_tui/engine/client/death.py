"""Why a worker ended, in a sentence: by its signal, its last words, and what it was doing.

What to do depends on the moment. A model whose load or first evaluation ends the worker ends
the next one as well, so "load it again" is said only where something had worked before.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from urial_tui.engine.wire.server_address import listed
from urial_tui.engine.wire.server_probe import silent, unreachable
from urial_tui.engine.wire.worker_log import WorkerLog
from urial_tui.errors import EngineDied

Doing = Literal["loading", "first evaluation", "anything else"]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """When a worker ended.

    `doing`: what it did. `model`: the file's name, sanitised. `before`: the same load has ended
    a worker in this session already. `silent_for`: seconds that it had not answered a request
    to stop, for which it was ended; 0 where it ended by itself. `servers`: RPC servers that held
    layers of what it had loaded, or was loading.
    """

    doing: Doing = "anything else"
    model: str = ""
    before: bool = False
    silent_for: float = 0.0
    servers: tuple[str, ...] = ()


_SERVER_LOST = re.compile(
    r"Remote RPC server crashed|Failed to connect to|RPC handshake failed|RPC transport"
)
"""What the library says as it ends its process for a server (ggml-rpc.cpp)."""

_WHERE: dict[Doing, str] = {
    "loading": " while it loaded {}",
    "first evaluation": " in the first evaluation of {}",
    "anything else": "",
}

_CAUSES = {
    signal.SIGKILL: ", as the system does when memory runs out",
    signal.SIGILL: ", for its build does not fit this CPU",
    signal.SIGBUS: ", for a file that it reads was shortened or could not be read",
}

_BUILD = (
    "Run `make setup` again, or install llama-cpp-python again, built for this CPU: "
    "`urial doctor` tells what the build uses and what the CPU has"
)
_FILE = "The file may be damaged, or made for a newer llama.cpp: get it again, or choose another"

_OTHERS = "if others end so too, `urial doctor` tests the engine"
_FAILS = "if that fails as well, `urial doctor` tests the engine"


def explained_death(
    code: int | None,
    moment: Moment,
    log: WorkerLog,
    find_unreachable: Callable[[Sequence[str]], Sequence[str]] = unreachable,
    find_silent: Callable[[Sequence[str]], Sequence[str]] = silent,
) -> EngineDied:
    """The sentence about a worker that was reaped with this exit code.

    `find_unreachable`: says which of some RPC servers take no connection now; `find_silent`, which
    of them don't answer a greeting.
    """
    where = _WHERE[moment.doing].format(moment.model)
    again = ", as it did before" if moment.before else ""
    if moment.silent_for:
        cause = f"it did not stop when asked to, so it was ended after {moment.silent_for:.0f} s"
        number = None
    else:
        cause, number = _cause(code)
    words = "" if moment.silent_for else log.last_words()
    if moment.servers and (moment.silent_for or _SERVER_LOST.search(words)):
        # Nobody is served by them any more, so that one that works answers.
        find = find_silent if moment.silent_for else find_unreachable
        return _lost_server(moment, where, log, find(moment.servers))
    said = f' Its last words: "{words}".' if words else ""
    advice = _advice(number, moment)
    return EngineDied(
        f"The engine stopped{where}{again}: {cause}.{said}",
        f"{advice}; nothing of the conversation is lost. Its log is {log.file}.",
    )


def _lost_server(
    moment: Moment,
    where: str,
    log: WorkerLog,
    gone: Sequence[str],
) -> EngineDied:
    """The sentence about a worker that lost an RPC server, or waited for one.

    The library does not say which of several it was, so the one that does not answer (`gone`) is
    named.
    """
    many = len(gone or moment.servers) > 1
    name = f"the RPC server{'s' if many else ''} {listed(gone or moment.servers)}"
    if moment.silent_for:
        cause = (
            f"it waited for {name} and did not stop when asked to, so it was ended after "
            f"{moment.silent_for:.0f} s"
        )
    elif gone:
        cause = f"{name} ended, or can't be reached any more"
    else:
        cause = f"{'one of ' if many else ''}{name} hung up"
    return EngineDied(
        f"The engine stopped{where}: {cause}.",
        "Start it again and load the model again, or take it out of engine.rpc; nothing of the "
        f"conversation is lost. Its log is {log.file}.",
    )


def _cause(code: int | None) -> tuple[str, int | None]:
    """What ended it, and the signal, if it was one."""
    if code is None or code >= 0:
        return f"it exited with code {code}", None
    try:
        number = signal.Signals(-code)
    except ValueError:
        return f"it was ended by signal {-code}", -code
    return f"it was ended by {number.name}{_CAUSES.get(number, '')}", number


def _advice(number: int | None, moment: Moment) -> str:
    if number == signal.SIGILL:
        return _BUILD
    if number == signal.SIGBUS:
        return "Check the model's file and its disk, and get it again if it is not whole"
    if number == signal.SIGKILL:
        smaller = "a smaller model or context needs less memory"
        if moment.doing == "anything else":
            return f"Load the model again, though {smaller}"
        return (
            f"Close other programs, or choose another model or engine.context: {smaller}, and "
            "`urial doctor` tells how much there is"
        )
    if moment.doing == "anything else":
        return "Load the model again"
    if number is None and not moment.silent_for and not moment.before:
        return f"Load the model again; {_FAILS}"
    return f"{_FILE}; {_OTHERS}"
