"""Report rows to metrics and totals: echo checks, exact numbers, conversions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from driving import days, row
from hypothesis import given
from hypothesis import strategies as st

from adsync_dagster.errors import IncompleteRead
from adsync_dagster.platforms.facebook_metrics import (
    Question,
    action_value,
    days_of,
    parse_metrics,
    parse_totals,
)
from adsync_dagster.platforms.numbers import decimal_text
from adsync_dagster.records import DailyMetrics, Level

DAY = "2026-11-01"
QUESTION = Question(
    account="501",
    days=days_of(days("2026-11-01", "2026-11-02")),
    conversion_action="omni_purchase",
    purpose="report of ads of account act_501",
)
PURCHASES = [
    {"action_type": "link_click", "value": "180"},
    {"action_type": "purchase", "value": "5"},
    {"action_type": "omni_purchase", "value": "6", "7d_click": "5", "1d_view": "1"},
    {"action_type": "offsite_conversion.fb_pixel_purchase", "value": "4"},
]


def parse(**more: Any) -> DailyMetrics:
    """One ad row with some fields changed; a field set to KeyError is left out."""
    changed = {key: value for key, value in row(DAY, **more).items() if value is not KeyError}
    (metrics,) = parse_metrics([changed], Level.AD, QUESTION)
    return metrics


def test_a_row_becomes_metrics_with_its_texts_untouched() -> None:
    """Numbers stay the platform's text; no float is ever made."""
    assert parse() == DailyMetrics(
        level=Level.AD,
        platform_id="6300001",
        date=DAY,
        campaign_id="6100001",
        adset_id="6200001",
        impressions="10423",
        clicks="215",
        link_clicks="180",
        spend="87.4",
        reach="9020",
        frequency="1.155543",
        conversions="0",
        conversion_value="0",
        extra=None,
    )


@pytest.mark.parametrize(
    ("level", "ids"),
    [
        (Level.CAMPAIGN, ("6100001", None, None)),
        (Level.ADSET, ("6200001", "6100001", None)),
        (Level.AD, ("6300001", "6100001", "6200001")),
    ],
)
def test_each_level_takes_its_own_ids(
    level: Level, ids: tuple[str, str | None, str | None]
) -> None:
    """The entity is the level's own id, its parents are those above it."""
    (metrics,) = parse_metrics([row(DAY)], level, QUESTION)
    assert (metrics.platform_id, metrics.campaign_id, metrics.adset_id) == ids


@pytest.mark.parametrize("field", ["inline_link_clicks", "reach", "frequency"])
def test_what_meta_withholds_is_none(field: str) -> None:
    """Absent is not zero: reach is withheld for old days, link clicks when there are none."""
    metrics = parse(**{field: KeyError})
    name = "link_clicks" if field == "inline_link_clicks" else field
    assert getattr(metrics, name) is None


@pytest.mark.parametrize(
    "field",
    [
        *("impressions", "clicks", "spend", "account_id", "date_start", "date_stop"),
        *("ad_id", "adset_id", "campaign_id"),
    ],
)
@pytest.mark.parametrize("value", [KeyError, None, 7, 7.5, "", "x", [], {}, True])
def test_a_required_field_must_be_there_and_be_what_it_was(field: str, value: object) -> None:
    """Missing, null, empty or of another type: the page is refused and the field named."""
    with pytest.raises(IncompleteRead, match="report of ads"):
        parse(**{field: value})
    if value is KeyError:
        with pytest.raises(IncompleteRead, match=field):
            parse(**{field: value})


@pytest.mark.parametrize("field", ["inline_link_clicks", "reach", "frequency"])
@pytest.mark.parametrize("value", [7, 7.5, 0, False, "", "x", "-1x", [], "NaN"])
def test_an_optional_field_is_a_number_or_absent(field: str, value: object) -> None:
    """An optional field may be missing, but not be something else."""
    with pytest.raises(IncompleteRead):
        parse(**{field: value})


