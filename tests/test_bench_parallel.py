"""`benchmarks/parallel.py`: what is asked, what answers add up to, and what failures turn into.

No test here asserts a time. Our worker runs for real, on a tiny model; llama-server is a script.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks import llama_server, parallel, worker_line
from benchmarks.llama_server import LlamaServer, written
from benchmarks.parallel_items import ITEMS
from benchmarks.parallel_work import Prompt, Work, Written, measured
from benchmarks.processes import ContenderFailed
from benchmarks.worker_line import WorkerLine
from urial_tui.engine.wire.values import EngineOptions

PREAMBLE = """
name = "tiny"
title = "Tiny"
description = "For tests."
method = "urial"
system = "Hello world, this is the first answer."

[format]
system = "# Instruction\\n\\n{system}\\n\\n"
query = "# Query:\\n{query}\\n\\n"
answer = "# Answer:\\n{answer}\\n\\n"
stop = ["\\n\\n# Query:", "\\n# Query:"]
"""


def work(*, limits: tuple[int, ...] = (3, 5, 4)) -> Work:
    prompts = tuple(Prompt(f"question {limit}", (7, 8), limit) for limit in limits)
    return Work(
        model="m.gguf", threads=1, preamble="p", preamble_ids=(1, 2, 3), prompts=prompts,
        warm_up=Prompt("warm", (9,), 1), stops=("# Query:",),
    )  # fmt: skip


@pytest.fixture
def preamble(home: Path) -> Path:
    path = home / "tiny.toml"
    path.write_text(PREAMBLE)
    return path


# -- what is asked ---------------------------------------------------------------------


def test_questions_differ_and_any_first_ones_are_a_mixture() -> None:
    assert len({item.question for item in ITEMS}) == len(ITEMS) == 48
    assert {item.limit for item in ITEMS} >= {24, 160}
    assert all(24 <= item.limit <= 160 for item in ITEMS)
    for start in range(0, 48, 8):
        part = ITEMS[start : start + 8]
        assert max(len(item.question) for item in part) > 300
        assert min(len(item.question) for item in part) < 60


def test_share_of_the_limits_leaves_every_answer_a_token() -> None:
    few = parallel.chosen_items(8, 0.25)
    assert [item.limit for item in few] == [round(item.limit / 4) for item in ITEMS[:8]]
    assert all(item.limit == 1 for item in parallel.chosen_items(48, 0.001))


def test_contexts_hold_what_is_asked_for() -> None:
    """One preamble of 1,000 tokens for all in a pool; questions of 2 tokens."""
    asked = Work(
        model="m", threads=1, preamble="p", preamble_ids=tuple(range(1000)),
        prompts=(Prompt("q", (1, 2), 98),), warm_up=Prompt("w", (1,), 4),
    )  # fmt: skip
    assert asked.n_ctx == 1280
    assert asked.pool(1) == asked.n_ctx
    assert asked.pool(8) == 2048
    assert asked.tokens == 98


# -- what it adds up to ----------------------------------------------------------------


def test_rates_are_of_what_was_written() -> None:
    answers = [
        Written(tokens=10, first_token=0.5, read=20),
        Written(tokens=30, first_token=0.1, read=5),
        Written(tokens=0, first_token=0.2, read=5),
    ]
    found = measured(answers, 4.0)
    assert found.figures == {
        "tokens_per_s": 10.0,
        "items_per_s": 0.75,
        "first_token": 0.2,
        "tokens": 40,
        "read": 30,
    }
    assert found.generated == {"tokens_per_s": 40}


def test_everything_is_set_beside_one_answer_after_another_and_the_same_number_of_slots() -> None:
    names = [target.name for target in parallel.targets((1, 8), beside_server=True)]
    assert names == [
        "tokens_per_s: together-1 / alone",
        "tokens_per_s: together-8 / alone",
        "tokens_per_s: llama-server-1 / alone",
        "tokens_per_s: llama-server-8 / alone",
        "tokens_per_s: together-1 / llama-server-1",
        "tokens_per_s: together-8 / llama-server-8",
        "first_token: together-1 / llama-server-1",
        "first_token: together-8 / llama-server-8",
    ]
    assert len(parallel.targets((1, 8), beside_server=False)) == 2


def event(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


@pytest.mark.parametrize(("stop_type", "tokens"), [("limit", 5), ("eos", 4)])
def test_servers_token_that_ends_a_text_is_not_counted(stop_type: str, tokens: int) -> None:
    stream = event(content="a", tokens_predicted=1) + event(
        tokens_predicted=5, stop_type=stop_type, timings={"prompt_n": 7}
    )
    assert written(stream, 0.5) == Written(tokens=tokens, first_token=0.5, read=7)


@pytest.mark.parametrize("stream", [b"", b"<html>", event(content="a"), b"data: \xff\n\n"])
def test_servers_nonsense_gives_a_sentence(stream: bytes) -> None:
    with pytest.raises(ContenderFailed, match="llama-server's answer can't be read"):
        written(stream, 0.5)


# -- the contenders --------------------------------------------------------------------


@pytest.fixture
def scripted_server(tmp_path: Path) -> Path:
    """Speaks as llama-server does, and writes its id and what it was asked beside itself."""
    path = tmp_path / "llama-server"
    path.write_text(
        f"#!{sys.executable}\n"
        "import http.server, json, os, sys, time\n"
        "if '--version' in sys.argv:\n"
        "    print('version: 7 (abc)'); sys.exit()\n"
        "log = open(__file__ + '.asked', 'a', 1)\n"
        "print(os.getpid(), file=log)\n"
        "class Server(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers()\n"
        "    def do_POST(self):\n"
        "        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))\n"
        "        print(self.path, json.dumps(body), file=log)\n"
        "        time.sleep(0.2)  # so that one client does not take all the questions\n"
        "        last = {'tokens_predicted': body.get('n_predict'), 'stop_type': 'limit',\n"
        "                'timings': {'prompt_n': 2}}\n"
        "        self.send_response(200); self.end_headers()\n"
        "        self.wfile.write(b'data: ' + json.dumps(last).encode() + b'\\n\\n')\n"
        "port = int(sys.argv[sys.argv.index('--port') + 1])\n"
        "http.server.ThreadingHTTPServer(('127.0.0.1', port), Server).serve_forever()\n"
    )
    path.chmod(0o755)
    return path


def test_server_is_asked_in_every_slot_and_is_gone_at_the_end(
    scripted_server: Path, tmp_path: Path
) -> None:
    found = llama_server.measure(work(), scripted_server, tmp_path, 2)
    assert found.figures["tokens"] == 12
    pid, *asked = scripted_server.with_name("llama-server.asked").read_text().splitlines()
    assert [line.split()[0] for line in asked[:3]] == [
        "/completion",
        "/slots/0?action=save",
        "/slots/1?action=restore",
    ]
    bodies = [json.loads(line.partition(" ")[2]) for line in asked if "/completion" in line]
    assert [body["prompt"] for body in bodies[:3]] == [[1, 2, 3], [1, 2, 3, 9], [1, 2, 3, 9]]
    assert {body["n_predict"] for body in bodies[3:]} == {3, 4, 5}
    assert {body["id_slot"] for body in bodies} == {0, 1}
    assert {stop for body in bodies for stop in body["stop"]} == {"# Query:"}
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_server_that_fails_gives_a_sentence(tmp_path: Path) -> None:
    program = tmp_path / "llama-server"
    with pytest.raises(ContenderFailed, match=r"can't be started: No such file"):
        llama_server.measure(work(), program, tmp_path, 1)
    program.write_text("#!/bin/sh\necho no such model >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(ContenderFailed, match=r"ended at its start: no such model\.$"):
        llama_server.measure(work(), program, tmp_path, 1)
    with pytest.raises(ContenderFailed, match="does not tell its version"):
        llama_server.server_version(program)


def test_server_that_dies_is_told_with_its_last_words(
    scripted_server: Path, tmp_path: Path
) -> None:
    with LlamaServer(scripted_server, work(), 2, tmp_path) as server:
        server.warm_up()
        pid = scripted_server.with_name("llama-server.asked").read_text().split()[0]
        os.kill(int(pid), 9)
        with pytest.raises(ContenderFailed, match="llama-server gave no answer"):
            server.write(work().prompts)


def test_worker_that_fails_gives_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ContenderFailed, match=r"m\.gguf"):
        worker_line.measure(work(), tmp_path, 1, together=True)


def test_worker_that_dies_gives_a_sentence(tmp_path: Path, endless_gguf: Path) -> None:
    with WorkerLine(tmp_path) as line:
        line.load(str(endless_gguf), EngineOptions(n_ctx=256, threads=1))
        os.kill(line.pid, 9)
        with pytest.raises(ContenderFailed, match="memory runs out"):
            line.tokenize("Hello")


# -- the comparison --------------------------------------------------------------------


def test_parallel_counts_what_is_written(
    tmp_path: Path,
    endless_gguf: Path,
    preamble: Path,
    scripted_server: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Answers of this model end only at their limits."""
    document_file = tmp_path / "parallel.json"
    code = parallel.main(
        [
            *("--model", str(endless_gguf), "--preamble", str(preamble), "--threads", "1"),
            *("--llama-server", str(scripted_server), "--sequences", "1,3"),
            *("--items", "6", "--scale", "0.1", "--rounds", "1", "--no-rest"),
            *("--json", str(document_file)),
        ]
    )
    shown = capsys.readouterr()
    assert code == 0, shown.err
    document = json.loads(document_file.read_text())
    assert document["failures"] == []
    limit = sum(item.limit for item in parallel.chosen_items(6, 0.1))
    assert document["limit"] == limit
    contenders = document["contenders"]
    assert list(contenders) == [
        "alone", "together-1", "llama-server-1", "together-3", "llama-server-3"
    ]  # fmt: skip
    for found in contenders.values():
        assert found["tokens"]["values"] == [limit]
        assert found["tokens_per_s"]["median"] > 0
    assert contenders["alone"]["read"]["values"] == [document["question_tokens"]]
    for name in ("together-1", "together-3"):
        # What each question starts with was read for the warm-up.
        (read,) = contenders[name]["read"]["values"]
        opening, rest = divmod(document["question_tokens"] - read, 6)
        assert 0 < opening <= len("# Query:\n")
        assert rest == 0
    assert document["versions"]["llama-server"] == "7 (abc)"
    rates = {name: found["tokens_per_s"]["median"] for name, found in contenders.items()}
    ratios = {ratio["name"]: ratio["ratio"]["median"] for ratio in document["ratios"]}
    for ours, theirs in (("together-3", "alone"), ("together-3", "llama-server-3")):
        name = f"tokens_per_s: {ours} / {theirs}"
        assert ratios[name] == pytest.approx(rates[ours] / rates[theirs])
    assert "tokens written a second" in shown.out


def test_parallel_refuses_what_can_not_run(
    home: Path, endless_gguf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", str(endless_gguf)]
    assert parallel.main(["--model", str(home / "missing.gguf")]) == 1
    assert parallel.main([*model, "--llama-server", str(home / "nothing")]) == 1
    assert parallel.main([*model, "--preamble", "zero-shot"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "missing.gguf" in told.err
    assert "There is no llama-server to run" in told.err
    assert "zero-shot has no text" in told.err
    assert "Traceback" not in told.err
