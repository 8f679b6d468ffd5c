"""Steps 1 to 3: list one level of an account, look up what vanished, merge, let triggers log.

An id that a complete list leaves out is not deleted: it is looked up by id first. A list that
leaves out entities which are plainly alive is itself incomplete, and is refused whole; but not
when their status is one that the list did not ask for, because the platform added it since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from adsync_dagster.crash_points import crash_point
from adsync_dagster.errors import IncompleteRead
from adsync_dagster.platforms.registry import may_be_id
from adsync_dagster.records import Entity, Level
from adsync_dagster.status import OwnStatus
from adsync_dagster.sync.environment import SyncContext
from adsync_dagster.sync.reports import StepReport
from adsync_dagster.warehouse import entities
from adsync_dagster.warehouse.staging import EntityStage

#: Vanished ids looked up before the next look at how many of them are alive.
LOOKUP_CHUNK = 50
#: A list may leave out this many living entities (a race with an edit), or this share of them.
LIVING_ABSENT_MAX = 3
LIVING_ABSENT_SHARE_MAX = 0.02


def sync_entities(context: SyncContext, level: Level) -> StepReport:
    """List, resolve and merge one level; the merge is one transaction.

    Raises IncompleteRead when the list cannot be believed; nothing is written then.
    """
    account, client = context.account, context.client
    with EntityStage(context.session.connection, level) as stage:
        crash_point("before_first_request")
        verdict = client.run(
            client.adapter.list_entities(account.platform_account_id, level, context.clock.now()),
            stage.add,
        )
        crash_point("after_last_page")
        absent = [
            one
            for one in entities.absent_ids(context.session.connection, account, level)
            if may_be_id(account.platform, level, one)
        ]
        missing = _resolve_vanished(context, level, stage, absent)
        with context.session.transaction() as connection:
            counts = entities.merge_entities(connection, account, level, verdict.read_started_at)
            crash_point("entities_merged")
            if missing:
                entities.mark_unreachable(connection, account, level, missing)
    return StepReport(
        counts={
            "seen": verdict.row_count,
            "inserted": counts.inserted,
            "updated": counts.updated,
            "unchanged": counts.unchanged,
            "vanished": len(absent),
            "unreachable": len(missing),
        }
    )


def _resolve_vanished(
    context: SyncContext, level: Level, stage: EntityStage, absent: Sequence[str]
) -> list[str]:
    """Stage what the platform says by id about the absent; returns the ids it does not know."""
    if not absent:
        return []
    account, client = context.account, context.client
    known = len(entities.known_ids(context.session.connection, account, level))
    living_max = max(LIVING_ABSENT_MAX, int(known * LIVING_ABSENT_SHARE_MAX))
    living = 0
    missing: list[str] = []
    unasked: Counter[str] = Counter()
    for start in range(0, len(absent), LOOKUP_CHUNK):
        chunk = absent[start : start + LOOKUP_CHUNK]
        records, verdict = client.rows(
            client.adapter.lookup_entities(
                account.platform_account_id, level, chunk, context.clock.now()
            )
        )
        found = [record for record in records if isinstance(record, Entity)]
        living += sum(1 for entity in found if _is_listed_normally(entity))
        unasked.update(entity.effective_status for entity in found if _is_unasked(entity))
        if living > living_max:
            raise IncompleteRead(
                f"the list of {level}s of {account.key} left out at least {living} that are"
                " still there; the list is refused and will be read again"
            )
        stage.add(found)
        missing.extend(sorted(verdict.missing_ids))
    if unasked:
        context.log.warning(
            "[sync] %s: %d %s(s) have a status that lists cannot ask for yet (%s); they are read"
            " by id at every sync. A newer adsync may know it",
            account.key,
            unasked.total(),
            level,
            ", ".join(sorted(unasked)[:5]),
        )
    return missing


def _is_gone(entity: Entity) -> bool:
    return OwnStatus.DELETED in (entity.status, entity.effective_status)


def _is_listed_normally(entity: Entity) -> bool:
    """Whether a complete list should have shown this entity."""
    return entity.listable and not _is_gone(entity)


def _is_unasked(entity: Entity) -> bool:
    """Whether it is there, and was left out for its status alone."""
    return not entity.listable and not _is_gone(entity)
