import pytest

from workbench.data.sources import SOURCES, open_source
from workbench.errors import DataError
from workbench.orchestration.vendors import Vendors, accesses
from workbench.settings import Settings

KEYS = {"alpaca_key_id": "AKID-1234", "alpaca_secret_key": "s3cret-5678", "fred_key": "fred-9999"}


@pytest.fixture
def vendors(workspace):
    settings = Settings(**KEYS, vendor_urls={"frankfurter": "http://127.0.0.1:9"})
    opened = Vendors.of(workspace, settings)
    yield opened
    opened.close()


def test_every_source_of_the_list_can_be_opened_with_what_it_needs(workspace):
    keys = {f"{name}_key": "k" for name in ("massive", "fred", "finnhub", "newsapi")}
    settings = Settings(**{**KEYS, **keys}, edgar_contact="Ann Example ann@example.org")
    vendors = Vendors.of(workspace, settings)
    try:
        for name, listed in SOURCES.items():
            source = vendors.open(name)
            assert source.name == name
            assert [kind for kind in listed.kinds if not callable(getattr(source, kind, None))] == []
            assert "1234" not in repr(source)
        assert vendors.table()["ready"].all()
    finally:
        vendors.close()


def test_the_table_says_what_is_missing_and_shows_no_key(vendors):
    table = vendors.table().set_index("source")
    assert table.loc["alpaca", "ready"]
    assert table.loc["massive", "missing"] == "WORKBENCH_MASSIVE_KEY"
    assert not table.loc["edgar", "ready"]
    assert "1234" not in table.to_string() + repr(vendors)


def test_a_source_without_its_key_is_refused_with_the_setting_to_set(vendors):
    with pytest.raises(DataError, match=r"(?s)source='massive' needs WORKBENCH_MASSIVE_KEY.*set WORKBENCH_MASSIVE_KEY"):
        vendors.open("massive")
    with pytest.raises(DataError, match="needs a gateway"):
        open_source("yahoo")


def test_an_address_of_the_settings_reaches_its_source():
    assert (
        accesses(Settings(vendor_urls={"frankfurter": "http://rates.local"}))["frankfurter"].url == "http://rates.local"
    )
