"""Pending final syncs: claiming, completing, failing, and being found whatever happens."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from warehouse_support import AD, AD_SET, CAMPAIGN, log_rows, merge, merge_numbers, numbers, one
from warehouse_support import paused as paused_

from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import Retryable
from adsync_dagster.records import Account, ChangeHint, Level
from adsync_dagster.warehouse import changes
from adsync_dagster.warehouse.database import AccountSession, Connection, Database
from adsync_dagster.warehouse.metrics import merge_metrics
from adsync_dagster.warehouse.staging import MetricsStage


def pause(session: AccountSession, account: Account, *ids: str) -> None:
    """Make the ads known as active, then paused: one pending change each."""
    ads = [replace(AD, platform_id=platform_id) for platform_id in ids]
    now = datetime(2026, 3, 10, tzinfo=UTC)
    merge(session, account, ads, now)
    merge(session, account, [paused_(ad) for ad in ads], now)


def claim(session: AccountSession, account: Account) -> tuple[UUID, list[UUID]]:
    """Claim everything due; the token and the log ids."""
    token = uuid4()
    claimed = changes.claim_pending(session.connection, account, token)
    return token, [change.log_id for change in claimed]


def test_claiming_takes_the_oldest_first_and_is_bounded(
    session: AccountSession, account: Account
) -> None:
    """A bounded claim takes the oldest changes and leaves the rest."""
    pause(session, account, "a1")
    pause(session, account, "a2", "a3")

    claimed = changes.claim_pending(session.connection, account, uuid4(), limit=2)

    assert [change.platform_entity_id for change in claimed] == ["a1", "a2"]
    unclaimed = "SELECT count(*) FROM ad_status_change_log WHERE claim_token IS NULL"
    assert one(session.connection, unclaimed) == 1


def test_pause_reactivate_pause_is_settled_by_one_final_sync(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """Two pending pauses of one ad are claimed together and completed together."""
    pause(session, account, "a1")
    merge(session, account, [AD], clock.now())
    merge(session, account, [paused_(AD)], clock.now())

    needing = changes.get_entities_needing_final_sync(session.connection, account.id)
    assert len(needing) == 1
    token, log_ids = claim(session, account)
    assert len(log_ids) == 2
    assert changes.complete(session.connection, log_ids, token) == 2

    assert [row[2] for row in log_rows(session.connection)] == [True, None, True]


def test_completing_by_hand_settles_the_earlier_pending_rows_too(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """mark_final_sync_completed of the latest change settles the older ones, not later ones."""
    pause(session, account, "a1")
    merge(session, account, [AD], clock.now())
    merge(session, account, [paused_(AD)], clock.now())
    (latest,) = changes.get_entities_needing_final_sync(session.connection, account.id, "ad")
    merge(session, account, [AD], clock.now())
    merge(session, account, [paused_(AD)], clock.now())

    assert changes.mark_final_sync_completed(session.connection, latest.log_id)

    owed = [row[2] for row in log_rows(session.connection)]
    assert owed == [True, None, True, None, False]
    assert one(session.connection, "SELECT last_final_sync_at FROM ads") == clock.now()
    assert not changes.mark_final_sync_completed(session.connection, latest.log_id)


def test_a_stale_claim_completes_nothing(session: AccountSession, account: Account) -> None:
    """A worker whose claim was taken over completes no row, fails none and releases none."""
    pause(session, account, "a1")
    old_token, log_ids = claim(session, account)
    new_token, _ = claim(session, account)

    assert changes.complete(session.connection, log_ids, old_token) == 0
    assert changes.record_failure(session.connection, log_ids, old_token, "late") == 0
    assert changes.release(session.connection, old_token) == 0
    assert changes.complete(session.connection, log_ids, new_token) == 1


def test_a_second_completion_changes_nothing(session: AccountSession, account: Account) -> None:
    """Completing twice with the same token settles nothing the second time."""
    pause(session, account, "a1")
    token, log_ids = claim(session, account)

    assert changes.complete(session.connection, log_ids, token) == 1
    assert changes.complete(session.connection, log_ids, token) == 0


def test_failure_leaves_the_change_pending_with_its_error(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """A failed final sync stays pending, says why, and is due again only after its wait."""
    pause(session, account, "a1")
    token, log_ids = claim(session, account)

    assert changes.record_failure(session.connection, log_ids, token, "platform busy\x00") == 1

    assert claim(session, account)[1] == []
    (summary,) = changes.pending_summary(session.connection)
    assert (summary.account_key, summary.pending, summary.due, summary.max_attempts) == (
        account.key,
        1,
        0,
        1,
    )
    clock.instant += timedelta(seconds=76)  # a minute and its jitter
    (again,) = changes.claim_pending(session.connection, account, uuid4())
    assert again.attempts == 1
    assert one(session.connection, "SELECT final_sync_error FROM ad_status_change_log") == (
        "platform busy"
    )


def test_waits_double_up_to_six_hours_and_never_end(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """However often it fails, a change comes back within six hours and its jitter."""
    pause(session, account, "a1")
    waits = []
    for _ in range(14):
        token, log_ids = claim(session, account)
        assert len(log_ids) == 1
        changes.record_failure(session.connection, log_ids, token, "no")
        due = one(session.connection, "SELECT next_attempt_at FROM ad_status_change_log")
        waits.append((due - clock.now()).total_seconds())
        clock.instant = due

    assert 45 <= waits[0] <= 75
    assert 90 <= waits[1] <= 150
    assert all(wait <= 6 * 3600 * 1.25 for wait in waits)
    assert waits[-1] >= 6 * 3600 * 0.75


def test_the_platforms_own_wait_is_respected(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """A Retry-After longer than our own wait puts the next attempt off that long."""
    pause(session, account, "a1")
    token, log_ids = claim(session, account)

    changes.record_failure(
        session.connection, log_ids, token, "throttled", retry_after_seconds=1800
    )

    due = one(session.connection, "SELECT next_attempt_at FROM ad_status_change_log")
    assert due - clock.now() == timedelta(minutes=30)


def test_a_blocked_change_waits_for_a_person_and_uses_no_attempts(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """A blocked change shows its reason, counts no attempt and is tried again in an hour."""
    pause(session, account, "a1")
    token, log_ids = claim(session, account)

    changes.record_failure(
        session.connection, log_ids, token, "token expired", blocked_reason="credential"
    )

    (summary,) = changes.pending_summary(session.connection)
    assert (summary.blocked, summary.due, summary.max_attempts) == (1, 0, 0)
    clock.instant += timedelta(minutes=80)
    (again,) = changes.claim_pending(session.connection, account, uuid4())
    assert (again.blocked_reason, again.attempts) == ("credential", 0)


def test_releasing_makes_changes_due_again(session: AccountSession, account: Account) -> None:
    """Released changes are as they were: due, unclaimed, without an attempt."""
    pause(session, account, "a1", "a2")
    token, log_ids = claim(session, account)

    assert changes.release(session.connection, token, log_ids[:1]) == 1
    assert changes.release(session.connection, token) == 1

    (summary,) = changes.pending_summary(session.connection)
    assert (summary.due, summary.max_attempts) == (2, 0)


def test_a_dead_workers_claim_is_taken_over(
    session: AccountSession, account: Account, database: Database, clock: VirtualClock
) -> None:
    """Claimed changes of a worker that died are claimed by the next one at once."""
    pause(session, account, "a1")
    claim(session, account)
    session.connection.close()

    with database.account_session(account.id, wait_seconds=5) as next_session:
        token, log_ids = claim(next_session, account)
        assert changes.complete(next_session.connection, log_ids, token) == 1


def test_a_change_that_commits_late_is_still_found(
    database: Database, session: AccountSession, account: Account
) -> None:
    """Pending is a row's state: a change logged first and committed last is not skipped."""
    merge(session, account, [AD, replace(AD, platform_id="a2")], datetime(2026, 3, 10, tzinfo=UTC))
    with database.connection() as slow, database.connection() as fast:
        pausing = "UPDATE ads SET status = 'PAUSED' WHERE platform_ad_id = %s"
        with slow.transaction():
            slow.execute(pausing, ("a1",))
            fast.execute(pausing, ("a2",))
            first = changes.claim_pending(session.connection, account, uuid4())
            assert [change.platform_entity_id for change in first] == ["a2"]

    late = changes.claim_pending(session.connection, account, uuid4())
    assert [change.platform_entity_id for change in late] == ["a1", "a2"]


