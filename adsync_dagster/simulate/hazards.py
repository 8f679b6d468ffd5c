"""What a platform's answers may suffer in a drawn run, by platform and class of faults.

Each fault names the requests it may strike, so that in a world of several platforms one
platform's faults never reach another's answers.
"""

from __future__ import annotations

import re
from typing import Any

#: A fault's name, the paths it may strike, and its options.
WireFault = tuple[str, str, dict[str, Any]]
Classes = dict[str, tuple[WireFault, ...]]

_HOSTILE_NAME = "\u0000');-- \U0001f4a9"
#: The paths of each platform, as faults match them.
PATHS = {
    "facebook": r"^(act_|\d|$)",
    "tiktok": r"^(campaign|adgroup|ad|advertiser|report)/",
    "google_ads": r"^(customers[/:]|token$)",
}


def platform_of(path: str) -> str:
    """The platform whose request a fault struck."""
    return next((one for one, pattern in PATHS.items() if re.search(pattern, path)), "facebook")


def _sockets(path: str) -> tuple[WireFault, ...]:
    return tuple(
        (name, path, {}) for name in ("reset", "reset_mid_body", "long_content_length", "hang")
    )


def _bodies(path: str, reports: str) -> tuple[WireFault, ...]:
    return (
        ("empty_body", path, {}),
        ("invalid_json", path, {}),
        ("cut_json", path, {}),
        ("not_a_number", reports, {}),
        ("gzip_bomb", path, {"bytes": 80_000_000}),
    )


#: Meta.
LISTS = r"/(campaigns|adsets|ads)$"
INSIGHTS = r"insights$"
BATCH = r"^$"
ANY = PATHS["facebook"]
WIRE_FAULTS: Classes = {
    "service errors": (
        ("error", ANY, {"error": "service"}),
        ("http_status", ANY, {"status": 500}),
        ("html_body", ANY, {}),
        ("error", BATCH, {"error": "service"}),
    ),
    "throttling": (
        ("http_status", ANY, {"status": 429, "retry_after": 30}),
        ("http_status", ANY, {"status": 429, "retry_after": 100_000}),
        ("http_status", ANY, {"status": 429, "retry_after": "Wed, 21 Oct 1999 07:28:00 GMT"}),
        ("error", ANY, {"error": "account_score"}),
    ),
    "broken bodies": (
        ("empty_body", ANY, {}),
        ("invalid_json", ANY, {}),
        ("cut_json", ANY, {}),
        ("not_a_number", INSIGHTS, {}),
        ("gzip_bomb", ANY, {"bytes": 80_000_000}),
    ),
    "broken sockets": (
        ("reset", ANY, {}),
        ("reset_mid_body", ANY, {}),
        ("long_content_length", ANY, {}),
        ("hang", ANY, {}),
    ),
    "lying lists": (
        ("empty_first_page", LISTS, {}),
        ("empty_page", LISTS, {}),
        ("missing_paging", LISTS, {}),
        ("missing_next", LISTS, {}),
        ("repeated_cursor", LISTS, {}),
        ("cut_rows", LISTS, {}),
        ("shift_rows", LISTS, {}),
        ("repeat_rows", LISTS, {}),
        ("data_is_null", LISTS, {}),
        ("bad_data", LISTS, {}),
        ("foreign_next", LISTS, {}),
    ),
    "lying reports": (
        ("empty_first_page", INSIGHTS, {}),
        ("empty_page", INSIGHTS, {}),
        ("missing_paging", INSIGHTS, {}),
        ("missing_next", INSIGHTS, {}),
        ("repeated_cursor", INSIGHTS, {}),
        ("cut_rows", r"^act_\d+/insights$", {}),
        ("double_row", INSIGHTS, {}),
        ("data_is_null", INSIGHTS, {}),
        ("drop_field", INSIGHTS, {"field": "date_start"}),
        ("set_field", INSIGHTS, {"field": "spend", "value": None}),
    ),
    "strange words": (
        ("set_field", LISTS, {"field": "effective_status", "value": "TELEPORTED", "rows": 1}),
        ("set_field", LISTS, {"field": "name", "value": _HOSTILE_NAME, "rows": 1}),
    ),
    "failing batches": (
        ("batch_item_null", INSIGHTS, {}),
        ("batch_cut", BATCH, {}),
        ("batch_shuffled", BATCH, {}),
    ),
    "failing reports": (
        ("report_failed", ANY, {}),
        ("report_stuck", ANY, {}),
        ("report_skipped", ANY, {}),
        ("report_lost", ANY, {}),
    ),
    "stale answers": (
        ("stale", LISTS, {"seconds": 7_200}),
        ("stale", INSIGHTS, {"seconds": 7_200}),
    ),
}

