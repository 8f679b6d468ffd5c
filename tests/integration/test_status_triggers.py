"""Triggers: every change of a status is logged once, in the transaction that makes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import psycopg
import pytest
from warehouse_support import AD, log_rows, merge, merge_numbers, numbers, one
from warehouse_support import paused as paused_

from adsync_dagster.clock import SystemClock, VirtualClock
from adsync_dagster.records import Account, Entity, Level
from adsync_dagster.status import requires_final_sync
from adsync_dagster.warehouse.database import AccountSession, Connection, Database

TABLES = {
    Level.CAMPAIGN: ("ad_campaigns", "platform_campaign_id"),
    Level.ADSET: ("ad_sets", "platform_ad_set_id"),
    Level.AD: ("ads", "platform_ad_id"),
}


def insert(
    connection: Connection, account: Account, *statuses: str, level: Level = Level.CAMPAIGN
) -> None:
    """Insert entities e0, e1, ... by hand, without effective status."""
    table, id_column = TABLES[level]
    for number, status in enumerate(statuses):
        connection.execute(
            f"INSERT INTO {table} (ad_account_id, platform, {id_column}, name, status,"
            " platform_status) VALUES (%s, 'facebook', %s, 'x', %s, %s)",
            (account.id, f"e{number}", status, status),
        )


@pytest.mark.parametrize("level", list(Level))
def test_update_by_hand_is_logged_at_every_level(
    connection: Connection, account: Account, level: Level
) -> None:
    """A plain UPDATE by a person is logged like any other, at every level."""
    insert(connection, account, "ACTIVE", level=level)

    connection.execute(f"UPDATE {TABLES[level][0]} SET status = 'DELETED'")

    assert log_rows(connection, "e0") == [("ACTIVE", "DELETED", False, "trigger")]
    assert one(connection, "SELECT entity_type FROM ad_status_change_log") == level.value


def test_upsert_on_conflict_is_logged(connection: Connection, account: Account) -> None:
    """INSERT ... ON CONFLICT DO UPDATE logs the change and no first sight."""
    insert(connection, account, "ACTIVE")

    connection.execute(
        "INSERT INTO ad_campaigns (ad_account_id, platform, platform_campaign_id, name, status)"
        " VALUES (%s, 'facebook', 'e0', 'x', 'PAUSED')"
        " ON CONFLICT (ad_account_id, platform_campaign_id) DO UPDATE SET status = excluded.status",
        (account.id,),
    )

    assert log_rows(connection) == [("ACTIVE", "PAUSED", False, "trigger")]


def test_an_unchanged_status_logs_nothing(connection: Connection, account: Account) -> None:
    """Setting the same status, or another spelling of it, is not a change."""
    insert(connection, account, "ACTIVE")

    connection.execute("UPDATE ad_campaigns SET status = status, name = 'other'")
    connection.execute("UPDATE ad_campaigns SET status = 'active'")

    assert log_rows(connection) == []
    assert one(connection, "SELECT status_changed_at FROM ad_campaigns") is None


def test_triggers_fire_under_replication_role(connection: Connection, account: Account) -> None:
    """Changes applied with session_replication_role = replica are logged and tracked."""
    insert(connection, account, "ACTIVE")

    connection.execute("SET session_replication_role = replica")
    connection.execute("UPDATE ad_campaigns SET status = 'PAUSED'")
    connection.execute("RESET session_replication_role")

    assert log_rows(connection) == [("ACTIVE", "PAUSED", False, "trigger")]
    assert one(connection, "SELECT previous_status FROM ad_campaigns") == "ACTIVE"


def test_two_flips_in_one_transaction_keep_their_order(database_url: str, account: Account) -> None:
    """Two changes inside one transaction are two rows with ordered numbers and times."""
    database = Database(database_url, SystemClock())
    with database.connection() as connection:
        insert(connection, account, "ACTIVE")
        with connection.transaction():
            connection.execute("UPDATE ad_campaigns SET status = 'PAUSED'")
            connection.execute("UPDATE ad_campaigns SET status = 'ARCHIVED'")
        assert log_rows(connection) == [
            ("ACTIVE", "PAUSED", False, "trigger"),
            ("PAUSED", "ARCHIVED", None, "trigger"),
        ]
        first, second = connection.execute(
            "SELECT created_at FROM ad_status_change_log ORDER BY change_seq"
        ).fetchall()
        assert first < second
    database.dispose()


def test_a_before_trigger_that_changes_the_status_is_seen(
    connection: Connection, account: Account
) -> None:
    """A status set by someone else's BEFORE trigger is logged, also when no UPDATE named it."""
    insert(connection, account, "ACTIVE")
    connection.execute(
        "CREATE FUNCTION normalise() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.status := 'PAUSED'; RETURN NEW; END $$"
    )
    connection.execute(
        "CREATE TRIGGER set_updated_at BEFORE UPDATE ON ad_campaigns"
        " FOR EACH ROW EXECUTE FUNCTION normalise()"
    )

    connection.execute("UPDATE ad_campaigns SET name = 'new name'")

    assert log_rows(connection) == [("ACTIVE", "PAUSED", False, "trigger")]
    assert one(connection, "SELECT previous_status FROM ad_campaigns") == "ACTIVE"


