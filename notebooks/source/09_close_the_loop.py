# %% [markdown]
# # Close the loop
#
# **You will do:** write the key that makes a webhook safe to repeat and the interval that decides a promotion, watch a
# retrainer refuse and promote, and take its work back.
#
# **You will learn:** when a new model is the right answer to an alert and when it is the wrong one, and what has to
# stand between an alert and a new champion.
#
# **You need:** 50 minutes. [Notebook 08](08_alert_on_symptoms.ipynb) helps, but nothing from it is needed here.

# %%
from labkit import Lab
from labkit.teach import ____, open_lesson

lesson = open_lesson("09")
lab = Lab.open(fresh=True)
lesson

# %% [markdown]
# ## An alert that asks a machine
#
# Retraining can be automatic, since the loop knows all it takes: an alert says that the model fails, labels say what
# would have been right. The danger is in the word *automatic*. This morning a new client sends petal length in mm
# instead of cm. Let it run; the alert takes its five minutes, and meanwhile you write the receiver's first part.

# %%
lab.traffic("unit_error", rate=20)

# %% [markdown]
# Alertmanager calls the retrainer as it calls Slack: with an HTTP request, a webhook. In `alertmanager.yml` the alerts
# with the label `action: retrain` go there, and `continue: true` sees to it that people hear of them too. This is what
# the request holds, shortened:

# %%
alert = {
    "status": "firing",
    "fingerprint": "d6616e8c402f0dae",
    "startsAt": "2026-01-05T09:00:00Z",
    "labels": {"alertname": "ModelAccuracyLow", "model_name": "iris-classifier"},
}
payload = {"version": "4", "groupKey": '{}:{alertname="ModelAccuracyLow"}', "alerts": [alert]}

# %% [markdown]
# `fingerprint` is made of an alert's labels, so it names *which* alert. `startsAt` says since when it fires, so the two
# together name one *episode* of it. `groupKey` names the group of alerts that share a message, whatever happens in it.
#
# Alertmanager sends this request when the alert begins to fire, once more after each `repeat_interval`, whenever the
# group changes, and again when an answer was late. A receiver that trains at each request trains four times for one
# trouble. It needs an **idempotency key**: a value that is the same when the same trouble is told again, and another
# one when it is new.
#
# ### Exercise 9.1: The key of a webhook
#
# Write `idempotency_key(payload)`. It returns a text or a tuple: the same for the same firing alerts, in whatever order
# they come, and another one for another episode. Alerts with the status `resolved` may be among them; they ask for
# nothing.


# %%
# solution
def idempotency_key(payload):
    firing = [alert for alert in payload["alerts"] if alert["status"] == "firing"]
    return tuple(sorted((alert["fingerprint"], alert["startsAt"]) for alert in firing))


# end solution
lesson.q1.check(idempotency_key)

# %% [markdown]
# The retrainer makes its key in the same way, from the alerts of its own model:

# %%
from labkit.respond.webhook import read_notification

known = read_notification(payload, "iris-classifier")
assert known.key == f"{alert['fingerprint']}@{alert['startsAt']}"
known.key

# %% [markdown]
# ### Who may call
#
# Whoever can reach this address can have a model trained. So the retrainer wants a **bearer token**, a secret that only
# Alertmanager knows, and compares it in a time that does not depend on how much of it is right. Without the token:

# %%
import httpx

answer = httpx.post(f"{lab.home.url('retrainer')}/alerts", json=payload)
answer.status_code, answer.json()["detail"]

# %%
assert answer.status_code == 401

# %% [markdown]
# ## The retrainer refuses
#
# By now the client with the wrong unit has raised an alert, or will in a moment. Wait until the retrainer has judged:

# %%
from labkit.clock import wait_until


def runs(result):
    return [run for run in lab.runs() if run["result"] == result]


refused = wait_until(lambda: runs("rejected"), 220, "the retrainer to refuse")[0]
refused["alerts"][0]["labels"]["alertname"], refused["reason"]

