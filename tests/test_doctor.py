"""`urial doctor`: each topic with what it is told, a real self-test, the command."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.scripted import ScriptedEngine, delta, finished
from tests.test_cli_lists import URIAL, on_terminal, urial
from urial_tui import doctor, paths
from urial_tui.cli import main as cli
from urial_tui.doctor import topics as all_topics
from urial_tui.doctor.directories import Access, directories
from urial_tui.doctor.engine import build_parts, engine
from urial_tui.doctor.examination import ExaminationTopic, examine
from urial_tui.doctor.finding import DoctorFinding, Fact, finding, worst
from urial_tui.doctor.memory import memory
from urial_tui.doctor.own_files import caches, own_files
from urial_tui.doctor.processes import processes
from urial_tui.doctor.processor import processor, used_features
from urial_tui.doctor.self_test import answers, kernels
from urial_tui.doctor.speed import speed
from urial_tui.doctor.terminal import Screen, terminal
from urial_tui.doctor.versions import versions
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import Device
from urial_tui.errors import EngineDied, EngineError, SettingsError, UrialError
from urial_tui.models.stores import hub

Captured = pytest.CaptureFixture[str]
GIB = 1 << 30


def tree(root: Path, files: dict[str, str]) -> Path:
    """A root with these files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def told(facts: Iterator[Fact], state: str) -> list[str]:
    return [fact.found for fact in facts if fact.state == state]


def only(facts: Iterator[Fact], words: str) -> Fact:
    (found,) = [fact for fact in facts if words in fact.found]
    return found


# -- findings --------------------------------------------------------------------------


def test_what_is_found_hides_the_home_directory_and_controls() -> None:
    fact = Fact("a\x1b[31m/some/where/file", "warning", "Look at /some/where.")
    found = finding("files", fact, Path("/some/where"))
    assert "\x1b" not in found.found
    assert found.found.endswith("~/file")
    assert found.todo == "Look at ~."
    assert finding("files", Fact("/etc/x"), Path("/")).found == "/etc/x"


def test_the_worst_state_counts() -> None:
    def one(state: str) -> DoctorFinding:
        return finding("t", Fact("x", state))  # type: ignore[arg-type]

    assert worst([]) == "good"
    assert worst([one("note"), one("good")]) == "note"
    assert worst([one("bad"), one("warning")]) == "bad"


def test_a_topic_that_fails_does_not_end_the_others() -> None:
    def refused() -> Iterator[Fact]:
        yield Fact("begun")
        raise SettingsError("It is broken.", "Mend it.")

    def mistaken() -> Iterator[Fact]:
        yield from ()
        raise ZeroDivisionError("x" * 1000)

    begun: list[str] = []
    topics = [
        ExaminationTopic("a", refused),
        ExaminationTopic("b", mistaken),
        ExaminationTopic("c", lambda: [Fact("fine")]),
    ]
    found = list(examine(topics, begun.append))
    assert begun == ["a", "b", "c"]
    assert [(f.topic, f.state) for f in found] == [
        ("a", "good"),
        ("a", "bad"),
        ("b", "warning"),
        ("c", "good"),
    ]
    assert (found[1].found, found[1].todo) == ("It is broken.", "Mend it.")
    assert "ZeroDivisionError" in found[2].found
    assert len(found[2].found) < 300


# -- the machine -----------------------------------------------------------------------


def test_missing_and_mismatched_libraries_are_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    def version_of(name: str) -> str:
        if name == "numpy":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.1"

    monkeypatch.setattr(importlib.metadata, "requires", lambda _: ["llama-cpp-python==9.9"])
    assert told(versions(version_of), "bad") == [
        "not installed: numpy",
        "llama-cpp-python is 0.1, and has to be 9.9",
    ]


def test_affinity_and_quota_of_a_nested_group_are_told(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/cpuinfo": "model name\t: Some CPU\nflags\t\t: pni ssse3 avx avx2 fma\n",
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
        },
    )
    facts = list(processor(root, usable=lambda: 4, cores=8))
    assert [fact.found for fact in facts] == [
        "Some CPU, 8 logical CPUs",
        "this process may run on 4 of them (its affinity)",
        "its control group gives it the time of 0.5 CPUs",
        "features: SSE3, SSSE3, AVX, AVX2, FMA",
    ]
    assert [fact.state for fact in facts] == ["good", "note", "warning", "good"]


