# %% [markdown]
# # Watch predictions and late labels
#
# **You will do:** compare the answers of the model with those it used to give, measure its accuracy from labels that
# come late, estimate it without labels, and notice when labels stop.
#
# **You will learn:** what answers and confidences can tell at once, what only labels can tell later, and why an
# accuracy that never changes is bad news.
#
# **You need:** 35 minutes. [Notebook 03](03_scrape_and_query.ipynb) helps, but nothing from it is needed here.

# %%
from labkit import Lab
from labkit.teach import ____, open_lesson

lesson = open_lesson("07")
lab = Lab.open(fresh=True)
lesson

# %% [markdown]
# The retrainer is switched off here: you are the one who judges. Then traffic starts. What each flower was, its label,
# comes five to ten minutes after the prediction.

# %%
lab.home.retraining_off.touch()
lab.traffic("steady", rate=20)
lab.wait_for("sum(increase(model_labels_total[15m])) > 100", timeout="3h")

# %% [markdown]
# ## What is answered
#
# Answers are known at once. `model_predictions_total` counts rows by `predicted_class`. Now virginica comes into
# season: seven flowers of ten.

# %%
lab.fault("class_shift")
lab.wait_for("model_version:prediction_shift:distance_rate1h > 0.15", timeout="3h")

# %% [markdown]
# ### Exercise 7.1: Shares of classes
#
# Write the query `shares`: for each `predicted_class`, which share of the rows of the last 15 minutes got it. It must
# stay right when the model runs in several replicas, that is, copies of the service.

# %%
# solution
shares = """
sum by (predicted_class) (increase(model_predictions_total[15m]))
  / scalar(sum(increase(model_predictions_total[15m])))
"""
# end solution
lesson.q1.check(lab, shares)

# %% [markdown]
# A share means nothing alone. The model brings what it answered for its reference rows, as the gauge
# `model_reference_prediction_ratio`. Side by side:

# %%
import pandas as pd


def compared():
    recent = lab.query("sum by (predicted_class) (increase(model_predictions_total[1h]))").set_index("predicted_class")
    reference = lab.query("last_over_time(model_reference_prediction_ratio[1m])").set_index("predicted_class")
    return pd.DataFrame({"reference": reference["value"], "now": recent["value"] / recent["value"].sum()})


table = compared()
table.round(3)

# %%
from labkit import plots

plots.class_shares(table)

# %% [markdown]
# One number sums it up: the total variation distance, half the sum of the differences. It is the share of answers that
# went to another class.

# %%
table = compared()
by_hand = (table["now"] - table["reference"]).abs().sum() / 2
by_rule = lab.query("model_version:prediction_shift:distance_rate1h")["value"].item()
round(by_hand, 2), round(by_rule, 2)

# %% [markdown]
# The recording rule does the same in PromQL, and the alert `ModelPredictionDrift` compares it with a limit that is
# never below 0.15.

# %%
assert by_hand > 0.15
assert abs(by_hand - by_rule) < 0.1

# %% [markdown]
# Is anything wrong? The answers alone cannot say: there *are* more virginica. A changed share is a question, never a
# verdict.
#
# ## How sure it is
#
# The confidence is the probability that the model gives to its answer. It is known at once as well:

# %%
lab.query("sum(rate(model_prediction_confidence_sum[15m])) / sum(rate(model_prediction_confidence_count[15m]))")

# %% [markdown]
# Do not read it as accuracy yet. How far it can be read so is measured below.

# %% [markdown]
# ## Whether it was right
#
# `model_labels_total` counts labelled rows by `outcome`. Two counters give the accuracy over any window, and sums over
# replicas are right.

# %%
lab.query("sum by (outcome) (increase(model_labels_total[15m]))")

# %% [markdown]
# ### Exercise 7.2: Accuracy from counters
#
# Write the query `accuracy`: the share of right answers among the rows whose labels came in the last 15 minutes, one
# number for the whole model, however many replicas serve it.

# %%
# solution
accuracy = """
sum(increase(model_labels_total{outcome="correct"}[15m]))
  / sum(increase(model_labels_total[15m]))
"""
# end solution
lesson.q2.check(lab, accuracy)

