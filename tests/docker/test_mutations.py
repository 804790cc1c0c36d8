"""The cases guard every number of the rules: change one, and a case must fail.

A threshold is moved by 10 %, a duration by 20 %, a comparison turned round, an ``and`` made an ``or``.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from labkit.clock import format_duration, parse_duration

PROMETHEUS = Path(__file__).parents[2] / "docker" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))

NUMBER = re.compile(r'(?<![\w."\[])\d+(?:\.\d+)?(?![\w."\]])')
# [1m] bridges lost scrapes, which has a case of its own; how many exactly decides nothing.
DURATION = re.compile(r"(?<=\[)(?!1m\])\w+(?=\])|^\d+[smh]$")
OTHERWISE = {"and": "or", "or": "and", "unless": "and", "<": ">", ">": "<", ">=": "<", "==": "!=", "max": "sum"}
WORD = re.compile(r"\b(?:and|or|unless|max)\b|[<>]=?|==")


def changes(text: str) -> Iterator[str]:
    """Yield the text with one thing changed, for each thing that can be."""
    for found in NUMBER.finditer(text):
        value = float(found[0])
        for changed in (value * 0.9, value * 1.1) if value else (1, -1):
            yield text[: found.start()] + f"{changed:g}" + text[found.end() :]
    for found in DURATION.finditer(text):
        for factor in (0.8, 1.2):
            yield text[: found.start()] + format_duration(factor * parse_duration(found[0])) + text[found.end() :]
    for found in WORD.finditer(text):
        yield text[: found.start()] + OTHERWISE[found[0]] + text[found.end() :]


def mutants(text: str) -> Iterator[tuple[str, str]]:
    """Yield what was changed, and the rule file with that one change."""
    count = len(yaml.safe_load(text)["groups"][0]["rules"])
    for position in range(count):
        for key in ("expr", "for"):
            file = yaml.safe_load(text)
            rule = file["groups"][0]["rules"][position]
            for changed in changes(rule.get(key, "")):
                rule[key] = changed
                yield f"{rule.get('alert') or rule.get('record')} {key}: {changed}", yaml.safe_dump(file)


@pytest.mark.long
@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_no_change_of_a_rule_goes_unnoticed(path, run, tmp_path):
    tests = [test for test in (PROMETHEUS / "tests").glob("*.yml") if f"rules/{path.name}]" in test.read_text()]

    def survives(numbered: tuple[int, tuple[str, str]]) -> str | None:
        number, (change, text) = numbered
        folder = tmp_path / str(number)
        (folder / "rules").mkdir(parents=True)
        (folder / "tests").mkdir()
        (folder / "rules" / path.name).write_text(text)
        for test in tests:
            (folder / "tests" / test.name).write_text(test.read_text())
        passed = (run("promtool", "test", "rules", folder / "tests" / test.name).returncode == 0 for test in tests)
        return change if all(passed) else None

    with ThreadPoolExecutor(2) as pool:
        survivors = [change for change in pool.map(survives, enumerate(mutants(path.read_text()))) if change]
    assert not survivors, "\n".join(survivors)
