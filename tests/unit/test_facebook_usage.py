"""Meta's four usage headers."""

from __future__ import annotations

import orjson
import pytest
from driving import ADAPTER, answer

from adsync_dagster.platforms.facebook_usage import STEPS, wait_seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"x-app-usage": '{"call_count":28,"total_time":25,"total_cputime":25}'}, 0.0),
        ({"x-app-usage": '{"call_count":28,"total_time":86,"total_cputime":25}'}, 5.0),
        ({"x-app-usage": '{"call_count":91}'}, 15.0),
        ({"x-ad-account-usage": '{"acc_id_util_pct":95.2}'}, 60.0),
        ({"x-ad-account-usage": '{"acc_id_util_pct":95.2,"reset_time_duration":100}'}, 100.0),
        ({"x-ad-account-usage": '{"acc_id_util_pct":20,"reset_time_duration":100}'}, 0.0),
        ({"x-fb-ads-insights-throttle": '{"app_id_util_pct":3,"acc_id_util_pct":100}'}, 300.0),
        ({"x-business-use-case-usage": '{"5":[{"call_count":97,"total_time":1}]}'}, 60.0),
        (
            {
                "x-business-use-case-usage": '{"5":[{"call_count":1},{"call_count":2}],'
                '"6":[{"call_count":3},{"total_cputime":88}]}'
            },
            5.0,
        ),
        (
            {
                "x-business-use-case-usage": '{"6":[{"call_count":3},'
                '{"call_count":4,"estimated_time_to_regain_access":2}]}'
            },
            120.0,
        ),
        ({"x-app-usage": '{"call_count":10}', "x-ad-account-usage": '{"acc_id_util_pct":90}'}, 15),
        ({"x-app-usage": "<html>"}, 0.0),
        ({"x-app-usage": '{"call_count":"97"}'}, 0.0),
        ({"x-app-usage": "[1,2]"}, 0.0),
        ({"x-app-usage": "[" * 500 + "]" * 500}, 0.0),
    ],
)
def test_the_fullest_quota_decides(headers: dict[str, str], seconds: float) -> None:
    """Every entry of every header counts, the longest wait wins, nonsense asks for nothing."""
    assert wait_seconds(headers) == seconds


def test_waits_grow_with_usage() -> None:
    """The table runs from the fullest step down, so the first match is the right one."""
    assert list(STEPS) == sorted(STEPS, reverse=True)


def test_batch_items_carry_their_own_headers() -> None:
    """In a batch the usage headers stand inside the items, and the fullest one counts."""
    items = [
        {"code": 200, "body": "{}", "headers": [{"name": "Content-Type", "value": "x"}]},
        None,
        {
            "code": 200,
            "body": "{}",
            "headers": [{"name": "X-App-Usage", "value": '{"call_count":96}'}],
        },
        {"code": 200, "body": "{}"},
    ]
    assert ADAPTER.usage_wait_seconds(answer(items)) == 60.0
    assert ADAPTER.usage_wait_seconds(answer(items[:2])) == 0.0


def test_a_single_answer_is_not_parsed_for_its_headers() -> None:
    """Only a list can be a batch: an ordinary page costs nothing here."""
    response = answer(
        {"data": []}, headers={"x-app-usage": orjson.dumps({"call_count": 86}).decode()}
    )
    assert ADAPTER.usage_wait_seconds(response) == 5.0
    assert response._parsed == []
