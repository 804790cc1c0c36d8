"""Bodies of requests: nulls for missing values, and every way to be malformed."""

import json

import numpy as np
import pytest

from labkit.simulate.payloads import MALFORMED, encode, encode_malformed
from labkit.simulate.scenarios import scenario

ROWS = np.array([[5.1, np.nan, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]])


def test_a_missing_value_is_null():
    assert json.loads(encode(ROWS)) == {"instances": [[5.1, None, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]]}


def test_every_way_to_be_malformed_occurs():
    rng = np.random.default_rng(0)
    possible = {spoil([[5.1, 3.5, 1.4, 0.2]]) for spoil in MALFORMED.values()}

    assert {encode_malformed(np.array([[5.1, 3.5, 1.4, 0.2]]), rng) for _ in range(200)} == possible
    assert len(possible) == len(MALFORMED)


def test_three_requests_of_ten_are_malformed_after_the_onset_and_none_before():
    rng = np.random.default_rng(1)
    bad_requests = scenario("bad_requests")
    batch = bad_requests.batch(3, 0.0, rng)
    good = encode(batch.instances)

    after = np.mean([bad_requests.payload(batch, 0.0, rng) != good for _ in range(5000)])

    assert after == pytest.approx(0.3, abs=0.02)
    assert all(bad_requests.payload(batch, since, rng) == good for since in (None, -1.0) for _ in range(100))
