"""Sync ad platforms into Postgres without losing the last metrics of an ad that stops."""

__version__ = "0.1.0"
