"""Campaigns, ad groups and ads: what is asked for, and rows to records.

Removed entities stay listed for ever, so a list without a status filter is the whole truth.
`status` is the switch and maps to our four words (there is no archive here); it does not tell
what a parent does to a child. So every row also brings its parents' switches, and the effective
status is made of them, with `primary_status` deciding where all of them are on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adsync_dagster.platforms.google_ads_wire import (
    Question,
    Row,
    WrongAnswer,
    ad_key,
    in_list,
    own,
)
from adsync_dagster.records import Entity, Level
from adsync_dagster.status import OwnStatus

RESOURCES: dict[Level, str] = {
    Level.CAMPAIGN: "campaign",
    Level.ADSET: "ad_group",
    Level.AD: "ad_group_ad",
}
#: The fields that identify a row of each level.
KEYS: dict[Level, tuple[str, ...]] = {
    Level.CAMPAIGN: ("customer.id", "campaign.id"),
    Level.ADSET: ("customer.id", "campaign.id", "ad_group.id"),
    Level.AD: ("customer.id", "campaign.id", "ad_group.id", "ad_group_ad.ad.id"),
}
FIELDS: dict[Level, tuple[str, ...]] = {
    Level.CAMPAIGN: (
        *KEYS[Level.CAMPAIGN],
        "campaign.name",
        "campaign.status",
        "campaign.primary_status",
        "campaign.primary_status_reasons",
        "campaign.advertising_channel_type",
        "campaign.start_date_time",
        "campaign.end_date_time",
    ),
    Level.ADSET: (
        *KEYS[Level.ADSET],
        "campaign.status",
        "ad_group.name",
        "ad_group.status",
        "ad_group.type",
        "ad_group.primary_status",
        "ad_group.primary_status_reasons",
    ),
    Level.AD: (
        *KEYS[Level.AD],
        "campaign.status",
        "ad_group.status",
        "ad_group_ad.ad.name",
        "ad_group_ad.ad.type",
        "ad_group_ad.status",
        "ad_group_ad.primary_status",
        "ad_group_ad.primary_status_reasons",
    ),
}

_OWN = {
    "ENABLED": OwnStatus.ACTIVE,
    "PAUSED": OwnStatus.PAUSED,
    "REMOVED": OwnStatus.DELETED,
}
#: What `primary_status` says of something whose switches are all on. PAUSED and REMOVED repeat
#: a switch; a word that is not here is kept as it is, and counts as stopped.
_PRIMARY = {
    "": "ACTIVE",
    "ELIGIBLE": "ACTIVE",
    "LEARNING": "ACTIVE",
    "LIMITED": "WITH_ISSUES",
    "PAUSED": "ACTIVE",
    "REMOVED": "ACTIVE",
}
#: Reasons that say more than the status they stand beside.
_REASONS = {
    "AD_GROUP_AD_DISAPPROVED": "DISAPPROVED",
    "AD_GROUP_AD_UNDER_REVIEW": "PENDING_REVIEW",
}
#: Why an ad cannot serve, taken at its word only where it does not serve.
_STOPPED = frozenset({"NOT_ELIGIBLE", "PENDING"})


def listing(level: Level, purpose: str, ids: Sequence[str] | None = None) -> Question:
    """Every entity of a level whatever its status, or those of these ids."""
    return Question(
        fields=FIELDS[level],
        resource=RESOURCES[level],
        conditions=() if ids is None else by_id(level, ids),
        purpose=purpose,
    )


def by_id(level: Level, ids: Sequence[str]) -> tuple[str, ...]:
    """Conditions that let these entities through.

    An ad id may stand in several ad groups, so the answer may hold ads that were not asked for.
    """
    if level is Level.CAMPAIGN:
        return (in_list("campaign.id", ids),)
    if level is Level.ADSET:
        return (in_list("ad_group.id", ids),)
    keys = [ad_key(text) for text in ids]
    return (
        in_list("ad_group.id", dict.fromkeys(group for group, _ in keys)),
        in_list("ad_group_ad.ad.id", dict.fromkeys(ad for _, ad in keys)),
    )


def key_of(row: Row, level: Level) -> tuple[str, str | None, str | None]:
    """The platform id of a row's entity, its campaign's and its ad group's id."""
    campaign = _id(row["campaign"]["id"])
    if level is Level.CAMPAIGN:
        return campaign, None, None
    group = _id(row["adGroup"]["id"])
    if level is Level.ADSET:
        return group, campaign, None
    return f"{group}~{_id(row['adGroupAd']['ad']['id'])}", campaign, group


