"""The TikTok adapter: what is asked of the Business API v1.3 and how answers are read.

Everything here is a generator that yields requests (see protocol.py); nothing opens a socket,
reads a clock or knows a table. This module is the front: it checks the question, hands it to
the module that knows the part (tiktok_entities, _reports) and returns the verdict. Only GETs
and one POST exist, and that one only reads: it creates a report task.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adsync_dagster.errors import AccountBlocked, CredentialBlocked, IncompleteRead, UsageError
from adsync_dagster.platforms.protocol import Credential, Read, Request, Response, Rows
from adsync_dagster.platforms.reading import Part, Tally, ask, compact
from adsync_dagster.platforms.tiktok_entities import (
    ACCOUNT_FIELDS,
    EntityQuestion,
    by_id,
    listing,
    parse_account,
    parse_entities,
)
from adsync_dagster.platforms.tiktok_errors import check_response
from adsync_dagster.platforms.tiktok_reports import (
    TASK_CREATE,
    Report,
    Scope,
    read_report,
    scopes_of,
)
from adsync_dagster.platforms.tiktok_wire import (
    DEFAULT_LIMITS,
    Parsed,
    ReadLimits,
    account_number,
    chunks,
    entity_number,
    path_of,
    read_listing,
)
from adsync_dagster.records import DateRange, Level, Platform
from adsync_dagster.settlement import SettlementRules

#: Conversions are credited to the day of the click for up to 28 days. TikTok names no end of
#: its history; 37 months, as Meta keeps, are more than anybody's dashboards ask for.
RULES = SettlementRules(window_days=28, margin_days=2, retention_days=1123)
#: Conversions by the day of the interaction, and what the purchases among them were worth.
CONVERSION_METRIC = "conversion"
VALUE_METRIC = "total_purchase_value"
_METRIC = re.compile(r"[a-z][a-z0-9_]{0,79}", re.ASCII)
_LEVEL_WORDS = {Level.CAMPAIGN: "campaigns", Level.ADSET: "ad groups", Level.AD: "ads"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TikTokAdapter:
    """Implements platforms.protocol.PlatformAdapter for TikTok."""

    #: The metrics stored as `conversions` and `conversion_value`.
    conversion_metric: str = CONVERSION_METRIC
    value_metric: str = VALUE_METRIC
    rules: SettlementRules = RULES
    limits: ReadLimits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        for name in (self.conversion_metric, self.value_metric):
            if not _METRIC.fullmatch(name):
                raise ValueError("a TikTok metric is named like complete_payment")

    @property
    def key(self) -> Platform:
        return Platform.TIKTOK

    def headers(self, credential: Credential) -> Mapping[str, str]:
        """`Access-Token`, TikTok's own header; the token is never part of a URL."""
        token = credential.values.get("access_token", "")
        if not token or not token.isascii() or not token.isprintable():
            raise CredentialBlocked("the TikTok credential holds no usable access_token")
        return {"Access-Token": token}

    def parameters(self, credential: Credential) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def may_post(self, path: str) -> bool:
        return path == TASK_CREATE

    def check(self, response: Response) -> None:
        check_response(response)

    def usage_wait_seconds(self, response: Response) -> float:  # noqa: ARG002
        """TikTok sends no counters: a breach shows only as an error."""
        return 0.0

    def normalise_account_id(self, text: str) -> str:
        return account_number(text)

    def read_accounts(self, started_at: datetime) -> Read:  # noqa: ARG002
        """TikTok lists a token's advertisers only to who writes the app's secret into a URL.

        That is refused here (URLs end up in logs): advertisers are added by their id.
        """
        raise UsageError(
            "TikTok does not list a token's advertisers without the app's secret in the URL;"
            " add each one by its id with `adsync accounts add --platform tiktok --account ID`"
        )

    def read_account(self, account_id: str, started_at: datetime) -> Read:
        account, tally = account_number(account_id), Tally(started_at)
        purpose = f"advertiser {account}"
        request = Request(
            method="GET",
            path=path_of("advertiser/info"),
            params={
                "advertiser_ids": compact([account]),
                "fields": compact(ACCOUNT_FIELDS),
            },
            purpose=purpose,
        )
        rows = (yield from ask(request, tally)).json()["data"].get("list")
        if not isinstance(rows, list) or len(rows) > 1:
            raise IncompleteRead(f"{purpose}: the answer does not describe one advertiser")
        if not rows:
            raise AccountBlocked(f"TikTok does not show the {purpose} to this token")
        info = parse_account(rows[0], purpose)
        if info.platform_account_id != account:
            raise IncompleteRead(f"{purpose}: the answer describes another advertiser")
        tally.rows = 1
        yield Rows([info])
        return tally.verdict()

    def list_entities(self, account_id: str, level: Level, started_at: datetime) -> Read:
        account, tally = account_number(account_id), Tally(started_at)
        question = EntityQuestion(
            level=level,
            account=account,
            purpose=f"{_LEVEL_WORDS[level]} of advertiser {account}",
        )
        yield from read_listing(
            listing(question), self.limits, tally, lambda rows: parse_entities(rows, question)
        )
        return tally.verdict()

    def lookup_entities(
        self, account_id: str, level: Level, ids: Sequence[str], started_at: datetime
    ) -> Read:
        account, tally = account_number(account_id), Tally(started_at)
        distinct = [entity_number(one) for one in dict.fromkeys(ids)]
        for group in chunks(distinct, self.limits.ids_max):
            yield from self._look_up(account, level, group, tally)
        return tally.verdict()

    def _look_up(self, account: str, level: Level, ids: tuple[str, ...], tally: Tally) -> Part:
        question = EntityQuestion(
            level=level,
            account=account,
            purpose=f"{_LEVEL_WORDS[level]} of advertiser {account} by id",
            ids=frozenset(ids),
        )
        missing = set(ids)

        def parse(rows: list[Any]) -> Parsed:
            parsed = parse_entities(rows, question)
            missing.difference_update(str(key) for key in parsed.keys)
            return parsed

        yield from read_listing(by_id(question, ids), self.limits, tally, parse)
        tally.missing_ids |= missing

    def report(self, account_id: str, level: Level, days: DateRange, started_at: datetime) -> Read:
        account, tally = account_number(account_id), Tally(started_at)
        report = self._report(account, level, f"report of {_LEVEL_WORDS[level]}")
        yield from read_report(report, days, [Scope()], self.limits, tally)
        return tally.verdict()

    def report_totals(self, account_id: str, days: DateRange, started_at: datetime) -> Read:
        account, tally = account_number(account_id), Tally(started_at)
        report = self._report(account, None, "totals")
        yield from read_report(report, days, [Scope()], self.limits, tally)
        return tally.verdict()

    def report_entities(
        self,
        account_id: str,
        level: Level,
        ids: Sequence[str],
        days: DateRange,
        started_at: datetime,
    ) -> Read:
        """As the protocol says. A report names no missing ids: what is unknown has no rows."""
        account, tally = account_number(account_id), Tally(started_at)
        report = self._report(account, level, f"report of {_LEVEL_WORDS[level]} by id")
        scopes = scopes_of(level, list(dict.fromkeys(ids)), self.limits)
        yield from read_report(report, days, scopes, self.limits, tally)
        return tally.verdict()

    def read_change_history(
        self,
        account_id: str,
        since: datetime,  # noqa: ARG002
        until: datetime,  # noqa: ARG002
        started_at: datetime,
    ) -> Read:
        """No hints, and no request.

        TikTok's change log comes as text whose columns of old and new values are not
        documented and that its own SDK does not read. It is not needed to find entities
        either: unlike Meta's, these lists show what was created and deleted between two syncs.
        """
        account_number(account_id)
        return Tally(started_at).verdict()
        yield

    def _report(self, account: str, level: Level | None, words: str) -> Report:
        return Report(
            account=account,
            level=level,
            conversion_metric=self.conversion_metric,
            value_metric=self.value_metric,
            purpose=f"{words} of advertiser {account}",
        )
