"""The integration tests' Postgres, for the examples of the pages."""

from integration.conftest import (
    database_url,
    server_home,
    server_url,
    template,
)

__all__ = [
    "database_url",
    "server_home",
    "server_url",
    "template",
]
