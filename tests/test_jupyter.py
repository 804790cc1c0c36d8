"""`make lab` in a real browser: notebook 00 is open and runs to its end."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labkit.clock import wait_until
from labkit.lab import Lab
from labkit.simulate.control import Control, read_control
from labkit.stack.home import Home

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parent.parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: apt-get install chromium"),
    pytest.mark.skipif(shutil.which("make") is None, reason="no make on PATH: apt-get install make"),
]


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[Path]:
    """A folder with the notebooks, and a lab in it that is stopped in the end."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns("source", "*.py"))
    yield tmp_path
    Lab.attach(Home(tmp_path / ".lab")).down()


@pytest.fixture
def address(learner: Path) -> Iterator[str]:
    """What `LAB_BROWSER=0 make lab` prints."""
    log = learner / "jupyter.log"
    env = {**os.environ, "LAB_BROWSER": "0", "LAB_ROOT": str(learner), "LABKIT_HOME": str(learner / ".lab")}
    env |= {"JUPYTER_CONFIG_DIR": str(learner / "config"), "JUPYTER_RUNTIME_DIR": str(learner / "runtime")}
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["make", "lab"], cwd=ROOT, env=env, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield wait_until(
            lambda: re.findall(r"http://127\.0\.0\.1:\d+/\S+token=\w+", log.read_text()), 60, "an address"
        )[0]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


@pytest.fixture
def page(address: str) -> "Iterator[Page]":
    """A browser in which JupyterLab is open, at the address that was printed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(address)
        yield page
        browser.close()


def run_all_cells(page: "Page", notebook: Path) -> None:
    """Run the notebook that is open by the menu, and wait until every cell has run."""
    # What is asked of a notebook whose kernel has not answered yet is forgotten.
    page.get_by_text("| Idle").first.wait_for()
    page.locator(".jp-Notebook:visible").click()
    page.get_by_role("menubar").get_by_text("Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.get_by_text("| Busy").first.wait_for()

    def finished() -> bool:
        page.keyboard.press("Control+S")
        page.wait_for_timeout(1000)
        with suppress(json.JSONDecodeError):  # JupyterLab is just writing it
            return all(cell["execution_count"] for cell in code_cells(notebook))
        return False

    wait_until(finished, 240, "every cell to have run")
    page.wait_for_timeout(2000)
    assert [output for cell in code_cells(notebook) for output in cell["outputs"] if "ename" in output] == []


def bring_into_view(page: "Page", wanted: "Locator") -> "Locator":
    """Scroll the notebook until a widget is on the page: JupyterLab draws only what is near the window."""
    pane = page.locator(".jp-WindowedPanel-outer:visible").first
    pane.evaluate("pane => pane.scrollTo(0, 0)")

    def is_there() -> bool:
        if wanted.count() and wanted.first.is_visible():
            return True
        pane.evaluate("pane => pane.scrollBy(0, pane.clientHeight / 2)")
        return False

    wait_until(is_there, 60, f"{wanted} to be drawn", every=0.5)
    wanted.first.evaluate("element => element.scrollIntoView({block: 'center'})")
    return wanted.first


def test_notebook_00_runs_to_its_end_and_its_widgets_steer_and_show_the_lab(
    learner: Path, address: str, page: "Page"
) -> None:
    assert "/lab/tree/notebooks/00_start_here.ipynb" in address
    page.get_by_role("heading", name="Start here").wait_for()
    run_all_cells(page, learner / "notebooks" / "00_start_here.ipynb")
    lab = Lab.attach(Home(learner / ".lab"))

    def control() -> Control:
        return read_control(lab.home.traffic_control)

    buttons = page.locator("button.widget-button")
    bring_into_view(page, buttons.filter(has_text="Start")).click()
    wait_until(lambda: control().running, 60, "the button to start the traffic")
    before = control().rate
    page.locator(".widget-slider .noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    wait_until(lambda: control().rate > before, 60, "the slider to change the rate")
    # The control chooses what goes wrong, and the board, which nobody touches, shows the alert that follows.
    page.locator(".widget-dropdown select").first.select_option("bad_requests")
    wait_until(lambda: control().scenario == "bad_requests", 60, "the list to change the scenario")
    board = bring_into_view(page, page.locator(".labkit-alerts"))
    board.locator("tr[data-state=firing]", has_text="ModelErrorBudgetBurnFast").wait_for(timeout=240_000)
    bring_into_view(page, buttons.filter(has_text="Stop")).click()
    wait_until(lambda: not control().running, 60, "the button to stop the traffic")


def code_cells(notebook: Path) -> list[dict]:
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
