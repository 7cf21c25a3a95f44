"""Failure as data."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.core.domain.result import Err, Ok, Result, partition


@given(st.lists(st.builds(Ok, st.integers()) | st.builds(Err, st.text())))
def test_a_partition_keeps_everything_in_its_order(results: list[Result[int, str]]) -> None:
    values, errors = partition(results)

    assert values == [result.value for result in results if isinstance(result, Ok)]
    assert errors == [result.error for result in results if isinstance(result, Err)]


def test_a_partition_takes_any_iterable() -> None:
    results: list[Result[int, str]] = [Ok(1), Err("odd")]

    assert partition(iter(results)) == ([1], ["odd"])


def test_results_are_equal_when_what_they_hold_is() -> None:
    assert Ok(1) == Ok(1)
    assert Err("odd") == Err("odd")


@pytest.mark.parametrize("other", [Err(1), Ok(2), 1])
def test_a_success_equals_nothing_else(other: object) -> None:
    assert Ok(1) != other


def test_a_result_does_not_change() -> None:
    result = Ok(1)

    with pytest.raises(FrozenInstanceError):
        result.value = 2  # type: ignore[misc]  # that is the point
