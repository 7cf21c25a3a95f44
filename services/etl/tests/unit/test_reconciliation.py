"""Every row that was read is accounted for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.etl.domain.reconciliation import NotReconciled, Reconciliation

numbers = st.integers(0, 10**9)


@given(parts=st.tuples(numbers, numbers, numbers, numbers))
def test_rows_that_add_up_are_reconciled(parts: tuple[int, int, int, int]) -> None:
    Reconciliation(sum(parts), *parts).check()


@given(
    parts=st.tuples(numbers, numbers, numbers, numbers),
    difference=st.integers(-1000, 1000).filter(bool),
)
def test_rows_that_do_not_add_up_are_an_error(
    parts: tuple[int, int, int, int], difference: int
) -> None:
    with pytest.raises(NotReconciled):
        Reconciliation(sum(parts) + difference, *parts).check()


def test_a_person_reads_what_became_of_the_rows() -> None:
    rows = Reconciliation(read=1234, written=1000, quarantined=200, filtered=30, duplicates=4)

    assert str(rows) == (
        "1,234 read = 1,000 written + 200 quarantined + 30 filtered + 4 duplicates"
    )


def test_the_error_has_the_numbers() -> None:
    with pytest.raises(NotReconciled, match=r"2 read is not 1 written \+ 0 quarantined"):
        Reconciliation(2, 1, 0, 0, 0).check()
