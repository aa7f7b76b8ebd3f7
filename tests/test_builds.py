"""Which builds of the engine are tried, and that none stays which fails its self-test.

pip, the compiler and the engine are played by a script in the place of the environment's
Python; the probe of the compiler is the real one.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tools import builds, console, machine, self_test, tile_probe, wheel
from tools.console import Console, SetupError
from tools.environment import Environment
from tools.venv import Venv

ROOT = Path(__file__).resolve().parent.parent

# -- the list --------------------------------------------------------------------------


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "compiler", lambda language, environ: ["c++"])
    monkeypatch.setattr(machine, "compiler_version", lambda environ: "c++ 12")


def probe(monkeypatch: pytest.MonkeyPatch, *, amx: bool, keeps: str = "always") -> None:
    """Let the compiler use AMX; it `keeps` the stores "always", "told" to or "never"."""

    def keep(compiler: list[str], flags: list[str]) -> bool:
        return keeps == "always" or (keeps == "told" and "-fno-dse" in flags)

    monkeypatch.setattr(tile_probe, "uses_amx", lambda compiler, flags: amx)
    monkeypatch.setattr(tile_probe, "keeps_tile_configuration", keep)


def kinds(found: list[builds.Build]) -> list[str]:
    names = {builds.PLAIN: "plain", builds.KEEPING_STORES: "keeping", builds.WITHOUT_AMX: "no AMX"}
    return [names.get(build, build.options.partition(" ")[0]) for build in found]


@pytest.mark.parametrize(
    ("amx", "keeps", "expected"),
    [
        (False, "never", ["plain", "-DGGML_NATIVE=OFF"]),
        (True, "always", ["plain", "no AMX", "-DGGML_NATIVE=OFF"]),
        (True, "told", ["keeping", "no AMX", "-DGGML_NATIVE=OFF"]),
        (True, "never", ["no AMX", "-DGGML_NATIVE=OFF"]),
    ],
)
def test_the_list_follows_the_compiler_and_the_cpu(
    compiler: None, monkeypatch: pytest.MonkeyPatch, amx: bool, keeps: str, expected: list[str]
) -> None:
    probe(monkeypatch, amx=amx, keeps=keeps)
    assert kinds(list(builds.builds({}))) == expected


def test_who_names_the_instruction_sets_gets_these_alone_and_the_stores_are_kept(
    compiler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(monkeypatch, amx=True, keeps="told")
    for environ in ({"CMAKE_ARGS": "-DGGML_NATIVE=OFF"}, {"CXXFLAGS": "-march=sapphirerapids"}):
        assert kinds(list(builds.builds(environ))) == ["keeping"]
    probe(monkeypatch, amx=False)
    assert kinds(list(builds.builds({"CMAKE_ARGS": "-DGGML_NATIVE=OFF"}))) == ["plain"]
    assert len(builds.builds({"CMAKE_ARGS": "-DGGML_VULKAN=on"})) == 2


def test_users_flags_and_options_stay_beside_those_of_a_build() -> None:
    environ = {"CXXFLAGS": "-O2", "CMAKE_ARGS": "-DGGML_CUDA=on '-DX=a b'", "PATH": "/bin"}
    made = builds.KEEPING_STORES.surroundings(environ)
    assert made == {**environ, "CXXFLAGS": "-O2 -fno-tree-dse -fno-dse"}
    both = builds.WITHOUT_AMX.surroundings({"CFLAGS": "-g"})
    assert both["CFLAGS"].startswith("-g -mno-amx")
    assert both["CXXFLAGS"].startswith("-mno-amx")
    # CMake does not look at the variable where the option is given.
    given = {"CMAKE_ARGS": "'-DCMAKE_CXX_FLAGS:STRING=-O2 -g'"}
    made = builds.KEEPING_STORES.surroundings(given)
    assert made["CMAKE_ARGS"] == "'-DCMAKE_CXX_FLAGS:STRING=-O2 -g -fno-tree-dse -fno-dse'"
    plain = builds.baseline().surroundings({"CMAKE_ARGS": "-DGGML_AVX2=ON"})["CMAKE_ARGS"]
    assert plain.startswith("-DGGML_NATIVE=OFF")
    assert plain.endswith("-DGGML_AVX2=ON")
    assert builds.PLAIN.surroundings(environ) == environ


@pytest.mark.parametrize("name", ["CMAKE_ARGS", "CXXFLAGS"])
def test_options_with_a_lone_quotation_mark_are_refused(compiler: None, name: str) -> None:
    with pytest.raises(SetupError, match=f"{name} can't be taken apart: no closing quotation"):
        builds.builds({name: "-DX='a"})


def test_the_baseline_asks_nothing_of_the_cpu_that_it_has_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(machine, "cpu_features", lambda: "avx sse4_2")
    off = "-DGGML_AVX2=OFF -DGGML_BMI2=OFF -DGGML_FMA=OFF -DGGML_F16C=OFF"
    assert builds.baseline().options == f"-DGGML_NATIVE=OFF {off}"
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert builds.baseline().options == "-DGGML_NATIVE=OFF"


def test_each_build_is_kept_under_a_key_of_its_own() -> None:
    every = (builds.PLAIN, builds.KEEPING_STORES, builds.WITHOUT_AMX, builds.baseline())
    keys = {wheel.wheel_key("0.3.36", build.surroundings({})) for build in every}
    assert len(keys) == 4
    # Wheels that were kept before there was a list are still found.
    assert wheel.wheel_key("0.3.36", {}) in keys


# -- the probe of the compiler ---------------------------------------------------------

BODIES = {
    "all 64 bytes": 'asm volatile("ldtilecfg %0" : : "m"(*(const char (*)[64])memory));',
    "8 bytes": 'asm volatile("ldtilecfg %0" : : "m"(*(const void *const *)memory));',
    "others": 'static const char none[64] = {}; asm volatile("ldtilecfg %0" : : "m"(none));',
}


@pytest.fixture
def cxx() -> list[str]:
    command = machine.compiler("C++", os.environ)
    if command is None or platform.machine() != "x86_64":
        pytest.skip("needs a C++ compiler for x86-64")
    return command


def header(folder: Path, body: str) -> list[str]:
    """Flags that put a `_tile_loadconfig` with this body in the place of the compiler's."""
    text = f"static inline void _tile_loadconfig(const void *memory) {{ {BODIES[body]} }}\n"
    (folder / "immintrin.h").write_text(text)
    return [f"-I{folder}"]


