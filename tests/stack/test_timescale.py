import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.clock import format_duration, parse_duration
from labkit.errors import ConfigurationError, InputError
from labkit.stack.timescale import scale_config, scale_dashboard, scale_duration, scale_flags, scale_promql


class TestDurations:
    @pytest.mark.parametrize(
        ("production", "lab"),
        [
            ("15s", "250ms"),
            ("5m", "5s"),
            ("1h30m", "1m30s"),
            ("1d", "24m"),
            ("1w", "2h48m"),
            ("1s", "17ms"),
            ("0s", "0s"),
        ],
    )
    def test_at_60_a_minute_takes_a_second(self, production, lab):
        assert scale_duration(production, 60) == lab

    def test_one_that_would_vanish_is_a_millisecond(self):
        assert scale_duration("1ms", 600) == "1ms"

    @given(milliseconds=st.integers(1, 10**10), speed=st.floats(1, 600))
    def test_it_is_the_quotient_to_the_nearest_millisecond(self, milliseconds, speed):
        scaled = parse_duration(scale_duration(format_duration(milliseconds / 1000), speed)) * 1000

        assert abs(scaled - milliseconds / speed) <= 0.5001 or (scaled == 1 and milliseconds / speed < 1)


PROMQL = [
    # what is scaled
    ("rate(x[5m])", "rate(x[5s])"),
    ("rate(x[ 5m ])", "rate(x[ 5s ])"),
    ("rate(x[1h30m])", "rate(x[1m30s])"),
    ("max_over_time(rate(x[5m])[1h:15s])", "max_over_time(rate(x[5s])[1m:250ms])"),
    ("max_over_time(x[1h:])", "max_over_time(x[1m:])"),
    ("x offset 1h", "x offset 1m"),
    ("x OFFSET -1h", "x OFFSET -1m"),
    ("x offset - 1h", "x offset - 1m"),
    ("rate(x[5m] offset 1d)", "rate(x[5s] offset 24m)"),
    ("x[5m] # last 5m\n", "x[5s] # last 5m\n"),
    # what is not
    ('x{window="5m"}', 'x{window="5m"}'),
    ("x{window='[5m]'}", "x{window='[5m]'}"),
    ("x{window=`offset 5m`}", "x{window=`offset 5m`}"),
    (r'x{window="\"[5m]"} > x offset 5m', r'x{window="\"[5m]"} > x offset 5s'),
    ("job:errors:ratio_rate5m > 0.5", "job:errors:ratio_rate5m > 0.5"),
    ("x5m > 300", "x5m > 300"),
    ("x > 1e5 and y > 0x5d and z > 1.5", "x > 1e5 and y > 0x5d and z > 1.5"),
    ("sum by (offset) (x)", "sum by (offset) (x)"),
    ("x @ 1609746000", "x @ 1609746000"),
    # Grafana fills its own variables in, in wall time
    ("rate(x[$__rate_interval])", "rate(x[$__rate_interval])"),
    ("max_over_time(x[${window}:5m])", "max_over_time(x[${window}:5s])"),
    ("max_over_time(x[$window:5m])", "max_over_time(x[$window:5s])"),
]


