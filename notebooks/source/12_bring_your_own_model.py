# %% [markdown]
# # Bring your own model
#
# **You will do:** watch another model, of wines, with ten lines; find that rules and drift work for it as they are; and
# break it by sending columns in another order.
#
# **You will learn:** what a service of your own needs, what you can copy, and why names belong into requests.
#
# **You need:** 20 minutes. [Notebook 02](02_instrument_the_model.ipynb) helps, but nothing from it is needed here.

# %%
from labkit import Lab, plots
from labkit.teach import ____, open_lesson

lesson = open_lesson("12")
lab = Lab.open(fresh=True)
lesson

# %% [markdown]
# ## Another model
#
# Wines of three growers, 13 measurements of each, and a naive Bayes classifier: other data and another estimator than
# the lab's own. A part of the wines is held out; these will be our traffic.

# %%
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

# %%
wines = load_wine(as_frame=True)
features, growers = list(wines.data.columns), ["grower_0", "grower_1", "grower_2"]
train, held_out, train_grower, true_grower = train_test_split(
    wines.data, wines.target, test_size=0.4, stratify=wines.target, random_state=3
)

# %%
model = GaussianNB().fit(train.to_numpy(), train_grower)
accuracy = model.score(held_out.to_numpy(), true_grower)
assert accuracy > 0.9
f"{accuracy:.1%} of the {len(held_out)} wines held out are named rightly."

# %% [markdown]
# That is the last time that accuracy comes for free. In production it comes with labels, or not at all.
#
# ## What it looked like in training
#
# A reference is the yardstick for drift: quantiles of each feature, and the shares of the model's own answers. It is
# made once, of the rows that the model was trained on, and kept beside the model.

# %%
from labkit.observe.reference import Reference

# %%
answers = [growers[i] for i in model.predict(train.to_numpy())]
reference = Reference.from_rows(train.to_numpy(), features, answers)
reference.n_rows, reference.bounds["alcohol"][:3]

# %% [markdown]
# A hundred rows make a blunt yardstick: what chance can do is part of the alert's limit, and for so few rows that is
# much. Take thousands where you have them.

# %% [markdown]
# ### Exercise 12.1: Watched in ten lines
#
# Write `predict(rows)` for an array of wines. It returns a list of growers' names. Put
# `@track_prediction("wine-classifier", "v1", registry=registry)` above it, and call
# `monitor.observe(rows, answers, confidences)` in it. The model has `predict_proba(rows)`.

# %%
from prometheus_client import CollectorRegistry

from labkit.observe.monitor import ModelMonitor
from labkit.observe.tracking import track_prediction

# %%
registry = CollectorRegistry()
monitor = ModelMonitor("wine-classifier", "v1", reference, class_names=growers, registry=registry)


# %%
# solution
@track_prediction("wine-classifier", "v1", registry=registry)
def predict(rows):
    shares = model.predict_proba(rows)
    answers = [growers[i] for i in shares.argmax(axis=1)]
    monitor.observe(rows, answers, shares.max(axis=1))
    return answers


# end solution
lesson.q1.check(registry, held_out.to_numpy()[:5], predict)

# %% [markdown]
# From here on the notebook goes on with labkit's version of these lines. When labels come, hand them over as well:

# %%
from labkit.teach.wines import call_steadily, end_calls, monitored

# %%
answer = monitored(model, reference, growers, registry)
monitor.record_labels(answer(held_out.to_numpy()), [growers[i] for i in true_grower])
labels = {"model_name": "wine-classifier", "model_version": "v1"}
registry.get_sample_value("model_accuracy", labels)

# %%
assert abs(registry.get_sample_value("model_accuracy", labels) - accuracy) < 1e-9

# %% [markdown]
# ## Let Prometheus see it
#
# `serve` opens `/metrics` for this registry, on this machine alone, and writes the address into a target file.
# Prometheus reads it and begins to scrape. Not a line of its configuration was changed:

# %%
from labkit.teach.serving import serve

# %%
serve(lab, registry, job="wine")

# %% [markdown]
# Now wines come steadily, ten at a time, as long as this notebook runs or until you end it:

# %%
caller = call_steadily("wines", lambda: answer(held_out.sample(10, replace=True).to_numpy()))
lab.wait_for('sum(increase(model_prediction_rows_total{model_name="wine-classifier"}[1h])) > 500', "6h")

# %% [markdown]
# The rules in `docker/prometheus/rules/` speak of models and not of irises. So they judge this one as well. Its answers
# differ from the reference by less than 15 %. ModelPredictionDrift allows a little more here, at least 24 %, since the
# reference is small:

# %%
lab.wait_for('model_version:prediction_shift:distance_rate1h{model_name="wine-classifier"} < 0.15', "6h")

