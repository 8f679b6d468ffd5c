"""The resources as a run or a tick gets them: from the environment, and closed afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.errors import DagsterResourceFunctionError

from adsync_dagster.errors import UsageError
from adsync_dagster.records import Account, Platform
from adsync_dagster.resources.environment import AdsyncResource
from adsync_dagster.resources.platforms import PlatformAccess, platform_resources
from adsync_dagster.resources.tokens import TokenVaultResource
from adsync_dagster.resources.warehouse import WarehouseResource
from adsync_dagster.settings import Settings
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse.database import Database
from adsync_dagster.warehouse.migrations import pending
from adsync_dagster.warehouse.tokens import TokenVault


@pytest.fixture(autouse=True)
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No ADSYNC_ variable but a home of the test's own."""
    for name in [name for name in os.environ if name.startswith("ADSYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ADSYNC_HOME", str(tmp_path))
    return monkeypatch


def connections(url: str) -> int:
    """How many connections of adsync the database has."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'adsync'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_run_gets_the_surroundings_that_the_environment_names(
    database_url: str, variables: pytest.MonkeyPatch
) -> None:
    """Warehouse, vault and environment open on ADSYNC_DATABASE_URL."""
    variables.setenv("ADSYNC_DATABASE_URL", database_url)
    with dg.build_resources(
        {
            "warehouse": WarehouseResource(),
            "adsync": AdsyncResource(),
            "token_vault": TokenVaultResource(),
            **platform_resources(Settings()),
        }
    ) as resources:
        assert isinstance(resources.warehouse, Database)
        assert isinstance(resources.token_vault, TokenVault)
        assert isinstance(resources.adsync, Environment)
        assert isinstance(resources.facebook, PlatformAccess)
        assert resources.facebook.platform is Platform.FACEBOOK
        assert connections(database_url) > 0


@pytest.mark.parametrize("resource", [WarehouseResource(), AdsyncResource()])
def test_a_given_database_is_never_migrated_on_the_side(
    empty_url: str, variables: pytest.MonkeyPatch, resource: object
) -> None:
    """A run on a database without the schema names the command to run, and changes nothing."""
    variables.setenv("ADSYNC_DATABASE_URL", empty_url)

    with (
        pytest.raises(DagsterResourceFunctionError) as caught,
        dg.build_resources({"one": resource}),
    ):
        pass

    assert "run adsync migrate" in str(caught.value.__cause__)
    assert pending(empty_url)


def test_without_a_database_the_embedded_one_is_started_and_brought_up_to_date(
    private_home: Path, variables: pytest.MonkeyPatch
) -> None:
    """`dagster dev` works with nothing set: the first tick makes the warehouse it needs."""
    variables.setenv("ADSYNC_HOME", str(private_home))

    with dg.build_resources({"warehouse": WarehouseResource()}) as resources:
        url = resources.warehouse.url
        with resources.warehouse.connection() as connection:
            assert connection.execute("SELECT count(*) FROM ad_accounts").fetchone() == (0,)

    assert pending(url) == []


def test_a_platforms_resource_opens_accounts_of_its_platform_only(
    database: Database, account: Account, tmp_path: Path
) -> None:
    """A client for an account of another platform, or of none, is refused in words."""
    settings = Settings(home=tmp_path)
    environment = Environment(
        database=database,
        clock=database._clock,
        settings=settings,
        vault=TokenVault.from_settings(settings),
    )
    tiktok = PlatformAccess(platform=Platform.TIKTOK, environment=environment)

    with pytest.raises(UsageError, match=f"{account.key} is not an account of tiktok"):
        tiktok.client(account.key).__enter__()
    with pytest.raises(UsageError, match="there is no account facebook:act_0"):
        tiktok.client("facebook:act_0").__enter__()
