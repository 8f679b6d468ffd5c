"""Google Ads entities: what is asked for, and rows to records, status by status."""

from __future__ import annotations

from typing import Any

import pytest
from google_ads_driving import ACCOUNT, ADAPTER, STARTED, Chunk, ad_row, drive

from adsync_dagster.errors import IncompleteRead, PlatformBusy
from adsync_dagster.records import LEVELS, Entity, Level


def listed(row: dict[str, Any], level: Level = Level.AD) -> Entity:
    """The one entity that a list of this row makes."""
    done = drive(ADAPTER.list_entities(ACCOUNT, level, STARTED), [[Chunk([row])]])
    assert done.error is None, done.error
    (record,) = done.records
    assert isinstance(record, Entity)
    return record


@pytest.mark.parametrize("level", LEVELS)
def test_lists_have_no_status_filter(level: Level) -> None:
    """Removed entities are listed because nothing leaves them out, and no date is selected."""
    done = drive(ADAPTER.list_entities(ACCOUNT, level, STARTED), [[Chunk()]])
    (query,) = done.queries
    assert " WHERE " not in query
    assert "segments" not in query
    assert "start_date," not in query
    # Pages are fixed: a page size is refused, and a stream has none.
    assert set(done.requests[0].json) == {"query"}
    assert done.requests[0].path == f"/v26/customers/{ACCOUNT}/googleAds:searchStream"
    assert done.verdict is not None
    assert done.verdict.row_count == 0


def test_an_ad_is_known_by_its_ad_group_and_its_own_id() -> None:
    """The same ad id in two ad groups is two ads, each with its parents."""
    ad = listed(ad_row(1))
    other = listed(ad_row(1, group="201"))
    assert (ad.platform_id, ad.campaign_id, ad.adset_id) == ("200~301", "100", "200")
    assert other.platform_id == "201~301"
    assert (ad.name, ad.status, ad.effective_status) == ("Ad 1", "ACTIVE", "ACTIVE")
    assert ad.extra["type"] == "RESPONSIVE_SEARCH_AD"


@pytest.mark.parametrize(
    ("raw", "ours"),
    [
        ("ENABLED", "ACTIVE"),
        ("PAUSED", "PAUSED"),
        ("REMOVED", "DELETED"),
        ("UNKNOWN", "UNKNOWN"),
        ("UNSPECIFIED", "UNKNOWN"),
        ("HIBERNATING", "UNKNOWN"),
    ],
)
def test_switches_come_in_our_words_and_raw(raw: str, ours: str) -> None:
    """A word nobody knows is kept as it is and never refused."""
    ad = listed(ad_row(status=raw))
    assert (ad.status, ad.platform_status) == (ours, raw)
    assert ad.effective_status == ours


def test_a_switch_that_is_absent_is_unknown() -> None:
    """The mask says that it was answered: then it has no value."""
    row = ad_row()
    del row["adGroupAd"]["status"]
    assert (listed(row).status, listed(row).platform_status) == ("UNKNOWN", "")


@pytest.mark.parametrize(
    ("campaign", "group", "own", "effective"),
    [
        ("ENABLED", "ENABLED", "ENABLED", "ACTIVE"),
        ("PAUSED", "ENABLED", "ENABLED", "CAMPAIGN_PAUSED"),
        ("ENABLED", "PAUSED", "ENABLED", "ADSET_PAUSED"),
        ("PAUSED", "PAUSED", "ENABLED", "CAMPAIGN_PAUSED"),
        ("PAUSED", "PAUSED", "PAUSED", "PAUSED"),
        ("REMOVED", "ENABLED", "ENABLED", "DELETED"),
        ("ENABLED", "REMOVED", "PAUSED", "DELETED"),
        ("ENABLED", "ENABLED", "REMOVED", "DELETED"),
        ("NOVEL", "ENABLED", "ENABLED", "UNKNOWN"),
    ],
)
def test_parents_decide_what_really_happens(
    campaign: str, group: str, own: str, effective: str
) -> None:
    """A parent's change leaves the child's switch alone and changes what becomes of it."""
    row = ad_row(status=own)
    row["campaign"]["status"], row["adGroup"]["status"] = campaign, group
    assert listed(row).effective_status == effective


@pytest.mark.parametrize(
    ("primary", "reasons", "effective"),
    [
        ("ELIGIBLE", [], "ACTIVE"),
        ("LEARNING", [], "ACTIVE"),
        ("LIMITED", ["AD_GROUP_AD_DISAPPROVED"], "WITH_ISSUES"),
        ("NOT_ELIGIBLE", ["AD_GROUP_AD_DISAPPROVED"], "DISAPPROVED"),
        ("PENDING", ["AD_GROUP_AD_UNDER_REVIEW"], "PENDING_REVIEW"),
        ("PENDING", [], "PENDING"),
        ("NOT_ELIGIBLE", ["SOMETHING_NEW"], "NOT_ELIGIBLE"),
        ("ENDED", [], "ENDED"),
        ("MISCONFIGURED", [], "MISCONFIGURED"),
        ("ASLEEP", [], "ASLEEP"),
    ],
)
def test_googles_verdict_counts_where_all_switches_are_on(
    primary: str, reasons: list[str], effective: str
) -> None:
    """Reviews, ends and misconfigurations stop delivery without anybody's switch."""
    row = ad_row(primaryStatus=primary, primaryStatusReasons=reasons)
    assert listed(row).effective_status == effective