@pytest.mark.parametrize(
    ("uses", "flags", "state", "words"),
    [
        (("AVX", "AVX2"), {"avx", "avx2"}, "good", "uses all"),
        (("AVX", "AVX512"), {"avx"}, "bad", "needs AVX512"),
        (("AVX",), {"avx", "avx2"}, "warning", "without AVX2"),
        (("AVX",), {"avx", "amx_int8"}, "note", "does not use AMX_INT8"),
    ],
)
def test_the_builds_features_are_held_against_the_cpus(
    uses: tuple[str, ...], flags: set[str], state: str, words: str
) -> None:
    (fact,) = used_features({"CPU": uses}, flags)
    assert fact.state == state
    assert words in fact.found


def test_nothing_is_said_of_features_where_the_system_does_not_tell() -> None:
    assert list(used_features({"CPU": ("AVX",)}, ())) == []
    assert list(used_features({}, {"avx"})) == []


def test_the_librarys_words_are_taken_apart() -> None:
    words = "CUDA : ARCHS = 500,610 | USE_GRAPHS = 1 | CPU : SSE3 = 1 | AVX512 = 0 | REPACK = 1 | "
    assert build_parts(words) == {
        "CUDA": ("ARCHS 500,610", "USE_GRAPHS"),
        "CPU": ("SSE3", "REPACK"),
    }
    assert build_parts("") == {}
    assert build_parts("nonsense") == {}


def test_the_narrowest_group_of_version_2_limits_the_memory(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n"
            "SwapTotal: 1000000 kB\nSwapFree: 500000 kB\n",
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/memory.max": f"{GIB}\n",
            "sys/fs/cgroup/a/memory.current": f"{GIB // 2}\n",
            "sys/fs/cgroup/a/b/memory.max": f"{4 * GIB}\n",
            "sys/fs/cgroup/a/b/memory.current": "0\n",
            "sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n",
        },
    )
    facts = list(memory(root))
    assert facts[0].found == "1.07 GB, of which 537 MB can be taken now"
    assert facts[0].state == "warning"
    assert facts[1].found == (
        "a control group limits it to 1.07 GB, of which 537 MB are taken (the machine has 17.2 GB)"
    )
    assert facts[2].found == "swap: 1.02 GB, 512 MB free"
    assert (facts[3].state, "off" in facts[3].found) == ("note", True)


def test_a_group_of_version_1_limits_the_memory_too(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n",
            "proc/self/cgroup": "5:memory:/x\n",
            "sys/fs/cgroup/memory/x/memory.limit_in_bytes": f"{8 * GIB}\n",
            "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "0\n",
            "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
        },
    )
    facts = list(memory(root))
    assert [fact.state for fact in facts] == ["good", "note", "good"]
    assert "limits it to 8.59 GB" in facts[1].found


def test_other_engines_are_counted_and_own_ones_are_not(tmp_path: Path) -> None:
    worker = "python\0-m\0urial_tui.engine.worker.main\0/cache\0"
    root = tree(
        tmp_path,
        {
            "proc/self/status": "",
            "proc/10/cmdline": worker,
            "proc/10/status": "PPid:\t7\nRssAnon:\t2000 kB\n",
            "proc/11/cmdline": worker,
            "proc/11/status": "PPid:\t99\nRssAnon:\t3000 kB\n",
            "proc/12/cmdline": "bash\0",
            "proc/12/status": "PPid:\t1\n",
        },
    )
    (fact,) = processes(root, own=7)
    assert fact.found == "1 other engine at work, holding 3.07 MB"


# -- the installation ------------------------------------------------------------------


def test_a_directory_that_cant_be_written_is_bad() -> None:
    paths.models_dir().mkdir(parents=True)
    access = Access(lambda path: path != paths.models_dir(), lambda _: 10**12)
    facts = list(directories(access))
    assert only(iter(facts), "models:").state == "bad"
    assert "can't be written" in only(iter(facts), "models:").found
    assert str(paths.models_dir()) in only(iter(facts), "models:").todo
    assert [fact.state for fact in facts].count("bad") == 1


def test_a_file_in_the_place_of_a_directory_is_bad() -> None:
    paths.models_dir().parent.mkdir(parents=True)
    paths.models_dir().write_text("")
    assert "is no directory" in only(directories(), "models:").found


def test_little_room_is_a_warning_and_contents_are_counted() -> None:
    paths.models_dir().mkdir(parents=True)
    (paths.models_dir() / "a.gguf").write_bytes(b"x" * 1500)
    fact = only(directories(Access(lambda _: True, lambda _: 1000)), "models:")
    assert fact.state == "warning"
    assert fact.found.endswith("holds 1 entry, 1.50 kB; only 1.00 kB free")


