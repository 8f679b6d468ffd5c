"""Merging entities: what a read saw gets in once, unchanged rows stay untouched."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from warehouse_support import AD, AD_SET, CAMPAIGN, merge, merge_numbers, numbers, one
from warehouse_support import paused as paused_

from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import Defect, OutdatedRead
from adsync_dagster.records import Account, Entity, Level
from adsync_dagster.warehouse import changes, entities
from adsync_dagster.warehouse.database import AccountSession, Connection
from adsync_dagster.warehouse.entities import MergeCounts
from adsync_dagster.warehouse.staging import EntityStage

T0 = datetime(2026, 3, 10, tzinfo=UTC)
EVERY_LEVEL = [CAMPAIGN, AD_SET, AD]


@pytest.mark.parametrize("entity", EVERY_LEVEL, ids=lambda entity: entity.level)
def test_unchanged_rows_are_not_written(
    session: AccountSession, account: Account, entity: Entity
) -> None:
    """A second read that saw the same leaves the row's version as it was."""
    rich = replace(
        entity, created_at=T0, updated_at=T0, extra={"budget": "12.50", "tags": ["a", "b"]}
    )
    table = {"campaign": "ad_campaigns", "adset": "ad_sets", "ad": "ads"}[entity.level]
    version = f"SELECT xmin::text || ctid::text FROM {table}"
    assert merge(session, account, [rich], T0) == MergeCounts(1, 0, 0)
    before = one(session.connection, version)

    assert merge(session, account, [rich], T0 + timedelta(hours=1)) == MergeCounts(0, 0, 1)

    assert one(session.connection, version) == before


