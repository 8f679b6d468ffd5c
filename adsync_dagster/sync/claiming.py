"""Claiming what a final sync works on, and naming what it has to read.

A database that was adopted may hold rows of its own: drafts without a platform id, logged
changes of kinds that nobody here knows. Nothing can be read for them, so they stop nobody: a
change of theirs is set aside for a person, an entity below a stopped one is left out.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

from adsync_dagster.platforms.registry import id_forms, may_be_id
from adsync_dagster.records import Level
from adsync_dagster.settlement import nothing_after
from adsync_dagster.sync.environment import SyncContext
from adsync_dagster.warehouse import changes, entities
from adsync_dagster.warehouse.changes import PendingChange


def claim(
    context: SyncContext,
    token: UUID,
    limit: int,
    *,
    entity: tuple[Level, str] | None = None,
) -> list[PendingChange]:
    """Claim due changes, or those of one entity, for this token.

    Those that nothing can be read for are set aside first.
    """
    account = context.account
    with context.session.transaction() as connection:
        aside = changes.set_aside_unreadable(connection, account, id_forms(account.platform))
        claimed = changes.claim_pending(connection, account, token, limit=limit, entity=entity)
    if aside:
        context.log.warning(
            "[sync] %s: %d pending change(s) are of nothing that the platform could have; they"
            " wait for a person, see `adsync verify`",
            account.key,
            aside,
        )
    return claimed


def needed_by(
    context: SyncContext, change: PendingChange, first_open: date
) -> set[tuple[Level, str]]:
    """The entities whose days must be stored before the change is done, by level and id.

    What was deleted so long ago that nothing can be attributed to it on an open day is not
    read: TikTok forgets such entities, and no answer about them would ever come.
    """
    account = context.account
    gone_before = nothing_after(first_open, account.timezone, context.rules)
    refs = entities.descendants(
        context.session.connection,
        account,
        change.level,
        change.entity_id,
        gone_before=gone_before,
    )
    known = {(ref.level, ref.platform_id): ref.is_gone for ref in refs}
    own = (change.level, change.platform_entity_id)
    # Its own row may be missing, or say that it was gone long before the change was noticed: then
    # it is asked for all the same.
    known[own] = known.get(own, False) and change.created_at < gone_before
    return {
        one
        for one, is_gone in known.items()
        if not is_gone and (one == own or may_be_id(account.platform, *one))
    }
