"""The Google Ads client against the simulated API on a real port.

A read either ends with exactly what the ledger holds, or it raises: whatever the wire does,
there is no third outcome. Truth is taken from the world, never from the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from conformance import truths
from conformance.truths import entities, metrics

from adsync_dagster.clock import VirtualClock
from adsync_dagster.conformance.truth import Facts, Key, amounts_of
from adsync_dagster.errors import (
    AccountBlocked,
    AdsyncError,
    Blocked,
    CredentialBlocked,
    PermissionBlocked,
    PlatformBusy,
    Retryable,
)
from adsync_dagster.platforms.google_ads import GoogleAdsAdapter
from adsync_dagster.platforms.google_ads_oauth import GoogleGrant
from adsync_dagster.platforms.google_ads_wire import ReadLimits
from adsync_dagster.platforms.protocol import Credential, Read
from adsync_dagster.records import (
    LEVELS,
    AccountInfo,
    ChangeHint,
    DateRange,
    DayAmounts,
    DayTotals,
    Level,
)
from adsync_dagster.simulator.google_ads import GoogleAdsWire
from adsync_dagster.simulator.google_ads_auth import RefreshToken
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.world import World
from adsync_dagster.transport import PlatformClient, TransportLimits
from adsync_dagster.transport.access import AccessTokens, GrantedCredential

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
SHORT = DateRange(since=date(2026, 3, 7), until=date(2026, 3, 10))
LONG = DateRange(since=date(2026, 2, 20), until=date(2026, 3, 10))
ACCOUNT = "5015015011"
LIMITS = TransportLimits(read_seconds=2.0, request_seconds=4.0, response_bytes_max=4_000_000)
VALUES = {"client_id": "c", "client_secret": "s", "refresh_token": "sim_refresh"}


@dataclass
class Stand:
    """A served world and a client of it."""

    world: World
    simulator: RunningSimulator
    clock: VirtualClock
    tokens: AccessTokens
    client: PlatformClient

    @property
    def adapter(self) -> GoogleAdsAdapter:
        assert isinstance(self.client.adapter, GoogleAdsAdapter)
        return self.client.adapter

    @property
    def wire(self) -> GoogleAdsWire:
        return self.simulator.simulator.google_ads

    def arm(self, name: str, **options: Any) -> None:
        self.simulator.simulator.faults.arm(name, **options)

    def read(self, read: Read) -> list[Any]:
        """The records of a read."""
        return self.client.rows(read)[0]

    def as_(self, adapter: GoogleAdsAdapter | None = None, **values: str) -> PlatformClient:
        """A client with another adapter or other values in its credential."""
        grant = GoogleGrant()
        credential = Credential({**VALUES, **values})
        tokens = self.tokens
        if "refresh_token" in values:
            tokens = AccessTokens(grant, f"{self.simulator.base_url}/token", credential, self.clock)
        return PlatformClient(
            adapter or self.adapter,
            self.simulator.base_url,
            GrantedCredential(grant, credential, tokens),
            self.clock,
            limits=LIMITS,
        )

    def ids(self, level: Level, *, shown: bool = True) -> list[str]:
        """Every entity of a level that ever was, as far as Google shows it."""
        pmax = self.performance_max() if shown and level is not Level.CAMPAIGN else set()
        return [
            entity.id
            for entity in self.world.entities(ACCOUNT, level.value)
            if entity.campaign_id not in pmax
        ]

    def performance_max(self) -> set[str]:
        campaigns = self.world.account(ACCOUNT).entities["campaign"].values()
        return {one.id for one in campaigns if one.traits.get("channel_type")}


@pytest.fixture
def stand() -> Iterator[Stand]:
    """An account with paused and removed entities, one Performance Max campaign, 20 days."""
    clock = VirtualClock(NOW)
    world = World(seed=11, clock=clock)
    world.add_google_ads_account(
        ACCOUNT, campaigns=5, adsets=12, ads=40, history_days=20, performance_max=1
    )
    with serve(world) as simulator:
        simulator.simulator.google_ads.settings.stream_chunk_rows = 17
        grant, credential = GoogleGrant(), Credential(VALUES)
        tokens = AccessTokens(grant, f"{simulator.base_url}/token", credential, clock)
        client = PlatformClient(
            GoogleAdsAdapter(),
            simulator.base_url,
            GrantedCredential(grant, credential, tokens),
            clock,
            limits=LIMITS,
        )
        yield Stand(world, simulator, clock, tokens, client)
        client.close()


def entity_truth(stand: Stand, level: Level) -> dict[str, Facts]:
    """Everything that Google lists, removed or not."""
    shown = set(stand.ids(level))
    facts = truths.entity_truth(stand.world, ACCOUNT, level)
    return {key: one for key, one in facts.items() if key in shown}


def metrics_truth(
    stand: Stand, level: Level, days: DateRange, ids: set[str] | None = None
) -> dict[Key, DayAmounts]:
    return truths.metrics_truth(stand.world, ACCOUNT, level, days, ids)


def truth_at(stand: Stand, level: Level, days: DateRange) -> dict[Key, DayAmounts]:
    return metrics_truth(stand, level, days, set(stand.ids(level)))


@pytest.mark.parametrize("level", LEVELS)
def test_a_listing_shows_everything_that_ever_was(stand: Stand, level: Level) -> None:
    """Paused and removed entities included, over many chunks; statuses as the world has them."""
    records = stand.read(stand.adapter.list_entities(ACCOUNT, level, NOW))
    assert entities(records) == entity_truth(stand, level)
    assert any("DELETED" in (record.status, record.effective_status) for record in records)


@pytest.mark.parametrize("days", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("level", LEVELS)
def test_a_report_shows_what_the_ledger_holds(stand: Stand, level: Level, days: DateRange) -> None:
    """Rows of everything, removed entities included; none of ads under Performance Max."""
    records = stand.read(stand.adapter.report(ACCOUNT, level, days, NOW))
    assert metrics(records) == truth_at(stand, level, days)
    assert records


def test_totals_are_those_of_the_ledger(stand: Stand) -> None:
    """The account's own totals, and beside them what only Performance Max campaigns show."""
    records = stand.read(stand.adapter.report_totals(ACCOUNT, LONG, NOW))
    seen = {record.date: record for record in records if isinstance(record, DayTotals)}
    (pmax,) = stand.performance_max()
    for ordinal in range(LONG.since.toordinal(), LONG.until.toordinal() + 1):
        day = date.fromordinal(ordinal)
        truth = amounts_of(stand.world.ledger.account_total(ACCOUNT, day))
        only = amounts_of(stand.world.ledger.value("campaign", pmax, day))
        record = seen[day]
        assert (record.impressions, record.clicks) == truth[:2]
        assert (record.spend, record.conversions, record.conversion_value) == truth[2:]
        assert tuple(record.campaigns_only or (0,) * 5) == only


