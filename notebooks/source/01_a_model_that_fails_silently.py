# %% [markdown]
# # A model that fails silently
#
# **You will do:** play a day of incidents against a served model, and compare what its operators saw with what its
# users got.
#
# **You will learn:** the four ways in which a model fails while its code works, which signal shows each of them, and
# why a status code shows none.
#
# **You need:** 25 minutes. [Notebook 00](00_start_here.ipynb) helps, but nothing from it is needed here.

# %%
from labkit import Lab, plots
from labkit.teach import ____, open_lesson

lesson = open_lesson("01")
lab = Lab.open(fresh=True)
lesson

# %% [markdown]
# ## A status code judges the conversation
#
# A web service that is broken says so: it answers 500, or it does not answer. Monitoring has grown up with that. Here
# is a healthy answer, as a client receives it: one setosa, measured in cm.

# %%
import httpx

flower = [5.1, 3.5, 1.4, 0.2]
answer = httpx.post(f"{lab.home.url('model')}/v1/predict", json={"instances": [flower]})
answer.status_code, answer.json()["predictions"]

# %% [markdown]
# The 200 says that the request could be read, that the code ran to its end, and that a reply was written. Whether
# `setosa` is true, the service cannot know. It would say 200 to anything that has the right shape.

# %% [markdown]
# ### Exercise 1.1: Be answered 200 with garbage
#
# Write one row that no iris can have, such that the model is still more than 90 % sure of its answer. Which values are
# plausible, the service itself knows:

# %%
lab.model()["feature_names"], lab.model()["plausible_ranges"]

# %%
# solution
row = [5.1, 3.5, 14.0, 0.2]
# end solution
lesson.q1.check(lab, row)

# %% [markdown]
# Code that is right, input that is nonsense, an answer without a doubt: no exception was raised anywhere. That is what
# it means to fail silently. Now let us see it happen to real traffic.

# %% [markdown]
# ## Play a day of incidents
#
# The lab has a catalogue of things that happen to models in production. Each entry says what is true about it.

# %%
from labkit.simulate.scenarios import CATALOGUE

incidents = ["unit_error", "harmless_drift", "concept_shift", "new_species", "sensor_drift"]
for name in incidents:
    print(f"{name}: {CATALOGUE[name].summary}")

# %% [markdown]
# We play all five, one after another, after a few healthy minutes. One second is one production minute, so this takes
# about half a minute. A client sends 75 flowers every 30 production seconds; what each truly was becomes known eight
# production minutes later. The retrainer stays off, for nobody shall mend anything while we look.

# %%
from labkit.teach.days import play

lab.home.retraining_off.touch()
day = play(lab, [("steady", "4m"), *((name, "3m") for name in incidents[:-1]), ("sensor_drift", "14m")])
day.parts.round(1)

# %% [markdown]
# How many requests came, and how many failed? Prometheus has counted both while you waited.

# %%
requests = day.watch("sum(model_prediction_requests_total)")["value"]
errors = day.watch("sum(model_prediction_errors_total)")["value"]
print(f"{requests.iloc[-1] - requests.iloc[0]:,.0f} requests, {errors.iloc[-1] - errors.iloc[0]:.0f} errors")
assert errors.iloc[-1] == errors.iloc[0] and requests.iloc[-1] > requests.iloc[0]

# %% [markdown]
# Every request of this day was answered with 200. An operator who looks at status codes had a quiet day. Now look at
# the rows themselves. The service keeps each of them with its answer; the true label joins it minutes later.

# %%
rows = day.rows
rows[["scenario", "minute", "petal_length", "predicted", "confidence", "label"]].iloc[::400]

# %% [markdown]
# ## Failure one: the predictions are garbage
#
# In `unit_error` a new client sends petal lengths in mm. The code runs fine. These are some of its flowers:

# %%
garbage = rows[rows["scenario"] == "unit_error"]
garbage[["petal_length", "predicted", "confidence", "label"]].head(5)

