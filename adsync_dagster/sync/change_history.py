"""After step 3: ask the platform's own change history what two listings could not see.

An entity that was created and deleted since the last sync appears in no list; the history
names its id, and by id the platform still tells everything. A switch that was turned off and
on again left no trace in the lists; it is logged with the source `change_history`. Both are
hints: a history that cannot be read costs a note in the report, never the sync.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from adsync_dagster.errors import AdsyncError, Defect
from adsync_dagster.records import LEVELS, ChangeHint, Complete, Entity, Level
from adsync_dagster.status import OwnStatus
from adsync_dagster.sync.environment import SyncContext
from adsync_dagster.sync.reports import StepReport
from adsync_dagster.warehouse import change_history, changes, entities
from adsync_dagster.warehouse.staging import EntityStage

#: The history is read from a little before the last complete sync: it lags behind.
OVERLAP = timedelta(hours=1)
#: After a long outage only this much of it is read; days, not transitions, hold the numbers.
HISTORY_MAX = timedelta(days=30)
#: Ids looked up for one sync at most; more than this is a mass import that the lists show anyway.
LOOKUPS_MAX = 1_000


def read_change_history(context: SyncContext) -> StepReport:
    """Store entities no list showed and log switches no poll saw.

    Nothing before the account's first complete sync, which reads everything anyway.
    """
    report = StepReport(counts={"hints": 0, "found": 0, "logged": 0})
    last = change_history.last_synced_at(context.session.connection, context.account)
    if last is None:
        return report
    now = context.clock.now()
    since = max(last - OVERLAP, now - HISTORY_MAX)
    try:
        hints = _read(context, since, now)
        report.counts["hints"] = len(hints)
        found = {level: _find_unlisted(context, level, hints) for level in LEVELS}
    except AdsyncError as error:
        # A defect too: what the platform does not accept of this question says nothing of others.
        report.note = f"the change history could not be read: {error}"
        severity = logging.WARNING if isinstance(error, Defect) else logging.INFO
        context.log.log(severity, "[sync] %s: %s", context.account.key, report.note)
        return report
    report.counts["found"] = sum(map(len, found.values()))
    report.counts["logged"] = _log_switches(context, hints, found, now - since)
    return report


def _read(context: SyncContext, since: datetime, now: datetime) -> list[ChangeHint]:
    records, _ = context.client.rows(
        context.client.adapter.read_change_history(
            context.account.platform_account_id, since, now, now
        )
    )
    return [record for record in records if isinstance(record, ChangeHint)]


def _find_unlisted(context: SyncContext, level: Level, hints: Sequence[ChangeHint]) -> set[str]:
    """Look entities up that the history names and nobody has seen; the ids that were stored."""
    account, connection = context.account, context.session.connection
    named = {hint.platform_id for hint in hints if hint.level is level}
    if not named:
        return set()
    unseen = sorted(named - set(entities.known_ids(connection, account, level)))[:LOOKUPS_MAX]
    if not unseen:
        return set()
    with EntityStage(connection, level) as stage:
        found: set[str] = set()

        def keep(records: Sequence[object]) -> None:
            stage.add(records)
            found.update(record.platform_id for record in records if isinstance(record, Entity))

        verdict: Complete = context.client.run(
            context.client.adapter.lookup_entities(
                account.platform_account_id, level, unseen, context.clock.now()
            ),
            keep,
        )
        with context.session.transaction() as transaction:
            entities.merge_entities(transaction, account, level, verdict.read_started_at)
    return found


def _log_switches(
    context: SyncContext,
    hints: Sequence[ChangeHint],
    found: dict[Level, set[str]],
    period: timedelta,
) -> int:
    """Log the switches; those that a read logged meanwhile are left out by the warehouse."""
    told: list[ChangeHint] = []
    for level in LEVELS:
        of_level = [
            hint
            for hint in hints
            if hint.level is level
            and hint.platform_id not in found[level]
            and hint.old_status is not None
            and hint.new_status is not None
        ]
        if not of_level:
            continue
        statuses = change_history.own_statuses(
            context.session.connection,
            context.account,
            level,
            sorted({hint.platform_id for hint in of_level}),
        )
        last = {hint.platform_id: hint for hint in of_level}
        told += [
            _as_seen(hint, statuses) if last[hint.platform_id] is hint else hint
            for hint in of_level
        ]
    if not told:
        return 0
    with context.session.transaction() as connection:
        return changes.log_hints(connection, context.account, told, period)


def _as_seen(hint: ChangeHint, statuses: dict[str, str]) -> ChangeHint:
    """The last switch, in the word that the read by now has seen.

    The history's labels do not tell paused from archived or deleted.
    """
    seen = statuses.get(hint.platform_id)
    if seen is None or OwnStatus.ACTIVE in (seen, hint.new_status):
        return hint
    return replace(hint, new_status=seen)
