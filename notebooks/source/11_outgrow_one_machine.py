# %% [markdown]
# # Outgrow one machine
#
# **You will do:** watch three replicas as one service, send samples to a store that remembers for a year, and test a
# batch for drift on a cluster engine.
#
# **You will learn:** which numbers of several machines can be put together, and which cannot.
#
# **You need:** 35 minutes. [Notebook 03](03_scrape_and_query.ipynb) and [06](06_detect_data_drift.ipynb) help, but
# nothing from them is needed here.

# %%
from labkit import Lab
from labkit.teach import ____, open_lesson

lesson = open_lesson("11")
lab = Lab.open(fresh=True)
lesson

# %% [markdown]
# ## Three replicas
#
# One process does not serve a country. So the same model runs several times, each copy is called a **replica**, and
# something in front of them shares the requests out. This starts two more replicas, real processes with real ports, and
# writes all three into the file that names the targets of Prometheus's job `model`:

# %%
from labkit.teach.fleet import Fleet

fleet = Fleet(lab, total=3).start()
targets = lab.prometheus.targets()
targets[targets["job"] == "model"][["job", "instance", "health"]]

# %% [markdown]
# Every series of a replica carries its address as the label `instance`. Metrics, rules and dashboards stay as they are,
# if they were written well. Now the traffic. Two replicas serve most of the clients. The third one stands at a small
# site: it has few requests, its only client sends petal length in mm instead of cm, and its machine is old, so that
# each prediction takes 0.8 s more (real seconds). The retrainer is switched off here: it would have its challenger
# loaded by one replica, and not by the others.

# %%
lab.home.retraining_off.touch()
fleet.traffic("model", "steady", rate=12, seed=1)
fleet.traffic("model-2", "steady", rate=12, seed=2)
fleet.traffic("model-3", "unit_error", rate=4, seed=3)
fleet.delay("model-3", 0.8)
lab.wait_for("count(sum by (instance) (increase(model_labels_total[15m])) > 30) == 3", timeout="4h")

# %% [markdown]
# Labels have arrived at all three. This is the accuracy of each, by `instance`:

# %%
by_replica = (
    'sum by (instance) (rate(model_labels_total{outcome="correct"}[15m]))'
    " / sum by (instance) (rate(model_labels_total[15m]))"
)
names = {fleet.instance(name): name for name in fleet.urls}
accuracy = lab.query(by_replica).replace({"instance": names}).set_index("instance")["value"].sort_index()
accuracy

# %% [markdown]
# Two are well and one is not. How well is the *service*, that is, which share of the rows that it was asked got a right
# answer? Whoever takes the mean of the three numbers lets the small site count as much as a big one:

# %%
print(f"{accuracy.mean():.3f}")

# %% [markdown]
# ### Exercise 11.1: The accuracy of the fleet
#
# Write the query for the accuracy of all replicas together, over the last 15 minutes of labels. It returns one value.
# The labels are counted in `model_labels_total`, with the label `outcome`, which is `correct` or `incorrect`.

# %%
# solution
expression = 'sum(rate(model_labels_total{outcome="correct"}[15m])) / sum(rate(model_labels_total[15m]))'
# end solution
lesson.q1.check(lab, expression)

# %% [markdown]
# The recording rule of the lab has always done it like that, with `model_name` and `model_version` kept. It needs no
# change when replicas come and go:

# %%
shared = lab.wait_for("model_version:accuracy:ratio_rate15m")
assert len(shared) == 1
assert shared["value"].item() > accuracy.mean()
shared

# %% [markdown]
# ## Drift of a fleet
#
# The same holds for drift. Each replica counts its values into a histogram whose bounds come from the reference, which
# is the same for all. Counts add up: the KS distance (the largest gap between two cumulative shares, from 0 to 1) of
# the summed histogram is that of all rows together. The rule sums by everything but `instance`. To see each replica,
# keep `instance` in each `by`:

# %%
by = "model_name, model_version, feature"
ks_by_replica = f"""
max by (instance, {by}) (abs(
  sum by (instance, {by}, le) (rate(model_feature_value_bucket[1h]))
    / ignoring (le) group_left sum by (instance, {by}) (rate(model_feature_value_count[1h]))
  - on ({by}, le) group_left max by ({by}, le) (last_over_time(model_feature_reference_cdf[15m]))
))
"""
each = lab.query(ks_by_replica).replace({"instance": names})
distances = each[each["feature"] == "petal_length"].set_index("instance")["value"].sort_index()
assert len(distances) == 3