def test_shared_credit_is_read_exactly(stand: Stand) -> None:
    """A third of a conversion stays a third, at every level and in the totals."""
    stand.wire.settings.conversion_credit_micros = 333_333
    third = Decimal("0.333333")
    records = stand.read(stand.adapter.report(ACCOUNT, Level.CAMPAIGN, LONG, NOW))
    truth = truth_at(stand, Level.CAMPAIGN, LONG)
    assert {key: numbers[3] for key, numbers in metrics(records).items()} == {
        key: numbers[3] * third for key, numbers in truth.items()
    }
    totals = stand.read(stand.adapter.report_totals(ACCOUNT, LONG, NOW))
    assert sum(total.conversions for total in totals) == sum(
        numbers[3] * third for numbers in truth.values()
    )


@pytest.mark.parametrize("spelling", ["chunk", "array"])
def test_nothing_is_nothing_in_both_spellings(stand: Stand, spelling: Any) -> None:
    """An empty stream is complete, as a chunk without results and as an empty array."""
    stand.wire.settings.empty_stream = spelling
    stand.world.add_google_ads_account("6016016011", campaigns=0, adsets=0, ads=0, history_days=3)
    for read in (
        stand.adapter.list_entities("6016016011", Level.AD, NOW),
        stand.adapter.report("6016016011", Level.AD, SHORT, NOW),
        stand.adapter.report_totals("6016016011", SHORT, NOW),
    ):
        records, verdict = stand.client.rows(read)
        assert (records, verdict.row_count) == ([], 0)


