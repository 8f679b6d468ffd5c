"""Campaigns, ad sets, ads and ad accounts: what is asked for, and rows to records.

Every listing names every status of its own level's enum except DELETED, because the default
leaves archived objects out, asking for DELETED is an error (100/1815001), and an enum of
another level's words is refused. Deleted objects stay readable by id for ever.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from adsync_dagster.errors import IncompleteRead
from adsync_dagster.platforms.facebook_errors import BadCursor
from adsync_dagster.platforms.facebook_wire import (
    Edge,
    Page,
    ReadLimits,
    read_pages,
)
from adsync_dagster.platforms.protocol import Request, Response, Step
from adsync_dagster.platforms.reading import (
    Part,
    Tally,
    ask,
    compact,
)
from adsync_dagster.records import AccountInfo, Entity, Level
from adsync_dagster.status import OwnStatus

_CAMPAIGN_STATUSES = ("ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES")
_ADSET_STATUSES = (*_CAMPAIGN_STATUSES, "CAMPAIGN_PAUSED")
#: The effective statuses of each level's own enum (SDK v26.0).
EFFECTIVE_STATUSES: dict[Level, tuple[str, ...]] = {
    Level.CAMPAIGN: _CAMPAIGN_STATUSES,
    Level.ADSET: _ADSET_STATUSES,
    Level.AD: (
        *_ADSET_STATUSES,
        "ADSET_PAUSED",
        "PENDING_REVIEW",
        "DISAPPROVED",
        "PREAPPROVED",
        "PENDING_BILLING_INFO",
    ),
}
#: Those of them that a listing may ask for. One that Meta adds later is not among them.
LISTED_STATUSES: dict[Level, list[str]] = {
    level: [status for status in statuses if status != "DELETED"]
    for level, statuses in EFFECTIVE_STATUSES.items()
}

EDGES: dict[Level, str] = {Level.CAMPAIGN: "campaigns", Level.ADSET: "adsets", Level.AD: "ads"}
_COMMON_FIELDS = "id,account_id,name,status,effective_status,created_time,updated_time"
# `budget_remaining` is left out on purpose: it changes by the minute and would make every
# sync rewrite every row.
FIELDS: dict[Level, str] = {
    Level.CAMPAIGN: f"{_COMMON_FIELDS},objective,buying_type,bid_strategy,daily_budget,"
    "lifetime_budget,spend_cap,special_ad_categories,start_time,stop_time",
    Level.ADSET: f"{_COMMON_FIELDS},campaign_id,bid_strategy,bid_amount,billing_event,"
    "optimization_goal,daily_budget,lifetime_budget,start_time,end_time",
    Level.AD: f"{_COMMON_FIELDS},campaign_id,adset_id,creative",
}
ACCOUNT_FIELDS = "account_id,name,currency,timezone_name,account_status"

#: Descriptive fields kept as they come, and those Meta counts in minor units.
_PLAIN_EXTRAS = (
    "objective",
    "buying_type",
    "bid_strategy",
    "billing_event",
    "optimization_goal",
    "special_ad_categories",
    "start_time",
    "stop_time",
    "end_time",
)
_MONEY_EXTRAS = ("daily_budget", "lifetime_budget", "spend_cap", "bid_amount")

#: Currencies whose minor unit is the major one. Meta's own table, which is not ISO 4217:
#: every other currency counts in hundredths, BHD and JOD included.
WHOLE_UNIT_CURRENCIES = frozenset(
    {"CLP", "COP", "CRC", "HUF", "IDR", "ISK", "JPY", "KRW", "PYG", "TWD", "VND"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityQuestion:
    """What the rows of a listing or a look-up have to be about."""

    level: Level
    #: The account id without `act_`.
    account: str
    #: None where the level has no budgets (ads).
    currency: str | None
    purpose: str


def read_currency(
    account: str, version: str, tally: Tally
) -> Generator[Step, Response | None, str]:
    """The account's currency, which budgets need: they are integers in its minor unit."""
    purpose = f"currency of account {account}"
    request = Request(
        method="GET",
        path=f"/{version}/{account}",
        params={"fields": "account_id,currency"},
        purpose=purpose,
    )
    payload = (yield from ask(request, tally)).json()
    if not isinstance(payload, dict) or payload.get("account_id") != account.removeprefix("act_"):
        raise IncompleteRead(f"{purpose}: the answer describes another account")
    currency = payload.get("currency")
    if not isinstance(currency, str) or not currency:
        raise IncompleteRead(f"{purpose}: the answer lacks currency")
    return currency


