"""docs/architecture.md names rooms and files that are there."""

from __future__ import annotations

import re

from tests.test_layers import LEAVES, MAY_IMPORT, MODULES, PACKAGE, ROOT, module_name, report

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
MOST_FILES = 20
"""That a prompt crosses each way."""


def section(title: str) -> str:
    """The text under a heading."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def named(text: str) -> list[str]:
    """The files and folders that stand in a text, as they are written there."""
    return re.findall(r"`([a-z_]+(?:/[a-z_.]+)+)`", text)


def ways() -> list[list[str]]:
    """The files of the numbered tables, the way there and the way back."""
    return [
        re.findall(r"^\| \d+ \| `([^`]+)` \|", part, re.MULTILINE)
        for part in section("The way of a prompt").split("And back")
    ]


def test_the_files_that_it_names_are_there() -> None:
    missing = [
        name
        for name in named(PAGE)
        if not ((ROOT / PACKAGE / name).exists() or (ROOT / name).exists())
    ]
    report("docs/architecture.md names what is not there", missing)


def test_a_prompt_crosses_few_files() -> None:
    there, back = ways()
    assert (there[0], there[-1]) == ("tui/widgets/prompt.py", "engine/native/context.py")
    assert (back[0], back[-1]) == ("engine/worker/writing.py", "tui/drawing/answer_text.py")
    assert max(len(there), len(back)) <= MOST_FILES


def test_the_rooms_of_the_picture_are_those_of_the_layers() -> None:
    picture = section("The rooms").partition("```")[2].partition("```")[0]
    words = set(re.findall(r"[a-z]+(?:\.[a-z]+)?", picture))
    rooms = {part for part in MAY_IMPORT if (ROOT / PACKAGE / part).is_dir()} - {"engine", "page"}
    assert rooms <= words
    inside = {".".join(module_name(path).split(".")[:2]) for path in MODULES}
    engine = {
        room
        for room in inside
        if room.startswith("engine.") and (ROOT / PACKAGE).joinpath(*room.split(".")).is_dir()
    }
    assert engine - {"engine.self_test"} <= words
    used_by_all = {"prompting", "models", "settings", "files", "wording", "errors", "sanitize"}
    assert used_by_all <= words & LEAVES


def test_what_is_new_goes_into_few_files() -> None:
    for row in section("Where something new goes").splitlines():
        assert len(set(named(row))) <= 4, row
