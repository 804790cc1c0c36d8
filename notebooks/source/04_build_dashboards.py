# %% [markdown]
# # Build dashboards
#
# **You will do:** draw four common panels, find out why three of them are empty and the fourth misleads, mend them, and
# describe panels for predictions and drift as code.
#
# **You will learn:** what a panel has to say beside its curve, how Grafana gets data sources and dashboards from files,
# and the six causes of "No data".
#
# **You need:** 30 minutes. [Notebook 03](03_scrape_and_query.ipynb) helps, but nothing from it is needed here.

# %%
from labkit import Lab
from labkit.teach import ____, open_lesson

lesson = open_lesson("04")
lab = Lab.open(fresh=True)
lesson

# %% [markdown]
# Healthy traffic runs while you read. Labels come five to ten production minutes late, so we wait for the first.

# %%
lab.traffic("steady", rate=20)
lab.wait_for("model_feature:ks:distance_rate1h", "3h")
lab.wait_for("sum(increase(model_labels_total[15m])) > 100", "3h")

# %% [markdown]
# ## A panel is a query, and how to read it
#
# A panel holds PromQL, a unit, a limit, and a sentence for whoever looks at it at three in the morning. labkit
# describes panels as plain data and writes Grafana's JSON from them. The four panels below have the queries that
# tutorials give for this purpose, word for word.

# %%
from labkit.stack.dashboards.grafana import Panel, Query, dashboard

tutorial = {
    "Prediction rate": "rate(predictions_total[5m])",
    "Error rate": "rate(prediction_errors_total[5m])",
    "P95 latency": "histogram_quantile(0.95, prediction_latency_seconds)",
    "Model accuracy": "model_accuracy",
}

# %% [markdown]
# Grafana's page is 24 columns wide. `lab.dashboard` draws any dashboard here, from the JSON that Grafana would load.


# %%
def four_panels(expressions):
    places = [(6 * number, 0, 6, 8) for number in range(4)]
    pairs = zip(expressions.items(), places, strict=True)
    panels = [Panel(title, "timeseries", place, [Query(expr, title)], "tried out") for (title, expr), place in pairs]
    return dashboard("four", "Four panels", "Tried out in a notebook.", panels)


lab.dashboard(four_panels(tutorial), "1h")

# %% [markdown]
# Three panels are empty. PromQL has no error for a name that does not exist: the answer is an empty list, in a
# dashboard as in an alert. `lab.explain` looks for the reason.

# %%
for title, expression in tutorial.items():
    print(f"{title}: {lab.explain(expression) or 'has data'}")

# %% [markdown]
# The right names alone do not mend all of it. The errors are a number that nobody can judge without the number of
# requests. The quantile needs buckets:

# %%
print(lab.explain("histogram_quantile(0.95, model_prediction_latency_seconds_count)"))
assert "le" in lab.explain("histogram_quantile(0.95, model_prediction_latency_seconds_count)")

# %% [markdown]
# And the accuracy, which has data, is a gauge that the service sets when a label arrives. When labels stop, it stays
# where it was. [Notebook 07](07_watch_predictions_and_late_labels.ipynb) shows how long that can go unseen.
#
# ### Exercise 4.1: Four panels that can be trusted
#
# Make a dictionary `queries` of four PromQL texts, with these keys:
#
# - `rate`: how fast requests (or predictions) came in the last five minutes, as a `rate()` per second or as an
#   `increase()`,
# - `errors`: the *share* of requests that failed in the last five minutes, from 0 to 1,
# - `latency`: the 95th percentile of the latency of the last five minutes, in seconds,
# - `accuracy`: the share of right answers among the labels of the last 15 minutes, from 0 to 1.

# %%
# solution
queries = {
    "rate": "sum(increase(model_prediction_requests_total[5m])) / 5",
    "errors": "sum(rate(model_prediction_errors_total[5m])) / sum(rate(model_prediction_requests_total[5m]))",
    "latency": "histogram_quantile(0.95, sum by (le) (rate(model_prediction_latency_seconds_bucket[5m])))",
    "accuracy": 'sum(rate(model_labels_total{outcome="correct"}[15m])) / sum(rate(model_labels_total[15m]))',
}
# end solution
lesson.q1.check(lab, queries)

