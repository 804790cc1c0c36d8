# %% [markdown]
# # Write logs that can be queried
#
# **You will do:** write log lines as JSON, find the lines behind an alert, and follow one prediction from its request
# id to the log line, the stored row and the metric.
#
# **You will learn:** what belongs into a line, what must never be in it, and why a metric tells you that something is
# wrong while a log tells you which requests.
#
# **You need:** 25 minutes. [Notebook 03](03_scrape_and_query.ipynb) helps, but nothing from it is needed here.

# %%
from labkit import Lab
from labkit.teach import ____, open_lesson

lesson = open_lesson("05")
lab = Lab.open(fresh=True)
lesson

# %% [markdown]
# Healthy traffic runs while you read.

# %%
lab.traffic("steady", rate=20)

# %% [markdown]
# ## One event, one line, named fields
#
# A line is written once and searched many times, by people under pressure and by programs. So it says *what happened*
# in a fixed word, the event, and everything that varies in fields of its own. `structlog` builds such lines: a chain of
# processors, each a function that gets the event as a dictionary and returns it; the last one makes text of it.

# %%
import io
import json

import structlog


def write_with(processors, event, **fields):
    stream = io.StringIO()
    structlog.wrap_logger(structlog.WriteLogger(stream), processors=processors).info(event, **fields)
    return stream.getvalue()


line = write_with([structlog.processors.JSONRenderer()], "predicted", model_version="v1", rows=3, seconds=0.0031)
print(line)

# %% [markdown]
# Any program reads this back, with numbers that are numbers:

# %%
assert json.loads(line)["seconds"] < 0.05

# %% [markdown]
# ## The request id
#
# A service answers many requests at once, and their lines interleave. Each request therefore gets an id at the door.
# It is bound to the context once, and a processor puts it on every line that is written while the request is served, in
# whatever module that happens.

# %%
with structlog.contextvars.bound_contextvars(request_id="5f1c"):
    chain = [structlog.contextvars.merge_contextvars, structlog.processors.JSONRenderer()]
    print(write_with(chain, "predicted", rows=3))

# %% [markdown]
# ### Exercise 5.1: A chain of processors
#
# Build the list `processors` that gives each line its `event`, its `level`, the `request_id` of the context, and a
# `timestamp` in ISO 8601 and UTC, as one JSON object. Look at `structlog.processors` and `structlog.contextvars`.

# %%
# solution
processors = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.JSONRenderer(),
]
# end solution
lesson.q1.check(processors)

# %% [markdown]
# The services of the lab write their lines with such a chain, `labkit.observe.logs`. Here is one of the latest of the
# model:

# %%
lab.wait_for("sum(model_prediction_requests_total) > 20")
print((lab.home.logs / "model.log").read_text().splitlines()[-2])

# %% [markdown]
# `lab.logs` reads the file as a table, which is what a log store such as Loki or Elasticsearch does in production.

# %%
log = lab.logs("model")
log[["timestamp", "event", "request_id", "rows", "seconds"]].tail(3)

# %% [markdown]
# Fields make questions cheap. Which events are there, and how many rows had each?

# %%
log.groupby("event").agg(lines=("event", "size"), rows=("rows", "sum"))

# %% [markdown]
# Look at the events with a number in them. The web server wrote its lines as sentences, so every start of it is an
# event of its own, and nobody can count them. `predicted` is one word for all predictions.

# %% [markdown]
# ## From an alert to the lines behind it
#
# A client's new release breaks three requests of ten. Wait for the alert, as the person on call would.

# %%
lab.fault("bad_requests")
lab.wait_for('ALERTS{alertname="ModelErrorBudgetBurnFast", alertstate="firing"}', timeout="3h")
lab.alerts().query("alertname == 'ModelErrorBudgetBurnFast'")[["state", "active_at", "summary"]]

# %% [markdown]
# The metric knows the kinds of errors, because their number is small and closed:

# %%
lab.query("sum by (error_type) (increase(model_prediction_errors_total[5m])) > 0")

# %% [markdown]
# Which requests they were it cannot know: an id as a label would be a new series for each request. That is what the log
# is for. A refused request is logged as `prediction refused`, with its `error_type` and its `request_id`.

# %%
log = lab.logs("model")
refused = log[log["event"] == "prediction refused"]
refused[["timestamp", "level", "error_type", "request_id"]].tail(3)

# %% [markdown]
# ### Exercise 5.2: The lines of one time span
#
# An alert names a time. Write `count_refused(log, since, until)`: how many predictions were refused from `since` on and
# before `until`, for each `error_type`. `log` is a table as above. Return a pandas Series or a dictionary.