def test_a_change_that_another_trigger_cancels_is_not_logged(
    connection: Connection, account: Account
) -> None:
    """When a BEFORE trigger cancels the update, there is no phantom row."""
    insert(connection, account, "ACTIVE")
    connection.execute(
        "CREATE FUNCTION cancel() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    )
    connection.execute(
        "CREATE TRIGGER zzzz_cancel BEFORE UPDATE ON ad_campaigns"
        " FOR EACH ROW EXECUTE FUNCTION cancel()"
    )

    connection.execute("UPDATE ad_campaigns SET status = 'PAUSED'")

    assert log_rows(connection) == []


def test_the_change_rolls_back_with_its_transaction(
    connection: Connection, account: Account
) -> None:
    """A rolled back change leaves neither status nor log row."""
    insert(connection, account, "ACTIVE")

    with connection.transaction(force_rollback=True):
        connection.execute("UPDATE ad_campaigns SET status = 'PAUSED'")
        assert len(log_rows(connection)) == 1

    assert log_rows(connection) == []


def test_first_seen_paused_before_the_first_sync_logs_nothing(
    connection: Connection, new_account: Account
) -> None:
    """Before the first complete sync a paused entity logs nothing: its history is read anyway."""
    insert(connection, new_account, "PAUSED", "ACTIVE")

    assert log_rows(connection) == []


def test_first_seen_paused_after_the_first_sync_owes_a_final_sync(
    connection: Connection, account: Account
) -> None:
    """After the first complete sync an entity first seen stopped is logged with no old status."""
    insert(connection, account, "PAUSED", "ACTIVE")

    assert log_rows(connection) == [(None, "PAUSED", False, "first_sight")]
    assert log_rows(connection, "e0") == log_rows(connection)


def test_first_seen_under_a_paused_parent_owes_a_final_sync(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """A new ad that is switched on but stopped by its campaign counts as stopped."""
    merge(session, account, [replace(AD, effective_status="CAMPAIGN_PAUSED")], clock.now())

    assert log_rows(session.connection) == [(None, "CAMPAIGN_PAUSED", False, "first_sight")]


def test_a_parents_pause_logs_the_childs_effective_status(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """When only the effective status changes, that change is logged and owes a final sync."""
    merge(session, account, [AD], clock.now())

    merge(session, account, [replace(AD, effective_status="ADSET_PAUSED")], clock.now())
    merge(session, account, [AD], clock.now())

    assert log_rows(session.connection) == [
        ("ACTIVE", "ADSET_PAUSED", False, "trigger"),
        ("ADSET_PAUSED", "ACTIVE", None, "trigger"),
    ]
    assert one(session.connection, "SELECT previous_status FROM ads") == "ADSET_PAUSED"


def test_two_hops_still_owe_a_final_sync(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """ACTIVE, then in review, then paused: the first hop owes, whatever follows."""
    merge(session, account, [AD], clock.now())

    merge(session, account, [replace(AD, effective_status="PENDING_REVIEW")], clock.now())
    merge(session, account, [paused_(AD)], clock.now())

    assert log_rows(session.connection) == [
        ("ACTIVE", "PENDING_REVIEW", False, "trigger"),
        # The switch itself went from on to off, so it owes on its own account too.
        ("ACTIVE", "PAUSED", False, "trigger"),
    ]


def test_own_row_owes_when_only_the_effective_step_does(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """An own change that owes nothing owes one when the effective status stopped with it."""
    unknown = replace(AD, status="UNKNOWN", platform_status="NEW_WORD")
    merge(session, account, [replace(unknown, effective_status="ACTIVE")], clock.now())

    merge(session, account, [paused_(AD)], clock.now())

    old, new, owed, _ = log_rows(session.connection)[-1]
    assert (old, new, owed) == ("UNKNOWN", "PAUSED", False)


def test_an_effective_status_learned_later_is_not_a_change(
    connection: Connection, account: Account
) -> None:
    """Where the effective status was unknown it counts as the own one: no flood on adoption."""
    insert(connection, account, "PAUSED", "ACTIVE", "ACTIVE")
    connection.execute("UPDATE ad_campaigns SET effective_status = status")
    assert len(log_rows(connection)) == 1  # the first sight of e0

    connection.execute(
        "UPDATE ad_campaigns SET effective_status = NULL WHERE platform_campaign_id = 'e2'"
    )
    connection.execute(
        "UPDATE ad_campaigns SET effective_status = 'IN_PROCESS' WHERE platform_campaign_id = 'e2'"
    )
    assert log_rows(connection, "e2") == [("ACTIVE", "IN_PROCESS", False, "trigger")]


def test_a_stub_logs_nothing_until_it_is_seen_stopped(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """Stubs made for numbers log nothing; their first real status counts as a first sight."""
    merge_numbers(session, account, [numbers("a1"), numbers("a2")], clock.now())
    assert one(session.connection, "SELECT count(*) FROM ads WHERE status = 'UNKNOWN'") == 2
    assert log_rows(session.connection) == []

    merge(session, account, [AD, paused_(replace(AD, platform_id="a2"))], clock.now())

    assert log_rows(session.connection, "a1") == [(None, "ACTIVE", None, "first_sight")]
    assert log_rows(session.connection, "a2") == [(None, "PAUSED", False, "first_sight")]


def test_metadata_keeps_both_statuses(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """A log row says which status changed, and what both were before and after."""
    merge(session, account, [AD], clock.now())
    merge(session, account, [paused_(AD)], clock.now())

    assert one(session.connection, "SELECT metadata FROM ad_status_change_log") == {
        "kind": "own",
        "old_own_status": "ACTIVE",
        "new_own_status": "PAUSED",
        "old_effective_status": "ACTIVE",
        "new_effective_status": "PAUSED",
    }


def test_a_writer_without_rights_on_the_log_still_logs(
    connection: Connection, database_url: str, account: Account
) -> None:
    """A role that may only update statuses changes one, and the change is logged."""
    insert(connection, account, "ACTIVE")
    role = f"writer_{account.id.hex[:8]}"
    connection.execute(f"CREATE ROLE {role}")
    try:
        connection.execute(f"GRANT SELECT, UPDATE ON ad_campaigns TO {role}")
        connection.execute(f"SET ROLE {role}")
        # A table of the same name in the caller's own schema must not catch the row.
        connection.execute("CREATE TEMP TABLE ad_status_change_log (id int)")
        connection.execute("UPDATE ad_campaigns SET status = 'PAUSED'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM public.ad_status_change_log")
        connection.execute("DROP TABLE pg_temp.ad_status_change_log")
        connection.execute("RESET ROLE")
        assert log_rows(connection) == [("ACTIVE", "PAUSED", False, "trigger")]
    finally:
        connection.execute("RESET ROLE")
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_security_definer_functions_pin_their_search_path(connection: Connection) -> None:
    """Every SECURITY DEFINER function has a fixed path with pg_temp last and no public EXECUTE."""
    functions = connection.execute(
        "SELECT proname, proconfig, has_function_privilege('public', p.oid, 'EXECUTE')"
        " FROM pg_proc p WHERE prosecdef AND pronamespace = 'public'::regnamespace ORDER BY 1"
    ).fetchall()

    assert [name for name, _, _ in functions] == [
        "ensure_metric_partitions",
        "log_account_change",
        "log_first_sight",
        "log_parent_change",
        "log_status_change",
    ]
    assert all(config == ["search_path=public, pg_temp"] for _, config, _ in functions)
    assert not any(public for _, _, public in functions)


def test_moving_to_another_parent_keeps_history(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """An ad that moves to another ad set leaves a row that says where it was."""
    merge(session, account, [AD], clock.now())

    merge(session, account, [replace(AD, adset_id="s2", campaign_id="c2")], clock.now())

    row = session.connection.execute(
        "SELECT old_platform_ad_set_id, new_platform_ad_set_id, old_platform_campaign_id,"
        " new_platform_campaign_id FROM ad_entity_parent_changes"
    ).fetchall()
    assert row == [("s1", "s2", "c1", "c2")]


@pytest.mark.parametrize("level", list(Level))
def test_every_trigger_is_always_enabled(connection: Connection, level: Level) -> None:
    """The seed's trigger and its companions are there and fire whatever the session's role."""
    rows: list[Any] = connection.execute(
        "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = %s::regclass"
        " AND NOT tgisinternal AND tgname NOT LIKE 'guard%%' ORDER BY 1",
        (TABLES[level][0],),
    ).fetchall()
    assert {
        f"trigger_log_{level}_status_change",
        f"trigger_log_{level}_first_sight",
        f"zzz_track_{level}_status_change",
    } <= {name for name, _ in rows}
    assert {enabled for _, enabled in rows} in ({"A"}, {b"A"})


STATUSES = [
    None,
    "ACTIVE",
    "active",
    "WITH_ISSUES",
    "PAUSED",
    "paused",
    "ARCHIVED",
    "DELETED",
    "UNKNOWN",
    "CAMPAIGN_PAUSED",
    "ADSET_PAUSED",
    "PENDING_REVIEW",
    "DISAPPROVED",
    "IN_PROCESS",
    "PREAPPROVED",
    "PENDING_BILLING_INFO",
    "ENDED",
    "ACCOUNT_DISABLED",
    "something nobody has heard of",
    "",
]


def test_the_rule_is_the_same_in_sql_and_python(connection: Connection) -> None:
    """requires_final_sync gives one answer in SQL and Python for every pair of statuses."""
    pairs = list(product(STATUSES, STATUSES))
    answers = connection.execute(
        "SELECT requires_final_sync(p.old, p.new)"
        " FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS p (old, new, n) ORDER BY p.n",
        ([old for old, _ in pairs], [new for _, new in pairs]),
    ).fetchall()

    assert [answer for (answer,) in answers] == [requires_final_sync(*pair) for pair in pairs]
    assert {answer for (answer,) in answers} == {True, False}


def test_a_storm_of_changes_is_logged_row_by_row(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """Two thousand ads paused in one merge are two thousand log rows of that merge."""
    ads: list[Entity] = [replace(AD, platform_id=f"a{n:05}") for n in range(2000)]
    merge(session, account, ads, clock.now())

    merge(session, account, [paused_(ad) for ad in ads], clock.now() + timedelta(minutes=1))

    assert one(session.connection, "SELECT count(*) FROM ad_status_change_log") == 2000