def test_the_hub_s_cache_is_where_downloads_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    what, here = "Hugging Face's cache", str(tmp_path)
    access = Access(lambda path: str(path).startswith(here), lambda _: 5 * 10**9)
    fact = only(directories(access), what)
    assert fact.found == f"{what}: {here}/hub is made when it is needed; 5.00 GB free"
    (tmp_path / "hub" / "models--a--b" / "blobs").mkdir(parents=True)
    (tmp_path / "hub" / "datasets--a--b").mkdir()
    assert "/hub holds 1 model repository; 5.00 GB free" in only(directories(access), what).found
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "other"))
    assert "/other is made" in only(directories(access), what).found
    closed = only(directories(Access(lambda _: False, lambda _: 0)), what)
    assert closed.state == "bad"
    assert "(HF_HUB_CACHE)" in closed.todo


def test_no_home_directory_is_bad_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: object) -> Path:
        raise UrialError("This user has no home directory.", "Set HOME.")

    monkeypatch.setattr(paths, "_of_user", nowhere)
    monkeypatch.setattr(hub, "directories", lambda: nowhere(None))
    facts = list(directories())
    assert len(facts) == 7
    assert {(fact.state, fact.todo) for fact in facts} == {("bad", "Set HOME.")}


def test_own_files_that_cant_be_read_are_told_beside_those_that_can() -> None:
    tree(
        paths.settings_file().parent,
        {
            "settings.toml": "[engine]\nthreads = 'many'\n",
            "models.toml": "not toml",
            "prompts/mine.toml": "system = 3\n",
        },
    )
    trouble = SettingsError("The theme x can't be used.", "Correct x.")
    facts = list(own_files(lambda: (1, [trouble])))
    warnings = [fact for fact in facts if fact.state == "warning"]
    assert len(warnings) == 4
    assert all(fact.todo for fact in warnings)
    assert "threads" in warnings[0].found
    assert "models.toml" in warnings[1].found
    assert "mine" in warnings[2].found
    assert warnings[3].found == "The theme x can't be used."
    assert only(iter(facts), "themes:").found == "themes: 1 of your own"


def test_the_cache_is_counted_beside_damaged_settings() -> None:
    tree(paths.settings_file().parent, {"settings.toml": "["})
    (fact,) = caches()
    assert fact.found == "0 evaluated preambles, 0 B of at most 4.10 GB"


# -- the terminal ----------------------------------------------------------------------


def test_a_good_terminal_has_nothing_to_complain_of() -> None:
    environ = {"TERM": "xterm-kitty", "COLORTERM": "truecolor"}
    facts = list(terminal(Screen((120, 40), "utf-8"), environ, lambda _: None))
    assert {fact.state for fact in facts} == {"good"}
    assert "16 million colours" in only(iter(facts), "TERM").found
    assert "OSC 52" in only(iter(facts), "clipboard").found


def test_a_poor_terminal_is_told_what_it_lacks() -> None:
    environ = {"TERM": "dumb", "NO_COLOR": "1", "VTE_VERSION": "1", "SECRET": "hush"}
    facts = list(terminal(Screen((20, 5), "ascii"), environ, lambda _: None))
    assert [fact.state for fact in facts if fact.todo] == ["warning", "warning", "note", "warning"]
    assert "NO_COLOR" in only(iter(facts), "NO_COLOR").found
    assert "hush" not in str(facts)


def test_a_clipboards_program_is_looked_for() -> None:
    environ = {"TERM": "xterm-256color", "WAYLAND_DISPLAY": "x"}
    facts = terminal(Screen(None, "UTF-8"), environ, lambda name: f"/bin/{name}")
    assert only(facts, "clipboard").found == "clipboard: by wl-copy"


# -- the engine ------------------------------------------------------------------------


def test_the_engine_tells_its_build_and_its_devices(script: ScriptedEngine, tmp_path: Path) -> None:
    script.cards = (Device(name="CUDA0", description="A card", kind="gpu", memory_total=8 * 10**9),)
    tree(tmp_path, {"urial-setup.json": '{"tested": "1", "cmake_args": "-DGGML_CUDA=on"}'})
    facts = list(engine(lambda _: script, root=tmp_path, prefix=tmp_path))
    assert only(iter(facts), "gpu").found == "gpu CUDA0: A card, 8.00 GB"
    assert "-DGGML_CUDA=on" in only(iter(facts), "make setup").found


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 60_000, '{"tested": 1, "cmake_args": 3}'])
def test_a_damaged_note_of_the_setup_is_passed_over(
    script: ScriptedEngine, tmp_path: Path, text: str
) -> None:
    tree(tmp_path, {"urial-setup.json": text})
    assert list(engine(lambda _: script, root=tmp_path, prefix=tmp_path))


