"""`ad_campaigns`, `ad_sets`, `ads`: merging what a read saw, and asking what is known.

Merging runs inside the caller's transaction; the triggers of the tables write the status log
in that same transaction. Nothing here deletes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from adsync_dagster.errors import Defect, OutdatedRead
from adsync_dagster.records import Account, Level
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.queries import level_query, queries
from adsync_dagster.warehouse.staging import analyze_entities

#: An entity with numbers this many days before the first asked day may still have some on it.
QUIET_DAYS_MAX = 35

_MERGE = {
    Level.CAMPAIGN: "merge_campaigns",
    Level.ADSET: "merge_ad_sets",
    Level.AD: "merge_ads",
}


class MergeCounts(NamedTuple):
    """What a merge did with the distinct rows of a stage."""

    inserted: int
    updated: int
    unchanged: int

    def __add__(self, other: object) -> MergeCounts:
        if not isinstance(other, MergeCounts):
            return NotImplemented
        return MergeCounts(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
        )


class EntityRef(NamedTuple):
    """An entity by its level, our id and the platform's."""

    level: Level
    entity_id: UUID
    platform_id: str
    #: Whether it was seen deleted before the instant that was asked about.
    is_gone: bool = False


def merge_entities(
    connection: Connection, account: Account, level: Level, read_started_at: datetime
) -> MergeCounts:
    """Merge the level's stage, inside the caller's transaction. Unchanged rows are not written.

    Raises OutdatedRead, to roll the transaction back, when a read recorded as later has written
    a row that differs.
    """
    analyze_entities(connection, level)
    row = connection.execute(
        queries[_MERGE[level]],
        {"ad_account_id": account.id, "read_started_at": read_started_at},
    ).fetchone()
    return merge_counts(row, account, read_started_at)


def merge_counts(
    row: tuple[int, ...] | None, account: Account, read_started_at: datetime
) -> MergeCounts:
    """Counts from a merge's answer of staged, new, written and refused rows.

    Raises OutdatedRead when rows were refused: called done, they would be lost.
    """
    if row is None:
        raise Defect("a merge gave no answer")
    staged, new, written, refused = row
    if refused:
        raise OutdatedRead(
            f"{refused} row(s) of {account.key} that were read at"
            f" {read_started_at:%Y-%m-%d %H:%M:%S} UTC differ from what a read recorded as later"
            " has stored: a clock went back. Nothing of the read is kept; it is tried again until"
            " the recorded time has come. Set the database server's clock (adsync doctor)"
        )
    return MergeCounts(inserted=new, updated=written - new, unchanged=staged - written)


def known_ids(connection: Connection, account: Account, level: Level) -> list[str]:
    """Every platform id of the level that the account ever had, deleted ones included."""
    return ids_of(connection, level_query("known_ids", level), {"ad_account_id": account.id})


def absent_ids(connection: Connection, account: Account, level: Level) -> list[str]:
    """Known, not DELETED, and not in the stage, which must hold a complete listing."""
    return ids_of(connection, level_query("absent_ids", level), {"ad_account_id": account.id})


def mark_unreachable(
    connection: Connection, account: Account, level: Level, ids: Sequence[str]
) -> int:
    """Note that the platform neither lists these nor answers for them by id; how many are new."""
    cursor = connection.execute(
        level_query("mark_unreachable", level),
        {"ad_account_id": account.id, "ids": list(ids)},
    )
    return cursor.rowcount


def ensure_stubs(connection: Connection, account: Account) -> int:
    """Make entity rows for what staged numbers name and nobody has seen; how many were made.

    Rows name their parents, so all three levels are looked at. A stub's status is UNKNOWN with
    no raw status; it owes no final sync until a read says what it is.
    """
    values = {"ad_account_id": account.id}
    return sum(
        connection.execute(queries[name], values).rowcount
        for name in ("ensure_campaign_stubs", "ensure_ad_set_stubs", "ensure_ad_stubs")
    )


def descendants(
    connection: Connection,
    account: Account,
    entity_type: Level | str,
    entity_id: UUID,
    *,
    gone_before: datetime | None = None,
) -> list[EntityRef]:
    """The entity itself and everything below it, parents first.

    `is_gone` is said of those that were seen deleted before the instant `gone_before`.
    """
    rows = connection.execute(
        queries["descendants"],
        {
            "ad_account_id": account.id,
            "entity_type": Level(entity_type).value,
            "entity_id": entity_id,
            "gone_before": gone_before,
        },
    ).fetchall()
    return [EntityRef(Level(row[0]), row[1], row[2], row[4]) for row in rows]


def hidden_candidates(
    connection: Connection,
    account: Account,
    level: Level,
    since: date,
    *,
    limit: int | None = None,
) -> list[str]:
    """Platform ids that account-wide reports may hide and that may have numbers from `since` on.

    Sorted; with a `limit` at most that many: first those that no final sync has looked at, then
    others, which take turns by the hour. Whoever limits them asks for one more than it wants:
    if that one comes, some were not asked, and a day that does not add up is not explained.
    """
    values = {
        "ad_account_id": account.id,
        "level": level.value,
        "active_since": since - timedelta(days=QUIET_DAYS_MAX),
        "limit": limit,
    }
    return sorted(ids_of(connection, level_query("hidden_candidates", level), values))


def ids_of(connection: Connection, query: str, values: Mapping[str, object]) -> list[str]:
    """The platform ids that a query answers, in its order."""
    return [row[0] for row in connection.execute(query, values).fetchall()]