# %% [markdown]
# Petals of 14 or 50 "cm", and one answer to all of them. Compare how sure the model is with how sure it was of real
# flowers:

# %%
sure = rows.groupby("scenario", sort=False)["confidence"].mean()
print(sure[["steady", "unit_error"]].round(3))
assert sure["unit_error"] > sure["steady"]

# %% [markdown]
# It is **more** confident about garbage than about flowers. Far from everything it has learned, a linear model finds
# nothing that speaks against its answer. Confidence is no alarm for values out of range.

# %% [markdown]
# ### Exercise 1.2: How often was it right?
#
# From `rows`, compute the accuracy during each scenario: a pandas Series called `accuracy`, with the scenario as index.
# Rows whose true label has not come yet can be neither right nor wrong.

# %%
# solution
labelled = rows.dropna(subset="label")
accuracy = (labelled["predicted"] == labelled["label"]).groupby(labelled["scenario"]).mean()
# end solution
lesson.q2.check(day, accuracy)

# %% [markdown]
# The notebook goes on with this table of its own:

# %%
known = rows.dropna(subset="label")
right = (known["predicted"] == known["label"]).groupby(known["scenario"], sort=False).mean()
right.round(2)

# %% [markdown]
# The objective of this service is an accuracy of 0.90. Three incidents broke it within minutes, one did not, and of
# `sensor_drift` most labels are still missing:

# %%
assert (right[["unit_error", "concept_shift", "new_species"]] < 0.90).all()
assert right["steady"] > 0.90 and right["harmless_drift"] > 0.90

# %% [markdown]
# ## Failure two: the inputs change
#
# Other flowers arrive than those that the model was trained on. To measure that, take a **reference**, many rows like
# the training data, and ask how far the mean of each feature has moved from it, in standard deviations:

# %%
import numpy as np

from labkit.model.iris import sample

features = lab.model()["feature_names"]
reference, _ = sample(20_000, np.random.default_rng(0))
moved = (rows.groupby("scenario", sort=False)[features].mean() - reference.mean(axis=0)) / reference.std(axis=0)
moved.round(2)

# %% [markdown]
# Two of the five changes look much alike here. In `harmless_drift` both sepal features moved, and the model answered as
# well as before. In `sensor_drift` one petal feature moves a little further every minute, and it will do harm. The
# inputs alone do not say which is which, but they say it first: most labels of these rows are not there yet.

# %%
drifting = rows[rows["scenario"] == "sensor_drift"]
print(f"{drifting['label'].notna().mean():.0%} of the rows of sensor_drift have a label by now")
assert drifting["label"].isna().any()

# %% [markdown]
# This is why one watches inputs although they are only a hint: they arrive with the request. Labels arrive when
# somebody has looked.

# %% [markdown]
# ## Failure three: accuracy decays
#
# In `concept_shift` the world changes its mind: two names are swapped. Look at its line in the table above: no feature
# moved. The same flowers come, the model answers as it always has, and the answers are wrong now:

# %%
decayed = known[known["scenario"] == "concept_shift"]
decayed.groupby(["predicted", "label"]).size().unstack(fill_value=0)

# %% [markdown]
# Setosa is as safe as ever, the other two are exchanged. Only labels can show this. In production it comes slowly more
# often than at once, as taste, prices, fraud and language change.

# %%
assert moved.loc["concept_shift"].abs().max() < 1 / 3 and right["concept_shift"] < 0.90

# %% [markdown]
# ## Failure four: something that was never seen
#
# In `new_species` one flower of four is of a species that did not exist in the training data. The service keeps a label
# outside its classes as `other`. A classifier has no such answer: it has to choose one of the three that it knows.

# %%
strangers = known[(known["scenario"] == "new_species") & (known["label"] == "other")]
assert len(strangers) and not (strangers["predicted"] == "other").any()
strangers["predicted"].value_counts()