@pytest.mark.parametrize("entity", EVERY_LEVEL, ids=lambda entity: entity.level)
@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"status": "PAUSED"},
        {"platform_status": "PAUSED_BY_USER"},
        {"effective_status": "IN_PROCESS"},
        {"created_at": T0},
        {"updated_at": T0},
        {"extra": {"budget": "1"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_changed_field_is_stored(
    session: AccountSession, account: Account, entity: Entity, change: dict[str, object]
) -> None:
    """A change of any single field is written, at every level."""
    merge(session, account, [entity], T0)
    changed = replace(entity, **change)

    assert merge(session, account, [changed], T0) == MergeCounts(0, 1, 0)
    assert merge(session, account, [changed], T0) == MergeCounts(0, 0, 1)


def test_an_earlier_read_does_not_replace_a_later_one(
    session: AccountSession, account: Account
) -> None:
    """A listing that started earlier and arrives later changes nothing, logs nothing, says so."""
    merge(session, account, [AD], T0)
    merge(session, account, [paused_(AD)], T0 + timedelta(minutes=10))
    other = replace(AD, platform_id="a9")

    with pytest.raises(OutdatedRead, match=r"1 row\(s\) of facebook:act_501 that were read at"):
        merge(session, account, [AD, other], T0 + timedelta(minutes=5))

    same = merge(session, account, [paused_(AD)], T0 + timedelta(minutes=5))
    assert same == MergeCounts(0, 0, 1)
    assert one(session.connection, "SELECT count(*) FROM ads") == 1
    assert one(session.connection, "SELECT status FROM ads") == "PAUSED"
    assert changes.pending_summary(session.connection)[0].pending == 1


def test_the_same_entity_twice_in_one_read(session: AccountSession, account: Account) -> None:
    """Of several records of one entity the one changed last wins, then the last one read."""
    newer = replace(paused_(AD), updated_at=T0 + timedelta(hours=1))
    older = replace(AD, updated_at=T0)

    assert merge(session, account, [newer, older], T0) == MergeCounts(1, 0, 0)
    assert one(session.connection, "SELECT status FROM ads") == "PAUSED"

    same_age = [replace(AD, platform_id="a2", name=name) for name in ("first", "last")]
    merge(session, account, same_age, T0)
    assert one(session.connection, "SELECT name FROM ads WHERE platform_ad_id = 'a2'") == "last"


HOSTILE = "a\x00b'); DROP TABLE ads; --\ud800 \N{PILE OF POO} \\u0000 \u202e"


def test_hostile_text_is_stored_and_harms_nothing(
    session: AccountSession, account: Account
) -> None:
    """NUL, lone surrogates, quotes, tabs and very long names neither fail nor corrupt a batch."""
    odd = [
        replace(AD, platform_id="a1", name=HOSTILE, extra={"note\x00": [HOSTILE, {"x": HOSTILE}]}),
        replace(AD, platform_id="a2", name="tab\tnew\nline\\N\r"),
        replace(AD, platform_id="a3", name="x" * 65_536),
        replace(AD, platform_id="a4", name=""),
    ]

    assert merge(session, account, odd, T0) == MergeCounts(4, 0, 0)
    assert merge(session, account, odd, T0) == MergeCounts(0, 0, 4)

    stored = dict(
        session.connection.execute("SELECT platform_ad_id, name FROM ads ORDER BY 1").fetchall()
    )
    assert stored["a1"] == "ab'); DROP TABLE ads; --? \N{PILE OF POO} \\u0000 \u202e"
    assert stored["a2"] == "tab\tnew\nline\\N\r"
    assert len(stored["a3"]) == 65_536
    assert stored["a4"] == ""
    note = one(session.connection, "SELECT extra->'note'->1->>'x' FROM ads WHERE extra ? 'note'")
    assert note == stored["a1"]


def test_one_id_on_two_accounts_is_two_entities(
    session: AccountSession, account: Account, new_account: Account
) -> None:
    """The same platform id under another account is another row."""
    merge(session, account, [AD], T0)
    merge(session, new_account, [AD], T0)

    assert one(session.connection, "SELECT count(*) FROM ads") == 2
    assert entities.known_ids(session.connection, account, Level.AD) == ["a1"]


def test_children_are_linked_once_their_parents_are_known(
    session: AccountSession, account: Account
) -> None:
    """An ad seen before its ad set keeps the platform's id and is linked at the next merge."""
    merge(session, account, [AD], T0)
    links = "SELECT ad_set_id IS NOT NULL, campaign_id IS NOT NULL, platform_ad_set_id FROM ads"
    assert session.connection.execute(links).fetchone() == (False, False, "s1")

    merge(session, account, [CAMPAIGN], T0)
    merge(session, account, [AD_SET], T0)
    assert merge(session, account, [AD], T0) == MergeCounts(0, 1, 0)

    assert session.connection.execute(links).fetchone() == (True, True, "s1")


def test_absent_ids_are_known_not_deleted_and_not_listed(
    session: AccountSession, account: Account, new_account: Account
) -> None:
    """Only known, undeleted ids of this account that the stage lacks are absent."""
    ads = [replace(AD, platform_id=f"a{n}") for n in range(4)]
    ads[3] = replace(ads[3], status="DELETED")
    merge(session, account, ads, T0)
    merge(session, new_account, [replace(AD, platform_id="stranger")], T0)

    with EntityStage(session.connection, Level.AD) as stage:
        stage.add(ads[:2])
        assert entities.absent_ids(session.connection, account, Level.AD) == ["a2"]


def test_unreachable_is_not_a_status(session: AccountSession, account: Account) -> None:
    """An id nobody answers for is marked, keeps its status, and is unmarked when it returns."""
    merge(session, account, [AD], T0)

    assert entities.mark_unreachable(session.connection, account, Level.AD, ["a1", "?"]) == 1
    assert entities.mark_unreachable(session.connection, account, Level.AD, ["a1"]) == 0
    marked = "SELECT status, unreachable_since IS NOT NULL FROM ads"
    assert session.connection.execute(marked).fetchone() == ("ACTIVE", True)
    assert changes.pending_summary(session.connection) == []

    merge(session, account, [AD], T0)
    assert session.connection.execute(marked).fetchone() == ("ACTIVE", False)


def test_descendants_are_the_entity_and_all_below_it(
    session: AccountSession, account: Account
) -> None:
    """A campaign's descendants include ads whose ad set is not linked; other branches are out."""
    merge(session, account, [CAMPAIGN, replace(CAMPAIGN, platform_id="c2")], T0)
    merge(session, account, [AD_SET, replace(AD_SET, platform_id="s2", campaign_id="c2")], T0)
    merge(
        session,
        account,
        [
            AD,
            replace(AD, platform_id="a2", adset_id="gone"),
            replace(AD, platform_id="a3", adset_id="s2", campaign_id="c2"),
        ],
        T0,
    )

    def below(level: Level, table: str, column: str, platform_id: str) -> list[str]:
        entity_id = one(
            session.connection, f"SELECT id FROM {table} WHERE {column} = %s", platform_id
        )
        found = entities.descendants(session.connection, account, level, entity_id)
        return [ref.platform_id for ref in found]

    assert below(Level.CAMPAIGN, "ad_campaigns", "platform_campaign_id", "c1") == [
        "c1",
        "s1",
        "a1",
        "a2",
    ]
    assert below(Level.ADSET, "ad_sets", "platform_ad_set_id", "s2") == ["s2", "a3"]
    assert below(Level.AD, "ads", "platform_ad_id", "a1") == ["a1"]


def test_what_was_deleted_long_ago_is_said_to_be_gone(
    session: AccountSession, account: Account
) -> None:
    """From the moment on that it was seen deleted; what lives is never gone."""
    merge(session, account, [CAMPAIGN], T0)
    merge(session, account, [AD_SET], T0)
    deleted = replace(AD, platform_id="deleted", status="DELETED", effective_status="DELETED")
    merge(session, account, [AD, deleted], T0)
    campaign_id = one(session.connection, "SELECT id FROM ad_campaigns")
    seen = one(session.connection, "SELECT created_at FROM ads WHERE platform_ad_id = 'deleted'")

    def gone(gone_before: datetime | None) -> list[str]:
        found = entities.descendants(
            session.connection, account, Level.CAMPAIGN, campaign_id, gone_before=gone_before
        )
        assert len(found) == 4
        return [ref.platform_id for ref in found if ref.is_gone]

    assert gone(None) == []
    assert gone(seen) == []
    assert gone(seen + timedelta(seconds=1)) == ["deleted"]


def hidden(session: AccountSession, account: Account, since: date, **options: Any) -> list[str]:
    return entities.hidden_candidates(session.connection, account, Level.AD, since, **options)


LONG_AGO = (
    "UPDATE ads SET created_at = '2025-01-01', updated_at = '2025-02-01',"
    " status_changed_at = '2025-02-01'"
)


def test_hidden_candidates_are_those_that_reports_may_leave_out(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """Deleted, unreachable and stub entities are candidates while they may still have numbers."""
    ads = [replace(AD, platform_id=name) for name in ("live", "deleted", "parent", "lost", "quiet")]
    merge(session, account, ads, T0)
    ads[1] = replace(ads[1], status="DELETED")
    ads[2] = replace(ads[2], effective_status="DELETED")
    ads[4] = replace(ads[4], status="DELETED")
    merge(session, account, ads, T0)
    entities.mark_unreachable(session.connection, account, Level.AD, ["lost"])
    merge_numbers(session, account, [numbers("stub", "2026-03-09")], T0)
    quiet = " WHERE platform_ad_id = 'quiet'"
    session.connection.execute(LONG_AGO + quiet)
    session.connection.execute("UPDATE ads SET last_final_sync_at = now()" + quiet)
    since = clock.now().date()

    # Its stop still owes a final sync.
    assert hidden(session, account, since) == ["deleted", "lost", "parent", "quiet", "stub"]

    session.connection.execute("UPDATE ad_status_change_log SET final_sync_completed = true")
    assert hidden(session, account, since) == ["deleted", "lost", "parent", "stub"]

    merge_numbers(session, account, [numbers("quiet", "2026-02-20")], T0)
    assert "quiet" in hidden(session, account, since)


def test_what_was_gone_when_the_account_was_new_is_a_candidate_for_a_while(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """No final sync ever looks at it: what it had was read by then. A row in doubt stays one."""
    gone = [
        replace(AD, platform_id="own", status="DELETED"),
        replace(AD, platform_id="parent", effective_status="DELETED"),
    ]
    merge(session, account, [*gone, replace(AD, platform_id="lost")], T0)
    entities.mark_unreachable(session.connection, account, Level.AD, ["lost"])
    session.connection.execute(LONG_AGO)
    session.connection.execute("UPDATE ad_status_change_log SET final_sync_completed = true")
    since = clock.now().date()

    assert hidden(session, account, since) == ["lost", "own", "parent"]  # never synced whole

    first = "UPDATE ad_accounts SET first_synced_at = adsync_now() - interval '1 day' * %s"
    session.connection.execute(first, [entities.QUIET_DAYS_MAX - 1])
    assert hidden(session, account, since) == ["lost", "own", "parent"]
    session.connection.execute(first, [entities.QUIET_DAYS_MAX + 2])
    assert hidden(session, account, since) == ["lost"]
    # For days of that time they are candidates for good.
    assert hidden(session, account, since - timedelta(days=30)) == ["lost", "own", "parent"]


def test_limited_hidden_candidates_take_turns(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """What no final sync has looked at comes first; of the others each is asked some hour."""
    ads = [replace(AD, platform_id=f"a{at:02}", status="DELETED") for at in range(12)]
    merge(session, account, ads, T0)
    session.connection.execute(
        "UPDATE ads SET last_final_sync_at = now() WHERE platform_ad_id <> 'a07'"
    )
    since = clock.now().date()
    asked: set[str] = set()
    for _ in range(24):
        now = hidden(session, account, since, limit=4)
        assert len(now) == 4
        assert "a07" in now
        assert now == hidden(session, account, since, limit=4)
        asked |= set(now)
        clock.instant += timedelta(hours=1)
        session.connection.execute(
            "SELECT set_config('adsync.now', %s, false)", [clock.now().isoformat()]
        )
    assert len(asked) == 12


def test_stubs_are_made_with_their_parents(session: AccountSession, account: Account) -> None:
    """Numbers of an unknown ad make the ad, its ad set and its campaign, and are never dropped."""
    assert merge_numbers(session, account, [numbers("a9")], T0) == MergeCounts(1, 0, 0)

    for table, column, platform_id in (
        ("ad_campaigns", "platform_campaign_id", "c1"),
        ("ad_sets", "platform_ad_set_id", "s1"),
        ("ads", "platform_ad_id", "a9"),
    ):
        row = session.connection.execute(
            f"SELECT {column}, status, platform_status FROM {table}"
        ).fetchall()
        assert row == [(platform_id, "UNKNOWN", None)]
    linked = "SELECT ad_set_id IS NOT NULL AND campaign_id IS NOT NULL FROM ads"
    assert one(session.connection, linked)

    assert merge(session, account, [replace(AD, platform_id="a9")], T0) == MergeCounts(0, 1, 0)
    assert one(session.connection, "SELECT count(*) FROM ads") == 1


def test_a_stage_takes_only_its_own_level(session: AccountSession, account: Account) -> None:
    """A record of another level is refused, and a new stage starts empty."""
    with EntityStage(session.connection, Level.AD) as stage:
        with pytest.raises(Defect):
            stage.add([CAMPAIGN])
        stage.add([AD])
        assert stage.count == 1
    with EntityStage(session.connection, Level.AD) as stage:
        assert stage.count == 0
        assert one(session.connection, "SELECT count(*) FROM stage_ads") == 0


def test_a_stage_writes_nothing_that_others_see(
    session: AccountSession, connection: Connection, account: Account
) -> None:
    """What is staged and not merged is in no table."""
    with EntityStage(session.connection, Level.AD) as stage:
        stage.add([AD])
        assert one(connection, "SELECT count(*) FROM ads") == 0
        assert one(connection, "SELECT count(*) FROM pg_class WHERE relname = 'stage_ads'") == 1


def test_upserts_burn_no_rows_and_take_parallel_accounts(
    session: AccountSession, account: Account
) -> None:
    """A read without changes takes no row lock, so it writes nothing at all."""
    ads = [replace(AD, platform_id=f"a{n:04}") for n in range(500)]
    merge(session, account, ads, T0)

    merge(session, account, ads, T0)

    assert one(session.connection, "SELECT count(*) FROM ads WHERE xmax::text <> '0'") == 0