# %%
import pandas as pd

from labkit import plots

rule = 'last_over_time(model_feature:ks:distance_rate1h{feature="petal_length"}[15m])'
fleet_ks = lab.wait_for(rule)["value"].item()
table = pd.DataFrame({"KS distance": [*distances, fleet_ks]}, index=[*distances.index, "the fleet"])
plots.bars(table, title="Drift of petal_length, last hour", unit="KS distance", objective=0.15)

# %% [markdown]
# The dashed line is where the alert begins. One replica is far beyond it: hardly one of its petals looks as it should.
# The fleet's number is much smaller, since most flowers are well, and it may stay below the line. Both are right. The
# fleet's number says how much of the *service* has changed, the number by `instance` says where to look. Judge the
# first, show the second, and give a replica an alert of its own where one site can break alone.

# %%
assert distances["model-3"] > 0.5 > fleet_ks
assert fleet_ks < distances["model-3"] / 2

# %% [markdown]
# ## What goes wrong: averaging quantiles
#
# Remember the old machine. A dashboard shows the P95 latency of each replica, below which 95 % of its requests stay;
# wait until the window of 15 minutes holds hardly anything from before the machine was slow.

# %%
fleet.delay("model-3", 0.8)
buckets = f'model_prediction_latency_seconds_bucket{{instance="{fleet.instance("model-3")}"}}'
_ = lab.wait_for(f"histogram_quantile(0.1, rate({buckets}[15m])) > 0.5", timeout="4h")

# %%
p95 = "histogram_quantile(0.95, sum by ({}) (rate(model_prediction_latency_seconds_bucket[15m])))"
latency = lab.query(p95.format("instance, le")).replace({"instance": names}).set_index("instance")["value"].sort_index()
latency.round(3)

# %% [markdown]
# These are seconds. Nobody waited 0.975 s: the old machine's answers take a little more than 0.8 s, so they are all
# counted in the bucket from 0.5 to 1 s, and within a bucket a quantile is read off a straight line, here at 95 % of the
# way.
#
# Somebody adds a panel with the mean of them:

# %%
mean_of_quantiles = "avg(" + p95.format("instance, le") + ")"
lab.query(mean_of_quantiles)

# %% [markdown]
# What does that mean *mean*? Nothing. A quantile is a place in a sorted line, and three lines cannot be joined by
# averaging places. Take numbers whose truth is known, for a service with one slow replica, and count two ways: once it
# gets one request in ten, once about one in ninety.

# %%
import numpy as np

for slow_requests in (100, 10):
    waits = [np.full(450, 0.004), np.full(450, 0.004), np.full(slow_requests, 0.7)]
    mean_of_p95 = np.mean([np.quantile(wait, 0.95) for wait in waits])
    p95_of_all = np.quantile(np.concatenate(waits), 0.95)
    print(f"mean of P95: {mean_of_p95:.3f} s, P95 of all: {p95_of_all:.3f} s")
    assert (mean_of_p95 < p95_of_all) == (slow_requests == 100)

# %% [markdown]
# The mean is the same in both cases, since it never asks how many requests a replica had. In the first case it hides
# that the service is far too slow; in the second it cries wolf. What can be put together is what the quantile is made
# *from*: the counts in the buckets.
#
# ### Exercise 11.2: The P95 of the fleet
#
# Write the query for the P95 latency of the whole fleet over the last 15 minutes. It returns one value. The histogram
# is called `model_prediction_latency_seconds`.

# %%
# solution
expression = "histogram_quantile(0.95, sum by (le) (rate(model_prediction_latency_seconds_bucket[15m])))"
# end solution
lesson.q2.check(lab, expression)

# %% [markdown]
# Here are the three replicas, their mean, and the truth. `le` must survive every `sum`, up to the quantile.

# %%
mended = lab.query(p95.format("le"))["value"].item()
values = [*latency, latency.mean(), mended]
table = pd.DataFrame({"P95": values}, index=[*latency.index, "mean of P95", "the fleet"])
plots.bars(table, title="P95 latency, last 15 minutes", unit="seconds")

# %% [markdown]
# One request in seven goes to the slow machine. So the slowest five in a hundred all come from there, and the fleet's
# P95 lies in their bucket, between 0.5 and 1 s. The mean shows less.

# %%
assert mended > latency.mean()

# %% [markdown]
# Histograms need the same bounds everywhere, else their buckets cannot be added. That is a reason to have them in one
# library, and to test them.

