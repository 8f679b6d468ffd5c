"""TikTok's answers written down by hand, and reads driven with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from driving import STARTED, Driven, Script, answer, drive

from adsync_dagster.platforms.protocol import Read, Response
from adsync_dagster.platforms.tiktok import TikTokAdapter
from adsync_dagster.platforms.tiktok_wire import ReadLimits

ACCOUNT = "7010000000000000501"
#: Two rows a page, so that a handful of rows has pages.
ADAPTER = TikTokAdapter(limits=ReadLimits(page_rows=2, page_rows_floor=2, ids_max=3))
WHOLE = TikTokAdapter()

__all__ = ["ACCOUNT", "ADAPTER", "STARTED", "WHOLE", "ad", "envelope", "failed", "page", "run"]


def run(read: Read, script: Iterable[Script]) -> Driven:
    """Drive a read; answers are judged as the adapter judges them."""
    return drive(read, script, ADAPTER.check)


def envelope(data: Any, headers: dict[str, str] | None = None) -> Response:
    """A success."""
    return answer({"code": 0, "message": "OK", "request_id": "r1", "data": data}, 200, headers)


def failed(code: int, status: int = 200) -> Response:
    """An error in TikTok's envelope, usually with HTTP 200."""
    body = {"code": code, "message": "token sim_leak is wrong", "request_id": "r1", "data": {}}
    return answer(body, status)


def page(
    rows: list[Any],
    number: int = 1,
    *,
    total: int | None = None,
    size: int = 2,
    headers: dict[str, str] | None = None,
    **info: Any,
) -> Response:
    """A page of a listing or report."""
    count = len(rows) if total is None else total
    page_info = {
        "page": number,
        "page_size": size,
        "total_number": count,
        "total_page": -(-count // size),
        **info,
    }
    return envelope({"list": rows, "page_info": page_info}, headers)


def ad(number: int, **more: Any) -> dict[str, Any]:
    """An ad as `ad/get/` shows it."""
    return {
        "advertiser_id": ACCOUNT,
        "ad_id": str(1790000 + number),
        "ad_name": f"Ad {number}",
        "adgroup_id": "1780001",
        "campaign_id": "1770001",
        "operation_status": "ENABLE",
        "secondary_status": "AD_STATUS_DELIVERY_OK",
        "ad_format": "SINGLE_VIDEO",
        "create_time": "2026-03-02 09:15:00",
        "modify_time": "2026-11-20 18:04:11",
        **more,
    }


def row(day: str, number: int = 1, **more: Any) -> dict[str, Any]:
    """A row of an ad level report."""
    return {
        "dimensions": {"ad_id": str(1790000 + number), "stat_time_day": f"{day} 00:00:00"},
        "metrics": {
            "spend": "14.68",
            "impressions": "1079",
            "clicks": "12",
            "reach": "900",
            "frequency": "1.2",
            "conversion": "1",
            "total_purchase_value": "39.90",
            "campaign_id": "1770001",
            "adgroup_id": "1780001",
            **more,
        },
    }


def total_row(day: str, **more: Any) -> dict[str, Any]:
    """A row of the account's totals."""
    return {
        "dimensions": {"advertiser_id": ACCOUNT, "stat_time_day": f"{day} 00:00:00"},
        "metrics": {
            "spend": "20.10",
            "impressions": "2000",
            "clicks": "20",
            "conversion": "2",
            "total_purchase_value": "50",
            **more,
        },
    }
