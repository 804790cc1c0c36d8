"""Labels on their way come in order, and again when the service was away."""

from labkit.simulate.labels import LabelQueue, PendingLabels


def test_labels_come_when_they_are_due_and_in_that_order():
    queue = LabelQueue()
    for due_at, request_id in ((3.0, "late"), (1.0, "early"), (2.0, "between")):
        queue.add(PendingLabels(due_at, request_id, ["setosa"]))

    assert [pending.request_id for pending in queue.due(2.0)] == ["early", "between"]
    assert len(queue) == 1


def test_labels_are_tried_again_every_second_for_a_minute_and_then_given_up():
    queue = LabelQueue()
    pending, now, tries = PendingLabels(100.0, "request", ["setosa"]), 100.0, []

    while queue.retry(pending, now):
        [pending] = queue.due(1000.0)
        tries.append(now := pending.due_at)

    assert tries == [100.0 + second for second in range(1, 61)]
    assert len(queue) == 0
