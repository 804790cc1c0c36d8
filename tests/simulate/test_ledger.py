"""Rates and lateness are those of the last 5 s, however long traffic runs."""

import pytest

from labkit.simulate.ledger import Ledger


def sending(ledger, times, late=0.0):
    for at in times:
        ledger.send(scheduled_at=at - late, now=at)


def test_a_sender_that_cannot_keep_up_is_reported_as_such():
    ledger = Ledger(now=0.0)
    sending(ledger, [i / 10 for i in range(200)])  # 10 per second for 20 s, whatever was asked

    assert ledger.summary(now=20.0)["achieved_rate"] == pytest.approx(10, abs=0.2)


def test_the_rate_of_a_young_run_is_over_its_own_time():
    ledger = Ledger(now=100.0)
    sending(ledger, [100.5, 101.0, 101.5, 102.0])

    assert ledger.summary(now=102.0)["achieved_rate"] == 2.0


def test_what_was_sent_more_than_5_s_ago_no_longer_counts_in_the_rate():
    ledger = Ledger(now=0.0)
    sending(ledger, [1.0, 2.0, 3.0], late=9.0)

    summary = ledger.summary(now=50.0)

    assert (summary["achieved_rate"], summary["late_seconds_p99"], summary["sent"]) == (0.0, 0.0, 3)


def test_lateness_is_the_99th_percentile():
    ledger = Ledger(now=0.0)
    sending(ledger, [i / 1000 for i in range(1, 981)])
    sending(ledger, [0.99] * 20, late=0.5)

    assert ledger.summary(now=1.0)["late_seconds_p99"] == pytest.approx(0.5)


def test_every_end_of_a_request_and_of_its_labels_has_its_count():
    ledger = Ledger(now=0.0)
    for outcome in ("answered", "answered", "refused", "failed"):
        ledger.answer(outcome)
    for outcome in ("answered", "refused", "refused", "failed"):
        ledger.label(outcome)

    summary = ledger.summary(now=1.0)

    assert [summary[name] for name in ("answered", "refused", "failed")] == [2, 1, 1]
    assert [summary[name] for name in ("labels_sent", "labels_refused", "labels_failed")] == [1, 2, 1]
