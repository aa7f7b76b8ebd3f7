"""How the screen about models looks."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import Looks, ready
from tests.tui.models_page import ModelsPage
from urial_tui.models.catalogue import CatalogueEntry, CatalogueRole
from urial_tui.models.overview import Listed, ListedState, Looked, Overview
from urial_tui.models.speed import ExpectedSpeed
from urial_tui.models.verdict import Fit, FitVerdict

GB = 1_000_000_000


def listed(
    name: str,
    size: float,
    state: ListedState = "absent",
    role: CatalogueRole = "base",
    partner: str = "",
) -> Listed:
    """A model of a catalogue."""
    entry = CatalogueEntry(
        name=name,
        title=name.replace("-", " ").title(),
        role=role,
        parameters="1B",
        licence="Apache-2.0",
        licence_url="https://www.apache.org/licenses/LICENSE-2.0",
        repository=f"someone/{name}-GGUF",
        file=f"{name}.Q4_K_M.gguf",
        partner=partner,
    )
    return Listed(
        name=name,
        state=state,
        size=int(size * GB),
        path=Path("/models", entry.file) if state == "here" else None,
        entry=entry,
        quantisation="Q4_K_M",
        partner=partner,
        done=int(0.4 * size * GB) if state == "unfinished" else 0,
        default=name == "ewe-270m",
    )


MODELS = (
    listed("ewe-270m", 0.253, "here", partner="ewe-270m-chat"),
    listed("ewe-270m-chat", 0.253, "here", "aligned", "ewe-270m"),
    Listed(
        name="hf.co/someone/a-model-with-quite-a-long-name-of-its-own-GGUF:Q8_0",
        state="here",
        size=3 * GB,
        path=Path("/cache/long.gguf"),
        store="hub",
        quantisation="Q8_0",
    ),
    listed("ram-1b", 0.806, "unfinished", partner="ram-1b-chat"),
    listed("ram-1b-chat", 0.806, "absent", "aligned", "ram-1b"),
    listed("tup-8b", 4.92),
    listed("flock-70b", 42.5),
)


def look_at(row: Listed, *_: object) -> Looked:
    """A machine of 16 GB, of which 5 are free."""
    needed = row.size + 300_000_000
    verdict: FitVerdict = (
        "too large" if needed > 16 * GB else "tight" if needed > 5 * GB else "fits"
    )
    fit = Fit(
        verdict=verdict,
        needed=needed,
        total=16 * GB,
        available=5 * GB,
        sure=row.state == "here",
    )
    measured = row.name == "ewe-270m"
    speed = ExpectedSpeed(
        how="measured" if measured else "estimated",
        empty=8 * GB / row.size,
        full=None,
        by="ewe-270m",
        bytes_per_token=row.size,
    )
    return Looked(fit=fit, speed=speed)


def test_models(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    place = "urial_tui.tui.models"
    found = Overview(models=MODELS, left_out=3)
    monkeypatch.setattr(f"{place}.scan.overview", lambda progress: found)
    monkeypatch.setattr(f"{place}.known_models.look", look_at)

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        page = ModelsPage(pilot)
        await page.opens()
        await page.goes_to("tup-8b")

    keys = "P download  I details  / find  Esc back  F1 keys  F all  A address"
    assert looks(prepare, keys=keys)
