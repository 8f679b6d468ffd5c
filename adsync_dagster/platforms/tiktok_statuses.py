"""TikTok's two status fields as one vocabulary.

`operation_status` is the entity's own switch. Everything else, deletion included, shows only
in `secondary_status`: a deleted entity keeps ENABLE or DISABLE, and what its parent does to it
changes nothing but this word. So the own status is the switch unless the word says that the
entity itself is deleted or off, and the effective status is what the word says.

An ended schedule leaves the switch on and can be extended, so it is ARCHIVED in the effective
status only; FROZEN ("terminated") is for good and is ARCHIVED in both. A word that nobody
here knows is kept as it is: it counts as not delivering, which syncs more.

Source: the Business API's page of status enumerations (v1.3).
"""

from __future__ import annotations

from typing import NamedTuple

from adsync_dagster.records import Level
from adsync_dagster.status import DELIVERING, OwnStatus

#: What a secondary status begins with. An ad may carry an ad group's word (ADGROUP_STATUS_FROZEN).
PREFIXES: dict[Level, str] = {
    Level.CAMPAIGN: "CAMPAIGN_STATUS_",
    Level.ADSET: "ADGROUP_STATUS_",
    Level.AD: "AD_STATUS_",
}

_OWN: dict[str, OwnStatus] = {
    "ENABLE": OwnStatus.ACTIVE,
    "DISABLE": OwnStatus.PAUSED,
    "FROZEN": OwnStatus.ARCHIVED,
    "DELETE": OwnStatus.DELETED,
}
#: Words that say it of the entity itself when they carry its own level's prefix.
_OWN_WORDS: dict[str, OwnStatus] = {
    "DELETE": OwnStatus.DELETED,
    "DISABLE": OwnStatus.PAUSED,
    "AWAITING_RELEASE": OwnStatus.PAUSED,
}
#: Normalised effective status, and the words (without prefix) that mean it.
_GROUPS: dict[str, str] = {
    "ACTIVE": "ENABLE DELIVERY_OK SHADOW_ADGROUP_REAUDIT",
    "WITH_ISSUES": "PARTIAL_AUDIT_DELIVERY_OK REVIEW_PARTIALLY_APPROVED"
    " SEARCH_KEYWORDS_PARTIAL_APPROVED",
    "DELETED": "DELETE CAMPAIGN_DELETE ADGROUP_DELETE",
    "PAUSED": "DISABLE AWAITING_RELEASE LIVE_GMV_MAX_AUTHORIZATION_CANCEL"
    " PRODUCT_GMV_MAX_AUTHORIZATION_CANCEL IDENTITY_USED_BY_LIVE_GMV_MAX"
    " PRODUCT_USED_BY_PRODUCT_GMV_MAX",
    "CAMPAIGN_PAUSED": "CAMPAIGN_DISABLE",
    "ADSET_PAUSED": "ADGROUP_DISABLE",
    "ARCHIVED": "FROZEN DONE TIME_DONE RF_TERMINATE RF_TIME_DONE RF_DEDUCTION_FAILED"
    " RF_NO_VALID_CREATIVE RF_CLOSED_OTHERS RF_AD_AUDIT_DENY RF_ADGROUP_INVALID"
    " RF_WITHDRAW_ORDER RF_ADGROUP_CLOSED ADVERTISER_ACCOUNT_INVALID PROMOTE_AD_NOT_APPROVED"
    " PROMOTE_WITHDRAW_ORDER",
    "PENDING_REVIEW": "AUDIT REAUDIT ADVERTISER_AUDIT",
    "DISAPPROVED": "AUDIT_DENY ADVERTISER_AUDIT_DENY",
    "IN_PROCESS": "CREATE",
}
_EFFECTIVE: dict[str, str] = {
    word: status for status, words in _GROUPS.items() for word in words.split()
}


class Statuses(NamedTuple):
    """What an entity's two fields amount to."""

    own: str
    #: Both fields as they came, `ENABLE/AD_STATUS_DELIVERY_OK`; `-` for a missing one.
    raw: str
    effective: str


def statuses_of(level: Level, operation: str | None, secondary: str | None) -> Statuses:
    """The statuses of an entity of that level. Unknown words never raise."""
    switch = (operation or "").strip().upper()
    word = (secondary or "").strip().upper()
    effective = _effective(word)
    own = _own(level, switch, word, effective)
    return Statuses(
        own=own.value,
        raw=f"{operation or '-'}/{secondary or '-'}",
        # The sandbox sends no secondary status: then the switch is all there is to know.
        effective=effective or own.value,
    )


def _own(level: Level, switch: str, word: str, effective: str | None) -> OwnStatus:
    prefix = PREFIXES[level]
    said = _OWN_WORDS.get(word.removeprefix(prefix)) if word.startswith(prefix) else None
    own = _OWN.get(switch)
    if said is OwnStatus.DELETED or (said is not None and own in {None, OwnStatus.ACTIVE}):
        return said
    if own is None and not switch and effective in DELIVERING:
        return OwnStatus.ACTIVE
    return own or OwnStatus.UNKNOWN


def _effective(word: str) -> str | None:
    """The normalised word; the word itself, prefix and all, when nobody here knows it."""
    if not word:
        return None
    bare = next(
        (word.removeprefix(prefix) for prefix in PREFIXES.values() if word.startswith(prefix)),
        word,
    )
    return _EFFECTIVE.get(bare, word)
