"""The rendered book and a browser for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from medrepro.study.book import build_book
from medrepro.study.runner import run_jobs
from medrepro.study.store import RunStore

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


@pytest.fixture(scope="session", params=["the book", "a sample of every status"])
def built_book(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the rendered pages: this project's book, and a sample that holds what the book may not hold today."""
    if request.param == "the book":
        result = build_book(lambda jobs: run_jobs(jobs, RunStore()))
        assert result.errors == []
        return result.index.parent
    from sample import build

    return build(tmp_path_factory.mktemp("book"))


class Browser:
    """Chromium on the pages of one book."""

    def __init__(self, driver, book: Path) -> None:
        self.driver, self.book = driver, book
        self.mode_script: str | None = None

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, page: str, mode: str = "light") -> None:
        """Open a page, path relative to the book, in a colour mode."""
        # Storage written on one page may reach the next one late: write it before the page's own scripts read it.
        if self.mode_script is not None:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": self.mode_script})
        script = f"localStorage.setItem('mode', '{mode}'); localStorage.setItem('theme', '{mode}')"
        added = self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        self.mode_script = added["identifier"]
        self.driver.get(f"{self.book.as_uri()}/{page}")

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def scripts(self, allowed: bool) -> None:
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not allowed})

    def requested(self) -> set[str]:
        """Addresses that pages asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}


@pytest.fixture(scope="session")
def browser(built_book: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium; the tests that need it are skipped where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("needs chromium and chromedriver, which are not installed here")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        yield Browser(driver, built_book)
    finally:
        driver.quit()
