"""The checks of notebook 03: scrape and query."""

from labkit.errors import WaitTimeout
from labkit.lab import Lab
from labkit.teach.exercise import Incorrect, Lesson
from labkit.teach.promql import agrees

lesson = Lesson("03", "Scrape and query")

_ERRORS, _REQUESTS = "model_prediction_errors_total", "model_prediction_requests_total"
_BUCKETS = "model_prediction_latency_seconds_bucket"
_LABELS = 'job="model",model_name="iris",model_version="v1"'
# Of two instances the one answers 99 calls within a second, while the other answers one in one to ten.
_COUNTS = {"one": {"1": 99, "10": 99, "+Inf": 99}, "two": {"1": 0, "10": 1, "+Inf": 1}}
_TWO_INSTANCES = {
    f'{_BUCKETS}{{{_LABELS},instance="{name}",le="{le}"}}': f"0+{count}x480"
    for name, counts in _COUNTS.items()
    for le, count in counts.items()
}
_P95_OF_BOTH = 0.96  # 95 / 99 of the way through the first bucket


@lesson.exercise(
    hints=(
        "A rate of errors divided by a rate of requests, each inside sum by (model_name) (...).",
        f"sum by (model_name) (rate({_ERRORS}[5m])) / sum by (model_name) (rate({_REQUESTS}[5m]))",
    )
)
def q1(lab: Lab, failed_share: str) -> str:
    """Write PromQL for the share of requests that failed in the last five minutes, one number for the model."""
    share = f"sum(rate({_ERRORS}[5m])) / sum(rate({_REQUESTS}[5m]))"
    _insist_on_one_series(
        lab,
        failed_share,
        "The query returns nothing. Is each name right? Do both sides of the division have the same labels? "
        "errors carry error_type, requests do not: sum both by (model_name).",
    )
    wrong = {
        f"sum(rate({_ERRORS}[5m]))": "That is errors per second. Divide by the requests per second.",
        f"sum(increase({_ERRORS}[5m]))": "That is the number of errors. Divide by the number of requests.",
        f"1 - {share}": "That is the share that succeeded. Leave out the 1 - ...",
        f"1 / ({share})": "The division is upside down: errors belong on top.",
        f"sum({_ERRORS}) / sum({_REQUESTS})": "Without rate(...[5m]) that is the share since the service started.",
    }
    value = _judge(lab, failed_share, share, wrong)
    return f"{value:.0%} of the requests failed in the last five minutes; three of ten are broken."


@lesson.exercise(
    hints=(
        f"histogram_quantile(0.95, ...) wants rates of {_BUCKETS}, summed so that le is kept.",
        f"histogram_quantile(0.95, sum by (model_name, le) (rate({_BUCKETS}[5m])))",
    )
)
def q2(lab: Lab, p95: str) -> str:
    """Write PromQL for the latency below which 95 % of the calls of the last five minutes stayed."""

    def quantile(share: float) -> str:
        return f"histogram_quantile({share}, sum by (le) (rate({_BUCKETS}[5m])))"

    _insist_on_one_series(
        lab,
        p95,
        "The query returns nothing. A quantile needs the series that end in _bucket, and every sum must keep le.",
    )
    mean = "sum(rate(model_prediction_latency_seconds_sum[5m])) / sum(rate(model_prediction_latency_seconds_count[5m]))"
    wrong = {
        f"histogram_quantile(0.95, sum by (le) ({_BUCKETS}))": "Without rate(...[5m]) that is since the service began.",
        mean: "That is the mean. A few slow calls hide in it: use histogram_quantile.",
        **{quantile(each): f"That is the {each:.0%} quantile; 95 % were asked for." for each in (0.5, 0.9, 0.99)},
    }
    value = _judge(lab, p95, quantile(0.95), wrong)
    if _BUCKETS in p95 and not agrees(p95, _TWO_INSTANCES, {"": _P95_OF_BOTH}):
        raise Incorrect(
            "That is a quantile of each instance, and quantiles cannot be joined afterwards: over all instances, first "
            "sum the rates of the buckets by (le)."
        )
    return f"95 % of the calls took at most about {1000 * value:.1f} ms."