@dataclass(slots=True)
class _Pass:
    """One pass over a listing: what it showed, and the largest total a page announced."""

    question: EntityQuestion
    seen: set[str] = field(default_factory=set)
    announced: int = -1

    def parse(self, page: Page) -> list[Entity]:
        if page.total_count is not None:
            self.announced = max(self.announced, page.total_count)
        entities = [parse_entity(row, self.question) for row in page.data]
        self.seen.update(entity.platform_id for entity in entities)
        return entities

    def problem(self) -> IncompleteRead | None:
        """Why this pass does not prove itself whole, if it does not."""
        words = self.question.purpose
        if self.announced < 0:
            return IncompleteRead(f"{words}: the answer lacks the total that was asked for")
        if len(self.seen) < self.announced:
            return IncompleteRead(
                f"{words}: only {len(self.seen)} of {self.announced} announced objects came"
            )
        return None


def read_listing(edge: Edge, question: EntityQuestion, limits: ReadLimits, tally: Tally) -> Part:
    """A whole listing, begun again when its cursor went stale or it lost rows on the way.

    Rows move between pages when objects come and go meanwhile, so the distinct ids have to
    reach the largest total any page announced. A listing that starts again repeats its rows;
    the stage keeps the last of each. Raises IncompleteRead after the last pass.
    """
    problem: IncompleteRead | None = None
    for _ in range(limits.restarts_max + 1):
        one = _Pass(question)
        tally.rows = 0
        try:
            yield from read_pages(
                edge,
                page_rows=limits.entity_page_rows,
                limits=limits,
                tally=tally,
                parse=one.parse,
            )
            problem = one.problem()
        except BadCursor as error:
            problem = error
        if problem is None:
            return
    if problem is not None:
        raise problem


def listing_edge(account: str, level: Level, version: str, purpose: str) -> Edge:
    """The edge of a level with every status it may list, and the count to hold it to."""
    statuses = LISTED_STATUSES[level]
    return Edge(
        path=f"/{version}/{account}/{EDGES[level]}",
        params={
            "fields": FIELDS[level],
            "effective_status": compact(statuses),
            "summary": "total_count",
        },
        purpose=purpose,
    )


def parse_entity(row: Any, question: EntityQuestion) -> Entity:
    """One object; IncompleteRead when a field is missing or it belongs to another account."""
    problem: str
    try:
        return _entity(row, question)
    except KeyError as error:
        problem = f"an object lacks {error.args[0]}"
    except (TypeError, AttributeError):
        problem = "an object holds a value of the wrong type"
    except IncompleteRead as error:
        problem = str(error)
    raise IncompleteRead(f"{question.purpose}: {problem}")


def _entity(row: Any, question: EntityQuestion) -> Entity:
    level = question.level
    if row["account_id"] != question.account:
        raise IncompleteRead("the answer holds an object of another account")
    platform_id, own = row["id"], row["status"]
    if not (platform_id.isascii() and platform_id.isdigit()):
        raise IncompleteRead("an object has an id that is none")
    effective = _text(row["effective_status"]).upper()
    return Entity(
        level=level,
        platform_id=platform_id,
        name=_text(row.get("name") or ""),
        status=own_status(own),
        platform_status=_text(own),
        effective_status=effective,
        campaign_id=None if level is Level.CAMPAIGN else _parent(row["campaign_id"]),
        adset_id=_parent(row["adset_id"]) if level is Level.AD else None,
        created_at=instant(row.get("created_time"), "created_time"),
        updated_at=instant(row.get("updated_time"), "updated_time"),
        extra=_extra(row, question.currency),
        listable=effective in LISTED_STATUSES[level],
    )