# %% [markdown]
# So the season harms nobody: the accuracy is above its objective of 0.90.

# %%
measured = lab.query("model_version:accuracy:ratio_rate15m")["value"].item()
assert measured > 0.90
round(measured, 3)

# %% [markdown]
# ## How late the labels are
#
# An accuracy "of the last 15 minutes" is about labels that *arrived* then. When were those rows predicted? The
# prediction store, where the service keeps each row, its answer and its label, knows both times; here the difference is
# in production minutes.

# %%
with lab.store() as store:
    labelled = store.labelled()
late = (labelled["labelled_at"] - labelled["predicted_at"]) * lab.clock.speed / 60
late.describe()[["min", "50%", "max"]].round(1)

# %% [markdown]
# No label comes before five minutes here. In a real service it may take days: the accuracy of today is then about the
# predictions of last week, and an alert on it fires a week late. That is why answers and inputs are watched too.

# %%
assert late.min() > 4.5

# %% [markdown]
# ## An estimate without labels
#
# Until labels come, confidence is all there is. May it be trusted? Sort the labelled rows by confidence and see how
# often each group was right.

# %%
BINS = [0, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1]
right = labelled["predicted"] == labelled["label"]
groups = labelled.assign(right=right).groupby(pd.cut(labelled["confidence"], BINS), observed=True)
calibration = groups.agg(confidence=("confidence", "mean"), accuracy=("right", "mean"), rows=("right", "size"))
calibration.rename_axis("group").round(3)

# %%
plots.reliability(calibration)

# %% [markdown]
# A point on the dashed line means: of the rows with a confidence of 80 %, 80 % are right. Where that holds for every
# confidence, the model is called **calibrated**. Small groups jump about.
#
# ### Exercise 7.3: Estimate the accuracy
#
# Write `estimate_accuracy(labelled, recent)`. Both are tables with a column `confidence`; `labelled` has `predicted`
# and `label` too. For each group of `BINS`, take the accuracy that labelled rows had there, and average that over the
# confidences of `recent`, which has no labels. So a model that is too sure of itself is corrected.


# %%
# solution
def estimate_accuracy(labelled, recent):
    right = labelled["predicted"] == labelled["label"]
    accuracy_of = right.groupby(pd.cut(labelled["confidence"], BINS), observed=False).mean()
    return pd.cut(recent["confidence"], BINS).map(accuracy_of).astype(float).mean()


# end solution
lesson.q3.check(estimate_accuracy)

# %% [markdown]
# Where the estimate ends: it believes that a confidence means today what it meant yesterday. Let the model answer
# flowers of which we know the truth, from two scenarios of the catalogue.

# %%
import numpy as np

from labkit.simulate.scenarios import scenario


def known_flowers(name, count=500):
    batch = scenario(name).batch(count, 0.0, np.random.default_rng(1))
    answer = lab.predict(batch.instances.tolist())
    confidence = np.max(answer["probabilities"], axis=1).mean()
    return confidence, np.mean(np.array(answer["predictions"]) == batch.labels)


# %%
limits = pd.DataFrame(
    {name: known_flowers(name) for name in ("steady", "concept_shift")}, index=["mean confidence", "accuracy"]
).round(3)
limits

# %% [markdown]
# In steady times the mean confidence is a fair estimate. When the meaning of the names changes, the inputs and the
# confidences are what they always were, and the model is sure of answers that are wrong. No estimate from inputs and
# answers can see that. Labels can.

# %%
assert abs(limits["steady"].diff().iloc[-1]) < 0.05
assert limits.loc["mean confidence", "concept_shift"] - limits.loc["accuracy", "concept_shift"] > 0.4

# %% [markdown]
# ## What goes wrong: the frozen gauge that looks healthy
#
# Suppose that the job which joins labels to predictions dies, as such jobs do. Requests keep coming, labels do not. And
# then a client begins to send petals in mm. Nobody labels these rows, but we know what they are. First what to ask,
# with windows of five minutes, to save your time:

