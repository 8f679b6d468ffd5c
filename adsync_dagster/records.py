"""What the adapters hand over and the warehouse stores: entities, daily metrics, verdicts.

Records are immutable and say nothing about wires or tables. Instants are aware, in UTC. Ids are
the platform's own, as text (a Meta id does not survive a float). Money is in major units of the
account's currency, as the decimal text the platform sent or a Decimal; it never passes through
float.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple
from uuid import UUID


class Level(StrEnum):
    """An entity level; the value is the `entity_type` of tables and log."""

    CAMPAIGN = "campaign"
    ADSET = "adset"
    AD = "ad"


#: Parents before children, the order in which entities are synced.
LEVELS = (Level.CAMPAIGN, Level.ADSET, Level.AD)


class Platform(str):
    """A platform's key in tables, settings and partition keys. Equal keys are one object.

    Any package may bring a platform (platforms/registry.py knows those that are installed), so
    this says only what a key looks like: lower-case ASCII letters, digits and underscores.
    """

    __slots__ = ()

    FACEBOOK: ClassVar[Platform]
    TIKTOK: ClassVar[Platform]
    GOOGLE_ADS: ClassVar[Platform]

    def __new__(cls, key: str) -> Platform:
        """ValueError when this cannot be a key."""
        if not is_platform_key(key):
            raise ValueError(f"{key[:40]!r} is no platform key; write it like google_ads")
        return _PLATFORMS.setdefault(key, super().__new__(cls, key))


def is_platform_key(text: str) -> bool:
    """Whether a platform could have this key."""
    return re.fullmatch(r"[a-z][a-z0-9_]{0,39}", text, re.ASCII) is not None


_PLATFORMS: dict[str, Platform] = {}
Platform.FACEBOOK = Platform("facebook")
Platform.TIKTOK = Platform("tiktok")
Platform.GOOGLE_ADS = Platform("google_ads")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An ad account as the warehouse knows it (a row of `ad_accounts`)."""

    id: UUID
    platform: Platform
    platform_account_id: str
    name: str
    currency: str
    #: IANA name; account days are calendar days in this zone.
    timezone: str
    #: First day of history to sync; None until the first sync decides it.
    history_start: date | None = None
    #: When the first complete sync ended, in UTC; None before it.
    first_synced_at: datetime | None = None
    #: False once it was removed: nothing reads it any more, its data are kept.
    is_active: bool = True

    @property
    def key(self) -> str:
        """The Dagster partition key, `platform:platform_account_id`."""
        return f"{self.platform}:{self.platform_account_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountInfo:
    """An ad account as the platform describes it."""

    platform_account_id: str
    name: str
    currency: str
    timezone: str
    #: The platform's own status code or word, raw.
    status: str
    #: True when the account's status still lets its reports be read.
    readable: bool = True
    #: For how many days after its end a day of this account may be revised, where that is a matter
    #: of its settings; None: the platform's own window counts.
    window_days: int | None = None
    #: Values its credential needs beside those it was found with, such as a manager's id.
    access: Mapping[str, str] = field(default_factory=dict)
    #: What is not in order with it and who can mend it, as in "is disabled: ..."; else empty.
    trouble: str = ""
    #: Which account above it leads there, in words; empty when it is reached directly.
    through: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A campaign, ad set or ad as one complete read saw it."""

    level: Level
    platform_id: str
    name: str
    #: The entity's own switch, normalised (see status.OwnStatus), and the raw text.
    status: str
    platform_status: str
    #: What really happens to it, parents and reviews included; normalised upper case.
    effective_status: str
    campaign_id: str | None = None
    adset_id: str | None = None
    #: When the platform says it was made and last changed, in UTC; None where it does not say.
    created_at: datetime | None = None
    updated_at: datetime | None = None
    #: Budgets, objective and other descriptive fields worth keeping, JSON-ready.
    extra: Mapping[str, Any] = field(default_factory=dict)
    #: False: its status is one that our listings do not ask for, so a list without it is whole.
    listable: bool = True


class DailyMetrics(NamedTuple):
    """One entity's numbers on one account-local day. A tuple, because there are millions.

    Counters may be the platform's integer text; money and rates its decimal text. None
    means "not reported", which is not zero.
    """

    level: Level
    platform_id: str
    date: date | str
    campaign_id: str | None
    adset_id: str | None
    impressions: int | str
    clicks: int | str
    link_clicks: int | str | None
    spend: Decimal | str
    reach: int | str | None
    frequency: Decimal | str | None
    conversions: Decimal | str
    conversion_value: Decimal | str
    #: Platform extras as JSON text (raw action arrays and the like), or None.
    extra: str | None


class DayAmounts(NamedTuple):
    """Numbers of one account-local day that are compared with each other."""

    impressions: int
    clicks: int
    spend: Decimal
    conversions: Decimal
    conversion_value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTotals:
    """The platform's own account total of one account-local day: the checksum of its children."""

    date: date
    impressions: int
    clicks: int
    spend: Decimal
    conversions: Decimal
    conversion_value: Decimal
    #: The part that the platform tells of campaigns only: no ad set or ad has a row for it.
    campaigns_only: DayAmounts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeHint:
    """A status change the platform's own change history tells of. A hint, never the truth."""

    level: Level
    platform_id: str
    #: When the platform says that it happened, in UTC.
    occurred_at: datetime
    #: Normalised where the label is known, else None with the raw text in `raw`.
    old_status: str | None
    new_status: str | None
    #: False: the history only tells on from off. A word for "off" may then stand for another one.
    exact: bool = True
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """Account-local calendar days, both ends included."""

    since: date
    until: date

    def __post_init__(self) -> None:
        if self.since > self.until:
            raise ValueError(f"a range cannot run backwards: {self.since} to {self.until}")

    @property
    def days(self) -> int:
        """How many days it holds."""
        return (self.until - self.since).days + 1

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.since <= day <= self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """The verdict of a read that proved itself whole. Anything else raises.

    `read_started_at` is the instant before the first request was sent, in UTC: stored rows are
    replaced only by reads that started later.
    """

    read_started_at: datetime
    row_count: int
    request_count: int
    #: Ids that were asked for by id and that the platform says it does not know or show.
    missing_ids: frozenset[str] = frozenset()
