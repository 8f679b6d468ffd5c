"""The simulations' Postgres: the integration tests' server, with a database of our own."""

from collections.abc import Iterator

import pytest
from integration.conftest import server_home, server_url

from adsync_dagster.simulate.cluster import Arena, prepared_arena

__all__ = ["arena", "server_home", "server_url"]


@pytest.fixture(scope="session")
def arena(server_url: str) -> Iterator[Arena]:
    """A migrated database that every run empties."""
    arena = prepared_arena(server_url)
    yield arena
    arena.close()
