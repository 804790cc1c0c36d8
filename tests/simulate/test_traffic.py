"""Traffic over a real socket: what a server sees of it, and what the status says of it."""

import time
from itertools import islice

import numpy as np
import pytest

from labkit.errors import InputError
from labkit.simulate.control import Control, seal
from labkit.simulate.plan import Arrivals, Plan
from labkit.simulate.scenarios import scenario


def planned(seed, n, name="steady", since_onset=0.0):
    plan = Plan(seed)
    return [plan.next(scenario(name), since_onset) for _ in range(n)]


def gaps_and_lateness(model, traffic, seed):
    """Send 200 requests; return how their gaps correlate with the planned ones, and the median lateness in seconds."""
    traffic.obey(running=False)
    traffic.wait(lambda status: not status.running, "the traffic to rest")
    before = len(model.predicted)
    traffic.obey(rate=50, seed=seed, running=True)
    traffic.wait(lambda status: status.running and status.sent >= 200, "200 requests")
    arrivals = Arrivals(seed=seed)
    arrivals.set_rate(50, now=0.0)

    received = np.array([at for at, *_ in model.predicted[before : before + 200]])
    scheduled = np.array(list(islice(arrivals.due(1e9), 200)))
    late = received - scheduled - min(received - scheduled)
    return np.corrcoef(np.diff(received), np.diff(scheduled))[0, 1], np.median(late)


def test_requests_reach_the_server_at_the_moments_of_the_poisson_process_and_not_before(model, traffic):
    # Evenly spaced requests would be late by up to 0.3 s, and their gaps have nothing in common with the planned ones,
    # each time. A busy machine, which stops a process now and then, does not spoil every one of four attempts.
    attempts = (gaps_and_lateness(model, traffic, seed) for seed in (9, 10, 11, 12))
    assert any(correlation > 0.2 and late < 0.2 for correlation, late in attempts)


def test_the_seed_says_which_rows_are_sent(model, traffic):
    traffic.obey(rate=100, seed=3, running=True)
    traffic.wait(lambda status: status.sent >= 60, "60 requests")
    traffic.obey(running=False)
    traffic.wait(lambda status: not status.running and status.in_flight == 0, "the last of them")

    # Requests may overtake each other on their way, hence the sets.
    sent = {body for _, _, body in model.predicted}

    assert {request.body for request in planned(3, 50)} <= sent
    assert sent <= {request.body for request in planned(3, len(model.predicted) + 250)}


def test_a_slow_server_does_not_slow_the_arrivals(model, traffic):
    model.predict_seconds = 2.0

    traffic.obey(rate=100, running=True)
    status = traffic.wait(lambda status: status.sent >= 80, "80 requests")

    assert status.answered == 0
    assert status.in_flight >= status.sent
    assert status.achieved_rate == pytest.approx(100, rel=0.5)
    assert status.late_seconds_p99 < 1.0  # who waited for answers would be late by two seconds and more


def test_what_cannot_be_sent_in_time_is_reported_as_late_and_not_as_achieved(model, traffic):
    model.predict_seconds = 1.0  # with 200 requests in flight at most, 200 per second can be sent

    traffic.obey(rate=600, running=True)
    status = traffic.wait(lambda status: status.sent > 200 and status.late_seconds_p99 > 0.3, "lateness")

    assert status.achieved_rate < 0.7 * status.asked_rate

    traffic.obey(running=False)
    status = traffic.wait(lambda status: status.in_flight == 0, "what is in flight")
    assert status.sent <= len(model.predicted)  # and not what waited in vain


def test_what_waits_to_be_sent_is_dropped_when_traffic_is_stopped(model, traffic):
    model.predict_seconds = 1.0
    traffic.obey(rate=600, running=True)
    traffic.wait(lambda status: status.in_flight > 400, "requests that wait for those in flight")

    traffic.obey(running=False)
    stopped = traffic.wait(lambda status: not status.running, "traffic to stop")
    traffic.wait(lambda status: status.in_flight == 0, "what is in flight")

    assert stopped.in_flight > 400
    assert len(model.predicted) <= stopped.sent + 200


def test_labels_tell_the_truth_minutes_after_the_answer(model, traffic):
    traffic.obey(rate=40, seed=5, running=True)
    traffic.wait(lambda status: status.labels_sent >= 40, "40 labelled requests")

    bodies = {request_id: body for _, request_id, body in model.predicted}
    plan = {request.body: request for request in planned(5, len(bodies) + 500)}
    late = []
    for labelled_at, request_id, labels in model.labelled[:40]:
        request = plan[bodies[request_id]]
        assert labels == request.labels
        late.append(labelled_at - model.answered_at[request_id] - request.label_delay_seconds / 600)

    assert min(late) >= 0
    assert np.median(late) < 0.25


def test_labels_to_come_outlive_a_change_of_scenario(model, traffic):
    traffic.obey(rate=50, running=True)
    traffic.wait(lambda status: status.labels_pending >= 20, "labels on their way")

    traffic.obey(scenario="no_traffic", rate=50, running=True)
    status = traffic.wait(
        lambda status: status.scenario == "no_traffic" and status.labels_pending == status.in_flight == 0, "the labels"
    )

    assert status.labels_sent == status.answered == len(model.labelled)


def test_labels_to_come_are_dropped_when_traffic_is_stopped(model, traffic):
    traffic.obey(rate=50, running=True)
    traffic.wait(lambda status: status.labels_pending >= 20, "labels on their way")

    traffic.obey(running=False)
    stopped = traffic.wait(lambda status: not status.running, "traffic to stop")
    labelled_when_stopped = len(model.labelled)
    traffic.wait(lambda status: status.updated_at > stopped.updated_at + 1.1, "longer than any label takes")

    assert stopped.labels_pending == 0
    assert len(model.labelled) <= labelled_when_stopped + stopped.in_flight


