"""Whoever has labkit installed has a lab in their own tests."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


def test_the_fixture_gives_a_running_lab_and_leaves_nothing_behind(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pathlib import Path

        def test_it_serves(labkit_lab):
            assert labkit_lab.predict([[5.1, 3.5, 1.4, 0.2]])["predictions"] == ["setosa"]
            Path("home.txt").write_text(str(labkit_lab.home.root))
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=300)
    result.assert_outcomes(passed=1)
    assert not Path((pytester.path / "home.txt").read_text()).exists()


def test_the_fixture_is_listed_with_what_it_is(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--fixtures", "-q", timeout=120)
    result.stdout.fnmatch_lines(["labkit_lab*", "*A lab whose servers run*"])
