"""Days as callers name them: a range, or any collection of account-local dates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from adsync_dagster.records import DateRange

Days = DateRange | Iterable[date]


def day_list(days: Days) -> list[date]:
    """The days in order, each once."""
    if isinstance(days, DateRange):
        return [days.since + timedelta(days=offset) for offset in range(days.days)]
    return sorted(set(days))
