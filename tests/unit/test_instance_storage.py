"""Dagster's own storage: Postgres with the right driver, SQLite when nothing is configured."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef

from adsync_dagster.errors import UsageError
from adsync_dagster.resources.instance_storage import with_driver

ROOT = Path(__file__).parents[2]


def test_with_nothing_set_the_instance_opens_on_sqlite_and_its_processes_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes' instances, each opened from dagster.yaml, see each other's partitions."""
    monkeypatch.delenv("DAGSTER_PG_URL", raising=False)
    monkeypatch.setenv("ADSYNC_HOME", str(tmp_path / "home"))

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one = InstanceRef.from_dir(str(tmp_path / "one"), config_dir=str(ROOT))
    two = InstanceRef.from_dir(str(tmp_path / "two"), config_dir=str(ROOT))
    with DagsterInstance.from_ref(one) as first, DagsterInstance.from_ref(two) as second:
        first.add_dynamic_partitions("ad_account", ["facebook:act_1"])

        assert second.get_dynamic_partitions("ad_account") == ["facebook:act_1"]
    assert (tmp_path / "home" / "dagster" / "history" / "runs.db").is_file()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:p%40ss@db:5432/dagster",
        "postgres://me:p%40ss@db:5432/dagster",
        "postgresql+psycopg://me:p%40ss@db:5432/dagster",
        "postgresql+psycopg2://me:p%40ss@db:5432/dagster",
    ],
)
def test_any_spelling_of_a_postgres_url_gets_the_driver_that_works(url: str) -> None:
    """A bare postgresql:// URL would pick psycopg 3, with which the webserver's queries fail."""
    assert with_driver(url) == "postgresql+psycopg2://me:p%40ss@db:5432/dagster"


@pytest.mark.parametrize("url", ["mysql://me:hush@db/dagster", "hush", "postgresql"])
def test_another_url_is_refused_without_being_repeated(url: str) -> None:
    """A wrong DAGSTER_PG_URL is refused in a line that does not hold what was typed."""
    with pytest.raises(UsageError, match="DAGSTER_PG_URL must look like") as caught:
        with_driver(url)

    assert "hush" not in str(caught.value)
