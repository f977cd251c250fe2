"""How far fusion looks: whole days around a moment, whatever its hour."""

import pandas as pd
import pytest

from workbench.data.fusion.rules import RULES

DAY = pd.Timedelta(days=1)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.kind)
def test_the_store_is_asked_for_whole_days_that_begin_at_midnight(rule):
    assert rule.lookback % DAY == rule.ahead % DAY == pd.Timedelta(0)
    for hour in ("00:00", "23:59:59.999999"):
        first, last = rule.reach(pd.Timestamp(f"2015-06-30T{hour}", tz="UTC"))
        assert first == pd.Timestamp("2015-06-30") - rule.lookback
        assert last == pd.Timestamp("2015-06-30") + rule.ahead
