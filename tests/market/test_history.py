import numpy as np
import pandas as pd
import pytest

from workbench import sessions
from workbench.errors import BadData, NoData, NotYetKnown
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.study import Study

INDEX = sessions.sessions("XNYS", "2015-01-02", "2015-06-30")


@pytest.fixture
def history():
    close = pd.DataFrame(
        np.arange(2.0 * len(INDEX)).reshape(-1, 2) + 1, index=INDEX, columns=pd.Index(["AAPL", "MSFT"])
    )
    close.iloc[3, 1] = np.nan
    study = Study.of(["AAPL", "MSFT"], start="2015-02-02", as_of="2015-06-30")
    return History(study=study, bars=Bars(close=close), label="test")


def test_a_view_holds_nothing_later_than_its_moment(history):
    view = history.view("2015-03-31")
    assert view.session == pd.Timestamp("2015-03-31")
    assert view.bars.sessions[-1] == pd.Timestamp("2015-03-31")
    assert view.close("AAPL") == history.close.loc["2015-03-31", "AAPL"]


def test_a_later_row_cannot_be_read(history):
    with pytest.raises(NotYetKnown, match="2015-04-01"):
        history.view("2015-03-31").close("AAPL", "2015-04-01")
    with pytest.raises(NotYetKnown):
        history.view("2015-07-01")
    with pytest.raises(NotYetKnown):
        history.until("2015-07-01")


def test_an_absent_fact_raises_and_never_becomes_a_number(history):
    view = history.view("2015-03-31")
    with pytest.raises(NoData, match="no close on 2015-01-07"):
        view.close("MSFT", "2015-01-07")
    with pytest.raises(NoData, match="XOM"):
        view.closes("XOM")


def test_cutting_a_history_cuts_its_question_too(history):
    cut = history.until("2015-03-31")
    assert cut.sessions[-1] == cut.study.end == pd.Timestamp("2015-03-31")
    assert cut.as_of == pd.Timestamp("2015-03-31 20:00", tz="UTC")
    pd.testing.assert_frame_equal(cut.close, history.close.loc[:"2015-03-31"])


def test_warm_up_rows_are_not_evaluated(history):
    assert history.evaluated[0] == pd.Timestamp("2015-02-02")
    assert history.sessions[0] == pd.Timestamp("2015-01-02")


def test_close_only_rows_stay_close_only():
    rows = pd.DataFrame(
        {"symbol": "AAPL", "session": INDEX[:3], "close": [1.0, 2.0, 3.0], "open": np.nan, "volume": np.nan}
    )
    bars = Bars.from_long(rows, index=INDEX[:4], symbols=("AAPL", "MSFT"))
    assert bars.close_only
    assert bars.open is None
    assert bars.volume is None
    assert bars.close["AAPL"].tolist()[:3] == [1.0, 2.0, 3.0]
    assert bars.close["MSFT"].isna().all()
    assert np.isnan(bars.close["AAPL"].iloc[3])


def test_bars_in_disorder_are_refused():
    close = pd.DataFrame({"AAPL": [1.0, 2.0]}, index=INDEX[:2])
    with pytest.raises(BadData, match="ascending"):
        Bars(close=close.iloc[::-1])
    with pytest.raises(BadData, match=r"bars\.open"):
        Bars(close=close, open=close.iloc[:1])
