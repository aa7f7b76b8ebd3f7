"""The HTML report of a comparison: the file itself, and the page in a real browser."""

from __future__ import annotations

import base64
import errno
import gc
import hashlib
import json
import math
import os
import re
import weakref
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from benchmarks.html_report import Invented
from tests import browser
from urial_tui.compare.report import write_report
from urial_tui.compare.report_data import (
    CLASSES,
    COLUMNS,
    P_STEPS,
    ContextTexts,
    TokenTexts,
    pack_item,
)
from urial_tui.page.page import to_json
from urial_tui.report_file import ReportError

PACKAGE = Path(__file__).resolve().parent.parent / "urial_tui"
PAGES = (PACKAGE / "page", PACKAGE / "compare" / "page", PACKAGE / "evaluate" / "page")
HOSTILE = (
    "</script><script>window.broken=1</script><!--<img src=x onerror='window.broken=1'>"
    "\u2028]]>{{ 7*7 }}&lt;b&gt;\u202eevil\u202c\x1b[31m\x00"
)


# -- documents --------------------------------------------------------------------------


def position(
    t: int, token: tuple[int, str], kind: str = "unshifted", **more: Any
) -> dict[str, Any]:
    """A position with top lists of three; the token is the aligned side's first choice."""
    rank = {"unshifted": 1, "marginal": 3, "shifted": 57, "absent": 0}[kind]
    others = [[100 + place, f" other{place}", 0.2 / (place + 1)] for place in range(3)]
    own = [*token, 0.5]
    return {
        "t": t,
        "id": token[0],
        "text": token[1],
        "rank": rank,
        "class": kind,
        "p_base": {1: 0.5, 3: 0.1, 57: 0.000123}.get(rank, 0.0),
        "p_aligned": 0.5,
        "kl_aligned_base": 0.25 * rank,
        "kl_base_aligned": 0.5,
        "js": 0.125,
        "entropy_base": 2.0,
        "entropy_aligned": 1.0,
        "top_base": [own, *others[:2]] if rank == 1 else others,
        "top_aligned": [own, *others[:2]],
    } | more


def item(number: int, *tokens: tuple[str, str], **more: Any) -> dict[str, Any]:
    """An item of (text, class) tokens."""
    positions = [position(t, (200 + t, text), kind) for t, (text, kind) in enumerate(tokens)]
    return {
        "id": f"q{number}",
        "query": f"Question {number}?",
        "answer": "".join(text for text, _ in tokens),
        "stop_reason": "eos",
        "fields": {"dataset": f"set-{number % 3}"},
        "contexts": {
            "base": {"text": f"A preamble.\nQuery: Question {number}?\n", "ids": [1, 2, 3]},
            "aligned": {"text": f"<user>Question {number}?</user>", "ids": [1, 2]},
        },
        "bytes": None,
        "positions": positions,
    } | more


PLAIN = (
    (" Hello", "shifted"),
    (" there", "unshifted"),
    (",", "marginal"),
    (" friend", "unshifted"),
    ("!\n", "shifted"),
    (" Bye", "unshifted"),
)


def shares(**values: float) -> dict[str, Any]:
    return {
        "items": 60, "positions": 360, "absent": 0,
        "unshifted": 0.5, "marginal": 1 / 6, "shifted": 1 / 3,
        "unshifted_interval": [0.48, 0.52], "marginal_interval": [0.15, 0.18],
        "shifted_interval": [0.31, 0.35],
    } | values  # fmt: skip


def summary(**values: Any) -> dict[str, Any]:
    spread = {"mean": 0.4321, "median": 0.04, "p90": 1.5, "p99": 6.25, "infinite": 0}
    return (
        shares()
        | {
            "kl_aligned_base": spread,
            "kl_base_aligned": spread | {"mean": None, "infinite": 3},
            "js": spread,
            "top1_agreement": 0.625,
            "mean_base_rank": 12.5,
            "bits_per_byte": {"base": 1.25, "aligned": 0.75},
            "entropy": {"base": 1.5, "aligned": 0.5},
            "branching_factor": {"base": 4.48, "aligned": 1.65},
            "outside": {"base": 0.0, "aligned": 0.0},
            "kl_share": {"unshifted": 0.1, "marginal": 0.2, "shifted": 0.7, "absent": 0.0},
            "first_k_kl": [{"k": 1, "positions": 60, "kl_aligned_base": 2.5}],
        }
        | values
    )