def test_campaigns_and_ad_groups_are_read_alike() -> None:
    """Names, parents and descriptions of the upper levels; times stay the account's own text."""
    campaign = listed(
        {
            "customer": {"id": ACCOUNT},
            "campaign": {
                "id": "100",
                "name": "Brand\x00",
                "status": "PAUSED",
                "primaryStatus": "PAUSED",
                "advertisingChannelType": "SEARCH",
                "startDateTime": "2026-01-01 00:00:00",
            },
        },
        Level.CAMPAIGN,
    )
    assert (campaign.name, campaign.campaign_id, campaign.adset_id) == ("Brand\ufffd", None, None)
    assert campaign.extra["channel_type"] == "SEARCH"
    assert campaign.extra["start_date_time"] == "2026-01-01 00:00:00"
    group = listed(
        {
            "customer": {"id": ACCOUNT},
            "campaign": {"id": "100", "status": "PAUSED"},
            "adGroup": {"id": "200", "name": "G", "status": "ENABLED", "type": "SEARCH_STANDARD"},
        },
        Level.ADSET,
    )
    assert (group.platform_id, group.campaign_id, group.adset_id) == ("200", "100", None)
    assert (group.effective_status, group.extra["type"]) == ("CAMPAIGN_PAUSED", "SEARCH_STANDARD")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row["customer"].update(id="999"),
        lambda row: row.pop("customer"),
        lambda row: row["adGroup"].pop("id"),
        lambda row: row["adGroupAd"]["ad"].update(id=301),
        lambda row: row["adGroupAd"]["ad"].update(id="30x"),
        lambda row: row.update(adGroupAd=None),
        lambda row: row["adGroupAd"].update(status=2),
    ],
)
def test_a_row_that_is_none_fails_the_read(spoil: Any) -> None:
    """Rows of another account, or without their ids, are asked for again and then refused."""
    row = ad_row()
    spoil(row)
    done = drive(ADAPTER.list_entities(ACCOUNT, Level.AD, STARTED), [[Chunk([row])]] * 3)
    assert isinstance(done.error, IncompleteRead)
    assert not done.records


@pytest.mark.parametrize(
    "chunk",
    [
        {"results": [ad_row()], "fieldMask": "campaign.id", "requestId": "r"},
        {"results": [ad_row()], "requestId": "r"},
        {"fieldMask": "campaign.id", "requestId": "r"},
        {"results": {}, "requestId": "r"},
        {},
    ],
)
def test_an_answer_to_another_question_is_refused(chunk: dict[str, Any]) -> None:
    """The mask has to repeat the fields that were asked for."""
    done = drive(ADAPTER.list_entities(ACCOUNT, Level.AD, STARTED), [[chunk]] * 3)
    assert isinstance(done.error, IncompleteRead)


def test_no_rows_may_be_an_empty_array() -> None:
    """Both spellings of "nothing" are complete: no chunk, and a chunk without results."""
    done = drive(ADAPTER.list_entities(ACCOUNT, Level.AD, STARTED), [[]])
    assert done.verdict is not None
    last = {"requestId": "r", "queryResourceConsumption": "12"}
    done = drive(ADAPTER.list_entities(ACCOUNT, Level.AD, STARTED), [[Chunk([ad_row()]), last]])
    assert done.verdict is not None
    assert done.verdict.row_count == 1


def test_a_broken_stream_is_begun_again() -> None:
    """Its rows are not counted; what the whole stream brings is."""
    broken = [Chunk([ad_row(1)]), IncompleteRead("the answer broke off")]
    failed = [Chunk([ad_row(1)]), PlatformBusy("failed on its own side")]
    whole = [Chunk([ad_row(1)]), Chunk([ad_row(2)])]
    done = drive(ADAPTER.list_entities(ACCOUNT, Level.AD, STARTED), [broken, failed, whole])
    assert done.verdict is not None
    assert done.verdict.row_count == 2
    assert done.verdict.request_count == 3
    done = drive(ADAPTER.list_entities(ACCOUNT, Level.AD, STARTED), [broken] * 3)
    assert isinstance(done.error, IncompleteRead)


def test_a_throttle_ends_the_read() -> None:
    """A delay that Google names is for the driver, not for another try at once."""
    busy = PlatformBusy("quota", retry_after_seconds=30)
    done = drive(ADAPTER.list_entities(ACCOUNT, Level.AD, STARTED), [[Chunk([ad_row(1)]), busy]])
    assert done.error is busy


def test_a_look_up_names_what_google_does_not_know() -> None:
    """Ads are asked for by both parts of their key, and strangers in the answer are left out."""
    rows = Chunk([ad_row(1), ad_row(2, group="201")])
    done = drive(
        ADAPTER.lookup_entities(ACCOUNT, Level.AD, ["200~301", "201~309", "200~302"], STARTED),
        [[rows]],
    )
    assert [record.platform_id for record in done.records] == ["200~301"]  # type: ignore[union-attr]
    assert done.verdict is not None
    assert done.verdict.missing_ids == {"201~309", "200~302"}
    assert "ad_group.id IN (200, 201)" in done.queries[0]
    assert "ad_group_ad.ad.id IN (301, 302, 309)" in done.queries[0]
