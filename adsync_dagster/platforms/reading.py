"""What every adapter's reads are made of: the tally of one read, and a request that is a call."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from adsync_dagster.calendar import split_range
from adsync_dagster.errors import Defect
from adsync_dagster.platforms.protocol import Request, Response, Step
from adsync_dagster.records import Complete, DateRange

#: A part of a read: what it returns is not the verdict yet.
Part = Generator[Step, Response | None, None]


@dataclass(slots=True)
class Tally:
    """What one read has done so far, for its verdict."""

    started_at: datetime
    rows: int = 0
    requests: int = 0
    missing_ids: set[str] = field(default_factory=set)

    def verdict(self) -> Complete:
        """The read proved itself whole."""
        return Complete(
            read_started_at=self.started_at,
            row_count=self.rows,
            request_count=self.requests,
            missing_ids=frozenset(self.missing_ids),
        )


def ask(request: Request, tally: Tally) -> Generator[Step, Response | None, Response]:
    """Yield the request and return its answer; errors are raised at this point."""
    tally.requests += 1
    response = yield request
    if response is None:
        raise Defect("a driver has to send a Response for every Request")
    return response


def told_apart(ids: Iterable[str], form: str) -> tuple[list[str], set[str]]:
    """Ids each once, and those that the platform could never have given: they do not match `form`.

    A database that was adopted may hold rows of its own, such as drafts. Nobody is asked for
    what can be no id; it counts as missing, as an id that the platform does not know.
    """
    distinct = dict.fromkeys(ids)
    strange = {one for one in distinct if not re.fullmatch(form, one, re.ASCII)}
    return [one for one in distinct if one not in strange], strange


def compact(value: Any) -> str:
    """JSON text as platforms want it in parameters."""
    return orjson.dumps(value).decode()


def halves(days: DateRange) -> list[DateRange]:
    """A range of two days or more as two ranges, oldest first."""
    middle = days.since + timedelta(days=days.days // 2 - 1)
    return [
        DateRange(since=days.since, until=middle),
        DateRange(since=middle + timedelta(days=1), until=days.until),
    ]


def shortened(piece: DateRange, later: Iterable[DateRange]) -> list[DateRange]:
    """A range that was too much and those after it, in half of its days at most, oldest first.

    What was too much once is taken to be so again: a platform may need minutes to refuse.
    """
    days_max = (piece.days + 1) // 2
    return [part for days in (piece, *later) for part in split_range(days, days_max)]
