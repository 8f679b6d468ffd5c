"""Bugs to be planted in the adapters of TikTok and Google Ads, as connectors of theirs have them.

And bugs of the engine that have to be seen on accounts of those platforms as well.
"""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from simulation.mutants import (
    MUTANTS,
    Mutant,
)

from adsync_dagster.errors import IncompleteRead, TooMuchData
from adsync_dagster.platforms import (
    google_ads,
    google_ads_accounts,
    google_ads_entities,
    google_ads_metrics,
    google_ads_wire,
    tiktok,
    tiktok_entities,
    tiktok_errors,
    tiktok_metrics,
    tiktok_reports,
    tiktok_wire,
)
from adsync_dagster.platforms.protocol import Rows
from adsync_dagster.platforms.reading import ask
from adsync_dagster.platforms.tiktok_statuses import Statuses
from adsync_dagster.records import AccountInfo
from adsync_dagster.sync import final_sync

#: Seeds of accounts of that platform alone.
TIKTOK = (28, 35, 33, 41, 50, 100, 29, 47, 53, 62, 83, 8)
GOOGLE_ADS = (61, 16, 68, 37, 60, 98, 111, 32, 93, 118, 9)


def _lists_hide_the_deleted() -> list[Any]:
    return [patch.object(tiktok_entities, "STATUS_ALL", "STATUS_NOT_DELETE")]


def _reports_hide_the_deleted() -> list[Any]:
    return [patch.object(tiktok_reports, "STATUS_ALL", "STATUS_NOT_DELETE")]


def _truncation_goes_unnoticed() -> list[Any]:
    return [patch.object(tiktok_errors, "THROTTLE_HEADER", "x-nobody-sends-this")]


def _first_page_of_reports_only() -> list[Any]:
    def first_page(query: Any, limits: Any, tally: Any, parse: Any) -> Any:
        payload = (yield from ask(query.request(1, limits.page_rows), tally)).json()
        parsed = parse(payload["data"]["list"])
        tally.rows += len(parsed.records)
        if parsed.records:
            yield Rows(parsed.records)

    return [patch.object(tiktok_reports, "read_whole", first_page)]


def _shrinking_totals_are_believed() -> list[Any]:
    """Pages by number without a look at how many rows there should be."""
    return [
        patch.object(tiktok_wire._Pass, "count", lambda *_: None),
        patch.object(tiktok_wire._Pass, "prove", lambda *_: None),
        patch.object(final_sync, "_vanished", lambda *_: set()),
    ]


def _errors_are_empty_lists() -> list[Any]:
    """HTTP 200 is taken for success, and what holds no page for a page without rows."""
    real = tiktok_wire._page_of

    def lenient(data: Any, *rest: Any) -> Any:
        return real(data, *rest) if data.get("page_info") else tiktok_wire._Page([], 0)

    def only_http(response: Any) -> None:
        if response.status != 200:
            tiktok_errors.check_response(response)

    return [
        patch.object(tiktok_wire, "_page_of", lenient),
        patch.object(tiktok, "check_response", only_http),
        patch.object(final_sync, "_vanished", lambda *_: set()),
    ]


def _switch_without_its_parents() -> list[Any]:
    real = tiktok_entities.statuses_of

    def own(*question: Any) -> Statuses:
        statuses = real(*question)
        return statuses._replace(effective=statuses.own)

    return [patch.object(tiktok_entities, "statuses_of", own)]


def _posix_zone_with_the_wrong_sign() -> list[Any]:
    real = tiktok.parse_account
    signs = str.maketrans("+-", "-+")

    def turned(*question: Any) -> AccountInfo:
        info = real(*question)
        name = info.timezone
        return replace(info, timezone=name.translate(signs) if name.startswith("Etc/") else name)

    return [patch.object(tiktok, "parse_account", turned)]


