# %% [markdown]
# # Scrape and query
#
# **You will do:** follow a number from the service into Prometheus, and ask Prometheus for rates, ratios, quantiles
# and the accuracy.
#
# **You will learn:** how a scrape works, the four questions that every model's dashboard asks, and why a query that
# is wrong is so often just empty.
#
# **You need:** 35 minutes. [Notebook 02](02_instrument_the_model.ipynb) helps, but nothing from it is needed here.

# %%
from labkit import Lab
from labkit.teach import ____, open_lesson

lesson = open_lesson("03")
lab = Lab.open(fresh=True)
lesson

# %% [markdown]
# A client whose release broke three requests of ten keeps the service busy while you read:

# %%
lab.traffic("bad_requests", rate=10)

# %% [markdown]
# ## Targets: who is asked
#
# Prometheus asks; services only answer. Whom it asks are its **targets**. Each is an address that shows metrics as
# text.

# %%
lab.prometheus.targets()[["job", "instance", "health", "scrape_seconds"]]

# %% [markdown]
# Prometheus gets them from files, one for each job, and reads a file again when it changes. No server is restarted
# when a target moves.

# %%
print((lab.home.rendered / "prometheus/targets/model.json").read_text())

# %% [markdown]
# These are processes on this machine. Among containers the same file holds a name such as `model:8000`, because there
# `localhost` would be Prometheus's own container: the most frequent reason for a target that is down. Everything else
# stays as it is.

# %%
from labkit.stack.render import config_dir

print((config_dir() / "prometheus/targets/model.json").read_text())

# %% [markdown]
# ## A scrape
#
# Every 15 seconds (250 ms in the lab) Prometheus gets this page, and stores each number with the time:

# %%
import httpx

page = httpx.get(f"{lab.home.url('model')}/metrics").text
print("\n".join(line for line in page.splitlines() if "prediction_requests" in line))

# %% [markdown]
# Asked for the same name, Prometheus adds who was scraped, `job` and `instance`:

# %%
lab.wait_for("model_prediction_requests_total > 20", "3h")

# %% [markdown]
# For every scrape it also writes down whether it worked, as the metric `up`:

# %%
lab.query('up{job="model"}')

# %% [markdown]
# That is PromQL. A name alone asks for every series of that metric. `{job="model"}` keeps those whose label says so,
# and `=~` compares a label with a regular expression. `[5m]` asks for the samples of the last five minutes, of which a
# function such as `rate()` makes one number. `sum by (x) (...)` adds up the series that agree in the label `x`, and
# drops every other label.

# %% [markdown]
# ## The four panels that tutorials show
#
# First the labels of some rows have to arrive, minutes after their predictions:

# %%
lab.wait_for("model_accuracy", "5h")

# %% [markdown]
# Many a tutorial on monitoring models prints four queries for a dashboard. Here are four such, with the names of
# metrics as tutorials shorten them. Run them:

# %%
panels = {
    "prediction rate": "rate(predictions_total[5m])",
    "error rate": "rate(prediction_errors_total[5m])",
    "P95 latency": "histogram_quantile(0.95, prediction_latency_seconds)",
    "accuracy": "model_accuracy",
}
for name, expression in panels.items():
    print(f"{name}: {len(lab.query(expression))} series")

# %% [markdown]
# Three are empty. Prometheus reported no error: a query for a metric that does not exist is a good query with an empty
# answer, and a panel that shows nothing looks much like a panel that shows that nothing is wrong. Which names are
# there? The column `value` counts the series of each:

# %%
for expression in list(panels.values())[:3]:
    assert len(lab.query(expression)) == 0
lab.query('count by (__name__) ({__name__=~"model_prediction.*", job="model"})')

# %% [markdown]
# ## Rates
#
# A counter only rises, so its value says little. `rate(x[5m])` is its average rise per second over the last five
# minutes, and knows about restarts. With the right name the first panel works:

# %%
lab.wait_for("sum(increase(model_prediction_errors_total[5m])) > 5", "3h")
lab.query("sum by (model_name) (rate(model_prediction_requests_total[5m]))")

# %% [markdown]
# That is per lab second, which is a production minute. This is why rules in this course compare no rate with a
# number: they use ratios of rates, where the second cancels out, and `increase()`, which counts, though rarely in whole
# numbers: it prolongs the rise to the edges of its window.

# %% [markdown]
# ## Ratios
#
# Errors per second are hard to judge: five are many at night and few at noon. The share of requests that fail can be
# judged. Sum both sides to the same labels first.

# %% [markdown]
# ### Exercise 3.1: The share of failed requests
#
# Write PromQL for the share of requests that failed in the last five minutes, one number for the model (`sum by
# (model_name)`). The counters are `model_prediction_errors_total` and `model_prediction_requests_total`. Assign the
# text to `failed_share`.

# %%
# solution
failed_share = """
sum by (model_name) (rate(model_prediction_errors_total[5m]))
  / sum by (model_name) (rate(model_prediction_requests_total[5m]))
"""
# end solution
lesson.q1.check(lab, failed_share)

# %% [markdown]
# A recording rule in `docker/prometheus/rules/errors.yml` records the same, so that alerts and dashboards share one
# definition:

# %%
lab.query("model:errors:ratio_rate5m")

# %% [markdown]
# ## Quantiles
#
# The third panel has a wrong name, and more is wrong with it. With the right name it stays empty (below,
# `last_over_time(x[1h])` takes the latest sample of the hour):

