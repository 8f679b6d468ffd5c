"""After step 3: ask the platform's own change history what two listings could not see.

An entity that was created and deleted since the last sync appears in no list; the history
names its id, and by id the platform still tells everything. A switch that was turned off and
on again left no trace in the lists; it is logged with the source `change_history`. Both are
hints: a history that cannot be read costs a note in the report, never the sync. How far it was
read is kept on the account and moves by readings alone, so what one sync leaves out, for a
failure or because it was too much, the next one reads.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from adsync_dagster.errors import AdsyncError, Defect
from adsync_dagster.records import LEVELS, ChangeHint, Complete, Entity, Level
from adsync_dagster.status import OwnStatus
from adsync_dagster.sync.environment import SyncContext
from adsync_dagster.sync.reports import StepReport
from adsync_dagster.warehouse import change_history, changes, entities
from adsync_dagster.warehouse.staging import EntityStage

#: The last part of a reading is read again by the next one: the history lags behind.
OVERLAP = timedelta(hours=1)
#: After a long outage only this much of it is read; days, not transitions, hold the numbers.
HISTORY_MAX = timedelta(days=30)
#: Ids of a level looked up for one sync at most; the next sync goes on where this one stopped.
LOOKUPS_MAX = 1_000
#: Platforms date their records to the second: where a reading stopped, it begins a little before.
STEP_BACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was looked up of one level."""

    #: Entities that no list showed, now stored.
    ids: frozenset[str] = frozenset()
    #: How many were left for the next sync, and from when on it has to read to find them.
    left: int = 0
    left_since: datetime | None = None


def read_change_history(
    context: SyncContext, listed: Collection[Level], listed_from: datetime
) -> StepReport:
    """Store entities no list showed and log switches no poll saw.

    `listed` are the levels whose list this sync has merged, and `listed_from` is when the first
    list began. The switches of the others wait for one that is merged: what it then shows is
    logged by itself, and must not be logged twice. With an account's first lists the history
    begins: they show everything there was.
    """
    report = StepReport(counts={"hints": 0, "found": 0, "logged": 0})
    now = context.clock.now()
    since = _since(context, now)
    is_whole = set(listed) == set(LEVELS)
    if since is None:
        if is_whole:
            with context.session.transaction() as connection:
                change_history.set_read_until(connection, context.account, listed_from - OVERLAP)
        return report
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
    report.counts["found"] = sum(len(one.ids) for one in found.values())
    if left := sum(one.left for one in found.values()):
        report.note = f"the change history names {left} more to look up; the next sync goes on"
        context.log.info("[sync] %s: %s", context.account.key, report.note)
    shown = [hint for hint in hints if hint.level in listed]
    told = _switches(context, shown, found)
    with context.session.transaction() as connection:
        if told:
            report.counts["logged"] = changes.log_hints(
                connection, context.account, told, now - since
            )
        if is_whole:
            change_history.set_read_until(connection, context.account, _read_until(now, found))
    return report


def _since(context: SyncContext, now: datetime) -> datetime | None:
    """Where this reading begins; None for an account that was never listed."""
    marks = change_history.history_marks(context.session.connection, context.account)
    oldest = now - HISTORY_MAX
    if marks.read_until is not None:
        return max(marks.read_until, oldest)
    return None if marks.last_synced_at is None else max(marks.last_synced_at - OVERLAP, oldest)


def _read_until(now: datetime, found: Mapping[Level, _Found]) -> datetime:
    """Up to when everything was read that the history tells by now, and looked up."""
    stopped = [one.left_since - STEP_BACK for one in found.values() if one.left_since is not None]
    return min([now - OVERLAP, *stopped])


def _read(context: SyncContext, since: datetime, now: datetime) -> list[ChangeHint]:
    records, _ = context.client.rows(
        context.client.adapter.read_change_history(
            context.account.platform_account_id, since, now, now
        )
    )
    return [record for record in records if isinstance(record, ChangeHint)]


def _find_unlisted(context: SyncContext, level: Level, hints: Sequence[ChangeHint]) -> _Found:
    """Look entities up that the history names and nobody has seen, those named last the latest.

    Whoever is left is named again from its latest hint on, so the next reading begins there.
    """
    account, connection = context.account, context.session.connection
    named: dict[str, datetime] = {}
    for hint in hints:
        if hint.level is level:
            at = named.get(hint.platform_id, hint.occurred_at)
            named[hint.platform_id] = max(at, hint.occurred_at)
    if not named:
        return _Found()
    known = set(entities.known_ids(connection, account, level))
    unseen = sorted((at, id_) for id_, at in named.items() if id_ not in known)
    if not unseen:
        return _Found()
    asked, left = [id_ for _, id_ in unseen[:LOOKUPS_MAX]], unseen[LOOKUPS_MAX:]
    with EntityStage(connection, level) as stage:
        found: set[str] = set()

        def keep(records: Sequence[object]) -> None:
            stage.add(records)
            found.update(record.platform_id for record in records if isinstance(record, Entity))

        verdict: Complete = context.client.run(
            context.client.adapter.lookup_entities(
                account.platform_account_id, level, asked, context.clock.now()
            ),
            keep,
        )
        with context.session.transaction() as transaction:
            entities.merge_entities(transaction, account, level, verdict.read_started_at)
    return _Found(frozenset(found), len(left), left[0][0] if left else None)


def _switches(
    context: SyncContext, hints: Sequence[ChangeHint], found: Mapping[Level, _Found]
) -> list[ChangeHint]:
    """The switches to log; the warehouse leaves out those that a read logged meanwhile."""
    told: list[ChangeHint] = []
    for level in LEVELS:
        of_level = [
            hint
            for hint in hints
            if hint.level is level
            and hint.platform_id not in found[level].ids
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
    return told


def _as_seen(hint: ChangeHint, statuses: dict[str, str]) -> ChangeHint:
    """The last switch, in the word that the read by now has seen.

    The history's labels do not tell paused from archived or deleted.
    """
    seen = statuses.get(hint.platform_id)
    ends_on = OwnStatus.ACTIVE in (seen, hint.new_status)
    if hint.exact or ends_on or seen in {None, OwnStatus.UNKNOWN}:
        return hint
    return replace(hint, new_status=seen)
