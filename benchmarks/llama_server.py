"""llama.cpp's own server, asked for several answers at once over a connection of this machine.

It is started for one measurement, on a port that is free, and killed at its end. What goes wrong
is a `ContenderFailed`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from benchmarks.contenders import Measured
from benchmarks.parallel_work import Prompt, Work, Written, measured
from benchmarks.processes import TIMEOUT, ContenderFailed
from urial_tui.sanitize import sanitize_line

_HOST = "127.0.0.1"
_START = 120.0
"""Seconds after which a server that does not listen is taken to hang."""
_SAVED = "preamble"
_EVENT = b"data: "
_HEADERS = {"Content-Type": "application/json"}


class _Timings(msgspec.Struct, frozen=True):
    prompt_n: int


class _Last(msgspec.Struct, frozen=True, kw_only=True):
    """The last event of an answer, as far as it counts here."""

    tokens_predicted: int
    stop_type: str
    timings: _Timings


class LlamaServer:
    """A server of its own, started when entered.

    Args:
        program: The llama-server executable.
        work: What it will be given.
        slots: How many answers it writes at the same time.
        directory: For its output, and for the preamble.
    """

    def __init__(self, program: Path, work: Work, slots: int, directory: Path) -> None:
        self._program = program
        self._work = work
        self._slots = slots
        self._directory = directory
        self._output = directory / "llama-server.log"
        self._port = 0

    def __enter__(self) -> Self:
        self._port = _free_port()
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("LLAMA_ARG_")
        }
        try:
            with self._output.open("wb") as output:
                self._process = subprocess.Popen(
                    server_command(
                        self._program, self._work, self._slots, self._port, self._directory
                    ),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**environment, "GGML_NO_BACKTRACE": "1"},
                    # Ctrl-C in the terminal is ours to handle.
                    start_new_session=True,
                )
        except OSError as error:
            raise ContenderFailed(
                f"llama-server can't be started: {error.strerror or error}."
            ) from error
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _wait(self) -> None:
        """Wait until it has loaded the model."""
        end = time.monotonic() + _START
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise ContenderFailed(f"llama-server ended at its start{self._last_words()}.")
            try:
                if self._call("GET", "/health")[0] == http.HTTPStatus.OK:
                    return
            except ContenderFailed:
                pass
            time.sleep(0.05)
        raise ContenderFailed(f"llama-server did not listen within {_START:g} seconds.")

    def _last_words(self) -> str:
        lines = self._output.read_bytes().strip().splitlines()
        if not lines:
            return ""
        return f": {sanitize_line(lines[-1].decode('utf-8', 'replace'))[:300].rstrip('.')}"

    # -- requests ---------------------------------------------------------------------

    def warm_up(self) -> None:
        """Have each slot hold the preamble, which is evaluated once, and answer something."""
        self._answer(Prompt("", (), 1), 0)
        self._slot(0, "save")
        for slot in range(1, self._slots):
            self._slot(slot, "restore")
        self.write([self._work.warm_up] * self._slots)

    def write(self, prompts: Sequence[Prompt]) -> list[Written]:
        """Have questions answered, as many at the same time as there are slots."""
        waiting = deque(prompts)
        answers: list[Written] = []

        def serve(slot: int) -> None:
            while True:
                try:
                    prompt = waiting.popleft()
                except IndexError:
                    return
                answers.append(self._answer(prompt, slot))

        with ThreadPoolExecutor(self._slots) as threads:
            served = [threads.submit(serve, slot) for slot in range(self._slots)]
            try:
                for each in served:
                    each.result()
            except BaseException:
                # The other threads wait for it, and nobody waits for them any more.
                waiting.clear()
                self._process.kill()
                raise
        return answers

    def _answer(self, prompt: Prompt, slot: int) -> Written:
        """Have one question answered, greedily."""
        body = {
            "prompt": [*self._work.preamble_ids, *prompt.ids],
            "n_predict": prompt.limit,
            "temperature": 0.0,
            "stop": list(self._work.stops),
            "cache_prompt": True,
            "id_slot": slot,
            "stream": True,
            "response_fields": ["tokens_predicted", "stop_type", "timings"],
        }
        began = time.perf_counter()
        with self._asked("POST", "/completion", body) as response:
            head = response.readline()
            first = time.perf_counter()
            stream = head + response.read()
        if response.status != http.HTTPStatus.OK:
            raise ContenderFailed(f"llama-server refused a question: {_shown(stream)}.")
        return written(stream, first - began)

    def _slot(self, slot: int, action: str) -> None:
        status, body = self._call("POST", f"/slots/{slot}?action={action}", {"filename": _SAVED})
        if status != http.HTTPStatus.OK:
            raise ContenderFailed(f"llama-server can't {action} a slot: {_shown(body)}.")

    def _call(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        with self._asked(method, path, body) as response:
            return response.status, response.read()

    @contextlib.contextmanager
    def _asked(self, method: str, path: str, body: object) -> Iterator[http.client.HTTPResponse]:
        """The response to a request, on a connection of its own: it keeps none after a stream."""
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=TIMEOUT)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, _HEADERS)
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            died = "" if self._process.poll() is None else self._last_words()
            raise ContenderFailed(
                f"llama-server gave no answer ({_reason(error)}){died}."
            ) from error
        finally:
            connection.close()


def server_command(
    program: Path, work: Work, slots: int, port: int, directory: Path
) -> tuple[str, ...]:
    """A server with the settings of our worker; each slot's context holds a preamble of its own."""
    return (
        *(os.fspath(program), "-m", work.model, "--offline", "--no-ui"),
        *("--host", _HOST, "--port", str(port)),
        *("-t", str(work.threads), "-tb", str(work.threads)),
        *("-np", str(slots), "-c", str(slots * work.n_ctx), "-fa", "on"),
        # Without it, a layer with a sliding window forgets the preamble's end at each answer.
        "--swa-full",
        *("--slot-save-path", os.fspath(directory)),
    )