def test_the_probe_sees_what_the_tile_unit_would_get(cxx: list[str], tmp_path: Path) -> None:
    assert tile_probe.keeps_tile_configuration(cxx, header(tmp_path, "all 64 bytes"))
    assert not tile_probe.keeps_tile_configuration(cxx, header(tmp_path, "others"))


def test_stores_that_the_operand_does_not_cover_are_lost_and_kept_when_told(
    cxx: list[str], tmp_path: Path
) -> None:
    version = subprocess.run([*cxx, "--version"], capture_output=True, text=True, check=True)
    if "Free Software Foundation" not in version.stdout:
        pytest.skip("another optimiser")
    short = header(tmp_path, "8 bytes")
    assert not tile_probe.keeps_tile_configuration(cxx, short)
    keep = builds.KEEPING_STORES.cxx_flags.split()
    assert tile_probe.keeps_tile_configuration(cxx, [*short, *keep])


def test_what_can_not_be_compiled_is_not_taken_for_right(cxx: list[str]) -> None:
    assert not tile_probe.keeps_tile_configuration(cxx, ["-no-such-flag"])
    assert not tile_probe.keeps_tile_configuration(["no-such-compiler"], [])
    assert not tile_probe.uses_amx(["no-such-compiler"], [])
    assert not tile_probe.uses_amx(cxx, ["-march=x86-64"])


def test_the_flag_alone_tells_that_tiles_are_used(cxx: list[str]) -> None:
    if not tile_probe.uses_amx(cxx, ["-mamx-tile", "-mamx-int8"]):
        pytest.skip("this compiler does not know AMX")
    left_out = builds.WITHOUT_AMX.flags.split()
    # As in a build: CXXFLAGS stand in front of what llama.cpp adds.
    assert not tile_probe.uses_amx(cxx, [*left_out, "-march=sapphirerapids"])
    assert tile_probe.uses_amx(cxx, ["-march=sapphirerapids"])


