import pytest

from workbench.errors import SettingsError
from workbench.settings import Settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("BROKER", "LIVE_TRADING", "HOME", "ALPACA_KEY_ID", "ALPACA_SECRET_KEY"):
        monkeypatch.delenv(f"WORKBENCH_{name}", raising=False)


def test_paper_on_the_local_exchange_is_the_default():
    settings = Settings.read()
    assert settings.broker == "local"
    assert not settings.live_trading


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    (tmp_path / "workbench.toml").write_text('home = "a"\nreconcile_seconds = 5\n')
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "b"))
    settings = Settings.read()
    assert settings.resolved_home == tmp_path / "b"
    assert settings.reconcile_seconds == 5


def test_a_relative_home_lies_in_the_project_also_when_asked_from_a_folder_below(tmp_path, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert Settings.read().resolved_home == tmp_path / ".workbench"


def test_live_trading_needs_two_settings():
    keys = {"alpaca_key_id": "k", "alpaca_secret_key": "s"}
    with pytest.raises(SettingsError, match="live_trading=true"):
        Settings.read(broker="alpaca-live", **keys)
    assert Settings.read(broker="alpaca-live", live_trading=True, **keys).live_trading


def test_alpaca_needs_keys_and_never_shows_them():
    with pytest.raises(SettingsError, match="alpaca_key_id"):
        Settings.read(broker="alpaca-paper")
    settings = Settings.read(broker="alpaca-paper", alpaca_key_id="KEYKEY", alpaca_secret_key="SECRETSECRET")
    assert "SECRETSECRET" not in repr(settings) + str(settings) + settings.model_dump_json()
    with pytest.raises(SettingsError) as caught:
        Settings.read(broker="nowhere", alpaca_secret_key="SECRETSECRET")
    assert "SECRETSECRET" not in str(caught.value)
