# %% [markdown]
# # Game day
#
# **You will do:** rehearse an incident that is named, then meet one that is not: find out what it is, where, and since
# when, respond, and write the postmortem.
#
# **You will learn:** in which order to look, why the first graph misleads, what to do when the right response is not
# the one that a machine proposes, and what a postmortem needs.
#
# **You need:** 40 minutes. The notebooks before help, but nothing from them is needed here.

# %%
from labkit import Lab, plots
from labkit.simulate.scenarios import RESPONSES
from labkit.teach import ____, open_lesson
from labkit.teach.diagnosis import KINDS, PLACES
from labkit.teach.gameday import GameDay
from labkit.teach.postmortem import complete

lesson = open_lesson("10")
lab = Lab.open(fresh=True)
lesson

# %% [markdown]
# ## The rules of the day
#
# A diagnosis says three things: of which kind the incident is, in which places, and since when. A response follows from
# it. These are the kinds:

# %%
for kind, meaning in KINDS.items():
    print(f"{kind:<17} {meaning}")

# %% [markdown]
# A place is a feature, a class, `other` (labels that name no class of the model), the clients, or the service:

# %%
print(", ".join(PLACES))

# %% [markdown]
# And these are the responses. One of them is right for each incident:

# %%
for response, meaning in RESPONSES.items():
    print(f"{response:<12} {meaning}")

# %% [markdown]
# ## A rehearsal
#
# This incident we go through together, and we know its name: a client sends the length of petals in millimetres. It
# begins after a few quiet minutes. The retrainer is switched off on game days: retraining is for you to choose.

# %%
rehearsal = GameDay(lab, seed=9, rehearse="unit_error")
rehearsal.wait_for_alert()

# %% [markdown]
# The table says which alerts are pending or firing now, and since which production minute of the game their condition
# has held. Labels come five to
# ten minutes late, so accuracy falls last. Here we wait until it does:

# %%
accuracy = "model_version:accuracy:ratio_rate15m"
lab.wait_for(f"{accuracy} < 0.85", "6h")
plots.curves(lab.query_range(accuracy, f"{rehearsal.minute:.0f}m", "1m"), lab.clock.speed, "accuracy")

# %% [markdown]
# ## What goes wrong: the diagnosis that fits the first graph
#
# Somebody is paged for accuracy and opens the graph of accuracy. It falls, so the model must be out of date: the
# meaning has changed, and a new model is needed. That fits what they see, and it is wrong:

# %%
verdict = rehearsal.diagnose("changed_meaning", {"versicolor", "virginica"})
assert "fits the first graph" in verdict
verdict

# %% [markdown]
# What would the response have led to? The retrainer is asked for a new model. Its gates look at the rows first:

# %%
rehearsal.respond("retrain")
refusal = rehearsal.last_response()
assert "would refuse" in refusal
refusal

# %% [markdown]
# A symptom is what an incident does; its cause comes earlier on the way of the data. So look in the order in which the
# data flows: the service, the inputs, the answers, the labels. The first line that has changed is the one to follow.

# %%
seen = rehearsal.evidence()
plots.signals(seen.curves, seen.fired)

# %% [markdown]
# Requests and errors tell of no such change. The inputs do, and one feature alone: more of its values than the
# dashed line allows are implausible. Accuracy comes last and follows from that.

# %%
assert rehearsal.diagnose("broken_values", {"petal_length"}) == ""
rehearsal.respond("fix_data")
rehearsal.last_response() or "The source is mended."

# %% [markdown]
# ## The game
#
# Now one that is not named. The seed draws it; neither `lab.status()` nor the log of the traffic tells. Another seed is
# another incident: play again as often as you like, and take your time. Wait until you are called:

# %%
game = GameDay(lab, seed=9)
game.wait_for_alert()

# %% [markdown]
# What you have: `game.over_time(expression)` evaluates PromQL over the whole game, indexed by its production minutes.
# `game.answered()` returns the rows that were answered, each with its minute, and `game.labelled()` those whose label
# has come. Everything in `lab` works as always.

# %%
seen = game.evidence()
plots.signals(seen.curves, seen.fired)

