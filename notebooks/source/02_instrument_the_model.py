# %% [markdown]
# # Instrument the model
#
# **You will do:** define metrics by hand, repair the decorator that many tutorials print, and write one of your own
# that is fit for production.
#
# **You will learn:** counters, gauges and histograms, what labels and buckets cost, how to test metrics, and why the
# first error is so often invisible.
#
# **You need:** 35 minutes. [Notebook 01](01_a_model_that_fails_silently.ipynb) helps, but nothing from it is needed
# here.

# %%
from labkit import Lab
from labkit.teach import ____, open_lesson

# %%
lesson = open_lesson("02")
lab = Lab.open(fresh=True)
lesson

# %% [markdown]
# ## Three kinds of number
#
# A **counter** only rises: requests, errors. A **gauge** goes up and down: calls in progress. A **histogram** counts
# values by size: seconds. They live in a registry. We make our own, so that nothing is shared by accident.

# %%
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# %%
registry = CollectorRegistry()
calls = Counter("shop_calls_total", "Calls answered", registry=registry)
open_now = Gauge("shop_calls_open", "Calls that are open now", registry=registry)
seconds = Histogram("shop_call_seconds", "Time that a call took", buckets=(0.01, 0.1, 1), registry=registry)

# %% [markdown]
# Let three calls happen, and print what Prometheus would read:

# %%
for duration in (0.004, 0.05, 0.7):
    with open_now.track_inprogress():
        calls.inc()
        seconds.observe(duration)
print(generate_latest(registry).decode())

# %% [markdown]
# Read the histogram: `le="0.1"` counts every call that took **at most** 0.1 s, those below 0.01 s too. A quantile is
# later computed from these few numbers. The `_created` lines say when counting began; each costs a series, one more
# number to store over time, and can be turned off with `disable_created_metrics()`.

# %%
assert registry.get_sample_value("shop_call_seconds_bucket", {"le": "0.1"}) >= 2
assert registry.get_sample_value("shop_calls_open") == 0

# %% [markdown]
# ## Labels
#
# A label splits a metric into one series for each of its values. Each such series is called a child, and it exists
# only from the moment it is first asked for.

# %% [markdown]
# ### Exercise 2.1: Count by class
#
# Write `count_classes(registry)`. It returns a counter `flowers_total` with the label `predicted_class`, defined in
# the registry that it is given, and exports the three classes `setosa`, `versicolor` and `virginica` at 0 before
# anything was counted. Replace the whole line `count_classes = ____` by your `def count_classes(registry):`.


# %%
# solution
def count_classes(registry):
    flowers = Counter("flowers_total", "Flowers by the class predicted", ["predicted_class"], registry=registry)
    for name in ("setosa", "versicolor", "virginica"):
        flowers.labels(predicted_class=name)
    return flowers


# end solution
lesson.q1.check(count_classes)

# %% [markdown]
# ## The decorator that tutorials print
#
# To count every call of a function, one wraps it. This is how tutorials on monitoring models usually do it:

# %%
import time

# %%
page = CollectorRegistry()
requests = Counter("page_requests_total", "Requests", ["model_name", "model_version"], registry=page)
errors = Counter("page_errors_total", "Errors", ["model_name", "error_type"], registry=page)
latency = Histogram("page_latency_seconds", "Latency", ["model_name"], registry=page)


# %%
def track(predict):
    def counted(*instances):
        requests.labels("iris", "v1").inc()
        began = time.time()
        try:
            answer = predict(*instances)
        except Exception as error:
            errors.labels("iris", type(error).__name__).inc()
            raise
        latency.labels("iris").observe(time.time() - began)
        return answer

    return counted


# %% [markdown]
# It works in the demonstration. Now use it as a service does: a call that fails, and a coroutine.


# %%
@track
def predict(instances):
    """Return a class for each row."""
    if not instances:
        raise ValueError("no rows")
    return ["setosa" for _ in instances]


# %%
def timed():
    return page.get_sample_value("page_latency_seconds_count", {"model_name": "iris"}) or 0


before = timed()
predict([[5.1, 3.5, 1.4, 0.2]])
try:
    predict([])
except ValueError as error:
    print("raised:", error)
print(f"2 calls, {timed() - before:.0f} timed; the function is now called {predict.__name__!r}")

# %%
assert timed() - before == 1 and predict.__name__ != "predict"

# %% [markdown]
# The failed call was not timed. Failures are often the slowest calls, such as timeouts: this latency looks best on
# the worst day. And the function lost its name. The coroutine is worse:

# %%
import asyncio


# %%
@track
async def slow_predict():
    await asyncio.sleep(0.2)
    return ["setosa"]


before = timed()
coroutine = slow_predict()
early = timed() - before
await coroutine
print(f"timed before it ran: {early:.0f}, afterwards: {timed() - before - early:.0f}")
assert early == 1 and timed() - before == 1