def test_an_account_says_how_long_its_days_move(stand: Stand) -> None:
    """The longest conversion window counts; one that a manager keeps is not known: the longest."""
    setup = stand.wire.setup(ACCOUNT)

    def info() -> AccountInfo:
        (record,) = stand.read(stand.adapter.read_account("501-501-5011", NOW))
        assert isinstance(record, AccountInfo)
        return record

    assert (info().name, info().currency) == ("Shop Search", "USD")
    assert (info().timezone, info().status, info().window_days) == (
        "America/New_York",
        "ENABLED",
        30,
    )
    setup.conversion_windows = (7, 60, 30)
    assert info().window_days == 60
    setup.conversion_windows = ()
    assert info().window_days == 30
    setup.tracking = "CONVERSION_TRACKING_MANAGED_BY_ANOTHER_MANAGER"
    assert info().window_days == 90


def test_managers_are_walked_to_their_leaves(stand: Stand) -> None:
    """Every leaf once, closed ones too, with the manager that leads to it."""
    for number in (1, 2):
        stand.world.add_google_ads_account(
            f"700000000{number}", campaigns=1, adsets=1, ads=1, history_days=2
        )
    stand.world.set_account_status("7000000002", 101)
    stand.wire.add_manager("8000000002", ("7000000001", "7000000002"))
    stand.wire.add_manager("8000000001", ("8000000002", ACCOUNT))
    reach = frozenset({"8000000001", ACCOUNT})
    stand.wire.tokens.add(RefreshToken(value="sim_agency", customers=reach))
    agency = stand.as_(refresh_token="sim_agency")
    found = {info.platform_account_id: info for info in agency.rows(
        stand.adapter.read_accounts(NOW))[0] if isinstance(info, AccountInfo)}  # fmt: skip
    assert {key: dict(info.access) for key, info in found.items()} == {
        ACCOUNT: {},
        "7000000001": {"login_customer_id": "8000000001"},
        "7000000002": {"login_customer_id": "8000000001"},
    }
    assert found["7000000002"].status == "CLOSED"
    read = stand.adapter.list_entities("7000000001", Level.AD, NOW)
    with pytest.raises(PermissionBlocked, match="login_customer_id"):
        agency.rows(read)
    through = stand.as_(refresh_token="sim_agency", **found["7000000001"].access)
    assert through.rows(stand.adapter.list_entities("7000000001", Level.AD, NOW))[0]
    with pytest.raises(AccountBlocked):
        through.rows(stand.adapter.list_entities("7000000002", Level.AD, NOW))
    with pytest.raises(AccountBlocked, match="manager account"):
        agency.rows(stand.adapter.read_account("8000000001", NOW))
    with pytest.raises(AccountBlocked, match="manager account"):
        agency.rows(stand.adapter.report("8000000001", Level.CAMPAIGN, SHORT, NOW))