def head(**values: Any) -> dict[str, Any]:
    points = [
        {
            "t": t, "count": 60 - t, "kl_aligned_base": 2 / (t + 1), "kl_base_aligned": 3 / (t + 1),
            "js": 0.1, "base_rank": 30.0 / (t + 1), "p_base": t / 10, "unshifted": 0.5,
            "kl_aligned_base_interval": [1 / (t + 1), 3 / (t + 1)] if t < 6 else None,
            "unshifted_interval": [0.4, 0.6] if t < 6 else None,
        }
        for t in range(8)
    ]  # fmt: skip
    return {
        "base": {"model": "/data/base.gguf", "adapter": None, "context": "zero-shot"},
        "aligned": {"model": "tuned", "adapter": "lora.gguf", "context": "chat"},
        "vocab": {"relation": "identical", "base_size": 1000, "aligned_size": 1000},
        "bytes": None,
        "summary": summary(),
        "special": shares(positions=60, unshifted=0.0, marginal=0.25, shifted=0.75),
        "by_position": points,
        "shifted_tokens": [
            {"token": " Hello", "id": 200, "count": 60, "total": 61, "share": 60 / 61},
            {"token": HOSTILE, "id": 7, "count": 3, "total": 4, "share": 0.75},
            {"token": " rare", "id": 8, "count": 1, "total": 1, "share": 1.0},
        ],
        "by_group": {
            "dataset": [
                summary(value="set-0", items=20),
                summary(value=None, items=1, shifted_interval=None),
            ]
        },
        "noise": {"positions": 64, "batch": 24, "kl_mean": 0.00421, "kl_max": 0.0613},
        "run": {
            "program": "urial-tui 1.2.3", "time": "2026-01-31T12:00:00+00:00",
            "command": f"urial compare --base '{HOSTILE}'", "max_tokens": 1234, "kv_type": "q8_0",
            "files": {"base": [{"name": "base.gguf", "size": 253113024, "sha256": "c0ffee"}]},
        },
    } | values  # fmt: skip


# -- reading a report back, as the page does ----------------------------------------------


def element(html: str, name: str) -> str:
    found = re.search(rf'<script type="[a-z/]+" id="{name}">([^<]*)</script>', html)
    assert found, name
    return found[1]


def unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text), wbits=31)


def columns(block: bytes) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The head and the columns of an item's block, read as its documentation says."""
    length = int.from_bytes(block[:4], "little")
    about = json.loads(block[4 : 4 + length])
    n, m, k = about["n"], about["local"], about["k"]
    at = 4 + length
    found: dict[str, list[Any]] = {}
    for name in COLUMNS:
        count = m if name == "local" else n * (k[name.split("_")[1]] if "top_" in name else 1)
        kind = {"class": "<u1", "special": "<u1"}.get(name, "<u4")
        if name.startswith("p_") or name.endswith("_p"):
            kind = "<u2"
        elif name.startswith(("kl_", "js", "entropy_")):
            kind = "<f4"
        size = 3 if kind == "<f4" else np.dtype(kind).itemsize
        planes = np.frombuffer(block, np.uint8, count * size, at).reshape(size, count)
        if kind == "<f4":
            planes = np.vstack([np.zeros((1, count), np.uint8), planes])
        found[name] = np.ascontiguousarray(planes.T).view(kind).reshape(-1).tolist()
        at += count * size
    assert at == len(block)
    return about, found


def probability(code: int) -> float | None:
    return None if code == 65535 else 0.0 if code == 65534 else math.exp(-((code / P_STEPS) ** 2))


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report.html"


def test_an_items_numbers_are_in_the_file(report: Path) -> None:
    given_item = item(1, *PLAIN)
    write_report(report, head(), iter([given_item]))
    html = report.read_text(encoding="utf-8")
    texts = json.loads(unpacked(element(html, "data-texts")))
    about, found = columns(unpacked(element(html, "data-item-0")))
    pairs = list(zip(texts["ids"], texts["texts"], strict=True))
    local = np.cumsum(found["local"]).tolist()
    for t, was in enumerate(given_item["positions"]):
        assert pairs[local[found["token"][t]]] == (was["id"], was["text"])
        assert found["rank"][t] == was["rank"]
        assert CLASSES[found["class"][t]] == was["class"]
        assert probability(found["p_base"][t]) == pytest.approx(was["p_base"], rel=5e-4)
        assert found["kl_aligned_base"][t] == pytest.approx(was["kl_aligned_base"], rel=1e-5)
        for side in ("base", "aligned"):
            places = range(3 * t, 3 * t + 3)
            shown = [
                (
                    *pairs[local[found[f"top_{side}_token"][at]]],
                    probability(found[f"top_{side}_p"][at]),
                )
                for at in places
            ]
            assert [entry[:2] for entry in shown] == [tuple(e[:2]) for e in was[f"top_{side}"]]
            assert [entry[2] for entry in shown] == pytest.approx(
                [entry[2] for entry in was[f"top_{side}"]], rel=5e-4
            )
    context = json.loads(unpacked(element(html, "data-contexts")))["base"]
    packed = about["contexts"]["base"]
    assert context[: packed["shared"]] + packed["rest"] == given_item["contexts"]["base"]["text"]


