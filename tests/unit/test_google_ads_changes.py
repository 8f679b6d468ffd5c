"""Google's change history as hints: events, removals, cut answers, odd rows and local times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google_ads_driving import ACCOUNT, ADAPTER, STARTED, Chunk, Driven, drive

from adsync_dagster.errors import Blocked, IncompleteRead
from adsync_dagster.platforms.google_ads import GoogleAdsAdapter
from adsync_dagster.platforms.google_ads_wire import ReadLimits
from adsync_dagster.records import ChangeHint, Level

BERLIN = Chunk([{"customer": {"id": ACCOUNT, "timeZone": "Europe/Berlin"}}])
SINCE = STARTED - timedelta(hours=6)


def read(
    events: list[Any], statuses: Any = None, adapter: GoogleAdsAdapter = ADAPTER, **period: Any
) -> Driven:
    """A read of the history whose events come in these answers."""
    since = period.get("since", SINCE)
    return drive(
        adapter.read_change_history(ACCOUNT, since, STARTED, STARTED),
        [[BERLIN], *[[Chunk(rows)] for rows in events], [Chunk(statuses or [])]],
    )


def event(
    operation: str = "UPDATE",
    old: Any = "ENABLED",
    new: Any = "PAUSED",
    *,
    at: str = "2026-11-23 11:30:00.5",
    name: str = "adGroupAds/200~301",
    kind: str = "AD_GROUP_AD",
) -> dict[str, Any]:
    body = {"AD_GROUP_AD": "adGroupAd", "AD_GROUP": "adGroup", "CAMPAIGN": "campaign"}.get(
        kind, "x"
    )
    change: dict[str, Any] = {
        "changeDateTime": at,
        "changeResourceType": kind,
        "changeResourceName": f"customers/{ACCOUNT}/{name}",
        "resourceChangeOperation": operation,
        "changedFields": "status",
    }
    if old is not None:
        change["oldResource"] = {body: {"status": old}}
    if new is not None:
        change["newResource"] = {body: {"status": new}}
    return {"customer": {"id": ACCOUNT}, "changeEvent": change}


def hints(done: Driven) -> list[ChangeHint]:
    assert done.error is None, done.error
    return [record for record in done.records if isinstance(record, ChangeHint)]


def test_a_flipped_switch_comes_with_both_sides_and_its_instant() -> None:
    """Local times of the account become instants; ids are the last part of the name."""
    (hint,) = hints(read([[event()]]))
    assert (hint.level, hint.platform_id) == (Level.AD, "200~301")
    assert (hint.old_status, hint.new_status) == ("ACTIVE", "PAUSED")
    assert hint.occurred_at == datetime(2026, 11, 23, 10, 30, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("row", "sides"),
    [
        (event("REMOVE", new=None), ("ACTIVE", "DELETED")),
        (event("REMOVE", old=None, new=None), (None, "DELETED")),
        (event("CREATE", old=None, new="ENABLED"), (None, None)),
        (event(new="NOVEL"), ("ACTIVE", "UNKNOWN")),
    ],
)
def test_creations_and_removals_are_told(row: Any, sides: tuple[str | None, str | None]) -> None:
    """A creation names an entity without statuses; a removal is one whatever else it says."""
    (hint,) = hints(read([[row]]))
    assert (hint.old_status, hint.new_status) == sides


@pytest.mark.parametrize(
    "row", [event(new=None), event(new="ENABLED"), event(kind="CAMPAIGN_BUDGET", name="x/1")]
)
def test_other_changes_are_no_hints(row: Any) -> None:
    """Edits that leave the switch alone, and things that are no entities, say nothing."""
    assert hints(read([[row]])) == []


def test_what_events_leave_out_comes_from_the_statuses() -> None:
    """Editor's changes are known by their entity only; a removal still says what it was."""
    statuses = [
        {
            "customer": {"id": ACCOUNT},
            "changeStatus": {
                "lastChangeDateTime": "2026-11-23 09:00:00",
                "resourceType": kind,
                "resourceStatus": word,
                body: f"customers/{ACCOUNT}/{name}",
            },
        }
        for kind, word, body, name in (
            ("CAMPAIGN", "REMOVED", "campaign", "campaigns/100"),
            ("AD_GROUP", "CHANGED", "adGroup", "adGroups/200"),
            ("AD_GROUP_AD", "CHANGED", "adGroupAd", "adGroupAds/200~301"),
        )
    ]
    found = hints(read([[event()]], statuses))
    assert [(hint.platform_id, hint.new_status) for hint in found] == [
        ("100", "DELETED"),
        ("200", None),
        ("200~301", "PAUSED"),
    ]


def test_a_cut_answer_is_continued_where_it_ends() -> None:
    """As many rows as the limit means that there are more, from the last row's time on."""
    adapter = GoogleAdsAdapter(limits=ReadLimits(changes_max=2))
    first = [event(at=f"2026-11-23 10:0{n}:00", name=f"adGroupAds/200~{n}") for n in (1, 2)]
    done = read([first, [event(at="2026-11-23 10:05:00")]], adapter=adapter)
    assert len(hints(done)) == 3
    assert "change_event.change_date_time >= '2026-11-23 10:02:00.000000'" in done.queries[2]
    assert done.queries[2].partition("LIMIT ")[2].startswith("2 ")
    same = [[event(at="2026-11-23 10:00:00"), event(at="2026-11-23 10:00:00")]] * 2
    stuck = drive(
        adapter.read_change_history(ACCOUNT, SINCE, STARTED, STARTED),
        [[BERLIN], *[[Chunk(rows)] for rows in same]],
    )
    assert isinstance(stuck.error, IncompleteRead)


def test_no_more_is_asked_than_google_keeps() -> None:
    """Thirty days back at most, as the account's wall clock had them, in summer time then."""
    done = read([[]], since=STARTED - timedelta(days=400))
    assert ">= '2026-10-24 15:00:00.000000'" in done.queries[1]
    assert "<= '2026-11-23 14:00:00.000000'" in done.queries[1]
    assert " LIMIT 10000 " in done.queries[1]
    old = STARTED - timedelta(days=60)
    nothing = drive(ADAPTER.read_change_history(ACCOUNT, old, old, STARTED), [[BERLIN]])
    assert (nothing.error, nothing.records) == (None, [])


@pytest.mark.parametrize(
    "row",
    [
        event(at="yesterday"),
        event(name="adGroupAds/2x"),
        {"customer": {"id": ACCOUNT}},
        {"customer": {"id": "999"}, "changeEvent": {}},
    ],
)
def test_a_row_that_cannot_be_read_ends_the_read(row: Any) -> None:
    """The services note that the history could not be read, and go on without it."""
    done = drive(
        ADAPTER.read_change_history(ACCOUNT, SINCE, STARTED, STARTED), [[BERLIN], [Chunk([row])]]
    )
    assert isinstance(done.error, IncompleteRead)


def test_a_refused_history_is_not_our_defect() -> None:
    """Whatever Google says of it, a hint must not bring a run down."""
    refused = Blocked("Google Ads does not tell the change history")
    done = drive(ADAPTER.read_change_history(ACCOUNT, SINCE, STARTED, STARTED), [[BERLIN], refused])
    assert done.error is refused