_T_ANY = PATHS["tiktok"]
_T_LISTS = r"^(campaign|adgroup|ad)/get$"
_T_REPORTS = r"^report/integrated/get$"
_T_PAGED = r"^((campaign|adgroup|ad)|report/integrated)/get$"
TIKTOK_FAULTS: Classes = {
    "service errors": (
        ("tiktok_error", _T_ANY, {"code": 50000}),
        ("tiktok_error", _T_ANY, {"code": 51010}),
        ("tiktok_error", _T_ANY, {"code": 40700}),
        ("http_status", _T_ANY, {"status": 502}),
        ("html_body", _T_ANY, {}),
    ),
    "throttling": (
        ("tiktok_error", _T_ANY, {"code": 40100}),
        ("tiktok_error", _T_ANY, {"code": 40133}),
        ("tiktok_error", _T_ANY, {"code": 60001}),
        ("http_status", _T_ANY, {"status": 429, "retry_after": 100_000}),
    ),
    "time-outs": (
        ("tiktok_error", _T_REPORTS, {"code": 50002}),
        ("tiktok_error", _T_LISTS, {"code": 50002}),
    ),
    "refusals": (
        ("tiktok_error", _T_ANY, {"code": 40001}),
        ("tiktok_error", _T_ANY, {"code": 40105}),
        ("tiktok_error", _T_ANY, {"code": 40300}),
    ),
    "broken bodies": _bodies(_T_ANY, _T_REPORTS),
    "broken sockets": _sockets(_T_ANY),
    "lying pages": (
        ("page_info_missing", _T_PAGED, {}),
        ("page_info_wrong", _T_PAGED, {"info": {"page": 99}}),
        ("page_info_wrong", _T_PAGED, {"info": {"total_page": 1}}),
        ("page_info_wrong", _T_PAGED, {"info": {"page_size": 10}}),
        ("total_shrinks", _T_PAGED, {}),
    ),
    "lying lists": (
        ("empty_first_page", _T_LISTS, {}),
        ("empty_page", _T_LISTS, {}),
        ("cut_rows", _T_LISTS, {}),
        ("shift_rows", _T_LISTS, {}),
        ("repeat_rows", _T_LISTS, {}),
        ("data_is_null", _T_LISTS, {}),
        ("drop_field", _T_LISTS, {"field": "campaign_id"}),
        ("set_field", _T_LISTS, {"field": "advertiser_id", "value": "7"}),
    ),
    "lying reports": (
        ("empty_first_page", _T_REPORTS, {}),
        ("empty_page", _T_REPORTS, {}),
        ("cut_rows", _T_REPORTS, {}),
        ("shift_rows", _T_REPORTS, {}),
        ("repeat_rows", _T_REPORTS, {}),
        ("data_is_null", _T_REPORTS, {}),
        ("drop_field", _T_REPORTS, {"field": "stat_time_day"}),
        ("set_field", _T_REPORTS, {"field": "spend", "value": "-"}),
    ),
    "strange words": (
        ("set_field", _T_LISTS, {"field": "secondary_status", "value": "TELEPORTED", "rows": 1}),
        ("set_field", _T_LISTS, {"field": "ad_name", "value": _HOSTILE_NAME, "rows": 1}),
    ),
    "failing tasks": (
        ("task_failed", r"^report/task/create$", {}),
        ("task_stuck", r"^report/task/create$", {}),
        ("task_cut", r"^report/task/create$", {}),
        ("tiktok_error", r"^report/task/download$", {"code": 40201}),
        ("tiktok_error", r"^report/task/check$", {"code": 40007}),
    ),
    "stale answers": (
        ("stale", _T_LISTS, {"seconds": 7_200}),
        ("stale", _T_REPORTS, {"seconds": 7_200}),
    ),
}