@given(st.lists(st.floats(0, 1) | st.none(), min_size=1, max_size=50))
def test_probabilities_keep_the_precision_that_is_promised(values: list[float | None]) -> None:
    positions = [position(t, (t, "x"), p_base=p) for t, p in enumerate(values)]
    block = pack_item({"positions": positions}, TokenTexts(), ContextTexts())
    found = columns(zlib.decompress(block, wbits=31))[1]["p_base"]
    for value, code in zip(values, found, strict=True):
        read = probability(code)
        if value is None or value == 0 or read is None:
            assert read == value
        else:
            assert read == pytest.approx(max(value, 5.8706e-15), rel=5e-4, abs=0)
            assert abs(read - value) < 4e-5


@given(st.lists(st.text(alphabet="ab😀é", max_size=12), min_size=1, max_size=5))
def test_contexts_come_back_whole_whatever_they_share(texts: list[str]) -> None:
    contexts = ContextTexts()
    for text in texts:
        packed = contexts.pack("base", {"text": text})
        first = contexts.first["base"].encode("utf-16-le")
        read = first[: 2 * packed["shared"]].decode("utf-16-le") + packed["rest"]
        assert read == text


def test_a_null_divergence_is_infinite_and_a_missing_one_is_not_given(report: Path) -> None:
    without = position(1, (1, "b"))
    del without["kl_aligned_base"]
    given_item = item(1) | {"positions": [position(0, (0, "a"), kl_aligned_base=None), without]}
    write_report(report, head(), [given_item])
    html = report.read_text(encoding="utf-8")
    kl = columns(unpacked(element(html, "data-item-0")))[1]["kl_aligned_base"]
    assert kl[0] == math.inf
    assert math.isnan(kl[1])
    assert json.loads(element(html, "data-rows"))[0][5] == "inf"


def test_special_tokens_do_not_count_in_the_index(report: Path) -> None:
    given_item = item(1, *PLAIN)
    given_item["positions"].append(position(6, (9, "<eos>"), "shifted", special=True))
    write_report(report, head(), [given_item])
    row = json.loads(element(report.read_text(encoding="utf-8"), "data-rows"))[0]
    assert row[3] == 6
    assert row[4] == [3, 1, 2, 0]


def test_foreign_text_is_never_markup(report: Path) -> None:
    hostile = item(1, (HOSTILE, "shifted"), ("\ud800", "marginal"), query=HOSTILE, id=HOSTILE)
    hostile["fields"] = {HOSTILE: HOSTILE}
    hostile["contexts"]["base"]["text"] = HOSTILE
    sides = {"model": HOSTILE, "adapter": HOSTILE, "context": HOSTILE, HOSTILE: HOSTILE}
    write_report(report, head(base=sides, aligned=sides, vocab={"relation": HOSTILE}), [hostile])
    html = report.read_text(encoding="utf-8")
    assert html.count("<script") == html.count("</script>") == 6
    assert "<!--" not in html
    assert "<img" not in html
    assert "window.broken" not in html.replace(element(html, "data-head"), "").replace(
        element(html, "data-rows"), ""
    ).replace(re.search(r"<title>(.*?)</title>", html, re.DOTALL)[1], "")  # type: ignore[index]
    assert not re.search("[\u2028\u2029\u202a-\u202e\x00\x1b]", html)
    assert json.loads(element(html, "data-rows"))[0][1] == HOSTILE


@given(st.text())
def test_json_in_the_page_holds_no_markup_and_reads_back(text: str) -> None:
    encoded = to_json({"text": text, "inf": math.inf, "nan": math.nan})
    assert not set(b"<>&") & set(encoded)
    assert encoded.isascii()
    assert json.loads(encoded) == {"text": text, "inf": "inf", "nan": None}