# %% [markdown]
# Draw them: `lab.dashboard(four_panels(queries), "1h")`. labkit's own answer to the same four questions is the
# dashboard *Service*, with four panels more.

# %%
lab.dashboard("service", "1h")

# %% [markdown]
# The red lines are limits. None is typed into a dashboard: each is read from the rule that alerts by it, so that a
# panel and a pager never disagree.

# %%
from labkit.stack.dashboards.rules import limit

limit("ModelAccuracyLow"), limit("ModelErrorBudgetBurnFast")

# %% [markdown]
# The first is the share of right answers below which somebody is paged, the second the share of failures above which
# somebody is.
#
# ## Panels for what only models have
#
# Whether predictions are right is known late. Which predictions are given is known at once: the shares of the classes
# move before any label arrives.
#
# ### Exercise 4.2: Which answers are given
#
# Three classes are divided by one total, so the labels differ on purpose. `a / ignoring (predicted_class) group_left b`
# says: leave this label out when matching, and let many series on the left meet one on the right.
#
# Make `panel`, a `Panel` of the kind `timeseries` with one `Query`: the share of each class among the answers of the
# last hour, from `model_predictions_total`, which carries `predicted_class`. The arguments are, in this order,
# `Panel(title, kind, place, queries, description, unit=...)`; a place is `(x, y, width, height)`, such as
# `(0, 0, 12, 8)`. Give it the unit `percentunit` (0.33 is shown as 33%) and a legend: in `Query(expression, legend)`
# the text `{{label}}` stands for the label's value.

# %%
# solution
shares = """
sum by (predicted_class) (increase(model_predictions_total[1h]))
  / ignoring (predicted_class) group_left
sum(increase(model_predictions_total[1h]))
"""
panel = Panel(
    "Answers by class, last hour",
    "timeseries",
    (0, 0, 12, 8),
    [Query(shares, "{{predicted_class}}")],
    "The share of each class. Compare with the reference: a class that vanishes is news.",
    unit="percentunit",
)
# end solution
lesson.q2.check(lab, panel)

# %% [markdown]
# In the dashboard *Quality* that panel has dashed lines for the reference, and beside the accuracy stands how many
# labels it rests on.

# %%
lab.dashboard("quality", "1h")

# %% [markdown]
# ### Exercise 4.3: How much drift is too much
#
# The rules record how far each feature is from the training data, the reference, as a Kolmogorov-Smirnov distance (0 is
# the same, 1 is no overlap; notebook 06), `model_feature:ks:distance_rate1h`, and the distance that is too much for a
# sample of this size, `model_feature:ks:limit_rate1h`. Assign the PromQL as a text to `expression`: for each feature,
# the distance as a share of its limit.

# %%
# solution
expression = "max by (feature) (model_feature:ks:distance_rate1h / model_feature:ks:limit_rate1h)"
# end solution
lesson.q3.check(lab, expression)

# %% [markdown]
# One panel then judges every feature alike. *Drift* has it at the top right, and below it each feature's quantiles
# beside the reference's.

# %%
lab.dashboard("drift", "1h")

# %% [markdown]
# ## Dashboards as code
#
# A dashboard that was clicked together is lost with its server, and nobody reviews its changes. Here the source is
# Python, and the JSON beside it is written by `python -m labkit.stack.dashboards`. A test holds that they agree:

# %%
from labkit.stack.dashboards import DASHBOARDS
from labkit.stack.render import config_dir, read_dashboard

assert DASHBOARDS["drift"]() == read_dashboard("drift")

# %% [markdown]
# Grafana reads two small files when it starts, and from then on the folder of dashboards. The first file is the data
# source. Its `uid` is what every panel names.

# %%
provisioning = config_dir() / "grafana" / "provisioning"
print((provisioning / "datasources" / "prometheus.yml").read_text())

# %% [markdown]
# The second says where dashboards lie, and that nobody changes them on the page: `allowUiUpdates` is false.

# %%
print((provisioning / "dashboards" / "labkit.yml").read_text())