# %% [markdown]
# The call takes 0.2 s and was timed before it had begun: calling a coroutine function only makes a coroutine. Of an
# asynchronous service every latency would be a few microseconds, and every error would be missed. There is more:
#
# - `type(error).__name__` as a label is an open set: any library can add values to it.
# - No error exists until the first one happens. You will see below what that costs.
# - `errors` and `requests` have different labels, and cannot be divided as they are. That is notebook 03.
# - `time.time()` jumps when the clock is set. `perf_counter()` does not.

# %% [markdown]
# ### Exercise 2.2: A decorator of your own
#
# Write `track_prediction(registry)`, which returns a decorator for plain functions. Each metric has the labels
# `model_name` and `model_version`, with the values `iris` and `v1`:
#
# - `model_prediction_requests_total` counts calls,
# - `model_prediction_errors_total` has `error_type` too: `invalid_input` for a ValueError, `other` for the rest, both
#   exported at 0 from the start,
# - `model_prediction_latency_seconds` times every call, also one that fails.
#
# Errors are raised again, and the function keeps its name.

# %%
from functools import wraps

names, values = ["model_name", "model_version"], ("iris", "v1")


# %%
# solution
def track_prediction(registry):
    requests = Counter("model_prediction_requests_total", "Calls", names, registry=registry).labels(*values)
    latency = Histogram("model_prediction_latency_seconds", "Seconds", names, registry=registry).labels(*values)
    errors = Counter("model_prediction_errors_total", "Failed calls", [*names, "error_type"], registry=registry)
    invalid, other = errors.labels(*values, "invalid_input"), errors.labels(*values, "other")

    def decorate(function):
        @wraps(function)
        def tracked(*args, **kwargs):
            requests.inc()
            with latency.time():  # also when the call fails
                try:
                    return function(*args, **kwargs)
                except BaseException as error:
                    (invalid if isinstance(error, ValueError) else other).inc()
                    raise

        return tracked

    return decorate


# end solution
lesson.q2.check(track_prediction)

# %% [markdown]
# ## The same, from labkit
#
# From here on the course uses `labkit.observe.tracking`. It gives the series that you have just written, takes
# coroutines, counts rows and calls in progress, and costs a fraction of it, because a call only appends to a list.

# %%
from labkit.observe.tracking import track_prediction as labkit_track

shared = CollectorRegistry()


# %%
@labkit_track("iris", "v1", registry=shared)
def classify(instances):
    """Return a class for each row."""
    if not instances:
        raise ValueError("no rows")
    return ["setosa" for _ in instances]


# %% [markdown]
# Two calls, one of which fails, and the numbers that exercise 2.2 asked for:


# %%
def value(name):
    return shared.get_sample_value(name, {"model_name": "iris", "model_version": "v1"})


count = "model_prediction_latency_seconds_count"
before = value(count)
classify([[5.1, 3.5, 1.4, 0.2]])
try:
    classify([])
except ValueError as error:
    print("raised:", error)
assert value(count) - before == 2 and classify.__name__ == "classify"

# %%
for family in shared.collect():
    for sample in family.samples:
        if "error" in sample.name or "requests" in sample.name or "rows" in sample.name:
            print(sample.name, sample.labels.get("error_type", ""), sample.value)

# %% [markdown]
# Both calls are timed, every type of error is there from the start, and the set of types is closed.

# %% [markdown]
# ## Buckets
#
# A histogram knows only how many values lie between its bounds. Inside a bucket Prometheus draws a straight line. So
# put bounds where the answers are, and one exactly at the objective.

# %% [markdown]
# ### Exercise 2.3: Bounds for this model
#
# Most calls of a model take between 0.2 and 5 ms, a few take 40 ms, and the objective says: 95 % within 50 ms. Choose
# `bounds`, a tuple of seconds: at most 15, rising, at least four of them up to 5 ms, one exactly at the objective,
# and the last at least 0.5, so that slow calls are told apart too.

# %%
# solution
bounds = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
# end solution
lesson.q3.check(bounds)

# %% [markdown]
# ## Test metrics
#
# Metrics are code that nobody looks at until the night on which they are needed. So test them: a registry of its own
# for each test makes that easy.

# %% [markdown]
# ### Exercise 2.4: A test that can fail
#
# Write `test_errors(track, registry)`. It decorates a function of yours with `track`, makes it raise a ValueError,
# and asserts that the error reaches the caller **and** that `model_prediction_errors_total` with
# `error_type="invalid_input"`, and `iris` and `v1` as in exercise 2.2, is 1. The check runs your test against a good
# decorator and against broken ones: it has to pass for the first and to fail for the others.


# %%
# solution
def test_errors(track, registry):
    @track
    def broken():
        raise ValueError("no rows")

    raised = False
    try:
        broken()
    except ValueError:
        raised = True
    assert raised
    labels = {"model_name": "iris", "model_version": "v1", "error_type": "invalid_input"}
    assert registry.get_sample_value("model_prediction_errors_total", labels) == 1