def _cut_task_is_whole() -> list[Any]:
    """Nothing shows where a task's text ends: a value cut short is taken for a shorter one."""

    def plain(body: bytes, question: Any, _columns: Any) -> Any:
        identity = (tiktok_metrics.ID_DIMENSIONS[question.level], tiktok_metrics.DAY_DIMENSION)
        for named in csv.DictReader(io.StringIO(body.decode())):
            if None not in named.values():
                yield {"dimensions": {name: named[name] for name in identity}, "metrics": named}

    return [
        patch.object(tiktok_reports, "END_COLUMN", "spend"),
        patch.object(tiktok_reports, "rows_of_csv", plain),
    ]


def _silence_of_a_task_is_proof() -> list[Any]:
    """A report by id that times out goes to a task whole, and what that hides has no numbers."""

    def whole(piece: Any) -> Any:
        return [piece._replace(by_task=True)]

    def nothing(*_: Any) -> Any:
        yield from ()

    return [
        patch.object(tiktok_reports, "_fewer_ids", whole),
        patch.object(tiktok_reports._Reading, "_miss_hidden", nothing),
    ]


def _removed_left_out_of_lists() -> list[Any]:
    real = google_ads_entities.listing

    def living(level: Any, *rest: Any) -> Any:
        question = real(level, *rest)
        condition = f"{google_ads_entities.RESOURCES[level]}.status != 'REMOVED'"
        return replace(question, conditions=(*question.conditions, condition))

    return [patch.object(google_ads, "listing", living)]


def _removed_left_out_of_reports() -> list[Any]:
    real = google_ads_metrics.report

    def living(level: Any, *rest: Any) -> Any:
        question = real(level, *rest)
        condition = f"{google_ads_entities.RESOURCES[level]}.status != 'REMOVED'"
        return replace(question, conditions=(*question.conditions, condition))

    return [patch.object(google_ads_metrics, "report", living)]


def _rows_of_a_broken_stream_are_kept() -> list[Any]:
    def keeping(customer: Any, question: Any, parse: Any, tally: Any) -> Any:
        try:
            yield from google_ads_wire._stream(customer, question, parse, tally)
        except TooMuchData:
            raise
        except IncompleteRead:
            return

    return [
        patch.object(google_ads, "read_rows", keeping),
        patch.object(final_sync, "_vanished", lambda *_: set()),
    ]


def _first_chunk_only() -> list[Any]:
    def first(customer: Any, question: Any, parse: Any, tally: Any) -> Any:
        tally.requests += 1
        response = yield customer.request(question)
        rows = [] if response is None else response.json().get("results", [])
        records: Sequence[Any] = google_ads_wire.proven(question, parse, rows)
        if records:
            yield Rows(records)

    return [
        patch.object(google_ads, "read_rows", first),
        patch.object(final_sync, "_vanished", lambda *_: set()),
    ]


def _micros_through_a_float() -> list[Any]:
    def single(value: Any, _name: str) -> str:
        (amount,) = struct.unpack("f", struct.pack("f", int(value) / 1_000_000))
        return format(Decimal(amount).quantize(Decimal("0.000001")), "f")

    return [patch.object(google_ads_metrics, "micros", single)]


def _whole_conversions() -> list[Any]:
    return [patch.object(google_ads_metrics, "double", lambda value, _name: str(int(value)))]


def _thirty_days_for_everybody() -> list[Any]:
    def thirty(*_: Any) -> Any:
        return 30
        yield

    return [
        patch.object(google_ads_accounts, "_longest_window", thirty),
        patch.object(google_ads_accounts, "WINDOW_DAYS_MAX", 30),
    ]


def _ads_by_their_bare_id() -> list[Any]:
    real = google_ads_entities.key_of

    def bare(row: Any, level: Any) -> Any:
        key, *parents = real(row, level)
        return (key.rpartition("~")[2], *parents)

    return [
        patch.object(google_ads_entities, "key_of", bare),
        patch.object(google_ads_metrics, "key_of", bare),
    ]


def _performance_max_forgotten() -> list[Any]:
    def none(*_: Any) -> Any:
        return {}
        yield

    return [patch.object(google_ads.GoogleAdsAdapter, "_campaigns_only", none)]


