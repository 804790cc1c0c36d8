# %% [markdown]
# # Alert on symptoms
#
# **You will do:** write an alert and load it into the running Prometheus, prove it with unit tests, lead it to the
# right people, read the Slack, e-mail and PagerDuty messages, and silence what is known.
#
# **You will learn:** which alerts are worth waking somebody for, how fast an error budget burns, and what keeps an
# alert quiet, from flapping, or from ever firing.
#
# **You need:** 50 minutes. [Notebook 03](03_scrape_and_query.ipynb) helps, but nothing from it is needed here.

# %%
from labkit import Lab
from labkit.teach import ____, open_lesson

lesson = open_lesson("08")
lab = Lab.open(fresh=True)
lesson

# %% [markdown]
# ## Symptoms, not causes
#
# A full disk, a slow network, a broken client: causes are without number, and most of them hurt nobody. Symptoms are
# few: answers fail, come late, or are wrong. Alert on those, and let dashboards and logs explain them. A **page** wakes
# somebody now; a **ticket** waits until the morning. Whatever asks for neither is no alert.

# %%
lab.traffic("steady", rate=40)
rules = lab.prometheus.rules()
rules[rules["type"] == "alerting"]["name"].tolist()

# %% [markdown]
# ## The anatomy of a rule
#
# A rule is an expression that returns nothing while all is well. Each series that it returns becomes an alert: first
# *pending*, and after it was there for the time `for`, *firing*. Labels decide where it goes, annotations say what it
# means. This one has two weak points:

# %%
weak = """
groups:
  - name: first
    rules:
      - alert: AnyError
        expr: sum by (model_name) (increase(model_prediction_errors_total[5m])) > 0
        labels: {severity: page}
        annotations: {summary: "{{ $labels.model_name }} failed a request"}
"""

# %% [markdown]
# It has no `for`, and it has no sense of proportion: one bad request in a million would wake somebody. A ratio has. But
# a ratio needs a **sample guard**: at night one failure of three requests is 33 %.
#
# ### Exercise 8.1: Your first alert
#
# Write `my_rules`, a rule file in production time, with the alert `ErrorRatioHigh`: more than 5 % of the requests of
# the last 5 minutes failed, out of at least 20, for 2 minutes. Severity `ticket`, with a `summary`. Then load it into
# the running Prometheus: `lab.load_rules(my_rules)`. The metrics are `model_prediction_errors_total` and
# `model_prediction_requests_total`.

# %%
# solution
my_rules = """
groups:
  - name: mine
    rules:
      - alert: ErrorRatioHigh
        expr: |
          sum by (model_name) (increase(model_prediction_errors_total[5m]))
            / sum by (model_name) (increase(model_prediction_requests_total[5m])) > 0.05
            and sum by (model_name) (increase(model_prediction_requests_total[5m])) >= 20
        for: 2m
        labels: {severity: ticket}
        annotations: {summary: "{{ $value | humanizePercentage }} of the requests fail"}
"""
lab.load_rules(my_rules)
# end solution
lesson.q1.check(lab, my_rules)

# %% [markdown]
# ## Who is told, and how
#
# A client's release breaks three requests of ten. The shipped page for that is `ModelErrorBudgetBurnFast`.

# %%
lab.fault("bad_requests")
lab.wait_for('ALERTS{alertname="ModelErrorBudgetBurnFast", alertstate="firing"}', timeout="3h")
lab.alerts()[["alertname", "state", "severity", "summary"]]

# %% [markdown]
# Your own `ErrorRatioHigh` fires too, and `Watchdog` always does. Others may be pending, and their `for` keeps them
# from firing: `ModelErrorBudgetBurnSlow`, which waits 15 minutes; `ModelAccuracyUnknown` until the first labels have
# come, and `NotificationsFailing` as Prometheus, just started, had something to tell before it had found Alertmanager.
#
# Prometheus only decides that an alert fires. It hands it to Alertmanager, which gathers alerts into groups for the
# time `group_wait`, and sends each group to a receiver. A page goes to Slack and to PagerDuty, a service that rings the
# phone of whoever is on duty. Here a local inbox plays both:

# %%
from labkit.clock import wait_until


def told(channel, alertname):
    return [message for message in lab.messages(channel) if alertname in message["title"]]


wait_until(
    lambda: told("slack", "BurnFast") and told("pagerduty", "BurnFast"), 120, "the page to arrive on both channels"
)
windows = lab.query_range('{__name__=~"model:errors:ratio_rate(5m|1h)"}', since="30m")

# %%
from labkit.teach.widgets import inbox

inbox(lab)

# %% [markdown]
# Read the message as somebody who was asleep: what is wrong, how badly, and where is it said what to do? The runbook
# answers the last one. Each alert of the lab has one, in `docs/runbooks.md`.