def test_the_policy_allows_exactly_the_script_and_the_style_of_the_page(report: Path) -> None:
    write_report(report, head(), [item(1, *PLAIN)])
    html = report.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        source = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert source
        digest = base64.b64encode(hashlib.sha256(source[1].encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}';" in policy[1]
    assert policy[1].startswith("default-src 'none';")
    assert "unsafe" not in policy[1]


def test_the_page_names_no_address_and_parses_no_markup() -> None:
    svg = "http://www.w3.org/2000/svg"
    sources = [path for page in PAGES for path in page.iterdir()]
    for path in (path for path in sources if path.suffix in (".js", ".css", ".html")):
        source = path.read_text(encoding="utf-8").replace(svg, "")
        assert not re.search(
            r"https?:|//[a-z]+\.|@import|url\((?!#)|\bsrc=|fetch\(|XMLHttp", source
        ), path
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", source
        ), path


def test_items_are_let_go_as_they_are_written(report: Path) -> None:
    class Item(dict[str, Any]):
        pass

    alive: list[weakref.ref[Item]] = []

    def items() -> Iterator[Mapping[str, Any]]:
        for number in range(20):
            gc.collect()
            assert sum(ref() is not None for ref in alive) <= 1
            made = Item(item(number, *PLAIN))
            alive.append(weakref.ref(made))
            yield made
            del made

    write_report(report, head(), items())
    assert len(json.loads(element(report.read_text(encoding="utf-8"), "data-rows"))) == 20


def test_a_thousand_items_of_this_size_would_fit_into_fifty_megabytes(report: Path) -> None:
    invented = Invented(40, 300, even=False)
    write_report(report, head(), invented)
    assert report.stat().st_size < 50_000_000 * 40 / 1000


def test_equal_documents_give_equal_files(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_report(tmp_path / name, head(), [item(1, *PLAIN), item(2, *PLAIN)])
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_an_older_report_stays_until_the_new_one_is_whole(report: Path) -> None:
    report.write_text("older")

    def items() -> Iterator[dict[str, Any]]:
        yield item(1, *PLAIN)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(report, head(), items())
    assert report.read_text() == "older"
    assert list(report.parent.iterdir()) == [report]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    report: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(_handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReportError, match="too full for the report"):
        write_report(report, head(), [item(1, *PLAIN)])
    assert list(report.parent.iterdir()) == []


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="there is no such directory"):
        write_report(tmp_path / "none" / "report.html", head(), [])


def test_a_directory_in_the_reports_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ReportError, match="can't be written"):
        write_report(tmp_path / "report.html", head(), [])
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_malformed_item_is_named(report: Path) -> None:
    broken = item(7, *PLAIN)
    broken["positions"][2]["top_base"] = [[1]]
    with pytest.raises(ReportError, match="Item q7 of the comparison is malformed"):
        write_report(report, head(), [item(1, *PLAIN), broken])
    assert not report.exists()


def test_a_report_goes_where_a_link_points(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "deep" / "report.html")
    write_report(link, head(), [])
    assert link.is_symlink()
    assert (tmp_path / "deep" / "report.html").is_file()


# -- the page -----------------------------------------------------------------------------