@lesson.exercise(
    hints=(
        'Right answers are model_labels_total{outcome="correct"}; all answers are the same metric without the filter.',
        'sum by (model_name) (rate(model_labels_total{outcome="correct"}[15m])) divided by the same without {...}.',
    )
)
def q3(lab: Lab, accuracy: str) -> str:
    """Write PromQL for the share of right answers among the rows labelled in the last 15 minutes."""

    def rate(outcome: str) -> str:
        return f'sum(rate(model_labels_total{{outcome=~"{outcome}"}}[15m]))'

    _insist_on_one_series(
        lab,
        accuracy,
        "The query returns nothing. Is it model_labels_total, with outcome correct? Sum both sides by (model_name).",
        "model_labels_total[15m]",
    )
    if "model_accuracy" in accuracy:
        raise Incorrect("model_accuracy is the gauge: its window is not yours, and it freezes when labels stop.")
    wrong = {
        f"{rate('incorrect')} / {rate('.*')}": "That is the share of wrong answers.",
        f"{rate('correct')} / {rate('incorrect')}": "That is right to wrong. Divide by all labels, right and wrong.",
        rate("correct"): "That is right answers per second. Divide by all.",
    }
    value = _judge(lab, accuracy, f"{rate('correct')} / {rate('.*')}", wrong, "15m")
    return f"{value:.1%} of the rows labelled in the last 15 minutes were answered rightly."


@lesson.exercise(
    hints=(
        "increase(...[5m]) counts the requests of five minutes. Which comparison keeps a series only when it is 0?",
        f"sum by (model_name) (increase({_REQUESTS}[5m])) == 0",
    )
)
def q4(lab: Lab, no_traffic: str) -> str:
    """Write PromQL that returns a series just when the model had no request in the last five minutes."""
    frame = lab.query(_text(no_traffic))
    if frame["value"].isna().any():
        raise Incorrect("It returns NaN: a ratio without traffic. Count the requests instead of dividing by them.")
    if _REQUESTS not in no_traffic:
        raise Incorrect(f"It does not look at {_REQUESTS}, so it would say the same while requests come.")
    if not _is_silent(no_traffic, _last_asked(minutes_ago=0)):
        if "*0" in "".join(no_traffic.split()):
            raise Incorrect("It is 0 whatever comes: take the multiplication away.")
        raise Incorrect(
            "The comparison also holds while requests come, so it says nothing. Keep only 0: end with == 0."
        )
    if not _speaks(no_traffic, _last_asked(minutes_ago=120)):
        raise Incorrect(
            "It returns nothing where nobody has asked for hours: this alert would never fire. Compare with 0; a ratio "
            "is NaN then, and absent() speaks only when the counter itself is gone."
        )
    if not _is_silent(no_traffic, _last_asked(minutes_ago=4)) or not _speaks(no_traffic, _last_asked(minutes_ago=7)):
        raise Incorrect("The window is another: five minutes were asked for, [5m].")
    return "It speaks five minutes after the last request, and is silent as soon as somebody asks."


def _last_asked(minutes_ago: int) -> dict[str, str]:
    """Return two hours of a counter of requests that rose until so many minutes ago."""
    still = 4 * minutes_ago  # samples, one every 15 s
    rising = 480 - still
    return {f'{_REQUESTS}{{{_LABELS},instance="one"}}': f"7+5x{rising} {7 + 5 * rising}x{still}"}


def _speaks(expression: str, series: dict[str, str]) -> bool:
    return agrees(f"count(\n{expression}\n)", series, {"": 1})


def _is_silent(expression: str, series: dict[str, str]) -> bool:
    return agrees(f"count(\n{expression}\n)", series, {})


def _insist_on_one_series(lab: Lab, expression: str, when_empty: str, counted: str = f"{_REQUESTS}[5m]") -> None:
    _text(expression)
    try:
        lab.wait_for(f"sum(increase({counted})) > 0", "30m")
    except WaitTimeout:
        raise Incorrect(
            "Nothing was counted: no traffic runs. Start it: lab.traffic('bad_requests', rate=10)."
        ) from None
    frame = lab.query(expression)
    if not len(frame):
        raise Incorrect(when_empty)
    if frame["value"].isna().all():
        raise Incorrect("The query returns NaN, 0 divided by 0: does the filter leave anything of either side?")
    if len(frame) > 1:
        raise Incorrect(f"The query returns {len(frame)} series; one number for the model was asked for. Sum them.")


def _text(expression: str) -> str:
    if not isinstance(expression, str):
        raise Incorrect(f"Assign the PromQL as a text in quotes; this is {type(expression).__name__}.")
    return expression


def _judge(lab: Lab, expression: str, right: str, wrong: dict[str, str], window: str = "5m") -> float:
    """Return the answer's value if it is that of ``right``, both at one moment; say which wrong one it is else."""
    if "[" in expression and f"[{window}]" not in "".join(expression.split()):
        raise Incorrect(f"The window is another one: write [{window}].")
    if _agree(lab, expression, right):
        return float(lab.query(expression)["value"].iloc[0])
    for other, message in wrong.items():
        if _agree(lab, expression, other):
            raise Incorrect(message)
    raise Incorrect("It returns a number, but another one than was asked for. Compare names, labels and windows.")


def _agree(lab: Lab, one: str, other: str) -> bool:
    difference = lab.query(f"abs(({one}) - scalar({other}))")["value"]
    return bool(len(difference)) and bool((difference < 1e-9).all())
