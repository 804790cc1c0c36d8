"""Nothing is lost when a buffer grows while it is cut, and only one thread at a time cuts."""

import pytest

from labkit.observe.buffers import Folding, take


class Busy(list):
    """A list to which another thread appends right after each copy of it."""

    def __getitem__(self, index):
        copy = super().__getitem__(index)
        self.append("meanwhile")
        return copy


class Total(Folding):
    def __init__(self):
        super().__init__(fold_at=4)
        self.entries, self.sum = [], 0

    def _fold(self):
        self.sum += sum(take(self.entries))


@pytest.fixture
def total() -> Total:
    return Total()


def test_what_is_appended_while_a_buffer_is_taken_stays_in_it():
    buffer = Busy(["a", "b"])

    assert take(buffer) == ["a", "b"]
    assert buffer == ["meanwhile"]


def test_a_bytearray_is_taken_like_a_list():
    buffer = bytearray(b"abc")

    assert take(buffer) == b"abc"
    assert buffer == b""


def test_sums_are_exact_and_held_still_inside_folded(total):
    total.entries.extend([1, 2])

    with total.folded():
        assert total.sum == 3
        total.entries.append(4)
        total.fold_grown()
        assert (total.sum, total.entries) == (3, [4])

    with total.folded():
        assert total.sum == 7


def test_who_finds_the_sums_taken_lets_the_buffer_grow_by_as_much_again(total):
    with total.folded():
        total.fold_grown()
        assert total.fold_at == 8
        total.fold_grown()
        assert total.fold_at == 12

    total.fold_grown()
    assert total.fold_at == 4


def test_a_fold_that_fails_leaves_the_sums_free(total):
    total.entries.append("not a number")
    with pytest.raises(TypeError):
        total.fold_grown()

    total.entries.append(1)
    total.fold_grown()
    assert total.sum == 1