_G_ANY = PATHS["google_ads"]
_G_ASKED = r"^customers/\d+/googleAds:searchStream"
_G_LISTS = r"Stream (campaign|ad_group|ad_group_ad)$"
_G_REPORTS = r" by day$"
GOOGLE_ADS_FAULTS: Classes = {
    "service errors": (
        ("google_error", _G_ASKED, {"error": "internalError.INTERNAL_ERROR"}),
        ("google_error", _G_ASKED, {"error": "internalError.TRANSIENT_ERROR"}),
        ("google_error", _G_ASKED, {"error": "internalError.DEADLINE_EXCEEDED"}),
        ("http_status", _G_ANY, {"status": 503}),
        ("html_body", _G_ANY, {}),
    ),
    "throttling": (
        (
            "google_error",
            _G_ASKED,
            {"error": "quotaError.RESOURCE_TEMPORARILY_EXHAUSTED", "retry_delay": "30s"},
        ),
        ("google_error", _G_ASKED, {"error": "quotaError.RESOURCE_EXHAUSTED"}),
        (
            "google_error",
            _G_ASKED,
            {"error": "quotaError.EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION"},
        ),
        ("http_status", _G_ANY, {"status": 429, "retry_after": 30}),
    ),
    "refusals": (
        ("google_error", _G_ASKED, {"error": "authorizationError.USER_PERMISSION_DENIED"}),
        ("google_error", _G_ASKED, {"error": "authorizationError.CUSTOMER_NOT_ENABLED"}),
    ),
    "tokens": (
        ("oauth_error", r"^token$", {}),
        ("oauth_error", r"^token$", {"error": "temporarily_unavailable"}),
        ("http_status", r"^token$", {"status": 500}),
        ("google_error", _G_ASKED, {"error": "authenticationError.OAUTH_TOKEN_EXPIRED"}),
        ("google_error", _G_ASKED, {"error": "authenticationError.OAUTH_TOKEN_REVOKED"}),
    ),
    "broken bodies": _bodies(_G_ANY, _G_REPORTS),
    "broken sockets": _sockets(_G_ANY),
    "broken streams": (
        ("stream_error", _G_ASKED, {"error": "internalError.INTERNAL_ERROR"}),
        ("stream_error", _G_ASKED, {"error": "quotaError.RESOURCE_TEMPORARILY_EXHAUSTED"}),
        ("cut_json", _G_LISTS, {}),
        ("cut_json", _G_REPORTS, {}),
        ("reset_mid_body", _G_REPORTS, {}),
    ),
    "lying lists": (
        ("stream_nothing", _G_LISTS, {}),
        ("stream_rows_lost", _G_LISTS, {}),
        ("stream_rows_doubled", _G_LISTS, {}),
        ("stream_other_mask", _G_LISTS, {}),
        ("stream_field_dropped", _G_LISTS, {"field": "campaign.id"}),
        ("stream_field_set", _G_LISTS, {"field": "customer.id", "value": "7"}),
    ),
    "lying reports": (
        ("stream_nothing", _G_REPORTS, {}),
        ("stream_rows_lost", _G_REPORTS, {}),
        ("stream_rows_doubled", _G_REPORTS, {}),
        ("stream_other_mask", _G_REPORTS, {}),
        ("stream_field_dropped", _G_REPORTS, {"field": "metrics.costMicros"}),
        ("stream_field_set", _G_REPORTS, {"field": "metrics.costMicros", "value": "1.5"}),
        ("stream_field_set", _G_REPORTS, {"field": "segments.date", "value": "2020-01-01"}),
    ),
    "strange words": (
        (
            "stream_field_set",
            r"Stream ad_group_ad$",
            {"field": "adGroupAd.primaryStatus", "value": "TELEPORTED"},
        ),
        (
            "stream_field_set",
            r"Stream ad_group_ad$",
            {"field": "adGroupAd.ad.name", "value": _HOSTILE_NAME},
        ),
    ),
    "failing histories": (
        ("google_error", r" change_event$", {"error": "changeEventError.START_DATE_TOO_OLD"}),
        ("stream_nothing", r" change_event$", {}),
        ("stream_rows_doubled", r" change_status$", {}),
    ),
    "stale answers": (
        ("stale", _G_LISTS, {"seconds": 7_200}),
        ("stale", _G_REPORTS, {"seconds": 7_200}),
    ),
}
#: By platform.
FAULTS = {"facebook": WIRE_FAULTS, "tiktok": TIKTOK_FAULTS, "google_ads": GOOGLE_ADS_FAULTS}
#: Half of each level's objects that cannot be read by id for a while: a right that was narrowed,
#: an object that the platform keeps to itself. Drawn apart from the others (see draw.py).
MISSING = {
    platform: tuple(
        ("missing_by_id", path, {"modulus": 2, "rest": rest, "count": None}) for rest in range(2)
    )
    for platform, path in PATHS.items()
}
#: By platform: reports that hold no row, without a trace.
NO_ROWS: dict[str, WireFault] = {
    "facebook": ("empty_first_page", INSIGHTS, {}),
    "tiktok": ("empty_first_page", _T_REPORTS, {}),
    "google_ads": ("stream_nothing", _G_REPORTS, {}),
}
#: Google's list of conversion actions, which says how long days move: with some of them missing
#: days look final too early. Drawn apart from the others, on a history that is long enough.
LYING_WINDOWS: tuple[WireFault, ...] = tuple(
    (name, r"^customers/.* conversion_action$", {"count": 1})
    for name in ("stream_nothing", "stream_rows_lost")
)


def may_strike(path: str, platform: str) -> bool:
    """Whether a fault of these paths is one of the platform's; older scenarios name others."""
    owners = [one for one, classes in FAULTS.items() if path in _paths(classes)]
    return platform in owners or not owners


def _paths(classes: Classes) -> set[str]:
    return {path for wires in classes.values() for _, path, _ in wires}
