"""The examples in the docstrings are true."""

import doctest

import pytest

from labkit.model import iris, payload


@pytest.mark.parametrize("module", [iris, payload], ids=lambda module: module.__name__)
def test_the_examples_of_a_module_are_true(module):
    results = doctest.testmod(module, extraglobs={"np": iris.np})
    assert results.attempted > 0
    assert results.failed == 0
