"""`make setup`: what is checked, built, kept and thrown away, and what the README promises.

pip is played by a script where a real one would compile for minutes.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import tomllib
from pathlib import Path

import pytest

from tools import machine, wheel
from tools.console import Console, SetupError, clock, error_lines
from tools.environment import Environment, pinned_engine, program_requirements
from tools.venv import Venv

ROOT = Path(__file__).resolve().parent.parent


# -- progress of a build ---------------------------------------------------------------


def feed(progress: wheel.BuildProgress, *lines: str) -> None:
    for line in lines:
        progress.feed(line)


def test_progress_follows_the_phases_and_steps_of_a_build() -> None:
    progress = wheel.BuildProgress(estimate_s=400)
    feed(progress, "  Downloading llama_cpp_python-0.3.36.tar.gz (76.6 MB)")
    assert "downloading the source" in progress.phase
    feed(progress, "  Installing build dependencies: started", "    Downloading ninja-1.13.whl")
    assert progress.phase == "fetching the build tools"
    feed(progress, "  *** Configuring CMake...")
    assert progress.phase == "configuring"
    feed(progress, "  [35/140] /usr/bin/c++ -DGGML_SHARED -o x.o -c x.cpp")
    assert progress.fraction == 0.25
    assert "25% compiling, 35 of 140 steps, 1:40 gone" in progress.text(100)
    feed(progress, "  [140/140] : && c++ -shared", "  *** Making wheel...")
    assert progress.fraction == 1
    assert progress.phase == "packing"
    assert progress.remaining_s(300) == 0


def test_progress_never_falls_for_a_build_inside_the_build() -> None:
    progress = wheel.BuildProgress(estimate_s=400)
    feed(progress, "[70/140] c++ -c a.cpp", "[1/4] c++ -c shader.cpp", "[4/4] link shaders")
    assert (progress.fraction, progress.done, progress.total) == (0.5, 70, 140)
    feed(progress, "[71/200] c++ -c b.cpp")
    assert (progress.fraction, progress.total) == (0.5, 200)


def test_progress_reads_the_percentages_of_make() -> None:
    progress = wheel.BuildProgress(estimate_s=400)
    feed(progress, "[  7%] Building C object ggml.c.o")
    assert progress.fraction == 0.07
    assert "steps" not in progress.text(10)


def test_remaining_time_moves_from_the_estimate_to_what_is_measured() -> None:
    progress = wheel.BuildProgress(estimate_s=100)
    assert progress.remaining_s(30) == 70
    assert progress.remaining_s(500) == 0
    feed(progress, "[50/100] c++")
    # Half is done after 300 s: the estimate was wrong, and another 300 s are to come.
    assert progress.remaining_s(300) == 300


def test_milestones_come_once_for_each_tenth() -> None:
    progress = wheel.BuildProgress(estimate_s=100)
    seen = []
    for step in range(1, 141):
        progress.feed(f"[{step}/140] c++")
        if progress.milestone():
            seen.append(round(progress.fraction, 2))
    assert seen == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_clock_is_minutes_and_seconds() -> None:
    assert [clock(seconds) for seconds in (-3, 0, 59.6, 125, 3600)] == [
        "0:00", "0:00", "1:00", "2:05", "60:00",
    ]  # fmt: skip


# -- which build is the same build -----------------------------------------------------


def test_wheel_key_holds_what_a_build_depends_on_and_nothing_else() -> None:
    plain = wheel.wheel_key("0.3.36", {"PATH": "/bin"})
    assert plain == wheel.wheel_key("0.3.36", {"PATH": "/usr/bin", "HOME": "/x"})
    others = [
        wheel.wheel_key("0.3.37", {}),
        wheel.wheel_key("0.3.36", {"CMAKE_ARGS": "-DGGML_CUDA=on"}),
        wheel.wheel_key("0.3.36", {"CXX": "clang++"}),
        wheel.wheel_key("0.3.36", {"CXXFLAGS": "-O1"}),
    ]
    assert len({plain, *others}) == 5
    assert all(re.fullmatch(r"[\w.+-]+", key) for key in (plain, *others))


def test_users_cmake_args_come_last_so_that_they_win() -> None:
    assert wheel.cmake_args({}) == "-DLLAVA_BUILD=OFF"
    assert wheel.cmake_args({"CMAKE_ARGS": " -DLLAVA_BUILD=ON "}).endswith("=OFF -DLLAVA_BUILD=ON")


def cpuinfo(flags: str) -> str:
    return f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: spectre_v1\n\nprocessor\t: 1\n"


def test_cpu_features_are_those_that_code_is_made_for() -> None:
    features = machine.read_cpu_features(cpuinfo("fpu sse4_2 avx2 avx512f ibrs md_clear"))
    assert features == "avx2 avx512f sse4_2"
    # A kernel update that adds a workaround must not cost a compile.
    assert features == machine.read_cpu_features(cpuinfo("avx512f flush_l1d sse4_2 avx2"))
    assert features != machine.read_cpu_features(cpuinfo("sse4_2 avx2"))


def test_cpu_features_of_arm_are_taken_whole() -> None:
    assert machine.read_cpu_features("Features\t: fp asimd i8mm sve\n") == "asimd fp i8mm sve"
    assert machine.read_cpu_features("nothing known") == ""


def test_compile_jobs_follow_the_users_word_and_survive_nonsense() -> None:
    assert machine.compile_jobs({"CMAKE_BUILD_PARALLEL_LEVEL": "3"}) == 3
    for nonsense in ("", "0", "-2", "all", "²"):
        jobs = machine.compile_jobs({"CMAKE_BUILD_PARALLEL_LEVEL": nonsense})
        assert 1 <= jobs <= machine.cores()


def test_small_memory_gets_fewer_compilers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 16)
    monkeypatch.setattr(machine, "memory_bytes", lambda: 4 * machine.GIB)
    assert machine.compile_jobs({}) == 4
    monkeypatch.setattr(machine, "memory_bytes", lambda: machine.GIB // 2)
    assert machine.compile_jobs({}) == 1


def test_announcement_tells_time_and_the_way_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 2)
    text = "\n".join(wheel.announcement({}))
    assert re.search(r"about [4-7] min on 2 cores", text)
    assert "prebuilt" in text
    assert "GPU" not in text
    assert "GPU" in "\n".join(wheel.announcement({"CMAKE_ARGS": "-DGGML_CUDA=on"}))


# -- where it is kept ------------------------------------------------------------------


def test_cache_lies_in_the_users_cache_directory(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path / "home")}
    found = wheel.cache_dir(environ, tmp_path / "fallback")
    assert found == tmp_path / "cache" / "urial-tui" / "wheels"
    environ["XDG_CACHE_HOME"] = "relative/is/ignored"
    found = wheel.cache_dir(environ, tmp_path / "fallback")
    assert found == tmp_path / "home" / ".cache" / "urial-tui" / "wheels"


def test_cache_falls_back_when_the_home_can_not_be_written_to(tmp_path: Path) -> None:
    # A file in the way refuses root as well.
    (tmp_path / "home").touch()
    for environ in ({"HOME": str(tmp_path / "home")}, {}):
        assert wheel.cache_dir(environ, tmp_path / "fallback") == tmp_path / "fallback"
    with pytest.raises(SetupError, match="kept nowhere"):
        wheel.cache_dir({"HOME": str(tmp_path / "home")}, tmp_path / "home" / "fallback")


# -- building --------------------------------------------------------------------------

PIP_BUILDS = """
    import json, os, pathlib, sys
    target = pathlib.Path(sys.argv[sys.argv.index("--wheel-dir") + 1])
    print("  *** Configuring CMake...")
    for step in range(1, 21):
        print(f"  [{step}/20] c++ -c file.cpp")
    names = ("CMAKE_ARGS", "CMAKE_BUILD_PARALLEL_LEVEL", "TMPDIR")
    key = target.parent / os.environ["KEY"]
    seen = {name: os.environ[name] for name in names}
    seen["early"] = [str(path) for path in key.glob("*.whl")]
    (pathlib.Path(os.environ["TMPDIR"]) / "left-by-pip").touch()
    (target / "llama_cpp_python-0.3.36-py3-none-any.whl").write_text(json.dumps(seen))
