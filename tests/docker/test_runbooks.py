"""Every alert leads to a runbook, and what stands there can be done."""

import re

from labkit import cli


def test_every_alert_leads_to_its_section(alerts, runbooks):
    sections = re.findall(r"^## (\w+)$", runbooks, re.M)
    assert sorted(alerts) == sorted(sections)
    for name, alert in alerts.items():
        assert f"docs/runbooks.md#{name.lower()}" == alert["annotations"]["runbook_url"]


def test_every_section_says_what_it_means_what_to_look_at_and_what_to_do(runbooks):
    for section in runbooks.split("\n## ")[1:]:
        assert re.findall(r"^\*\*([\w ]+)\.\*\*", section, re.M) == ["Means", "Look at", "Do"], section[:40]


def test_every_query_is_valid(runbooks, run, tmp_path):
    queries = re.findall(r"```promql\n(.*?)```", runbooks, re.S)
    rules = "".join(f"  - record: query_{n}\n    expr: |\n      {query}\n" for n, query in enumerate(queries))
    (tmp_path / "queries.yml").write_text("groups:\n- name: runbooks\n  rules:\n" + rules)
    checked = run("promtool", "check", "rules", tmp_path / "queries.yml")
    assert checked.returncode == 0, checked.stderr
    assert f"{len(queries)} rules found" in checked.stdout


def test_every_query_uses_recorded_series_that_exist(runbooks, rules):
    recorded = {rule["record"] for rule in rules if "record" in rule}
    assert set(re.findall(r"\bmodel\w*:\w+:\w+", runbooks)) <= recorded


def test_every_link_leads_to_a_section(runbooks, alerts):
    assert set(re.findall(r"\]\(#(\w+)\)", runbooks)) == {name.lower() for name in alerts}


def test_every_command_exists(runbooks):
    assert set(re.findall(r"`labkit\s+(\w+)", runbooks)) <= set(cli.main.commands)
