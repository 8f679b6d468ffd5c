"""Three platforms in which things went wrong, synced for weeks: what a report has to tell.

Facebook runs well, but failed final syncs had to be repeated and a day's total does not fit. The
TikTok credential was revoked days ago. Google has a campaign without ad rows. One account was
added and never synced, one was removed. Names are as absurd as people make them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from harness import GOOGLE_CREDENTIAL, MICROS, TOKEN, Harness

from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import Account, AccountInfo, Platform
from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.connecting import connect_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.sync.reports import ENTITY_STEPS
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.database import Database

ABSURD = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> \u202edetrevni\u202c"
LONG = "Spring_Sale|DE|Prospecting|Broad|18-65+|Video|Hook3|v12_final_FINAL_" + "x" * 120
TIKTOK_ID = "7010000000000000777"
GOOGLE_ID = "9990001112"
TIKTOK_TOKEN = "sim_report_tiktok"
#: The day on which somebody "corrected" a campaign's spend by hand.
WRONG_DAY = date(2026, 3, 25)
SIZE = {"campaigns": 3, "adsets": 5, "ads": 12}


class ReportWorld(Harness):
    """The worlds of all three platforms behind one simulator and one warehouse."""

    def __init__(self, url: str, home: Path, *, history_days: int = 40) -> None:
        super().__init__(url, home, name="Shop North", history_days=history_days, **SIZE)
        self.environment.close()
        size = {**SIZE, "history_days": history_days}
        self.world.add_tiktok_account(account_id=TIKTOK_ID, name=ABSURD, **size)
        self.world.add_google_ads_account(
            account_id=GOOGLE_ID,
            name="Laden Mitte",
            currency="EUR",
            timezone="Europe/Berlin",
            performance_max=1,
            **size,
        )
        base = self.simulator.base_url
        self.settings = replace(
            self.settings, base_urls=dict.fromkeys(self.settings.base_urls, base)
        )
        self.environment = Environment(
            database=Database(url, self.clock),
            clock=self.clock,
            settings=self.settings,
            vault=self.environment.vault,
        )
        self.tiktok = self._connect(Platform.TIKTOK, TIKTOK_ID, ABSURD, "USD", TIKTOK_TOKEN)
        #: What TikTok told of each day when it was last read.
        self.tiktok_known: dict[date, Decimal] = {}
        self.google = self._connect(Platform.GOOGLE_ADS, GOOGLE_ID, "Laden Mitte", "EUR", TOKEN)

    def _connect(
        self, platform: Platform, account_id: str, name: str, currency: str, token: str
    ) -> Account:
        zone = self.world.account(account_id).timezone
        info = AccountInfo(
            platform_account_id=account_id, name=name, currency=currency, timezone=zone, status="1"
        )
        is_google = platform is Platform.GOOGLE_ADS
        values = GOOGLE_CREDENTIAL if is_google else {"access_token": token}
        return connect_account(self.environment, platform, info, Credential(values))

    def sync_all(self) -> None:
        for account in (self.account, self.tiktok, self.google):
            sync_account(self.environment, account.key)

    def delivering(self, account: Account) -> list[str]:
        """Ads that spend, Performance Max's hidden ones left out."""
        campaigns = self.world.account(account.platform_account_id).entities["campaign"].values()
        hidden = {one.id for one in campaigns if one.traits.get("channel_type")}
        return [
            entity.id
            for entity in self.world.entities(account.platform_account_id, "ad")
            if entity.effective == "ACTIVE" and entity.campaign_id not in hidden
        ]

    def _true_days(self, account: Account) -> dict[date, Decimal]:
        """What the account spent on each day of its history, as the platform tells it now."""
        first = self.today() - timedelta(days=self.settings.history_days + 1)
        days = [first + timedelta(days=offset) for offset in range(self.settings.history_days)]
        return {day: self.true_spend(account, day) for day in days}

    def true_spend(self, account: Account, day: date) -> Decimal:
        """What the ledger says the account spent on that day of its own."""
        total = self.world.ledger.account_total(account.platform_account_id, day)
        return Decimal(total["spend_micros"]) / MICROS

    def tell_the_story(self) -> None:
        """Three weeks of syncs, stops, a failing platform, a revoked token, and a wrong row."""
        world = self.world
        self.sync_all()
        world.rename("ad", self.delivering(self.account)[0], ABSURD)
        world.rename("ad", self.delivering(self.account)[1], LONG)
        for number in range(5):
            self.advance(days=4, hours=-1 if number % 2 else 1)
            for account in (self.account, self.google):
                for ad in self.delivering(account)[: 1 + number % 2]:
                    world.pause("ad", ad)
                    self.advance(minutes=11 * number)
                    sync_account(self.environment, account.key, ENTITY_STEPS)
                    world.resume("ad", ad)
            if number == 2:
                token = Token(value=TIKTOK_TOKEN, revoked=True)
                self.simulator.simulator.tiktok.tokens.add(token)
            self.advance(minutes=30 + 90 * number)
            self.sync_all()
            if number == 1:
                self.tiktok_known = self._true_days(self.tiktok)
        self._owe_final_syncs()
        self._spoil_a_row()
        self._add_and_remove()

    def _owe_final_syncs(self) -> None:
        for ad in self.delivering(self.account)[:3]:
            self.world.pause("ad", ad)
        self.simulator.simulator.faults.arm("error", path="insights", count=None, error="service")
        self.sync()
        self.advance(hours=9)
        self.sync()
        self.simulator.simulator.faults.disarm()

    def _spoil_a_row(self) -> None:
        """Somebody corrected a number by hand; the next reconciliation cannot explain it."""
        self.query(
            "UPDATE ad_metrics SET spend = spend + 12.5 WHERE ctid = (SELECT ctid FROM ad_metrics"
            " WHERE entity_type = 'campaign' AND ad_account_id = %s AND date = %s AND spend > 0"
            " LIMIT 1) AND date = %s",
            self.account.id,
            WRONG_DAY,
            WRONG_DAY,
        )
        self.query(
            "UPDATE ad_account_days d SET state = 'open', residual_class = 'unexplained',"
            " stored_spend = stored_spend + 12.5"
            " WHERE ad_account_id = %s AND date = %s AND level = 'campaign'",
            self.account.id,
            WRONG_DAY,
        )

    def _add_and_remove(self) -> None:
        for account_id, name in (("act_9001", "New & never synced"), ("act_9002", "Old shop")):
            info = AccountInfo(
                platform_account_id=account_id,
                name=name,
                currency="USD",
                timezone="UTC",
                status="1",
            )
            with self.environment.database.connection() as connection:
                added = accounts.add_account(connection, Platform.FACEBOOK, info)
                if account_id == "act_9002":
                    accounts.deactivate(connection, added)
