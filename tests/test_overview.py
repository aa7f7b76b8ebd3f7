"""The list of all models, whether they fit, what a repository has, and what was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from urial_tui import paths
from urial_tui.cli import main as cli
from urial_tui.cli.progress_line import ProgressLine
from urial_tui.engine.wire.values import Device, EngineOptions
from urial_tui.errors import ModelError
from urial_tui.memory import MachineMemory
from urial_tui.models.discovery import discover
from urial_tui.models.fit import need_of
from urial_tui.models.host_answers import HubFile
from urial_tui.models.overview import look, overview
from urial_tui.models.pace import Meter
from urial_tui.models.partial import Partial, PartialNote
from urial_tui.models.quantisations import Quantisation, quantisations, suiting
from urial_tui.models.unfinished import discard, unfinished
from urial_tui.models.verdict import Fit, FitVerdict, counted, fit_of_file, fit_of_size

HOST = EngineOptions(n_ctx=2048, gpu_layers=0)
GB = 1_000_000_000


def memory(total: int | None, available: int | None) -> MachineMemory:
    return MachineMemory(total=total, available=available)


# -- whether it fits -------------------------------------------------------------------


def test_a_file_fits_is_tight_or_too_large_as_loading_it_would_say(llama_gguf: Path) -> None:
    need = need_of(llama_gguf, HOST).total
    cases = {
        (need + 1, need): "fits",
        (need + 1, need - 1): "tight",
        (need - 1, need - 1): "too large",
        (None, None): "fits",
    }
    for (total, available), verdict in cases.items():
        fit = fit_of_file(llama_gguf, HOST, memory(total, available))
        assert (fit.verdict, fit.needed, fit.sure) == (verdict, need, True)


def test_words_have_the_figures() -> None:
    fit = Fit(verdict="too large", needed=43 * GB, total=16 * GB, available=8 * GB, sure=False)
    assert fit.words == (
        "Does not fit: it needs about 43.0 GB of memory, and this machine has 16.0 GB."
    )
    assert fit.figure == "~43.0 GB"
    tight = msgspec.structs.replace(fit, verdict="tight", needed=9 * GB, sure=True)
    assert tight.words.startswith("Tight: it needs 9.00 GB of memory. 8.00 GB are free now.")


@pytest.mark.parametrize(
    ("size", "parameters", "low", "high"),
    [
        # What the estimate from the header says of such models, with 4,096 tokens.
        (253_113_024, "270M", 0.53, 0.70),
        (98_400_000, "135M", 0.36, 0.50),
        (4_920_000_000, "8B", 5.5, 6.2),
    ],
)
def test_a_size_alone_is_near_to_what_a_header_tells(
    size: int, parameters: str, low: float, high: float
) -> None:
    options = EngineOptions(n_ctx=4096, gpu_layers=0)
    for named in (parameters, ""):
        fit = fit_of_size(size, options, memory(None, None), parameters=named)
        assert low * GB < fit.needed < high * GB
        assert not fit.sure


def test_a_card_takes_weights_off_the_machine() -> None:
    card = Device(kind="gpu", name="a", description="", memory_total=24 * GB)
    options = EngineOptions(n_ctx=2048, gpu_layers=-1)
    fit = fit_of_size(20 * GB, options, memory(16 * GB, 8 * GB), devices=(card,))
    assert (fit.verdict, fit.cards, fit.moot) == ("fits", 20 * GB, False)
    unknown = fit_of_size(20 * GB, options, memory(16 * GB, 8 * GB))
    assert (unknown.verdict, unknown.moot) == ("too large", True)
    assert "graphics card" in unknown.words


def test_parameters_are_read_as_models_are_called() -> None:
    assert [counted(text) for text in ("270M", "1.5B", "1T", "x", "")] == [270e6, 1.5e9, 1e12, 0, 0]


# -- quantisations ---------------------------------------------------------------------


def files(**sizes: int) -> list[HubFile]:
    return [HubFile(name=f"m.{quant}.gguf", size=size) for quant, size in sizes.items()]


def fitting(limit: int) -> Callable[[Quantisation], Fit]:
    def fit(one: Quantisation) -> Fit:
        verdict: FitVerdict = "fits" if one.size <= limit else "too large"
        return Fit(verdict=verdict, needed=one.size, total=None, available=None)

    return fit


def test_a_repository_has_models_and_what_is_none() -> None:
    listed = [
        *files(Q8_0=8, Q4_K_M=4),
        HubFile(name="mmproj-F16.gguf", size=1),
        HubFile(name="m.imatrix.gguf", size=1),
        HubFile(name="._m.Q4_K_M.gguf", size=1),
        HubFile(name="README.md", size=1),
        *(HubFile(name=f"F16/m.F16-0000{part}-of-00002.gguf", size=9) for part in (1, 2)),
        HubFile(name="F32/m.F32-00001-of-00002.gguf", size=9),
    ]
    found = quantisations("ada/x", listed)
    assert [(one.quantisation, one.size, one.parts) for one in found] == [
        ("Q4_K_M", 4, 1),
        ("Q8_0", 8, 1),
        ("F16", 18, 2),
    ]
    assert found[2].name == "hf.co/ada/x/F16/m.F16-00001-of-00002.gguf"
    assert [one.usual for one in found] == [True, False, False]


def test_the_catalogues_own_file_is_called_as_there() -> None:
    found = quantisations("ada/x", files(Q4_K_M=4, Q8_0=8), "m.Q8_0.gguf", "mine")
    assert [(one.name, one.usual) for one in found] == [
        ("hf.co/ada/x/m.Q4_K_M.gguf", False),
        ("mine", True),
    ]


@pytest.mark.parametrize(
    ("limit", "offered"), [(100, "Q4_K_M"), (4, "Q4_K_M"), (3, "Q3_K_M"), (1, "Q2_K")]
)
def test_the_usual_one_is_offered_or_the_largest_that_fits(limit: int, offered: str) -> None:
    found = quantisations("ada/x", files(Q8_0=8, Q4_K_M=4, Q3_K_M=3, Q2_K=2))
    assert found[suiting(found, fitting(limit))].quantisation == offered


def test_without_a_usual_one_it_is_none_of_the_largest() -> None:
    found = quantisations("ada/x", files(Q8_0=8, Q5_0=5, F32=32))
    assert found[suiting(found, fitting(100))].quantisation == "Q8_0"
    assert suiting((), fitting(1)) == 0


# -- what was interrupted --------------------------------------------------------------


def leave(target: Path, url: str, suffix: str, *, size: int = 100) -> None:
    with Partial(target, suffix) as partial:
        partial.restart(PartialNote(url=url, size=size))
        partial.append(b"GGUF" + b"x" * 36)


@pytest.fixture
def blobs(home: Path) -> Path:
    return home / "cache/huggingface/hub/models--ada--tiny-GGUF/blobs"


def test_interrupted_downloads_are_found_by_their_journals(blobs: Path) -> None:
    hub = "https://huggingface.co/ada/tiny-GGUF/resolve/main"
    leave(blobs / ("a" * 64), f"{hub}/tiny.Q4_K_M.gguf", ".urial.incomplete")
    leave(blobs / ("b" * 64), f"{hub}/Q8/big-00002-of-00003.gguf", ".urial.incomplete")
    leave(paths.models_dir() / "plain.gguf", "https://example.org/x/plain.gguf", ".incomplete")
    found = {one.name: one for one in unfinished()}
    assert set(found) == {
        "hf.co/ada/tiny-GGUF/tiny.Q4_K_M.gguf",
        "hf.co/ada/tiny-GGUF/Q8/big-00001-of-00003.gguf",
        "https://example.org/x/plain.gguf",
    }
    first = found["hf.co/ada/tiny-GGUF/tiny.Q4_K_M.gguf"]
    assert (first.done, first.size, first.repository) == (40, 100, "ada/tiny-GGUF")
    assert discard(first.files) == 40
    assert not any(path.exists() for path in first.files)
    assert len(unfinished()) == 2


def test_one_that_goes_on_at_this_moment_is_not_removed(blobs: Path) -> None:
    url = "https://huggingface.co/ada/tiny-GGUF/resolve/main/tiny.gguf"
    leave(blobs / ("a" * 64), url, ".urial.incomplete")
    (one,) = unfinished()
    with (
        Partial(blobs / ("a" * 64), ".urial.incomplete"),
        pytest.raises(ModelError, match="being downloaded already"),
    ):
        discard(one.files)


@pytest.mark.parametrize(
    "journal",
    [
        b"{",
        b'{"url": "http://example.org/ada/tiny/resolve/main/x.gguf"}',
        b'{"url": "https://huggingface.co/ada/tiny/resolve/main/../../x.gguf"}',
        b'{"url": "https://huggingface.co/\\u001b[2J/tiny/resolve/main/x.gguf"}',
        b'{"url": "https://huggingface.co/ada"}',
        b"[" * 100_000,
    ],
)
def test_damaged_and_hostile_journals_are_passed_over(blobs: Path, journal: bytes) -> None:
    blobs.mkdir(parents=True)
    (blobs / "c.urial.incomplete").write_bytes(b"GGUF")
    (blobs / "c.urial.incomplete.json").write_bytes(journal)
    assert unfinished() == ()


# -- the list --------------------------------------------------------------------------


def test_everything_is_listed_once(llama_gguf: Path, adapter_gguf: Path, home: Path) -> None:
    directory = paths.models_dir()
    directory.mkdir(parents=True)
    (directory / "mine.gguf").hardlink_to(llama_gguf)
    (directory / "lora.gguf").hardlink_to(adapter_gguf)
    (directory / "broken.gguf").write_bytes(b"nothing")
    found = overview()
    names = [one.name for one in found.models]
    assert len(names) == len(set(names))
    rows = {one.name: one for one in found.models}
    assert (rows["mine.gguf"].state, rows["mine.gguf"].kind) == ("here", "model")
    assert rows["lora.gguf"].kind == "adapter"
    assert rows["gemma-3-1b"].state == "absent"
    assert (rows["gemma-3-1b"].partner, rows["gemma-3-1b"].quantisation) == (
        "gemma-3-1b-it",
        "Q4_K_M",
    )
    assert rows["gemma-3-270m"].default
    assert found.left_out == 1
    assert look(rows["lora.gguf"], HOST).fit is None
    looked = look(rows["mine.gguf"], HOST)
    assert looked.fit is not None
    assert looked.fit.needed == need_of(llama_gguf, HOST).total
    assert looked.guess is not None


def test_a_search_tells_how_many_new_files_it_has_looked_at(home: Path, llama_gguf: Path) -> None:
    directory = paths.models_dir()
    directory.mkdir(parents=True)
    for number in range(3):
        (directory / f"{number}.gguf").write_bytes(llama_gguf.read_bytes())
    told: list[tuple[int, int]] = []
    assert len(discover(progress=lambda *step: told.append(step)).models) == 3
    assert told == [(1, 3), (2, 3), (3, 3)]
    told.clear()
    discover(progress=lambda *step: told.append(step))
    assert told == []


def test_the_command_tells_it_beside_its_output(
    llama_gguf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = paths.models_dir()
    directory.mkdir(parents=True)
    (directory / "one.gguf").hardlink_to(llama_gguf)
    told: list[str] = []
    monkeypatch.setattr(ProgressLine, "show", lambda self, words: told.append(words))
    for _ in range(2):
        assert cli.run(["models", "discover", "--json"]) == 0
    assert told == ["Looking at model files: 1 of 1"]
    assert "Looking" not in capsys.readouterr().out


def test_what_was_read_before_a_search_was_ended_is_remembered(llama_gguf: Path) -> None:
    directory = paths.models_dir()
    directory.mkdir(parents=True)
    for number in range(3):
        (directory / f"{number}.gguf").write_bytes(llama_gguf.read_bytes())

    def end(done: int, total: int) -> None:
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        discover(progress=end)
    assert discover().headers_read == 1


# -- how fast it comes -----------------------------------------------------------------


def test_a_rate_is_that_of_the_last_seconds() -> None:
    now = 0.0
    meter = Meter(lambda: now)
    assert meter.begin("m.gguf").words == "asking for the file"
    assert meter.count(0, 100_000_000).words == "0 B of 100 MB (0%)"
    for second in range(1, 31):
        now = float(second)
        pace = meter.count(second * (1_000_000 if second <= 5 else 2_000_000), 100_000_000)
    assert pace.rate == pytest.approx(2_000_000, rel=0.01)
    assert pace.words == "60.0 MB of 100 MB (60%), 2.00 MB/s, 20 s left"
    assert meter.count(10, 0).words == "10 B"


def test_what_is_read_again_does_not_count_as_downloaded() -> None:
    now = 0.0
    meter = Meter(lambda: now)
    for second in range(3):
        now = float(second)
        meter.count(second * 500_000_000, 1_000_000_000)
    for second in range(3, 6):
        now = float(second)
        pace = meter.count(1_000_000_000 + (second - 3) * 1_000_000, 2_000_000_000)
    assert pace.rate == pytest.approx(1_000_000)