@pytest.mark.parametrize(
    "value", ["-1", "1.5", "1e3", " 5", "5 ", "+5", "\u0665", "5_000", "9" * 19]
)
@pytest.mark.parametrize("field", ["impressions", "clicks", "inline_link_clicks", "reach"])
def test_counters_are_plain_whole_numbers(field: str, value: str) -> None:
    """Signs, points, exponents, spaces, foreign digits and nineteen digits are refused."""
    with pytest.raises(IncompleteRead, match=field):
        parse(**{field: value})


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("0", "0"),
        ("87.4", "87.4"),
        ("0.1", "0.1"),
        ("5339.50", "5339.50"),
        ("-0.00", "-0.00"),
        ("-3.5", "-3.5"),
        ("1e3", "1000"),
        ("1.5E-2", "0.015"),
        ("12.", "12"),
        ("999999999999.999999", "999999999999.999999"),
        ("1000000000", "1000000000"),
    ],
)
def test_money_is_exact_decimal_text(text: str, stored: str) -> None:
    """Every finite decimal arrives exactly, without exponent."""
    spend = parse(spend=text).spend
    assert spend == stored
    assert Decimal(spend) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", "Infinity", "-inf", "sNaN", ".", "-", "1e", "1e999", "1e12", "1,5", "1.2.3"),
        *("0x10", "1_000", " 1", "1\n", "\u0668\u0667.\u0664", "9999999999999", "1" * 5_000),
    ],
)
def test_money_that_is_no_decimal_names_its_field(text: str) -> None:
    """NaN, infinities, separators and numbers too large for the column are refused."""
    with pytest.raises(IncompleteRead, match="spend"):
        parse(spend=text)


def test_counters_may_be_large_and_many() -> None:
    """Long but valid numbers take the careful way and arrive the same."""
    metrics = parse(impressions="9" * 18, clicks="0" * 18, spend="123456789012.123456")
    assert metrics.impressions == "9" * 18
    assert metrics.spend == "123456789012.123456"


@pytest.mark.parametrize(
    "change",
    [
        {"account_id": "777"},
        {"account_id": "act_501"},
        {"date_start": "2026-10-31", "date_stop": "2026-10-31"},
        {"date_start": "2026-11-03", "date_stop": "2026-11-03"},
        {"date_stop": "2026-11-02"},
        {"date_start": ["2026-11-01"]},
    ],
)
def test_rows_of_another_question_are_refused(change: dict[str, Any]) -> None:
    """Another account, a day outside the range, a row over two days: not our answer."""
    with pytest.raises(IncompleteRead):
        parse(**change)


def test_one_page_has_one_currency() -> None:
    """Sums over two currencies would be nonsense."""
    rows = [row(DAY), row("2026-11-02", account_currency="EUR")]
    with pytest.raises(IncompleteRead, match="currency"):
        parse_metrics(rows, Level.AD, QUESTION)


def test_an_empty_page_is_no_rows() -> None:
    """No delivery, no rows."""
    assert parse_metrics([], Level.AD, QUESTION) == []


@pytest.mark.parametrize("rows", [[None], ["row"], [[]], [7]])
def test_rows_that_are_no_objects_are_refused(rows: list[Any]) -> None:
    """Whatever stands in the list, it fails as an incomplete read."""
    with pytest.raises(IncompleteRead):
        parse_metrics(rows, Level.AD, QUESTION)


def test_conversions_are_one_action_type() -> None:
    """The same purchase stands under several types; they are not added up."""
    values = [{"action_type": "omni_purchase", "value": "412.5"}]
    metrics = parse(actions=PURCHASES, action_values=values)
    assert (metrics.conversions, metrics.conversion_value) == ("6", "412.5")
    assert metrics.extra is not None
    assert orjson.loads(metrics.extra) == {"actions": PURCHASES, "action_values": values}


def test_extra_holds_only_what_came() -> None:
    """Absent arrays are not written as empty ones."""
    assert parse(actions=PURCHASES).extra == orjson.dumps({"actions": PURCHASES}).decode()
    assert parse(action_values=[]).extra == '{"action_values":[]}'