def test_a_new_run_counts_from_zero_and_sends_the_same_rows(model, traffic):
    traffic.obey(rate=50, seed=1, running=True)
    traffic.wait(lambda status: status.sent >= 30, "a first run")
    traffic.obey(running=False)
    traffic.wait(lambda status: not status.running and status.in_flight == 0, "its end")
    sent_before = len(model.predicted)

    traffic.obey(rate=50, seed=1, running=True)
    status = traffic.wait(lambda status: status.running and status.sent >= 30, "a second run")

    assert status.sent <= len(model.predicted) - sent_before + status.in_flight
    assert {body for *_, body in model.predicted[:20]} <= {body for *_, body in model.predicted[sent_before:]}


def test_a_fault_begins_at_its_onset_and_not_before(model, traffic):
    onset = time.time() + 3600
    traffic.obey(scenario="unit_error", onset=onset, rate=50, seed=2, running=True)
    before = traffic.wait(lambda status: status.sent >= 20, "traffic before the onset")
    n_before = len(model.predicted)
    traffic.obey(scenario="unit_error", onset=time.time(), rate=50, seed=2, running=True)
    after = traffic.wait(lambda status: status.onset < onset, "the onset to be read")
    traffic.wait(lambda status: status.sent >= after.sent + 60, "traffic after the onset")

    bodies = [body for *_, body in model.predicted]
    steady = {request.body for request in planned(2, len(bodies) + 500)}
    faulty = {request.body for request in planned(2, len(bodies) + 500, "unit_error")}

    assert before.onset == onset
    assert set(bodies[:n_before]) <= steady
    assert set(bodies[-10:]) <= faulty


def test_a_scenario_without_an_onset_begins_when_it_is_read(traffic):
    asked_at = time.time()

    traffic.obey(scenario="unit_error", running=True)
    status = traffic.wait(lambda status: status.scenario == "unit_error", "the scenario")

    assert asked_at <= status.onset < asked_at + 10


def test_a_change_of_rate_does_not_begin_the_scenario_again(traffic):
    traffic.obey(scenario="sensor_drift", running=True)
    onset = traffic.wait(lambda status: status.running, "traffic").onset

    traffic.obey(scenario="sensor_drift", rate=33, running=True)

    assert traffic.wait(lambda status: status.asked_rate == 33, "the new rate").onset == onset


def test_no_traffic_asks_for_none(model, traffic):
    traffic.obey(scenario="no_traffic", running=True)

    status = traffic.wait(lambda status: status.running, "traffic")

    assert (status.asked_rate, model.predicted) == (0, [])


def test_refused_requests_are_counted_apart_and_have_no_labels(traffic):
    traffic.obey(scenario="bad_requests", rate=120, running=True)
    faulty = traffic.wait(lambda status: status.sent >= 150, "150 requests")
    traffic.obey(scenario="no_traffic", running=True)
    status = traffic.wait(lambda status: status.asked_rate == status.in_flight == status.labels_pending == 0, "quiet")

    assert 0.18 < faulty.refused / (faulty.refused + faulty.answered) < 0.42
    assert status.sent == status.refused + status.answered
    assert status.labels_sent == status.answered
    assert status.failed == status.labels_refused == status.labels_failed == 0


def test_a_slow_model_is_made_slow_again_after_a_restart_and_fast_at_the_end(model, traffic):
    traffic.obey(scenario="slow_model", rate=50, running=True)
    traffic.wait(lambda _: model.latencies[-1:] == [0.08], "the fault")

    model.stop()
    model.latencies.clear()
    traffic.wait(lambda status: status.failed >= 1, "a failure")
    model.start()
    traffic.wait(lambda _: model.latencies[-1:] == [0.08], "the fault once more")
    traffic.obey(running=False)

    traffic.wait(lambda _: model.latencies[-1] == 0, "the end of the fault")


def test_a_fault_that_a_killed_predecessor_left_is_ended(model, traffic):
    traffic.wait(lambda _: model.latencies == [0], "the service to be told of no fault")


def test_a_sealed_scenario_is_played_from_its_onset_on_and_the_status_does_not_tell(traffic):
    onset = time.time() + 0.5
    traffic.obey(sealed=seal("no_traffic"), rate=50, running=True, onset=onset)
    traffic.wait(lambda status: status.asked_rate == 50, "steady traffic before the onset")

    status = traffic.wait(lambda status: status.running and status.asked_rate == 0, "the fault")

    assert time.time() >= onset
    assert (status.scenario, status.onset) == ("not told", None)


def test_a_damaged_control_file_changes_nothing(traffic):
    traffic.obey(rate=50, running=True)
    sent = traffic.wait(lambda status: status.sent >= 5, "traffic").sent

    traffic.control_path.write_text('{"scenario": "unit_err')

    assert traffic.wait(lambda status: status.sent >= sent + 10, "traffic to go on").asked_rate == 50


def test_traffic_stops_when_its_control_file_is_gone(traffic):
    traffic.obey(rate=50, running=True)
    traffic.wait(lambda status: status.sent >= 5, "traffic")

    traffic.control_path.unlink()

    assert traffic.wait(lambda status: not status.running, "traffic to stop").asked_rate == 0


def test_an_unknown_scenario_is_refused_before_it_is_asked_for():
    with pytest.raises(InputError, match="concept_shift"):
        Control(scenario="concept_drift")
