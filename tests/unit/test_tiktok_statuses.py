"""TikTok's status fields in our vocabulary: every word of the sheet, and words nobody knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adsync_dagster.platforms.tiktok_statuses import PREFIXES, statuses_of
from adsync_dagster.records import LEVELS, Level
from adsync_dagster.status import OwnStatus, is_delivering, requires_final_sync

#: level, operation_status, secondary_status -> own, effective.
CASES: list[tuple[Level, str | None, str | None, str, str]] = [
    (Level.CAMPAIGN, "ENABLE", "CAMPAIGN_STATUS_ENABLE", "ACTIVE", "ACTIVE"),
    (Level.CAMPAIGN, "DISABLE", "CAMPAIGN_STATUS_DISABLE", "PAUSED", "PAUSED"),
    (Level.CAMPAIGN, "ENABLE", "CAMPAIGN_STATUS_DELETE", "DELETED", "DELETED"),
    (Level.CAMPAIGN, "DISABLE", "CAMPAIGN_STATUS_DELETE", "DELETED", "DELETED"),
    (Level.CAMPAIGN, "ENABLE", "CAMPAIGN_STATUS_AWAITING_RELEASE", "PAUSED", "PAUSED"),
    (Level.CAMPAIGN, "ENABLE", "CAMPAIGN_STATUS_ADVERTISER_AUDIT", "ACTIVE", "PENDING_REVIEW"),
    (Level.CAMPAIGN, "ENABLE", "CAMPAIGN_STATUS_BUDGET_EXCEED", "ACTIVE",
     "CAMPAIGN_STATUS_BUDGET_EXCEED"),
    (Level.ADSET, "ENABLE", "ADGROUP_STATUS_DELIVERY_OK", "ACTIVE", "ACTIVE"),
    (Level.ADSET, "ENABLE", "ADGROUP_STATUS_PARTIAL_AUDIT_DELIVERY_OK", "ACTIVE", "WITH_ISSUES"),
    (Level.ADSET, "ENABLE", "ADGROUP_STATUS_CAMPAIGN_DELETE", "ACTIVE", "DELETED"),
    (Level.ADSET, "DISABLE", "ADGROUP_STATUS_CAMPAIGN_DELETE", "PAUSED", "DELETED"),
    (Level.ADSET, "ENABLE", "ADGROUP_STATUS_CAMPAIGN_DISABLE", "ACTIVE", "CAMPAIGN_PAUSED"),
    (Level.ADSET, "ENABLE", "ADGROUP_STATUS_TIME_DONE", "ACTIVE", "ARCHIVED"),
    (Level.ADSET, "FROZEN", "ADGROUP_STATUS_FROZEN", "ARCHIVED", "ARCHIVED"),
    (Level.ADSET, "ENABLE", "ADGROUP_STATUS_CREATE", "ACTIVE", "IN_PROCESS"),
    (Level.AD, "ENABLE", "AD_STATUS_ADGROUP_DELETE", "ACTIVE", "DELETED"),
    (Level.AD, "ENABLE", "AD_STATUS_CAMPAIGN_DELETE", "ACTIVE", "DELETED"),
    (Level.AD, "ENABLE", "AD_STATUS_ADGROUP_DISABLE", "ACTIVE", "ADSET_PAUSED"),
    (Level.AD, "ENABLE", "AD_STATUS_CAMPAIGN_DISABLE", "ACTIVE", "CAMPAIGN_PAUSED"),
    (Level.AD, "DISABLE", "AD_STATUS_DISABLE", "PAUSED", "PAUSED"),
    (Level.AD, "ENABLE", "AD_STATUS_DONE", "ACTIVE", "ARCHIVED"),
    (Level.AD, "ENABLE", "AD_STATUS_AUDIT_DENY", "ACTIVE", "DISAPPROVED"),
    (Level.AD, "ENABLE", "ADGROUP_STATUS_FROZEN", "ACTIVE", "ARCHIVED"),
    (Level.AD, "FROZEN", "ADGROUP_STATUS_FROZEN", "ARCHIVED", "ARCHIVED"),
    (Level.AD, "ENABLE", "AD_STATUS_DELETE", "DELETED", "DELETED"),
    # A field that is missing, as in the sandbox, and words nobody knows.
    (Level.AD, "ENABLE", None, "ACTIVE", "ACTIVE"),
    (Level.AD, "DISABLE", None, "PAUSED", "PAUSED"),
    (Level.AD, None, "AD_STATUS_DELIVERY_OK", "ACTIVE", "ACTIVE"),
    (Level.AD, None, "AD_STATUS_DISABLE", "PAUSED", "PAUSED"),
    (Level.AD, None, "AD_STATUS_CAMPAIGN_DISABLE", "UNKNOWN", "CAMPAIGN_PAUSED"),
    (Level.AD, None, None, "UNKNOWN", "UNKNOWN"),
    (Level.AD, "ENABLE", "AD_STATUS_BRAND_NEW", "ACTIVE", "AD_STATUS_BRAND_NEW"),
    (Level.AD, "HIBERNATE", "AD_STATUS_DELIVERY_OK", "UNKNOWN", "ACTIVE"),
]  # fmt: skip


@pytest.mark.parametrize(("level", "operation", "secondary", "own", "effective"), CASES)
def test_each_pair_of_fields_has_its_meaning(
    level: Level, operation: str | None, secondary: str | None, own: str, effective: str
) -> None:
    """Own and effective status follow the table, and the raw text is kept."""
    statuses = statuses_of(level, operation, secondary)
    assert statuses.own == own
    assert statuses.effective == effective
    assert statuses.raw == f"{operation or '-'}/{secondary or '-'}"


@pytest.mark.parametrize("level", LEVELS)
def test_deletion_is_seen_although_the_switch_stays_on(level: Level) -> None:
    """From delivering to deleted a final sync is owed, with operation_status unchanged."""
    word = "ENABLE" if level is Level.CAMPAIGN else "DELIVERY_OK"
    before = statuses_of(level, "ENABLE", PREFIXES[level] + word)
    after = statuses_of(level, "ENABLE", PREFIXES[level] + "DELETE")
    assert requires_final_sync(before.own, after.own)
    assert requires_final_sync(before.effective, after.effective)


@given(
    st.sampled_from(LEVELS),
    st.one_of(st.none(), st.text(max_size=40)),
    st.one_of(st.none(), st.text(max_size=40), st.text(max_size=20).map("AD_STATUS_".__add__)),
)
def test_strange_words_never_raise_and_never_deliver(
    level: Level, operation: str | None, secondary: str | None
) -> None:
    """Any text gives a known own status; only known words count as delivering."""
    statuses = statuses_of(level, operation, secondary)
    assert statuses.own in OwnStatus.__members__
    if is_delivering(statuses.effective):
        known = {"ENABLE", "DELIVERY_OK", "ACTIVE", "WITH_ISSUES"}
        words = f"{operation}/{secondary}".upper()
        assert any(word in words for word in known)
