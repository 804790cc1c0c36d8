import json
import shutil
import stat
import subprocess

import pytest
import yaml

from labkit.clock import Clock
from labkit.errors import ConfigurationError
from labkit.stack.render import config_dir, render


@pytest.fixture
def source(tmp_path):
    """A copy of docker/ that a test may change."""
    return shutil.copytree(config_dir(), tmp_path / "docker")


def files(folder):
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_prometheus_accepts_the_result_without_a_warning(home, binaries):
    render(home, Clock())

    config = home.rendered / "prometheus" / "prometheus.yml"
    checked = subprocess.run([binaries["promtool"], "check", "config", config], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "FAILED" not in checked.stdout + checked.stderr
    assert "rule files found" in checked.stdout


def test_alertmanager_accepts_the_result(home, binaries):
    render(home, Clock())

    config = home.rendered / "alertmanager" / "alertmanager.yml"
    checked = subprocess.run([binaries["amtool"], "check-config", config], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_rule_file_target_file_and_configuration_is_there_and_private(home):
    render(home, Clock())

    source = config_dir()
    wanted = ["prometheus/*.yml", "prometheus/rules/*.yml", "prometheus/targets/*.json", "alertmanager/*.yml"]
    wanted += ["grafana/provisioning/*/*.yml", "grafana/dashboards/*.json"]
    expected = {str(path.relative_to(source)) for pattern in wanted for path in source.glob(pattern)}
    rendered = files(home.rendered)
    assert set(rendered) == expected
    assert {stat.S_IMODE(path.stat().st_mode) for path in rendered.values()} == {0o600}


def test_no_secret_is_copied_into_a_configuration(home):
    render(home, Clock())

    text = "".join(path.read_text() for path in files(home.rendered).values())
    assert [path.name for path in home.secrets.iterdir() if path.read_text() in text] == []


def test_targets_are_this_labs_ports(home):
    render(home, Clock())

    for name in ("model", "retrainer", "inbox", "prometheus", "alertmanager"):
        targets = json.loads((home.rendered / "prometheus" / "targets" / f"{name}.json").read_text())
        assert [group["targets"] for group in targets] == [[f"127.0.0.1:{home.ports[name]}"]]


def test_mail_goes_to_the_inboxs_own_port(home):
    render(home, Clock())

    config = yaml.safe_load((home.rendered / "alertmanager" / "alertmanager.yml").read_text())
    assert config["global"]["smtp_smarthost"] == f"127.0.0.1:{home.ports['smtp']}"


@pytest.mark.parametrize(("speed", "expected"), [(1, "15s"), (60, "250ms"), (600, "25ms")])
def test_durations_are_those_of_the_clock(home, speed, expected):
    render(home, Clock(speed))

    config = yaml.safe_load((home.rendered / "prometheus" / "prometheus.yml").read_text())
    assert config["global"]["scrape_interval"] == expected


def test_rendering_again_touches_nothing(home):
    render(home, Clock())
    before = {name: path.stat().st_mtime_ns for name, path in files(home.rendered).items()}

    render(home, Clock())

    assert {name: path.stat().st_mtime_ns for name, path in files(home.rendered).items()} == before


def test_a_rule_file_that_is_gone_is_removed(home, source):
    render(home, Clock(), source)
    (source / "prometheus" / "rules" / "latency.yml").unlink()

    render(home, Clock(), source)

    assert "prometheus/rules/latency.yml" not in files(home.rendered)


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("alertmanager/alertmanager.yml", "inbox:2525", "mail:25", "no server of the lab is called 'mail:25'"),
        ("prometheus/targets/model.json", "model:8000", "model:8080", "no server of the lab is called 'model:8080'"),
        ("prometheus/prometheus.yml", "/etc/prometheus/rules", "/etc/rules", r"the path '/etc/rules/\*.yml' exists"),
        ("alertmanager/alertmanager.yml", "secrets/slack_url", "secrets/slack", "there is no secret 'slack'"),
        ("prometheus/rules/latency.yml", "for: 5m", "for: five", "'five' is not a duration"),
        ("prometheus/prometheus.yml", "scrape_configs:", "scrape_configs: [", "while parsing"),
    ],
)
def test_what_cannot_be_brought_into_the_lab_is_refused_and_the_file_named(home, source, file, old, new, complaint):
    change(source / file, old, new)

    with pytest.raises(ConfigurationError, match=complaint) as raised:
        render(home, Clock(), source)
    assert str(source / file) in raised.value.problem


def test_a_refused_change_leaves_the_rendered_files_as_they_were(home, source):
    render(home, Clock(), source)
    before = {name: path.read_text() for name, path in files(home.rendered).items()}
    change(source / "alertmanager" / "alertmanager.yml", "group_wait: 30s", "group_wait: 31s")
    change(source / "prometheus" / "prometheus.yml", "/etc/prometheus/rules", "/etc/rules")

    with pytest.raises(ConfigurationError):
        render(home, Clock(), source)

    assert {name: path.read_text() for name, path in files(home.rendered).items()} == before


def test_a_local_address_of_the_learners_own_stays(home, source):
    change(source / "prometheus" / "targets" / "model.json", "model:8000", "localhost:8000")

    render(home, Clock(), source)

    assert "localhost:8000" in (home.rendered / "prometheus" / "targets" / "model.json").read_text()


def test_grafana_finds_this_labs_prometheus_and_the_rendered_dashboards(home):
    render(home, Clock())

    folder = home.rendered / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "labkit.yml").read_text())["providers"]
    assert (source["url"], source["uid"]) == (home.url("prometheus"), "prometheus")
    assert source["jsonData"]["timeInterval"] == "250ms"
    assert provider["options"]["path"] == str(home.rendered / "grafana" / "dashboards")


def test_links_of_dashboards_lead_to_this_labs_ports(home, source):
    dashboard = {"title": "x", "annotations": {"list": []}, "links": [{"url": "http://localhost:9090/alerts"}]}
    (source / "grafana" / "dashboards" / "x.json").write_text(json.dumps(dashboard))

    render(home, Clock(), source)

    rendered = json.loads((home.rendered / "grafana" / "dashboards" / "x.json").read_text())
    assert rendered["links"][0]["url"] == f"{home.url('prometheus')}/alerts"
