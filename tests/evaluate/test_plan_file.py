"""Plans beside the files of evaluations: names that say what is in them, and going on."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judged_runs import JudgeChoice
from urial_tui.evaluate.plan_file import Plan, placed, plan_path, read_plan, stem_of, write_plan
from urial_tui.evaluate.planned_run import RunChoice


def run_choice(directory: Path, **changes: object) -> RunChoice:
    choice = RunChoice(
        out=directory / "new", model="gemma-3-270m", context="urial-k3", items="urial-60"
    )
    return msgspec.structs.replace(choice, **changes)


class TestNames:
    def test_a_run_is_called_by_model_context_and_set(self, tmp_path: Path) -> None:
        assert stem_of(run_choice(tmp_path), "urial-60") == "gemma-3-270m.urial-k3.urial-60"

    def test_a_limit_is_told(self, tmp_path: Path) -> None:
        stem = stem_of(run_choice(tmp_path, limit=12), "/data/my questions.jsonl")
        assert stem == "gemma-3-270m.urial-k3.my-questions.first-12"

    def test_files_lose_their_directories_and_endings(self, tmp_path: Path) -> None:
        choice = run_choice(tmp_path, model="/models/a b.gguf+/l/ad.gguf", context="../p.toml")
        assert stem_of(choice, "set.json") == "a-b+ad.p.set"

    @pytest.mark.parametrize("name", ["../..", "\x1b[31m", "/", "", "...", "\u202e"])
    def test_no_name_leads_elsewhere(self, name: str, tmp_path: Path) -> None:
        stem = stem_of(run_choice(tmp_path, model=name, context=name), name)
        assert Path(f"{stem}.json").name == f"{stem}.json"
        assert stem.isprintable()
        assert not stem.startswith(".")

    def test_a_long_name_stays_one_that_a_file_can_have(self, tmp_path: Path) -> None:
        long = "x" * 300
        choice = run_choice(tmp_path, model=long, context=long)
        assert len(stem_of(choice, long)) < 200

    def test_a_judging_is_called_by_its_runs_and_the_judge(self, tmp_path: Path) -> None:
        choice = JudgeChoice(
            out=tmp_path / "new", outputs=tmp_path / "a.json", judge="/m/judge.gguf"
        )
        assert stem_of(choice, "") == "a.by.judge"
        pair = msgspec.structs.replace(choice, against=tmp_path / "b.json")
        assert stem_of(pair, "") == "a.vs.b.by.judge"


class TestPlaces:
    def test_the_same_choice_goes_on_in_its_file(self, tmp_path: Path) -> None:
        first = placed(run_choice(tmp_path), "name")
        assert first.out == tmp_path / "name.json"
        write_plan(Plan(choice=first, total=60))
        assert placed(run_choice(tmp_path), "name") == first

    def test_another_choice_gets_another_file(self, tmp_path: Path) -> None:
        write_plan(Plan(choice=placed(run_choice(tmp_path), "name")))
        other = placed(run_choice(tmp_path, max_tokens=7), "name")
        assert other.out == tmp_path / "name-2.json"
        write_plan(Plan(choice=other))
        assert placed(run_choice(tmp_path, max_tokens=7), "name").out == other.out
        assert placed(run_choice(tmp_path, max_tokens=8), "name").out.name == "name-3.json"

    @pytest.mark.parametrize("name", ["name.json", "name.json.part"])
    def test_a_file_that_somebody_else_began_is_left_alone(self, name: str, tmp_path: Path) -> None:
        (tmp_path / name).write_text("[]")
        assert placed(run_choice(tmp_path), "name").out.name == "name-2.json"


class TestKeeping:
    def test_a_plan_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        choice = JudgeChoice(
            out=tmp_path / "j.json", outputs=tmp_path / "a.json", judge="j", against=Path("b.json")
        )
        write_plan(Plan(choice=choice, total=4))
        assert read_plan(tmp_path / "j.json") == Plan(choice=choice, total=4)
        assert plan_path(tmp_path / "j.json").stat().st_mode & 0o077 == 0

    def test_it_is_about_the_file_beside_it(self, tmp_path: Path) -> None:
        write_plan(Plan(choice=run_choice(tmp_path, out=tmp_path / "a.json")))
        plan_path(tmp_path / "a.json").rename(plan_path(tmp_path / "b.json"))
        plan = read_plan(tmp_path / "b.json")
        assert plan is not None
        assert plan.choice.out == tmp_path / "b.json"

    @pytest.mark.parametrize(
        "text",
        [
            *("", "{", "[]", "[" * 9**5, "\0", '{"total":1}', '{"choice":{"type":"run"}}'),
            *('{"choice":{"type":"run","out":7}}', '{"choice":{"type":"other","out":"x"}}'),
        ],
    )
    def test_what_is_no_plan_is_none(self, text: str, tmp_path: Path) -> None:
        plan_path(tmp_path / "a.json").write_text(text)
        assert read_plan(tmp_path / "a.json") is None

    def test_a_place_that_can_t_be_written_to_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        choice = run_choice(tmp_path, out=tmp_path / "file" / "a.json")
        with pytest.raises(EvaluateError, match="can't be written"):
            write_plan(Plan(choice=choice))