# %%
# solution
def count_refused(log, since, until):
    in_span = (log["timestamp"] >= since) & (log["timestamp"] < until)
    return log[in_span & (log["event"] == "prediction refused")]["error_type"].value_counts()


# end solution
lesson.q2.check(lab, count_refused)

# %% [markdown]
# Look at the level again: the refusals are `info`. Nothing is wrong with the service when it refuses what it cannot
# read, and a search for `level == "error"` finds nothing at all:

# %%
assert len(refused) > 0
assert set(refused["level"]) == {"info"}

# %% [markdown]
# Metric and log tell the same story, the one in numbers, the other in names. All kinds that the metric has counted
# since the start are in the log too:

# %%
counted = lab.query("sum by (error_type) (model_prediction_errors_total) > 0")["error_type"]
assert set(counted) <= set(lab.logs("model")["error_type"].dropna())
sorted(counted)

# %%
lab.stop_traffic()  # what follows is about one flower

# %% [markdown]
# ## Privacy: what is not in a line
#
# The line above has no flower in it. Inputs describe people in most models, logs are read by many, copied to other
# systems, and kept for long. So inputs go into one place, the prediction store, which only its owner may read, which
# forgets after seven days, and which is asked by request id.

# %%
import stat

assert not any(column in log.columns for column in ("instances", "petal_length", "labels"))
stat.filemode(lab.home.predictions.stat().st_mode)

# %% [markdown]
# Somebody will log an input by mistake one day. A processor can refuse to let it through, if it works by a list of what
# is allowed. A list of what is forbidden always lacks the next field.

# %%
ALLOWED = {"event", "level", "timestamp", "request_id", "service", "model_version", "rows", "seconds", "error_type"}

# %% [markdown]
# ### Exercise 5.3: A processor that keeps secrets
#
# Write the processor `keep_allowed(_logger, _method, event)`: it returns the event with its `ALLOWED` fields only, and
# with a field `dropped` that lists the names of the others, sorted, if there were any.


# %%
# solution
def keep_allowed(_logger, _method, event):
    kept = {name: value for name, value in event.items() if name in ALLOWED}
    dropped = sorted(set(event) - ALLOWED)
    return {**kept, "dropped": dropped} if dropped else kept


# end solution
lesson.q3.check(keep_allowed)

# %% [markdown]
# ## One prediction, everywhere
#
# Now follow a single flower. The client keeps the `request_id` of its answer; that is what it tells you when it
# complains.

# %%
import time

asked_at = time.time() - 1
answer = lab.predict([[6.1, 2.8, 4.9, 1.7]])
request_id = answer["request_id"]
answer

# %% [markdown]
# Its line in the log says when, by which version, and how long it took:

# %%
lab.logs("model").query("request_id == @request_id")[["timestamp", "event", "model_version", "seconds"]]

# %% [markdown]
# Its row in the store says what was asked and answered, and how sure the model was. No label has come yet.

# %%
with lab.store() as store:
    rows = store.predictions(since=asked_at)
row = rows[rows["request_id"] == request_id].iloc[0]
row

# %% [markdown]
# In the metric it is one more in a bucket of `model_prediction_confidence`. These are the bounds:

# %%
from labkit.observe.outcomes import CONFIDENCE_BOUNDS

CONFIDENCE_BOUNDS

# %% [markdown]
# ### Exercise 5.4: Trace a prediction
#
# Assign a dictionary `trace` for the prediction above with four facts: `model_version` and `seconds` from its log line,
# `confidence` from its stored row, and `le`, the bound of the smallest bucket that counts it. Take them from the tables
# by code, not by eye.

# %%
# solution
line = lab.logs("model").query("request_id == @request_id").iloc[0]
trace = {
    "model_version": line["model_version"],
    "seconds": line["seconds"],
    "confidence": row["confidence"],
    "le": next(bound for bound in CONFIDENCE_BOUNDS if row["confidence"] <= bound),
}
# end solution
lesson.q4.check(lab, request_id, trace)

# %% [markdown]
# ## Exemplars: back from the metric
#
# The way back is harder: a bucket is a number and knows nobody. An exemplar is one request id that a bucket remembers,
# the latest. It costs no series, since it is no label.

# %%
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.openmetrics.exposition import generate_latest

registry = CollectorRegistry()
confidence = Histogram("confidence", "Of each answer", buckets=CONFIDENCE_BOUNDS, registry=registry)
confidence.observe(row["confidence"], exemplar={"request_id": request_id})

# %% [markdown]
# Only the OpenMetrics format can carry it, behind a `#`:

