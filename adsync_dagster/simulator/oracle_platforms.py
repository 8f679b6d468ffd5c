"""What each platform lets anybody know: its numbers, its words for statuses, what it shows at all.

The ledger knows everything. A judge may ask only for what the platform tells, so truth passes
through here. Sources: the platforms' documentation, as the wires of this package render it.
"""

from __future__ import annotations

from adsync_dagster.simulator.entities import SimAccount, SimEntity
from adsync_dagster.simulator.google_ads_fields import channel_of
from adsync_dagster.simulator.metrics import Totals
from adsync_dagster.simulator.oracle_records import NO_NUMBERS, Numbers, Status

#: One conversion, in the millionths that all amounts are in.
WHOLE = 1_000_000


def shown_numbers(platform: str, totals: Totals, credit: int = WHOLE) -> Numbers:
    """A ledger total in the order of the warehouse's columns, as far as the platform tells it.

    `credit` is what one conversion counts for on Google Ads, in millionths.
    """
    impressions, clicks, links, spend, conversions, value = totals.vector[:6]
    reach, share = totals.reach, WHOLE
    if platform == "google_ads":
        links, reach, share = 0, 0, credit
    elif platform == "tiktok":
        links, reach = 0, reach if impressions else 0
    if not any((impressions, clicks, links, spend, conversions, value)):
        return NO_NUMBERS
    return (impressions, clicks, links, spend, reach, conversions * share, value)


def shown_status(platform: str, status: Status) -> Status:
    """The two statuses in the words that the platform has for them."""
    own, effective = status
    if platform == "google_ads" and effective == "IN_PROCESS":
        # Google has one word for everything that still has to be looked at.
        return own, "PENDING_REVIEW"
    return status


def is_listed(account: SimAccount, entity: SimEntity, status: Status) -> bool:
    """Whether a whole list of the account's entities shows an entity that is in this status."""
    if account.platform == "facebook":
        return "DELETED" not in status
    return not is_without_rows(account, entity)


def is_without_rows(account: SimAccount, entity: SimEntity) -> bool:
    """Whether the platform keeps the entity and its numbers to itself (Performance Max)."""
    if account.platform != "google_ads" or entity.level == "campaign":
        return False
    campaign = entity
    above = {"ad": "adset", "adset": "campaign"}
    while campaign.level != "campaign":
        parent_id = campaign.now.parent_id
        campaign = account.entities[above[campaign.level]][str(parent_id)]
    return channel_of(campaign) == "PERFORMANCE_MAX"