# -- setting up ------------------------------------------------------------------------

PYTHON = """
    #!{python} -IS
    import json, os, pathlib, shutil, signal, sys
    venv = pathlib.Path(sys.argv[0]).parent.parent
    engine = venv / "lib" / "python3" / "site-packages" / "llama_cpp" / "lib" / "libllama.so"
    arguments = sys.argv[1:]
    with (venv / "ran").open("a") as ran:
        print(*arguments[1:3], file=ran)
    if "-c" in arguments:
        if "llama_cpp" in arguments[-1]:
            loads = engine.exists() and "unloadable" not in engine.read_text()
            print("0.3.36") if loads else sys.exit(1)
    elif arguments[:3] == ["-m", "pip", "wheel"]:
        target = pathlib.Path(arguments[arguments.index("--wheel-dir") + 1])
        made = {{name: os.environ.get(name, "") for name in ("CMAKE_ARGS", "CFLAGS", "CXXFLAGS")}}
        (target / "llama_cpp_python-0.3.36-py3-none-any.whl").write_text(json.dumps(made))
    elif arguments[:3] == ["-m", "pip", "download"]:
        if "INDEX" not in os.environ:
            sys.exit(1)
        shutil.copy(os.environ["INDEX"], arguments[arguments.index("--dest") + 1])
    elif arguments[:3] == ["-m", "pip", "uninstall"]:
        engine.unlink(missing_ok=True)
    elif arguments[:3] == ["-m", "pip", "install"] and arguments[-1].endswith(".whl"):
        engine.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(arguments[-1], engine)
    elif arguments == ["-m", "urial_tui.engine.self_test"]:
        print("Q4_0 \\u2026", flush=True)
        for part, fate in json.loads(os.environ["FATES"]):
            if part in engine.read_text():
                break
        if fate == "dies":
            os.kill(os.getpid(), signal.SIGILL)
        elif fate == "hangs":
            signal.pause()
        elif fate == "wrong":
            print("Q4_0: decoding on 1 thread is off by 0.9")
            sys.exit(3)
        elif fate == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fate == "stopped":
            sys.exit("OSError: No space left on device")
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with an environment that has no engine yet."""
    monkeypatch.setattr(console, "_TICK_S", 0.01)
    root = tmp_path / "checkout"
    binaries = root / ".venv" / "bin"
    binaries.mkdir(parents=True)
    script = textwrap.dedent(PYTHON).lstrip().format(python=sys.executable)
    (binaries / "python").write_text(script, encoding="utf-8")
    (binaries / "python").chmod(0o755)
    (binaries / "urial").touch()
    (root / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def set_up(root: Path, *fates: tuple[str, str], **environ: str) -> Environment:
    """Set up; the first of `fates` whose text is in the build's flags and options holds."""
    told = {"HOME": str(root.parent), "PATH": os.environ["PATH"], "FATES": json.dumps(fates)}
    environment = Environment(root, {**told, **environ}, Console())
    environment.set_up("dev")
    return environment


def ran(root: Path, what: str) -> int:
    """How often something was run in the environment."""
    return (root / ".venv" / "ran").read_text().splitlines().count(what)


def engine(root: Path) -> str:
    """The flags and options of the engine that is installed."""
    place = root / ".venv" / "lib" / "python3" / "site-packages" / "llama_cpp" / "lib"
    return (place / "libllama.so").read_text()


def kept(root: Path) -> set[str]:
    """What the user's cache holds, by the ends of the names."""
    cache = root.parent / ".cache" / "urial-tui" / "wheels"
    return {path.suffix for path in cache.rglob("*") if path.is_file()}


GOOD = ("", "good")


def test_a_build_that_passes_is_the_only_one(
    checkout: Path, compiler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(monkeypatch, amx=True)
    set_up(checkout, GOOD)
    assert ran(checkout, "pip wheel") == ran(checkout, "urial_tui.engine.self_test") == 1
    assert "amx" not in engine(checkout)
    assert kept(checkout) == {".whl", ".log"}


def test_the_stores_are_kept_where_the_compiler_would_drop_them(
    checkout: Path,
    compiler: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    probe(monkeypatch, amx=True, keeps="told")
    set_up(checkout, GOOD)
    assert ran(checkout, "pip wheel") == 1
    assert "-fno-tree-dse -fno-dse" in engine(checkout)
    assert capsys.readouterr().out.count("drops part of llama.cpp's AMX set-up") == 1


@pytest.mark.parametrize(
    ("fate", "line"),
    [
        ("dies", "This build of llama.cpp dies of SIGILL in its self-test (Q4_0 …)."),
        ("wrong", "fails its self-test (Q4_0: decoding on 1 thread is off by 0.9)."),
        ("hangs", "does not end its self-test within 1 s."),
    ],
)
def test_a_build_that_fails_is_replaced_and_a_line_says_so(
    checkout: Path,
    compiler: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fate: str,
    line: str,
) -> None:
    probe(monkeypatch, amx=True)
    if fate == "hangs":
        monkeypatch.setattr(self_test, "_LIMIT_S", 1.0)
    set_up(checkout, ("-mno-amx", "good"), ("", fate))
    out = capsys.readouterr().out
    assert line in out
    assert out.count("llama.cpp is compiled without AMX.") == 1
    assert "-mno-amx-int8" in engine(checkout)
    assert ran(checkout, "pip wheel") == 2


def test_a_build_that_failed_is_not_compiled_again_by_the_same_compiler(
    checkout: Path, compiler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(monkeypatch, amx=True)
    fates = (("-mno-amx", "good"), ("", "dies"))
    set_up(checkout, *fates)
    (checkout / ".venv" / "lib").rename(checkout / "gone")
    set_up(checkout, *fates)
    assert "-mno-amx-int8" in engine(checkout)
    assert ran(checkout, "pip wheel") == 2
    monkeypatch.setattr(machine, "compiler_version", lambda environ: "c++ 15")
    (checkout / ".venv" / "lib").rename(checkout / "gone again")
    set_up(checkout, GOOD)
    assert "amx" not in engine(checkout)
    assert ran(checkout, "pip wheel") == 3


def test_where_every_build_fails_one_sentence_says_so_and_the_next_set_up_begins_anew(
    checkout: Path, compiler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(monkeypatch, amx=False)
    with pytest.raises(SetupError, match="No build of") as failure:
        set_up(checkout, ("", "dies"))
    assert "the last one dies of SIGILL" in failure.value.message
    assert "\n" not in failure.value.message
    assert str(checkout / ".venv" / "urial-setup-self-test.log") in failure.value.hint
    assert ran(checkout, "pip wheel") == 2
    assert kept(checkout) == {".log"}
    set_up(checkout, GOOD)
    assert ran(checkout, "pip wheel") == 3


def test_a_kept_wheel_that_fails_here_is_made_anew(
    checkout: Path,
    compiler: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    probe(monkeypatch, amx=False)
    set_up(checkout, GOOD)
    cache = checkout.parent / ".cache" / "urial-tui" / "wheels"
    (kept_wheel,) = cache.rglob("*.whl")
    kept_wheel.write_text("stale")
    (checkout / ".venv" / "lib").rename(checkout / "gone")
    set_up(checkout, ("stale", "dies"), GOOD)
    assert "That build dies of SIGILL in its self-test" in capsys.readouterr().out
    assert "stale" not in engine(checkout)
    assert ran(checkout, "pip wheel") == 2
    (checkout / ".venv" / "lib").rename(checkout / "gone again")
    set_up(checkout, GOOD)
    assert ran(checkout, "pip wheel") == 2


def test_a_prebuilt_wheel_is_tested_before_it_is_used(
    checkout: Path,
    compiler: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    probe(monkeypatch, amx=False)
    index = checkout.parent / "llama_cpp_python-0.3.36-py3-none-any.whl"
    index.write_text("prebuilt")
    set_up(checkout, ("prebuilt", "wrong"), GOOD, INDEX=str(index))
    assert "The prebuilt wheel fails its self-test" in capsys.readouterr().out
    assert "prebuilt" not in engine(checkout)
    (checkout / ".venv" / "lib").rename(checkout / "gone")
    shutil.rmtree(checkout.parent / ".cache")
    set_up(checkout, GOOD, INDEX=str(index))
    assert engine(checkout) == "prebuilt"
    assert ran(checkout, "pip wheel") == 1


def test_a_given_wheel_is_tested_and_never_replaced(checkout: Path) -> None:
    given = checkout.parent / "given.whl"
    given.write_text("given")
    with pytest.raises(SetupError, match="fails its self-test") as failure:
        set_up(checkout, ("given", "wrong"), URIAL_LLAMA_WHEEL=str(given))
    assert "unset URIAL_LLAMA_WHEEL" in failure.value.hint
    set_up(checkout, GOOD, URIAL_LLAMA_WHEEL=str(given))
    assert engine(checkout) == "given"


@pytest.mark.parametrize(
    ("fate", "reason"),
    [("dies", "dies of SIGILL in its self-test"), ("stopped", "does not load on this machine")],
)
def test_a_wheel_that_does_not_load_says_why_where_that_can_be_told(
    checkout: Path, fate: str, reason: str
) -> None:
    given = checkout.parent / "given.whl"
    given.write_text("unloadable")
    with pytest.raises(SetupError, match=reason):
        set_up(checkout, ("", fate), URIAL_LLAMA_WHEEL=str(given))


def test_the_engine_of_an_environment_is_tested_again_only_when_it_is_another(
    checkout: Path, compiler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(monkeypatch, amx=False)
    environment = set_up(checkout, GOOD)
    assert environment.is_current("dev")
    # Other optional parts: a set-up, but nothing new of the engine.
    environment.set_up("demo")
    assert ran(checkout, "urial_tui.engine.self_test") == 1
    library = next((checkout / ".venv" / "lib").rglob("libllama.so"))
    library.write_text("put in by hand")
    assert not environment.is_current("demo")
    environment.set_up("demo")
    assert environment.is_current("demo")
    assert ran(checkout, "urial_tui.engine.self_test") == 2
    assert engine(checkout) == "put in by hand"
    monkeypatch.setattr(machine, "cpu_features", lambda: "another")
    assert not environment.is_current("demo")


def test_an_engine_that_was_never_tested_and_fails_is_replaced(
    checkout: Path,
    compiler: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    probe(monkeypatch, amx=False)
    set_up(checkout, GOOD)
    library = next((checkout / ".venv" / "lib").rglob("libllama.so"))
    library.write_text("of old")
    (checkout / ".venv" / "urial-setup.json").unlink()
    set_up(checkout, ("of old", "dies"), GOOD)
    assert "The engine in .venv dies of SIGILL" in capsys.readouterr().out
    assert "of old" not in engine(checkout)


@pytest.mark.parametrize(
    ("fate", "reason"),
    [("killed", "it was ended by SIGKILL"), ("stopped", "OSError: No space left on device")],
)
def test_a_test_that_could_not_be_run_costs_no_engine(
    checkout: Path, compiler: None, monkeypatch: pytest.MonkeyPatch, fate: str, reason: str
) -> None:
    probe(monkeypatch, amx=False)
    set_up(checkout, GOOD)
    library = next((checkout / ".venv" / "lib").rglob("libllama.so"))
    library.write_text("put in by hand")
    with pytest.raises(SetupError, match="self-test can't be run") as failure:
        set_up(checkout, ("", fate))
    assert reason in failure.value.message
    assert engine(checkout) == "put in by hand"
    environment = set_up(checkout, GOOD)
    assert environment.is_current("dev")
    assert ran(checkout, "pip wheel") == 1


def test_without_a_compiler_a_kept_wheel_of_any_build_will_do(
    checkout: Path, compiler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(monkeypatch, amx=True, keeps="told")
    set_up(checkout, GOOD)
    (checkout / ".venv" / "lib").rename(checkout / "gone")
    monkeypatch.setattr(machine, "compiler", lambda language, environ: None)
    monkeypatch.setattr(machine, "compiler_version", lambda environ: "")
    set_up(checkout, GOOD)
    assert "-fno-dse" in engine(checkout)


def test_a_signal_without_a_name_is_still_told(checkout: Path, tmp_path: Path) -> None:
    venv = Venv(checkout / ".venv", {"PATH": os.environ["PATH"]}, Console())
    script = "#!/bin/sh\nkill -36 $$\n"
    venv.python.write_text(script)
    assert "dies of signal 36" in self_test.fault(venv, tmp_path)