def test_the_change_history_tells_of_changes_between_polls(stand: Stand) -> None:
    """A pause and a resume that no listing saw are both hinted at, in order, and a removal."""
    campaign, ad = stand.world.create_campaign(ACCOUNT, "New"), None
    adset = stand.world.create_adset(campaign, "New set")
    ad = stand.world.create_ad(adset, "New ad")
    for act in (stand.world.pause, stand.world.resume):
        stand.world.advance(hours=1)
        act("ad", ad)
    stand.world.advance(hours=1)
    stand.world.delete("campaign", campaign)
    stand.world.rename("adset", adset, "Other")
    stand.world.advance(hours=1)
    now = stand.clock.now()
    read = stand.adapter.read_change_history(
        ACCOUNT, now - timedelta(hours=3, minutes=30), now, now
    )
    hints = [record for record in stand.read(read) if isinstance(record, ChangeHint)]
    told = [
        (hint.platform_id, hint.old_status, hint.new_status)
        for hint in hints
        if hint.platform_id in {ad, campaign} and hint.old_status
    ]
    assert told == [
        (ad, "ACTIVE", "PAUSED"),
        (ad, "PAUSED", "ACTIVE"),
        (campaign, "ACTIVE", "DELETED"),
    ]
    for hint, truth in zip(
        [hint for hint in hints if hint.platform_id == ad and hint.old_status],
        stand.world.ledger.statuses("ad", ad)[1:3],
        strict=True,
    ):
        assert hint.occurred_at == truth.time
    assert adset in {hint.platform_id for hint in hints}


def test_a_long_change_history_is_read_to_its_end(stand: Stand) -> None:
    """An answer of as many rows as were allowed is cut: the next question begins where it ends."""
    small = GoogleAdsAdapter(limits=ReadLimits(changes_max=5))
    ads = stand.ids(Level.AD)[:12]
    for ad in ads:
        stand.world.advance(seconds=7)
        stand.world.rename("ad", ad, "Renamed")
    now = stand.clock.now()
    read = small.read_change_history(ACCOUNT, now - timedelta(days=40), now, now)
    hints = stand.as_(small).rows(read)[0]
    assert set(ads) <= {hint.platform_id for hint in hints if isinstance(hint, ChangeHint)}


def test_one_refresh_serves_every_thread(stand: Stand) -> None:
    """Threads that find the token ended wait for the one that renews it."""
    reads = [stand.adapter.list_entities(ACCOUNT, level, NOW) for level in LEVELS * 3]
    with ThreadPoolExecutor(9) as pool:
        assert all(pool.map(stand.read, reads))
    assert stand.wire.tokens.exchanges == 1
    stand.world.advance(seconds=3580)
    stand.read(stand.adapter.report_totals(ACCOUNT, SHORT, NOW))
    assert stand.wire.tokens.exchanges == 2


def test_a_token_that_ends_early_is_renewed_once(stand: Stand) -> None:
    """HTTP 401 costs one more exchange; refused again, the credential is blocked."""
    stand.read(stand.adapter.read_account(ACCOUNT, NOW))
    stand.wire.tokens.given.clear()
    assert stand.read(stand.adapter.list_entities(ACCOUNT, Level.AD, NOW))
    assert stand.wire.tokens.exchanges == 2
    stand.arm(
        "google_error", error="authenticationError.OAUTH_TOKEN_EXPIRED", path="goog", count=None
    )
    with pytest.raises(CredentialBlocked):
        stand.read(stand.adapter.list_entities(ACCOUNT, Level.AD, NOW))
    assert stand.wire.tokens.exchanges == 3


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("invalid_grant", CredentialBlocked),
        ("invalid_client", CredentialBlocked),
        ("unauthorized_client", CredentialBlocked),
        ("temporarily_unavailable", PlatformBusy),
    ],
)
def test_a_refused_refresh_blocks_and_a_failed_one_waits(
    stand: Stand, word: str, kind: type[AdsyncError]
) -> None:
    """A person has to renew a dead refresh token; nothing else is asked before that."""
    stand.arm("oauth_error", path="^token$", error=word, count=None)
    with pytest.raises(kind):
        stand.read(stand.adapter.read_account(ACCOUNT, NOW))
    assert not [seen for seen in stand.simulator.simulator.requests if "customers" in seen.path]


def test_a_revoked_refresh_token_blocks(stand: Stand) -> None:
    """Also while its last access token would still have time to go."""
    token = stand.wire.tokens.add(RefreshToken(value="sim_refresh"))
    stand.read(stand.adapter.read_account(ACCOUNT, NOW))
    token.revoked = True
    with pytest.raises(CredentialBlocked):
        stand.read(stand.adapter.read_account(ACCOUNT, NOW))


