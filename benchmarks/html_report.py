"""How large the HTML report of a comparison gets, and how soon a browser can use it.

    python -m benchmarks.html_report [--items 1000] [--tokens 300] [--keep FILE]

The items are made up, but of the shape that counts: a vocabulary of 262,144 tokens, token
ids that follow Zipf's law in a tenth of all places and are drawn evenly in the others' tails,
top-10 lists that overlap by about two thirds, a preamble of some 4,000 characters in the base
context. `--even` draws all ids of the lists evenly, which no language does: the worst case.
The browser's times need Chromium and chromedriver; without them only the file is measured.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from urial_tui.compare.metrics import aggregate
from urial_tui.compare.positions import CountedItem, gather
from urial_tui.compare.report import write_report
from urial_tui.engine.wire.scores import CLASS_NAMES, PositionScores

VOCABULARY = 262_144
TOP = 10
_SYLLABLES = ("ka", "to", "ri", "men", "sol", "ver", "an", "qui", "del", "sha", "ob", "lu")


class Invented:
    """Items that look like a comparison's, always the same ones for one seed."""

    def __init__(self, items: int, tokens: int, *, even: bool, seed: int = 0) -> None:
        self.items, self.tokens, self.even = items, tokens, even
        self._random = np.random.default_rng(seed)
        plain = random.Random(seed)
        self._words = _words()
        self.texts = [*self._words, *(_syllables(plain) for _ in range(VOCABULARY))][:VOCABULARY]
        self.preamble = "".join(plain.choices(self._words, k=700))
        self.scored: list[CountedItem] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for number in range(self.items):
            yield self._item(number)

    def _ids(self, shape: tuple[int, ...]) -> Any:
        if self.even:
            return self._random.integers(VOCABULARY, size=shape)
        common = self._random.zipf(1.15, size=shape) % len(self._words)
        rare = (VOCABULARY ** self._random.random(shape)).astype(np.int64) % VOCABULARY
        return np.where(self._random.random(shape) < 0.7, common, rare)

    def _item(self, number: int) -> dict[str, Any]:
        n = int(self._random.integers(self.tokens * 3 // 4, self.tokens * 5 // 4 + 1))
        fade = np.exp(-np.arange(n) / 12)
        u = self._random.random(n)
        rank = np.where(u < 0.78 - 0.35 * fade, 1, np.where(u < 0.93 - 0.2 * fade, 2, 4))
        rank = rank + np.where(rank == 4, self._random.geometric(0.02, n), 0)
        base, aligned = self._ids((n, TOP)), self._ids((n, TOP))
        keep = self._random.random((n, TOP)) < 0.65
        aligned = np.where(keep, base, aligned)
        p_base, p_aligned = self._falling(n), self._falling(n)
        place = np.minimum(rank - 1, TOP - 1)
        ids = np.where(rank <= TOP, base[np.arange(n), place], self._ids((n,)))
        aligned[:, 0] = ids
        p_of = np.where(
            rank <= TOP, p_base[np.arange(n), place], p_base[:, -1] * self._random.random(n)
        )
        kl = np.abs(np.log(p_aligned[:, 0] / p_of)) * 0.3 + self._random.exponential(0.02, n)
        scores = PositionScores(
            ids=ids.astype(np.int32),
            rank=rank.astype(np.int32),
            logp_base=np.log(p_of).astype(np.float32),
            logp_aligned=np.log(p_aligned[:, 0]).astype(np.float32),
            kl_aligned_base=kl.astype(np.float32),
            kl_base_aligned=(kl * self._random.uniform(0.7, 1.4, n)).astype(np.float32),
            js=np.minimum(0.69, kl / 5).astype(np.float32),
            entropy_base=self._random.exponential(1.4, n).astype(np.float32),
            entropy_aligned=self._random.exponential(0.7, n).astype(np.float32),
            outside_base=np.zeros(n, np.float32),
            outside_aligned=np.zeros(n, np.float32),
            argmax_base=base[:, 0].astype(np.int32),
            argmax_aligned=ids.astype(np.int32),
            top_base_ids=base.astype(np.int32),
            top_base_p=p_base.astype(np.float32),
            top_aligned_ids=aligned.astype(np.int32),
            top_aligned_p=p_aligned.astype(np.float32),
        )
        fields = {
            "dataset": f"set-{number % 7}",
            "category": "safety" if number % 5 == 0 else "regular",
        }
        self.scored.append(CountedItem(scores=scores.without_top(), n_bytes=n * 4, fields=fields))
        query = "".join(self.texts[token] for token in self._ids((12,)) % len(self._words)).strip()
        return self._document(number, query, scores, fields)

    def _document(
        self, number: int, query: str, scores: PositionScores, fields: Mapping[str, str]
    ) -> dict[str, Any]:
        texts = self.texts

        def top(ids: list[int], p: list[float]) -> list[list[Any]]:
            return [[token, texts[token], value] for token, value in zip(ids, p, strict=True)]

        columns = {
            "id": scores.ids, "rank": scores.rank,
            "p_base": scores.p_base, "p_aligned": scores.p_aligned,
            "kl_aligned_base": scores.kl_aligned_base, "kl_base_aligned": scores.kl_base_aligned,
            "js": scores.js,
            "entropy_base": scores.entropy_base, "entropy_aligned": scores.entropy_aligned,
        }  # fmt: skip
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        positions = [dict(zip(columns, row, strict=True)) for row in rows]
        for t, position in enumerate(positions):
            position["t"], position["text"] = t, texts[position["id"]]
            position["class"] = CLASS_NAMES[int(scores.classes[t])]
            position["top_base"] = top(
                scores.top_base_ids[t].tolist(), scores.top_base_p[t].tolist()
            )
            position["top_aligned"] = top(
                scores.top_aligned_ids[t].tolist(), scores.top_aligned_p[t].tolist()
            )
        base = f"{self.preamble}\n\n# Query:\n{query}\n\n# Answer:\n"
        aligned = f"<start_of_turn>user\n{query}<end_of_turn>\n<start_of_turn>model\n"
        return {
            "id": number,
            "query": query.capitalize() + "?",
            "answer": "".join(position["text"] for position in positions),
            "contexts": {
                "base": {"text": base, "ids": list(range(len(base) // 4))},
                "aligned": {"text": aligned, "ids": list(range(len(aligned) // 4))},
            },
            "fields": fields,
            "positions": positions,
        }

    def _falling(self, n: int) -> Any:
        """Probabilities of top lists, most probable first, that leave something for the rest."""
        logits = -np.sort(self._random.exponential(3.0, (n, TOP)), axis=1)
        logits[:, 0] += self._random.exponential(2.0, n)
        p = np.exp(logits)
        return p / p.sum(axis=1, keepdims=True) * self._random.uniform(0.8, 0.999, (n, 1))

    def head(self) -> dict[str, Any]:
        """The document without its items, once these were made."""
        made = aggregate(
            gather(self.scored), text_of=self.texts.__getitem__, group_by=("dataset", "category")
        )
        document: dict[str, Any] = msgspec.to_builtins(made)
        return document | {
            "base": {"model": "gemma-3-270m", "adapter": None, "context": "urial-1k"},
            "aligned": {"model": "gemma-3-270m-sft", "adapter": "sft-lora.gguf", "context": "chat"},
            "vocab": {"relation": "identical", "base_size": VOCABULARY, "aligned_size": VOCABULARY},
        }


def _words() -> list[str]:
    """Words and signs of this project's own texts, the commonest first."""
    root = Path(__file__).resolve().parent.parent
    counts: dict[str, int] = {}
    for path in [*sorted(root.glob("*.md")), *sorted((root / "prompts").glob("*.toml"))]:
        for word in path.read_text(encoding="utf-8").split():
            for token in (f" {word.rstrip('.,')}", word[-1] if word[-1] in ".," else ""):
                if token and token.strip().strip(".,").isascii():
                    counts[token] = counts.get(token, 0) + 1
    return sorted(counts, key=lambda word: -counts[word])


def _syllables(plain: random.Random) -> str:
    return " " * plain.randint(0, 1) + "".join(plain.choices(_SYLLABLES, k=plain.randint(1, 4)))


def _in_browser(path: Path) -> None:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        print("no chromium and chromedriver: the page was not measured", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as profile:
        options = Options()
        options.binary_location = browser
        options.page_load_strategy = "none"
        for flag in (
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={profile}",
        ):  # fmt: skip
            options.add_argument(flag)
        page = webdriver.Chrome(options=options, service=Service(driver))
        try:
            for attempt in range(3):
                page.get("about:blank")
                start = time.monotonic()
                page.get(path.as_uri())
                _wait(page, "return document.documentElement.dataset.ready === 'true'")
                usable = time.monotonic() - start
                _wait(page, "return document.readyState === 'complete'")
                whole = time.monotonic() - start
                marks = []
                for place in (0, 1, 500 % (attempt + 2)):
                    begun = time.monotonic()
                    page.execute_script(f"location.hash = '#item-{place + 7 * attempt + 1}'")
                    _wait(page, "return !!document.querySelector('#answer .token')")
                    marks.append(time.monotonic() - begun)
                    page.execute_script("location.hash = '#overview'")
                    _wait(page, "return document.getElementById('item').hidden")
                    page.execute_script("document.getElementById('answer').replaceChildren()")
                begun = time.monotonic()
                page.execute_script(
                    "const s = document.getElementById('search'); s.value = 'model answer';"
                    "s.dispatchEvent(new Event('input'))"
                )
                search = time.monotonic() - begun
                opened = ", ".join(f"{mark * 1000:.0f}" for mark in marks)
                print(
                    f"index usable {usable:.2f} s, whole file {whole:.2f} s, "
                    f"item opened {opened} ms, first search {search * 1000:.0f} ms"
                )
        finally:
            page.quit()


def _wait(page: Any, condition: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if page.execute_script(condition):
            return
        time.sleep(0.002)
    raise TimeoutError(condition)


def main() -> None:
    """Write a report, say how large it is and how long things took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=300, help="mean length of an answer")
    parser.add_argument("--even", action="store_true", help="the worst case: ids drawn evenly")
    parser.add_argument("--keep", type=Path, help="write the report here, and leave it there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.keep or Path(folder) / "report.html"
        invented = Invented(arguments.items, arguments.tokens, even=arguments.even)
        for _ in invented:
            pass
        head = invented.head()
        again = Invented(arguments.items, arguments.tokens, even=arguments.even)
        spent = 0.0

        def timed() -> Iterator[dict[str, Any]]:
            nonlocal spent
            for number in range(arguments.items):
                begun = time.monotonic()
                item = again._item(number)
                spent += time.monotonic() - begun
                yield item

        start = time.monotonic()
        write_report(path, head, timed())
        wall = time.monotonic() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        positions = sum(len(item.scores) for item in again.scored)
        print(
            f"{arguments.items} items, {positions} positions: {path.stat().st_size / 1e6:.1f} MB, "
            f"written in {wall - spent:.1f} s, peak memory {peak:.0f} MB with the items' making"
        )
        _in_browser(path)


if __name__ == "__main__":
    main()
