"""Ask promtool about rules and amtool about routes: what the servers would say, without the servers.

Rules and configuration are texts in production time, as they are kept in files.
"""

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from labkit.errors import InputError, StartError
from labkit.stack.binaries import ensure

__all__ = ["TestResult", "check_config", "check_rules", "route", "test_rules"]

_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class TestResult:
    """Whether rules behaved as their tests say, and promtool's own words about it."""

    passed: bool
    output: str

    def __str__(self) -> str:
        return self.output


def check_config(config: str) -> None:
    """Return when promtool accepts the text of a prometheus.yml, with the files that it names; else raise InputError.

    Unlike the others this takes a text in lab time, whose paths are those of this machine.
    """
    with tempfile.TemporaryDirectory(prefix="labkit-config-") as folder:
        path = Path(folder, "prometheus.yml")
        path.write_text(config, encoding="utf-8")
        done = _run(folder, "promtool", "check", "config", str(path))
    if done.returncode:
        raise InputError(f"promtool refuses the configuration: {_words(done, folder)}")


def check_rules(rules: str) -> None:
    """Return when promtool accepts the text of a rule file; raises InputError with its words otherwise."""
    with tempfile.TemporaryDirectory(prefix="labkit-rules-") as folder:
        path = Path(folder, "rules.yml")
        path.write_text(rules, encoding="utf-8")
        done = _run(folder, "promtool", "check", "rules", str(path))
    if done.returncode:
        raise InputError(f"promtool refuses the rules: {_words(done, folder)}")


def test_rules(rules: str, tests: str) -> TestResult:
    """Run the unit tests ``tests`` against ``rules``; both are texts of promtool's files.

    ``rule_files`` is filled in, and ``evaluation_interval`` is 15s unless it is stated. Raises InputError when
    ``tests`` is no mapping in YAML, or has no test in it: promtool would call that a success.
    """
    try:
        parsed = yaml.safe_load(tests)
    except yaml.YAMLError as error:
        raise InputError(f"the tests are no YAML: {error}") from error
    if not isinstance(parsed, dict) or not parsed.get("tests"):
        raise InputError("the tests hold no test", "write a list under the key `tests:`, as promtool wants it")
    if "rule_files" in parsed:
        raise InputError("the tests name rule_files", "leave that key out: it is filled in")
    # The text itself is kept: YAML reads promtool's `0x20`, twenty times 0, as the number 32.
    head = "" if "evaluation_interval" in parsed else "evaluation_interval: 15s\n"
    with tempfile.TemporaryDirectory(prefix="labkit-rules-") as folder:
        Path(folder, "rules.yml").write_text(rules, encoding="utf-8")
        Path(folder, "tests.yml").write_text(f"rule_files: [rules.yml]\n{head}{tests}", encoding="utf-8")
        done = _run(folder, "promtool", "test", "rules", "tests.yml")
    return TestResult(done.returncode == 0, _words(done, folder))


test_rules.__test__ = False  # pytest collects what is called test_, wherever it is imported
TestResult.__test__ = False


def route(config: str, labels: Mapping[str, str]) -> list[str]:
    """Return the receivers to which an Alertmanager with this configuration sends an alert with these labels.

    Raises InputError with amtool's words when it does not accept the configuration.
    """
    with tempfile.TemporaryDirectory(prefix="labkit-routes-") as folder:
        path = Path(folder, "alertmanager.yml")
        path.write_text(config, encoding="utf-8")
        pairs = [f"{name}={value}" for name, value in labels.items()]
        checked = _run(folder, "amtool", "check-config", str(path))
        if checked.returncode:
            raise InputError(f"amtool refuses the configuration: {_words(checked, folder)}")
        done = _run(folder, "amtool", "config", "routes", "test", f"--config.file={path}", *pairs)
    if done.returncode:
        raise InputError(f"amtool cannot route {dict(labels)}: {_words(done, folder)}")
    return done.stdout.strip().split(",")


def _run(folder: str, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(ensure()[name]), *arguments]
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartError(f"{name} cannot be run: {error}", "run: labkit doctor") from error


def _words(done: subprocess.CompletedProcess[str], folder: str) -> str:
    """Return what a tool said, without the name of the folder it worked in."""
    return f"{done.stdout}\n{done.stderr}".replace(f"{folder}/", "").strip()
