"""The demo's accounts: one per platform, in zones and currencies of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import Level, Platform
from adsync_dagster.simulator.world import World

TOKEN = "sim_demo_token"  # noqa: S105 - the simulator accepts it, no real platform does
#: Older than what any platform still revises, so that weeks later some days can be sealed.
HISTORY_DAYS = 90


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Actor:
    """An account of the demo."""

    platform: Platform
    account_id: str
    title: str
    currency: str
    timezone: str
    #: How many campaigns, ad sets and ads it begins with.
    size: tuple[int, int, int]
    #: What its platform calls an ad set.
    adset_word: str = "ad group"
    options: Mapping[str, int] = field(default_factory=dict)

    def enter(self, world: World) -> None:
        """Create the account in the simulated world, with its history."""
        campaigns, adsets, ads = self.size
        getattr(world, f"add_{self.platform}_account")(
            self.account_id,
            currency=self.currency,
            timezone=self.timezone,
            campaigns=campaigns,
            adsets=adsets,
            ads=ads,
            history_days=HISTORY_DAYS,
            **self.options,
        )

    def credential(self, token: str = TOKEN) -> Credential:
        """What a person would store for it. Google's is exchanged for access tokens."""
        if self.platform is not Platform.GOOGLE_ADS:
            return Credential({"access_token": token})
        return Credential(
            {
                "client_id": "sim_demo_client",
                "client_secret": "sim_demo_secret",
                "refresh_token": token,
            }
        )

    def counted(self, number: int, level: Level) -> str:
        """A number of entities in the platform's words, such as `2 ad groups`."""
        word = self.adset_word if level is Level.ADSET else level.value
        return f"{number:,} {word}{'' if number == 1 else 's'}"


META = Actor(
    platform=Platform.FACEBOOK,
    account_id="act_501",
    title="Meta",
    currency="USD",
    timezone="America/New_York",
    size=(40, 150, 600),
    adset_word="ad set",
)
TIKTOK = Actor(
    platform=Platform.TIKTOK,
    account_id="7010000000000000501",
    title="TikTok",
    currency="USD",
    timezone="America/Los_Angeles",
    size=(10, 30, 120),
)
GOOGLE = Actor(
    platform=Platform.GOOGLE_ADS,
    account_id="5015015011",
    title="Google Ads",
    currency="EUR",
    timezone="Europe/Berlin",
    size=(10, 30, 120),
    options={"performance_max": 1},
)
CAST = (META, TIKTOK, GOOGLE)