# %% [markdown]
# The alert was right: the inputs have changed and the answers are wrong. Still the retrainer trained nothing. Its first
# gate looks at the data alone, before anybody asks about accuracy: too many petals are longer than a petal can be. The
# right response to a unit error is to mend the client. That run ended at its first step:

# %%
assert refused["reason"].startswith("data_quality")
list(refused["details"])

# %% [markdown]
# Nothing has changed in service, and the refusal is counted, so that a rule can tell people of it:

# %%
assert lab.model()["version"] == "v1"
lab.wait_for('model_retraining_total{result="rejected"} > 0', timeout="2h")[["result", "value"]]

# %% [markdown]
# ## What goes wrong: learning from broken data, and a webhook that comes twice
#
# ### Broken data make a model that fits them
#
# What would have happened without that gate? Train a challenger, a model that is to replace the champion, the one in
# service, on such rows, here, away from the service. `accuracy` is the share of right answers:

# %%
import numpy as np

from labkit.model.training import train
from labkit.simulate.scenarios import scenario

rng = np.random.default_rng(9)
broken, sound = (scenario(name).batch(3000, 0.0, rng) for name in ("unit_error", "steady"))
champion = lab.registry.load("iris-classifier", "v1").model
blind = train(broken.instances[:2000], broken.labels[:2000])


def accuracy(model, rows):
    return float((model.predict(rows.instances[2000:]) == rows.labels[2000:]).mean())


# %% [markdown]
# Compare the two on later rows: while the client sends mm, and after somebody has mended it.

# %%
import pandas as pd

from labkit import plots

answers = pd.DataFrame(
    {
        name: {"while petals come in mm": accuracy(model, broken), "after the client is mended": accuracy(model, sound)}
        for name, model in {"champion": champion, "trained on broken data": blind}.items()
    }
)
plots.bars(answers, title="Share of right answers", unit="accuracy", objective=0.90)

# %% [markdown]
# In the left group the challenger looks like a triumph. A gate that only compares accuracy promotes it, and the drift
# alert falls silent, since mm are normal now. Then the client is mended, the inputs are as they always were, and this
# model fails on them, while the champion would have been right. Two faults have become one that nobody can see.

# %%
during, after = answers.loc["while petals come in mm"], answers.loc["after the client is mended"]
assert during["trained on broken data"] > 0.9 > during["champion"]
assert after["champion"] > 0.9 > after["trained on broken data"]

# %% [markdown]
# The gate that mends this needs no model at all. It knows what a flower can measure:

# %%
from labkit.model.iris import SCHEMA
from labkit.respond.gates import data_gate
from labkit.respond.policy import Policy

verdict = data_gate(broken.instances, SCHEMA.plausible_ranges, Policy())
assert data_gate(sound.instances, SCHEMA.plausible_ranges, Policy()) is None
verdict

# %% [markdown]
# A sensor that drifts by little stays within those limits. For that the retrainer has another gate: lengths of a
# flower grow together, so one feature that moves alone tells of its sensor. Between the two, one more refuses labels
# that name no known class.
#
# ### The webhook that arrives twice
#
# Here is a receiver that does what it is told, and two deliveries of the same request:

# %%
trained = []


def naive(payload):
    trained.append(f"a new model, as {payload['alerts'][0]['labels']['alertname']} asks")


for _ in range(2):
    naive(payload)
trained

# %% [markdown]
# Two trainings for one trouble. The second one starts while the first is under way, from the same rows, and the later
# of the two wins, whichever is better. Asking for the key first mends it:

# %%
trained, seen = [], set()


def careful(payload):
    key = read_notification(payload, "iris-classifier").key
    if key not in seen:
        seen.add(key)
        naive(payload)


for _ in range(2):
    careful(payload)
assert len(trained) == 1
trained

# %% [markdown]
# Now ask the real one. This sends what Alertmanager has sent for the unit error, once more:

# %%
bearer = {"Authorization": f"Bearer {lab.home.secret('retrainer_token')}"}