# end solution
lesson.q4.check(test_errors)

# %% [markdown]
# ## What goes wrong: four ways to measure nothing
#
# **A cell that is run twice.** A registry refuses a second metric of the same name. In a notebook that is what
# happens when you run a cell again, in a service when a module is imported twice:

# %%
once = CollectorRegistry()
Counter("visits_total", "Visits", registry=once)

# %%
try:
    Counter("visits_total", "Visits", registry=once)
except ValueError as error:
    print(error)

# %% [markdown]
# The mend is what every cell here does: make the registry where the metrics are made, and pass it on.
#
# **A label per user.** Each value of a label is a new series, for ever, in the service and in Prometheus. A histogram
# multiplies that by its buckets:

# %%
users = CollectorRegistry()
by_user = Histogram("user_seconds", "Seconds by user", ["user"], registry=users)
for number in range(1000):
    by_user.labels(f"user-{number}").observe(0.001)

# %%
page_size = len(generate_latest(users))
print(f"{page_size / 1e6:.1f} MB in every scrape, for 1,000 users")
assert page_size > 500_000

# %% [markdown]
# And a service has more users every day. Labels hold small closed sets: class, version, type of error. Who it was
# belongs into the log (notebook 05).
#
# **Default buckets.** They begin at 5 ms, made for web pages. We observe the same 1,000 calls of 0.2 ms with default
# bounds and with bounds made for a model, and let the lab's Prometheus scrape them from this notebook:

# %%
from labkit.teach.serving import serve

# %%
latencies = CollectorRegistry()
usual = Histogram("usual_seconds", "Default bounds", registry=latencies)
fitting = Histogram(
    "fitting_seconds", "Bounds made for this model", buckets=(0.0001, 0.0003, 0.001, 0.01), registry=latencies
)
for _ in range(1000):
    usual.observe(0.0002)
    fitting.observe(0.0002)
serve(lab, latencies)


# %%
def p95(name):
    serve(lab, latencies)  # again, if another registry is served by now
    buckets = f'last_over_time({name}_bucket{{job="notebook"}}[1h])'
    return lab.wait_for(f"histogram_quantile(0.95, sum by (le) ({buckets}))")["value"].item()


# %%
print(f"default bounds: {1000 * p95('usual_seconds'):.2f} ms, fitting: {1000 * p95('fitting_seconds'):.2f} ms")
assert abs(p95("usual_seconds") - 0.00475) < 1e-9 and p95("fitting_seconds") < 0.0003

# %% [markdown]
# The first number is an artefact: 95 % of the way through a bucket from 0 to 5 ms. It would be the same for calls of
# a microsecond, and would not move if they became ten times slower.
#
# **The first error.** Two types of error, one exported at 0 from the start and one not. Both happen ten times, at the
# same moment:

# %%
births = CollectorRegistry()
failures = Counter("failures_total", "Failures", ["error_type"], registry=births)
failures.labels("announced")
instance = serve(lab, births).split("/")[2]
failures.labels("announced").inc(10)
failures.labels("born").inc(10)
series = f'failures_total{{instance="{instance}"}}'
seen = lab.wait_for(f'count_over_time(failures_total{{instance="{instance}", error_type="born"}}[6h]) >= 2', "5h")
rise = lab.query(f"increase({series}[6h])").set_index("error_type")["value"]
rise

# %% [markdown]
# Ten errors happened, and `increase()` says 0. A series that appears with the value 10 has not risen: Prometheus
# cannot know that it was 0 before. An alert on errors would miss the first ones, which for a rare error are all there
# are. So export every child of a closed set at 0 from the start. (For the other type it says somewhat more than ten:
# `increase()` prolongs the rise to the edges of its window, so its counts are rarely whole.)

# %%
assert rise["born"] == 0 and rise["announced"] > 0

# %% [markdown]
# ## In practice
#
# - Bind children once, `requests.labels(...)`, and keep them: looking them up costs more than counting.
# - Choose names and labels as if you could never change them. Dashboards and alerts hang on them.
# - With several worker processes each has its own counters. `prometheus_client` has a multiprocess mode; one process
#   per container is simpler.
# - `start_http_server` listens on every interface unless told `addr="127.0.0.1"`.

# %% [markdown]
# ## Recap
#
# - Counters rise, gauges move, histograms count by size. A registry is passed in.
# - A decorator for production times failures too, knows coroutines, keeps the name, and raises again.
# - Labels are small closed sets, every child exported at 0.
# - Bounds lie where the values are, and one lies at the objective.
# - Metrics have tests that can fail.

# %%
from labkit.teach.serving import end_serving

end_serving(lab)
lab.stop_traffic()

# %% [markdown]
# [Next: Scrape and query](03_scrape_and_query.ipynb)
