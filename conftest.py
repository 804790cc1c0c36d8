"""Tests and notebooks run in a lab of their own, never in the learner's, and leave nothing behind."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

_SKIPS_ARE_FORBIDDEN = os.environ.get("LABKIT_TEST_SKIPS") == "forbidden"


def pytest_configure(config: pytest.Config) -> None:
    """Give kernels that nbmake starts a lab in a temporary folder, through the environment."""
    folder = tempfile.TemporaryDirectory(prefix="labkit-test-")
    os.environ["LABKIT_HOME"] = str(Path(folder.name, "lab"))
    # Notebooks that nbmake runs are those that learners open: a check that finds a mistake fails the run.
    os.environ.setdefault("LABKIT_EXPECT", "not attempted")
    config.add_cleanup(folder.cleanup)
    config.add_cleanup(_down)


def _down() -> None:
    subprocess.run([sys.executable, "-m", "labkit.cli", "down", "--purge"], check=True, stdout=subprocess.DEVNULL)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Turn a skip into a failure where everything that tests need can be installed."""
    report = (yield).get_result()
    if report.skipped and _SKIPS_ARE_FORBIDDEN and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but nothing may be missing here: {report.longrepr}"