def dead_engine(_: Path | None) -> Engine:
    return Engine(program=(sys.executable, "-c", "import os; os.abort()"))


def silent_engine(_: Path | None) -> Engine:
    return Engine(program=(sys.executable, "-c", "import sys; sys.stdin.read()"))


def test_a_worker_that_dies_is_a_bad_finding() -> None:
    (found,) = examine([ExaminationTopic("engine", lambda: engine(dead_engine))], lambda _: None)
    assert found.state == "bad"
    assert found.todo


def test_a_worker_that_says_nothing_is_ended() -> None:
    with pytest.raises(EngineError, match="did not answer"):
        list(engine(silent_engine, limit_s=0.3))


def test_the_self_test_passes_with_the_engine_at_hand() -> None:
    facts = list(answers())
    assert [fact.found for fact in facts] == [
        "on 1 thread: the same answer from a computed and a restored preamble",
        "on all threads: the same answer from a computed and a restored preamble",
    ]
    assert {fact.state for fact in facts} == {"good"}


def test_answers_that_differ_and_a_lost_preamble_are_found(
    monkeypatch: pytest.MonkeyPatch, script: ScriptedEngine
) -> None:
    from urial_tui.doctor import self_test

    results = iter(
        [
            self_test._Answer("computed", (1, 2)),
            self_test._Answer("disk", (1, 3)),
            self_test._Answer("computed", (1, 3)),
            self_test._Answer("computed", (1, 3)),
        ]
    )
    monkeypatch.setattr(self_test, "_answer", lambda *_: next(results))
    facts = list(answers(lambda _: script))
    assert [fact.state for fact in facts] == ["bad", "warning", "bad"]
    assert facts[2].found == "one thread and all threads give different answers"


def test_a_death_in_the_self_test_is_no_crash(script: ScriptedEngine) -> None:
    script.enqueue_load(EngineDied("The engine stopped.", "Try again."))
    topic = ExaminationTopic("self-test", lambda: answers(lambda _: script))
    (found,) = examine([topic], lambda _: None)
    assert (found.state, found.found) == ("bad", "The engine stopped.")


@pytest.mark.parametrize(
    ("program", "state", "words"),
    [
        ("print('F16: off by 0')", "good", "for 1 types"),
        ("print('F16: prefill is off'); raise SystemExit(3)", "bad", "prefill is off"),
        ("import os; os.kill(os.getpid(), 4)", "bad", "SIGILL"),
        ("import os; os.kill(os.getpid(), 9)", "warning", "could not be run"),
        ("raise SystemExit(1)", "warning", "could not be run"),
    ],
)
def test_how_the_test_of_the_numbers_ends_says_what_is_wrong(
    program: str, state: str, words: str
) -> None:
    (fact,) = kernels((sys.executable, "-S", "-c", program))
    assert fact.state == state
    assert words in fact.found


def test_a_test_of_the_numbers_that_does_not_end_is_ended() -> None:
    (fact,) = kernels((sys.executable, "-S", "-c", "import time; time.sleep(60)"), limit_s=0.2)
    assert fact.state == "warning"


def test_the_speed_test_says_what_it_measured(endless_gguf: Path) -> None:
    facts = list(speed(read=lambda _: 2e9, model=endless_gguf, load=lambda: 0.0))
    read = only(iter(facts), "memory")
    assert (read.state, "2.00 GB/s" in read.found) == ("warning", True)
    assert "tiny-endless.gguf writes" in only(iter(facts), "decoding").found


def test_a_busy_machine_is_not_called_slow() -> None:
    facts = list(speed(read=lambda _: 2e9, load=lambda: 99.0))
    assert [fact.state for fact in facts] == ["note", "good", "note"]


def test_a_machine_that_is_too_slow_for_the_speed_test_is_told_so(endless_gguf: Path) -> None:
    """The limit is over before a worker can have started."""
    facts = speed(read=lambda _: 2e10, model=endless_gguf, load=lambda: 0.0, limit_s=0.01)
    fact = only(facts, "decoding")
    assert fact.state == "note"
    assert "the model was not ready within 0.01 s" in fact.found


