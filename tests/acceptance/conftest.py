"""The integration tests' Postgres, for whole syncs."""

from integration.conftest import (
    database_url,
    empty_url,
    module_database_url,
    server_home,
    server_url,
    template,
)

__all__ = [
    "database_url",
    "empty_url",
    "module_database_url",
    "server_home",
    "server_url",
    "template",
]