"""
PIP_FAILS = """
    import sys
    print("  [1/20] c++ -Werror=return-type -c error.cpp")
    print("  error.cpp:3: error: expected \\x1b[31m';'")
    print("  c++: fatal error: Killed signal terminated program cc1plus")
    print("  [2/20] c++ -c fine.cpp")
    sys.exit(1)
"""
PIP_HANGS = """
    import os, pathlib, signal, subprocess, sys, time
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ignore = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
    compiler = subprocess.Popen([sys.executable, "-c", ignore])
    pathlib.Path(os.environ["PIDS"]).write_text(f"{os.getpid()} {compiler.pid}")
    time.sleep(600)
"""


def build(tmp_path: Path, script: str) -> Path:
    pip = tmp_path / "pip.py"
    pip.write_text(textwrap.dedent(script))
    cache = tmp_path / "cache"
    cache.mkdir(exist_ok=True)
    return wheel.build_wheel(
        [sys.executable, str(pip)],
        "0.3.36",
        cache / "key",
        environ={**os.environ, "KEY": "key", "CMAKE_BUILD_PARALLEL_LEVEL": "3"},
        console=Console(),
    )


def test_built_wheel_enters_the_cache_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built = build(tmp_path, PIP_BUILDS)
    seen = json.loads(built.read_text())
    assert built == wheel.cached_wheel(tmp_path / "cache" / "key")
    assert seen["early"] == []
    assert seen["CMAKE_ARGS"] == "-DLLAVA_BUILD=OFF"
    assert seen["CMAKE_BUILD_PARALLEL_LEVEL"] == "3"
    assert not Path(seen["TMPDIR"]).exists()
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"key", "key.log"}
    assert "llama.cpp is compiled" in capsys.readouterr().out


def test_failed_build_quotes_its_errors_and_names_the_log(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as failure:
        build(tmp_path, PIP_FAILS)
    message = failure.value.message
    assert "exit code 1" in message
    assert "error.cpp:3: error: expected" in message
    assert "\x1b" not in message
    assert "-Werror" not in message
    assert "CMAKE_BUILD_PARALLEL_LEVEL=1" in failure.value.hint
    log = tmp_path / "cache" / "key.log"
    assert str(log) in failure.value.hint
    assert "[2/20]" in log.read_text()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["key.log"]


def test_pip_that_ends_without_a_wheel_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="could not be compiled"):
        build(tmp_path, "print('all is well')")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_build_leaves_no_process_and_no_file(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "pip.py").write_text(textwrap.dedent(PIP_HANGS))
    code = f"""
        import os, sys
        from pathlib import Path
        from tools import console, wheel
        console._GRACE_S = 0.5
        here = Path({str(tmp_path)!r})
        (here / "cache").mkdir()
        try:
            with console.interruptible():
                wheel.build_wheel([sys.executable, str(here / "pip.py")], "0.3.36",
                    here / "cache" / "key", environ=os.environ, console=console.Console())
        except KeyboardInterrupt:
            sys.exit(130)
    """
    pids = tmp_path / "pids"
    environ = {**os.environ, "PIDS": str(pids), "TMPDIR": str(tmp_path / "tmp")}
    setup = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, env=environ)
    try:
        wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        setup.send_signal(number)
        assert setup.wait(60) == 130
    finally:
        setup.kill()
        setup.wait()
    for pid in pids.read_text().split():
        wait_for(lambda pid=pid: not runs(int(pid)))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["key.log"]
    assert list((tmp_path / "tmp").iterdir()) == []


def wait_for(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def runs(pid: int) -> bool:
    """An orphan may stay a zombie where nothing reaps it; it no longer runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(done.stdout.strip()) and not done.stdout.strip().startswith("Z")


