from hypothesis import given
from hypothesis import strategies as st

from workbench.data.portions import portions


@given(st.lists(st.integers()), st.integers(1, 9))
def test_nothing_is_lost_or_moved_and_all_but_the_last_are_full(values, most):
    found = list(portions(values, most))
    assert [value for portion in found for value in portion] == values
    assert all(len(portion) == most for portion in found[:-1])
    assert all(0 < len(portion) <= most for portion in found)
