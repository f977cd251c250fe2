"""Settings: this machine. Environment `WORKBENCH_*` > `.env` > `workbench.toml`; read once, at a surface."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from workbench.errors import SettingsError


class Settings(BaseSettings):
    """What belongs to this computer, not to the question and not to the idea.

    Attributes:
        home: where user state lives: database, vintages, runs, reports, the local exchange's own database.
        database_url: SQLAlchemy URL; SQLite inside `home` when empty.
        vintages_url: fsspec URL of the market data store; a folder inside `home` when empty.
        broker: `local` (the local exchange), `alpaca-paper` or `alpaca-live`.
        live_trading: the second of the two settings that live trading needs; `broker` is the first.
        exchange_url: a running local exchange; one is embedded when empty.
        alpaca_key_id, alpaca_secret_key: Alpaca's keys; never printed.
        alpaca_feed: which of Alpaca's feeds stock bars, quotes and trades are read from; `iex` is free, one venue.
        massive_key, fred_key, finnhub_key, newsapi_key: keys of other vendors of facts; empty: not asked.
        massive_plan, newsapi_plan: what is paid for: their limits and delays; the free plans unless said otherwise.
        edgar_contact: `Name name@example.org`; the SEC asks everybody to say who they are. Empty: EDGAR is not asked.
        vendor_urls: other addresses than the vendors' own, e.g. `{"frankfurter": "http://rates.local"}`.
        reconcile_seconds: how often our book is compared with the broker's.
        requests_per_minute: what Alpaca allows a key; shared by the desk's orders, cancels and look-ups.
        compute: where sweeps are computed: `threads` (all cores of this machine), `threads:N`, or the address of a Dask
            scheduler such as `dask://host:8786`.
        actor: who is named in the audit; the operating system's user when empty.
    """

    model_config = SettingsConfigDict(
        env_prefix="WORKBENCH_", env_file=".env", toml_file="workbench.toml", extra="ignore", frozen=True
    )

    home: Path = Path(".workbench")
    database_url: str = ""
    vintages_url: str = ""
    broker: Literal["local", "alpaca-paper", "alpaca-live"] = "local"
    live_trading: bool = False
    exchange_url: str = ""
    alpaca_key_id: SecretStr = SecretStr("")
    alpaca_secret_key: SecretStr = SecretStr("")
    alpaca_feed: Literal["iex", "sip", "delayed_sip"] = "iex"
    massive_key: SecretStr = SecretStr("")
    massive_plan: Literal["basic", "starter", "developer", "advanced", "business"] = "basic"
    fred_key: SecretStr = SecretStr("")
    finnhub_key: SecretStr = SecretStr("")
    newsapi_key: SecretStr = SecretStr("")
    newsapi_plan: Literal["developer", "business"] = "developer"
    edgar_contact: str = ""
    vendor_urls: dict[str, str] = {}
    requests_per_minute: Annotated[int, Field(gt=0)] = 200
    reconcile_seconds: Annotated[float, Field(gt=0)] = 45.0
    compute: str = "threads"
    actor: str = ""

    @model_validator(mode="after")
    def _live_needs_two_settings(self) -> Settings:
        if self.broker == "alpaca-live" and not self.live_trading:
            raise ValueError("broker='alpaca-live' trades real money and needs live_trading=true as well")
        if self.broker != "local" and not (
            self.alpaca_key_id.get_secret_value() and self.alpaca_secret_key.get_secret_value()
        ):
            raise ValueError(f"broker={self.broker!r} needs alpaca_key_id and alpaca_secret_key")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the name is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Call arguments win, then the environment, `.env`, and `workbench.toml`."""
        return init_settings, env_settings, dotenv_settings, TomlConfigSettingsSource(settings_cls)

    @classmethod
    def read(cls, **overrides: Any) -> Settings:
        """Read the settings of this machine.

        Raises:
            SettingsError: a setting has a wrong value; the message names it and never shows a secret.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            rows = "; ".join(
                f"{'.'.join(map(str, row['loc'])) or 'settings'}: {row['msg'].removeprefix('Value error, ')}"
                for row in error.errors(include_input=False, include_url=False)
            )
            raise SettingsError(
                f"the settings of this machine are wrong ({rows}); nothing was started.",
                remedy="set WORKBENCH_<NAME> in the environment, in .env or in workbench.toml.",
            ) from None

    @property
    def resolved_home(self) -> Path:
        """`home` as an absolute path; a relative one lies in the project around the current folder, if there is one."""
        home = self.home.expanduser()
        if home.is_absolute():
            return home.resolve()
        return ((project_root(Path.cwd()) or Path.cwd()) / home).resolve()

    @property
    def resolved_database_url(self) -> str:
        """`database_url`, or the SQLite file inside `home`."""
        return self.database_url or f"sqlite:///{self.resolved_home / 'workbench.db'}"

    @property
    def resolved_vintages_url(self) -> str:
        """`vintages_url`, or the folder inside `home`."""
        return self.vintages_url or (self.resolved_home / "vintages").as_uri()


def project_root(folder: Path) -> Path | None:
    """The nearest folder at or above `folder` that holds `pipelines/`; None when there is none."""
    return next((place for place in (folder, *folder.parents) if (place / "pipelines").is_dir()), None)