def written(stream: bytes, first_token: float) -> Written:
    """What a stream of events says of an answer, whose first one came after so many seconds.

    Raises:
        ContenderFailed: It does not end as it should.
    """
    events = [line for line in stream.splitlines() if line.startswith(_EVENT)]
    try:
        last = msgspec.json.decode(events[-1].removeprefix(_EVENT) if events else b"", type=_Last)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = _shown(events[-1] if events else stream)
        raise ContenderFailed(f"llama-server's answer can't be read: {said}.") from error
    return Written(
        # It counts the token that ends a text.
        tokens=last.tokens_predicted - (last.stop_type == "eos"),
        first_token=first_token,
        read=last.timings.prompt_n,
    )


def _reason(error: Exception) -> str:
    told = error.strerror if isinstance(error, OSError) else None
    return sanitize_line(told or str(error) or type(error).__name__)


def _shown(body: bytes) -> str:
    return sanitize_line(body.decode("utf-8", "replace"))[:300].strip()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        port: int = listener.getsockname()[1]
    return port


def server_version(program: Path) -> str:
    """What the program says of its build.

    Raises:
        ContenderFailed: It can't be run, or says nothing.
    """
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_START,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ContenderFailed(f"llama-server can't be run: {_reason(error)}.") from error
    lines = [line for line in done.stdout.splitlines() if line.startswith(b"version")]
    if done.returncode or not lines:
        raise ContenderFailed("llama-server does not tell its version.")
    return _shown(lines[0]).removeprefix("version:").strip()


def measure(work: Work, program: Path, directory: Path, slots: int) -> Measured:
    """Have all questions answered by a new server with so many slots.

    Raises:
        ContenderFailed: It did not work.
    """
    with LlamaServer(program, work, slots, directory) as server:
        server.warm_up()
        time.sleep(work.rest)
        began = time.perf_counter()
        answers = server.write(work.prompts)
        return measured(answers, time.perf_counter() - began)
