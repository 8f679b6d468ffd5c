"""The Google Ads adapter: what is asked of the API (REST) and how its answers are read.

Everything here is a generator that yields requests (see protocol.py); nothing opens a socket,
reads a clock or knows a table. This module is the front: it checks the question, hands it to
the module that knows the part (google_ads_accounts, _entities, _metrics, _changes) and returns
the verdict. One read is one question per level and period, because a question with all of its
rows counts as one operation of a daily quota. The only POSTs are questions.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from adsync_dagster.calendar import split_range
from adsync_dagster.errors import CredentialBlocked, IncompleteRead, TooMuchData
from adsync_dagster.platforms import google_ads_metrics as metrics
from adsync_dagster.platforms.google_ads_accounts import WINDOW_DAYS_MAX, find_accounts, read_info
from adsync_dagster.platforms.google_ads_changes import read_changes
from adsync_dagster.platforms.google_ads_entities import (
    KEYS,
    RESOURCES,
    by_id,
    key_of,
    listing,
    parse_entities,
)
from adsync_dagster.platforms.google_ads_errors import check_response
from adsync_dagster.platforms.google_ads_wire import (
    DEFAULT_LIMITS,
    ENTITY_IDS,
    Customer,
    Question,
    ReadLimits,
    Row,
    WrongAnswer,
    chunks,
    customer_id,
    fetch_rows,
    proven,
    read_rows,
)
from adsync_dagster.platforms.protocol import Credential, Read, Record, Response, Rows, Step
from adsync_dagster.platforms.reading import Part, Tally, shortened, told_apart
from adsync_dagster.records import DateRange, DayAmounts, Level, Platform
from adsync_dagster.settlement import REPORTED_DAYS, SettlementRules

#: An account's own longest conversion window decides when it is known, up to this. Google
#: reports days for 37 months back.
RULES = SettlementRules(window_days=WINDOW_DAYS_MAX, margin_days=3, retention_days=REPORTED_DAYS)
_VERSION = re.compile(r"v\d{1,3}", re.ASCII)
_LEVEL_WORDS = {Level.CAMPAIGN: "campaigns", Level.ADSET: "ad groups", Level.AD: "ads"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleAdsAdapter:
    """Implements platforms.protocol.PlatformAdapter for Google Ads."""

    api_version: str = "v26"
    rules: SettlementRules = RULES
    limits: ReadLimits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.api_version):
            raise ValueError("a Google Ads API version looks like v26")

    @property
    def key(self) -> Platform:
        return Platform.GOOGLE_ADS

    def headers(self, credential: Credential) -> Mapping[str, str]:
        """The access token, and the developer token and manager's id when they are set.

        Google ignores developer tokens since September 2026, and will refuse them one day.
        """
        token = credential.values.get("access_token", "")
        if not token or not token.isascii() or not token.isprintable():
            raise CredentialBlocked(
                "the Google Ads credential holds no refresh_token, or none that gives a usable"
                " access token"
            )
        headers = {"Authorization": f"Bearer {token}"}
        developer, manager = (
            credential.values.get(name, "") for name in ("developer_token", "login_customer_id")
        )
        if developer:
            headers["developer-token"] = developer
        if manager:
            headers["login-customer-id"] = customer_id(manager)
        return headers

    def parameters(self, credential: Credential) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def may_post(self, path: str) -> bool:
        pattern = rf"/{self.api_version}/customers/\d+/googleAds:search(Stream)?"
        return re.fullmatch(pattern, path, re.ASCII) is not None

    def check(self, response: Response) -> None:
        check_response(response)

    def usage_wait_seconds(self, response: Response) -> float:  # noqa: ARG002
        """Google tells nothing of its quotas before one is used up."""
        return 0.0

    def normalise_account_id(self, text: str) -> str:
        return customer_id(text)

    def read_accounts(self, started_at: datetime) -> Read:
        tally = Tally(started_at)
        found = yield from find_accounts(self.api_version, self.limits, tally)
        tally.rows = len(found)
        if found:
            yield Rows(found)
        return tally.verdict()

    def read_account(self, account_id: str, started_at: datetime) -> Read:
        customer, tally = self._customer(account_id), Tally(started_at)
        info = yield from read_info(customer, tally)
        tally.rows = 1
        yield Rows([info])
        return tally.verdict()

    def list_entities(self, account_id: str, level: Level, started_at: datetime) -> Read:
        customer, tally = self._customer(account_id), Tally(started_at)
        purpose = f"{_LEVEL_WORDS[level]} of account {customer.account}"
        parse = partial(parse_entities, level=level, account=customer.account)
        yield from read_rows(customer, listing(level, purpose), parse, tally)
        return tally.verdict()

    def lookup_entities(
        self, account_id: str, level: Level, ids: Sequence[str], started_at: datetime
    ) -> Read:
        customer, tally = self._customer(account_id), Tally(started_at)
        purpose = f"{_LEVEL_WORDS[level]} of account {customer.account} by id"
        found: set[str] = set()
        distinct, tally.missing_ids = told_apart(ids, ENTITY_IDS[level])
        wanted = frozenset(distinct)

        def parse(rows: list[Row]) -> Sequence[Record]:
            entities = [
                entity
                for entity in parse_entities(rows, level, customer.account)
                if entity.platform_id in wanted
            ]
            found.update(entity.platform_id for entity in entities)
            return entities

        for some in chunks(sorted(wanted), self.limits.ids_max):
            yield from read_rows(customer, listing(level, purpose, some), parse, tally)
        tally.missing_ids |= wanted - found
        return tally.verdict()

    def report(self, account_id: str, level: Level, days: DateRange, started_at: datetime) -> Read:
        customer, tally = self._customer(account_id), Tally(started_at)
        yield from self._report(customer, level, days, None, tally)
        return tally.verdict()

    def report_totals(self, account_id: str, days: DateRange, started_at: datetime) -> Read:
        """Each day also says how much of it only campaigns show (Performance Max)."""
        customer, tally = self._customer(account_id), Tally(started_at)
        purpose = f"totals of account {customer.account}"
        for piece in split_range(days, self.limits.days_max):
            asked = metrics.asked(customer.account, piece)
            only = yield from self._campaigns_only(customer, piece, tally)
            parse = partial(metrics.parse_totals, question=asked, only=only)
            yield from read_rows(customer, metrics.totals(piece, purpose), parse, tally)
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
        customer, tally = self._customer(account_id), Tally(started_at)
        distinct, tally.missing_ids = told_apart(ids, ENTITY_IDS[level])
        for some in chunks(sorted(distinct), self.limits.ids_max):
            tally.missing_ids |= yield from self._unknown(customer, level, some, tally)
            yield from self._report(customer, level, days, tuple(some), tally)
        return tally.verdict()

    def read_change_history(
        self, account_id: str, since: datetime, until: datetime, started_at: datetime
    ) -> Read:
        customer, tally = self._customer(account_id), Tally(started_at)
        yield from read_changes(customer, since=since, until=until, tally=tally)
        return tally.verdict()

    def _customer(self, account_id: str) -> Customer:
        return Customer(
            account=customer_id(account_id), version=self.api_version, limits=self.limits
        )

    def _report(
        self,
        customer: Customer,
        level: Level,
        days: DateRange,
        ids: tuple[str, ...] | None,
        tally: Tally,
    ) -> Part:
        """Rows of a level, oldest piece first; what is too much or breaks off comes in halves,
        and so does what follows."""
        purpose = f"report of {_LEVEL_WORDS[level]} of account {customer.account}"
        chosen = None if ids is None else frozenset(ids)
        pieces = split_range(days, self.limits.days_max)[::-1]
        while pieces:
            piece = pieces.pop()
            asked = metrics.asked(customer.account, piece, chosen)
            parse = partial(metrics.parse_metrics, level=level, question=asked)
            question = metrics.report(level, piece, purpose, ids)
            try:
                yield from read_rows(customer, question, parse, tally)
            except WrongAnswer:
                raise
            except (TooMuchData, IncompleteRead):
                if piece.days == 1:
                    raise
                pieces = shortened(piece, reversed(pieces))[::-1]

    def _campaigns_only(
        self, customer: Customer, days: DateRange, tally: Tally
    ) -> Generator[Step, Response | None, dict[str, DayAmounts]]:
        purpose = f"numbers without ads of account {customer.account}"
        question = metrics.campaigns_only(days, purpose)
        rows = yield from fetch_rows(customer, question, tally)
        asked = metrics.asked(customer.account, days)
        return proven(question, partial(metrics.sum_by_day, question=asked), rows)

    def _unknown(
        self, customer: Customer, level: Level, ids: Sequence[str], tally: Tally
    ) -> Generator[Step, Response | None, set[str]]:
        """Those of the ids that Google does not know."""
        question = Question(
            fields=KEYS[level],
            resource=RESOURCES[level],
            conditions=by_id(level, ids),
            purpose=f"{_LEVEL_WORDS[level]} of account {customer.account} by id",
        )
        rows = yield from fetch_rows(customer, question, tally)
        known = proven(question, lambda rows: {key_of(row, level)[0] for row in rows}, rows)
        return set(ids) - known