@pytest.mark.parametrize(
    ("entries", "wanted", "value"),
    [
        (None, "omni_purchase", "0"),
        ([], "omni_purchase", "0"),
        (PURCHASES, "omni_purchase", "6"),
        (PURCHASES[:2], "omni_purchase", "5"),
        (PURCHASES[3:], "omni_purchase", "0"),
        (PURCHASES, "purchase", "5"),
        (PURCHASES, "lead", "0"),
        (PURCHASES, "link_click", "180"),
        ([{"action_type": "lead", "value": "1.50"}], "lead", "1.50"),
        ([{"action_type": "lead", "value": "1e2"}], "lead", "100"),
    ],
)
def test_only_purchase_stands_in_and_only_for_omni_purchase(
    entries: Any, wanted: str, value: str
) -> None:
    """omni_purchase contains purchase; no other type may replace another."""
    assert action_value(entries, wanted) == value


@pytest.mark.parametrize(
    "entries",
    [
        [{"action_type": "omni_purchase"}],
        [{"action_type": "omni_purchase", "value": 6}],
        [{"action_type": "omni_purchase", "value": "six"}],
        [{"action_type": "omni_purchase", "value": None}],
        [{"value": "6"}],
        ["omni_purchase"],
        {"omni_purchase": "6"},
        7,
    ],
)
def test_actions_of_another_shape_are_refused(entries: Any) -> None:
    """A changed shape of the arrays never becomes zero conversions."""
    with pytest.raises(IncompleteRead):
        parse(actions=entries)


def test_totals_are_numbers() -> None:
    """The account's own totals come as exact numbers with their conversions."""
    total = row(
        DAY, actions=PURCHASES, action_values=[{"action_type": "purchase", "value": "9.99"}]
    )
    (record,) = parse_totals([total], QUESTION)
    assert (record.impressions, record.clicks) == (10423, 215)
    assert record.spend == Decimal("87.4")
    assert (record.conversions, record.conversion_value) == (Decimal(6), Decimal("9.99"))


@pytest.mark.parametrize(
    "change",
    [
        {"account_id": "7"},
        {"date_start": "2026-10-01"},
        {"date_stop": "2026-11-02"},
        {"spend": "NaN"},
        {"clicks": "-1"},
        {"impressions": 5},
    ],
)
def test_totals_are_checked_like_rows(change: dict[str, Any]) -> None:
    """A checksum that is wrong would be worse than none."""
    with pytest.raises(IncompleteRead):
        parse_totals([row(DAY, **change)], QUESTION)
    with pytest.raises(IncompleteRead):
        parse_totals([{}], QUESTION)
    with pytest.raises(IncompleteRead):
        parse_totals([None], QUESTION)


FIELDS = st.sampled_from(
    ["impressions", "clicks", "spend", "reach", "frequency", "inline_link_clicks", "ad_id"]
)
NUMBER = st.from_regex(r"-?[0-9]{0,20}\.?[0-9]{0,8}(e-?[0-9]{1,3})?", fullmatch=True)
VALUES = st.one_of(st.text(max_size=25), NUMBER, st.integers(), st.floats(), st.none())


@given(field=FIELDS, value=VALUES)
def test_whatever_passes_is_a_number_the_warehouse_takes(field: str, value: Any) -> None:
    """No text at all gets past the parser unless Postgres reads it as the column's type."""
    try:
        metrics = parse(**{field: value})
    except IncompleteRead:
        return
    for counter in (metrics.impressions, metrics.clicks, metrics.link_clicks, metrics.reach):
        assert counter is None or (str(counter).isascii() and int(counter) < 2**63)
    for number in (metrics.spend, metrics.frequency, metrics.conversions):
        if number is not None:
            assert Decimal(number).is_finite()
            assert "e" not in str(number).lower()
    assert abs(Decimal(metrics.spend)) < 10**12


@given(
    value=st.decimals(
        allow_nan=False, allow_infinity=False, places=6, min_value=0, max_value=10**11
    )
)
def test_every_amount_survives_exactly(value: Decimal) -> None:
    """What the platform writes is what is stored."""
    assert Decimal(parse(spend=str(value)).spend) == value
    assert Decimal(decimal_text(str(value), "spend")) == value
