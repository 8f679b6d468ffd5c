"""The TikTok adapter: what is asked of the Business API v1.3 and how answers are read.

Everything here is a generator that yields requests (see protocol.py); nothing opens a socket,
reads a clock or knows a table. This module is the front: it checks the question, hands it to
the module that knows the part (tiktok_entities, _reports) and returns the verdict. Only GETs
and one POST exist, and that one only reads: it creates a report task.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adsync_dagster.errors import (
    AccountBlocked,
    CredentialBlocked,
    IncompleteRead,
    PermissionBlocked,
    UsageError,
)
from adsync_dagster.platforms.protocol import (
    Credential,
    Read,
    Request,
    Response,
    Rows,
    SecretMissing,
    Step,
)
from adsync_dagster.platforms.reading import Part, Tally, ask, compact, told_apart
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
    ENTITY_ID,
    Parsed,
    ReadLimits,
    account_number,
    chunks,
    path_of,
    read_listing,
)
from adsync_dagster.records import AccountInfo, DateRange, Level, Platform
from adsync_dagster.settlement import REPORTED_DAYS, SettlementRules

#: Conversions are credited to the day of the click for up to 28 days. TikTok names no end of
#: its history; 37 months, as Meta keeps, are more than anybody's dashboards ask for.
RULES = SettlementRules(window_days=28, margin_days=2, retention_days=REPORTED_DAYS)
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

    def read_accounts(self, started_at: datetime) -> Read:
        """The token's advertisers, which TikTok lists to whoever shows the app's secret.

        It wants the secret in the query, so this is the one request that ever holds it: it is
        taken from the credential in hand, is never stored, and no log line holds a query.
        UsageError when the credential has none.
        """
        tally = Tally(started_at)
        ids = yield from self._advertisers(tally)
        for group in chunks(ids, self.limits.ids_max):
            infos = yield from self._describe(group, tally)
            tally.rows += len(infos)
            if infos:
                yield Rows(infos)
        return tally.verdict()

    def _advertisers(self, tally: Tally) -> Generator[Step, Response | None, list[str]]:
        request = Request(
            method="GET",
            path=path_of("oauth2/advertiser/get"),
            purpose="advertisers of the token",
            secret_params=("app_id", "secret"),
        )
        try:
            rows = (yield from ask(request, tally)).json()["data"].get("list")
        except SecretMissing:
            rows = None
        else:
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise IncompleteRead(f"{request.purpose}: the answer holds no list")
        if rows is None:
            raise UsageError(
                "TikTok lists a token's advertisers only with the app's id and secret: give the"
                " credential as a JSON object with access_token, app_id and secret (the secret is"
                " used once and not stored), or add one advertiser with --account ID"
            )
        return [account_number(str(row.get("advertiser_id", ""))) for row in rows]

    def _describe(
        self, ids: Sequence[str], tally: Tally
    ) -> Generator[Step, Response | None, list[AccountInfo]]:
        """These advertisers; one that the token may not read is asked for alone and left out."""
        purpose = f"{len(ids)} advertisers" if len(ids) > 1 else f"advertiser {ids[0]}"
        request = _info_request(ids, purpose)
        try:
            rows = (yield from ask(request, tally)).json()["data"].get("list")
        except (PermissionBlocked, AccountBlocked):
            rows = None
        if rows is None and len(ids) == 1:
            return [_hidden(ids[0])]
        if rows is None:
            infos = []
            for one in ids:
                infos += yield from self._describe([one], tally)
            return infos
        if not isinstance(rows, list):
            raise IncompleteRead(f"{purpose}: the answer holds no list")
        found = {
            info.platform_account_id: info for info in (parse_account(row, purpose) for row in rows)
        }
        return [found.get(one) or _hidden(one) for one in ids]

    def read_account(self, account_id: str, started_at: datetime) -> Read:
        account, tally = account_number(account_id), Tally(started_at)
        purpose = f"advertiser {account}"
        request = _info_request([account], purpose)
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
        distinct, tally.missing_ids = told_apart(ids, ENTITY_ID)
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
        """By id. An entity without rows is looked up, to tell "no numbers" from "unknown"."""
        account, tally = account_number(account_id), Tally(started_at)
        distinct, tally.missing_ids = told_apart(ids, ENTITY_ID)
        report = self._report(account, level, f"report of {_LEVEL_WORDS[level]} by id")
        scopes = scopes_of(level, distinct, self.limits)
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


def _info_request(ids: Sequence[str], purpose: str) -> Request:
    return Request(
        method="GET",
        path=path_of("advertiser/info"),
        params={"advertiser_ids": compact(list(ids)), "fields": compact(ACCOUNT_FIELDS)},
        purpose=purpose,
    )


def _hidden(account: str) -> AccountInfo:
    """An advertiser that is listed, but not shown."""
    return AccountInfo(
        platform_account_id=account,
        name="",
        currency="",
        timezone="",
        status="",
        readable=False,
        trouble="is listed, but this token may not read it",
    )