# %% [markdown]
# Where there is a Grafana on your PATH, `labkit up` starts it with these files, and `lab` shows its address. Its axis
# shows the clock on your wall: at the lab's speed one second of it is one production minute, and the titles say so.
# Here the axis counts production time.
#
# ## What goes wrong: No data
#
# An empty panel looks the same whatever the reason. There are six, and each can be told.

# %%
from prometheus_client import CollectorRegistry, Gauge

from labkit.clock import wait_until
from labkit.teach.serving import end_serving, serve

# %% [markdown]
# **A wrong name.** Nobody exports it. Often a suffix is missing.

# %%
reason = lab.explain("sum(rate(model_predictions[5m]))")
assert "There is no metric model_predictions" in reason
reason

# %% [markdown]
# **A range that is too short.** A scrape comes every 15 seconds, and a rate needs two of them: one second holds a
# sample or none.

# %%
reason = lab.explain("rate(model_predictions_total[1s])")
assert "Fewer than two samples" in reason
reason

# %% [markdown]
# **A data source of another name.** The query is right and never asked. A dashboard copied from another Grafana brings
# its identifier along.

# %%
copied = four_panels(dict.fromkeys("abcd", "up"))
for each in copied["panels"]:
    each["datasource"] = "P1809F7CD0C75ACF3"
lab.dashboard(copied, "1h")

# %% [markdown]
# **Labels that do not match.** Errors carry `error_type`, requests do not, so no pair of series is equal.

# %%
reason = lab.explain("rate(model_prediction_errors_total[5m]) / rate(model_prediction_requests_total[5m])")
assert "Label mismatch" in reason
reason

# %% [markdown]
# **NaN.** Zero over zero is not a number, and Grafana shows nothing for it. Here the errors are divided by
# themselves, while there are none.

# %%
errors = "sum(rate(model_prediction_errors_total[5m]))"
reason = lab.explain(f"{errors} / {errors}")
assert "NaN" in reason
reason

# %% [markdown]
# `or vector(0)` is the advice that one finds. It fills in what is absent, and a NaN is not absent:

# %%
assert lab.query(f"{errors} / {errors} or vector(0)")["value"].isna().all()

# %% [markdown]
# **A stale series.** It was there, and its target is gone. We serve a gauge of our own, and stop.

# %%
registry = CollectorRegistry()
Gauge("notebook_queue_length", "Rows that wait", registry=registry).set(3)
serve(lab, registry)
lab.wait_for("notebook_queue_length")

# %%
end_serving(lab)
wait_until(lambda: lab.query("notebook_queue_length").empty, 60, "the gauge to go stale")
reason = lab.explain("notebook_queue_length", since="7d")
assert "stale" in reason
reason

# %% [markdown]
# Each is mended where it arises: the name in the query, the range by `$__rate_interval` (which the data source's
# `timeInterval` makes at least four scrapes long), the data source's `uid` in the provisioning file, the labels by
# summing both sides alike, NaN by asking for traffic first, and staleness by an alert on absence.

# %%
mended = "sum by (model_name) (rate(model_prediction_errors_total[5m]))"
mended += " / sum by (model_name) (rate(model_prediction_requests_total[5m]))"
assert lab.explain(mended) == ""

# %% [markdown]
# ## In practice
#
# - Put at most eight panels on a page, the answer to "is it broken?" at the top left, and causes below.
# - Test dashboards like code: `labkit lint` checks that every metric and label in rules and panels is exported, that
#   panels have units and do not overlap.
# - Keep Grafana closed: on 127.0.0.1 or behind a login, viewers only, no sign-up. The lab's has a random admin
#   password in a file that only you can read.
# - Mark deployments on every panel. "What changed?" is the first question of every incident.

# %% [markdown]
# ## Recap
#
# - An empty panel is a finding: a name, a range, a data source, labels, NaN or staleness.
# - A rate, a *share* of errors, a quantile over buckets, and accuracy from counted labels are the four basic panels.
# - Limits come from the rules, so that panel and pager agree.
# - Dashboards and data sources are files under review, and Grafana only shows them.

# %%
end_serving(lab)
lab.stop_traffic()

# %% [markdown]
# [Next: Write logs that can be queried](05_write_logs_that_can_be_queried.ipynb)