# %%
shown = [line for line in generate_latest(registry).decode().splitlines() if " # {" in line]
print("\n".join(shown))

# %%
assert len(shown) == 1
assert request_id in shown[0]

# %% [markdown]
# The older text format has no place for exemplars, and leaves them out without a word:

# %%
from prometheus_client import generate_latest as generate_text

assert request_id not in generate_text(registry).decode()

# %% [markdown]
# Prometheus asks for OpenMetrics by itself, and keeps exemplars when it runs with `--enable-feature=exemplar-storage`,
# as this one does. Let it scrape our histogram, and ask for them. In Grafana they are dots on a graph: a click on an
# unsure or slow one leads to its line in the log.

# %%
from labkit.clock import wait_until
from labkit.teach.serving import end_serving, serve

serve(lab, registry)
found = wait_until(
    lambda: lab.prometheus.exemplars("confidence_bucket", since="7d").to_dict("records"), 60, "an exemplar to be kept"
)
found[-1]["request_id"], found[-1]["value"]

# %%
assert request_id in {each["request_id"] for each in found}

# %% [markdown]
# ## What goes wrong: f-strings, a forged line, a secret
#
# **A sentence instead of fields.** An f-string reads well, and is searched with a pattern. Then a colleague improves
# the wording, and the search finds nothing, without an error:

# %%
import re

pattern = re.compile(r"predicted (\d+) rows in ([\d.]+) ms")
before, after = "predicted 3 rows in 3.1 ms", "answered 3 rows, took 3.1 ms"
bool(pattern.search(before)), bool(pattern.search(after))

# %% [markdown]
# With fields the wording is free: `rows` stays `rows`.
#
# **A line that a client wrote.** Here a label comes with a newline in it, and a plain handler writes what it gets:

# %%
import logging

text = io.StringIO()
plain = logging.Logger("plain")
plain.addHandler(logging.StreamHandler(text))
label = "virginica\n2026-01-01 ERROR admin deleted every model"
plain.info("unknown label %s", label)
print(text.getvalue())

# %% [markdown]
# Two lines, the second one a lie that nobody can tell from the truth. JSON escapes the newline, and one event stays one
# line:

# %%
mended = write_with(processors=[structlog.processors.JSONRenderer()], event="unknown label", label=label)
print(mended)

# %%
assert text.getvalue().count("\n") == 2
assert mended.count("\n") == 1

# %% [markdown]
# **A secret in a traceback.** Something fails, and the traceback goes into the log. structlog's `dict_tracebacks` adds
# the local variables of every frame, which is convenient, and prints the token:


# %%
def fetch(token):
    headers = {"Authorization": f"Bearer {token}"}
    raise TimeoutError(f"the feature store does not answer; {len(headers)} header was sent")


# %%
def log_failure(formatter):
    stream, chain = io.StringIO(), [formatter, structlog.processors.JSONRenderer()]
    log = structlog.wrap_logger(structlog.WriteLogger(stream), processors=chain)
    try:
        fetch(token="tok-4711")
    except TimeoutError:
        log.error("fetch failed", exc_info=True)
    return stream.getvalue()


leaky = log_failure(structlog.processors.dict_tracebacks)
json.loads(leaky)["exception"][0]["frames"][-1]["locals"]

# %% [markdown]
# Mended, the traceback still says where and why, and nothing else:

# %%
transform = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
safe = log_failure(structlog.processors.ExceptionRenderer(transform))
json.loads(safe)["exception"][0]["frames"][-1]

# %%
assert "tok-4711" in leaky
assert "tok-4711" not in safe
assert "does not answer" in safe

# %% [markdown]
# ## In practice
#
# - Write to standard error and let the platform collect the lines; `labkit.observe.logs` is small enough to copy.
# - Take the request id from the caller where there is one (`traceparent` of W3C Trace Context), so that one id leads
#   through all services. Send it back in the answer.
# - Keep lines for weeks, inputs for days. Who may read inputs is a decision with a name to it, and deleting a person's
#   rows must be possible: a store can do that, a log cannot.
# - Sample the lines of successes when there are too many. Never sample failures.

# %% [markdown]
# ## Recap
#
# - An event is a fixed word; what varies is a field. JSON keeps one event on one line, whatever a client sends.
# - The request id joins answer, log line and stored row. Metrics stay free of it; exemplars are the way back.
# - Metrics tell that something is wrong, logs tell which requests.
# - Inputs, tokens and local variables stay out of logs, by a list of what is allowed.

# %%
end_serving(lab)
lab.stop_traffic()

# %% [markdown]
# [Next: Detect data drift](06_detect_data_drift.ipynb)
