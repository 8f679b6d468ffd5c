"""What a person may choose in the launchpad: days, levels and accounts, checked before a read.

Every field has a default, a bound and a sentence, which the launchpad shows beside it. A
choice that contradicts itself fails the run at once and is not tried again.
"""

# No postponed annotations here: Dagster reads the ones of the config classes.

from collections.abc import Collection, Sequence
from datetime import date, datetime
from enum import Enum

import dagster as dg
from pydantic import Field

from adsync_dagster.calendar import begins_nowhere
from adsync_dagster.records import LEVELS, DateRange, Level
from adsync_dagster.settlement import REPORTED_DAYS
from adsync_dagster.sync.metrics import MetricsScope


class MetricsLevel(Enum):
    """The levels as the launchpad offers them: name and value are the `entity_type`."""

    campaign = "campaign"
    adset = "adset"
    ad = "ad"


ALL_LEVELS = [level.value for level in MetricsLevel]

_LEVELS_HELP = (
    "Levels of metrics to read: campaign, adset, ad. Leave all three in for a sync that counts."
    " With fewer, what is read is stored and compared, but no day is sealed and the days stay"
    " due, because a day is read when all of its levels are."
)


class AccountSyncConfig(dg.Config):
    """How to sync the run's accounts. The defaults are what the schedules run."""

    date_from: str | None = Field(
        default=None,
        description=(
            "First account-local day of metrics to read, YYYY-MM-DD. Give both dates to read"
            " exactly that range (at most 37 months, nothing in the future); leave both empty to"
            " read every day that is due. Default: empty."
        ),
    )
    date_until: str | None = Field(
        default=None,
        description="Last account-local day of metrics to read, YYYY-MM-DD, included.",
    )
    everything_open: bool = Field(
        default=False,
        description=(
            "Read every open day again, not only those that are due, and seal what may be."
            " Cannot be combined with dates. Default: false."
        ),
    )
    levels: list[MetricsLevel] = Field(
        default=ALL_LEVELS,  # names, validated: Dagster shows them
        validate_default=True,
        description=f"{_LEVELS_HELP} Default: all three.",
    )
    accounts: list[str] = Field(
        default=[],
        description=(
            "Only these of the run's accounts, as keys such as facebook:act_123; the others of"
            " the chosen partitions are left alone. Default: empty, which means all of them."
        ),
    )

    def scope(self, now: datetime) -> MetricsScope:
        """The metrics to read; a Failure that is not retried when the choice is none."""
        days = chosen_days(self.date_from, self.date_until, now)
        if days is not None and self.everything_open:
            raise refusal("choose either dates or everything_open, not both")
        return MetricsScope(
            days=days, everything_open=self.everything_open, levels=chosen_levels(self.levels)
        )

    def chosen(self, keys: Sequence[str]) -> list[str]:
        """The run's accounts that are meant, in the run's order."""
        return chosen_accounts(self.accounts, keys) if self.accounts else list(keys)


class BackfillConfig(dg.Config):
    """Which days of which accounts to read again."""

    accounts: list[str] = Field(
        description=(
            "The accounts, as keys such as facebook:act_123 (`adsync accounts list`, or the"
            " partitions of any asset). They need not be neighbours."
        ),
    )
    date_from: str = Field(
        description=(
            "First account-local day to read, YYYY-MM-DD; as far back as the platform reports"
            " (37 months), and at most 37 months before the last."
        ),
    )
    date_until: str = Field(
        description="Last account-local day to read, YYYY-MM-DD, included; not in the future.",
    )
    levels: list[MetricsLevel] = Field(
        default=ALL_LEVELS,  # names, validated: Dagster shows them
        validate_default=True,
        description=f"{_LEVELS_HELP} Default: all three.",
    )

    def scope(self, now: datetime) -> MetricsScope:
        """The metrics to read; a Failure that is not retried when the choice is none."""
        days = chosen_days(self.date_from, self.date_until, now)
        if days is None:
            raise refusal("give date_from and date_until as YYYY-MM-DD")
        return MetricsScope(days=days, levels=chosen_levels(self.levels))


def chosen_days(first: str | None, last: str | None, now: datetime) -> DateRange | None:
    """The chosen range, None when both are empty; refused when malformed, too long or to come."""
    if not first and not last:
        return None
    try:
        days = DateRange(
            since=date.fromisoformat(first or ""), until=date.fromisoformat(last or "")
        )
    except ValueError:
        raise refusal(
            "give both date_from and date_until as YYYY-MM-DD, the earlier one first"
        ) from None
    if days.days > REPORTED_DAYS:
        raise refusal(
            f"{days.since} to {days.until} are {days.days} days; read at most"
            f" {REPORTED_DAYS} (37 months) in one run"
        )
    if begins_nowhere(days.until, now):
        raise refusal(f"date_until {days.until} lies in the future for every account")
    return days


def chosen_levels(levels: Sequence[MetricsLevel]) -> tuple[Level, ...]:
    """The levels in the order they are synced; named twice is named once."""
    if not levels:
        raise refusal("name at least one level: campaign, adset or ad")
    wanted = {Level(level.value) for level in levels}
    return tuple(level for level in LEVELS if level in wanted)


def chosen_accounts(names: Sequence[str], keys: Collection[str]) -> list[str]:
    """The named accounts, in the order of `keys`; refused when one is not among them."""
    if not names:
        raise refusal("name at least one account, such as facebook:act_123")
    unknown = sorted(set(names) - set(keys))
    if unknown:
        raise refusal(
            f"not among the accounts that this run may sync: {', '.join(unknown[:5])}"
            f"{' and more' if len(unknown) > 5 else ''}; write keys such as facebook:act_123,"
            " see `adsync accounts list`"
        )
    return [key for key in keys if key in set(names)]


def refusal(message: str) -> dg.Failure:
    """A failure that no retry mends."""
    return dg.Failure(description=message, allow_retries=False)
