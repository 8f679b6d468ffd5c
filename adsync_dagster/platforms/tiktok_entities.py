"""Campaigns, ad groups, ads and advertisers: what is asked for, and rows to records.

Every listing and every look-up asks for STATUS_ALL: deleted entities are hidden otherwise,
even from a filter that names their ids. `modify_time` is stored and used for nothing: a parent
that is paused does not move it, and Smart+ ads lack it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from adsync_dagster.calendar import zone
from adsync_dagster.errors import IncompleteRead, UsageError
from adsync_dagster.platforms.reading import compact
from adsync_dagster.platforms.tiktok_statuses import statuses_of
from adsync_dagster.platforms.tiktok_wire import Parsed, Query, id_text, path_of
from adsync_dagster.records import AccountInfo, Entity, Level

#: TikTok's word for each level, as in paths, ids and names.
WORDS: dict[Level, str] = {Level.CAMPAIGN: "campaign", Level.ADSET: "adgroup", Level.AD: "ad"}
STATUS_ALL = "STATUS_ALL"

_COMMON = ("advertiser_id", "operation_status", "secondary_status", "create_time", "modify_time")
FIELDS: dict[Level, tuple[str, ...]] = {
    Level.CAMPAIGN: (
        *_COMMON,
        "campaign_id",
        "campaign_name",
        "objective_type",
        "budget",
        "budget_mode",
        "campaign_type",
    ),
    Level.ADSET: (
        *_COMMON,
        "adgroup_id",
        "adgroup_name",
        "campaign_id",
        "budget",
        "budget_mode",
        "bid_price",
        "billing_event",
        "optimization_goal",
        "schedule_type",
        "schedule_start_time",
        "schedule_end_time",
        "click_attribution_window",
        "view_attribution_window",
    ),
    Level.AD: (
        *_COMMON,
        "ad_id",
        "ad_name",
        "adgroup_id",
        "campaign_id",
        "ad_format",
        "landing_page_url",
        "call_to_action",
    ),
}
#: Numbers of the account's currency in major units.
_MONEY = ("budget", "bid_price")
_DESCRIBED = (
    "advertiser_id", "operation_status", "secondary_status", "create_time", "modify_time",
    "campaign_id", "campaign_name", "adgroup_id", "adgroup_name", "ad_id", "ad_name",
    "budget", "bid_price",
)  # fmt: skip
_EXTRAS: dict[Level, tuple[str, ...]] = {
    level: tuple(name for name in names if name not in _DESCRIBED)
    for level, names in FIELDS.items()
}
#: Parts of an advertiser's status and what they ask of a person; the first that fits.
_TROUBLES = (
    (
        "CONFIRM_MODIFY_FAIL",
        "was refused after a change: correct its details in TikTok's Ads Manager",
    ),
    ("CONFIRM_FAIL", "was refused: correct its details in TikTok's Ads Manager"),
    ("CONTRACT_PENDING", "waits for a contract: no ad runs before it is signed"),
    ("PENDING", "is under review at TikTok: no ad runs before it ends"),
    ("WAIT_FOR", "is under review at TikTok: no ad runs before it ends"),
    ("UNAUDITED", "was not reviewed yet: finish its set-up in TikTok's Ads Manager"),
    ("LIMIT", "is suspended by TikTok: no ad runs; TikTok's Ads Manager says why"),
    ("DISABLE", "is disabled: no ad runs; TikTok's Ads Manager says why"),
)
ACCOUNT_FIELDS = ("advertiser_id", "name", "currency", "timezone", "display_timezone", "status")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityQuestion:
    """What the rows of a listing or a look-up have to be about."""

    level: Level
    account: str
    purpose: str
    #: The only ids the rows may have, when the question names them.
    ids: Collection[str] | None = None


def listing(question: EntityQuestion, filtering: Mapping[str, Any] | None = None) -> Query:
    """The paged question for a level's entities of every status."""
    word = WORDS[question.level]
    return Query(
        path=path_of(f"{word}/get"),
        params={
            "advertiser_id": question.account,
            "fields": compact(FIELDS[question.level]),
            "filtering": compact({"primary_status": STATUS_ALL, **(filtering or {})}),
        },
        purpose=question.purpose,
    )


def by_id(question: EntityQuestion, ids: Sequence[str]) -> Query:
    """The paged question for entities by id, deleted ones included."""
    return listing(question, {f"{WORDS[question.level]}_ids": list(ids)})


def parse_entities(rows: Sequence[Any], question: EntityQuestion) -> Parsed:
    """A page of entities; IncompleteRead when one of them is no answer to the question."""
    entities = [parse_entity(row, question) for row in rows]
    return Parsed([entity.platform_id for entity in entities], entities)