def test_only_the_asked_account_and_level_are_answered(
    session: AccountSession, account: Account, new_account: Account, clock: VirtualClock
) -> None:
    """Entities needing a final sync are those of the account, and of the level if one is named."""
    pause(session, account, "a1")
    merge(session, account, [CAMPAIGN], clock.now())
    merge(session, account, [paused_(CAMPAIGN)], clock.now())

    both = changes.get_entities_needing_final_sync(session.connection, account.id)
    one_level = changes.get_entities_needing_final_sync(
        session.connection, account.id, Level.CAMPAIGN
    )
    assert {change.level for change in both} == {Level.AD, Level.CAMPAIGN}
    assert [change.platform_entity_id for change in one_level] == ["c1"]
    assert changes.get_entities_needing_final_sync(session.connection, new_account.id) == []


def test_a_change_that_needs_no_final_sync_cannot_be_marked(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """Marking a change that owes nothing says so; an unknown log id is an error."""
    merge(session, account, [paused_(AD)], clock.now())
    merge(session, account, [AD], clock.now())
    log_id = one(
        session.connection,
        "SELECT id FROM ad_status_change_log WHERE final_sync_completed IS NULL",
    )

    assert not changes.mark_final_sync_completed(session.connection, log_id)
    with pytest.raises(psycopg.errors.NoDataFound, match="no status change"):
        changes.mark_final_sync_completed(session.connection, uuid4())


def _hint(new_status: str, at: datetime, old_status: str | None = "ACTIVE") -> ChangeHint:
    return ChangeHint(
        level=Level.AD,
        platform_id="a1",
        occurred_at=at,
        old_status=old_status,
        new_status=new_status,
        raw={"event": "update_ad_run_status"},
    )


def test_hints_add_what_no_read_saw_and_nothing_twice(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """A change between two reads is logged once from the platform's history; a seen one is not."""
    started = clock.now()
    merge(session, account, [AD], started)
    unseen = [
        _hint("PAUSED", started - timedelta(minutes=50)),
        _hint("ACTIVE", started - timedelta(minutes=40), "PAUSED"),
    ]
    gap = timedelta(hours=1)

    assert changes.log_hints(session.connection, account, unseen, gap) == 2
    assert changes.log_hints(session.connection, account, unseen, gap) == 0
    assert log_rows(session.connection) == [
        ("ACTIVE", "PAUSED", False, "change_history"),
        ("PAUSED", "ACTIVE", None, "change_history"),
    ]

    unknown = replace(_hint("X", started - timedelta(minutes=30)), old_status=None, new_status=None)
    assert changes.log_hints(session.connection, account, [unknown, unknown], gap) == 1

    merge(session, account, [paused_(AD)], started)
    seen = _hint("PAUSED", started - timedelta(minutes=5))
    stranger = replace(seen, platform_id="nobody")
    assert changes.log_hints(session.connection, account, [seen, stranger], gap) == 0


def test_claims_and_completions_of_two_workers_never_overlap(
    database: Database, session: AccountSession, account: Account
) -> None:
    """Of two workers that claim and complete at once, each change is completed exactly once."""
    pause(session, account, *(f"a{n}" for n in range(200)))
    done: list[int] = []

    def work() -> None:
        with database.connection() as connection:
            for _ in range(40):
                token = uuid4()
                claimed = changes.claim_pending(connection, account, token, limit=20)
                ids = [change.log_id for change in claimed]
                done.append(changes.complete(connection, ids, token))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sum(done) == 200
    assert changes.pending_summary(session.connection) == []


def test_metrics_and_mark_commit_together_or_not_at_all(
    session: AccountSession, account: Account, database: Database, clock: VirtualClock
) -> None:
    """A backend killed before its commit leaves neither metrics nor mark; the redo stores both."""
    pause(session, account, "a1")
    token, log_ids = claim(session, account)
    pid = session.connection.info.backend_pid
    stage = MetricsStage(session.connection)
    with stage, database.connection() as other:
        stage.add([numbers()])
        with pytest.raises(Retryable), session.transaction() as connection:  # noqa: PT012
            merge_metrics(connection, account, Level.AD, clock.now())
            assert changes.complete(connection, log_ids, token) == 1
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

        assert one(other, "SELECT count(*) FROM ad_metrics") == 0
        assert log_rows(other) == [("ACTIVE", "PAUSED", False, "trigger")]

    with database.account_session(account.id, wait_seconds=5) as again:
        token, log_ids = claim(again, account)
        merge_numbers(again, account, [numbers()], clock.now())
        assert changes.complete(again.connection, log_ids, token) == 1


def test_every_level_is_stamped_when_done(
    session: AccountSession, account: Account, clock: VirtualClock, connection: Connection
) -> None:
    """Completing stamps campaigns, ad sets and ads alike, and only those that were completed."""
    for entity in (CAMPAIGN, AD_SET, AD):
        merge(session, account, [entity], clock.now())
        merge(session, account, [paused_(entity)], clock.now())
    merge(session, account, [replace(AD, platform_id="untouched")], clock.now())
    token, log_ids = claim(session, account)

    assert changes.complete(session.connection, log_ids, token) == 3

    for table in ("ad_campaigns", "ad_sets", "ads"):
        stamped = f"SELECT count(*) FROM {table} WHERE last_final_sync_at = %s"
        assert one(connection, stamped, clock.now()) == 1
