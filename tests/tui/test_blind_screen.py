"""Judging two runs blind, by keys; and what is never on the screen before the end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from tests.evaluate.blind import FIRST, SECOND, judge_all, opened, output, prefers, run_files, runs
from tests.evaluate.judged import HOSTILE, preferred, written
from tests.tui.blind_page import BlindPage
from tests.tui.evaluations import showing, slow_clock
from urial_tui.evaluate.blind_judging import open_judging
from urial_tui.evaluate.judgement_files import read_judgements
from urial_tui.evaluate.output_file import write_outputs
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.own_pace import OwnPace
from urial_tui.settings import Settings
from urial_tui.tui.evaluate.blind_screen import BlindScreen

TEXTS = {FIRST: "A good answer.", SECOND: "A bad one."}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs over five items; the answers tell by their words which run they are."""
    paths = tmp_path / "first.json", tmp_path / "second.json"
    for path, (generator, text) in zip(paths, TEXTS.items(), strict=True):
        write_outputs(path, [output(number, generator, text) for number in range(5)])
    return paths


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "blind.json"


@contextlib.asynccontextmanager
async def sitting(
    files: tuple[Path, Path],
    out: Path,
    *,
    clock: Callable[[], float] | None = None,
    size: tuple[int, int] = (80, 24),
    settings: Settings | None = None,
) -> AsyncIterator[BlindPage]:
    """Open the screen on two runs."""
    screen = BlindScreen(*files, out, clock=clock or slow_clock())
    async with showing(screen, size=size, settings=settings) as pilot:
        yield BlindPage(pilot)


class TestJudging:
    async def test_a_pair_is_shown_and_judged_to_the_end(
        self, files: tuple[Path, Path], out: Path
    ) -> None:
        async with sitting(files, out) as page:
            await page.reads("pair 1 of 5")
            assert "Question " in page.text
            assert set(page.answers) == set(TEXTS.values())
            seen = await page.judges_all("good")
            assert len(seen) == 5
            await page.reads("There is no pair left to judge.")
            await page.looks_at_result()
            await page.reads("5 of 5 pairs judged")
            await page.reads(f"5  100%  {FIRST} better")
            await page.reads(f"0    0%  {SECOND} better")
            assert f"Win rate of {FIRST}: 100.0% (95 %: 56.6% to 100.0%)" in page.text
            assert str(out) in "".join(page.text.split())
            await page.leaves()
        found = read_judgements(out).pairs
        assert [one.judge for one in found] == ["person"] * 5
        chosen = [
            one.generator_a if one.preferences["overall"].choice == "A" else one.generator_b
            for one in found
        ]
        assert chosen == [FIRST] * 5

    async def test_all_keys_and_clicks_count(self, files: tuple[Path, Path], out: Path) -> None:
        async with sitting(files, out) as page:
            await page.is_at("judging")
            for number, key in enumerate(("a", "b", "t", "s"), start=2):
                await page.judges(key)
                await page.reads(f"pair {number} of 5")
            await page.clicks("same")
            await page.is_at("judged")
        choices = [one.preferences["overall"].choice for one in read_judgements(out).pairs]
        assert choices == ["A", "B", "same", None, "same"]

    async def test_a_key_that_is_held_down_judges_one_pair(
        self, files: tuple[Path, Path], out: Path
    ) -> None:
        now = [0.0]
        async with sitting(files, out, clock=lambda: now[0]) as page:
            await page.is_at("judging")
            for _ in range(30):
                await page.judges("a")
                now[0] += 0.03
            await page.reads("pair 2 of 5")
            now[0] += 0.3
            await page.judges("a")
            await page.reads("pair 3 of 5")

    async def test_undo_brings_the_pair_back_also_the_last_one(
        self, files: tuple[Path, Path], out: Path
    ) -> None:
        async with sitting(files, out) as page:
            await page.is_at("judging")
            await page.undoes()
            await page.reads("Nothing is judged")
            before = page.text.splitlines()[1]
            await page.judges("a")
            await page.reads("pair 2 of 5")
            await page.undoes()
            await page.reads("pair 1 of 5")
            assert page.text.splitlines()[1] == before
            await page.judges_all("good")
            await page.undoes()
            await page.reads("pair 5 of 5")
            await page.judges("t")
            await page.is_at("judged")
        choices = [one.preferences["overall"].choice for one in read_judgements(out).pairs]
        assert choices[-1] == "same"
        assert len(choices) == 5

    async def test_the_time_left_is_told_at_the_own_pace(
        self, files: tuple[Path, Path], out: Path
    ) -> None:
        now = [0.0]
        async with sitting(files, out, clock=lambda: now[0]) as page:
            await page.is_at("judging")
            for number, seconds in enumerate((10, 500, 20), start=2):
                assert "left" not in page.text.splitlines()[-1]
                now[0] += seconds
                await page.judges("t")
                await page.reads(f"pair {number} of 5")
            assert "about 40 s left" in page.text

    @pytest.mark.parametrize("width", [40, 60, 71, 72, 80])
    async def test_every_verdict_is_whole_whatever_the_width(
        self, files: tuple[Path, Path], out: Path, width: int
    ) -> None:
        async with sitting(files, out, size=(width, 14)) as page:
            await page.is_at("judging")
            for verdict in ("A better", "B better", "T as good", "S skip"):
                await page.reads(verdict)

    async def test_keys_are_the_users(self, files: tuple[Path, Path], out: Path) -> None:
        keys = Settings(keys={"blind.left": "1", "blind.right": "2", "blind.back": "q"})
        async with sitting(files, out, settings=keys) as page:
            await page.reads("1 A better")
            await page.judges("a")
            await page.judges("2")
            await page.reads("pair 2 of 5")
            assert "Q end" in page.text


