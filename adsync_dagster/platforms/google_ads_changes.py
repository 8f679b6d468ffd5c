"""Google's change history as hints about status changes between two polls.

`change_event` tells every change with the old and the new status, 30 days back; `change_status`
tells the latest change of each entity without saying which, and knows of changes that the
former leaves out. Both want a finite period and a LIMIT of at most 10,000, and an answer of just
that many rows is cut: the next question begins at its last row. Times are in the account's own
zone without an offset; in the hour that an autumn night has twice, a hint may be an hour off.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from adsync_dagster.calendar import zone
from adsync_dagster.errors import IncompleteRead
from adsync_dagster.platforms.google_ads_entities import own_status
from adsync_dagster.platforms.google_ads_wire import Customer, Question, Row, fetch_rows, own
from adsync_dagster.platforms.protocol import Response, Rows, Step
from adsync_dagster.platforms.reading import Part, Tally
from adsync_dagster.records import ChangeHint, Level
from adsync_dagster.status import OwnStatus

#: How far back events go, with an hour to spare for clocks and summer time.
EVENTS_BACK = timedelta(days=30, hours=-2)
_LEVELS = {"CAMPAIGN": Level.CAMPAIGN, "AD_GROUP": Level.ADSET, "AD_GROUP_AD": Level.AD}
_BODIES = {Level.CAMPAIGN: "campaign", Level.ADSET: "adGroup", Level.AD: "adGroupAd"}
_TYPES = "'CAMPAIGN', 'AD_GROUP', 'AD_GROUP_AD'"
_HINTS_PER_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Feed:
    """One of the two histories."""

    resource: str
    time: str
    type: str
    others: tuple[str, ...]

    def question(self, since: str, until: str, limit: int, account: str) -> Question:
        return Question(
            fields=("customer.id", self.time, self.type, *self.others),
            resource=self.resource,
            conditions=(
                f"{self.time} >= '{since}'",
                f"{self.time} <= '{until}'",
                f"{self.type} IN ({_TYPES})",
            ),
            tail=f"ORDER BY {self.time} LIMIT {limit}",
            purpose=f"change history of account {account}",
        )


_EVENTS = _Feed(
    resource="change_event",
    time="change_event.change_date_time",
    type="change_event.change_resource_type",
    others=(
        "change_event.change_resource_name",
        "change_event.resource_change_operation",
        "change_event.changed_fields",
        "change_event.old_resource",
        "change_event.new_resource",
    ),
)
_STATUSES = _Feed(
    resource="change_status",
    time="change_status.last_change_date_time",
    type="change_status.resource_type",
    others=(
        "change_status.resource_status",
        "change_status.campaign",
        "change_status.ad_group",
        "change_status.ad_group_ad",
    ),
)


def read_changes(customer: Customer, *, since: datetime, until: datetime, tally: Tally) -> Part:
    """Hints of a period, oldest first; duplicates are possible."""
    local = yield from _zone_of(customer, tally)
    since = max(since, tally.started_at - EVENTS_BACK)
    hints: list[ChangeHint] = []
    if since < until:
        hints = yield from _read(customer, _EVENTS, _event, (since, until, local), tally)
        told = {(hint.level, hint.platform_id) for hint in hints}
        later = yield from _read(customer, _STATUSES, _status, (since, until, local), tally)
        hints += [hint for hint in later if (hint.level, hint.platform_id) not in told]
        hints.sort(key=lambda hint: hint.occurred_at)
    tally.rows = len(hints)
    for start in range(0, len(hints), _HINTS_PER_ROWS):
        yield Rows(hints[start : start + _HINTS_PER_ROWS])


def _zone_of(customer: Customer, tally: Tally) -> Generator[Step, Response | None, ZoneInfo]:
    question = Question(
        fields=("customer.id", "customer.time_zone"),
        resource="customer",
        purpose=f"time zone of account {customer.account}",
    )
    rows = yield from fetch_rows(customer, question, tally)
    body = rows[0].get("customer") if len(rows) == 1 else None
    name = body.get("timeZone") if isinstance(body, dict) else None
    if not isinstance(name, str):
        raise IncompleteRead(f"{question.purpose}: the answer lacks timeZone")
    return zone(name)


def _read(
    customer: Customer,
    feed: _Feed,
    parse: Callable[[Row, ZoneInfo], ChangeHint | None],
    period: tuple[datetime, datetime, ZoneInfo],
    tally: Tally,
) -> Generator[Step, Response | None, list[ChangeHint]]:
    """Every hint of a feed in the period, question by question."""
    since, until, local = period
    # An hour earlier, because a local time may mean two instants.
    begin = _wall(since - timedelta(hours=1), local)
    end = _wall(until + timedelta(hours=1), local)
    hints: list[ChangeHint] = []
    for _ in range(customer.limits.change_pages_max):
        question = feed.question(begin, end, customer.limits.changes_max, customer.account)
        rows = yield from fetch_rows(customer, question, tally)
        try:
            for row in rows:
                own(row, customer.account)
                hint = parse(row, local)
                if hint is not None:
                    hints.append(hint)
            last = _time(rows[-1], feed) if rows else begin
        except (KeyError, TypeError, AttributeError, ValueError):
            raise IncompleteRead(f"{question.purpose}: a row cannot be read") from None
        if len(rows) < customer.limits.changes_max:
            return hints
        if last <= begin:
            break
        begin = last
    raise IncompleteRead(
        f"change history of account {customer.account}: it does not come to an end"
    )


def _wall(instant: datetime, local: ZoneInfo) -> str:
    return instant.astimezone(local).strftime("%Y-%m-%d %H:%M:%S.%f")


def _time(row: Row, feed: _Feed) -> str:
    """The row's time in the spelling of a question."""
    resource, name = (
        ("changeEvent", "changeDateTime")
        if feed is _EVENTS
        else ("changeStatus", "lastChangeDateTime")
    )
    return datetime.fromisoformat(row[resource][name]).strftime("%Y-%m-%d %H:%M:%S.%f")