# %%
queries = {
    "gauge": "last_over_time(model_accuracy[1m])",
    "counters": 'sum(rate(model_labels_total{outcome="correct"}[5m])) / sum(rate(model_labels_total[5m]))',
    "rows": "sum(increase(model_prediction_rows_total[5m]))",
    "labels": "sum(increase(model_labels_total[5m]))",
}
truth = []


def keep_asking():
    truth.append(known_flowers("unit_error", count=100)[1])
    return len(lab.query("sum(increase(model_labels_total[8m])) == 0"))


# %% [markdown]
# Now it happens. Stopping the traffic also drops the labels on their way; from then on we send the requests ourselves:

# %%
from labkit.clock import wait_until

lab.stop_traffic()
lab.wait_for("sum(increase(model_labels_total[2m])) == 0", timeout="3h")
wait_until(keep_asking, 180, "eight minutes without a label", every=0.5)
curves = {name: lab.query_range(text, "40m").iloc[:, 0] for name, text in queries.items()}
f"right answers: {np.mean(truth):.0%}"

# %% [markdown]
# What do the metrics say?

# %%
gauge = lab.query("last_over_time(model_accuracy[5m])")["value"].item()
counters = lab.query(queries["counters"])
f"gauge: {gauge:.0%}, from counters: {counters['value'].tolist()}"

# %% [markdown]
# The gauge still shows what it showed before, because a gauge keeps its last value for ever. The counters say NaN or
# nothing, that is: unknown. Both keep an alert on `< 0.90` silent.

# %%
assert gauge > 0.90 > np.mean(truth)
assert counters["value"].isna().all()

# %%
plots.frozen_gauge(curves, lab.clock.speed)

# %% [markdown]
# Above, the dashed line wavers while few labels are left in its window, and ends. Below, labels fall to zero while rows
# go on (the hill is the flowers that we sent ourselves), and nobody looks there. So a rule must look: rows come in, and
# no label does.
#
# ### Exercise 7.4: Nobody knows
#
# Write the alert expression `unknown`: it returns something when at least 100 rows were predicted in the last hour and
# no label came in that hour, also when the label counter was never exported. It returns nothing when nobody asks the
# model, and nothing when labels are merely late. Rows are counted in `model_prediction_rows_total`, labels in
# `model_labels_total`.

# %%
# solution
unknown = """
sum(increase(model_prediction_rows_total[1h])) >= 100
  unless sum(increase(model_labels_total[1h])) > 0
"""
# end solution
lesson.q4.check(unknown)

# %% [markdown]
# With a window of five minutes this is mended monitoring: it speaks up.

# %%
quick = "sum(increase(model_prediction_rows_total[5m])) >= 100 unless sum(increase(model_labels_total[5m])) > 0"


def speaks():
    known_flowers("unit_error", count=100)
    return len(lab.query(quick))


wait_until(speaks, 180, "the expression to return something", every=0.5)
lab.query(quick)

# %% [markdown]
# So many rows, and no label. The lab has it as the alert `ModelAccuracyUnknown`, which waits half an hour, so that a
# short pause troubles nobody.
#
# ## In practice
#
# - Find out how late your labels are before you choose a window: `labelled_at - predicted_at`, by quantiles.
# - Labels are rarely a fair sample. Where only refused customers complain, accuracy is about them. Label a small random
#   share on purpose.
# - Count labels by outcome, in counters. A gauge of accuracy is for people who look at it, and for no alert.
# - Show on the dashboard, next to each accuracy, how many labels it rests on and how old they are.

# %% [markdown]
# ## Recap
#
# - Shares of answers and confidences are known at once. They ask questions; labels answer them, late.
# - Accuracy comes from counters: a sum of right answers over a sum of all, never a mean of gauges.
# - A calibrated confidence estimates accuracy while nothing changes its meaning; a concept shift does, unseen.
# - Silence of labels is a fault of its own, with an alert of its own.

# %%
lab.stop_traffic()

# %% [markdown]
# [Next: Alert on symptoms](08_alert_on_symptoms.ipynb)