class TestLeaving:
    async def test_the_judging_goes_on_where_it_was_left(
        self, files: tuple[Path, Path], out: Path
    ) -> None:
        async with sitting(files, out) as page:
            await page.is_at("judging")
            await page.judges("t")
            await page.reads("pair 2 of 5")
            await page.judges("t")
            await page.reads("pair 3 of 5")
            await page.ends()
            await page.reads("2 of 5 pairs judged")
            await page.reads("3 not judged yet: opened again, the judging goes on with them.")
            assert "(too few for an interval)" in page.text
            # Keys of a judging that has ended judge nothing.
            await page.leaves("a", "u", "r", "escape")
        assert len(read_judgements(out).pairs) == 2
        async with sitting(files, out) as page:
            await page.reads("pair 3 of 5")
            await page.judges_all("good")
        assert len(read_judgements(out).pairs) == 5

    async def test_without_a_judgement_there_is_nothing_to_tell(
        self, files: tuple[Path, Path], out: Path, tmp_path: Path
    ) -> None:
        async with sitting(files, out) as page:
            await page.is_at("judging")
            await page.leaves()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["first.json", "second.json"]

    async def test_quitting_keeps_what_was_judged(
        self, files: tuple[Path, Path], out: Path
    ) -> None:
        async with sitting(files, out) as page:
            await page.is_at("judging")
            await page.judges("t")
            await page.reads("pair 2 of 5")
            page.app.exit()
        assert len(read_judgements(out).pairs) == 1
        assert not out.with_name("blind.json.part").exists()

    async def test_what_can_not_be_written_is_told_and_judged_again(
        self, files: tuple[Path, Path], out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with sitting(files, out) as page:
            await page.is_at("judging")

            def full(value: object) -> int:
                raise OSError(28, "No space left on device")

            assert page.screen.sitting.judging is not None
            journal = page.screen.sitting.judging._file._part._journal
            with monkeypatch.context() as patch:
                patch.setattr(journal, "append", full)
                await page.judges("a")
                await page.reads("No space left on device")
                assert "pair 1 of 5" in page.text
            await page.judges("a")
            await page.reads("pair 2 of 5")
            assert "No space" not in page.text

    async def test_keys_in_a_row_end_with_the_result(
        self, files: tuple[Path, Path], out: Path
    ) -> None:
        """What is pressed faster than it is written is neither lost nor undone."""
        async with sitting(files, out) as page:
            await page.is_at("judging")
            await page.does("judge('left')", "back", "back", "judge('right')", "undo")
            await page.reads("1 of 5 pairs judged")
        assert len(read_judgements(out).pairs) == 1

    async def test_a_file_that_can_not_be_written_is_told_and_nothing_is_lost(
        self, files: tuple[Path, Path], out: Path
    ) -> None:
        async with sitting(files, out) as page:
            await page.is_at("judging")
            await page.judges("t")
            await page.reads("pair 2 of 5")
            out.mkdir()
            await page.ends()
            await page.reads("1 of 5 pairs judged")
            await page.until(lambda: "nothing is lost" in " ".join(page.text.split()))
        out.rmdir()
        judging = open_judging(*files, out)
        assert judging.done == 1
        judging.finish()


class TestBlind:
    async def test_no_name_and_no_file_is_on_the_screen_before_the_end(
        self, files: tuple[Path, Path], out: Path
    ) -> None:
        async with sitting(files, out, size=(120, 40)) as page:
            await page.is_at("judging")
            for _ in range(5):
                for word in ("urial-k3", "zero-shot", "llama", "first.json", "second.json"):
                    assert word not in page.text
                await page.judges("t")
            await page.is_at("judged")
            assert "urial-k3" not in page.text
            await page.looks_at_result()
            await page.reads("urial-k3")

    async def test_what_is_shown_where_is_what_is_kept(
        self, files: tuple[Path, Path], out: Path
    ) -> None:
        async with sitting(files, out) as page:
            await page.is_at("judging")
            seen = await page.judges_all("good")
        kept = [(one.output_a, one.output_b) for one in read_judgements(out).pairs]
        assert kept == seen
        assert len(set(seen)) == 2, "both runs stand at the left now and then"

    async def test_hostile_texts_are_drawn_harmless(self, tmp_path: Path, out: Path) -> None:
        files = tmp_path / "first.json", tmp_path / "second.json"
        for path, name in zip(files, (FIRST + "\x1b[31m", SECOND), strict=True):
            said = AnsweredTurn(instruction=HOSTILE, output=HOSTILE)
            one = msgspec.structs.replace(output(1, name), exchanges=(said,))
            write_outputs(path, [one])
        async with sitting(files, out) as page:
            await page.reads("␛")
            assert "\x1b" not in page.text
            assert "\u202e" not in page.text
            await page.judges("t")
            await page.is_at("judged")
            await page.looks_at_result()
            await page.reads("urial-k3␛[31m")

    async def test_links_are_copied_and_not_opened(self, tmp_path: Path, out: Path) -> None:
        files = tmp_path / "first.json", tmp_path / "second.json"
        for path, name in zip(files, (FIRST, SECOND), strict=True):
            write_outputs(path, [output(1, name, "[here](http://example.com)")])
        async with sitting(files, out) as page:
            await page.reads("here")
            page.follows("http://example.com")
            await page.until(lambda: page.app.copied == ["http://example.com"])


class TestLayout:
    async def test_several_turns_are_all_shown(self, tmp_path: Path, out: Path) -> None:
        files = tmp_path / "first.json", tmp_path / "second.json"
        for path, name in zip(files, (FIRST, SECOND), strict=True):
            turns = tuple(
                AnsweredTurn(instruction=f"Ask {n}.", output=f"Said {n}.") for n in (1, 2)
            )
            write_outputs(path, [msgspec.structs.replace(output(1, name), exchanges=turns)])
        async with sitting(files, out) as page:
            await page.reads("to be judged")
            for text in ("1  Ask 1.", "2  Ask 2.", "Said 1.", "Said 2."):
                assert text in page.text

    async def test_the_answers_scroll_together(self, tmp_path: Path, out: Path) -> None:
        files = tmp_path / "first.json", tmp_path / "second.json"
        long = "\n\n".join(f"Line {n}." for n in range(60))
        for path, name in zip(files, (FIRST, SECOND), strict=True):
            write_outputs(path, [output(1, name, long)])
        async with sitting(files, out) as page:
            await page.reads("Line 0.")
            await page.scrolls(*["pagedown"] * 9)
            await page.until(lambda: page.text.count("Line 59.") == 2)
            await page.scrolls("up", "k")
            await page.until(lambda: page.text.count("Line 59.") == 0)

    async def test_the_view_is_one_of_four(self, files: tuple[Path, Path], out: Path) -> None:
        async with sitting(files, out) as page:
            await page.is_at("judging")
            await page.pauses()
            left, right = page.screen.columns
            assert left.region.y == right.region.y
            await page.turns_view()
            assert left.region.x == right.region.x
            assert left.region.bottom <= right.region.y
            await page.turns_view()
            assert (left.display, right.display) == (True, False)
            assert left.region.width == 80
            await page.turns_view()
            assert (left.display, right.display) == (False, True)
            await page.turns_view()
            assert left.region.y == right.region.y

    async def test_where_it_is_narrow_one_is_above_the_other(
        self, files: tuple[Path, Path], out: Path
    ) -> None:
        async with sitting(files, out, size=(50, 20)) as page:
            await page.is_at("judging")
            await page.pauses()
            left, right = page.screen.columns
            assert left.region.bottom <= right.region.y

    async def test_an_endless_answer_is_cut_and_says_so(self, tmp_path: Path, out: Path) -> None:
        files = tmp_path / "first.json", tmp_path / "second.json"
        for path, name in zip(files, (FIRST, SECOND), strict=True):
            write_outputs(path, [output(1, name, "word " * 20_000)])
        async with sitting(files, out) as page:
            await page.is_at("judging")
            for column in page.screen.columns:
                column.scroll_lines(99_999)
            await page.reads("60,000 characters")


class TestRefused:
    async def told(self, files: tuple[Path, Path], out: Path, sentence: str) -> None:
        async with sitting(files, out) as page:
            await page.is_at("failed")
            assert sentence in " ".join(page.text.split())
            await page.leaves("a", "u", "escape")

    async def test_no_such_file(self, files: tuple[Path, Path], out: Path) -> None:
        files[1].unlink()
        await self.told(files, out, "Choose another run.")

    async def test_no_shared_item(self, files: tuple[Path, Path], out: Path) -> None:
        write_outputs(files[1], [output("other", SECOND)])
        await self.told(files, out, "There is no item that both")

    async def test_what_is_no_json(self, files: tuple[Path, Path], out: Path) -> None:
        files[0].write_text("\x1b[2J")
        await self.told(files, out, "is no JSON list")

    async def test_the_file_of_another_judging(
        self, files: tuple[Path, Path], out: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "x").mkdir()
        judging = opened(runs(5), out)
        judge_all(judging, prefers(FIRST), 2)
        judging.finish()
        before = out.read_bytes()
        await self.told(files, out, "are of other answers")
        assert out.read_bytes() == before

    async def test_a_models_judgements(self, files: tuple[Path, Path], out: Path) -> None:
        written(out, [preferred(1, "A")])
        await self.told(files, out, "holds judgements of another kind")

    async def test_a_file_that_is_open_elsewhere(self, files: tuple[Path, Path], out: Path) -> None:
        judging = open_judging(*files, out)
        await self.told(files, out, "is in use by another evaluation")
        judging.finish()

    async def test_what_is_left_out_is_told(self, tmp_path: Path, out: Path) -> None:
        files = run_files(tmp_path, 4)
        write_outputs(files[1], [output(number, SECOND) for number in (1, 2)])
        async with sitting(files, out) as page:
            await page.reads("Left out: 2 items that only one of the two has answered.")
            await page.reads("pair 1 of 2")


def test_a_pace_is_told_after_three_and_a_pause_does_not_count() -> None:
    pace = OwnPace()
    for began, ended in ((0, 10), (10, 30), (30, 5000)):
        assert pace.left(4) is None
        pace.begin(began)
        pace.done(ended)
    assert pace.left(4) == 80
    pace.done(9000)
    assert pace.left(4) == 80
