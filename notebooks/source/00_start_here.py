# %% [markdown]
# # Start here
#
# **You will do:** check your machine, start the lab, send traffic through it, and ask what happened.
#
# **You will learn:** what the parts of the loop are, how an hour passes in a minute, and what happens when a port is
# taken.
#
# **You need:** 10 minutes. Nothing is installed into your system, and nothing listens beyond this machine.

# %% [markdown]
# ## Is this machine ready?
#
# The doctor looks for what the lab needs. Each problem comes with the command that mends it.

# %%
from labkit.doctor import examine

for finding in examine():
    print(finding)

# %% [markdown]
# ## Start the lab
#
# `Lab.open(fresh=True)` starts the servers, or takes those that run, and begins with empty data. It takes seconds. The
# table has a line for each server; the links open what it has to show.

# %%
from labkit import Lab
from labkit.teach import ____, open_lesson

lesson = open_lesson("00")
lab = Lab.open(fresh=True)
lab

# %% [markdown]
# ## The loop
#
# Traffic reaches a model, the model shows metrics, Prometheus judges them, Alertmanager tells people and the retrainer.
# The retrainer answers with a new model, or refuses to. In this course you build each of these arrows yourself.

# %%
from labkit import plots

plots.loop()

# %% [markdown]
# ## Ask the model
#
# The model tells three kinds of iris apart by four lengths in cm. Here is one flower: sepal length and width, petal
# length and width.

# %%
answer = lab.predict([[5.1, 3.5, 1.4, 0.2]])
answer["predictions"], answer["model_version"]

# %% [markdown]
# The answer came with status 200. Remember for the next notebook that this says nothing about whether it is right.

# %%
assert answer["predictions"] == ["setosa"]

# %% [markdown]
# ## Send traffic
#
# Twenty requests a second, at random moments, as from many clients that do not know each other. What each flower truly
# was, its label, becomes known only five to ten minutes later (here: seconds, see *Lab time* below): somebody has to
# look.

# %%
lab.traffic("steady", rate=20)
lab.wait_for("sum(increase(model_labels_total[15m])) > 150")

# %% [markdown]
# `lab.wait_for` waited until a query in PromQL, Prometheus's language (notebook 03), returned something: more than 150
# rows now have a label. The service counts right and wrong answers, and Prometheus scrapes, that is, regularly reads,
# both counts. The share of the right ones among all is the accuracy. A recording rule (notebook 03) keeps it under a
# name of its own, which alerts and dashboards share:

# %%
accuracy = lab.query("model_version:accuracy:ratio_rate15m")
accuracy

# %% [markdown]
# The objective is 0.90, and a healthy model keeps it:

# %%
assert accuracy["value"].item() > 0.90

# %% [markdown]
# ## Watch it live
#
# The same loop again, this time with the state of each part. It is drawn anew every second while no cell runs.

# %%
from labkit.teach import widgets

widgets.loop_map(lab)

# %% [markdown]
# With these controls you steer the traffic yourself, now or in any later notebook: what is sent, how often, and how
# much of a fault comes. Move the rate and look at the map.

# %%
widgets.traffic_control(lab)

# %% [markdown]
# And these are the alerts. One fires always: the Watchdog, whose silence would tell that alerting itself is broken. Let
# the control send `bad_requests` for a while, and see another one become pending, then fire. Then choose `steady`
# again.

# %%
widgets.alert_board(lab)

# %% [markdown]
# ### Exercise 0.1: Ask a question of your own
#
# Every notebook has exercises. You replace `____`, run the cell, and the check looks at your answer and at the running
# system. A wrong answer hears what is wrong with it; `lesson.q1.hint()` and `lesson.q1.solution()` help. Where a
# function is asked for, replace the whole line `name = ____` by your `def name(...):`.
#
# Ask Prometheus how many rows the model has predicted. The metric is called `model_prediction_rows_total`; assign what
# `lab.query` returns to `rows`.

# %%
# solution
rows = lab.query("model_prediction_rows_total")
# end solution
lesson.q1.check(lab, rows)

# %% [markdown]
# Solved exercises are kept in `.lab/progress.json`. The lesson itself shows how far you are:

# %%
lesson

# %% [markdown]
# ## Lab time
#
# You have just seen labels that come "five to ten minutes later", and nobody waited that long. All files in `docker/`
# are written in production time, as you would take them to work. The lab runs a copy in which time passes faster:

# %%
f"One lab second is {lab.clock.speed:g} production seconds; 5m pass in {lab.clock.lab_seconds('5m'):g} s."

# %% [markdown]
# Compare how long the same rule waits: first as it is written, then as this Prometheus runs it.

# %%
from labkit.stack.render import config_dir

written = (config_dir() / "prometheus/rules/accuracy.yml").read_text().splitlines()
running = (lab.home.rendered / "prometheus/rules/accuracy.yml").read_text().splitlines()
for lines in (written, running):
    print(next(line.strip() for line in lines if "for:" in line))

# %% [markdown]
# You write `[15m]` and `for: 5m` everywhere, also in `lab.query`. Only latencies are real: a millisecond is a
# millisecond.

# %% [markdown]
# ## What goes wrong: a port is taken
#
# Lab servers listen on ports that were free when they were chosen. Suppose that the lab is down for a while:

# %%
port = lab.home.ports["model"]
lab.down()

# %% [markdown]
# Another program takes the model's port meanwhile. A lab that kept it would now fail, or worse: Prometheus would scrape
# a stranger. This one moves, says so, and writes the new address into every file that needs it:

# %%
import socket

with socket.create_server(("127.0.0.1", port)):
    lab.up()
lab.notices

# %% [markdown]
# The model answers at its new port, and whoever asks through `lab` does not notice:

# %%
assert lab.home.ports["model"] != port
lab.predict([[6.3, 2.8, 5.1, 1.5]])["predictions"]

# %% [markdown]
# ## In practice
#
# - In production an orchestrator gives out ports, and service discovery tells Prometheus. Here the target files in
#   `.lab/` do that, in the same format.
# - An hour takes an hour. `LAB_SPEED=1` before `make lab` runs the real thing.

# %% [markdown]
# ## Recap
#
# - The loop has six parts; `lab` shows them, `lab.query` asks Prometheus, `lab.traffic` sends flowers.
# - Everything is written in production time, and runs 60 times faster.
# - When something is off, ask the doctor: `labkit doctor` in a terminal.

# %%
lab.stop_traffic()

# %% [markdown]
# Next: [A model that fails silently](01_a_model_that_fails_silently.ipynb)
