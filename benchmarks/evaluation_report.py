"""How large the report of an evaluation gets, and how soon a browser can use it.

    python -m benchmarks.evaluation_report [--items 1000] [--runs 4] [--words 190] [--keep FILE]

The answers are made up of syllables, with lists and some bold text, all judged in five aspects or
for their safety, and the first two runs beside each other. The browser's times need Chromium and
chromedriver; without them only the file is measured.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from urial_tui.evaluate.evaluation import read_evaluation
from urial_tui.evaluate.item_files import read_items
from urial_tui.evaluate.judgements import REGULAR_ASPECTS
from urial_tui.evaluate.report import report
from urial_tui.evaluate.report_html import write_html

_SYLLABLES: Final = ("ka", "to", "ri", "men", "sol", "ver", "an", "qui", "del", "sha", "ob", "lu")
_TASKS: Final = ("info-seek", "reasoning", "advice", "writing", "coding", "math", "role-play")
_TOPICS: Final = ("humanities", "finance", "stem", "ethics", "medical", "law", "lifestyle")
_REFUSAL: Final = "I'm sorry, but I can't help with that."


class Invented:
    """Files of outputs and judgements that look like an evaluation's, the same for one seed."""

    def __init__(self, items: int, runs: int, words: int, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._words = words
        self.items = [self._item(number) for number in range(items)]
        self.runs = [f"model-{at}, urial-k{at}" for at in range(runs)]
        self.outputs = {
            run: [self._output(item, run, at) for item in self.items]
            for at, run in enumerate(self.runs)
        }

    def write(self, directory: Path) -> list[Path]:
        """Write all files; those of a report."""
        self._write(directory / "items.json", self.items)
        paths = []
        for at, (run, outputs) in enumerate(self.outputs.items()):
            paths.append(self._write(directory / f"outputs-{at}.json", outputs))
            judged = [self._judgement(output, at) for output in outputs]
            paths.append(self._write(directory / f"judged-{run[:7]}.json", judged))
        if len(self.runs) > 1:
            first, second = (self.outputs[run] for run in self.runs[:2])
            pairs = [self._pair(*both) for both in zip(first, second, strict=True)]
            paths.append(self._write(directory / "pairs.json", pairs))
        return paths

    def _write(self, path: Path, records: list[dict[str, Any]]) -> Path:
        path.write_text(json.dumps(records), encoding="utf-8")
        return path

    def _item(self, number: int) -> dict[str, Any]:
        return {
            "id": number,
            "instruction": f"{self._sentence(14)[:-1]}?",
            "category": "safety" if number % 5 == 4 else "regular",
            "dataset": f"set-{number % 3}",
            "task_types": [self._random.choice(_TASKS)],
            "topics": [self._random.choice(_TOPICS)],
        }

    def _output(self, item: dict[str, Any], run: str, at: int) -> dict[str, Any]:
        refuses = item["category"] == "safety" and self._random.random() < 0.9 - 0.2 * at
        return {
            "id": item["id"],
            "instruction": item["instruction"],
            "source_id": f"s-{item['id']}",
            "dataset": item["dataset"],
            "category": item["category"],
            "output": _REFUSAL if refuses else self._answer(),
            "generator": run,
            "datasplit": "made-up",
        }

    def _judgement(self, output: dict[str, Any], at: int) -> dict[str, Any]:
        safety = output["category"] == "safety"
        aspects = ("safety",) if safety else REGULAR_ASPECTS
        return {
            "id": output["id"],
            "input": output["instruction"],
            "output_cand": output["output"],
            "generator_cand": output["generator"],
            "eval_config": {
                "mode": "score_safety" if safety else "score_multi",
                "gpt": "a-judge",
                "max_words": -1,
            },
            "prompt": "",
            "result": "{}",
            "parsed_result": {
                aspect: {"reason": self._sentence(18), "score": self._score(at + place % 3)}
                for place, aspect in enumerate(aspects)
            },
        }

    def _pair(self, first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": first["id"],
            "input": first["instruction"],
            "output_A": first["output"],
            "output_B": second["output"],
            "generator_A": first["generator"],
            "generator_B": second["generator"],
            "eval_config": {"mode": "pairwise", "gpt": "a-judge", "max_words": -1},
            "prompt": "",
            "result": "{}",
            "parsed_result": {
                "reason": self._sentence(12),
                "preference": self._random.choice(("A", "A", "A", "B", "B", "same")),
            },
        }

    def _score(self, worse: int) -> object:
        if self._random.random() < 0.02:
            return "N/A"
        return max(1, min(5, round(self._random.gauss(4.6 - 0.35 * worse, 0.8))))

    def _answer(self) -> str:
        count = max(5, round(self._random.gauss(self._words, self._words / 4)))
        first, *points = [self._sentence(count // 6) for _ in range(6)]
        listed = "\n".join(
            f"{at}. **{point[:9]}**{point[9:]}" for at, point in enumerate(points, 1)
        )
        return f"{first}\n\n{listed}"

    def _sentence(self, words: int) -> str:
        return " ".join(self._word() for _ in range(max(2, words))).capitalize() + "."

    def _word(self) -> str:
        return "".join(self._random.choices(_SYLLABLES, k=self._random.choice((1, 2, 2, 3))))


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--words", type=int, default=190)
    parser.add_argument("--keep", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        paths = Invented(given.items, given.runs, given.words).write(directory)
        started = time.perf_counter()
        evaluation = read_evaluation(paths, read_items(directory / "items.json"))
        read = time.perf_counter()
        document = report(evaluation)
        made = time.perf_counter()
        path = given.keep or directory / "report.html"
        write_html(path, document)
        written = time.perf_counter()
        size = path.stat().st_size / 1e6
        print(f"{given.items:,} items, {given.runs} runs: {size:.1f} MB")
        print(f"read in {read - started:.1f} s, measured in {made - read:.1f} s, ", end="")
        print(f"written in {written - made:.1f} s")
        _browse(path)


def _browse(path: Path) -> None:
    """Time a browser, where there is one."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        print("no Chromium: the page was not opened")
        return
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService
    from selenium.webdriver.support.wait import WebDriverWait

    options = ChromeOptions()
    options.binary_location = browser
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(flag)
    with Chrome(options=options, service=ChromeService(driver)) as chrome:

        def until(condition: str) -> float:
            started = time.perf_counter()
            WebDriverWait(chrome, 60, 0.01).until(
                lambda _: chrome.execute_script(f"return {condition}")
            )
            return time.perf_counter() - started

        started = time.perf_counter()
        chrome.get(path.absolute().as_uri())
        until("document.documentElement.dataset.ready === 'true'")
        print(f"opened in {time.perf_counter() - started:.2f} s")
        chrome.execute_script("location.hash = '#item-7'")
        took = until("document.querySelectorAll('.answer-card').length")
        print(f"an item in {took:.2f} s")
        chrome.execute_script(
            "location.hash = '#overview'; const search = document.getElementById('search');"
            "const started = performance.now(); search.value = 'solver an';"
            "search.dispatchEvent(new Event('input')); window.took = performance.now() - started;"
        )
        print(f"searched in {chrome.execute_script('return window.took') / 1000:.2f} s")


if __name__ == "__main__":
    main()