# %%
page = told("slack", "ModelErrorBudgetBurnFast")[0]
print(page["text"])

# %%
assert page["status"] == "firing"
assert "runbooks.md#modelerrorbudgetburnfast" in page["text"]

# %% [markdown]
# ## Burn rates
#
# The objective says that 99.5 % of the requests succeed. The other 0.5 % are the **error budget** of 30 days, which may
# be spent. A burn rate of 1 spends it in just 30 days. To spend the share `budget` within `hours`, errors must burn
# this much faster:


# %%
def burn_rate(budget, hours):
    return budget * 30 * 24 / hours


burn_rate(0.02, 1), burn_rate(0.05, 6)

# %% [markdown]
# The two rates are from Google's workbook, which pages for both. Here 2 % of the month's budget gone in an hour wakes
# somebody, and 5 % in six hours is a ticket.

# %%
assert round(burn_rate(0.02, 1), 1) == 14.4
assert round(burn_rate(0.05, 6), 1) == 6

# %% [markdown]
# Two windows judge together. The long one says that it matters, the short one that it still goes on. See how they
# follow the same fault. (If you were quick, hardly any request is older than five minutes yet, and the two lines are
# nearly one.)

# %%
from labkit import plots

names = ["last hour" if "1h" in str(name) else "last 5 minutes" for name in windows.columns]
plots.curves(windows.set_axis(names, axis=1), lab.clock.speed, "failed")

# %% [markdown]
# ### Exercise 8.2: Another burn rate
#
# Write the expression `burn` for an alert that speaks when 3 % of the month's budget would be gone within one hour, and
# the errors still go on. Take the recorded ratios `model:errors:ratio_rate1h` and `model:errors:ratio_rate5m`; 0.5 % of
# requests may fail.

# %%
# solution
burn = """
model:errors:ratio_rate1h > 21.6 * 0.005
  and model:errors:ratio_rate5m > 21.6 * 0.005
"""
# end solution
lesson.q2.check(burn)

# %% [markdown]
# ## Rules have tests
#
# An alert is code that runs for the first time on the worst day of the year, unless it is tested. `promtool test rules`
# takes made-up series and says which alerts fire when. No server is needed, and an hour passes in a moment.

# %%
from labkit.stack.promtool import test_rules
from labkit.teach.lessons.lesson_08 import GUARDED

print(GUARDED)

# %% [markdown]
# In a series, `0+3x40` begins at 0 and rises by 3, 40 times. Here is one case: 10 % of many requests fail.

# %%
case = """
tests:
  - interval: 15s
    input_series:
      - {series: 'model_prediction_requests_total{model_name="m"}', values: 0+30x40}
      - {series: 'model_prediction_errors_total{model_name="m", error_type="other"}', values: 0+3x40}
    promql_expr_test:
      - expr: count(ALERTS{alertname="ErrorRatioHigh", alertstate="firing"})
        eval_time: 10m
        exp_samples: [{labels: '{}', value: 1}]
"""
print(test_rules(GUARDED, case))

# %%
assert test_rules(GUARDED, case).passed

# %% [markdown]
# Does this test hold the rule? Break the rule and see. With the threshold ten times as high the case fails, as it
# should. Without the guard it still passes: nothing in it asks for the guard.

# %%
without_guard = GUARDED.replace(">= 20", ">= 0")
assert not test_rules(GUARDED.replace("0.05", "0.5"), case).passed
assert test_rules(without_guard, case).passed

# %% [markdown]
# ### Exercise 8.3: Tests that hold the rule
#
# Write `my_tests` for the rule above. They must pass for it, and fail when its threshold is ten times as high, when its
# guard is gone, and when its `for` is gone. To expect silence, write `exp_samples: []`.

# %%
# solution
my_tests = (
    case
    + """
  - interval: 15s
    input_series:
      - {series: 'model_prediction_requests_total{model_name="m"}', values: 0+0.6x40}
      - {series: 'model_prediction_errors_total{model_name="m", error_type="other"}', values: 0+0.3x40}
    promql_expr_test:
      - {expr: 'ALERTS{alertname="ErrorRatioHigh", alertstate="firing"}', eval_time: 10m, exp_samples: []}
  - interval: 15s
    input_series:
      - {series: 'model_prediction_requests_total{model_name="m"}', values: 0+30x40}
      - {series: 'model_prediction_errors_total{model_name="m", error_type="other"}', values: 0x36 20 40 60 80}
    promql_expr_test:
      - {expr: 'ALERTS{alertname="ErrorRatioHigh", alertstate="firing"}', eval_time: 10m, exp_samples: []}
"""
)
# end solution
lesson.q3.check(my_tests)