def _event(row: Row, local: ZoneInfo) -> ChangeHint | None:
    """A creation, a removal or a flipped switch; None for any other change."""
    event = row["changeEvent"]
    level = _LEVELS.get(event["changeResourceType"])
    if level is None:
        return None
    operation, body = event["resourceChangeOperation"], _BODIES[level]
    old = _switch(event.get("oldResource"), body)
    new = _switch(event.get("newResource"), body)
    if operation == "REMOVE":
        new = "REMOVED"
    elif operation != "CREATE" and (new is None or old == new):
        return None
    created = operation == "CREATE"
    return ChangeHint(
        level=level,
        platform_id=_last(event["changeResourceName"]),
        occurred_at=_instant(event["changeDateTime"], local),
        old_status=None if created or old is None else own_status(old),
        new_status=None if created or new is None else own_status(new),
        raw={"event_type": operation, "old_status": old, "new_status": new},
    )


def _status(row: Row, local: ZoneInfo) -> ChangeHint | None:
    """Something happened to an entity; only a removal says what."""
    change = row["changeStatus"]
    level = _LEVELS.get(change["resourceType"])
    if level is None:
        return None
    removed = change["resourceStatus"] == "REMOVED"
    return ChangeHint(
        level=level,
        platform_id=_last(change[_BODIES[level]]),
        occurred_at=_instant(change["lastChangeDateTime"], local),
        old_status=None,
        new_status=OwnStatus.DELETED.value if removed else None,
        raw={"event_type": change["resourceStatus"]},
    )


def _switch(resource: Any, body: str) -> str | None:
    """The status in an old or new resource, which holds changed fields only."""
    status = resource.get(body, {}).get("status") if isinstance(resource, dict) else None
    return status.replace("\x00", "\ufffd") if isinstance(status, str) else None


def _last(name: str) -> str:
    """The id in a resource name such as customers/1/adGroupAds/2~3."""
    text = name.rpartition("/")[2]
    digits = text.replace("~", "", 1)
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("no id")
    return text


def _instant(text: str, local: ZoneInfo) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=local).astimezone(UTC)
