"""Market data in an S3 bucket, at a loopback server that speaks the protocol."""

import fsspec
import numpy as np
import pandas as pd
import pytest

from workbench.data import history
from workbench.errors import StoreError
from workbench.store import part_file
from workbench.store.vintages import Vintages
from workbench.store.workspace import Workspace
from workbench.study import Study

DAYS = pd.bdate_range("2015-01-02", periods=250).as_unit("us")
FAR = pd.Timestamp("2030-01-01", tz="UTC")


def bars(symbols, *, seed=0):
    rng = np.random.default_rng(seed)
    at = pd.DatetimeIndex(np.tile(DAYS, len(symbols)))
    return pd.DataFrame(
        {
            "symbol": np.repeat(symbols, len(DAYS)),
            "session": at,
            "open": rng.normal(100.0, 5.0, len(at)),
            "close": rng.normal(100.0, 5.0, len(at)),
            "happened": at.tz_localize("UTC"),
            "learned": at.tz_localize("UTC"),
        }
    )


@pytest.fixture
def environment(s3_server, monkeypatch):
    """The keys and the endpoint in the environment, as a user of MinIO sets them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server["secret"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server["endpoint_url"])
    fsspec.filesystem("s3").clear_instance_cache()
    yield
    fsspec.filesystem("s3").clear_instance_cache()


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_workspace_keeps_its_market_data_in_a_bucket_and_its_database_at_home(tmp_path, bucket, database_url):
    url, _ = bucket
    study = Study.of(["MSFT", "AAPL"], start="2015-01-02", as_of="2015-06-30")
    local = Workspace.open(tmp_path / "local", database_url=database_url.replace("home", "local"))
    elsewhere = Workspace.open(tmp_path / "home", database_url=database_url, vintages_url=f"{url}/market")
    try:
        wanted, got = (
            [history.collect(study, workspace=workspace).new_rows for _ in range(2)] for workspace in (local, elsewhere)
        )
        assert got == wanted
        provenances = [history.load(study, workspace=workspace).provenance for workspace in (local, elsewhere)]
        assert provenances[0] == provenances[1]
    finally:
        local.close()
        elsewhere.close()
    assert (tmp_path / "home/workbench.db").exists()
    assert not (tmp_path / "home/vintages").exists()
    filesystem = fsspec.filesystem("s3")
    filesystem.invalidate_cache()
    assert len(filesystem.find(f"{url}/market/bars/1d/bundled")) == 1


def test_of_a_large_object_only_what_is_needed_is_fetched(bucket, monkeypatch):
    url, options = bucket
    monkeypatch.setattr(part_file, "_WHOLE", 10_000)
    monkeypatch.setattr(part_file, "_TAIL", 1_000)
    monkeypatch.setattr(part_file, "_GAP", 100)
    monkeypatch.setattr(part_file, "GROUP_ROWS", 500)
    symbols = [f"S{number:02d}" for number in range(40)]
    rows = bars(symbols)
    Vintages(url, options=options).append("bars/1d", rows)
    vintages = Vintages(url, options=options)
    fetched = []
    read_ranges = vintages._place.read_ranges

    def counted(path, ranges):
        fetched.append(sum(end - begin for begin, end in ranges))
        return read_ranges(path, ranges)

    monkeypatch.setattr(vintages._place, "read_ranges", counted)
    monkeypatch.setattr(vintages._place, "read", None)  # nothing is fetched whole
    question = {"start": DAYS[0], "end": DAYS[-1], "as_of": FAR}
    size = fsspec.filesystem("s3", **options).size(vintages.files("bars/1d")[0])
    for symbol in ("S00", "S17", "S39"):
        seen = vintages.read("bars/1d", symbol, **question)
        wanted = rows[rows["symbol"] == symbol].reset_index(drop=True)
        pd.testing.assert_frame_equal(seen, wanted.astype({"symbol": "str"})[list(seen.columns)])
    assert max(fetched[-2:]) < size / 10
    before = fetched[-1]
    closes = vintages.read("bars/1d", "S39", **question, columns=["close"])
    assert closes["close"].tolist() == rows.loc[rows["symbol"] == "S39", "close"].tolist()
    assert fetched[-1] < before
    everything = vintages.read("bars/1d", symbols, **question)
    assert len(everything) == len(rows)


def test_a_part_that_is_gone_when_it_is_fetched_is_asked_for_again(bucket):
    url, options = bucket
    writer, reader = (Vintages(url, options=options) for _ in range(2))
    for number in range(3):
        writer.append("bars/1d", bars([f"S{number}"], seed=number))
    stale = [reader._parts.of("bars/1d")]
    listing = reader._parts.of
    reader._parts.of = lambda dataset: stale.pop() if stale else listing(dataset)
    writer.compact("bars/1d", grace=pd.Timedelta(0))
    rows = reader.read("bars/1d", ["S0", "S1", "S2"], start=DAYS[0], end=DAYS[-1], as_of=FAR)
    assert len(rows) == 3 * len(DAYS)


def test_a_bucket_that_is_not_there_is_said_so(s3_server):
    vintages = Vintages("s3://no-such-bucket/x", options=s3_server)
    assert vintages.files("bars/1d") == []
    with pytest.raises(StoreError, match=r"(?s)does not take objects.*create the bucket first"):
        vintages.append("bars/1d", bars(["A"]))


def test_a_server_that_does_not_answer_is_said_so_without_the_keys(s3_server):
    options = {**s3_server, "endpoint_url": "http://127.0.0.1:9", "config_kwargs": {"retries": {"max_attempts": 0}}}
    vintages = Vintages("s3://bucket/x", options=options)
    with pytest.raises(StoreError, match=r"(?s)could not be reached.*AWS_ENDPOINT_URL") as refused:
        vintages.files("bars/1d")
    assert s3_server["secret"] not in str(refused.value) + repr(vintages) + repr(refused.value.facts)
