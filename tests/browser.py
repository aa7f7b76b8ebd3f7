"""A real browser for the pages that reports are: Chromium with its driver, where there is one.

Where there is none, the tests of pages are skipped, and say so; `.ci/run` tries to install both.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1280,900",
)  # fmt: skip


def executable(*names: str) -> str | None:
    return next((found for name in names if (found := shutil.which(name))), None)


def start(profile: Path, home: Path) -> Chrome:
    """Start the browser with directories of its own; skip the test where there is none."""
    browser = executable("chromium", "chromium-browser", "google-chrome")
    driver = executable("chromedriver")
    if browser is None or driver is None:
        pytest.skip(
            "NO BROWSER: the HTML report was not tested in one. Install Chromium and its driver "
            "(Debian: apt-get install chromium chromium-driver)."
        )
    options = ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Selenium would look for a driver in the network if it were not told of one.
    service = ChromeService(driver, env={**os.environ, "HOME": str(home)})
    return Chrome(options=options, service=service)


class Page:
    """The opened report."""

    def __init__(self, chrome: Chrome, path: Path) -> None:
        self.chrome = chrome
        self.path = path
        self.media("light")
        self.size(1280, 900)
        for kind in ("browser", "performance"):
            self.log(kind)
        self.open()

    def open(self) -> None:
        self.chrome.get("about:blank")
        self.chrome.get(self.path.as_uri())
        self.until("document.documentElement.dataset.ready === 'true'")

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What was logged since the last call."""
        return list(self.chrome.get_log(kind))  # type: ignore[no-untyped-call]

    def size(self, width: int, height: int) -> None:
        self.chrome.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def media(self, scheme: str) -> None:
        self.chrome.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )

    def js(self, expression: str) -> Any:
        return self.chrome.execute_script(f"return {expression}")

    def until(self, condition: str) -> None:
        WebDriverWait(self.chrome, 30, 0.02).until(lambda _: self.js(condition), condition)

    def one(self, selector: str) -> WebElement:
        return self.chrome.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.one(selector).text

    def keys(self, *keys: str) -> None:
        ActionChains(self.chrome).send_keys(*keys).perform()

    def content(self, selector: str) -> str:
        """All of an element's text, unseen parts included."""
        return str(self.one(selector).get_attribute("textContent"))

    def rows(self) -> list[str]:
        return [row.text for row in self.all("#items tbody a")]

    def check_silence(self) -> None:
        """No message on the console, and nothing asked for but the file itself."""
        assert self.log("browser") == []
        asked = set()
        for entry in self.log("performance"):
            message = json.loads(entry["message"])["message"]
            about = message["params"]
            # The browser's own start page asks for its own pictures.
            if message["method"] == "Network.requestWillBeSent" and about["documentURL"].startswith(
                "file:"
            ):
                asked.add(about["request"]["url"].partition("#")[0])
        assert asked == {self.path.as_uri()}