class Page(browser.Page):
    """The opened report of a comparison."""

    def item(self, number: int) -> None:
        self.js(f"void (location.hash = '#item-{number}')")
        self.until(
            "!document.getElementById('item').hidden"
            " && !!document.querySelector('#answer .token, #plain-answer:not([hidden])')"
        )

    def pinned(self) -> int | None:
        found = self.all("#answer .token.pinned")
        assert len(found) <= 1
        return int(found[0].get_dom_attribute("data-at")) if found else None


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty items, one of them hostile, one absent token, one empty answer."""
    items = [item(number, *PLAIN) for number in range(1, 61)]
    items[1] = item(2, *([(" calm", "unshifted")] * 40), query="A calm one")
    odd = (("\u202e", "marginal"), (" ", "absent"), ("\\xe2\\x80", "unshifted"))
    items[2] = item(3, (HOSTILE, "shifted"), *odd, query=HOSTILE, id=HOSTILE)
    items[2]["contexts"]["base"]["text"] = HOSTILE
    items[3] = item(4, query="Nothing", answer="")
    path = tmp_path_factory.mktemp("report") / "a report with #, % and ü.html"
    write_report(path, head(), items)
    return path


@pytest.fixture
def page(chrome: Chrome, written: Path) -> Iterator[Page]:
    page = Page(chrome, written)
    yield page
    page.check_silence()


def test_overview_shows_both_sides_and_the_numbers(page: Page) -> None:
    text = page.text("#overview")
    for part in (
        "base.gguf", "tuned", "zero-shot", "chat", "lora.gguf", "1,000 tokens",
        "50.0 %", "16.7 %", "33.3 %", "48.0–52.0", "62.5 %", "12.50", "0.432", "6.250", "∞",
        "1.250", "4.48", "2.500", "75.0 % shifted", "70.0 % lies on shifted",
        "␣Hello", "set-0", "(none)", "31.0–35.0",
        "0.0042 on average and 0.0613 at most",
    ):  # fmt: skip
        assert part in text, part
    assert len(page.all("#curves-body svg")) == 4
    assert page.js("document.querySelectorAll('.ring .arc').length") == 3


def test_how_it_was_made_is_told(page: Page) -> None:
    told = [tuple(row.text.split("\n")) for row in page.all("#run-body dl > div")]
    assert ("Made", "2026-01-31T12:00:00+00:00") in told
    assert ("Program", "urial-tui 1.2.3") in told
    assert ("Longest answer", "1,234") in told
    assert ("KV cache", "q8_0") in told
    assert ("File, base", "base.gguf, 253,113,024 bytes, sha256 c0ffee") in told
    assert "‹U+202E›" in dict(row for row in told if len(row) == 2)["Command"]


def test_curves_tell_their_values_to_mouse_and_keys(page: Page) -> None:
    first, curve = page.all("#curves-body svg")[:2]
    readouts = page.all("#curves-body .readout")
    page.js("document.querySelector('#curves-body').scrollIntoView({block: 'center'})")
    ActionChains(page.chrome).move_to_element(first).perform()
    assert readouts[0].text.startswith("position ")
    first.send_keys(Keys.HOME)
    assert readouts[0].text == "position 0: 50.0 % (95 %: 40.0 %–60.0 %) (60 items)"
    curve.send_keys(Keys.HOME)
    assert readouts[1].text == (
        "position 0: aligned‖base 2.000 (95 %: 1.000–3.000) · base‖aligned 3.000 (60 items)"
    )
    curve.send_keys(Keys.ARROW_RIGHT)
    assert readouts[1].text.startswith("position 1: aligned‖base 1.000")
    page.one("#curves-table summary").click()
    page.until("document.querySelectorAll('#curves-table tbody tr').length === 8")


def test_curves_have_bands_and_show_how_many_items_stand_behind_them(page: Page) -> None:
    bands = page.js(
        "[...document.querySelectorAll('#curves-body svg')].map(drawing => "
        "drawing.querySelectorAll('.band').length)"
    )
    assert bands == [1, 1, 0, 0]
    # Six positions there and six back; none where there is no interval.
    assert page.one("#curves-body .band").get_dom_attribute("d").count("L") == 11
    assert page.js("document.querySelectorAll('#curves-body .crowd').length") == 4
    assert "at most 60" in page.text("#curves-note")


def test_a_token_that_was_shifted_once_does_not_stand_out(page: Page) -> None:
    assert "rare" not in page.text("#words-body")
    assert "1 more was shifted once" in page.text("#words-body")
    page.one("#words-body button").click()
    assert "rare" in page.text("#words-body")


def pixels(png: bytes) -> tuple[int, int, set[bytes]]:
    """Width and height of a PNG of eight-bit RGBA without interlacing, and its raw lines."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png[24:29] == b"\x08\x06\x00\x00\x00"
    at, data = 8, b""
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    width, height = (int.from_bytes(png[place : place + 4], "big") for place in (16, 20))
    raw, step = zlib.decompress(data), 4 * width + 1
    return width, height, {raw[start : start + step] for start in range(0, len(raw), step)}


