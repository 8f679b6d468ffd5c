"""The Meta (Facebook) adapter: what is asked of the Marketing API and how answers are read.

Everything here is a generator that yields requests (see protocol.py); nothing opens a socket,
reads a clock or knows a table. This module is the front: it checks the question, hands it to
the module that knows the part (facebook_entities, _batch, _insights, _changes) and returns the
verdict. Only GETs and two POSTs exist, and both POSTs only read: a batch of GETs, and an
asynchronous report run.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adsync_dagster.errors import CredentialBlocked, IncompleteRead, TooMuchData
from adsync_dagster.platforms import facebook_usage
from adsync_dagster.platforms.facebook_batch import Item, again, item_headers, read_batches
from adsync_dagster.platforms.facebook_changes import read_changes
from adsync_dagster.platforms.facebook_entities import (
    ACCOUNT_FIELDS,
    FIELDS,
    EntityQuestion,
    listing_edge,
    parse_account,
    parse_entity,
    read_currency,
    read_listing,
)
from adsync_dagster.platforms.facebook_errors import OtherObject, check_response
from adsync_dagster.platforms.facebook_insights import EntityReports, Report, read_report
from adsync_dagster.platforms.facebook_metrics import OMNI_PURCHASE
from adsync_dagster.platforms.facebook_wire import (
    DEFAULT_LIMITS,
    ENTITY_ID,
    Edge,
    ReadLimits,
    account_node,
    read_pages,
    read_with_restarts,
)
from adsync_dagster.platforms.protocol import Credential, Read, Record, Request, Response, Rows
from adsync_dagster.platforms.reading import (
    Tally,
    ask,
    told_apart,
)
from adsync_dagster.records import DateRange, Entity, Level, Platform
from adsync_dagster.settlement import REPORTED_DAYS, SettlementRules

#: Meta revises a day for 28 days and reports 37 months back.
RULES = SettlementRules(window_days=28, margin_days=2, retention_days=REPORTED_DAYS)
_VERSION = re.compile(r"v\d{1,3}\.\d{1,3}", re.ASCII)
_LEVEL_WORDS = {Level.CAMPAIGN: "campaigns", Level.ADSET: "ad sets", Level.AD: "ads"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FacebookAdapter:
    """Implements platforms.protocol.PlatformAdapter for Meta."""

    api_version: str = "v26.0"
    #: The one action_type whose value counts as a conversion (see facebook_metrics).
    conversion_action: str = OMNI_PURCHASE
    rules: SettlementRules = RULES
    limits: ReadLimits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.api_version):
            raise ValueError("a Graph API version looks like v26.0")

    @property
    def key(self) -> Platform:
        return Platform.FACEBOOK

    def headers(self, credential: Credential) -> Mapping[str, str]:
        """`Authorization: Bearer`, so the token is never part of a URL."""
        token = credential.values.get("access_token", "")
        if not token or not token.isascii() or not token.isprintable():
            raise CredentialBlocked("the Meta credential holds no usable access_token")
        return {"Authorization": f"Bearer {token}"}

    def parameters(self, credential: Credential) -> Mapping[str, str]:
        """`appsecret_proof` when the credential holds the app's secret, else nothing.

        The proof is an HMAC of the token: it reveals neither token nor secret, and is worth
        nothing without the token.
        """
        secret = credential.values.get("app_secret")
        if not secret:
            return {}
        token = credential.values.get("access_token", "")
        return {"appsecret_proof": hmac.digest(secret.encode(), token.encode(), "sha256").hex()}

    def may_post(self, path: str) -> bool:
        return path == f"/{self.api_version}/" or (
            re.fullmatch(rf"/{re.escape(self.api_version)}/act_\d+/insights", path) is not None
        )

    def check(self, response: Response) -> None:
        check_response(response)

    def usage_wait_seconds(self, response: Response) -> float:
        """The longest hold-off any usage header asks for; a batch carries them per item."""
        wait = facebook_usage.wait_seconds(response.headers)
        if response.status == 200 and response.body[:1] == b"[":
            for answer in response.json():
                if isinstance(answer, dict):
                    wait = max(wait, facebook_usage.wait_seconds(item_headers(answer)))
        return wait

    def normalise_account_id(self, text: str) -> str:
        return account_node(text)

    def read_accounts(self, started_at: datetime) -> Read:
        tally = Tally(started_at)
        purpose = "ad accounts of the token"
        edge = Edge(
            path=f"/{self.api_version}/me/adaccounts",
            params={"fields": ACCOUNT_FIELDS},
            purpose=purpose,
        )
        yield from read_with_restarts(
            lambda: read_pages(
                edge,
                page_rows=self.limits.entity_page_rows,
                limits=self.limits,
                tally=tally,
                parse=lambda page: [parse_account(row, purpose) for row in page.data],
            ),
            self.limits,
        )
        return tally.verdict()

    def read_account(self, account_id: str, started_at: datetime) -> Read:
        account, tally = account_node(account_id), Tally(started_at)
        purpose = f"account {account}"
        request = Request(
            method="GET",
            path=f"/{self.api_version}/{account}",
            params={"fields": ACCOUNT_FIELDS},
            purpose=purpose,
        )
        info = parse_account((yield from ask(request, tally)).json(), purpose)
        if info.platform_account_id != account:
            raise IncompleteRead(f"{purpose}: the answer describes another account")
        tally.rows = 1
        yield Rows([info])
        return tally.verdict()

    def list_entities(self, account_id: str, level: Level, started_at: datetime) -> Read:
        account, tally = account_node(account_id), Tally(started_at)
        purpose = f"{_LEVEL_WORDS[level]} of account {account}"
        currency = None
        if level is not Level.AD:
            currency = yield from read_currency(account, self.api_version, tally)
        yield from read_listing(
            listing_edge(account, level, self.api_version, purpose),
            EntityQuestion(
                level=level,
                account=account.removeprefix("act_"),
                currency=currency,
                purpose=purpose,
            ),
            self.limits,
            tally,
        )
        return tally.verdict()

    def lookup_entities(
        self, account_id: str, level: Level, ids: Sequence[str], started_at: datetime
    ) -> Read:
        account, tally = account_node(account_id), Tally(started_at)
        distinct, tally.missing_ids = told_apart(ids, ENTITY_ID)
        currency = None
        if level is not Level.AD and distinct:
            currency = yield from read_currency(account, self.api_version, tally)
        work = _LookUp(
            EntityQuestion(
                level=level,
                account=account.removeprefix("act_"),
                currency=currency,
                purpose=f"{_LEVEL_WORDS[level]} of account {account} by id",
            ),
            self.limits,
        )
        items = [Item(entity_id=entity_id) for entity_id in distinct]
        yield from read_batches(items, work, self.api_version, self.limits, tally)
        return tally.verdict()

    def report(self, account_id: str, level: Level, days: DateRange, started_at: datetime) -> Read:
        account, tally = account_node(account_id), Tally(started_at)
        purpose = f"report of {_LEVEL_WORDS[level]} of account {account}"
        report = self._report(account, level, purpose)
        yield from read_report(report, days, self.limits, tally)
        return tally.verdict()

    def report_totals(self, account_id: str, days: DateRange, started_at: datetime) -> Read:
        account, tally = account_node(account_id), Tally(started_at)
        report = self._report(account, None, f"totals of account {account}")
        yield from read_report(report, days, self.limits, tally)
        return tally.verdict()

    def report_entities(
        self,
        account_id: str,
        level: Level,
        ids: Sequence[str],
        days: DateRange,
        started_at: datetime,
    ) -> Read:
        account, tally = account_node(account_id), Tally(started_at)
        distinct, tally.missing_ids = told_apart(ids, ENTITY_ID)
        purpose = f"report of {_LEVEL_WORDS[level]} of account {account} by id"
        work = EntityReports(self._report(account, level, purpose), level, self.limits)
        items = work.items(distinct, days)
        yield from read_batches(items, work, self.api_version, self.limits, tally)
        return tally.verdict()

    def read_change_history(
        self, account_id: str, since: datetime, until: datetime, started_at: datetime
    ) -> Read:
        account, tally = account_node(account_id), Tally(started_at)
        yield from read_changes(
            account, self.api_version, since=since, until=until, limits=self.limits, tally=tally
        )
        return tally.verdict()

    def _report(self, account: str, level: Level | None, purpose: str) -> Report:
        return Report(
            account=account,
            level=level,
            version=self.api_version,
            conversion_action=self.conversion_action,
            purpose=purpose,
        )


@dataclass(frozen=True, slots=True)
class _LookUp:
    """Objects by id, as items of a batch."""

    question: EntityQuestion
    limits: ReadLimits

    @property
    def purpose(self) -> str:
        return self.question.purpose

    def url(self, item: Item) -> tuple[str, Mapping[str, str]]:
        return item.entity_id, {"fields": FIELDS[self.question.level]}

    def parse(self, item: Item, payload: Any) -> tuple[Sequence[Record], Item | None]:
        entity: Entity = parse_entity(payload, self.question)
        if entity.platform_id != item.entity_id:
            raise OtherObject(f"{self.purpose}: the answer describes another object")
        return [entity], None

    def smaller(self, item: Item, error: TooMuchData) -> Sequence[Item]:
        """There is nothing smaller than one object, so it is asked again as it is."""
        return [again(item, error, self.limits)]