# %% [markdown]
# ## A store that remembers
#
# Prometheus keeps its data on one disk, for days or weeks. For "is it worse than last spring?", and for a view over
# many Prometheus servers, it sends each sample on while it scrapes: **remote write**. Thanos, Mimir, Cortex,
# VictoriaMetrics and the clouds receive that protocol. So does another Prometheus, which plays the store here:

# %%
from labkit.stack.longterm import LongTermStore

store = LongTermStore(lab.home, lab.clock).start()
print(f"{store.url}/api/v1/write")

# %% [markdown]
# ### Exercise 11.3: Write to it
#
# Write the part of `prometheus.yml` that sends samples to that address, as an f-string of YAML. Long-term stores are
# paid for by the series, and much of what Prometheus scrapes is about itself. So let `write_relabel_configs` *keep*
# only series whose name, `__name__`, begins with `model`: the metrics of the model and the recorded series. Under
# `global`, give all of them the label `site: greenhouse` by `external_labels`. The check loads it into the running
# Prometheus, and looks at what arrives.

# %%
# solution
config = f"""
global:
  external_labels: {{site: greenhouse}}
remote_write:
  - url: {store.url}/api/v1/write
    write_relabel_configs:
      - source_labels: [__name__]
        regex: model.+
        action: keep
"""
# end solution
lesson.q3.check(lab, config)

# %% [markdown]
# From here on the notebook uses its own. `external_labels` are added to all that leaves this Prometheus. Without them
# two servers that write to one store would overwrite each other:

# %%
keep = "{source_labels: [__name__], regex: model.+, action: keep}"
store.connect(
    f"global: {{external_labels: {{site: greenhouse}}}}\n"
    f"remote_write: [{{url: {store.url}/api/v1/write, write_relabel_configs: [{keep}]}}]"
)
store.wait_for('model_prediction_rows_total{site="greenhouse"}', timeout="4h")[["instance", "site", "value"]]

# %% [markdown]
# The same PromQL works there. Ask both for the same moment, once the store has later samples, and they agree to the
# digit: nothing was thinned out or lost. `metric @ t` is the metric as it was at the Unix time `t`, and
# `timestamp(metric)` is when each of its samples was taken.

# %%
import time

moment = time.time()
rows = f"sum(model_prediction_rows_total @ {moment:.3f})"
everywhere = 'count(timestamp(model_prediction_rows_total{site="greenhouse"})'
store.wait_for(f"{everywhere} > {moment + 1:.3f}) == 3", timeout="4h")
here, there = (asked(rows)["value"].item() for asked in (lab.query, store.prometheus.query))
here, there

# %%
assert here == there

# %% [markdown]
# What was not sent costs nothing. Compare how many names of series the store holds, and how many this Prometheus does:

# %%
every_name = 'count(count by (__name__) ({__name__=~".+"}))'
kept = store.wait_for(every_name)["value"].item()
scraped = lab.wait_for(f"{every_name} > {kept}")["value"].item()
kept, scraped

# %% [markdown]
# ## A batch on a cluster engine
#
# Some data never pass a service: a night's batch, a lake of files. The test for drift is the same, and so is the rule
# of this notebook: let each machine *count*, and add the counts. Here are eight parts of a batch. One of them, number
# 5, has petals in mm:

# %%
from labkit.model.iris import SCHEMA
from labkit.simulate.scenarios import scenario

reference = lab.registry.meta("iris-classifier", "v1").reference


def part(number):
    name = "unit_error" if number == 5 else "steady"
    return scenario(name).batch(20_000, 0.0, np.random.default_rng(number)).instances


def count(rows):
    """Return per feature how many values are at or below each bound of the reference: a few numbers, not the rows."""
    columns = zip(reference.feature_names, np.sort(rows, axis=0).T, strict=True)
    return {name: np.searchsorted(column, reference.bounds[name], side="right") for name, column in columns}


# %% [markdown]
# Dask is such an engine. The cluster is a local one, two workers in this process; with `Client("tcp://scheduler:8786")`
# in its place the same lines run on a hundred machines. Each worker makes its part and counts it; only counts travel.
# (When the cluster ends while a worker's heartbeat is under way, the worker logs that as an error; it is none, hence
# `silence_logs`.)

# %%
from dask.distributed import Client, LocalCluster