def test_the_developer_token_is_sent_where_there_is_one(stand: Stand) -> None:
    """An API that still wants it is served, and says what is missing when it is."""
    stand.wire.settings.developer_token_required = True
    with pytest.raises(CredentialBlocked, match="developer_token"):
        stand.read(stand.adapter.read_account(ACCOUNT, NOW))
    assert stand.as_(developer_token="sim_dev").rows(stand.adapter.read_account(ACCOUNT, NOW))[0]


def test_a_removal_while_a_stream_breaks_is_seen(stand: Stand) -> None:
    """The stream that is begun again tells the newer truth, and its rows win."""
    ad = next(e.id for e in stand.world.entities(ACCOUNT, "ad") if e.own == "ACTIVE"
              and e.campaign_id not in stand.performance_max())  # fmt: skip
    stand.arm("reset_mid_body", path="ad_group_ad$")
    stand.arm("call", path="ad_group_ad$", skip=1, do=lambda: stand.world.delete("ad", ad))
    records = stand.read(stand.adapter.list_entities(ACCOUNT, Level.AD, NOW))
    assert entities(records)[ad][1] == "DELETED"
    assert entities(records) == entity_truth(stand, Level.AD)


def test_a_used_up_quota_releases_the_worker(stand: Stand) -> None:
    """The daily quota ends the read with its wait, and the next read does not even ask."""
    stand.wire.settings.operations_per_day = 2
    stand.read(stand.adapter.read_account(ACCOUNT, NOW))
    with pytest.raises(PlatformBusy) as caught:
        stand.read(stand.adapter.list_entities(ACCOUNT, Level.AD, NOW))
    assert caught.value.retry_after_seconds == 3600
    before = len(stand.simulator.simulator.requests)
    with pytest.raises(PlatformBusy):
        stand.read(stand.adapter.list_entities(ACCOUNT, Level.AD, NOW))
    assert len(stand.simulator.simulator.requests) == before


@pytest.mark.parametrize("version", ["v19", "v99"])
def test_a_version_google_does_not_serve_blocks(stand: Stand, version: str) -> None:
    """Too old is told by the API, unknown by a plain page; both name the setting."""
    other = GoogleAdsAdapter(api_version=version)
    with pytest.raises(Blocked, match="ADSYNC_GOOGLE_ADS_API_VERSION"):
        stand.as_(other).rows(other.read_account(ACCOUNT, NOW))


def test_history_older_than_google_keeps_blocks(stand: Stand) -> None:
    """37 months is a question for whoever set the history, not a loop."""
    old = DateRange(since=date(2022, 1, 1), until=date(2022, 1, 3))
    with pytest.raises(Blocked, match="37 months"):
        stand.read(stand.adapter.report(ACCOUNT, Level.AD, old, NOW))


def test_a_hang_within_a_stream_ends(stand: Stand) -> None:
    """The client's own deadlines end what the server does not."""
    limits = replace(LIMITS, read_seconds=0.3, request_seconds=0.6, attempts_max=2)
    quick = PlatformClient(
        stand.adapter,
        stand.simulator.base_url,
        GrantedCredential(GoogleGrant(), Credential(VALUES), stand.tokens),
        stand.clock,
        limits=limits,
    )
    for fault in ("slow_drip", "hang"):
        stand.arm(fault, path="ad_group$", count=9, seconds=0.2 if fault == "slow_drip" else 2)
        with pytest.raises(Retryable):
            quick.rows(stand.adapter.list_entities(ACCOUNT, Level.ADSET, NOW))
        stand.simulator.simulator.faults.disarm()
    records, _ = quick.rows(stand.adapter.list_entities(ACCOUNT, Level.ADSET, NOW))
    assert entities(records) == entity_truth(stand, Level.ADSET)