def test_figures_are_saved_as_svg_and_png_without_loading_anything(
    page: Page, tmp_path: Path
) -> None:
    page.chrome.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    names = [
        "token-distribution-shift", "unshifted-tokens", "kl-divergence", "base-rank",
        "base-probability",
    ]  # fmt: skip
    buttons = page.all("button.save")
    assert len(buttons) == 2 * len(names)
    for button in buttons:
        page.chrome.execute_script("arguments[0].click()", button)
    wanted = {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    WebDriverWait(page.chrome, 30, 0.05).until(
        lambda _: wanted == {path.name for path in tmp_path.iterdir()}
    )
    for name in names:
        source = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        figure = ElementTree.fromstring(source)
        assert figure.tag == "{http://www.w3.org/2000/svg}svg"
        words = [text.text for text in figure.iter("{http://www.w3.org/2000/svg}text")]
        assert name == (words[0] or "").lower().replace(" ", "-")
        assert words[-1] == "base.gguf → tuned · urial-tui 1.2.3 · 2026-01-31"
        # Every ink is a colour, or a pattern of the figure itself.
        assert not re.search(r"var\(|class=|style=|url\((?!&quot;#)", source)
        width, height, lines = pixels((tmp_path / f"{name}.png").read_bytes())
        assert width == pytest.approx(3 * float(figure.get("width", "")), abs=1)
        assert height == pytest.approx(3 * float(figure.get("height", "")), abs=1)
        assert len(lines) > 50


def test_from_the_index_to_a_token_and_its_candidates(page: Page) -> None:
    page.one("#items tbody a").click()
    page.until("!!document.querySelector('#answer .token')")
    assert page.text("#item-query") == "Question 1?"
    assert [word.get_dom_attribute("class") for word in page.all("#answer .word")] == [
        "word c2", "word c0", "word c1", "word c0", "word c2", "word c0",
    ]  # fmt: skip
    page.one("#token-2").click()
    assert page.pinned() == 2
    lists = [
        [row.text.split() for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")]
        for table in page.all(".top")
    ]
    assert lists[0][0] == ["1", "␣other0", "20.00", "%"]
    # The token itself stands below a list that lacks it; that it is chosen is told, not only shown.
    told = ["the", "answer's", "token:"]
    assert lists[0][-1] == ["3", *told, ",", "10.00", "%"]
    assert lists[1][0] == ["1", *told, ",", "50.00", "%"]
    detail = page.text("#detail")
    for part in (
        "position 2",
        "marginal",
        "id 202",
        "bytes 2c",
        "base rank\n3",
        "0.750",
        "0.125",
        "7.39",
    ):
        assert part in detail, part
    assert page.js("location.hash") == "#item-1-3"


def test_keys_walk_over_tokens_shifted_tokens_and_items(page: Page) -> None:
    page.item(1)
    seen = []
    for key in (
        "n",
        "n",
        "n",
        "N",
        Keys.ARROW_RIGHT,
        Keys.END,
        Keys.ARROW_RIGHT,
        Keys.HOME,
        Keys.ARROW_LEFT,
    ):
        page.keys(key)
        seen.append(page.pinned())
    assert seen == [0, 4, 4, 0, 1, 5, 5, 0, 0]
    assert "Hello" in page.content("#said")
    page.keys("j")
    page.until("document.getElementById('item-query').textContent === 'A calm one'")
    page.until("document.querySelectorAll('#answer .token').length === 40")
    page.keys("n")
    assert page.pinned() is None
    page.keys(Keys.END, Keys.ARROW_UP)
    above = page.pinned()
    assert above is not None
    assert 0 < above < 39
    page.keys(Keys.ARROW_DOWN)
    assert page.pinned() == 39
    page.keys("k")
    page.until("document.getElementById('item-query').textContent === 'Question 1?'")
    page.keys("n", Keys.ESCAPE)
    assert page.pinned() is None
    page.keys(Keys.ESCAPE)
    page.until("!document.getElementById('overview').hidden")
    assert page.js("document.activeElement.getAttribute('href')") == "#item-1"


def test_an_address_leads_to_its_token(page: Page) -> None:
    page.chrome.get("about:blank")
    page.chrome.get(page.path.as_uri() + "#item-5-3")
    page.until("!!document.querySelector('.token.pinned')")
    assert page.pinned() == 2
    assert page.text("#item-query") == "Question 5?"
    page.chrome.get(page.path.as_uri() + "#item-999")
    page.until("!document.getElementById('overview').hidden")


def test_hovering_shows_a_tokens_numbers(page: Page) -> None:
    page.item(1)
    ActionChains(page.chrome).move_to_element(page.one("#token-4")).perform()
    page.until("!document.getElementById('tip').hidden")
    tip = page.text("#tip")
    for part in ("!↵", "shifted", "57", "14.25", "0.01 %", "50.00 %"):
        assert part in tip, part


def test_contexts_of_both_sides_unfold(page: Page) -> None:
    page.item(5)
    for summary in page.all("#contexts-shown summary"):
        summary.click()
    assert [pre.text for pre in page.all("#contexts-shown pre")] == [
        "A preamble.↵\nQuery: Question 5?↵",
        "<user>Question 5?</user>",
    ]
    assert "zero-shot (3 tokens)" in page.text("#contexts-shown")


def test_search_filters_order_and_pages(page: Page) -> None:
    assert len(page.rows()) == 50
    page.one("#pager button:last-child").click()
    assert page.rows()[0] == "Question 51?"
    search = page.one("#search")
    search.send_keys("CALM")
    assert page.rows() == ["A calm one"]
    assert page.text("#found") == "1 of 60 items"
    assert page.text("#items mark").lower() == "calm"
    search.clear()
    search.send_keys("friend question 1")
    assert page.rows()[:3] == ["Question 1?", "Question 10?", "Question 11?"]
    search.clear()
    search.send_keys("no such thing")
    assert page.rows() == []
    assert page.text("#found") == "0 of 60 items"
    search.clear()
    # Clearing through the driver fires no input event.
    search.send_keys(" ")
    kinds, dataset = (Select(found) for found in page.all("#filters select"))
    kinds.select_by_visible_text("without shifted tokens")
    assert page.rows() == ["A calm one", "Nothing"]
    kinds.select_by_visible_text("with tokens that base lacks")
    assert len(page.rows()) == 1
    kinds.select_by_visible_text("any class")
    dataset.select_by_visible_text("set-2")
    assert page.text("#found") == "20 of 60 items"
    assert page.rows()[:2] == ["A calm one", "Question 5?"]
    page.one("th.length button").click()
    assert page.rows()[0] == "A calm one"
    assert page.one("th.length").get_dom_attribute("aria-sort") == "descending"
    page.one("#items tbody a").click()
    page.until("!!document.querySelector('#answer .token')")
    page.keys("j")
    page.until("document.getElementById('item-query').textContent === 'Question 5?'")


def test_slash_searches_from_anywhere(page: Page) -> None:
    page.item(1)
    page.keys("/")
    page.keys("jnk")
    assert page.js("document.getElementById('search').value") == "jnk"
    assert not page.one("#item").is_displayed()


def test_hostile_text_is_inert_and_visible(page: Page) -> None:
    page.item(3)
    for summary in page.all("#contexts-shown summary"):
        summary.click()
    page.keys(Keys.HOME)
    assert page.js("window.broken") is None
    assert page.js("document.querySelectorAll('main img, main script').length") == 0
    shown = page.js("document.body.innerText")
    assert not re.search("[\u2028\u202a-\u202e\u2066-\u2069\x00\x1b]", shown)
    for selector in ("#item-query", "#answer", "#contexts-shown pre", ".piece.big", "#item-facts"):
        text = page.content(selector)
        assert "</script>" in text, selector
        assert "‹U+202E›" in text, selector
        assert "␛[31m" in text, selector
    answer = page.content("#answer")
    assert "·" in answer, "a space that is a token"
    assert "‹E2›‹80›" in answer, "bytes of a part of a character"
    page.keys(Keys.END)
    assert "bytes e2 80" in page.text("#detail")


def test_extreme_numbers_are_shown_as_what_they_are(chrome: Chrome, report: Path) -> None:
    sure = position(0, (1, "a"), p_base=1.0, p_aligned=0.00000123, kl_aligned_base=0.0)
    never = position(1, (2, "b"), "absent", p_base=0.0, kl_aligned_base=None, js=None)
    never["top_base"] = []
    bare = {"id": 3, "text": "c"}
    write_report(report, head(), [item(1) | {"positions": [sure, never, bare]}])
    page = Page(chrome, report)
    page.item(1)
    page.keys(Keys.HOME)
    detail = page.text("#detail")
    for part in ("KL(aligned‖base)\n0.000", "100.00 %", "1.2×10⁻⁶"):
        assert part in detail, part
    page.keys(Keys.ARROW_RIGHT)
    detail = page.text("#detail")
    for part in ("absent", "KL(aligned‖base)\n∞", "probability 0 50.00 %", "Aligned, top 3"):
        assert part in detail, part
    assert "Base, top" not in detail
    page.keys(Keys.ARROW_RIGHT)
    detail = page.text("#detail")
    for part in ("position 2 · no class · id 3", "bytes 63"):
        assert part in detail, part
    for part in ("KL", "probability", "entropy", "top"):
        assert part not in detail, part
    page.check_silence()


def test_an_empty_answer_says_so(page: Page) -> None:
    page.item(4)
    assert page.text("#plain-answer") == "The answer has no tokens."
    page.keys("n", Keys.END, Keys.ARROW_LEFT)
    assert page.pinned() is None


def test_dark_and_light_follow_the_system_until_one_is_chosen(page: Page) -> None:
    def paper() -> str:
        return str(page.js("getComputedStyle(document.documentElement).backgroundColor"))

    light = paper()
    page.media("dark")
    dark = paper()
    assert dark != light
    page.one("#theme-button").click()
    assert page.text("#theme-button") == "Theme: light"
    assert paper() == light
    page.open()
    assert paper() == light, "remembered"
    page.one("#theme-button").click()
    page.media("light")
    assert paper() == dark
    page.one("#theme-button").click()
    assert paper() == light


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_keeps_the_contrast_that_wcag_asks_for(page: Page, scheme: str) -> None:
    page.media(scheme)
    page.item(1)

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (
            p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def colour(variable: str) -> float:
        page.js(f"void (document.getElementById('said').style.color = 'var({variable})')")
        return luminance(page.js("getComputedStyle(document.getElementById('said')).color"))

    for ground in ("--paper", "--surface", "--sunken"):
        for ink in ("--ink", "--muted", "--c0", "--c1", "--c2", "--c3"):
            low, high = sorted((colour(ground), colour(ink)))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)


def test_classes_are_told_apart_without_colour(page: Page) -> None:
    page.item(1)
    looks = {
        page.js(
            "(s => [s.textDecorationLine, s.textDecorationStyle, s.fontWeight].join())"
            f"(getComputedStyle(document.querySelector('#answer .word.c{code}')))"
        )
        for code in range(3)
    }
    assert looks == {"none,solid,400", "underline,dotted,400", "underline,double,700"}


@pytest.mark.parametrize("width", [320, 400, 800, 1280])
def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    page.size(width, 800)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.js(wide)
    for number in (1, 3):
        page.item(number)
        page.keys(Keys.HOME)
        assert not page.js(wide)


def test_a_pinned_token_is_not_hidden_by_the_panel(page: Page) -> None:
    page.size(400, 600)
    page.item(2)
    page.keys(Keys.END)
    assert page.pinned() == 39
    assert page.js(
        "document.querySelector('.token.pinned').getBoundingClientRect().bottom"
        " <= document.getElementById('detail').getBoundingClientRect().top"
    )


def test_different_vocabularies_show_bytes_and_invent_nothing(chrome: Chrome, report: Path) -> None:
    agreement = {
        "n_bytes": 20, "bits_per_byte_base": 2.5, "bits_per_byte_aligned": 1.5,
        "boundaries": 8, "agreement": 0.75, "exact": 0.5,
    }  # fmt: skip
    nothing = {"mean": None, "median": None, "p90": None, "p99": None, "infinite": 0}
    none = {"unshifted": None, "marginal": None, "shifted": None, "positions": 0, "items": 0}
    empty = none | {"kl_aligned_base": nothing, "kl_base_aligned": nothing, "js": nothing,
                    "bits_per_byte": {"base": None, "aligned": None}}  # fmt: skip
    document = head(
        vocab={"relation": "different", "base_size": 1000, "aligned_size": 2000},
        bytes={"n_bytes": 20, "bits_per_byte": {"base": 2.5, "aligned": 1.5}, "boundaries": 8,
               "agreement": 0.75, "exact": 0.5},
        summary=empty, special=none, by_position=[], shifted_tokens=[], by_group={},
    )  # fmt: skip
    write_report(report, document, [item(1, answer="A plain <b>answer</b>.", bytes=agreement)])
    page = Page(chrome, report)
    text = page.text("#overview")
    for part in ("vocabularies differ", "2.500", "1.500", "75.0 %", "50.0 %"):
        assert part in text, part
    for part in ("shares", "divergence", "curves", "words", "groups"):
        assert not page.one(f"#{part}").is_displayed()
    page.item(1)
    assert page.text("#plain-answer") == "A plain <b>answer</b>."
    assert "bits per byte 2.500 base, 1.500 aligned" in page.text("#item-facts")
    page.check_silence()


def test_a_damaged_item_and_an_old_browser_are_one_sentence(chrome: Chrome, report: Path) -> None:
    write_report(report, head(), [item(1, *PLAIN), item(2, *PLAIN)])
    html = report.read_text(encoding="utf-8")
    block = element(html, "data-item-1")
    report.write_text(html.replace(block, block[:40]), encoding="utf-8")
    page = Page(chrome, report)
    page.js("void (location.hash = '#item-2')")
    page.until("!document.getElementById('item-failed').hidden")
    assert page.text("#item-failed").startswith("This file is damaged")
    page.js("void (delete window.DecompressionStream, location.hash = '#item-1')")
    page.until("document.getElementById('item-failed').textContent.includes('browser')")
    assert page.text("#item-failed").startswith("This browser can't unpack")
    assert page.text("#item-query") == "Question 1?"