# %% [markdown]
# Wrong every time, and answered with 200 every time. The averages of the features hardly moved, because three of four
# rows are as before, and the fourth has values that are nothing unusual, each for itself.

# %% [markdown]
# ### Exercise 1.3: Which signal shows it first?
#
# Three signals are there to be watched, in the order in which they arrive. Make a dictionary `first_signal`: for each
# name in `incidents`, the first signal that shows it. Take `moved` and `right` from above, and call a feature moved
# beyond a third of a standard deviation.
#
# - `"inputs"`: a feature has moved. Known with the request.
# - `"labels"`: accuracy is below 0.90. Known minutes later.
# - `"nothing"`: neither of the two.

# %%
# solution
first_signal = {
    "unit_error": "inputs",
    "harmless_drift": "inputs",
    "concept_shift": "labels",
    "new_species": "labels",
    "sensor_drift": "inputs",
}
# end solution
lesson.q3.check(day, first_signal)

# %% [markdown]
# ## What goes wrong: watching CPU and status codes only
#
# Most teams begin with the dashboard that they have for every service: is it up, does it answer, has it room to spare?
# Here is that dashboard for the day that you have just seen.

# %%
failed = "sum(rate(model_prediction_errors_total[2m])) / sum(rate(model_prediction_requests_total[2m]))"
answered = 1 - day.watch(failed)["value"]
cores = day.watch('sum(rate(process_cpu_seconds_total{job="model"}[1m]))')["value"]
print(f"lowest share answered: {answered.min():.1%}")

# %% [markdown]
# Every request was answered. Put the accuracy of each minute below it:

# %%
minute_by_minute = (known["predicted"] == known["label"]).groupby(known["minute"].round()).mean()
plots.silent_day(day.parts, answered, cores, minute_by_minute, objective=0.90)

# %% [markdown]
# Grey and white bands are the six parts of the day. The two curves on top do not know about them. CPU follows the
# number of requests, and a wrong answer costs as much of it as a right one. The curve below ends early, because the
# labels of the last minutes are still to come.

# %%
assert (answered.dropna() == 1).all()
assert minute_by_minute.min() < 0.60

# %% [markdown]
# So measure the model too, and judge what you measure. The service counts right and wrong labels as they arrive, and a
# rule in this Prometheus makes an accuracy of them, over the last 15 minutes:

# %%
judged = day.watch("model_version:accuracy:ratio_rate15m").iloc[:, 0]
low = judged[judged < 0.90]
print(f"the garbage began at minute {day.parts['since'][1]:.0f}, the rule saw it at minute {low.index[0]:.0f}")
assert low.index[0] > day.parts["since"][1]

# %% [markdown]
# Nobody had to look at a curve for that. Between the two minutes lies the delay of the labels. The alert that stands on
# this rule waits five minutes more, to be certain, and the one on values out of range comes sooner. You will write such
# rules in notebook 08, and answer them in notebook 09.

# %% [markdown]
# ## In practice
#
# - Keep watching CPU and status codes: they show the failures of code and machine. They are the floor.
# - Ask for each model how its users would notice that it is wrong, and after how long. That delay is how late accuracy
#   will tell you.
# - Where labels never come, a sample that somebody labels by hand each week is far better than nothing.
# - Store every answer with its id and inputs, as this service does. Without them no late label finds its prediction.

# %% [markdown]
# ## Recap
#
# - A model fails silently: the code runs, every status is 200, and the answers are wrong.
# - Garbage comes from values that no model should have been asked about, and the model may be surer of it than of
#   anything else.
# - Changed inputs are seen at once, and may be harmless. Decay is seen only in labels. What was never seen is answered
#   with something known.
# - So three things are watched: inputs, predictions, labels. CPU and status codes are watched besides.

# %%
lab.stop_traffic()

# %% [markdown]
# [Next: Instrument the model](02_instrument_the_model.ipynb)
