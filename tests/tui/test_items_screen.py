"""The items of an evaluation, looked through by keys."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from tests.evaluate.judged import HOSTILE, answer, preferred, scored, swapped, written
from tests.evaluate.test_browsing import LEAK, UNDER, told
from tests.tui.evaluations import showing
from tests.tui.items_page import ItemsPage
from urial_tui.evaluate.browsing import Browser
from urial_tui.evaluate.items import Item, ItemSet
from urial_tui.evaluate.output_file import read_outputs, write_outputs
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.tui.evaluate.items_screen import ItemsScreen

WIDE = (120, 40)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two runs over five items, one of them judged, and both beside each other."""
    first = [
        answer(1, "It is cut h", UNDER, **told("cut")),
        answer(2, "I'm sorry, but I can't help with that.", UNDER, **told("end")),
        answer(3, LEAK, UNDER, **told("stop")),
        answer(4, "So.", UNDER, category="safety", **told("end")),
        answer(5, "**Bold** words.", UNDER, **told("end", tokens=7)),
    ]
    second = [answer(number, f"Reply {number}.", "gemma") for number in range(1, 6)]
    judged = [scored(5, "**Bold** words.", 4.5, 3, 2, 1, 5, generator_cand=UNDER)]
    judged += [scored(4, "So.", 1, generator_cand=UNDER)]
    beside = preferred(5, "B", output_A="**Bold** words.", output_B="Reply 5.", generator_A=UNDER)
    return [
        written(tmp_path / "first.json", first),
        written(tmp_path / "second.json", second),
        written(tmp_path / "scores.json", judged),
        written(tmp_path / "pairs.json", [beside, swapped(beside)]),
    ]