# %%
assert len(lab.query("histogram_quantile(0.95, model_prediction_latency_seconds)")) == 0
lab.query('last_over_time(model_prediction_latency_seconds_bucket{le=~"0.001|0.005|0.05"}[1h])')[["le", "value"]]

# %% [markdown]
# A histogram is stored as one counter per bucket, and `le`, less or equal, says where each ends. A quantile needs the
# **rate** of the **buckets**, and every sum must keep `le`:

# %% [markdown]
# ### Exercise 3.2: The 95th percentile
#
# Write PromQL for the latency below which 95 % of the calls of the last five minutes stayed, over all instances of
# the model. Assign the text to `p95`.

# %%
# solution
p95 = "histogram_quantile(0.95, sum by (model_name, le) (rate(model_prediction_latency_seconds_bucket[5m])))"
# end solution
lesson.q2.check(lab, p95)

# %% [markdown]
# Prometheus estimates inside a bucket, so a quantile is never more precise than the buckets. When you only want to
# know whether the objective of 50 ms is kept, divide the bucket that ends there by all: that is exact.

# %%
within = 'sum(rate(model_prediction_latency_seconds_bucket{le="0.05"}[5m]))'
every = "sum(rate(model_prediction_latency_seconds_count[5m]))"
share = lab.wait_for(f"{within} / {every} >= 0", "3h")["value"].item()
assert share <= 1
f"{share:.1%} of the calls took at most 50 ms"

# %% [markdown]
# ## Accuracy
#
# The fourth panel is the only one that works as it was printed. `model_accuracy` is a gauge: the share of right
# answers among the last labelled rows, made by the service itself. You cannot choose the window, cannot add up two
# replicas, and when labels stop it stays where it was for ever. Counters of labels have none of these faults.

# %%
lab.wait_for("sum(increase(model_labels_total[15m])) > 50", "3h")
lab.query("sum by (outcome) (increase(model_labels_total[15m]))")

# %% [markdown]
# ### Exercise 3.3: Accuracy over a window
#
# Write PromQL for the share of right answers among the rows labelled in the last 15 minutes, one number for the model
# (`sum by (model_name)`), from `model_labels_total`. Assign the text to `accuracy`.

# %%
# solution
accuracy = """
sum by (model_name) (rate(model_labels_total{outcome="correct"}[15m]))
  / sum by (model_name) (rate(model_labels_total[15m]))
"""
# end solution
lesson.q3.check(lab, accuracy)

# %% [markdown]
# ## What goes wrong: two counters with different labels, and NaN
#
# In the collector that tutorials print, the counter of errors carries `error_type` and the counter of requests does
# not. Divide them as they are, and look for the error ratio of a service that fails three times of ten:

# %%
naive = "rate(model_prediction_errors_total[5m]) / rate(model_prediction_requests_total[5m])"
assert len(lab.query(naive)) == 0
lab.query(naive)

# %% [markdown]
# Empty, for ever. Prometheus divides only series with equal labels, and no pair has them. An alert on this expression
# can never fire, and nothing tells you. Summed to the same labels on both sides, as in exercise 3.1, it works.

# %%
errors = "sum by (model_name) (rate(model_prediction_errors_total[5m]))"
mended = f"{errors} / sum by (model_name) (rate(model_prediction_requests_total[5m]))"
lab.query(mended)

# %% [markdown]
# Now the client goes home. Nobody asks any more, and after five minutes both rates are 0:

# %%
lab.stop_traffic()
lab.wait_for("sum(increase(model_prediction_requests_total[5m])) == 0", "3h")
lab.query(mended)

# %% [markdown]
# 0 / 0 is NaN, not a number. NaN compares with nothing: neither `> 0.01` nor `<= 0.01` is true of it, so both alerts
# are silent. The popular advice is to append `or vector(0)`:

# %%
for expression in (f"({mended}) > 0.01", f"({mended}) <= 0.01"):
    assert len(lab.query(expression)) == 0
advised = lab.query(f"sum({mended}) or vector(0)")
assert advised["value"].isna().all()
advised

# %% [markdown]
# Still NaN: `or` helps where there is **no** series, and NaN is one. And were it 0, it would be a lie: nobody knows
# how often a service fails that nobody asks. Let the ratio be silent, and ask the other question by itself.

# %% [markdown]
# ### Exercise 3.4: Nobody asks
#
# Write PromQL that returns a series just when the model had no request in the last five minutes (`sum by
# (model_name)`), and nothing while requests come. Assign the text to `no_traffic`.

# %%
# solution
no_traffic = "sum by (model_name) (increase(model_prediction_requests_total[5m])) == 0"
# end solution
lesson.q4.check(lab, no_traffic)

# %% [markdown]
# ## In practice
#
# - Targets come from service discovery: Kubernetes, Consul, EC2. What a file holds here comes from an interface
#   there.
# - The scrape is every 15 to 60 seconds. A range should hold at least four scrapes, or a lost one leaves a gap.
# - Record what is used twice, and name it `level:metric:operations`, as the rules in `docker/prometheus/rules` do.
# - An empty answer is the most frequent fault of dashboards and alerts. Test both with data; notebooks 04 and 08 do.

# %% [markdown]
# ## Recap
#
# - Prometheus pulls. `up` says whether it could; labels say from whom.
# - Rates of counters, ratios of rates, quantiles of the rates of buckets with `le` kept, accuracy from counters of
#   labels.
# - A wrong name or unequal labels give an empty answer and no error.
# - Without traffic a ratio is NaN, and no alert on it fires. Ask for the absence of traffic too.

# %%
lab.stop_traffic()

# %% [markdown]
# [Next: Build dashboards](04_build_dashboards.ipynb)
