"""Dagster's records in Postgres: connections are kept, replaced when cut, and given back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.instance.ref import InstanceRef

SERVER_EXIT_POLLS = 60
ROOT = Path(__file__).parents[2]


@pytest.fixture
def instance(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """An instance as dagster.yaml describes it, on a Postgres URL without a driver."""
    monkeypatch.setenv("DAGSTER_PG_URL", empty_url)
    with dg.DagsterInstance.from_ref(
        InstanceRef.from_dir(str(tmp_path), config_dir=str(ROOT))
    ) as instance:
        yield instance


def backends(url: str) -> set[int]:
    """The server processes of everybody else's connections to this database."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    return {pid for (pid,) in rows}


def report(instance: dg.DagsterInstance, count: int) -> None:
    """Write that many events."""
    for number in range(count):
        instance.report_runless_asset_event(
            dg.AssetMaterialization("campaigns", metadata={"number": number})
        )


def test_an_event_needs_no_new_connection(instance: dg.DagsterInstance, empty_url: str) -> None:
    """Fifty events go over the connections that the first one left open."""
    report(instance, 1)
    before = backends(empty_url)

    report(instance, 50)

    assert before
    assert backends(empty_url) == before


def test_connections_cut_by_the_server_are_replaced(
    instance: dg.DagsterInstance, empty_url: str
) -> None:
    """After a restart of Postgres the next event is written as if nothing had been."""
    report(instance, 1)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    report(instance, 1)

    records = instance.fetch_materializations(dg.AssetKey("campaigns"), limit=5).records
    assert len(records) == 2


def test_a_closed_instance_keeps_no_connection(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code server opens an instance for every tick: none of them may leave connections."""
    monkeypatch.setenv("DAGSTER_PG_URL", empty_url)
    ref = InstanceRef.from_dir(str(tmp_path), config_dir=str(ROOT))
    for _ in range(3):
        with dg.DagsterInstance.from_ref(ref) as instance:
            report(instance, 1)
            instance.get_runs(limit=1)
            assert backends(empty_url)

    left = backends(empty_url)
    for _ in range(SERVER_EXIT_POLLS):
        if not left:
            break
        threading.Event().wait(0.05)  # the server's side ends a moment after ours
        left = backends(empty_url)
    assert left == set()