# %% [markdown]
# ## Routes
#
# A tree of routes decides who hears of an alert. It is walked from the top; the first route whose matchers fit takes
# the alert, unless it says `continue: true`. This is the lab's:

# %%
from labkit.stack.render import config_dir

routing = (config_dir() / "alertmanager" / "alertmanager.yml").read_text()
print(routing.partition("\nroute:\n")[2].partition("\n\n# ")[0])

# %% [markdown]
# `amtool` walks it for us:

# %%
from labkit.stack.promtool import route

route(routing, {"alertname": "ModelAccuracyLow", "severity": "page", "action": "retrain"})

# %% [markdown]
# Low accuracy goes to two: the retrainer may act, and people hear of it. And an alert that nobody thought of still
# lands where somebody reads it:

# %%
assert route(routing, {"alertname": "Unheard"}) == ["ticket"]

# %% [markdown]
# ### Exercise 8.4: A team of their own
#
# A data team wants to hear of every alert about inputs, that is of all whose name begins with `ModelInput`. Everybody
# who hears of them today must go on hearing of them. Write `data_route`, one route as a dictionary, which will be put
# before all others; the receiver is called `data-team`. As a dictionary, the route for pages is
# `{"matchers": ['severity = "page"'], "receiver": "page"}`.

# %%
# solution
data_route = {"matchers": ['alertname =~ "ModelInput.+"'], "receiver": "data-team", "continue": True}
# end solution
lesson.q4.check(data_route)

# %% [markdown]
# ## Inhibition: what follows from another alert
#
# The slow burn fires too, some time after the fast one. Who was paged for the fast one needs no ticket for the slow
# one, so Alertmanager keeps it back:

# %%
lab.wait_for('ALERTS{alertname="ModelErrorBudgetBurnSlow", alertstate="firing"}', timeout="3h")


def inhibited():
    held = lab.alertmanager.alerts()
    return set(held[held["inhibited_by"].astype(bool)]["alertname"])


wait_until(lambda: "ModelErrorBudgetBurnSlow" in inhibited(), 120, "the slow burn to be inhibited")
inhibited()

# %% [markdown]
# Inhibit only what truly follows. An alert that asks for retraining must never be inhibited by a symptom (the lab's one
# exception is `ModelDown`: a dead model cannot be judged), or the retrainer could not even refuse.
#
# ## Silences: what is known
#
# The client's team has been called, and will need two hours. Until then nobody wants to be reminded.
#
# ### Exercise 8.5: Silence one alert
#
# Silence `ModelErrorBudgetBurnFast`, and nothing else, for two hours, with a comment that says who does what:
# `lab.alertmanager.silence(matchers, duration, comment)`, in production time; here `matchers` is a dictionary of
# labels, such as `{"severity": "page"}`. Two hours are two minutes here, so check before they are over.

# %%
# solution
lab.alertmanager.silence({"alertname": "ModelErrorBudgetBurnFast"}, "2h", "the client's team rolls back, see #12")
# end solution
lesson.q5.check(lab)

# %% [markdown]
# A silence stops messages, not alerts: Prometheus goes on firing, and the dashboard shows it. It ends by itself, so
# that nobody can forget it.

# %%
lab.alertmanager.silences()[["state", "matchers", "ends_at", "comment"]]

# %% [markdown]
# ## Absence
#
# All rules above return nothing when there is nothing to compare: no target, no traffic, no labels. Silence then looks
# like health. So absence has alerts of its own: `ModelDown` (`up == 0`, and `absent` for a target that discovery lost),
# `ModelNoTraffic`, `ModelAccuracyUnknown`; and `Watchdog`, which always fires, so that an outsider notices when the
# chain itself is broken. Here `modle` is misspelt on purpose; the numbers say how many series each expression returns:

# %%
absence = {"no such target": 'absent(up{job="modle"})', "the model": 'absent(up{job="model"})'}
{name: len(lab.query(expression)) for name, expression in absence.items()}

# %% [markdown]
# A 1 would become an alert: nobody is called `modle`. A 0 means that the target is there, up or not.

# %% [markdown]
# ## What goes wrong: cannot fire, cannot rest, forty at once
#
# **An alert that cannot fire.** Three requests of ten fail right now. This rule is accepted, loaded and evaluated:

# %%
from labkit.stack.promtool import check_rules

dead = "rate(model_prediction_errors_total[5m]) / rate(model_prediction_requests_total[5m]) > 0.05"
check_rules(weak.replace("sum by (model_name) (increase(model_prediction_errors_total[5m])) > 0", dead))
len(lab.query(dead))