class TestPromql:
    @pytest.mark.parametrize(("production", "lab"), PROMQL)
    def test_ranges_and_offsets_are_scaled_and_nothing_else(self, production, lab):
        assert scale_promql(production, 60) == lab

    @pytest.mark.parametrize("expr", ["rate(x[300])", "x offset 300", "x offset -300", "max_over_time(x[1h:60])"])
    def test_a_range_without_a_unit_is_refused(self, expr):
        with pytest.raises(InputError, match="without a unit"):
            scale_promql(expr, 60)

    def test_prometheus_reads_the_result(self, binaries, tmp_path):
        results = [lab for _, lab in PROMQL if "$" not in lab]
        instant = [lab for lab in results if not lab.startswith("x[")]
        rules = [{"record": f"r{number}", "expr": expr} for number, expr in enumerate(instant)]
        (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))

        checked = subprocess.run(
            [binaries["promtool"], "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True
        )

        assert checked.returncode == 0, checked.stderr
        assert len(rules) > 15


class TestConfiguration:
    def test_known_keys_are_scaled_wherever_they_stand(self):
        config = {
            "scrape_configs": [{"scrape_interval": "30s", "file_sd_configs": [{"refresh_interval": "1m"}]}],
            "global": {"scrape_interval": "15s", "scrape_timeout": "15s", "evaluation_interval": "15s"},
        }

        assert scale_config(config, 60) == {
            "scrape_configs": [{"scrape_interval": "500ms", "file_sd_configs": [{"refresh_interval": "1s"}]}],
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
        }

    def test_rules_are_scaled_and_their_texts_are_not(self):
        texts = {"labels": {"window": "5m"}, "annotations": {"summary": "5m"}}
        rule = {"alert": "A", "expr": "x[5m] > 300", "for": "5m", **texts}

        assert scale_config({"groups": [{"interval": "15s", "rules": [rule]}]}, 60) == {
            "groups": [{"interval": "250ms", "rules": [{"alert": "A", "expr": "x[5s] > 300", "for": "5s", **texts}]}]
        }

    def test_what_a_server_would_fill_in_is_scaled_too(self):
        assert scale_config({"scrape_configs": []}, 60)["global"] == {
            "scrape_interval": "1s",
            "evaluation_interval": "1s",
        }
        assert scale_config({"receivers": [], "route": {"group_wait": "1m"}}, 60)["route"] == {
            "group_wait": "1s",
            "group_interval": "5s",
            "repeat_interval": "4m",
        }

    def test_how_long_to_wait_for_an_answer_is_real_time(self):
        assert scale_config({"alerting": {"timeout": "10s"}}, 60) == {"alerting": {"timeout": "10s"}}

    def test_a_duration_under_an_unknown_key_is_refused(self):
        with pytest.raises(ConfigurationError, match="new_interval is 5m"):
            scale_config({"global": {"new_interval": "5m"}}, 60)

    def test_the_original_stays_as_it_was(self):
        config = {"global": {"scrape_interval": "15s"}, "scrape_configs": []}

        scale_config(config, 60)

        assert config == {"global": {"scrape_interval": "15s"}, "scrape_configs": []}


class TestFlags:
    def test_durations_are_scaled_and_other_values_stay(self):
        flags = ["--query.lookback-delta=5m", "--rules.alert.resend-delay=1m", "--log.level=warn", "--web.x"]

        assert scale_flags(flags, 60) == [
            "--query.lookback-delta=5s",
            "--rules.alert.resend-delay=1s",
            "--log.level=warn",
            "--web.x",
        ]

    def test_a_duration_of_an_unknown_flag_is_refused(self):
        with pytest.raises(ConfigurationError, match=r"--new.flag is 5m"):
            scale_flags(["--new.flag=5m"], 60)


DASHBOARD = {
    "title": "Service",
    "refresh": "1m",
    "time": {"from": "now-3h", "to": "now"},
    "timepicker": {"refresh_intervals": ["15s", "1m"]},
    "annotations": {"list": [{"name": "deployments", "expr": "model_info offset 1m", "step": "15s"}]},
    "templating": {"list": [{"query": "query_result(rate(x[5m]))"}]},
    "panels": [{"title": "5m", "interval": "15s", "timeFrom": "6h", "targets": [{"expr": "rate(x[5m])"}]}],
}


class TestDashboards:
    def test_queries_ranges_steps_and_refresh_are_scaled_and_texts_are_not(self):
        assert scale_dashboard(DASHBOARD, 60) == {
            "title": "Service (1 s on the axis is 1m)",
            "refresh": "1s",
            "time": {"from": "now-3m", "to": "now"},
            "timepicker": {"refresh_intervals": ["250ms", "1s"]},
            "annotations": {"list": [{"name": "deployments", "expr": "model_info offset 1s", "step": "250ms"}]},
            "templating": {"list": [{"query": "query_result(rate(x[5s]))"}]},
            "panels": [{"title": "5m", "interval": "250ms", "timeFrom": "6m", "targets": [{"expr": "rate(x[5s])"}]}],
        }

    def test_in_real_time_nothing_changes(self):
        assert scale_dashboard(DASHBOARD, 1) == DASHBOARD

    def test_a_mail_address_is_no_range(self):
        assert scale_config({"from": "5m@labkit.example", "to": "x"}, 60) == {"from": "5m@labkit.example", "to": "x"}