def _id(value: str) -> str:
    if value.isascii() and value.isdigit():
        return value
    raise WrongAnswer("an id is not an id")


def parse_entities(rows: list[Row], level: Level, account: str) -> list[Entity]:
    """A chunk of rows; raises what `read_rows` takes for a wrong answer."""
    return [_entity(row, level, account) for row in rows]


def _entity(row: Row, level: Level, account: str) -> Entity:
    own(row, account)
    platform_id, campaign_id, adset_id = key_of(row, level)
    parents = [row["campaign"]] if level is not Level.CAMPAIGN else []
    if level is Level.AD:
        parents.append(row["adGroup"])
        body, described = row["adGroupAd"], row["adGroupAd"]["ad"]
    else:
        body = described = row["campaign" if level is Level.CAMPAIGN else "adGroup"]
    status = _text(body.get("status", ""))
    return Entity(
        level=level,
        platform_id=platform_id,
        name=_text(described.get("name", "")),
        status=own_status(status),
        platform_status=status,
        effective_status=effective_status(body, [_text(p.get("status", "")) for p in parents]),
        campaign_id=campaign_id,
        adset_id=adset_id,
        created_at=None,
        updated_at=None,
        extra=_extra(body, described),
    )


def own_status(word: str) -> str:
    """The switch in our words; one nobody knows, or none at all, is UNKNOWN, never an error."""
    return _OWN.get(word, OwnStatus.UNKNOWN).value


def effective_status(body: Mapping[str, Any], parents: Sequence[str]) -> str:
    """What really happens to an entity whose parents' switches are these, campaign first.

    Whatever is removed takes its children with it; the own switch counts before a paused
    parent; where every switch is on, Google's own verdict counts.
    """
    switch = own_status(body.get("status", ""))
    if "REMOVED" in parents:
        return OwnStatus.DELETED.value
    if switch != OwnStatus.ACTIVE:
        return switch
    for level, status in zip(("CAMPAIGN", "ADSET"), parents, strict=False):
        if status == "PAUSED":
            return f"{level}_PAUSED"
    if any(own_status(status) == OwnStatus.UNKNOWN for status in parents):
        return OwnStatus.UNKNOWN.value
    primary = _text(body.get("primaryStatus", ""))
    if primary in _STOPPED:
        for reason in body.get("primaryStatusReasons", ()):
            if reason in _REASONS:
                return _REASONS[reason]
    return _PRIMARY.get(primary, primary)


def _text(value: str) -> str:
    """Text Postgres can store: it takes everything but NUL."""
    return value.replace("\x00", "\ufffd")


def _extra(body: Mapping[str, Any], described: Mapping[str, Any]) -> dict[str, Any]:
    """Descriptive fields, as they come."""
    found = {
        "channel_type": body.get("advertisingChannelType"),
        "type": described.get("type"),
        "start_date_time": body.get("startDateTime"),
        "end_date_time": body.get("endDateTime"),
        "primary_status": body.get("primaryStatus"),
        "primary_status_reasons": body.get("primaryStatusReasons"),
    }
    return {
        key: _text(value) if isinstance(value, str) else value
        for key, value in found.items()
        if value not in (None, "", [])
    }