@contextlib.asynccontextmanager
async def looking(
    paths: list[Path], items: ItemSet | None = None, *, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[ItemsPage]:
    """Open the screen on these files."""
    async with showing(ItemsScreen(paths, items), size=size) as pilot:
        yield ItemsPage(pilot)


class TestListing:
    async def test_all_items_are_listed_with_what_is_wrong_with_them(
        self, files: list[Path]
    ) -> None:
        async with looking(files) as page:
            await page.is_measured()
            assert page.head == "Items  5 items · 2 runs"
            rows = {line.strip(" ▌").split()[0]: line for line in page.text.splitlines()[5:10]}
            assert rows["1"].rstrip().endswith("✂")
            assert rows["2"].rstrip().endswith("⊘")
            assert rows["3"].rstrip().endswith("↻")
            assert "safety  Question 4?" in rows["4"]
            assert rows["5"].rstrip().endswith("?")

    async def test_typing_finds_and_escape_takes_it_back(self, files: list[Path]) -> None:
        async with looking(files) as page:
            await page.is_measured()
            await page.seeks("reply 3")
            await page.lists(2)
            assert page.head.startswith("Items  1 of 5 items")
            await page.seeks("x")
            await page.reads("No item has all of this.")
            await page.shows_all()
            await page.lists(0, 1, 2, 3, 4)
            await page.leaves()

    async def test_filters_are_keys_and_add_up(self, files: list[Path]) -> None:
        async with looking(files) as page:
            await page.is_measured()
            for key, places, shown in (
                ("f3", [0], "[✂ cut]"),
                ("f3", [0, 1, 2, 3, 4], "✂ cut"),
                ("f4", [1], "[⊘ refused]"),
                ("f5", [], "[↻ leaked]"),
                ("f4", [2], "⊘ refused"),
                ("f5", [0, 1, 2, 3, 4], "↻ leaked"),
                ("f2", [3], "[safety]"),
                ("f2", [0, 1, 2, 4], "[regular]"),
                ("f2", [0, 1, 2, 3, 4], "F2 all"),
                ("f6", [], "[≠ scores apart]"),
            ):
                await page.filters(key)
                await page.lists(*places)
                await page.reads(shown)

    async def test_the_selection_stays_where_it_is_found(self, files: list[Path]) -> None:
        async with looking(files) as page:
            await page.is_measured()
            await page.moves("down", "down", "down")
            await page.selects(3)
            await page.seeks("reply 4")
            await page.lists(3)
            await page.shows_all()
            await page.lists(0, 1, 2, 3, 4)
            assert page.screen.listed.place == 3
            await page.moves("ctrl+end")
            assert page.screen.listed.place == 4
            await page.moves("ctrl+home")
            assert page.screen.listed.place == 0


class TestLooking:
    async def test_an_item_is_shown_alone_with_all_that_is_known(self, files: list[Path]) -> None:
        async with looking(files, size=WIDE) as page:
            await page.is_measured()
            await page.seeks("bold")
            await page.lists(4)
            await page.looks_at_item()
            await page.reads("You  Question 5?")
            await page.reads("By judge-1")
            for text in (
                UNDER,
                "gemma",
                "Bold words.",
                "Reply 5.",
                "ended by itself · 2 words · 7 tokens",
                "helpfulness  4.50",
                "helpfulness of 5",
                "Judged beside each other",
                "prefers gemma",
                "id 5 · regular · ours",
            ):
                assert text in page.text, text

    async def test_as_many_columns_are_shown_as_fit_and_keys_lead_to_the_rest(
        self, files: list[Path]
    ) -> None:
        async with looking(files) as page:
            await page.is_measured()
            await page.moves("ctrl+end")
            await page.looks_at_item()
            await page.reads("1 to 2 of 3 columns")
            assert page.columns == ["**Bold** words.", "Reply 5."]
            await page.turns("right", "right")
            await page.reads("2 to 3 of 3 columns")
            await page.reads("Judged beside each other")
            await page.turns("left", "left")
            await page.reads("1 to 2 of 3 columns")

    async def test_keys_lead_to_the_items_before_and_after(self, files: list[Path]) -> None:
        async with looking(files) as page:
            await page.is_measured()
            await page.looks_at_item()
            await page.reads("You  Question 1?")
            assert "✂ cut at the length limit" in page.text
            await page.turns("n", "n")
            await page.reads("You  Question 3?")
            await page.reads("repeats an example of the preamble")
            await page.turns("p")
            await page.reads("You  Question 2?")
            await page.reads("⊘ refuses")
            await page.goes_back_to_list()
            await page.reads("F3 ✂ cut")
            assert page.screen.listed.place == 1

    async def test_where_there_is_room_the_selected_one_is_beside_the_list(
        self, files: list[Path]
    ) -> None:
        async with looking(files, size=WIDE) as page:
            await page.reads("It is cut h")
            await page.moves("down")
            await page.reads("I'm sorry, but")
            await page.resizes(80, 24)
            await page.loses("I'm sorry, but")
            await page.resizes(*WIDE)
            await page.reads("I'm sorry, but")

    async def test_a_reference_answer_is_a_column(self, files: list[Path]) -> None:
        items = tuple(
            Item(
                id=number,
                turns=(f"Question {number}?",),
                references=(f"The best answer to {number}.",),
            )
            for number in range(1, 6)
        )
        async with looking(files, ItemSet(name="s", items=items), size=WIDE) as page:
            await page.is_measured()
            await page.looks_at_item()
            await page.reads("Reference answer")
            await page.reads("The best answer to 1.")

    async def test_all_turns_are_shown(self, tmp_path: Path) -> None:
        path = written(tmp_path / "x.json", [answer(1, "")])
        turns = tuple(AnsweredTurn(instruction=f"Ask {n}.", output=f"Said {n}.") for n in (1, 2))
        (one,) = read_outputs(path)
        write_outputs(path, [msgspec.structs.replace(one, exchanges=turns)])
        async with looking([path]) as page:
            await page.is_measured()
            await page.looks_at_item()
            for text in ("1  Ask 1.", "2  Ask 2.", "Said 1.", "Said 2."):
                await page.reads(text)

    async def test_hostile_texts_are_drawn_harmless(self, tmp_path: Path) -> None:
        records = [answer(1, HOSTILE, HOSTILE, instruction=HOSTILE, dataset=HOSTILE)]
        judged = [
            scored(1, HOSTILE, 1, 2, 3, 4, 5, generator_cand=HOSTILE, input=HOSTILE)
            | {"eval_config": {"mode": "score_multi", "gpt": HOSTILE}}
        ]
        paths = [written(tmp_path / "x.json", records), written(tmp_path / "y.json", judged)]
        async with looking(paths, size=WIDE) as page:
            await page.is_measured()
            await page.reads("␛[31m")
            await page.looks_at_item()
            await page.reads("By ")
            assert "\x1b" not in page.text
            assert "\u202e" not in page.text


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("\x1b[2J", "is not JSON"),
            ("[]", "There is no record in"),
            ('[{"x": 1}]', "holds neither answers nor judgements"),
            ('[{"output": 1}]', "is no output of a model"),
        ],
    )
    async def test_what_is_no_such_file(self, tmp_path: Path, text: str, sentence: str) -> None:
        path = tmp_path / "x.json"
        path.write_text(text)
        async with looking([path]) as page:
            await page.until(lambda: sentence in " ".join(page.text.split()))
            assert "✖" in page.text
            await page.leaves("f3", "down", "enter", "escape")

    async def test_files_of_other_items(self, files: list[Path], tmp_path: Path) -> None:
        other = written(tmp_path / "other.json", [answer(99, "So.", "phi")])
        async with looking([*files, other]) as page:
            await page.reads("✖ The answers in")


async def test_thousands_of_answers_can_be_looked_at_while_they_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def measure_for_ever(browser: Browser, go_on: Callable[[], bool]) -> None:
        while go_on():
            pass
        ended.set()

    monkeypatch.setattr(Browser, "measure_all", measure_for_ever)
    paths = [
        written(
            tmp_path / f"{run}.json",
            [
                answer(number, f"Answer {number} of run {run}. " * 40, f"model-{run}")
                for number in range(1000)
            ],
        )
        for run in range(4)
    ]
    async with looking(paths, size=WIDE) as page:
        await page.is_read()
        assert page.head == "Items  1,000 items · 4 runs · measured 0"
        await page.moves("down", "pagedown")
        assert page.screen.listed.place is not None
        assert page.screen.listed.place > 10
        await page.seeks("998")
        await page.lists(998)
        await page.reads("Answer 998 of run 0.")
        assert not ended.is_set()
        await page.leaves("escape", "escape")
        await page.until(ended.is_set)