def own_status(text: str) -> str:
    """Meta's four words are ours; a word nobody knows becomes UNKNOWN, never an error."""
    word = text.upper()
    return word if word in OwnStatus.__members__ else OwnStatus.UNKNOWN.value


def _parent(value: str) -> str:
    if value.isascii() and value.isdigit():
        return value
    raise TypeError("an id is not an id")


def _text(value: str) -> str:
    """Text Postgres can store: it takes everything but NUL."""
    return value.replace("\x00", "\ufffd")


def _extra(row: Mapping[str, Any], currency: str | None) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    for key in _PLAIN_EXTRAS:
        value = row.get(key)
        if value not in (None, "", []):
            extra[key] = _text(value) if isinstance(value, str) else value
    for key in _MONEY_EXTRAS:
        amount = major_units(row.get(key), currency, key)
        if amount is not None:
            extra[key] = amount
    creative = row.get("creative")
    if isinstance(creative, dict) and isinstance(creative.get("id"), str):
        extra["creative_id"] = creative["id"]
    return extra


def major_units(value: Any, currency: str | None, name: str) -> str | None:
    """A budget, cap or bid in major units as exact decimal text; None when it is not set.

    Meta leaves an unset budget out or writes "0". JSON has no decimals, so it stays text.
    """
    if value is None or currency is None:
        return None
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 18):
        raise IncompleteRead(f"{name} is not a whole number of minor units")
    if int(text) == 0:
        return None
    scale = 0 if currency.upper() in WHOLE_UNIT_CURRENCIES else -2
    return format(Decimal(int(text)).scaleb(scale), "f")


def instant(value: Any, name: str) -> datetime | None:
    """Meta's time text (`2026-01-05T10:33:03-0800`) in UTC; None when the field is absent.

    Some answers write a small `t`, and a space where the plus of the offset was.
    """
    if value is None:
        return None
    if isinstance(value, str) and len(value) <= 40:
        try:
            parsed = datetime.fromisoformat(value.replace("t", "T").replace(" ", "+"))
            if parsed.tzinfo is not None:
                return parsed.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise IncompleteRead(f"{name} is not an instant with an offset")


#: What an account's status asks of a person. Source: Meta's reference of AdAccount.account_status.
_TROUBLES = {
    "1": "",
    "2": "is disabled: no ad runs; Account Quality in Meta's Business Suite says why",
    "3": "is unsettled: no ad runs until the failed payment is settled in Meta's billing",
    "7": "is under risk review: no ad runs until Meta has finished it",
    "8": "awaits settlement: ads stop unless the payment comes in; see Meta's billing",
    "9": "is in a grace period: ads stop unless the payment comes in; see Meta's billing",
    "100": "is about to be closed",
    "101": "is closed: no ad runs any more; what it has is kept",
    "201": "",
    "202": "is closed: no ad runs any more; what it has is kept",
}


def parse_account(row: Any, purpose: str) -> AccountInfo:
    """An ad account. Its status never makes it unreadable here.

    Reports of disabled, unsettled and closed accounts stay readable, and their last days are
    the ones that must not be lost; when Meta does refuse, the read itself says so.
    """
    if not isinstance(row, dict):
        raise IncompleteRead(f"{purpose}: the answer is not an ad account")
    digits, status = row.get("account_id"), row.get("account_status")
    currency, timezone = row.get("currency"), row.get("timezone_name")
    for name, value in (
        ("account_id", digits),
        ("currency", currency),
        ("timezone_name", timezone),
    ):
        if not isinstance(value, str) or not value:
            raise IncompleteRead(f"{purpose}: the answer lacks {name}")
    if not isinstance(status, int | str) or isinstance(status, bool):
        raise IncompleteRead(f"{purpose}: the answer lacks account_status")
    return AccountInfo(
        platform_account_id=f"act_{digits}",
        name=_text(row.get("name") or ""),
        currency=str(currency),
        timezone=str(timezone),
        status=str(status),
        trouble=_TROUBLES.get(str(status), f"has the status {str(status)[:20]}, which is new here"),
    )