@pytest.mark.parametrize(
    ("generated", "state", "words"),
    [
        (3, "warning", "slow.gguf writes 1.5 tokens/s"),
        (2, "note", "decoding: not measured, since the time was over too early"),
    ],
)
def test_what_was_written_when_the_time_is_over_counts(
    script: ScriptedEngine, tmp_path: Path, generated: int, state: str, words: str
) -> None:
    done = msgspec.structs.replace(
        finished("x", "cancelled"), generated=generated, decode_tokens_per_s=1.5
    )
    script.enqueue(delta("x"), done)
    model = tmp_path / "slow.gguf"
    facts = speed(lambda _: script, lambda _: 2e10, model, lambda: 0.0, limit_s=60.0)
    fact = only(facts, "decoding")
    assert fact.state == state
    assert words in fact.found


def test_a_failure_within_the_time_is_none_of_slowness(
    script: ScriptedEngine, tmp_path: Path
) -> None:
    script.enqueue_load(EngineError("The model can't be loaded."))
    with pytest.raises(EngineError, match="can't be loaded"):
        list(speed(lambda _: script, lambda _: 2e10, tmp_path / "m.gguf", limit_s=60.0))


def test_without_the_demo_model_decoding_is_not_measured() -> None:
    assert "not measured" in only(speed(read=lambda _: 2e10), "decoding").found


# -- the command -----------------------------------------------------------------------


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fact], None]:
    """Has the command find one thing, in one topic."""

    def put(fact: Fact) -> None:
        topics = (
            ExaminationTopic("memory", lambda: [fact]),
            ExaminationTopic("speed", lambda: [fact], slow=True),
        )
        monkeypatch.setattr(all_topics, "topics", lambda _: topics)

    return put


@pytest.mark.parametrize(
    ("state", "mark", "code"),
    [("good", "ok", 0), ("note", "note", 0), ("warning", "warn", 0), ("bad", "BAD", 1)],
)
def test_a_word_marks_each_finding_and_only_bad_ones_fail(
    found: Callable[[Fact], None], capsys: Captured, state: str, mark: str, code: int
) -> None:
    found(Fact("1 GB", state))  # type: ignore[arg-type]
    assert cli.run(["doctor", "--fast"]) == code
    assert capsys.readouterr().out.splitlines() == [
        "Memory",
        f"{mark:<5} 1 GB",
        "",
        "Nothing needs to be done.",
    ]


def test_what_needs_something_is_told_again_at_the_end(
    found: Callable[[Fact], None], capsys: Captured
) -> None:
    found(Fact("little " * 20, "warning", "Close what you don't need."))
    assert cli.run(["doctor"]) == 0
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 80
    first, _, last = output.partition("What to do")
    assert "Close" not in first
    assert last.count("      → Close what you don't need.") == 2


def test_the_document_holds_the_findings(
    found: Callable[[Fact], None], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    found(Fact("little", "bad", "Buy some."))
    assert cli.run(["doctor", "--fast", "--json"]) == 1
    assert json.loads(capfdbinary.readouterr().out) == {
        "state": "bad",
        "fast": True,
        "findings": [{"topic": "memory", "found": "little", "state": "bad", "todo": "Buy some."}],
    }


def test_the_real_machine_in_a_narrow_terminal() -> None:
    output = on_terminal("doctor", "--fast", columns=40, NO_COLOR="1")
    lines = output.replace("\r\x1b[K", "").splitlines()
    assert "Versions" in output
    assert "\x1b[3" not in output
    assert max(len(line) for line in lines if " ok" not in line or "/" not in line) <= 60


def test_the_real_machine_as_a_document() -> None:
    done = urial("doctor", "--fast", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == (1 if document["state"] == "bad" else 0)
    assert {"versions", "engine", "directories", "terminal"} <= {
        found["topic"] for found in document["findings"]
    }
    assert os.environ["HOME"] not in done.stdout


def test_ctrl_c_ends_it_and_leaves_nobody_behind() -> None:
    with subprocess.Popen(
        [*URIAL, "doctor"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        # The log of the first worker says that it runs.
        while not list(paths.log_dir().glob("engine-*")) and running.poll() is None:
            os.sched_yield()
        running.send_signal(signal.SIGINT)
        output, errors = running.communicate()
    assert (running.returncode, output) == (130, b"")
    assert errors.decode().splitlines()[-1] == "urial: Interrupted."


def test_whatever_is_not_well_says_what_to_do() -> None:
    troubles = 0
    for path in Path(doctor.__file__).parent.glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "Fact"):
                continue
            state = ast.unparse(call.args[1]) if len(call.args) > 1 else ""
            if "warning" in state or "bad" in state:
                troubles += 1
                assert len(call.args) > 2, f"{path.name}:{call.lineno}"
    assert troubles > 20
