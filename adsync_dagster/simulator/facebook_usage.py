"""Throttling headers and a budget of calls per account and hour, all by knobs."""

from __future__ import annotations

from collections import deque

import orjson

from adsync_dagster.simulator.facebook_errors import NAMED
from adsync_dagster.simulator.facebook_settings import UsageKnobs
from adsync_dagster.simulator.instants import HOUR

_TIER = "standard_access"


class UsageMeter:
    """Counts calls and renders the four usage headers."""

    def __init__(self, knobs: UsageKnobs) -> None:
        self._knobs = knobs
        self._calls: dict[str, deque[int]] = {}
        self.total = 0

    def count(self, account_id: str | None, path: tuple[str, ...], now: int) -> dict[str, str]:
        """Count one call; returns its headers, raises the throttling error over budget.

        A refused call counts as well and prolongs the block, as Meta warns.
        """
        self.total += 1
        insights = path[-1:] == ("insights",)
        spent = self._spent(account_id, now)
        if spent is not None and spent > 100:
            error = NAMED["buc_insights" if insights else "buc_management"]()
            raise error
        if self.total <= self._knobs.after_calls:
            return {}
        return self._headers(account_id or "", spent, insights=insights)

    def _spent(self, account_id: str | None, now: int) -> float | None:
        budget = self._knobs.calls_per_hour
        if budget is None or account_id is None:
            return None
        calls = self._calls.setdefault(account_id, deque())
        calls.append(now)
        while calls and calls[0] <= now - HOUR:
            calls.popleft()
        return 100 * len(calls) / budget

    def _headers(self, account_id: str, spent: float | None, *, insights: bool) -> dict[str, str]:
        knobs = self._knobs
        headers: dict[str, str] = {}
        if knobs.app_percent is not None:
            headers["X-App-Usage"] = _text(
                {"call_count": int(knobs.app_percent), "total_time": 25, "total_cputime": 25}
            )
        if knobs.account_percent is not None:
            headers["X-Ad-Account-Usage"] = _text(
                {
                    "acc_id_util_pct": knobs.account_percent,
                    "reset_time_duration": knobs.account_reset_seconds,
                    "ads_api_access_tier": _TIER,
                }
            )
        entries = self._use_cases(spent, insights=insights)
        if entries:
            headers["X-Business-Use-Case-Usage"] = _text(
                {account_id.removeprefix("act_") or "990001": entries}
            )
        if insights and knobs.insights_throttle_percent is not None:
            headers["X-FB-Ads-Insights-Throttle"] = _text(
                {
                    "app_id_util_pct": knobs.insights_throttle_percent,
                    "acc_id_util_pct": knobs.insights_throttle_percent,
                    "ads_api_access_tier": _TIER,
                }
            )
        return headers

    def _use_cases(self, spent: float | None, *, insights: bool) -> list[dict[str, object]]:
        """One entry per use case; a reader of the first one only misses the other."""
        knobs = self._knobs
        shares = [
            ("ads_management", knobs.management_percent, not insights),
            ("ads_insights", knobs.insights_percent, insights),
        ]
        entries: list[dict[str, object]] = []
        for name, share, mine in shares:
            percent = share if share is not None else (spent if mine else None)
            if percent is not None:
                entries.append(
                    {
                        "type": name,
                        "call_count": int(percent),
                        "total_cputime": 20,
                        "total_time": 20,
                        "estimated_time_to_regain_access": knobs.regain_minutes,
                        "ads_api_access_tier": _TIER,
                    }
                )
        return entries


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