def test_remains_of_a_killed_build_are_removed_once_they_are_old(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    old, young = cache / "key.partial-old", cache / "other.partial-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "half.whl").touch()
    os.utime(old, (1, 1))
    build(tmp_path, PIP_BUILDS)
    assert not old.exists()
    assert young.exists()


def test_error_lines_fall_back_to_the_end_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\n\ntwo\nthree\n")
    assert error_lines(log, limit=2) == ["two", "three"]
    assert error_lines(tmp_path / "missing") == []


# -- checks of the machine -------------------------------------------------------------


def test_missing_compiler_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    environ = {"CC": str(tmp_path / "no-cc"), "CXX": shutil.which("false") or "false"}
    problem = machine.compiler_problem(environ)
    assert problem is not None
    assert "C and C++" in problem.message
    assert "build-essential" in problem.hint or "xcode-select" in problem.hint
    assert "URIAL_LLAMA_WHEEL" in problem.hint


def test_disk_needs_are_added_up_on_each_file_system(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    half = free * 2 // 3
    assert machine.disk_problems([(tmp_path / "not" / "there", half)]) == []
    (problem,) = machine.disk_problems([(tmp_path / "a", half), (tmp_path, half)])
    assert "are needed" in problem.message
    assert "TMPDIR" in problem.hint


def test_entry_is_readable_by_an_old_python() -> None:
    ast.parse((ROOT / "tools" / "setup.py").read_text(), feature_version=(3, 6))
    # The package's own file is imported first, by the same old Python.
    ast.parse((ROOT / "tools" / "__init__.py").read_text(), feature_version=(3, 6))


def test_old_python_is_told_what_to_install(tmp_path: Path) -> None:
    code = "import sys; from tools import setup; setup.NEEDED = (9, 9); sys.exit(setup.main())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "make setup PYTHON=" in done.stderr


def test_old_python_hands_over_to_a_newer_one_that_really_starts(tmp_path: Path) -> None:
    for name, body in (("python3.13", "exit 127"), ("python3.12", f'exec {sys.executable} "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    code = (
        "import sys; from tools import setup; sys.argv = ['setup', '--help'];"
        "setup.NEEDED = (9, 9); real = setup.find_newer;"
        "setup.find_newer = lambda: (setattr(setup, 'NEEDED', (3, 11)), real())[1];"
        "sys.exit(setup.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "--extras" in done.stdout


# -- the environment -------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environment looks finished."""
    root = tmp_path / "checkout"
    binaries = root / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(sys.executable)
    (binaries / "urial").touch()
    (root / ".venv" / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).parent}\n")
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def environment(root: Path, **environ: str) -> Environment:
    return Environment(root, {"HOME": str(root.parent), **environ}, Console())


def stamped(root: Path, *, cmake_args: str = "") -> None:
    environment(root).record("demo,dev", {"cmake_args": cmake_args})


def test_finished_environment_is_current_until_something_changes(checkout: Path) -> None:
    assert not environment(checkout).is_current("demo,dev")
    stamped(checkout)
    assert environment(checkout).is_current("demo,dev")
    assert not environment(checkout).is_current("demo")
    with (checkout / "pyproject.toml").open("a") as project:
        project.write("# a change\n")
    assert not environment(checkout).is_current("demo,dev")


def test_environment_without_its_python_or_command_is_not_current(checkout: Path) -> None:
    for name in ("urial", "python"):
        stamped(checkout)
        assert environment(checkout).is_current("demo,dev")
        kept = (checkout / ".venv" / "bin" / name).rename(checkout / name)
        assert not environment(checkout).is_current("demo,dev")
        kept.rename(checkout / ".venv" / "bin" / name)


def test_another_python_behind_the_environment_is_noticed(checkout: Path) -> None:
    stamped(checkout)
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/bin/sh")
    assert not environment(checkout).is_current("demo,dev")


def test_moved_checkout_is_not_current(checkout: Path) -> None:
    stamped(checkout)
    moved = checkout.rename(checkout.with_name("moved"))
    assert not environment(moved).is_current("demo,dev")


def test_engine_stays_until_another_one_is_asked_for(checkout: Path) -> None:
    stamped(checkout, cmake_args="-DGGML_CUDA=on")
    assert environment(checkout).is_current("demo,dev")
    assert environment(checkout, CMAKE_ARGS="-DGGML_CUDA=on").is_current("demo,dev")
    assert not environment(checkout, CMAKE_ARGS="-DGGML_VULKAN=on").is_current("demo,dev")
    assert not environment(checkout, CMAKE_ARGS="").is_current("demo,dev")
    assert not environment(checkout, URIAL_LLAMA_WHEEL="x.whl").is_current("demo,dev")


@pytest.mark.parametrize("damage", ["", "{", "[1]", '"text"'])
def test_damaged_stamp_is_as_good_as_none(checkout: Path, damage: str) -> None:
    stamped(checkout)
    (checkout / ".venv" / "urial-setup.json").write_text(damage)
    assert not environment(checkout).is_current("demo,dev")


def venv(path: Path) -> Venv:
    return Venv(path, {"PATH": os.environ["PATH"]}, Console())


def test_unfinished_environment_is_not_trusted(checkout: Path) -> None:
    there = venv(checkout / ".venv")
    assert there.unusable() == ""
    (checkout / ".venv" / "urial-setup.unfinished").touch()
    assert "broken off" in there.unusable()
    there.remove()
    assert there.unusable() == ""
    assert not there.exists


def test_environment_whose_python_is_gone_is_made_anew(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(checkout / "no-such-python")
    assert "gone or too old" in venv(checkout / ".venv").unusable()


def test_directory_that_is_no_environment_is_never_removed(tmp_path: Path) -> None:
    folder = tmp_path / ".venv"
    folder.mkdir()
    assert venv(folder).unusable() == ""
    (folder / "thesis.txt").touch()
    with pytest.raises(SetupError, match="no virtual environment"):
        venv(folder).unusable()


def test_removing_a_linked_environment_keeps_what_it_points_to(checkout: Path) -> None:
    link = checkout / "link"
    link.symlink_to(checkout / ".venv")
    venv(link).remove()
    assert not link.exists()
    assert (checkout / ".venv" / "pyvenv.cfg").exists()


def test_variables_that_mislead_a_python_do_not_reach_the_environments_own(tmp_path: Path) -> None:
    made = Venv(tmp_path, {"PYTHONPATH": "/x", "PIP_TARGET": "/y", "PIP_USER": "1"}, Console())
    assert not {"PYTHONPATH", "PIP_TARGET"} & set(made.environ)
    assert made.environ["PIP_USER"] == "0"


def test_second_set_up_takes_the_lock_and_changes_nothing(checkout: Path) -> None:
    for name in ("tools", "urial_tui"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    environ = {"PATH": os.environ["PATH"], "HOME": str(checkout.parent)}
    Environment(checkout, environ, Console()).record("demo,dev", {})
    command = [sys.executable, "-m", "tools.setup"]
    first = subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True)
    assert (first.returncode, first.stdout) == (0, "The environment in .venv is up to date.\n")
    command.append("--quiet")
    again = subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_set_up_refuses_a_foreign_directory_in_one_sentence(tmp_path: Path) -> None:
    for name in ("tools", "urial_tui"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "thesis.txt").touch()
    done = subprocess.run(
        [sys.executable, "-m", "tools.setup"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.rstrip("\n").endswith("Move it away and try again.")
    assert "Traceback" not in done.stderr


# -- what the project says of itself ---------------------------------------------------


def test_engine_is_pinned_to_one_version() -> None:
    requirements = program_requirements(ROOT / "pyproject.toml")
    assert re.fullmatch(r"\d+\.\d+\.\d+", pinned_engine(requirements))
    with pytest.raises(SetupError, match="does not pin"):
        pinned_engine(["llama-cpp-python>=0.3"])


def test_files_that_the_readme_links_to_exist() -> None:
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (ROOT / target).exists(), f"{document} links to {target}"


def test_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    make = shutil.which("make")
    assert make, "GNU make is needed to run the project"
    done = subprocess.run([make], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = re.findall(r"^  ([a-z]+) ", done.stdout, re.MULTILINE)
    assert set(listed) == set(phony.split()) - {"environment"}
    for target in set(re.findall(r"`make ([a-z]+)", (ROOT / "README.md").read_text())):
        assert target in listed


def test_wheel_carries_the_data_files_where_the_program_looks(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    installed = tmp_path / "site"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "urial_tui", installed / "urial_tui", ignore=ignored)
    for source, target in included.items():
        (installed / target).parent.mkdir(exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, installed / target)
        else:
            shutil.copy(ROOT / source, installed / target)
    code = (
        "from urial_tui import paths; from urial_tui.models.catalogue import load_catalogue;"
        "from urial_tui.prompting.preamble_file import list_preambles;"
        "print(paths.shipped_catalogue_file()); print(paths.shipped_prompts_dir());"
        "print(len(load_catalogue()), len(list_preambles()))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    catalogue, prompts, counts = done.stdout.splitlines()
    assert Path(catalogue) == installed / "urial_tui" / "_data" / "models.toml"
    assert Path(prompts) == installed / "urial_tui" / "_data" / "prompts"
    assert int(counts.split()[0]) > 0
    assert int(counts.split()[1]) == len(list((ROOT / "prompts").glob("*.toml")))