# %% [markdown]
# It returns nothing, today and for ever. The left side has the label `error_type`, the right side has not, so no series
# finds its partner. Nothing says so, except a unit test that expects it to fire. Sum both sides to the labels that you
# want to keep:

# %%
alive = dead.replace("rate(", "sum by (model_name) (rate(").replace("[5m])", "[5m]))")
assert len(lab.query(dead)) == 0
print(alive)
lab.wait_for(alive)

# %% [markdown]
# **Flapping.** The fault ends. A new rule asks whether there are more requests than usual, and asks it of a single
# minute, without `for`. Beside it the same question with patience: a longer window, a margin that matters, and `for`.

# %%
lab.end_fault()
nervous = """
groups:
  - name: busy
    rules:
      - alert: BusyNervous
        expr: sum(rate(model_prediction_requests_total[1m])) > sum(rate(model_prediction_requests_total[10m]))
        labels: {severity: none}
      - alert: BusyPatient
        expr: sum(rate(model_prediction_requests_total[5m])) > 3 * sum(rate(model_prediction_requests_total[30m]))
        for: 10m
        labels: {severity: none}
"""
lab.load_rules(nervous)[["name", "health"]]

# %% [markdown]
# `ALERTS_FOR_STATE` holds when an alert began. Each change of it is another episode, that is another message:

# %%
lab.wait_for('changes(ALERTS_FOR_STATE{alertname="BusyNervous"}[1h]) >= 2', timeout="6h")
fired = lab.query('count by (alertname) (count_over_time(ALERTS{alertname=~"Busy.+", alertstate="firing"}[1h]))')
assert fired["alertname"].tolist() == ["BusyNervous"]
lab.query('changes(ALERTS_FOR_STATE{alertname="BusyNervous"}[1h])')

# %% [markdown]
# Nothing happened at all, and the nervous one began and ended again and again. People learn to look away from such an
# alert, also on the day when it is right.
#
# **A storm.** Somebody writes an alert for each of forty causes. A bad day makes all of them true:

# %%
names = [f"Cause{number:02}" for number in range(1, 41)]
labels = "labels: {severity: ticket, model_name: iris-classifier}"
storm = "groups:\n  - name: storm\n    rules:\n" + "".join(
    f"      - {{alert: {name}, expr: vector(1), {labels}}}\n" for name in names
)
lab.load_rules(storm)
wait_until(lambda: len(told("email", "Cause")) >= 40, 120, "forty mails")
len(told("email", "Cause"))

# %% [markdown]
# Forty mails within a minute, and somewhere between them is the one that matters. Mended: one alert with one name; what
# differs is a label. `group_by: [alertname, model_name]` then makes one message of all its series. Forty series of
# `model_feature_reference_cdf` stand in for the forty causes:

# %%
grouped = """
groups:
  - name: grouped
    rules:
      - alert: FeatureOff
        expr: last_over_time(model_feature_reference_cdf{feature=~"petal.+"}[1m]) >= 0
        labels: {severity: ticket}
        annotations: {summary: "{{ $labels.feature }} below {{ $labels.le }}"}
"""
lab.load_rules(grouped)
mail = wait_until(lambda: told("email", "FeatureOff"), 120, "the one mail")[0]
mail["title"]

# %%
mails = [message for message in told("email", "FeatureOff") if message["status"] == "firing"]
alerts = lab.wait_for('count(ALERTS{alertname="FeatureOff", alertstate="firing"}) > 30')["value"].item()
f"{alerts:g} alerts, {len(mails)} mail"

# %%
lab.load_rules("")
assert len(mails) < 10 < 30 < alerts

# %% [markdown]
# ## In practice
#
# - Keep rules, their tests and the routes in version control, and let CI run `promtool test rules` and `amtool
#   check-config`. `docker/prometheus/` and `docker/alertmanager/` have all of them as you would take them to work.
# - Count pages. More than two in a shift, or one that asked for nothing, is a fault of the alert: change or delete it.
# - Slack's `send_resolved` is off unless you set it; then nobody hears that it is over.
# - Put the link to the runbook into every alert, and write the runbook before the alert.
# - `LAB_SPEED=1` shows how long two minutes of `for` are when one waits for them.

# %% [markdown]
# ## Recap
#
# - Page for symptoms that hurt users now; ticket for what can wait; nothing for the rest.
# - A ratio needs a sample guard, a window and a `for`; a burn rate ties them to a budget.
# - Silence is no health: alert on absence as well.
# - Unit tests find the alert that cannot fire; each part of a rule needs a case that fails without it.
# - Grouping, inhibition and silences decide whether anybody reads the message.

# %%
lab.stop_traffic()

# %% [markdown]
# [Next: Close the loop](09_close_the_loop.ipynb)