local = {"processes": False, "dashboard_address": None, "silence_logs": "critical"}
with LocalCluster(n_workers=2, threads_per_worker=1, **local) as cluster, Client(cluster) as client:
    parts = client.map(part, range(8))
    counts = client.gather(client.map(count, parts))

# %%
total = {name: sum(counted[name] for counted in counts) for name in reference.feature_names}
ks = {name: max(abs(total[name] / 160_000 - np.array(reference.cdf[name][:-1]))) for name in total}
{name: round(float(distance), 3) for name, distance in ks.items()}

# %% [markdown]
# One part in eight moves `petal_length` by about an eighth, and nothing else. No machine has seen all rows, and yet the
# numbers are those that one big machine finds:

# %%
whole = reference.ks_distances(np.vstack([part(number) for number in range(8)]))
assert all(abs(ks[name] - whole[name]) < 1e-12 for name in ks)
assert ks["petal_length"] > 0.1 > ks["sepal_length"]

# %% [markdown]
# labkit's `compare` of [notebook 06](06_detect_data_drift.ipynb) takes a Dask collection like any table, and does just
# that inside. Here the parts form one array, of which no process ever holds the whole. (`make lab` installs Dask; with
# pip it is `labkit[cluster]`.)

# %%
from dask import array, delayed

from labkit.observe.drift import Reference

batch = array.concatenate([array.from_delayed(delayed(part)(n), (20_000, 4), dtype=float) for n in range(8)])
steady = scenario("steady").batch(10_000, 0.0, np.random.default_rng(99)).instances
report = Reference(steady, reference.feature_names).compare(batch).set_index("feature")
report[["n_current", "ks", "p_adjusted", "drifted"]]

# %% [markdown]
# With so many rows `petal_length` is surely different. Whether an eighth of the rows is large enough to be called drift
# is up to you: `min_effect` asks for a distance of 0.15 unless you say otherwise.

# %%
assert report["n_current"].eq(160_000).all()
assert report["ks"].idxmax() == "petal_length"
assert report.loc["petal_length", "p_adjusted"] < 1e-6

# %% [markdown]
# ## Many learners on a hub
#
# The last thing to outgrow is one person. On a JupyterHub many learners share machines, and each of them runs a stack.
# What keeps them apart is that all state of a lab is in one folder, its home: ports, secrets, data, progress. Here are
# two of them:

# %%
import tempfile

from labkit.stack.home import Home

with tempfile.TemporaryDirectory() as folder:
    ada, ben = (Home(f"{folder}/{name}").create() for name in ("ada", "ben"))
    for home in (ada, ben):
        home.choose_ports()
    print(f"{ada.url('prometheus')}\n{ben.url('prometheus')}")
    assert ada.secret("reload_token") != ben.secret("reload_token")

# %% [markdown]
# - Ports are chosen among those that are free, and kept. Every server listens on 127.0.0.1 of its machine.
# - Secrets are random and readable by their owner alone, so a neighbour on the same machine cannot reload your model.
# - `LABKIT_HOME` says where the home is, for instance on each person's own volume: `LABKIT_HOME=/home/ada/lab`.
# - On a hub a browser does not reach 127.0.0.1 of the server. `jupyter-server-proxy` passes pages on, and nothing in
#   this course needs them: `lab` shows alerts, targets and messages by itself.
# - Each stack takes memory and a share of a core. Start one on the hub before the class, and measure.

# %% [markdown]
# ## In practice
#
# - Replicas come and go. Service discovery (Kubernetes, Consul, cloud APIs) writes the targets that a file named here.
# - A promotion must reach every replica. Until it has, two versions answer; keep `model_version` on every metric, and
#   count versions: `count by (model_version) (model_info)`.
# - Judge by recording rules that sum over `instance`, and ship these: they are few. Raw series may stay local.
# - Two Prometheus servers that scrape the same are the usual redundancy. They differ in one external label, and the
#   store removes what it got twice.
# - Quantile *summaries*, computed in the client, cannot be put together at all. Use histograms.

# %% [markdown]
# ## Recap
#
# - Counters and buckets add up over machines; means, ratios and quantiles do not. Add first, divide last.
# - The fleet's number says whether to act, the number by `instance` says where.
# - Remote write carries samples to a store that remembers; choose what goes, and say where it comes from.
# - A cluster engine follows the same rule: count where the rows are, and add the counts.

# %%
fleet.stop()
store.stop()
lab.stop_traffic()

# %% [markdown]
# [Next: Bring your own model](12_bring_your_own_model.ipynb)
