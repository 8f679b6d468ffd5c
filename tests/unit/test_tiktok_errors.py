"""TikTok's answers by family: the body's code decides, HTTP 200 proves nothing."""

from __future__ import annotations

import pytest
from driving import answer
from hypothesis import given
from hypothesis import strategies as st
from tiktok_answers import envelope, failed

from adsync_dagster.errors import (
    AccountBlocked,
    AdsyncError,
    Blocked,
    CredentialBlocked,
    Defect,
    IncompleteRead,
    PermissionBlocked,
    PlatformBusy,
    Retryable,
    TooMuchData,
)
from adsync_dagster.platforms.protocol import Response
from adsync_dagster.platforms.tiktok_errors import (
    AdsTruncated,
    InvalidRequest,
    ObjectMissing,
    TooManyIds,
    check_response,
    classify,
)


def _said(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> AdsyncError:
    with pytest.raises(AdsyncError) as caught:
        check_response(Response(status=status, headers=headers or {}, body=body))
    return caught.value


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        ([40000, 40002, 40008, 40010, 40400], InvalidRequest),
        ([40001, 40118, 40124, 40125, 40130, 40131], PermissionBlocked),
        ([40006, 40051, 40502, 41000, 41001, 41002], Blocked),
        ([40007], ObjectMissing),
        ([40011], TooManyIds),
        ([40016, 40100, 40132, 40133, 61000], PlatformBusy),
        ([40101, 40102, 40103, 40104, 40105, 40106, 40107, 40110, 40113], CredentialBlocked),
        ([40050, 40200, 40201, 40202, 40700], PlatformBusy),
        ([40300, 40301], AccountBlocked),
        ([50000, 51234, 52000, 53999, 60001], PlatformBusy),
        ([50002], TooMuchData),
        ([20001, 47777, 99999, 1, -1], IncompleteRead),
    ],
)
def test_every_code_has_its_family(codes: list[int], kind: type[AdsyncError]) -> None:
    """Each code of the table raises exactly its class, with any HTTP status."""
    for code in codes:
        for status in (200, 400, 500):
            with pytest.raises(kind) as caught:
                check_response(failed(code, status))
            assert type(caught.value) is kind
            assert f"code {code}" in str(caught.value)
            assert "sim_leak" not in str(caught.value)


def test_a_success_needs_code_zero_and_data() -> None:
    """HTTP 200 with a code, without a code, or without data is none."""
    check_response(envelope({}))
    assert isinstance(_said(b'{"message":"OK","data":{}}'), IncompleteRead)
    assert isinstance(_said(b'{"code":"0","data":{}}'), IncompleteRead)
    assert isinstance(_said(b'{"code":true,"data":{}}'), IncompleteRead)
    assert isinstance(_said(b'{"code":0}'), IncompleteRead)
    assert isinstance(_said(b'{"code":0,"data":null}'), IncompleteRead)
    assert isinstance(_said(b'{"code":0,"data":[]}'), IncompleteRead)
    assert isinstance(_said(b'{"code":0,"data":{}}', 503), PlatformBusy)


@pytest.mark.parametrize("header", ["1", "true", ""])
def test_the_throttle_header_makes_a_success_incomplete(header: str) -> None:
    """Whatever it says: its presence means that only the newest ads were considered."""
    with pytest.raises(AdsTruncated):
        check_response(envelope({"list": []}, {"x-tt-ads-throttle": header}))


def test_what_is_no_envelope_is_judged_by_its_status() -> None:
    """Gateways, wrong paths, cut bodies and redirects never pass."""
    assert isinstance(_said(b"404 page not found", 404), IncompleteRead)
    assert isinstance(_said(b"<html>502</html>", 502), PlatformBusy)
    assert isinstance(_said(b"<html>ok</html>", 200), IncompleteRead)
    assert isinstance(_said(b"", 200), IncompleteRead)
    assert isinstance(_said(b'{"code":0,"data":{"list":[', 200), IncompleteRead)
    assert isinstance(_said(b"slow down", 429), PlatformBusy)
    assert isinstance(_said(b"", 302), Defect)


def test_the_text_of_a_report_task_is_an_answer() -> None:
    """CSV with column names passes; what only looks a little like it does not."""
    for body in (
        b"ad_id,stat_time_day,spend\n1,2026-11-01,3.5\n",
        b'\xef\xbb\xbf"ad_id","spend"\r\n',
        b"ad_id,spend",
    ):
        check_response(Response(status=200, headers={}, body=body))
        assert isinstance(_said(body, 500), PlatformBusy)
    for body in (b"page not found, sorry\n", b"spend\n1\n", b"Ad ID,Cost\n1,2\n"):
        assert isinstance(_said(body), IncompleteRead)


def test_throttles_say_how_long() -> None:
    """Frequency limits are waited for together; maintenance is left for later."""
    for code, seconds in ((40100, 5.0), (60001, 600.0)):
        error = classify(code)
        assert isinstance(error, Retryable)
        assert error.retry_after_seconds == seconds


@given(st.integers(min_value=-(10**6), max_value=10**6).filter(bool))
def test_no_code_is_a_success_but_zero(code: int) -> None:
    """Every code there could be belongs to one of the families."""
    with pytest.raises((Retryable, Blocked, Defect)):
        check_response(answer({"code": code, "data": {"list": []}}))