# %% [markdown]
# ### Exercise 12.2: Drift, with nothing written
#
# Assign `expression`: the query for how far each feature of the wines is from its reference. The rule,
# `model_feature:ks:distance_rate1h`, is the same that notebook 06 used for irises, which are in this Prometheus too.

# %%
# solution
expression = 'model_feature:ks:distance_rate1h{model_name="wine-classifier"}'
# end solution
lesson.q2.check(lab, expression)

# %% [markdown]
# ## What goes wrong: columns in another order
#
# Somebody builds the table from a dictionary, or joins it anew, and the columns come in another order. An array has no
# names, so nothing notices:

# %%
import time

mixed, mixed_at = held_out[features[::-1]], time.time()
caller = call_steadily("wines", lambda: answer(mixed.sample(10, replace=True).to_numpy()))
truth = [growers[i] for i in true_grower]
share = sum(map(str.__eq__, answer(mixed.to_numpy()), truth)) / len(truth)
assert share < 0.6
f"Every call is answered; {share:.0%} of the answers are right."

# %% [markdown]
# No exception, no error, no missing value: every dashboard of a web service stays green.

# %%
lab.wait_for('sum(increase(model_prediction_rows_total{model_name="wine-classifier"}[1h])) > 1500', "6h")
assert caller.failed == 0
caller

# %% [markdown]
# Drift speaks, and for almost every feature at once. A unit or a sensor moves one; a mistake in the order moves all:

# %%
drifted = 'ALERTS{alertname="ModelInputDrift", model_name="wine-classifier", alertstate="firing"}'
lab.wait_for(f"count({drifted}) > 5", "6h")
minutes = lab.clock.production_seconds(time.time() - mixed_at) / 60
distance = 'model_feature:ks:distance_rate1h{model_name="wine-classifier"}'
table = lab.query_range(distance, f"{minutes + 5:.0f}m", "1m")
table.columns = [dict(zip(table.columns.names, name, strict=True))["feature"] for name in table.columns]
plots.curves(table.iloc[:, :6], lab.clock.speed, "KS distance")

# %% [markdown]
# The picture shows six of the 13. Only `flavanoids` stays: it is the middle one of 13, so it keeps its place when the
# order is turned round.
#
# An alert after the fact is good. A request that cannot go wrong is better: let callers send names, and put the columns
# into order by name.

# %% [markdown]
# ### Exercise 12.3: By name
#
# Write `ordered(table)`: it returns the values of a table as an array, in the order of `features`. For a column that is
# missing or unknown it raises `ValueError` and says which.


# %%
# solution
def ordered(table):
    if differing := set(table.columns) ^ set(features):
        raise ValueError(f"columns missing or unknown: {', '.join(sorted(differing))}")
    return table[features].to_numpy()


# end solution
lesson.q3.check(features, ordered)

# %% [markdown]
# The same mixed table, put into order by name, gets the same answers as before:

# %%
by_name = mixed[features].to_numpy()
assert answer(by_name) == answer(held_out.to_numpy())
caller = call_steadily("wines", lambda: answer(mixed.sample(10, replace=True)[features].to_numpy()))
f"{sum(map(str.__eq__, answer(by_name), truth)) / len(truth):.1%} of the answers are right again."

# %% [markdown]
# ## In practice
#
# What to copy into a service of your own:
#
# - The ten lines of exercise 12.1, with your model's name and version. Of the rest of labkit, `labkit.observe` needs
#   `labkit/errors.py` alone, and its store `labkit/clock.py` too.
# - `docker/prometheus/rules/`, which judge every model that exports these metrics: all but `response.yml`, unless you
#   have a retrainer. In `service.yml` put your job in place of `model`; there and in `alerting.yml` your model's name
#   in place of `iris-classifier`.
# - From `docker/prometheus/prometheus.yml` one job with the addresses of your service.
# - `docker/alertmanager/alertmanager.yml`, with your own receivers: drop the route and the receiver `retrainer`, and
#   replace `heartbeat`.
#
# What to change: the objectives (accuracy, latency) to yours, the plausible ranges of your features
# (`ModelMonitor(..., plausible_ranges=...)`), and a new `model_version` with each training. What to leave: the
# retrainer belongs to the lab; yours knows your data.

# %% [markdown]
# ## Recap
#
# - Any classifier is watched in ten lines: a reference, a monitor, a tracked function.
# - Rules that speak of `model_name` serve the next model as they are.
# - Columns in another order answer 200 and are wrong; drift in all features at once gives them away.
# - Names in requests prevent what drift can only report.

# %%
end_calls()
lab.stop_traffic()

# %% [markdown]
# This was the last notebook. [Back to the start](00_start_here.ipynb): what do you want to watch first?