def _shared(name: str, platform: str, seeds: tuple[int, ...]) -> Mutant:
    """A bug of the engine, to be seen on another platform's accounts."""
    mutant = next(one for one in MUTANTS if one.name == name)
    return Mutant(f"{name}_on_{platform}", mutant.patches, seeds, rules=mutant.rules)


PLATFORM_MUTANTS = (
    Mutant("tiktok_lists_hide_the_deleted", _lists_hide_the_deleted, TIKTOK, rules="O12"),
    Mutant("tiktok_reports_hide_the_deleted", _reports_hide_the_deleted, TIKTOK, rules="O1 O2 O7"),
    Mutant(
        "tiktok_truncation_goes_unnoticed", _truncation_goes_unnoticed, (41, *TIKTOK), rules="O1"
    ),
    Mutant("tiktok_first_page_of_reports_only", _first_page_of_reports_only, TIKTOK, rules="O1 O7"),
    Mutant(
        "tiktok_shrinking_totals_are_believed",
        _shrinking_totals_are_believed,
        (5, 8, 259, 212, 176, 373),
        rules="O2",
    ),
    Mutant("tiktok_errors_are_empty_lists", _errors_are_empty_lists, TIKTOK, rules="O7"),
    Mutant(
        "tiktok_switch_without_its_parents", _switch_without_its_parents, TIKTOK, rules="O3 O12"
    ),
    Mutant(
        "tiktok_posix_zone_with_the_wrong_sign",
        _posix_zone_with_the_wrong_sign,
        (62, *TIKTOK),
        rules="O6 O11",
    ),
    Mutant(
        "tiktok_cut_task_is_whole",
        _cut_task_is_whole,
        (100, 50),
        ("report_task_cut_within_its_last_value",),
        rules="O4",
    ),
    Mutant(
        "tiktok_silence_of_a_task_is_proof",
        _silence_of_a_task_is_proof,
        TIKTOK,
        ("report_task_hides_the_deleted",),
        rules="O2",
    ),
    Mutant("google_removed_left_out_of_lists", _removed_left_out_of_lists, GOOGLE_ADS, rules="O12"),
    Mutant(
        "google_removed_left_out_of_reports", _removed_left_out_of_reports, GOOGLE_ADS, rules="O7"
    ),
    Mutant(
        "google_rows_of_a_broken_stream_are_kept",
        _rows_of_a_broken_stream_are_kept,
        (98, *GOOGLE_ADS),
        rules="O2",
    ),
    Mutant("google_first_chunk_only", _first_chunk_only, (16, *GOOGLE_ADS), rules="O7 O12"),
    Mutant(
        "google_micros_through_a_float",
        _micros_through_a_float,
        (68, *GOOGLE_ADS),
        rules="O1 O2 O7",
    ),
    Mutant("google_whole_conversions", _whole_conversions, (68, *GOOGLE_ADS), rules="O1 O2 O7"),
    Mutant("google_thirty_days_for_everybody", _thirty_days_for_everybody, GOOGLE_ADS, rules="O6"),
    Mutant("google_ads_by_their_bare_id", _ads_by_their_bare_id, GOOGLE_ADS, rules="O4 O12"),
    Mutant("google_performance_max_forgotten", _performance_max_forgotten, GOOGLE_ADS, rules="O7"),
    *(
        _shared(name, platform, seeds)
        for name, platform, seeds in (
            ("done_without_metrics", "tiktok", (47, *TIKTOK)),
            ("done_without_metrics", "google_ads", (68, *GOOGLE_ADS)),
            ("final_sync_of_two_days", "tiktok", (47, *TIKTOK)),
            ("final_sync_of_two_days", "google_ads", (68, *GOOGLE_ADS)),
            ("sealed_after_a_week", "tiktok", (28, *TIKTOK)),
            ("sealed_after_a_week", "google_ads", (61, *GOOGLE_ADS)),
            ("no_descendants", "tiktok", (47, *TIKTOK)),
            ("days_of_utc", "tiktok", (108, *TIKTOK)),
        )
    ),
)