def send(alerts):
    firing = [{**alert, "status": "firing"} for alert in alerts]
    address = f"{lab.home.url('retrainer')}/alerts"  # asked each time: a reset may have to choose another port
    return httpx.post(address, headers=bearer, json={"version": "4", "alerts": firing}).json()


again = send(refused["alerts"])
again

# %% [markdown]
# It is known as a duplicate, and the answer names the run that it belongs to. That memory is the audit log on disk, so
# it outlives a restart.

# %%
assert (again["outcome"], again["run_id"]) == ("duplicate", refused["id"])

# %% [markdown]
# A new episode is no duplicate, and yet not every one starts a run. There is a **cooldown** after each verdict, a cap
# for the day, and never are there two runs at a time. Two new episodes in a row, whose beginnings never came before:

# %%
import time

episodes = [{**alert, "startsAt": f"{time.time_ns() + number}"} for number in (1, 2)]
outcomes = [send([episode]) for episode in episodes]
outcomes[-1]

# %% [markdown]
# Skipped, with the reason. A loop that answers each alert at once can run away: a bad model raises an alert, which
# trains a worse model, which raises an alert.

# %%
assert outcomes[-1]["outcome"] == "skipped"

# %% [markdown]
# ## A change that asks for a new model
#
# Another day: empty data, sound clients. At first all is well, and labels arrive.

# %%
lab.reset()
lab.traffic("steady", rate=20)
lab.wait_for("sum(increase(model_labels_total[15m])) > 30", timeout="3h")

# %% [markdown]
# Then botanists swap the names versicolor and virginica. The flowers measure what they always measured, so no gate for
# data can see it. What they *mean* has changed. This is called concept drift, and only labels show it.

# %%
lab.fault("concept_shift")

# %% [markdown]
# While the alert gathers its evidence, prepare the decision that comes at the end of a run: is the challenger better
# than the champion?
#
# ## Champion and challenger
#
# Both are judged on the same later rows, the holdout, which neither has seen. Here are two models on 400 rows, true
# where an answer was right. The challenger is right on eight rows more:

# %%
champion_correct = np.arange(400) < 340
challenger_correct = np.arange(400) < 348
print(f"{champion_correct.mean():.3f} and {challenger_correct.mean():.3f}")

# %% [markdown]
# Is that skill or luck? An interval says what the true difference may be. If it excludes 0, the challenger is surely
# better, "surely" meaning 95 times in 100. The textbook formula for two *independent* samples says:

# %%
p, q, n = champion_correct.mean(), challenger_correct.mean(), 400
half = 1.96 * np.sqrt(p * (1 - p) / n + q * (1 - q) / n)
print(f"{q - p - half:+.3f} to {q - p + half:+.3f}")

# %%
assert q - p - half < 0 < q - p + half

# %% [markdown]
# It includes 0. But these samples are anything but independent: they are the same rows, and a row that both models get
# right says nothing about which one is better. Only rows on which they *differ* count: `won` rows where the challenger
# alone is right, `lost` rows where the champion alone is. The estimate is `d = (won - lost) / n`, its standard error
#
# $$\frac{\sqrt{\text{won} + \text{lost} - (\text{won} - \text{lost})^2 / n}}{n}$$
#
# ### Exercise 9.2: Surely better
#
# Write `interval(champion_correct, challenger_correct)`, two arrays of booleans for the same rows. It returns the ends
# of the 95 % interval for challenger minus champion: `d` minus and plus 1.96 standard errors.


# %%
# solution
def interval(champion_correct, challenger_correct):
    n = len(champion_correct)
    won = np.sum(challenger_correct & ~champion_correct)
    lost = np.sum(champion_correct & ~challenger_correct)
    difference = (won - lost) / n
    standard_error = np.sqrt(won + lost - (won - lost) ** 2 / n) / n
    return difference - 1.96 * standard_error, difference + 1.96 * standard_error


# end solution
lesson.q2.check(interval)

# %% [markdown]
# labkit's interval adds half a row to each of the four cells, which keeps it honest for few rows. For the two models
# above it excludes 0, where the textbook's did not:

# %%
from labkit.respond.gates import paired_difference

paired = paired_difference(champion_correct, challenger_correct)
assert paired.low > 0
paired

# %% [markdown]
# The interval is the last of four demands. The others: a floor for accuracy, a floor for the recall of each class, so
# that no class is sacrificed for the sum, and a limit for latency. All of these numbers stand in one place:

# %%
policy = Policy()
policy.min_accuracy, policy.min_recall, policy.max_latency_ratio, policy.confidence

# %% [markdown]
# ## The retrainer promotes
#
# The alert has gone to the retrainer, or will soon. A run takes ten to thirty minutes of production time, most of it
# spent on watching: it collects labelled rows, trains, judges, promotes, and watches the new champion before it is
# content. `promotion` waits for that, and asks again if a run gave up, as it does when a busy machine brings too few
# rows.

# %%
from labkit.teach.loop import promotion

run = promotion(lab)
run["reason"]

# %% [markdown]
# Read that sentence from left to right: accuracy of champion and challenger on the holdout, the interval for the
# difference, which excludes 0, and how the new champion did in service. The model service has loaded it:

# %%
assert run["details"]["evaluate"]["difference"]["low"] > 0
assert lab.model()["version"] == lab.registry.champion("iris-classifier") != "v1"
lab.model()["version"]

# %% [markdown]
# ### The audit log
#
# Every step is recorded when it begins, and in `details` what it found. In half a year somebody will ask why the model
# was changed on a Monday morning, and this is the answer. Minutes count from the webhook, and each line is the
# beginning of a step, so the last step takes from there until the run was over:

# %%
record = httpx.get(f"{lab.home.url('retrainer')}/runs/{run['id']}").json()
steps = pd.DataFrame(record["steps"])
steps["minutes"] = lab.clock.production_seconds(steps["at"] - run["started_at"]) / 60
steps[["name", "minutes"]].round(1)

# %% [markdown]
# As a picture: the champion fails, the challenger takes over.

# %%
began = run["details"]["onset"]["onset"]
promoted = steps.set_index("name")["at"]["promote"]


def minutes(times):
    return lab.clock.production_seconds(times - began) / 60


since = min(lab.clock.production_seconds(time.time() - began) + 600, 36 * 3600)
curve = lab.query_range("max by (model_version) (model_version:accuracy:ratio_rate15m)", since)
curve.index = minutes(curve.index.astype("int64") / 1e9)
moments = [(0, "onset, as estimated"), (minutes(run["started_at"]), "webhook"), (minutes(promoted), "promotion")]
plots.versions(curve.loc[-10:60], moments)

# %% [markdown]
# The line of `v1` goes on after the promotion: labels come late, so old answers are still being judged. That is why
# rules judge each version by itself, and only versions that are in service.
#
# ### Since when?
#
# What should a challenger learn from? "The last hour" sounds harmless. It is mostly rows from before the change, and
# they teach the old meaning. Try it on rows whose truth is known: two old rows for each new one.

# %%
old, new = (scenario(name).batch(size, 0.0, rng) for name, size in (("steady", 1200), ("concept_shift", 600)))
last_hour = train(np.vstack([old.instances, new.instances]), np.concatenate([old.labels, new.labels]))
swapped = scenario("concept_shift").batch(3000, 0.0, rng)
accuracy(last_hour, swapped)

# %%
assert accuracy(last_hour, swapped) < 0.6

# %% [markdown]
# The mixture is useless. So the retrainer estimates the **onset** first: the moment in the champion's sequence of right
# and wrong answers after which it is wrong more often, the change point. It sees only what a production system sees.
# This is what it found:

# %%
drop = run["details"]["onset"]["drop"]
drop

# %% [markdown]
# `index` is how many answers came before the fall, `before` and `after` are the accuracy on either side of it, and
# `p_value` is how likely so marked a fall is where nothing has changed. Labels came late, and still the onset is found
# among the rows that were predicted when it happened:

# %%
assert drop["before"] > 0.9 > 0.6 > drop["after"]

# %% [markdown]
# ### Exercise 9.3: Your own challenger
#
# `rows` are all labelled rows that the retrainer could see when its run began: the four features, `predicted` (what the
# champion said), `label` (what was true), `predicted_at` in Unix seconds. Train a model with `train(instances, labels)`
# on what is worth learning from, and call it `challenger`. The onset is `run["details"]["onset"]["onset"]`.

# %%
features = list(SCHEMA.feature_names)
with lab.store() as store:
    rows = store.labelled(until=run["started_at"], by="labelled_at")
rows[["predicted_at", *features, "predicted", "label"]].tail(3)

# %%
# solution
since_onset = rows[rows["predicted_at"] >= run["details"]["onset"]["onset"]]
challenger = train(since_onset[features].to_numpy(), since_onset["label"].to_numpy(dtype=str))
# end solution
lesson.q3.check(challenger)

# %% [markdown]
# ## Take it back
#
# The loop could mend the next change as well, by an alert, a run and a watch window. Here we stop the loop, to look at
# the other way back. While people work on a system by hand, no machine should work on it as well: as long as the file
# `lab.home.retraining_off` exists, the retrainer starts no run. That is its **off switch**. A run that is under way
# goes on to its end, so wait for that. Then the next day comes, and the botanists change their minds: the old names are
# valid again.

# %%
lab.home.retraining_off.touch()
wait_until(lambda: all(run["result"] for run in lab.runs()), 120, "a run that is under way to end")
lab.end_fault()

# %% [markdown]
# The model in service is wrong now, by no fault of anybody's, and no challenger is needed: the right model exists
# already. The registry never deletes a version; a **rollback** makes an earlier champion the champion again and has it
# loaded.
#
# ### Exercise 9.4: By hand
#
# Serve `v1` again: `lab.rollback` takes a version. There is nothing to assign: the check asks the system, and also
# whether the retrainer is still switched off.

# %%
# solution
lab.rollback("v1")
# end solution
lesson.q4.check(lab)

# %% [markdown]
# In case you have left the exercise for later, the notebook does it now. A new episode is refused with the reason:

# %%
if lab.model()["version"] != "v1":
    lab.rollback("v1")
lab.home.retraining_off.touch()
off = send([{**alert, "startsAt": "2026-01-08T09:00:00Z"}])
off["outcome"], off["reason"].split(":")[0]

# %%
assert off["reason"].startswith("off_switch")

# %% [markdown]
# The history of champions says who came when, and why. A rollback is one line more; nothing is ever rewritten.

# %%
pd.DataFrame(lab.registry.history("iris-classifier"))

# %% [markdown]
# After the work the switch goes back. A switch that was forgotten is a loop that is open, and nobody knows:

# %%
lab.home.retraining_off.unlink(missing_ok=True)

# %% [markdown]
# ## In practice
#
# - Begin with a retrainer that proposes and a person who promotes. Automate the last step when its proposals have been
#   right for a while.
# - Labels are late, and sometimes they are wrong. A gate for labels is as important as one for inputs.
# - Promotion is a deployment. In a real service it goes through the same pipeline as code: tests, a canary that gets a
#   small share of the traffic, and a rollback that was tried out before it was needed. CI/CD for models starts here.
# - The audit log belongs to the evidence that an auditor or a regulator asks for. Keep it longer than the models.
# - Keep old versions as long as you may want to go back, and their data version beside them.

# %% [markdown]
# ## Recap
#
# - A webhook comes more than once: the key of an episode is its sorted fingerprints and starting times.
# - Gates for data come first. On broken data the better challenger is the worse model.
# - Learn from what came after the onset; judge both models on the same later rows; demand an interval that excludes 0.
# - A promotion is watched, recorded, and can be taken back; cooldown, cap and off switch keep the loop in hand.

# %%
lab.stop_traffic()

# %% [markdown]
# [Next: Game day](10_game_day.ipynb)