def parse_entity(row: Any, question: EntityQuestion) -> Entity:
    """One entity; IncompleteRead when a field is missing or it belongs to another advertiser."""
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
    level, word = question.level, WORDS[question.level]
    if id_text(row["advertiser_id"]) != question.account:
        raise IncompleteRead("the answer holds an object of another advertiser")
    platform_id = id_text(row[f"{word}_id"])
    if question.ids is not None and platform_id not in question.ids:
        raise IncompleteRead("the answer holds an object that was not asked for")
    operation, secondary = row.get("operation_status"), row.get("secondary_status")
    statuses = statuses_of(level, _word(operation), _word(secondary))
    return Entity(
        level=level,
        platform_id=platform_id,
        name=_text(row.get(f"{word}_name") or ""),
        status=statuses.own,
        platform_status=statuses.raw,
        effective_status=statuses.effective,
        campaign_id=None if level is Level.CAMPAIGN else id_text(row["campaign_id"]),
        adset_id=id_text(row["adgroup_id"]) if level is Level.AD else None,
        created_at=instant(row.get("create_time"), "create_time"),
        updated_at=instant(row.get("modify_time"), "modify_time"),
        extra=_extra(row, level),
    )


def _word(value: Any) -> str | None:
    """A status field; TypeError when it is there and no text."""
    return None if value is None else _text(value)


def _text(value: str) -> str:
    """Text Postgres can store: it takes everything but NUL."""
    return value.replace("\x00", "\ufffd")


def _extra(row: Mapping[str, Any], level: Level) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    for key in _EXTRAS[level]:
        value = row.get(key)
        if isinstance(value, str) and value:
            extra[key] = _text(value)
    for key in _MONEY:
        amount = money_text(row.get(key), key)
        if amount is not None:
            extra[key] = amount
    return extra


def money_text(value: Any, name: str) -> str | None:
    """A budget or bid as decimal text; None when it is not set, which TikTok writes as 0.

    TikTok sends a JSON number. Its shortest spelling is the amount that was typed, so the
    text is exact although the parser made a float of it.
    """
    if value is None:
        return None
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        raise IncompleteRead(f"{name} is not an amount")
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        raise IncompleteRead(f"{name} is not an amount") from None
    if not amount.is_finite() or amount.adjusted() > 17:
        raise IncompleteRead(f"{name} is not an amount")
    return None if amount == 0 else format(amount.normalize(), "f")


def instant(value: Any, name: str) -> datetime | None:
    """`2026-01-05 10:33:03`, which is UTC; None when the field is absent (Smart+ ads)."""
    if value in (None, ""):
        return None
    if isinstance(value, str) and len(value) <= 19:
        try:
            return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            pass
    raise IncompleteRead(f"{name} is not an instant")


def parse_account(row: Any, purpose: str) -> AccountInfo:
    """An advertiser. Its status never makes it unreadable here: its last days must not be lost."""
    if not isinstance(row, dict):
        raise IncompleteRead(f"{purpose}: the answer is not an advertiser")
    for name in ("currency", "status"):
        if not isinstance(row.get(name), str) or not row[name]:
            raise IncompleteRead(f"{purpose}: the answer lacks {name}")
    try:
        account, name = id_text(row.get("advertiser_id")), _text(row.get("name") or "")
    except (TypeError, AttributeError):
        raise IncompleteRead(f"{purpose}: the answer lacks advertiser_id") from None
    return AccountInfo(
        platform_account_id=account,
        name=name,
        currency=row["currency"],
        timezone=_timezone(row, purpose),
        status=row["status"],
        trouble=_trouble(row["status"]),
    )


def _trouble(status: str) -> str:
    if status == "STATUS_ENABLE":
        return ""
    for words, trouble in _TROUBLES:
        if words in status:
            return f"{trouble} ({_text(status)[:60]})"
    return f"has the status {_text(status)[:60]}, which is new here"


def _timezone(row: Mapping[str, Any], purpose: str) -> str:
    """The zone of the account's days. `timezone` may be POSIX: `Etc/GMT+8` is UTC-8."""
    for key in ("display_timezone", "timezone"):
        name = row.get(key)
        if isinstance(name, str) and name:
            try:
                return zone(name).key
            except UsageError:
                continue
    # Then its days cannot be dated, which whoever asked has to say.
    for key in ("display_timezone", "timezone"):
        if isinstance(row.get(key), str) and row[key]:
            return _text(row[key])
    raise IncompleteRead(f"{purpose}: the answer lacks timezone")