# %% [markdown]
# ### Exercise 10.1: What is it, and where?
#
# Assign `kind`, a key of `KINDS`, and `places`, a set of names out of `PLACES`. Name every feature whose curve has
# clearly risen since the quiet minutes, also one that is still below the dashed line. Classes are places only where the
# labels changed. A wrong diagnosis hears what speaks against it.

# %%
# solution
kind = "other_population"
places = {"sepal_length", "petal_length", "petal_width"}
# end solution
lesson.q1.check(game, kind, places)

# %% [markdown]
# ### Exercise 10.2: Since when?
#
# Assign `since`, in production minutes since the game began. An alert is younger than its cause, so do not read it off
# the alerts. Draw what changed with a short window such as `[2m]`, or look at the rows themselves.

# %%
# solution
rows = game.answered().set_index("minute")
share = (rows["predicted"] == "virginica").rolling(200).mean()
since = float(share.index[share < 0.5][-1])
# end solution
lesson.q2.check(game, since)

# %% [markdown]
# ### Exercise 10.3: Respond
#
# Call `game.respond(...)` with a key of `RESPONSES`. Before you follow an alert that asks for retraining: is anybody
# answered wrongly? A wrong response mends nothing, and the clock goes on.

# %%
# solution
game.respond("keep")
# end solution
lesson.q3.check(game)

# %% [markdown]
# The day is over. `tell` says what it was; if you did not mend it, it is ended now.

# %%
truth = game.tell()
print(f"{truth.scenario.name}: {truth.scenario.summary}\nRight response: {RESPONSES[truth.scenario.response]}")

# %% [markdown]
# And this is how long each step took since the onset. Detecting is the machine's share, so it is best read in
# production minutes. Diagnosing and mending is yours, and you think no faster in a lab: read the second column.

# %%
scores = game.scores()
assert scores["production minutes"]["to detect"] > 0
scores

# %% [markdown]
# The alerts took longer than the change: each looks back over a window and waits for its `for`. A shorter window finds
# it sooner, and cries wolf more often. That is the price you set in notebook 08.
#
# ### Exercise 10.4: The postmortem
#
# What was recorded is drafted already. Times, alerts and messages come from the game; `TODO` is what only people know.

# %%
draft = game.postmortem()
print(draft)

# %% [markdown]
# Assign `report`: the draft, completed with `complete(draft, summary=..., root_cause=..., not_noticed=...,
# actions=[(what, owner, due), ...])`. It is checked as a good colleague would: no blame, a cause and not a symptom, and
# actions that one person owns until a day.

# %%
# solution
report = complete(
    draft,
    summary="The mix of flowers changed within a minute. Answers stayed right; two alerts called people for nothing.",
    root_cause="The reference was sampled with equal shares of classes, so no season can look like it.",
    not_noticed="Nobody had told the team that virginica was in season, and no dashboard showed shares over a year.",
    actions=[
        ("Weight the reference by the season's shares", "Ada", "2030-01-31"),
        ("Show accuracy beside drift in the alert's message", "Linus", "2030-01-15"),
    ],
)
# end solution
lesson.q4.check(game, report)

# %% [markdown]
# ## In practice
#
# - Hold a game day each quarter, with a fault that one person injects and the others do not know. Begin with a test
#   system, and say in advance who may stop it.
# - Give the roles to different people: one leads, one looks, one writes down the times. In a lab you are all three.
# - File postmortems where others find them, and read the open actions before the next game day.
# - To play more: `GameDay(lab, seed=...)` with any number draws one of all incidents.

# %% [markdown]
# ## Recap
#
# - Look in the order of the data: service, inputs, answers, labels. The first change is the lead, the page is not.
# - A diagnosis says what, where and since when, and each part can be tested against what was recorded.
# - An alert is younger than its cause: date an incident with a short window, or by when rows were predicted.
# - The right response may be to keep the model, and to say why.
# - A postmortem names causes that can be changed, and actions with one owner and a day.

# %%
lab.stop_traffic()

# %% [markdown]
# [Next: Outgrow one machine](11_outgrow_one_machine.ipynb)
