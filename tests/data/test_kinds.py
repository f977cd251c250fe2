import numpy as np
import pandas as pd
import pytest

from tests.refresh_facts_page import PAGE, page
from workbench.data.kinds import KINDS, dataset_name, kind_of
from workbench.data.source import symbols_of
from workbench.errors import ParameterError


def test_the_page_is_what_the_code_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "run tests/refresh_facts_page.py"


@pytest.mark.parametrize("name", list(KINDS))
def test_an_empty_answer_has_every_column_and_type(name):
    kind = kind_of(name)
    empty = kind.empty()
    assert tuple(empty.columns) == kind.columns
    assert empty.empty
    assert str(empty["session"].dtype) == "datetime64[us]"
    for clock in ("happened", "learned", *(("time",) if kind.timed else ())):
        assert str(empty[clock].dtype) == "datetime64[us, UTC]"
    for column in kind.values:  # noqa: PD011 - a field, not a frame
        assert (empty[column.name].dtype == float) == (column.form == "number")


def test_rows_get_their_types_and_absence_stays_absence():
    moment = pd.Timestamp("2015-03-02T14:30:00Z")
    rows = pd.DataFrame(
        {
            "ask": ["10.5", None],
            "symbol": ["A", "B"],
            "source": "x",
            "session": pd.Timestamp("2015-03-02"),
            "time": moment,
            "happened": moment,
            "learned": moment,
            "junk": 1,
        },
        index=[7, 8],
    )
    typed = kind_of("quotes").typed(rows)
    assert tuple(typed.columns) == kind_of("quotes").columns
    assert list(typed.index) == [0, 1]
    np.testing.assert_array_equal(typed["ask"], [10.5, np.nan])
    assert typed["bid"].isna().all()


def test_absent_text_is_empty_and_a_fact_without_its_name_is_refused():
    moment = pd.Timestamp("2015-03-02T14:30:00Z")
    rows = pd.DataFrame(
        {"symbol": ["A"], "session": [pd.Timestamp("2015-03-02")], "time": [moment], "key": ["1"], "headline": ["h"]}
    ).assign(happened=moment, learned=moment, source="x")
    typed = kind_of("news").typed(rows.assign(author=None))
    assert typed.loc[0, ["author", "summary", "headline"]].tolist() == ["", "", "h"]
    with pytest.raises(ParameterError, match="lack key, learned"):
        kind_of("news").typed(rows.drop(columns=["key", "learned"]))
    with pytest.raises(ParameterError, match="'weather'"):
        kind_of("weather")


def test_a_dataset_is_named_by_kind_timeframe_source_and_seed():
    assert dataset_name("bars", "synthetic", timeframe="1d", seed=7) == "bars/1d/synthetic-7"
    assert dataset_name("news", "alpaca") == "news/alpaca"


def test_one_symbol_or_several_are_a_sequence_inside():
    assert symbols_of("AAPL") == symbols_of(["AAPL"]) == symbols_of((" AAPL ", "AAPL")) == ("AAPL",)
    for wrong in ([], "", [""], [None], ["A", 1]):
        with pytest.raises(ParameterError, match="nothing was asked"):
            symbols_of(wrong)
